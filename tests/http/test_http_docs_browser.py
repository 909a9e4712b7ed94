"""The page of the API's description in a real browser: it shows every operation, tries one, and asks nobody else."""

import asyncio
import itertools
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp
import pytest
from http_bridge import Bridge

from bridge.http.table import ROUTES

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
PATIENCE = 60.0

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium to look at the page with")


class Page:
    """A page of the browser, driven by the DevTools protocol. ``events`` keeps everything that it told."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.events: list[dict[str, Any]] = []
        self._socket = socket
        self._numbers = itertools.count(1)

    async def ask(self, method: str, **parameters: Any) -> Any:
        number = next(self._numbers)
        await self._socket.send_json({"id": number, "method": method, "params": parameters})
        async with asyncio.timeout(PATIENCE):
            while (told := await self._socket.receive_json()).get("id") != number:
                self.events.append(told)
        assert "error" not in told, told
        return told["result"]

    async def until(self, expression: str) -> Any:
        """Wait until an expression is true in the page, looking at each of its frames; return its value."""
        waiting = f"""new Promise(done => {{
            const look = () => {{ const found = {expression}; found ? done(found) : requestAnimationFrame(look); }};
            look();
        }})"""
        answer = await self.ask("Runtime.evaluate", expression=waiting, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"]["value"]

    async def click(self, selector: str) -> None:
        await self.until(f"!!document.querySelector({selector!r})")
        await self.ask("Runtime.evaluate", expression=f"document.querySelector({selector!r}).click()")

    def told(self, method: str) -> list[dict[str, Any]]:
        return [event["params"] for event in self.events if event.get("method") == method]


@asynccontextmanager
async def browser(folder: Path) -> AsyncIterator[Page]:
    assert CHROMIUM is not None
    process = await asyncio.create_subprocess_exec(
        *(CHROMIUM, "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"),
        *("--remote-debugging-port=0", f"--user-data-dir={folder}", "about:blank"),
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(PATIENCE):
            while b"DevTools listening on" not in (line := await process.stderr.readline()):
                assert line, "the browser ended before it listened"
        port = urlsplit(line.split()[-1].decode()).port
        drained = asyncio.create_task(process.stderr.read())
        async with aiohttp.ClientSession() as session:
            async with session.get(f"http://127.0.0.1:{port}/json/list") as response:
                targets = await response.json(content_type=None)
            address = next(target["webSocketDebuggerUrl"] for target in targets if target["type"] == "page")
            async with session.ws_connect(address, max_msg_size=0) as socket:
                yield Page(socket)
        drained.cancel()
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


async def test_the_page_shows_every_operation_tries_one_and_asks_nobody_else(bridge: Bridge, tmp_path: Path) -> None:
    """Every request goes to the bridge, and the browser has nothing to complain about, no broken rule."""
    async with browser(tmp_path / "browser") as page:
        for domain in ("Network", "Runtime", "Log", "Page"):
            await page.ask(f"{domain}.enable")
        await page.ask("Page.navigate", url=f"{bridge.server.url}/docs")
        described = [route for route in ROUTES if route.described]
        shown = await page.until(f"document.querySelectorAll('.opblock').length === {len(described)}")
        assert shown is True
        await page.click("#operations-Documents-deliver .opblock-summary-control")
        assert "resume_url" in await page.until(
            "(document.querySelector('#operations-Documents-deliver .opblock-body') || {}).innerText"
        )
        await page.click("#operations-Process-healthz .opblock-summary-control")
        await page.click("#operations-Process-healthz .try-out__btn")
        await page.click("#operations-Process-healthz .execute")
        status = await page.until(
            "(document.querySelector('#operations-Process-healthz .live-responses-table tbody td.response-col_status')"
            " || {}).innerText"
        )
        assert status.startswith("200")
        await page.ask("Runtime.evaluate", expression="1")
    requested = {event["request"]["url"] for event in page.told("Network.requestWillBeSent")}
    assert f"{bridge.server.url}/healthz" in requested
    elsewhere = {url for url in requested if not url.startswith((f"{bridge.server.url}/", "data:"))}
    assert elsewhere == set()
    complaints = [event["entry"]["text"] for event in page.told("Log.entryAdded") if event["entry"]["level"] == "error"]
    complaints += [str(event["exceptionDetails"]) for event in page.told("Runtime.exceptionThrown")]
    assert complaints == []
