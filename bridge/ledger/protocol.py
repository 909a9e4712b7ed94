"""The ledger: the one durable store of deliveries, attempts, requests and cursors.

Every method is one transaction. A method that returned has committed; one that raised has changed nothing.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from bridge.delivery.model import (
    Attempt,
    Delivery,
    DeliveryFilter,
    DeliveryPage,
    Millis,
    RequestRecord,
    Step,
    TenantCounts,
    Trigger,
)
from connectors.ports import Listing


class LedgerError(Exception):
    """The ledger could not do what was asked; ``code`` is stable."""

    code = "ledger_error"


class LeaseLostError(LedgerError):
    """The delivery was claimed by someone else since: what was to be saved is void, and nothing was changed."""

    code = "lease_lost"


class LedgerInUseError(LedgerError):
    """Another process holds this ledger. An embedded ledger has exactly one writer."""

    code = "ledger_in_use"


class LedgerFullError(LedgerError):
    """The disk is full: the transaction was rolled back."""

    code = "ledger_full"


class LedgerTooNewError(LedgerError):
    """The ledger was written by a newer version of the bridge."""

    code = "ledger_too_new"


@dataclass(frozen=True, slots=True)
class PollState:
    """Where a tenant's outbox is being read.

    ``cursor`` is None at the start of a window. ``finished_at`` is when the last poll ended, well or not;
    ``succeeded_at`` when the last one ended well.
    """

    cursor: str | None = None
    finished_at: Millis | None = None
    succeeded_at: Millis | None = None


@dataclass(frozen=True, slots=True)
class PollLease:
    """The right to poll a tenant, until ``until``; ``token`` fences a holder whose time ran out."""

    tenant: str
    token: int
    until: Millis
    state: PollState


@dataclass(frozen=True, slots=True)
class Intake:
    """What a page of listings became: new deliveries, and deliveries whose document is read once more."""

    seen: int
    queued: int
    rechecked: int
    deliveries: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Save:
    """What one step of one delivery leaves behind; all of it or nothing.

    ``delivery`` replaces the stored one if its ``token`` is still the current one. ``requests`` are inserted or,
    by id, replaced. ``attempt`` is added. ``successor`` is a further delivery of the same document to insert.
    """

    delivery: Delivery
    requests: Sequence[RequestRecord] = ()
    attempt: Attempt | None = None
    successor: Delivery | None = None


@dataclass(frozen=True, slots=True)
class ClaimFilter:
    """Which due deliveries may be claimed. Empty ``steps`` means every step.

    ``except_schemas`` leaves out deliveries of these schemas; ``except_ids`` those already held by this process.
    """

    steps: frozenset[Step] = frozenset()
    except_schemas: frozenset[str] = frozenset()
    except_ids: frozenset[str] = frozenset()


class Ledger(Protocol):
    """The ledger's contract; one conformance suite holds every implementation to it."""

    async def intake(
        self,
        tenant: str,
        listings: Sequence[Listing],
        trigger: Trigger,
        now: Millis,
        *,
        new_id: Callable[[], str],
        poll: PollLease | None = None,
        next_cursor: str | None = None,
    ) -> Intake:
        """Turn listings into deliveries, and move the tenant's cursor to ``next_cursor`` in the same transaction if ``poll`` is given.

        For each document, by its newest delivery: none → a new one, queued and due now; queued → its listing is
        brought up to date; working → ``again`` is set; ended → step ``recheck``, due now, its state untouched.
        A listing given twice in one call counts once, the later one wins.
        Raises ``LeaseLostError`` when ``poll`` is no longer the holder.
        """

    async def deliver_now(self, tenant: str, listing: Listing, now: Millis, *, new_id: Callable[[], str], force: bool) -> Delivery:
        """Bring one document in because a person asked; return its newest delivery, under way.

        As ``intake``, except: an ended ``failed``, ``skipped``, ``parked`` or ``superseded`` delivery is queued
        afresh as by ``retry``; a ``succeeded`` one is rechecked, or with ``force`` queued afresh with ``force`` set.
        A queued one is made due now.
        """

    async def retry(self, delivery_id: str, now: Millis, *, pinned: bool) -> Delivery | None:
        """Queue an ended delivery afresh: due now, step ``fetch``, schedule from its start, ``outcome`` and ``callback`` cleared.

        One that is queued is made due now; one that is being worked on is left as it is. What is known of the row
        at the destination stays. A delivery parked in step ``report`` starts over as well. None when there is no such delivery.
        """

    async def recheck(self, tenant: str, now: Millis, *, schema: str, mapping_digest: str) -> int:
        """Make every newest, failed delivery of this schema whose mapping differs from the digest due for a recheck."""

    async def claim(self, tenant: str, now: Millis, *, limit: int, lease_until: Millis, only: ClaimFilter) -> list[Delivery]:
        """Claim up to ``limit`` due deliveries, oldest due first: token raised, lease set, a ``queued`` one set to ``working``.

        Due: ``due_at`` ≤ now and no live lease; or ``working`` with a lease that ended.
        """

    async def save(self, save: Save) -> None:
        """Store a step. Raises ``LeaseLostError`` when the delivery's token is no longer the current one."""

    async def take_back(self, now: Millis) -> int:
        """End every lease of holders that are known to be gone; called once at start. Returns how many there were."""

    async def next_due(self, tenant: str, now: Millis) -> Millis | None:
        """When the tenant's next delivery becomes claimable; None when nothing waits."""

    async def previous(self, delivery: Delivery) -> Delivery | None:
        """Return the newest delivery of the same document that ``succeeded`` or may have written, other than this one."""

    async def acquire_poll(self, tenant: str, now: Millis, *, lease_until: Millis) -> PollLease | None:
        """Take the right to poll; None while another holds it."""

    async def finish_poll(self, lease: PollLease, now: Millis, *, succeeded: bool, reset_cursor: bool = False) -> None:
        """Give the right back and note when the poll ended; with ``reset_cursor`` the window starts anew.

        A lease that was lost in the meantime changes nothing.
        """

    async def poll_state(self, tenant: str) -> PollState:
        """Return where the tenant's outbox is being read."""

    async def delivery(self, delivery_id: str) -> Delivery | None:
        """Return one delivery."""

    async def deliveries(self, wanted: DeliveryFilter, *, limit: int, cursor: str | None = None) -> DeliveryPage:
        """Return deliveries, newest first, by pages. Raises ``ValueError`` for a cursor it never gave."""

    async def attempts(self, delivery_id: str) -> tuple[Attempt, ...]:
        """Return the attempts of a delivery, oldest first."""

    async def requests(self, delivery_id: str) -> tuple[RequestRecord, ...]:
        """Return the outgoing requests of a delivery, oldest first."""

    async def counts(self, tenant: str) -> TenantCounts:
        """Count a tenant's deliveries by state."""

    async def store_mapping(self, digest: str, name: str, text: str, now: Millis) -> None:
        """Keep the text of a mapping by its digest, so that a retry can use the same one later."""

    async def mapping_text(self, digest: str) -> str | None:
        """Return the text of a mapping that was kept."""

    async def prune(self, *, deliveries_before: Millis, requests_before: Millis) -> Mapping[str, int]:
        """Remove ended deliveries last seen or changed before the first moment, and requests sent before the second.

        Returns how many rows went, by kind: ``deliveries``, ``requests``.
        """

    async def ping(self) -> None:
        """Read and write once; raises ``LedgerError`` when the ledger is not usable."""

    async def close(self) -> None:
        """Finish what is being written and let go of every connection. May be called more than once."""


__all__ = [
    "ClaimFilter",
    "Intake",
    "LeaseLostError",
    "Ledger",
    "LedgerError",
    "LedgerFullError",
    "LedgerInUseError",
    "LedgerTooNewError",
    "PollLease",
    "PollState",
    "Save",
]
