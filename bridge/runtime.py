"""The running bridge: a line of work for each tenant, made from the configuration and kept in step with it."""

import asyncio
import logging
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from bridge.config.loaded import LoadedConfig, Tenant
from bridge.delivery.model import Delivery, Millis
from bridge.delivery.retry import RetrySchedule
from bridge.events.outbound import Outbound
from bridge.events.sender import SendObserver
from bridge.ledger.inbox import Withdrawal
from bridge.ledger.protocol import Ledger, LedgerError
from bridge.pipeline.gates import FIRST_PROBE, Block, Gates, Side
from bridge.pipeline.lane import Lane
from bridge.pipeline.policy import RunnerPolicy
from bridge.pipeline.poller import Poller
from bridge.pipeline.runner import DeliveryRunner
from bridge.pipeline.worker import LaneWorker
from bridge.schedule.polls import PollSchedule
from bridge.schedule.sweeps import SweepSchedule
from bridge.schedule.ticker import Ticker
from bridge.waiting import Waiters
from bridge.wiring import build_destination, build_source, millis, watch_rules
from connectors.building import Surroundings
from connectors.outcome import OutcomeError
from mappings.findings import Finding

log = logging.getLogger(__name__)

SPARE_DELIVERIES = 8
"""For each request that a tenant may have in flight at a side, so many deliveries are on their way.

While some of them wait for the ledger or for the other side, the others keep the requests going. And the more of them
there are, the more share a commit, of which each has the process sleep and wake up again.
"""

LOOK_PATIENCE = 2.0
"""Seconds that a change of configuration waits for the targets to be asked; who takes longer holds nobody up."""

LEAVING_GRACE = 180.0
"""Seconds that a replaced line has to end what is on its way; a write may take that long."""


@dataclass(frozen=True, slots=True)
class BlockEvent:
    """A side of a tenant was blocked, or is open again."""

    tenant: str
    block: Block
    begins: bool


class NotFoundError(Exception):
    """There is no such thing, or not for this caller."""


@dataclass(slots=True)
class TenantLine:
    """One tenant at work: its configuration, its lane and the worker that serves it."""

    tenant: Tenant
    lane: Lane
    worker: LaneWorker
    schedule: PollSchedule
    sweeps: SweepSchedule | None = None
    verification: asyncio.Task[None] | None = field(default=None)

    async def end_verification(self) -> None:
        """Let go of the look at the mappings that is under way, if there is one."""
        task, self.verification = self.verification, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def _unobserved(*_: str) -> None:
    """Count nothing."""


@dataclass(frozen=True, slots=True)
class Observers:
    """Who is told what happens. Called on the loop; must not block."""

    delivery: Callable[[Delivery], None]
    block: Callable[[BlockEvent], None]
    message: SendObserver = _unobserved
    hook: Callable[[str, str, str], None] = _unobserved


