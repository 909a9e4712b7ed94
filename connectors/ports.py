"""What the pipeline asks of outside systems: ``Source``, ``Destination`` and the values that pass through them."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, Protocol

import msgspec

from mappings.compiled import CompiledMapping
from mappings.document import Document
from mappings.findings import Finding
from mappings.plan import WritePlan

if TYPE_CHECKING:
    from connectors.capabilities import Capabilities

Operation = Literal["created", "updated", "unchanged"]


class OutgoingRequest(msgspec.Struct, frozen=True):
    """A request about to be sent. ``url`` carries no secret. ``id`` goes out as the request id header."""

    id: str
    peer: str
    purpose: str
    method: str
    url: str
    mutating: bool


class RequestOutcome(msgspec.Struct, frozen=True):
    """What became of a request: ``status`` is None when no answer came, and ``error`` then says why.

    ``peer_request_id`` is the id that the outside system gave; ``excerpt`` the beginning of a refusal's body.
    """

    id: str
    status: int | None
    elapsed_ms: int
    peer_request_id: str | None = None
    error: str | None = None
    excerpt: str | None = None


class RequestLog(Protocol):
    """Where a connector reports every outgoing request of a delivery."""

    async def opening(self, request: OutgoingRequest) -> None:
        """Record a request. Returns for a mutating one only when it is durable, so call it before sending."""

    def closed(self, outcome: RequestOutcome) -> None:
        """Record what became of it; durable with the next step of the delivery."""


class Listing(msgspec.Struct, frozen=True):
    """One entry of a source's outbox, or what a person or a webhook named.

    ``final`` tells that the content under this ``updated_at`` never changes again: an ended delivery that has the same
    one need not be looked at once more.
    """

    document_id: str
    schema: str | None = None
    status: str | None = None
    external_id: str | None = None
    metadata: Mapping[str, Any] = msgspec.field(default_factory=dict)
    updated_at: str | None = None
    result_url: str | None = None
    final: bool = False


class OutboxPage(msgspec.Struct, frozen=True):
    """One page of a source's outbox; a ``next_cursor`` of None ends the window."""

    listings: tuple[Listing, ...]
    next_cursor: str | None


class Report(msgspec.Struct, frozen=True):
    """The end of one attempt, as told to the source. ``attempted_at`` is UTC, ISO 8601 with milliseconds and Z."""

    document_id: str
    status: Literal["succeeded", "failed", "skipped"]
    execution_id: str
    attempted_at: str
    external_record_id: str | None = None
    external_url: str | None = None
    error_code: str | None = None
    error_message: str | None = None


class Source(Protocol):
    """Where reviewed documents come from and where the outcome is reported to. Every call raises ``OutcomeError``s."""

    kind: str
    capabilities: "Capabilities"

    async def list_outbox(self, cursor: str | None) -> OutboxPage:
        """Read one page. Raises ``CursorRefusedError`` or ``OutboxAbsentError`` besides the usual outcomes."""

    async def fetch(self, listing: Listing, log: RequestLog) -> Document | None:
        """Read the document as it is now. None when the source no longer has it."""

    def is_deliverable(self, status: str | None) -> bool:
        """Tell whether a document in this status may be delivered, or has gone back to review."""

    def encode_report(self, report: Report) -> bytes:
        """Return the exact body to send; it is stored before the first send and replayed byte for byte."""

    async def report(self, document_id: str, body: bytes, log: RequestLog) -> None:
        """Send the outcome; a replay of the same bytes has no second effect."""

    async def probe(self) -> None:
        """Make one cheap authenticated call; raises what a delivery would meet."""

    async def close(self) -> None:
        """Let go of what is held. Called once, when nothing is in flight."""


class DocumentKey(msgspec.Struct, frozen=True):
    """Whose document it is: the identity that every row id is derived from."""

    tenant: str
    document_id: str


class KnownRow(msgspec.Struct, frozen=True):
    """What the ledger knows of the row at the destination.

    ``may_exist`` is set once a write may have reached the destination: then it is read before anything is sent.
    ``line_ids`` are the ids of every line that may stand there by our hand: only those are ever removed.
    ``unsettled`` are the purposes of what this delivery sent before and was not refused: it may have taken effect.
    """

    record_id: str | None = None
    line_ids: frozenset[str] = frozenset()
    may_exist: bool = False
    unsettled: frozenset[str] = frozenset()


class WriteResult(msgspec.Struct, frozen=True):
    """The row as it stands after the write, by the destination's own id."""

    record_id: str
    url: str | None
    operation: Operation


class ColumnDifference(msgspec.Struct, frozen=True):
    """A column whose value at the destination is not the planned one; ``row`` is None for the document's own row."""

    row: str | None
    column: str
    current: Any
    planned: Any


class RowDifference(msgspec.Struct, frozen=True):
    """How the row differs from the plan: ``record_id`` is None when there is no row yet."""

    record_id: str | None
    columns: tuple[ColumnDifference, ...] = ()
    lines_added: tuple[str, ...] = ()
    lines_removed: tuple[str, ...] = ()


class FoundRow(msgspec.Struct, frozen=True):
    """The row of ``table`` that lookup ``column`` led to; it was found ``age`` seconds ago, and remembered since."""

    column: str
    table: str
    id: str
    age: float


class PreparedWrite(Protocol):
    """A plan with its lookups resolved and its names translated; what else it holds is the connector's own affair."""

    @property
    def line_ids(self) -> frozenset[str]:
        """The ids of the lines it will write."""

    @property
    def body(self) -> Mapping[str, Any]:
        """The row as it would be sent, for a preview."""

    @property
    def found(self) -> Sequence[FoundRow]:
        """The rows that lookups led to, without those that are still to be created."""


class Destination(Protocol):
    """Where documents are written. Every call raises ``OutcomeError``s."""

    kind: str

    async def check(self, mapping: CompiledMapping) -> Sequence[Finding]:
        """Hold every name of the mapping against the live target; one finding for each that does not fit."""

    async def prepare(
        self, plan: WritePlan, key: DocumentKey, log: RequestLog, *, create_missing: bool = True
    ) -> PreparedWrite:
        """Resolve lookups and check the values against the target's limits.

        ``create_missing=False`` (a preview) writes nothing, not even for ``missing: create``.
        """

    async def write(self, prepared: PreparedWrite, known: KnownRow, log: RequestLog) -> WriteResult:
        """Create or correct the row, each mutating request journalled through ``log`` before it is sent."""

    async def compare(self, prepared: PreparedWrite, known: KnownRow, log: RequestLog) -> RowDifference:
        """Tell how the row as it is differs from the plan; writes nothing."""

    async def probe(self) -> None:
        """Make one cheap authenticated call; raises what a delivery would meet."""

    async def close(self) -> None:
        """Let go of what is held. Called once, when nothing is in flight."""
