"""The ledger: the one durable store of deliveries, attempts, requests and cursors.

Every method is one transaction, but for the sweeps ``recheck``, ``sweep`` and ``prune``, which go through the ledger in
bounded ones, and where a method says otherwise. A method that returned has committed; one that raised has changed
nothing. A caller that is cancelled while it waits may find its change committed all the same.

What the terms mean, for every implementation:

- The *newest* delivery of a document is the one that was inserted last.
- A delivery is *being worked on* while its state is ``working``, or while it has ended and a recheck holds a live
  lease.
- A lease is *live* while ``lease_until`` is later than now. A ``working`` delivery without a lease counts as one whose
  lease has ended.
- At most one delivery of a document is being worked on under a live lease.
- The *token* is raised by every claim, by everything else that makes a delivery due that nobody works on (``intake``,
  ``deliver_now``, ``retry``, ``recheck``, ``sweep``, ``take_back``), and by ``withdraw``, which ends one: so whoever
  still holds an older copy is fenced off.
- A delivery *rests* when it has ended and is not due for a recheck. A *document* rests when its newest delivery does.

Endpoints and messages are in ``messages.py``, calls that come in in ``inbox.py``, actions in ``actions.py``.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import msgspec

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
from bridge.events.model import Endpoint, Event
from bridge.ledger.actions import ActionLedger, ActionReader
from bridge.ledger.inbox import HookLedger, HookReader
from bridge.ledger.messages import MessageLedger, MessageReader
from connectors.ports import Listing

MAX_PAGE = 500
"""The most deliveries that one page holds; a larger ``limit`` is taken as this one."""


class LedgerError(Exception):
    """The ledger could not do what was asked; ``code`` is stable."""

    code = "ledger_error"


class LeaseLostError(LedgerError):
    """The delivery was claimed by someone else since: what was to be saved is void, and nothing was changed."""

    code = "lease_lost"


class LedgerInUseError(LedgerError):
    """Another process holds this ledger. An embedded ledger has exactly one writer.

    ``path`` is the ledger's file, ``pid`` the holder's process id, None when it could not be read.
    """

    code = "ledger_in_use"

    def __init__(self, path: str, pid: int | None) -> None:
        holder = f"process {pid}" if pid else "another process"
        super().__init__(f"The ledger {path} is in use by {holder}; stop it first, or use another store.")
        self.path = path
        self.pid = pid


class LedgerFullError(LedgerError):
    """The disk is full: the transaction was rolled back."""

    code = "ledger_full"


class LedgerTooNewError(LedgerError):
    """The ledger was written by a newer version of the bridge."""

    code = "ledger_too_new"


class LedgerKeyError(LedgerError):
    """The key beside the ledger cannot be made, read or used."""

    code = "ledger_key"


class LedgerClosedError(LedgerError):
    """The ledger was closed; nothing more can be asked of it."""

    code = "ledger_closed"


class LedgerStoreError(LedgerError):
    """The ``store`` of the configuration names nothing that can be opened as a ledger."""

    code = "ledger_store"


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
class Pause:
    """A pause that an outside system asked for at ``asked_at``, until ``until``, of all who share an identity.

    ``identity`` is a digest: whose it is, is nobody's business who reads the ledger.
    """

    identity: str
    asked_at: Millis
    until: Millis


@dataclass(frozen=True, slots=True)
class Intake:
    """What a page of listings became: new deliveries, and deliveries whose document is read once more.

    ``seen`` counts the documents of the page. ``queued`` counts those that got a new delivery, ``rechecked`` those
    whose ended delivery is due for a recheck or will be once the work on it is over. ``deliveries`` holds the id
    of the newest delivery of each document, in the order in which the documents were first listed.
    """

    seen: int
    queued: int
    rechecked: int
    deliveries: tuple[str, ...]


class Save(msgspec.Struct, frozen=True):
    """What one step of one delivery leaves behind; all of it or nothing.

    ``delivery`` replaces the stored one if its ``token`` is still the current one. ``requests`` are inserted or,
    by id, replaced. ``attempt`` is added. ``successor`` is a further delivery of the same document to insert.

    ``event`` is what this step is to others. Whoever saves a step that ends a delivery, or lets one rest again, gives
    one whenever the tenant listens or a ``resume_url`` may wait for the document.
    """

    delivery: Delivery
    requests: Sequence[RequestRecord] = ()
    attempt: Attempt | None = None
    successor: Delivery | None = None
    event: Event | None = None


@dataclass(frozen=True, slots=True)
class ClaimFilter:
    """Which due deliveries may be claimed. Empty ``steps`` means every step.

    ``except_schemas`` leaves out deliveries of these schemas; ``except_ids`` those already held by this process.
    A delivery whose schema is not known yet is left out by neither.
    """

    steps: frozenset[Step] = frozenset()
    except_schemas: frozenset[str] = frozenset()
    except_ids: frozenset[str] = frozenset()


class LedgerReader(MessageReader, HookReader, ActionReader, Protocol):
    """The reading half of the ledger. A read sees everything that was committed before it began."""

    async def next_due(self, tenant: str, now: Millis) -> Millis | None:
        """When something becomes claimable that is not so now; None when nothing waits.

        Always later than now: whoever asks has just claimed, and what was left, for a filter's sake or because another
        delivery of its document is being worked on, does not become claimable by waiting. A delivery that is being
        worked on counts with the end of its lease.
        """

    async def poll_state(self, tenant: str) -> PollState:
        """Return where the tenant's outbox is being read; an empty state for a tenant that was never polled."""

    async def delivery(self, delivery_id: str) -> Delivery | None:
        """Return one delivery."""

    async def deliveries(self, wanted: DeliveryFilter, *, limit: int, cursor: str | None = None) -> DeliveryPage:
        """Return deliveries, newest first, by pages of at most ``MAX_PAGE``.

        Raises ``ValueError`` for a cursor it never gave. Deliveries that are inserted while someone turns the pages
        neither repeat nor hide any on the later ones.
        """

    async def attempts(self, delivery_id: str) -> tuple[Attempt, ...]:
        """Return the attempts of a delivery, oldest first."""

    async def requests(self, delivery_id: str) -> tuple[RequestRecord, ...]:
        """Return the outgoing requests of a delivery, oldest first."""

    async def counts(self, tenant: str) -> TenantCounts:
        """Count a tenant's deliveries by state; every state is there.

        ``oldest_queued_at`` is when the delivery that came first among the ``queued`` ones was created.
        """

    async def pauses(self) -> tuple[Pause, ...]:
        """Return the pauses that were kept, those that are over perhaps among them."""

    async def mapping_text(self, digest: str) -> str | None:
        """Return the text of a mapping that was kept."""

    async def close(self) -> None:
        """Finish what is being written and let go of every connection. May be called more than once.

        Whatever is asked of the ledger afterwards raises ``LedgerClosedError``.
        """