class Runtime:
    """Holds the tenants' lines. ``start`` begins the work, ``stop`` ends it, ``reconfigure`` follows the files."""

    def __init__(
        self,
        config: LoadedConfig,
        ledger: Ledger,
        surroundings: Surroundings,
        policy: RunnerPolicy,
        observers: Observers,
        outbound: Outbound,
    ) -> None:
        self.config = config
        self.ledger = ledger
        self.outbound = outbound
        self.waiters = Waiters()
        self.reload_findings: tuple[Finding, ...] = ()
        self._surroundings = surroundings
        self._policy = policy
        self.observers = observers
        self._lines: dict[str, TenantLine] = {}
        self._leaving: set[asyncio.Task[None]] = set()
        self._poller = Poller(ledger, policy.clock, policy.new_id)
        self._ticker = Ticker()

    @property
    def clock(self) -> Callable[[], Millis]:
        """The clock that everything goes by."""
        return self._policy.clock

    @property
    def new_id(self) -> Callable[[], str]:
        """Where delivery ids come from."""
        return self._policy.new_id

    @property
    def lines(self) -> Mapping[str, TenantLine]:
        """The tenants at work, by id."""
        return self._lines

    def line(self, tenant: str) -> TenantLine:
        """Return a tenant at work. Raises ``NotFoundError``."""
        line = self._lines.get(tenant)
        if line is None:
            raise NotFoundError(tenant)
        return line

    def build(self) -> None:
        """Put every tenant's line together, without starting any."""
        for tenant in self.config.tenants.values():
            self._lines[tenant.id] = self._build(tenant)

    async def take_up(self) -> None:
        """Take back what a previous process left, and put the lines together without starting any: for one-off runs."""
        taken_back = await self.ledger.take_back(self.clock())
        if taken_back:
            log.info("%d deliveries go on from where the previous process left them", taken_back)
        self.build()
        await self.outbound.take_up()
        for line in self._lines.values():
            await self._keep_mappings(line)

    async def start(self) -> None:
        """Take up what there is, and let every line begin."""
        await self.take_up()
        self._ticker.start()
        self.outbound.start()
        for line in self._lines.values():
            await self._start(line)
            self._look_over(line)

    async def stop(self, grace: float) -> None:
        """End every line within ``grace`` seconds; what has not ended by then is handed back to the ledger."""
        await asyncio.gather(
            *(self._stop(line, grace) for line in self._lines.values()),
            self._end_leaving(grace),
            self.outbound.stop(grace),
        )
        self._ticker.stop()
        self._lines.clear()

    async def reconfigure(self, config: LoadedConfig, findings: tuple[Finding, ...]) -> None:
        """Bring the lines in step with a newer configuration; what did not change goes on undisturbed."""
        self.reload_findings = findings
        for finding in findings:
            log.warning("configuration: %s", finding)
        previous, self.config = self.config, config
        await self.outbound.reconfigure(config)
        same_rules = (previous.bridge.retry, previous.bridge.blocked) == (config.bridge.retry, config.bridge.blocked)
        for tenant_id in previous.tenants.keys() - config.tenants.keys():
            self._leave(self._lines.pop(tenant_id))
        looks: list[asyncio.Event] = []
        for tenant_id, tenant in config.tenants.items():
            line = self._lines.get(tenant_id)
            if line is not None and same_rules and line.tenant.config == tenant.config:
                if line.tenant.digest == tenant.digest:
                    continue
                line.tenant = tenant
                await line.end_verification()
            else:
                line = self._replace(line, tenant)
                await self._start(line)
            looks.append(self._look_over(line, keep=True))
        await _all_set(looks, LOOK_PATIENCE)
        log.info("configuration %s is in force", config.digest[:12])

    async def withdraw(self, tenant: str, document_id: str, code: str, message: str) -> Withdrawal:
        """Keep a document's delivery from being written, if there is still time, and tell who waits for it."""
        withdrawal = await self.ledger.withdraw(
            tenant, document_id, self.clock(), code=code, message=message, event=self.outbound.announcer.ended
        )
        if withdrawal.effect == "superseded" and withdrawal.delivery is not None:
            self.withdrawn(withdrawal.delivery)
        return withdrawal

    def withdrawn(self, delivery: Delivery) -> None:
        """Tell who waits for it that a delivery was ended by others than its worker."""
        self.outbound.announcer.told()
        self._moved_on(delivery)
        line = self._lines.get(delivery.tenant)
        if line is not None:
            line.worker.wake()

    async def _end_leaving(self, grace: float) -> None:
        """Do not wait longer for replaced lines than for those in force."""
        if self._leaving:
            _, late = await asyncio.wait(self._leaving, timeout=grace)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _leave(self, line: TenantLine) -> None:
        """Let a line end in its own time; its deliveries keep their leases until then."""
        task = asyncio.create_task(self._stop(line, grace=LEAVING_GRACE))
        self._leaving.add(task)
        task.add_done_callback(self._leaving.discard)

    def _build(self, tenant: Tenant) -> TenantLine:
        concurrency = tenant.config.delivery.concurrency
        source = build_source(tenant, self._surroundings)
        destination = build_destination(tenant, self._surroundings)
        watch = watch_rules(tenant)
        probe_every = millis(self.config.bridge.blocked.probe)
        gates = Gates(
            self.clock, probe_every, lambda block, begins: self._blocked(BlockEvent(tenant.id, block, begins))
        )
        lane = Lane(tenant.id, source, destination, {} if watch else tenant.mappings, gates, watch=watch)
        policy = RunnerPolicy(
            self._policy.clock,
            self._policy.new_id,
            self._policy.rng,
            RetrySchedule.of(self.config.bridge.retry.schedule),
        )
        worker = LaneWorker(
            lane,
            self.ledger,
            DeliveryRunner(self.ledger, policy, self.outbound.announcer),
            self.clock,
            capacity=concurrency * SPARE_DELIVERIES,
            listener=self._moved_on,
        )
        schedule = PollSchedule(
            lane,
            self._poller,
            self.ledger,
            policy,
            self._ticker,
            worker.wake,
            every=millis(tenant.config.source.poll_every) if tenant.config.source.is_polled else None,
        )
        return TenantLine(tenant, lane, worker, schedule, self._sweeps(tenant, worker))

    def _sweeps(self, tenant: Tenant, worker: LaneWorker) -> SweepSchedule | None:
        sweeping = tenant.config.source.sweeping
        if sweeping is None:
            return None
        every, lookback = map(millis, sweeping)
        return SweepSchedule(
            tenant.id, self.ledger, self.clock, self._ticker, worker.wake, every=every, lookback=lookback
        )

    async def _start(self, line: TenantLine) -> None:
        line.worker.start()
        await line.schedule.start()
        if line.sweeps is not None:
            line.sweeps.start()

    async def _stop(self, line: TenantLine, grace: float) -> None:
        await line.schedule.stop()
        if line.sweeps is not None:
            await line.sweeps.stop()
        await line.end_verification()
        await line.worker.stop(grace)
        await line.lane.close()

    def _replace(self, line: TenantLine | None, tenant: Tenant) -> TenantLine:
        """Put a line in the place of another, with what is known of the mappings where the target is the same."""
        newer = self._build(tenant)
        if line is not None:
            if line.tenant.config.destination == tenant.config.destination:
                newer.lane.take_over(line.lane)
            self._leave(line)
        self._lines[tenant.id] = newer
        return newer

    def _look_over(self, line: TenantLine, *, keep: bool = False) -> asyncio.Event:
        """Bring the tenant's mappings into force, in a task of its own; the event tells that the first look is over.

        With ``keep`` the ledger has not been told of the line's mappings yet.
        """
        looked = asyncio.Event()
        line.verification = asyncio.create_task(
            self._bring_in(line, looked, keep=keep), name=f"verify {line.tenant.id}"
        )
        return looked

    async def _bring_in(self, line: TenantLine, looked: asyncio.Event, *, keep: bool) -> None:
        """Check newer mappings, put in force what fits, and look again at the others until they do.

        A target that lacks a column today may have it tomorrow, and one that does not answer may do so in a moment.
        """
        lane = line.lane
        wanted = {} if lane.managed else line.tenant.mappings
        probe_every = millis(self.config.bridge.blocked.probe) / 1000
        pause = min(FIRST_PROBE / 1000, probe_every)
        told: tuple[Finding, ...] = ()
        try:
            while True:
                chosen, waiting = await lane.choose(wanted)
                changed = lane.remap(chosen)
                if changed or keep:
                    keep = not await self._kept(line)
                    line.worker.wake()
                if changed or not looked.is_set():
                    await self._verify(line)
                if lane.refused != told:
                    told = lane.refused
                    for finding in told:
                        log.warning("tenant %s: the version before stays in force: %s", line.tenant.id, finding)
                looked.set()
                if not waiting and not keep:
                    return
                await asyncio.sleep(pause)
                pause = min(pause * 2, probe_every)
        finally:
            looked.set()

    async def _kept(self, line: TenantLine) -> bool:
        try:
            await self._keep_mappings(line)
        except LedgerError as error:
            log.warning("tenant %s: its mappings could not be stored: %s [%s]", line.tenant.id, error, error.code)
            return False
        return True

    async def _keep_mappings(self, line: TenantLine) -> None:
        """Store the mappings' texts, and look again at what an older version of them refused."""
        now = self.clock()
        tenant = line.tenant.id
        for schema, mapping in line.lane.mappings.items():
            await self.ledger.store_mapping(mapping.digest, mapping.name, mapping.text, now)
            again = await self.ledger.recheck(tenant, now, schema=schema, mapping_digest=mapping.digest)
            if again:
                log.info("tenant %s: %d refused %s documents are looked at again", tenant, again, schema)

    async def _verify(self, line: TenantLine) -> None:
        """Hold the mappings against the live target before the first document asks for it."""
        for mapping in line.lane.mappings.values():
            try:
                await line.lane.verify(mapping)
            except OutcomeError as error:
                log.warning("tenant %s: %s could not be checked: %s", line.tenant.id, mapping.name, error)

    def _moved_on(self, delivery: Delivery) -> None:
        self.waiters.moved_on(delivery)
        self.observers.delivery(delivery)

    def _blocked(self, event: BlockEvent) -> None:
        """Tell of a block that begins or ends, once each."""
        block = event.block
        what = f"{block.side} of {block.schema}" if block.schema else str(block.side)
        if event.begins:
            log.warning("tenant %s: its %s is blocked: %s [%s]", event.tenant, what, block.message, block.code)
        else:
            log.info("tenant %s: its %s is open again", event.tenant, what)
        self.observers.block(event)
        self.outbound.blocked(event.tenant, block, begins=event.begins)
        line = self._lines.get(event.tenant)
        if line is not None:
            line.worker.wake()
            if block.side is Side.SOURCE and not event.begins:
                line.schedule.opened()


async def _all_set(events: Iterable[asyncio.Event], patience: float) -> None:
    """Wait until all events are set, for ``patience`` seconds at most."""
    with suppress(TimeoutError):
        async with asyncio.timeout(patience):
            for event in events:
                await event.wait()
