"""A bridge and its world under one hand: processes that come and go, clocks that jump, sides that fail."""

import asyncio
from collections.abc import Coroutine, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from dataclasses import replace
from itertools import count
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import Any, TypeVar

import pytest

from bridge.config.load import load_config
from bridge.config.models import DEFAULT_SCHEDULE
from bridge.delivery.model import DeliveryFilter, Millis
from bridge.delivery.retry import RetrySchedule
from bridge.ids import new_delivery_id
from bridge.ledger.open import open_sqlite
from bridge.ledger.protocol import Ledger
from bridge.pipeline.gates import Gates
from bridge.pipeline.lane import Lane
from bridge.pipeline.policy import RunnerPolicy
from bridge.pipeline.poller import Poller, PollRunningError
from bridge.pipeline.runner import DeliveryRunner
from bridge.pipeline.worker import LaneWorker
from bridge.sandbox import ENTRA_TENANT, SHIPPED_MAPPINGS, SandboxWorld
from bridge.serving import connections
from bridge.wiring import build_destination, build_source
from connectors.building import Surroundings
from connectors.numora.sandbox import OutboxRules
from connectors.numora.sandbox.documents import Workspace
from connectors.outcome import OutcomeError
from connectors.pacing import Pace, Paces
from connectors.ports import Listing
from connectors.sandbox import throttling
from mappings.compiled import CompiledMapping
from tests.reliability.dying import Life, lay_down, make_mortal
from tests.reliability.exploring import quiet
from tests.reliability.stage import keep_tls_context

TENANT = "acme"

T = TypeVar("T")

_LIBRARY = Path(__file__).parents[2] / "mappings" / "library"


class Clocks:
    """The wall clock, which may jump, and the monotonic one, which never does. Both stand still but for ``pass_``."""

    def __init__(self) -> None:
        self.wall: Millis = 1_800_000_000_000
        self.monotonic = 1000.0

    def pass_(self, seconds: float) -> None:
        self.wall += round(seconds * 1000)
        self.monotonic += seconds


class _VirtualPaces(Paces):
    """Limits that go by the virtual clock, and never wait in place for it."""

    def __init__(self, clocks: Clocks) -> None:
        self._clocks = clocks
        self._made: dict[str, Pace] = {}

    def of(self, identity: str, *, ceiling: int | None = None) -> Pace:
        made = self._made.get(identity)
        if made is None:
            made = Pace(ceiling=ceiling, patience=0.0, monotonic=lambda: self._clocks.monotonic)
            self._made[identity] = made
        return made


class _IssuedTokens:
    """Tokens straight from the sandbox of Entra: logging in is tested elsewhere."""

    def __init__(self, world: SandboxWorld) -> None:
        self._world = world
        self._token: str | None = None

    async def token(self) -> str:
        if self._token is None:
            self._token = self._world.entra.issue(
                ENTRA_TENANT, self._world.tenant(TENANT).client_id, self._world.dataverse.url
            )
        return self._token

    def invalidate(self, token: str) -> None:
        if token == self._token:
            self._token = None

    async def close(self) -> None:
        pass


