"""A whole bridge for the tests of its API: a real ledger and runtime on the sandboxes, and a caller over loopback."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
import msgspec
from yarl import URL

from bridge.config.load import load_config
from bridge.config.loaded import LoadedConfig
from bridge.http.keys import keys_of
from bridge.http.server import HttpServer
from bridge.http.use_cases import use_cases
from bridge.ledger.open import temporary_ledger
from bridge.ledger.protocol import Ledger
from bridge.metrics import Metrics
from bridge.runtime import Observers, Runtime
from bridge.sandbox import OPERATOR_KEY, SandboxWorld
from bridge.service import Service
from bridge.serving import running
from connectors.numora.sandbox.calls_out import ExecutorTarget, WebhookTarget
from connectors.numora.sandbox.documents import SandboxDocument
from connectors.numora.sandbox.samples import sample_documents

OPERATOR = {"Authorization": f"Bearer {OPERATOR_KEY}"}
ACME = {"X-API-Key": "sandbox-key-of-acme"}
WEBHOOK_SECRET = "a-secret-of-numoras-webhooks"
NOTIFY_SECRET = "a-secret-of-numoras-executor"
GLOBEX = {"X-API-Key": "sandbox-key-of-globex"}


@dataclass(frozen=True)
class Answer:
    status: int
    headers: Any
    body: bytes

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    @property
    def code(self) -> str:
        """The code of a problem, once its whole shape has been held against the contract."""
        assert self.headers["Content-Type"] == "application/problem+json"
        problem = self.json
        assert problem.keys() >= {"type", "title", "status", "detail", "code", "request_id"}
        assert problem["status"] == self.status
        assert problem["request_id"] == self.headers["X-Request-Id"]
        return str(problem["code"])


class Caller:
    """Sends requests as they are written: paths are not encoded anew, redirects not followed."""

    def __init__(self, session: aiohttp.ClientSession, root: str) -> None:
        self._session = session
        self.root = root

    async def __call__(
        self, method: str, path: str, headers: dict[str, str] | None = None, json: Any = None, data: Any = None
    ) -> Answer:
        url = URL(self.root + path, encoded=True)
        sent = {"json": json} if json is not None else {"data": data}
        async with self._session.request(method, url, headers=headers, allow_redirects=False, **sent) as response:
            return Answer(response.status, response.headers, await response.read())


@dataclass
class Bridge:
    """The parts of a running bridge that a test may want to reach."""

    world: SandboxWorld
    ledger: Ledger
    runtime: Runtime
    service: Service
    server: HttpServer
    call: Caller
    documents: list[SandboxDocument] = field(default_factory=list)

    def add(self, count: int = 1, tenant: str = "acme", seed: int = 0) -> list[SandboxDocument]:
        """Put invoices, receipts and contracts in turn into a tenant's outbox."""
        documents = sample_documents(count, seed=seed)
        self.world.numora.add(*documents, key=self.world.tenant(tenant).numora_key)
        self.documents += documents
        return documents

    async def deliver(self, document_id: str, tenant: str = "acme", **body: Any) -> Answer:
        """Deliver a document through the API, as its own tenant, and wait for the end."""
        path = f"/v1/tenants/{tenant}/documents/{document_id}/deliver"
        return await self.call("POST", path, OPERATOR, {"wait": 30, **body})


def write_config(
    world: SandboxWorld,
    folder: Path,
    tenants: Sequence[str] = ("acme", "globex"),
    *,
    allow_hosts: Sequence[str] = (),
    **config: Any,
) -> LoadedConfig:
    """Write a configuration whose tenants poll on request only, and load it. ``acme`` takes Numora's calls."""
    world.write_config(folder, tenants, poll_every="90d", **config)
    file = folder / "tenants" / "acme.yaml"
    calls = (
        f"  kind: numora\n  webhook_secret: {WEBHOOK_SECRET}\n"
        "  notify:\n    event_id: attempt_id\n"
        f'    auth: {{kind: header, header: X-Numora-Secret, secret: "{NOTIFY_SECRET}"}}\n'
    )
    file.write_text(file.read_text().replace("  kind: numora\n", calls))
    if allow_hosts:
        settings = folder / "bridge.yaml"
        settings.write_text(f"{settings.read_text()}allow_hosts: [{', '.join(allow_hosts)}]\n")
    for name in tenants:
        workspace = world.workspace(name)
        workspace.webhooks = WebhookTarget([WEBHOOK_SECRET])
        workspace.executor = ExecutorTarget(NOTIFY_SECRET)
    return load_config(folder, {})


@asynccontextmanager
async def running_bridge(world: SandboxWorld, folder: Path, **config: Any) -> AsyncIterator[Bridge]:
    """Run a bridge with two tenants, unless told otherwise, that poll on request only."""
    loaded = write_config(world, folder, **config)
    metrics = Metrics()
    server = HttpServer("127.0.0.1", 0, metrics)
    await server.start()
    try:
        async with (
            temporary_ledger() as ledger,
            running(
                loaded, ledger, Observers(metrics.delivery_moved_on, metrics.blocked), metrics.observe_request
            ) as runtime,
        ):
            await runtime.start()
            try:
                cases = use_cases(runtime, ledger)
                server.attach(cases, keys_of(loaded))
                service = cases.service
                for tenant in service.tenants:
                    await service.poll(tenant)  # the poll at the start, so that none comes between a test's own calls
                async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
                    yield Bridge(world, ledger, runtime, service, server, Caller(session, server.url))
                server.detach()
            finally:
                await runtime.stop(5.0)
    finally:
        await server.stop()
