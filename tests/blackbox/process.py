"""The product as an operator starts it: a process of its own, killed or stopped by signals."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

ROOT = Path(__file__).parents[2]
PATIENCE = 60.0
decode = msgspec.json.decode


def environment(**more: str) -> dict[str, str]:
    names = ("PATH", "HOME", "LANG", "COVERAGE_PROCESS_START")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


async def run(*arguments: str, **variables: str) -> tuple[int, str]:
    """Run one command to its end and return its exit code and all that it printed."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "bridge",
        *arguments,
        env=environment(**variables),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode is not None
    return process.returncode, out.decode()


class Bridge:
    """``serve`` with a config folder; it may be started again and again."""

    def __init__(self, config: Path, port: int, variables: dict[str, str], log: Path) -> None:
        self.config, self.port, self.variables, self.log = config, port, variables, log
        self.base = f"http://127.0.0.1:{port}"
        self._process: asyncio.subprocess.Process | None = None
        self._session: aiohttp.ClientSession | None = None

    async def start(self, *, wait: bool = True) -> None:
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "bridge",
                "serve",
                "--config",
                str(self.config),
                env=environment(**self.variables),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        if wait:
            await self.until_listening()

    async def until_listening(self) -> None:
        async with asyncio.timeout(PATIENCE):
            while True:
                assert self._process is not None
                assert self._process.returncode is None, self.log.read_text()[-4000:]
                try:
                    if (await self.call("GET", "/healthz", key=None))[0] == 200:
                        return
                except aiohttp.ClientError:
                    pass
                await asyncio.sleep(0.02)

    async def call(self, method: str, path: str, body: Any = None, key: str | None = "operator-key") -> tuple[int, Any]:
        """Call the API and return the status and the parsed body."""
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True))
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        data = None
        if body is not None:
            data, headers["Content-Type"] = msgspec.json.encode(body), "application/json"
        async with self._session.request(method, self.base + path, headers=headers, data=data) as response:
            raw = await response.read()
            return response.status, decode(raw) if "json" in response.content_type else raw

    async def kill(self) -> None:
        assert self._process is not None
        self._process.kill()
        await self._process.wait()

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    async def stop(self) -> int:
        """Ask the process to end and return its exit code."""
        assert self._process is not None
        self._process.terminate()
        return await asyncio.wait_for(self._process.wait(), 30)

    async def exited(self) -> int:
        assert self._process is not None
        return await asyncio.wait_for(self._process.wait(), 30)

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()
        if self._process is not None and self._process.returncode is None:
            await self.kill()

    # --- what the API tells

    async def deliveries(self, tenant: str = "acme", query: str = "") -> list[dict[str, Any]]:
        """Return all deliveries, over all pages."""
        found: list[dict[str, Any]] = []
        cursor = ""
        while True:
            more = f"&cursor={cursor}" if cursor else ""
            status, page = await self.call("GET", f"/v1/tenants/{tenant}/deliveries?limit=100{query}{more}")
            assert status == 200, page
            found += page["data"]
            if not page["next_cursor"]:
                return found
            cursor = page["next_cursor"]

    async def delivery(self, document: str, tenant: str = "acme") -> dict[str, Any]:
        """Return a document's newest delivery."""
        status, page = await self.call("GET", f"/v1/tenants/{tenant}/deliveries?document_id={document}")
        assert status == 200, page
        return page["data"][0] if page["data"] else {}

    async def tenant(self, tenant: str = "acme") -> dict[str, Any]:
        status, page = await self.call("GET", "/v1/tenants")
        assert status == 200, page
        return next(one for one in page["data"] if one["id"] == tenant)
