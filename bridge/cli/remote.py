"""The running service, asked over its own HTTP API: for what may only be done by whoever holds the ledger."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

import aiohttp
import msgspec

from bridge.cli.failures import CommandError
from bridge.config.loaded import LoadedConfig, Tenant
from connectors.http import encode_json

_TIMEOUT = aiohttp.ClientTimeout(total=600, connect=5)
_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1", "": "127.0.0.1"}  # noqa: S104 - what a service may listen on


class RemoteBridge:
    """The service that holds this configuration's ledger. Every method raises ``CommandError``."""

    def __init__(self, session: aiohttp.ClientSession, base: str, key: str) -> None:
        self._session = session
        self._base = base
        self._key = key

    async def get(self, *path: str) -> Any:
        """Read what stands at a path below ``/v1``."""
        return await self._ask("GET", path, None)

    async def post(self, *path: str, body: Mapping[str, Any] | None = None) -> Any:
        """Ask for something to be done."""
        return await self._ask("POST", path, body or {})

    async def _ask(self, method: str, path: tuple[str, ...], body: Mapping[str, Any] | None) -> Any:
        url = "/".join((self._base, "v1", *(quote(part, safe="") for part in path)))
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        data = None if body is None else encode_json(body)
        try:
            async with self._session.request(method, url, headers=headers, data=data, allow_redirects=False) as answer:
                content = await answer.read()
                status = answer.status
        except (aiohttp.ClientError, TimeoutError) as error:
            raise CommandError(
                f"The ledger is in use, but no service answers at {self._base}: {error or type(error).__name__}. "
                "Stop what holds the ledger, or give this command the configuration that the service runs with."
            ) from error
        try:
            decoded = msgspec.json.decode(content)
        except msgspec.DecodeError as error:
            raise CommandError(f"What answers at {self._base} is not this bridge: {status}, and no JSON.") from error
        if status >= 400:
            problem = decoded if isinstance(decoded, dict) else {}
            told = problem.get("detail") or problem.get("title") or "no reason is given"
            raise CommandError(f"The running service refused ({status}): {told} [{problem.get('code', 'unknown')}]")
        return decoded


@asynccontextmanager
async def remote_bridge(config: LoadedConfig, tenant: Tenant) -> AsyncIterator[RemoteBridge]:
    """Give the way to the running service, with an operator's key or the tenant's. Raises ``CommandError`` for none."""
    listen = config.bridge.listen
    if listen.port == 0:
        raise CommandError(
            "The ledger is in use by a running service, and its port is not known: `listen.port` is 0. Stop it, or "
            "give it a fixed port."
        )
    key = next(iter((*config.bridge.api_keys, *tenant.config.api_keys)), None)
    if key is None:
        raise CommandError(
            "The ledger is in use by a running service, and no key for it is configured. Stop it, or add one under "
            "`api_keys` in bridge.yaml."
        )
    host = _EVERYWHERE.get(listen.host.strip("[]"), listen.host.strip("[]"))
    base = f"http://[{host}]:{listen.port}" if ":" in host else f"http://{host}:{listen.port}"
    async with aiohttp.ClientSession(timeout=_TIMEOUT) as session:
        yield RemoteBridge(session, base, key.get_secret_value())
