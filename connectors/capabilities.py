"""What a source may be able to do beside giving documents to the pipeline; each of it is optional."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from connectors.outcome import OutcomeError
from connectors.ports import RequestLog

if TYPE_CHECKING:
    from connectors.hooks import HookReader
    from connectors.reviews import Reviews


class DispatchStatus(StrEnum):
    """Where a document is that the source itself delivers."""

    READY = "ready"
    PENDING = "pending"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    IN_REVIEW = "in_review"
    GONE = "gone"


class DispatchState(msgspec.Struct, frozen=True):
    """The same, with the source's own word for it (``status``) and when it changed last, as the source tells."""

    dispatch: DispatchStatus
    status: str | None
    updated_at: str | None


class Dispatcher(Protocol):
    """Delivers by the source's own means (managed mode)."""

    async def dispatch(self, document_id: str, log: RequestLog) -> str | None:
        """Ask the source to deliver a document; return the id of the run when it gives one. Raises ``OutcomeError``s.

        A lost answer is an ``UnknownOutcomeError``: ``dispatch_state`` tells what became of it.
        """

    async def dispatch_state(self, document_id: str, log: RequestLog) -> DispatchState:
        """Tell where the document is now."""


class ActionConflictError(OutcomeError):
    """The document was changed since: nothing was done. ``updated_at`` is the current one, where it is known."""

    def __init__(self, code: str, message: str, *, updated_at: str | None) -> None:
        super().__init__(code, message)
        self.updated_at = updated_at


class ActionRefusedError(OutcomeError):
    """The source does not take the request. ``status`` is the HTTP status that it answered with."""

    def __init__(self, code: str, message: str, *, status: int) -> None:
        super().__init__(code, message)
        self.status = status


class ActionResult(msgspec.Struct, frozen=True):
    """A document as it stands after an action, as far as the source tells; ``run_id`` of what it set in motion.

    ``repeated`` tells that it was on its way already, so that nothing was sent.
    """

    document_id: str
    status: str | None
    updated_at: str | None
    review_state: Mapping[str, Any] | None
    run_id: str | None = None
    repeated: bool = False


class DocumentView(msgspec.Struct, frozen=True):
    """A document as the source shows it: its state and its result, plain. ``result`` is None when there is none yet."""

    document: Mapping[str, Any]
    result: Mapping[str, Any] | None


class DocumentActions(Protocol):
    """What a person may do with a document at the source.

    Every call raises ``OutcomeError``s: ``ActionConflictError``, ``ActionRefusedError``, and ``UnknownOutcomeError``
    when no answer came.
    """

    async def view(self, document_id: str, log: RequestLog) -> DocumentView | None:
        """Read the document and its result; None when the source has no such document."""

    async def approve(
        self,
        document_id: str,
        log: RequestLog,
        *,
        expected_updated_at: str | None,
        review_state: Mapping[str, Any] | None,
        approved_at: Collection[str] = (),
    ) -> ActionResult:
        """Approve the document as it was at ``expected_updated_at``.

        ``approved_at`` are the times of change that the same approval led to before: a document that still has one of
        them, or went on since, is not approved anew.
        """

    async def reject(self, document_id: str, log: RequestLog, *, expected_updated_at: str | None) -> ActionResult:
        """Send the document back to review."""

    async def retry_push(self, document_id: str, log: RequestLog) -> ActionResult:
        """Have the source deliver a reviewed document once more."""

    async def dispatch(self, document_id: str, log: RequestLog) -> ActionResult:
        """Have the source deliver a reviewed document by its active route."""

    async def submit(
        self, log: RequestLog, *, schema: str, file_url: str, external_id: str, metadata: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Hand in a document; the same ``external_id`` again is the same document. Returns the source's answer."""


class ResourceAnswer(msgspec.Struct, frozen=True):
    """What the source answered: its status, its parsed body, and the cursor of the next page where it gave one."""

    status: int
    body: Any
    next_cursor: str | None = None


class SourceResources(Protocol):
    """The source's other resources, as a closed list of operations by name; no open proxy.

    ``operations`` tells which there are. Every call raises ``OutcomeError``s, ``ActionRefusedError`` among them.
    """

    operations: frozenset[str]

    async def call(
        self,
        operation: str,
        log: RequestLog,
        *,
        path: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> ResourceAnswer:
        """Make one call. ``path`` holds the ids that stand in the operation's path."""


@dataclass(frozen=True, slots=True)
class Capabilities:
    """What a source can do. ``hooks`` leads from the last part of a hook's path to what reads its calls."""

    actions: DocumentActions | None = None
    dispatcher: Dispatcher | None = None
    reviews: "Reviews | None" = None
    resources: SourceResources | None = None
    hooks: "Mapping[str, HookReader]" = field(default_factory=dict)
