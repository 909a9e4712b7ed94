"""The whole service with a subscriber: from a call of its API to the message, and on after a restart."""

import asyncio
import re
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from event_receiver import PATIENCE, Receiver

from bridge.app import serve
from bridge.sandbox import OPERATOR_KEY, SandboxWorld
from connectors.numora.sandbox.samples import sample_invoices

KEY = {"X-API-Key": "sandbox-key-of-acme"}


@pytest.fixture
async def world() -> AsyncIterator[SandboxWorld]:
    async with SandboxWorld() as world:
        yield world


class Api:
    """A caller of the service."""

    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session = session
        self._url = url

    async def __call__(self, method: str, path: str, body: Any = None) -> Any:
        async with self._session.request(method, f"{self._url}{path}", headers=KEY, json=body) as answer:
            return await answer.json() if answer.content_type == "application/json" else await answer.text()


@asynccontextmanager
async def served(folder: Path) -> AsyncIterator[Api]:
    """Run the service on this configuration, in this process."""
    ready: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    stopped = asyncio.Event()
    service = asyncio.create_task(serve(folder, {}, stopped=stopped, ready=ready.set_result))
    service.add_done_callback(lambda _: ready.cancel())
    try:
        async with aiohttp.ClientSession() as session:
            async with asyncio.timeout(PATIENCE):
                url = await ready
            yield Api(session, url)
    finally:
        stopped.set()
        await service


def configuration(world: SandboxWorld, folder: Path) -> Path:
    config = world.write_config(folder, ("acme",), poll_every="90d", schedule=("0s", *["50ms"] * 8), log_level="info")
    with (config / "bridge.yaml").open("a") as file:
        file.write("allow_hosts: [127.0.0.1]\n")
    return config


async def test_what_could_not_be_sent_before_a_stop_is_sent_after_the_start(
    world: SandboxWorld, tmp_path: Path, receiver: Receiver, capsys, monkeypatch
):
    monkeypatch.setattr("bridge.serving.STOP_GRACE", 0.2)
    receiver.answers["/hook"] = [receiver.never]
    config = configuration(world, tmp_path)
    [document] = [world.workspace("acme").add(invoice) for invoice in sample_invoices(1, seed=1)]
    async with served(config) as api:
        made = await api("POST", "/v1/tenants/acme/subscriptions", {"url": f"{receiver.url}/hook?token=of-the-hook"})
        delivery = await api("POST", f"/v1/tenants/acme/documents/{document.id}/deliver", {"wait": 20})
        await receiver.until(lambda: receiver.received)

    key = config / "data" / "bridge.db.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    receiver.leaving.set()
    receiver.answers["/hook"] = [200]
    async with served(config) as api:
        await receiver.until(lambda: len(receiver.received) > 1)
        listed = await api("GET", "/v1/tenants/acme/subscriptions")
        tested = await api("POST", f"/v1/tenants/acme/subscriptions/{made['id']}/test", {})
        await receiver.until(lambda: receiver.received[-1].id == tested["message_id"])
        async with asyncio.timeout(PATIENCE):
            while 'bridge_messages_total{outcome="sent",tenant="acme"} 2.0' not in (await metrics(api)):  # noqa: ASYNC110
                await asyncio.sleep(0.05)

    first, second, _ = receiver.received
    assert first.id == second.id
    assert second.json["data"] == delivery
    assert second.is_plainly_signed_with(made["secret"])
    assert [one["url"] for one in listed["data"]] == [f"{receiver.url}/hook?token=of-the-hook"]
    assert "secret" not in listed["data"][0]
    written = b"".join(path.read_bytes() for path in (config / "data").iterdir() if path != key)
    logged = capsys.readouterr().err
    for secret in (made["secret"], "of-the-hook"):
        assert secret.encode() not in written
        assert secret not in logged


async def metrics(api: Api) -> str:
    async with api._session.get(f"{api._url}/metrics", headers={"Authorization": f"Bearer {OPERATOR_KEY}"}) as answer:
        return re.sub(
            r"\{([^}]*)\}", lambda found: "{" + ",".join(sorted(found[1].split(","))) + "}", await answer.text()
        )
