"""The Entra and Dataverse sandboxes on loopback, and a destination connected to them through the shared HTTP layer."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from pydantic import SecretStr

from connectors.dataverse.client import WIRE
from connectors.dataverse.destination import DataverseDestination
from connectors.dataverse.sandbox.server import DataverseSandbox
from connectors.dataverse.settings import DataverseSettings
from connectors.entra.sandbox import EntraSandbox
from connectors.entra.tokens import ClientSecretTokens
from connectors.http import HttpPeer, close_session, open_session
from connectors.pacing import Pace
from connectors.ports import OutgoingRequest, RequestOutcome
from connectors.sandbox.authority import SandboxAuthority

TENANT = "11111111-0000-4000-8000-000000000001"
CLIENT = "22222222-0000-4000-8000-000000000002"
SECRET = "made-up~secret"


class Clock:
    """A monotonic clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class RequestLogbook:
    """A request log that keeps what it is told, in order."""

    opened: list[OutgoingRequest] = field(default_factory=list)
    outcomes: list[RequestOutcome] = field(default_factory=list)

    async def opening(self, request: OutgoingRequest) -> None:
        self.opened.append(request)

    def closed(self, outcome: RequestOutcome) -> None:
        self.outcomes.append(outcome)

    @property
    def sent(self) -> list[str]:
        """Method and path of every request, without the address."""
        return [f"{request.method} {request.url.partition('/api/data/v9.2/')[2]}" for request in self.opened]


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> SandboxAuthority:
    return SandboxAuthority(Path(tmp_path_factory.mktemp("ca")))


@pytest.fixture
async def entra(authority: SandboxAuthority) -> AsyncIterator[EntraSandbox]:
    async with EntraSandbox(authority) as sandbox:
        sandbox.add_client(TENANT, CLIENT, SECRET)
        yield sandbox


@pytest.fixture
async def dataverse(entra: EntraSandbox) -> AsyncIterator[DataverseSandbox]:
    async with DataverseSandbox(entra=entra) as sandbox:
        yield sandbox


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    opened = open_session()
    yield opened
    await close_session(opened)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def log() -> RequestLogbook:
    return RequestLogbook()


Connect = Callable[..., DataverseDestination]


@pytest.fixture
async def connect(
    entra: EntraSandbox, authority: SandboxAuthority, session: aiohttp.ClientSession, clock: Clock
) -> AsyncIterator[Connect]:
    """Return a function that makes a destination; its arguments are a sandbox and keys of the tenant's settings."""
    made: list[DataverseDestination] = []

    def make(sandbox: Any, *, fetch_file: Any = None, **keys: Any) -> DataverseDestination:
        auth = {"kind": "client_secret", "tenant_id": TENANT, "client_id": CLIENT, "client_secret": SECRET}
        settings = DataverseSettings.model_validate({"kind": "dataverse", "url": sandbox.url, "auth": auth, **keys})
        tokens = ClientSecretTokens(
            tenant_id=TENANT,
            client_id=CLIENT,
            client_secret=SecretStr(SECRET),
            scope=f"{sandbox.url}/.default",
            authority=entra.url,
            ca_file=authority.ca_file,
        )
        peer = HttpPeer(WIRE, session, Pace(ceiling=52, patience=0.0))
        made.append(DataverseDestination(settings, peer, tokens, fetch_file=fetch_file, monotonic=clock))
        return made[-1]

    yield make
    for one in made:
        await one.close()


@pytest.fixture
def destination(connect: Connect, dataverse: DataverseSandbox) -> DataverseDestination:
    return connect(dataverse)