class Machine:
    """Everything, on a loop of its own, so that it can be driven step by step from outside.

    Between two steps nothing runs. What the bridge does it does in a ``Life``, which may end at any suspension.
    """

    def __init__(self, folder: Path) -> None:
        self.clocks = Clocks()
        self.tolerant = False
        self._folder = folder
        self._random = Random(0)
        self._loop = asyncio.new_event_loop()
        self._patch = pytest.MonkeyPatch()
        self._stack = AsyncExitStack()
        self._folders = count()
        self.problem: Exception | None = None
        """Why the last poll did not go well."""
        self._known: tuple[dict[Any, Any], dict[Any, Any]] | None = None
        self.world: SandboxWorld
        self.ledger: Ledger
        self._life: Life
        self._lane: Lane
        self._worker: LaneWorker
        self._poller: Poller
        self._connections: AbstractAsyncContextManager[Surroundings]
        self.do(self._begin())

    def do(self, what: Coroutine[Any, Any, T]) -> T:
        """Run something on the loop to its end, outside of any process."""
        return self._loop.run_until_complete(what)

    def now(self) -> Millis:
        """Tell the time by the wall clock."""
        return self.clocks.wall

    @property
    def workspace(self) -> Workspace:
        """The tenant's workspace at Numora."""
        return self.world.workspace(TENANT)

    @property
    def ledger_file(self) -> Path:
        """Where the ledger is now."""
        return self._life.folder / "bridge.db"

    async def _begin(self) -> None:
        keep_tls_context(self._patch)
        make_mortal(self._patch)
        virtual = SimpleNamespace(monotonic=lambda: self.clocks.monotonic, time=lambda: self.clocks.wall / 1000)
        self._patch.setattr(throttling, "time", virtual)
        self.world = await self._stack.enter_async_context(
            SandboxWorld(self._folder / "authority", outbox=OutboxRules(stale_polls=1))
        )
        folder = self.world.write_config(self._folder / "config", [TENANT], poll_limit=3)
        self._config = load_config(folder, {})
        text = (_LIBRARY / "invoice_v2.dataverse.yaml").read_text().partition("\ntests:\n")[0] + "\n"
        (folder / "mappings" / "tolerant.yaml").write_text(text.replace('"%d.%m.%Y"', '"%d.%m.%Y", "%d/%m/%Y"'))
        self.world.write_config(folder, [TENANT], mappings={**SHIPPED_MAPPINGS, "invoice_v2": "tolerant.yaml"})
        self._tolerant = load_config(folder, {}).tenants[TENANT].mappings
        await self._open(self._folder / "ledger")

    async def _open(self, folder: Path) -> None:
        self._life = Life(folder)
        assert await self._life.run(self._start())

    async def _start(self) -> None:
        """Be a new process."""
        self._connections = connections(self._config, _unobserved)
        shared = await self._connections.__aenter__()
        self._life.sessions.append(shared.session)
        surroundings = replace(shared, paces=_VirtualPaces(self.clocks))
        self.ledger = await open_sqlite(self.ledger_file, durable=False)
        await self.ledger.take_back(self.now())
        tenant = self._config.tenants[TENANT]
        destination: Any = build_destination(tenant, surroundings)
        destination._client._tokens = _IssuedTokens(self.world)
        gates = Gates(self.now, 30_000, lambda *_: None)
        self._lane = Lane(TENANT, build_source(tenant, surroundings), destination, self._mappings, gates)
        if self._known is None:
            for mapping in self._lane.mappings.values():
                await self._lane.verify(mapping)
            self._known = (dict(destination._catalog._entries), dict(destination._catalog._settled))
        destination._catalog._entries, destination._catalog._settled = map(dict, self._known)
        policy = RunnerPolicy(self.now, new_delivery_id, self._random, RetrySchedule.of(DEFAULT_SCHEDULE))
        runner = DeliveryRunner(self.ledger, policy)
        self._worker = LaneWorker(self._lane, self.ledger, runner, self.now, capacity=8, listener=_unobserved)
        self._poller = Poller(self.ledger, self.now, new_delivery_id)
        await self._keep_mappings()

    @property
    def _mappings(self) -> Mapping[str, CompiledMapping]:
        return self._tolerant if self.tolerant else self._config.tenants[TENANT].mappings

    async def _keep_mappings(self) -> None:
        """Do what the runtime does with mappings that come into force."""
        for schema, mapping in self._mappings.items():
            await self.ledger.store_mapping(mapping.digest, mapping.name, mapping.text, self.now())
            await self.ledger.recheck(TENANT, self.now(), schema=schema, mapping_digest=mapping.digest)

    # What happens

    async def poll(self) -> None:
        """Poll once, and do everything that can be done at this moment."""
        assert await self._life.run(self._poll_and_work())

    async def work(self) -> None:
        """Do everything that can be done at this moment, probes of what is blocked included."""
        assert await self._life.run(self._work())

    async def crash(self, suspensions: int) -> None:
        """Poll and work until so many suspensions have passed, or all is done, and die; another process starts."""
        life = self._life
        life.die_at = life.suspensions + suspensions
        if await life.run(self._poll_and_work()):
            life.kill()
        await quiet(self.world)
        files = life.files
        await life.bury()
        await self._open(lay_down(files, self._folder / f"ledger-{next(self._folders)}"))

    async def restart(self) -> None:
        """Stop in an orderly way; another process starts."""
        assert await self._life.run(self._stop())
        await self._life.bury()
        await self._open(self._life.folder)

    async def remap(self) -> None:
        """Put the other mapping of invoices in force."""
        self.tolerant = not self.tolerant
        self._lane.remap(self._mappings)
        assert await self._life.run(self._keep_mappings())

    async def retry(self, document_id: str) -> None:
        """A person asks for another try of a document's newest delivery."""
        page = await self._told(self.ledger.deliveries(DeliveryFilter(TENANT, document_id=document_id), limit=1))
        for delivery in page.deliveries:
            await self._told(self.ledger.retry(delivery.id, self.now(), pinned=False))

    async def deliver(self, document_id: str, *, force: bool) -> None:
        """A person asks for a document."""
        wanted = Listing(document_id)
        await self._told(self.ledger.deliver_now(TENANT, wanted, self.now(), new_id=new_delivery_id, force=force))

    async def pass_to_next(self) -> bool:
        """Let time pass until something is due or a blocked side is probed; tell whether there was something."""
        due = await self._told(self.ledger.next_due(TENANT, self.now()))
        moments = [moment for moment in (due, self._lane.gates.next_probe()) if moment is not None]
        if not moments:
            return False
        self.clocks.pass_(max(0.001, (min(moments) - self.now()) / 1000))
        return True

    def close(self) -> None:
        """Let go of everything."""
        try:
            self.do(self._close())
        finally:
            self._patch.undo()
            self._loop.run_until_complete(self._loop.shutdown_default_executor())
            self._loop.close()

    async def _close(self) -> None:
        await self._life.run(self._stop())
        await self._life.bury()
        await self._stack.aclose()

    async def _told(self, asked: Coroutine[Any, Any, T]) -> T:
        """Return what the process says to something that it is asked."""
        answers: list[T] = []

        async def answer() -> None:
            answers.append(await asked)

        assert await self._life.run(answer())
        return answers[0]

    async def _poll_and_work(self) -> None:
        self.problem = None
        try:
            await self._poller.poll(self._lane, self._worker.wake)
        except (OutcomeError, PollRunningError) as error:
            self.problem = error
        await self._work()

    async def _work(self) -> None:
        self._worker._probe_if_due()
        if self._worker._probing is not None:
            await self._worker._probing
        await self._worker.run_until_idle()

    async def _stop(self) -> None:
        await self._worker.stop(0)
        await self._lane.source.close()
        await self._lane.destination.close()
        await self.ledger.close()
        await self._connections.__aexit__(None, None, None)


def _unobserved(*_: object) -> None:
    """Nobody watches."""
