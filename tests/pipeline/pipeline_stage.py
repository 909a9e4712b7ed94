"""A bridge without its HTTP server, for the tests of the pipeline: the real ledger and runtime on the sandboxes."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bridge.actions.documents import ReviewActions
from bridge.actions.resources import Resources
from bridge.config.load import load_config
from bridge.config.loaded import LoadedConfig
from bridge.delivery.model import Delivery, DeliveryFilter, State
from bridge.hooks import Hooks
from bridge.ledger.open import temporary_ledger
from bridge.ledger.protocol import Ledger
from bridge.pipeline.poller import PollReport
from bridge.runtime import BlockEvent, Observers, Runtime
from bridge.sandbox import SandboxWorld
from bridge.service import Service
from bridge.serving import running
from connectors.numora.sandbox import SandboxDocument
from connectors.numora.sandbox.samples import sample_documents, sample_invoices

PATIENCE = 20.0


@dataclass
class Stage:
    """The parts that a test looks at."""

    world: SandboxWorld
    folder: Path
    config: LoadedConfig
    ledger: Ledger
    runtime: Runtime
    service: Service
    actions: ReviewActions
    resources: Resources
    hooks: Hooks
    blocks: list[BlockEvent] = field(default_factory=list)
    moved: asyncio.Event = field(default_factory=asyncio.Event)

    def invoice(self, *, seed: int = 1, lines: int = 2, tenant: str = "acme") -> SandboxDocument:
        """Put a reviewed invoice into the outbox."""
        [document] = sample_invoices(1, seed=seed, lines=lines)
        return self.world.workspace(tenant).add(document)

    def documents(self, count: int, tenant: str = "acme", seed: int = 1) -> list[SandboxDocument]:
        """Put documents of all schemas into the outbox."""
        workspace = self.world.workspace(tenant)
        return [workspace.add(document) for document in sample_documents(count, seed=seed)]

    async def poll(self, tenant: str = "acme") -> PollReport:
        """Poll now."""
        return await self.service.poll(tenant)

    async def deliveries(self, document: SandboxDocument | None = None, tenant: str = "acme") -> tuple[Delivery, ...]:
        """Return deliveries, newest first."""
        wanted = DeliveryFilter(tenant, document_id=document.id if document else None)
        return (await self.ledger.deliveries(wanted, limit=500)).deliveries

    async def until(self, condition: Callable[[tuple[Delivery, ...]], bool], tenant: str = "acme") -> None:
        """Wait until the tenant's deliveries are as wanted."""
        async with asyncio.timeout(PATIENCE):
            while not condition(await self.deliveries(tenant=tenant)):
                self.moved.clear()
                try:
                    async with asyncio.timeout(0.1):
                        await self.moved.wait()
                except TimeoutError:
                    continue

    async def at_rest(self, tenant: str = "acme") -> None:
        """Wait until nothing is under way."""
        await self.until(lambda deliveries: bool(deliveries) and all(d.at_rest for d in deliveries), tenant)

    async def delivered(self, document: SandboxDocument, tenant: str = "acme") -> Delivery:
        """Poll, wait until nothing is under way, and return the document's newest delivery."""
        await self.poll(tenant)
        await self.at_rest(tenant)
        return (await self.deliveries(document, tenant))[0]

    def rows(self, table: str = "numora_invoice") -> list[dict[str, Any]]:
        """Return the rows that stand in a table."""
        return self.world.dataverse.rows(table)

    def rewrite_mapping(self, schema: str, text: str) -> None:
        """Put an own mapping file into the configuration folder."""
        (self.folder / "mappings" / f"{schema}.dataverse.yaml").write_text(text)

    async def reload(self) -> None:
        """Take the files as they are now."""
        await self.runtime.reconfigure(load_config(self.folder, {}), ())


def managed(every: str = "20ms", deadline: str = "1h", more: str = "") -> Callable[[Path], None]:
    """Return an edit that has Numora deliver every tenant's documents by its own means."""

    def edit(folder: Path) -> None:
        for file in (folder / "tenants").glob("*.yaml"):
            text = file.read_text()
            before, _, rest = text.partition("delivery: ")
            keys = next(line for line in rest.splitlines() if line.startswith("api_keys:"))
            delivery = f"delivery: {{mode: managed, watch: {{every: {every}, deadline: {deadline}}}}}\n"
            file.write_text(f"{before}{more}{delivery}{keys}\n")

    return edit


def source_keys(*lines: str) -> Callable[[Path], None]:
    """Return an edit that adds keys to every tenant's source."""

    def edit(folder: Path) -> None:
        for file in (folder / "tenants").glob("*.yaml"):
            text = file.read_text()
            added = "".join(f"  {line}\n" for line in lines)
            file.write_text(text.replace("  kind: numora\n", f"  kind: numora\n{added}"))

    return edit


def states(deliveries: tuple[Delivery, ...]) -> list[State]:
    """Return the states, newest first."""
    return [delivery.state for delivery in deliveries]


@asynccontextmanager
async def staged(
    world: SandboxWorld, folder: Path, *tenants: str, edit: Callable[[Path], None] | None = None, **config: Any
) -> AsyncIterator[Stage]:
    """Run a bridge whose tenants are polled on request only. ``edit`` may change the files before they are loaded."""
    options = {"poll_every": "90d", "schedule": ("0s", "50ms", "50ms", "50ms", "50ms"), "probe": "100ms", **config}
    world.write_config(folder, tenants or ("acme",), **options)
    if edit is not None:
        edit(folder)
    loaded = load_config(folder, {})
    blocks: list[BlockEvent] = []
    moved = asyncio.Event()
    observers = Observers(lambda _: moved.set(), blocks.append)
    async with temporary_ledger() as ledger, running(loaded, ledger, observers, lambda *_: None) as runtime:
        use_cases = Service(runtime, ledger), ReviewActions(runtime, ledger), Resources(runtime, ledger)
        stage = Stage(world, folder, loaded, ledger, runtime, *use_cases, Hooks(runtime, ledger), blocks, moved)
        await runtime.start()
        for tenant, line in runtime.lines.items():
            if line.tenant.config.source.is_polled:
                await stage.poll(tenant)  # the poll of the start, so that none comes between a test's own
        try:
            yield stage
        finally:
            checks = [line.verification for line in runtime.lines.values() if line.verification is not None]
            if checks:
                await asyncio.wait(checks, timeout=1.0)  # so that no connection is just being made when it stops
            await runtime.stop(1.0)
