"""The Retab sandbox over loopback, and a source connected to it through the shared HTTP layer."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any

import aiohttp
import pytest

from connectors.http import HttpPeer, close_session, open_session
from connectors.pacing import Pace
from connectors.ports import OutgoingRequest, RequestOutcome
from connectors.retab.client import RETAB_WIRE, RetabClient
from connectors.retab.sandbox import DEFAULT_KEY, Environment, RetabSandbox
from connectors.retab.settings import RetabSettings
from connectors.retab.source import RetabSource


@dataclass
class RetabLogbook:
    """A request log that keeps what it is told, in order."""

    opened: list[OutgoingRequest] = field(default_factory=list)
    outcomes: list[RequestOutcome] = field(default_factory=list)

    async def opening(self, request: OutgoingRequest) -> None:
        self.opened.append(request)

    def closed(self, outcome: RequestOutcome) -> None:
        self.outcomes.append(outcome)

    @property
    def mutating(self) -> list[str]:
        return [request.purpose for request in self.opened if request.mutating]


@pytest.fixture
async def retab() -> AsyncIterator[RetabSandbox]:
    async with RetabSandbox() as sandbox:
        yield sandbox


@pytest.fixture
def environment(retab: RetabSandbox) -> Environment:
    return retab.environment()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    opened = open_session()
    yield opened
    await close_session(opened)


@pytest.fixture
def connect(retab: RetabSandbox, session: aiohttp.ClientSession) -> Callable[..., RetabSource]:
    """Return a function that makes a source; its arguments are keys of the tenant's ``source``."""

    def make(**keys: Any) -> RetabSource:
        given = {
            "kind": "retab",
            "base_url": retab.url,
            "api_key": DEFAULT_KEY,
            "schemas": {"*": "invoice_v2"},
            "timeout": "5s",
            "resume_wait": "0s",
            **keys,
        }
        settings = RetabSettings.model_validate(given)
        return RetabSource(settings, RetabClient(settings, HttpPeer(RETAB_WIRE, session, Pace(patience=0.0))))

    return make


@pytest.fixture
def source(connect: Callable[..., RetabSource]) -> RetabSource:
    return connect()


@pytest.fixture
def log() -> RetabLogbook:
    return RetabLogbook()
