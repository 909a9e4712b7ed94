"""What can be asked of a running bridge: by its HTTP API, by its commands, by tests."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from bridge.delivery.model import Attempt, Delivery, DeliveryFilter, DeliveryPage, Millis, RequestRecord, State
from bridge.events.model import Endpoint
from bridge.ledger.newest import newest_delivery
from bridge.ledger.protocol import Ledger, PollState
from bridge.pipeline.gates import Block
from bridge.pipeline.poller import PollReport
from bridge.preview import Preview, preview
from bridge.runtime import NotFoundError, Runtime
from connectors.outcome import OutcomeError
from connectors.ports import KnownRow, Listing
from mappings.findings import Finding

LONGEST_WAIT = 60.0
"""Seconds that a caller may wait for a delivery to end."""

BULK_PAGE = 200

DOCUMENT_GONE = "document_gone"


class NotNewestError(Exception):
    """The document has a newer delivery, ``newest``: only that one may be worked on."""

    def __init__(self, newest: str) -> None:
        super().__init__(newest)
        self.newest = newest


@dataclass(frozen=True, slots=True)
class DeliveryDetail:
    """A delivery with everything that was done for it, oldest first."""

    delivery: Delivery
    attempts: Sequence[Attempt]
    requests: Sequence[RequestRecord]


@dataclass(frozen=True, slots=True)
class TenantHealth:
    """What keeps a tenant's documents from being delivered, as far as it is known without asking anyone."""

    blocks: Sequence[Block]
    poll_problem: OutcomeError | None
    mappings: Mapping[str, tuple[Finding, ...] | None]


@dataclass(frozen=True, slots=True)
class TenantStatus:
    """How a tenant is doing.

    ``mappings`` leads from schema to what the check against the live target found; None where it was not made yet.
    """

    tenant: str
    blocks: Sequence[Block]
    poll: PollState
    poll_problem: OutcomeError | None
    in_progress: int
    by_state: Mapping[State, int]
    oldest_queued_at: Millis | None
    mappings: Mapping[str, tuple[Finding, ...] | None]

    @property
    def healthy(self) -> bool:
        """Tell whether nothing keeps this tenant's documents from being delivered."""
        wrong = any(finding.severity == "error" for found in self.mappings.values() for finding in found or ())
        return not self.blocks and self.poll_problem is None and not wrong


@dataclass(frozen=True, slots=True)
class BulkRetry:
    """What a retry of many matched: how many, which (the first ones), and whether it was only a look."""

    matched: int
    deliveries: Sequence[str]
    dry_run: bool