class Ledger(LedgerReader, MessageLedger, HookLedger, ActionLedger, Protocol):
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
        """Turn listings into deliveries.

        If ``poll`` is given, the tenant's cursor moves to ``next_cursor`` in the same transaction.

        For each document, by its newest delivery: none → a new one, queued and due now; queued → its listing is
        brought up to date, and its due time stays; being worked on → ``again`` is set; ended → step ``recheck``,
        due now, its state untouched. In every case the delivery takes the listing and ``seen_at``. What a listing
        does not say (None, or no metadata at all) stays as it was. The schema a listing names is the delivery's
        until its document was fetched.
        A ``final`` listing whose ``updated_at`` is the stored one's, and not None, asks nothing of an ended delivery:
        only ``seen_at`` is taken. One that ended ``superseded``, or ``failed`` without problems (it was given up, not
        refused), is rechecked as ever.
        A listing given twice in one call counts once, the later one wins.
        ``new_id`` is called once for each document, on the caller's thread, whether or not the id is needed.
        Raises ``LeaseLostError`` when ``poll`` is no longer the holder: when another took it, or it was given back.
        """

    async def deliver_now(
        self,
        tenant: str,
        listing: Listing,
        now: Millis,
        *,
        new_id: Callable[[], str],
        force: bool,
        resume: Endpoint | None = None,
    ) -> Delivery:
        """Bring one document in because a person asked; return its newest delivery, under way.

        As ``intake``, except: an ended ``failed``, ``skipped``, ``parked`` or ``superseded`` delivery is queued
        afresh as by ``retry``; a ``succeeded`` one is rechecked, or with ``force`` queued afresh with ``force`` set.
        A queued one is made due now, and a recheck under way is fenced off. ``force`` is set on a new and on a
        queued one as well; a ``working`` one keeps its own.

        ``resume`` is stored in the same transaction and gets one message, once the document rests. The same digest for
        the same document again is the same call: nothing more comes of it while the first waits, while its message is
        under way, or after that was sent. If its message failed or was dropped, it waits once more.
        Raises ``ValueError`` for one that is not of origin ``RESUME``, this tenant and this document.
        """

    async def retry(self, delivery_id: str, now: Millis, *, pinned: bool) -> Delivery | None:
        """Queue an ended delivery afresh, by ``transitions.afresh``: due now, step ``fetch``, schedule from its start.

        ``outcome``, ``callback``, ``execution_id``, error and problems are cleared. One that is queued is made due
        now and takes ``pinned``; a ``working`` one is left as it is; a recheck under way is fenced off. What is known
        of the row at the destination stays. A delivery parked in step ``report`` starts over as well. None when there
        is no such delivery.
        """

    async def recheck(self, tenant: str, now: Millis, *, schema: str, mapping_digest: str) -> int:
        """Make every newest, failed delivery of this schema whose mapping differs from the digest due for a recheck.

        One that failed before it had a mapping differs. One that is being rechecked right now is rechecked once
        more. Returns how many there were.
        """

    async def claim(
        self, tenant: str, now: Millis, *, limit: int, lease_until: Millis, only: ClaimFilter
    ) -> list[Delivery]:
        """Claim up to ``limit`` due deliveries, oldest due first.

        Their token is raised, their lease set, and a ``queued`` one becomes ``working``.
        Due: ``due_at`` ≤ now and no live lease; or ``working`` with a lease that ended, which counts as due since then.
        A delivery whose document has another one under a live lease is left where it is; where the other's lease has
        ended, its token is raised as well, so that its holder does not come back to it. ``again`` is cleared when
        the step is ``fetch`` or ``recheck``, since the document is about to be read. ``due_at`` stays.
        """

    async def save(self, save: Save) -> None:
        """Store a step. Raises ``LeaseLostError`` when the delivery's token is no longer the current one.

        The copy that is saved may be older than what ``intake`` wrote meanwhile, so not all of it counts:

        - ``listing``, ``seen_at``, ``trigger``, ``created_at`` and the identity belong to intake: they stay as stored.
        - ``again`` is never lost: it is set if it was set in either.
        - ``lease_until`` is stored for a ``working`` delivery, and for an ended one whose ``due_at`` is the stored
          one, that is in the midst of a recheck. Otherwise the lease is given up, whatever the copy says.
        - An ended delivery that rests (no ``due_at``) although ``again`` is set does not rest: ``again`` is cleared,
          the step becomes ``recheck``, and it is due at once.
        - A ``successor`` is inserted as it is given. When ``again`` was set, it takes the stored listing and
          ``seen_at``, and the recheck is left to it: ``again`` is cleared and its predecessor rests.

        An ``event`` becomes messages in the same transaction, queued, and due since the later of the delivery's
        ``updated_at`` and ``seen_at``: one for each subscriber of the tenant, active or paused, whose types match, if
        the event is ``ended``; and, if the document rests after this save (the delivery as it is stored does, it is the
        newest, and there is no successor), one for every ``RESUME`` endpoint that waits for it, which is gone by that.

        Raises ``ValueError`` for a request, attempt or successor that belongs to another delivery or document.
        """

    async def take_back(self, now: Millis) -> int:
        """End every lease of holders that are known to be gone; called once at start. Returns how many there were.

        A ``working`` delivery becomes ``queued``, due now, its step kept; an interrupted recheck stays due. Leases on
        polls and on messages end as well and count.
        """

    async def acquire_poll(self, tenant: str, now: Millis, *, lease_until: Millis) -> PollLease | None:
        """Take the right to poll; None while another holds it."""

    async def finish_poll(self, lease: PollLease, now: Millis, *, succeeded: bool, reset_cursor: bool = False) -> None:
        """Give the right back and note when the poll ended; with ``reset_cursor`` the window starts anew.

        A lease that was lost in the meantime changes nothing.
        """

    async def store_mapping(self, digest: str, name: str, text: str, now: Millis) -> None:
        """Keep the text of a mapping by its digest, so that a retry can use the same one later. May be repeated."""

    async def keep_pauses(self, pauses: Sequence[Pause], now: Millis) -> None:
        """Keep pauses; of one identity's the one that lasts longest. What is over by now is forgotten."""

    async def prune(self, *, deliveries_before: Millis, requests_before: Millis) -> Mapping[str, int]:
        """Remove ended deliveries last seen or changed before the first moment, and requests sent before the second.

        A delivery goes with its attempts and requests; one that something is still asked of stays. Before the second
        moment as well: messages that ended, calls that came in, actions that were asked for, endpoints that were gone
        by then and have no message left, and ``RESUME`` endpoints whose document has no delivery left.
        Returns how many rows went, by kind: ``deliveries``, ``requests``, ``messages``, ``hooks``, ``actions``,
        ``endpoints``.
        """

    async def ping(self) -> None:
        """Read and write once; raises ``LedgerError`` when the ledger is not usable."""


__all__ = [
    "MAX_PAGE",
    "ClaimFilter",
    "Intake",
    "LeaseLostError",
    "Ledger",
    "LedgerClosedError",
    "LedgerError",
    "LedgerFullError",
    "LedgerInUseError",
    "LedgerKeyError",
    "LedgerReader",
    "LedgerStoreError",
    "LedgerTooNewError",
    "Pause",
    "PollLease",
    "PollState",
    "Save",
]
