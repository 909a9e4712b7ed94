"""The Entra sandbox over https on loopback, and what the tests of this folder have in common."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from connectors.entra.sandbox import EntraSandbox
from connectors.ports import OutgoingRequest, RequestOutcome
from connectors.sandbox.authority import SandboxAuthority

TENANT = "11111111-0000-4000-8000-000000000001"
CLIENT = "22222222-0000-4000-8000-000000000002"
SECRET = "made-up~secret"


@dataclass
class RequestLogbook:
    """A request log that keeps what it is told, in order."""

    opened: list[OutgoingRequest] = field(default_factory=list)
    outcomes: list[RequestOutcome] = field(default_factory=list)

    async def opening(self, request: OutgoingRequest) -> None:
        self.opened.append(request)

    def closed(self, outcome: RequestOutcome) -> None:
        self.outcomes.append(outcome)


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> SandboxAuthority:
    return SandboxAuthority(Path(tmp_path_factory.mktemp("ca")))


@pytest.fixture
async def entra(authority: SandboxAuthority) -> AsyncIterator[EntraSandbox]:
    async with EntraSandbox(authority) as sandbox:
        sandbox.add_client(TENANT, CLIENT, SECRET)
        yield sandbox


@pytest.fixture
def log() -> RequestLogbook:
    return RequestLogbook()
