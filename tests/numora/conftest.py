"""The Numora sandbox over loopback, and a source connected to it through the shared HTTP layer."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from connectors.http import HttpPeer, close_session, open_session
from connectors.numora.calls import NUMORA_WIRE
from connectors.numora.client import NumoraSource
from connectors.numora.sandbox import DEFAULT_KEY, NumoraSandbox
from connectors.numora.settings import NumoraSettings
from connectors.pacing import Pace
from connectors.ports import OutgoingRequest, RequestOutcome


@dataclass
class RequestLogbook:
    """A request log that keeps what it is told, in order."""

    opened: list[OutgoingRequest] = field(default_factory=list)
    outcomes: list[RequestOutcome] = field(default_factory=list)

    async def opening(self, request: OutgoingRequest) -> None:
        self.opened.append(request)

    def closed(self, outcome: RequestOutcome) -> None:
        self.outcomes.append(outcome)


Connect = Callable[..., NumoraSource]


@pytest.fixture
async def numora() -> AsyncIterator[NumoraSandbox]:
    async with NumoraSandbox() as sandbox:
        yield sandbox


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    opened = open_session()
    yield opened
    await close_session(opened)


@pytest.fixture
def connect(numora: NumoraSandbox, session: aiohttp.ClientSession) -> Connect:
    """Return a function that makes a source; its arguments are keys of the tenant's ``source``."""

    def make(**keys: Any) -> NumoraSource:
        given = {"kind": "numora", "base_url": numora.url, "api_key": DEFAULT_KEY, "timeout": "5s", **keys}
        settings = NumoraSettings.model_validate(given)
        return NumoraSource(settings, HttpPeer(NUMORA_WIRE, session, Pace(patience=0.0)))

    return make


@pytest.fixture
def source(connect: Connect) -> NumoraSource:
    return connect()


@pytest.fixture
def log() -> RequestLogbook:
    return RequestLogbook()
