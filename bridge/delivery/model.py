"""The values the pipeline works on: a delivery, its attempts, its requests. All frozen; changed by ``evolve``."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from connectors.ports import Listing, Operation
from mappings.plan import Problem

Millis = int
"""A moment: milliseconds since the epoch, UTC."""


class State(StrEnum):
    """Where a delivery is. ``QUEUED`` and ``WORKING`` are under way, the others are ends."""

    QUEUED = "queued"
    WORKING = "working"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    SKIPPED = "skipped"
    SUPERSEDED = "superseded"
    PARKED = "parked"

    @property
    def ended(self) -> bool:
        """Tell whether nothing more happens to a delivery in this state by itself."""
        return self not in UNDER_WAY


UNDER_WAY = frozenset({State.QUEUED, State.WORKING})


class Step(StrEnum):
    """The last journalled step of a delivery: where it goes on after a crash.

    ``WATCH``: the source was told to deliver the document itself, and what becomes of that is watched.
    """

    FETCH = "fetch"
    WRITE = "write"
    WATCH = "watch"
    REPORT = "report"
    RECHECK = "recheck"


class Trigger(StrEnum):
    """What brought the document in."""

    OUTBOX = "outbox"
    WEBHOOK = "webhook"
    NOTIFY = "notify"
    PERSON = "person"


class DeliveryError(msgspec.Struct, frozen=True):
    """Why a delivery is not where it should be: a stable code and a sentence."""

    code: str
    message: str


class MappingRef(msgspec.Struct, frozen=True):
    """The mapping that made the write plan: file name and digest of its text."""

    name: str
    digest: str


class Watch(msgspec.Struct, frozen=True):
    """A document that the source delivers by its own means: what is known of the last time that it was asked to.

    ``since`` is when it was asked. ``status`` and ``updated_at`` are the source's own words for the document just
    before; None when it was on its way already, and nobody knows them. ``taken`` is set once it is certain that the
    source took it. ``looks`` counts how often its outcome was looked for.
    """

    since: Millis
    status: str | None = None
    updated_at: str | None = None
    taken: bool = False
    looks: int = 0


class Delivery(msgspec.Struct, frozen=True):
    """One revision of one document on its way. What the ledger stores of it, and no more.

    ``due_at`` is when it is to be worked on next; None for an ended delivery that nothing is asked of. An ended
    delivery with a ``due_at`` (step ``recheck``) was listed again: its document is read once more, to learn
    whether it is the same revision.
    ``token`` is the fencing token: it grows with every claim, and a save under an older one is refused.
    ``tries`` counts the tries since the schedule last began; ``attempts`` those of the delivery's life that had an
    outcome. ``callback`` holds the exact bytes of the report, stored before the first send.
    ``may_exist`` is set before the first write is sent; ``line_ids`` are the lines that may stand at the destination.
    ``again`` is set when the document was listed anew while it was being worked on.
    ``pinned`` is set when a person asked for a retry with the same mapping.
    ``force`` is set when a person asked for a delivery even of an unchanged, delivered revision.
    ``watch`` is set, with step ``watch``, from the moment that the source is asked to deliver by its own means.
    """

    id: str
    tenant: str
    document_id: str
    listing: Listing
    trigger: Trigger
    created_at: Millis
    updated_at: Millis
    seen_at: Millis
    state: State = State.QUEUED
    step: Step | None = Step.FETCH
    due_at: Millis | None = None
    lease_until: Millis | None = None
    token: int = 0
    attempts: int = 0
    tries: int = 0
    schema: str | None = None
    revision: str | None = None
    mapping: MappingRef | None = None
    pinned: bool = False
    force: bool = False
    again: bool = False
    may_exist: bool = False
    line_ids: frozenset[str] = frozenset()
    record_id: str | None = None
    external_url: str | None = None
    operation: Operation | None = None
    execution_id: str | None = None
    callback: bytes | None = None
    outcome: State | None = None
    error: DeliveryError | None = None
    problems: tuple[Problem, ...] = ()
    ended_at: Millis | None = None
    watch: Watch | None = None

    @property
    def at_rest(self) -> bool:
        """Tell whether it has ended and nothing is asked of it, not even to be looked at again."""
        return self.state.ended and self.due_at is None

    def evolve(self, **changes: Any) -> "Delivery":
        """Return a copy with these fields changed."""
        return msgspec.structs.replace(self, **changes)


class Attempt(msgspec.Struct, frozen=True):
    """One try of a delivery that had an outcome: ``outcome`` is the outcome's name, e.g. ``done`` or ``retry``."""

    delivery_id: str
    number: int
    started_at: Millis
    ended_at: Millis
    outcome: str
    code: str | None = None
    message: str | None = None
    execution_id: str | None = None


class RequestRecord(msgspec.Struct, frozen=True):
    """One outgoing request as the ledger keeps it: opened before it is sent, closed when it is known what came."""

    id: str
    delivery_id: str
    attempt: int
    peer: str
    purpose: str
    method: str
    url: str
    sent_at: Millis
    status: int | None = None
    elapsed_ms: int | None = None
    peer_request_id: str | None = None
    error: str | None = None
    excerpt: str | None = None

    def evolve(self, **changes: Any) -> "RequestRecord":
        """Return a copy with these fields changed."""
        return msgspec.structs.replace(self, **changes)


class DeliveryFilter(msgspec.Struct, frozen=True):
    """Which deliveries are wanted; None means any. ``states`` empty means all."""

    tenant: str
    states: frozenset[State] = frozenset()
    document_id: str | None = None
    error_code: str | None = None


class DeliveryPage(msgspec.Struct, frozen=True):
    """Newest first; ``next_cursor`` is opaque and None on the last page."""

    deliveries: tuple[Delivery, ...]
    next_cursor: str | None


class TenantCounts(msgspec.Struct, frozen=True):
    """How many deliveries of a tenant stand in each state, and when the oldest waiting one was created."""

    by_state: Mapping[State, int] = msgspec.field(default_factory=dict)
    oldest_queued_at: Millis | None = None