class Service:
    """The bridge's use cases. Every method takes the tenant that the caller may act for."""

    def __init__(self, runtime: Runtime, ledger: Ledger) -> None:
        self._runtime = runtime
        self._ledger = ledger

    @property
    def tenants(self) -> tuple[str, ...]:
        """The tenants at work, by id."""
        return tuple(sorted(self._runtime.lines))

    @property
    def complete(self) -> bool:
        """Tell whether every configured tenant is at work; none is while the bridge starts."""
        return self._runtime.config.tenants.keys() <= self._runtime.lines.keys()

    @property
    def reload_findings(self) -> tuple[Finding, ...]:
        """What is wrong with files that were changed since, so that an older version of them is in force."""
        runtime = self._runtime
        refused = (finding for line in runtime.lines.values() for finding in line.lane.refused)
        return tuple(dict.fromkeys((*runtime.reload_findings, *refused)))

    async def ping(self) -> None:
        """Use the ledger once. Raises ``LedgerError``."""
        await self._ledger.ping()

    def health(self, tenant: str) -> TenantHealth:
        """Return what keeps a tenant from working; cheaper than ``status``."""
        line = self._runtime.line(tenant)
        mappings = {schema: line.lane.findings(schema) for schema in line.lane.mappings}
        return TenantHealth(line.lane.gates.blocks(), line.schedule.problem, mappings)

    def has_tenant(self, tenant: str) -> bool:
        """Tell whether this tenant is configured."""
        return tenant in self._runtime.lines

    async def status(self, tenant: str) -> TenantStatus:
        """Return how a tenant is doing."""
        line = self._runtime.line(tenant)
        poll, counts = await asyncio.gather(self._ledger.poll_state(tenant), self._ledger.counts(tenant))
        return TenantStatus(
            tenant,
            line.lane.gates.blocks(),
            poll,
            line.schedule.problem,
            line.worker.in_progress,
            counts.by_state,
            counts.oldest_queued_at,
            {schema: line.lane.findings(schema) for schema in line.lane.mappings},
        )

    async def poll(self, tenant: str) -> PollReport:
        """Read the tenant's outbox now, or join the poll under way.

        Raises ``PollRunningError`` when another process polls, ``OutboxAbsentError`` for a tenant whose documents come
        by calls, and what the source raises.
        """
        return await self._runtime.line(tenant).schedule.poll_now()

    async def deliver(
        self,
        tenant: str,
        document_id: str,
        *,
        wait: float = 0,
        force: bool = False,
        resume: Endpoint | None = None,
    ) -> Delivery:
        """Deliver one document because a person asked; return its newest delivery after at most ``wait`` seconds.

        ``resume`` is told once, when the document rests. Raises ``NotFoundError`` for a document of which the source
        said meanwhile that it has none such, and that was never delivered.
        """
        line = self._runtime.line(tenant)
        runtime = self._runtime
        delivery = await self._ledger.deliver_now(
            tenant, Listing(document_id), runtime.clock(), new_id=runtime.new_id, force=force, resume=resume
        )
        line.worker.wake()
        loop = asyncio.get_running_loop()
        until = loop.time() + min(wait, LONGEST_WAIT)
        while not delivery.at_rest and (left := until - loop.time()) > 0:
            # Looked at once a second as well, for the end may have come before the wait began, or in another process.
            await runtime.waiters.wait(delivery.id, min(left, 1.0))
            delivery = await newest_delivery(self._ledger, tenant, document_id) or delivery
        if delivery.at_rest and _never_was(delivery):
            raise NotFoundError(document_id)
        return delivery

    async def preview(self, tenant: str, document_id: str) -> Preview:
        """Tell what a delivery would do.

        Raises ``NotFoundError`` when the source has no such document, and ``UnsupportedError`` (``managed_mode``) when
        the source delivers by its own means.
        """
        line = self._runtime.line(tenant)
        newest = await newest_delivery(self._ledger, tenant, document_id)
        known = KnownRow()
        if newest is not None:
            known = KnownRow(newest.record_id, newest.line_ids, newest.may_exist)
        shown = await preview(line.lane, document_id, known)
        if shown is None:
            raise NotFoundError(document_id)
        return shown

    async def deliveries(self, wanted: DeliveryFilter, *, limit: int, cursor: str | None = None) -> DeliveryPage:
        """Return deliveries, newest first. Raises ``ValueError`` for a cursor that was never given out."""
        return await self._ledger.deliveries(wanted, limit=limit, cursor=cursor)

    async def detail(self, tenant: str, delivery_id: str) -> DeliveryDetail:
        """Return one delivery with its attempts and requests. Raises ``NotFoundError``."""
        delivery = await self._of_tenant(tenant, delivery_id)
        attempts, requests = await asyncio.gather(
            self._ledger.attempts(delivery_id), self._ledger.requests(delivery_id)
        )
        return DeliveryDetail(delivery, attempts, requests)

    async def retry(self, tenant: str, delivery_id: str, *, pinned: bool) -> Delivery:
        """Queue an ended delivery afresh, with the newest mapping or (``pinned``) the one that made it.

        Raises ``NotFoundError``, and ``NotNewestError`` when the document has a newer delivery.
        """
        wanted = await self._of_tenant(tenant, delivery_id)
        newest = await newest_delivery(self._ledger, tenant, wanted.document_id)
        if newest is not None and newest.id != delivery_id:
            raise NotNewestError(newest.id)
        delivery = await self._ledger.retry(delivery_id, self._runtime.clock(), pinned=pinned)
        if delivery is None:
            raise NotFoundError(delivery_id)
        self._runtime.line(tenant).worker.wake()
        return delivery

    async def retry_matching(self, wanted: DeliveryFilter, *, pinned: bool, dry_run: bool) -> BulkRetry:
        """Make every matching delivery once more that is its document's newest; ``dry_run`` only tells which.

        Those that are being worked on are left alone; one that is queued is made due now.
        """
        matched: list[str] = []
        cursor = None
        while True:
            page = await self._ledger.deliveries(wanted, limit=BULK_PAGE, cursor=cursor)
            for delivery in page.deliveries:
                if delivery.state is State.WORKING:
                    continue
                newest = await newest_delivery(self._ledger, wanted.tenant, delivery.document_id)
                if newest is not None and newest.id == delivery.id:
                    matched.append(delivery.id)
            cursor = page.next_cursor
            if cursor is None:
                break
        if not dry_run:
            for start in range(0, len(matched), BULK_PAGE):  # so many at a time share a commit
                chunk, now = matched[start : start + BULK_PAGE], self._runtime.clock()
                await asyncio.gather(*(self._ledger.retry(each, now, pinned=pinned) for each in chunk))
            self._runtime.line(wanted.tenant).worker.wake()
        return BulkRetry(len(matched), matched[:BULK_PAGE], dry_run)

    async def _of_tenant(self, tenant: str, delivery_id: str) -> Delivery:
        delivery = await self._ledger.delivery(delivery_id)
        if delivery is None or delivery.tenant != tenant:
            raise NotFoundError(delivery_id)
        return delivery


def _never_was(delivery: Delivery) -> bool:
    """Tell whether the source did not have the document, and nothing is known of a time when it had."""
    gone = delivery.error is not None and delivery.error.code == DOCUMENT_GONE
    return gone and delivery.revision is None and delivery.record_id is None
