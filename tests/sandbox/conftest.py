"""Sandboxes over loopback, and a plain client for their raw answers."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import aiohttp
import msgspec
import pytest
from yarl import URL

from connectors.dataverse.sandbox import DataverseSandbox

_decoder = msgspec.json.Decoder(float_hook=Decimal)
_encoder = msgspec.json.Encoder(decimal_format="number")


@dataclass(frozen=True)
class Answer:
    """A whole answer; ``json`` keeps the digits of fractions."""

    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return _decoder.decode(self.body)

    @property
    def code(self) -> str:
        return str(self.json["error"]["code"])

    @property
    def message(self) -> str:
        return str(self.json["error"]["message"])


class Caller:
    """Sends requests as they are: paths are not re-encoded, nothing is tried again."""

    def __init__(self, session: aiohttp.ClientSession, root: str) -> None:
        self._session = session
        self.root = root

    async def __call__(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Answer:
        data = body if body is None or isinstance(body, bytes) else _encoder.encode(body)
        sent = {"Content-Type": "application/json", **(headers or {})}
        url = URL(path if path.startswith("http") else f"{self.root}/{path}", encoded=True)
        async with self._session.request(method, url, data=data, headers=sent) as response:
            return Answer(response.status, response.headers, await response.read())


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as opened:
        yield opened


@pytest.fixture
async def dataverse() -> AsyncIterator[DataverseSandbox]:
    async with DataverseSandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def call(session: aiohttp.ClientSession, dataverse: DataverseSandbox) -> Caller:
    return Caller(session, dataverse.api_url)


@pytest.fixture
async def control(session: aiohttp.ClientSession, dataverse: DataverseSandbox) -> Caller:
    return Caller(session, f"{dataverse.url}/_sandbox")
