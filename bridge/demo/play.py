"""The bridge at work beside the sandboxes: the real service, in this process, looked at through its own API."""

import asyncio
import secrets
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec

from bridge.app import serve
from bridge.demo.story import TENANT, Story, stage
from bridge.sandbox import SandboxWorld

SCHEDULE: Final = ("0s", "200ms", "500ms", "1s", "2s", "5s")
"""Waits short enough for someone who looks on."""

PATIENCE: Final = 60.0
"""Seconds after which the demo no longer waits for the deliveries to end."""

_LOOK_EVERY = 0.1
_ENDED = frozenset({"succeeded", "failed", "skipped", "superseded", "parked"})

DeliveryJson = dict[str, Any]
"""A delivery as the API shows it."""


@dataclass(frozen=True, slots=True)
class Bridge:
    """The running service: its address, an operator's key, its configuration."""

    url: str
    api_key: str
    config: Path
    session: aiohttp.ClientSession

    async def get(self, path: str) -> Any:
        """Read what stands at a path of the API."""
        headers = {"Authorization": f"Bearer {self.api_key}"}
        async with self.session.get(f"{self.url}{path}", headers=headers) as answer:
            answer.raise_for_status()
            return msgspec.json.decode(await answer.read())

    async def deliveries(self) -> list[DeliveryJson]:
        """Return every delivery of the demo's tenant."""
        page = await self.get(f"/v1/tenants/{TENANT}/deliveries?limit=200")
        return list(page["data"])

    async def detail(self, delivery_id: str) -> DeliveryJson:
        """Return one delivery with its attempts and requests."""
        found: DeliveryJson = await self.get(f"/v1/tenants/{TENANT}/deliveries/{delivery_id}")
        return found


@asynccontextmanager
async def playing(story: Story, world: SandboxWorld) -> AsyncIterator[Bridge]:
    """Put the story on, start the service, and stop it at the end. Raises what the service raises."""
    stage(story, world)
    api_key = secrets.token_hex(16)
    config = world.write_config(
        world.folder / "config",
        (TENANT,),
        listen_port=_free_port(),
        api_keys=(api_key,),
        schedule=SCHEDULE,
        probe="1s",
        log_level="error",
    )
    loop = asyncio.get_running_loop()
    ready: asyncio.Future[str] = loop.create_future()
    stopped = asyncio.Event()
    service = asyncio.create_task(serve(config, {}, stopped=stopped, ready=ready.set_result), name="service")
    service.add_done_callback(lambda _: ready.cancel())
    try:
        try:
            url = await ready
        except asyncio.CancelledError:
            if service.done():
                await service
            raise
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=10)) as session:
            yield Bridge(url, api_key, config, session)
    finally:
        stopped.set()
        await service


async def looks(bridge: Bridge, count: int) -> AsyncIterator[list[DeliveryJson]]:
    """Yield the deliveries again and again, until so many have ended or patience has."""
    loop = asyncio.get_running_loop()
    until = loop.time() + PATIENCE
    while True:
        deliveries = await bridge.deliveries()
        yield deliveries
        if len(ended(deliveries)) >= count or loop.time() > until:
            return
        await asyncio.sleep(_LOOK_EVERY)


def ended(deliveries: list[DeliveryJson]) -> list[DeliveryJson]:
    """Return those that have come to an end."""
    return [delivery for delivery in deliveries if delivery["state"] in _ENDED]


def _free_port() -> int:
    """Return a port that is free now: fixed, so that other commands find the service by its configuration."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port: int = probe.getsockname()[1]
        return port
