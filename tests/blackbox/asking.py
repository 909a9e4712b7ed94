"""Whoever calls the API: any header, any body, many at once; and each answer is held against the description."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Self

import aiohttp
import msgspec
from yarl import URL

from tests.blackbox.contract import Contract
from tests.blackbox.process import Bridge

KEY = "operator-key"


@dataclass(frozen=True)
class Reply:
    status: int
    headers: Mapping[str, str]
    raw: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.raw)

    @property
    def code(self) -> str:
        return str(self.json["code"])

    @property
    def but_for_its_id(self) -> tuple[int, bytes, dict[str, str]]:
        """Everything that a caller could tell two answers apart by, without what is new with each request."""
        id = self.headers["X-Request-Id"]
        kept = {name.lower(): value for name, value in self.headers.items()}
        kept.pop("x-request-id")
        kept.pop("date", None)
        return self.status, self.raw.replace(id.encode(), b""), kept


class Asking:
    """A client of one bridge."""

    def __init__(self, bridge: Bridge) -> None:
        self._bridge = bridge
        self._session: aiohttp.ClientSession | None = None
        self.contract: Contract | None = None

    async def __aenter__(self) -> Self:
        connector = aiohttp.TCPConnector(limit=0, force_close=True)
        self._session = aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(90))
        self.contract = Contract((await self.ask("GET", "/openapi.json", key=None)).raw)
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str | None = KEY,
        headers: Mapping[str, str] | None = None,
        raw: bytes | None = None,
    ) -> Reply:
        """Send a request; ``body`` is written as JSON, ``raw`` is sent as it is. Holds the answer."""
        assert self._session is not None
        sent = {"Authorization": f"Bearer {key}"} if key else {}
        data = raw
        if body is not None:
            data, sent["Content-Type"] = msgspec.json.encode(body), "application/json"
        sent |= headers or {}
        url = URL(self._bridge.base + path, encoded=True)
        async with self._session.request(method, url, headers=sent, data=data, allow_redirects=False) as response:
            reply = Reply(response.status, response.headers.copy(), await response.read())
            if self.contract is not None and method != "HEAD":
                self.contract.hold(
                    method, path, reply.status, response.content_type if reply.raw else "", reply.headers, reply.raw
                )
        return reply

    async def all(self, *requests: Any) -> list[Reply]:
        return list(await asyncio.gather(*requests))


async def spoken(
    bridge: Bridge, *pieces: bytes, pause: float = 0.0, patience: float = 30.0, answered: bool = False
) -> bytes:
    """Say these bytes on a connection of their own, and return all that is answered until it is closed.

    With ``answered`` the first that is answered is enough.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", bridge.port)
    try:
        for piece in pieces:
            writer.write(piece)
            try:
                await writer.drain()
            except ConnectionError:
                break
            if pause:
                await asyncio.sleep(pause)
        async with asyncio.timeout(patience):
            if answered:
                return await reader.read(65536)
            return await _until_closed(reader)
    finally:
        writer.close()


async def _until_closed(reader: asyncio.StreamReader) -> bytes:
    said = b""
    try:
        while piece := await reader.read(65536):
            said += piece
    except ConnectionError:
        pass
    return said
