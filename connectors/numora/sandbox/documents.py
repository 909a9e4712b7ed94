"""What a workspace of the sandbox holds: its documents, the order in which they are listed, and its clock."""

import time
from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import msgspec

from connectors.http import encode_json
from connectors.numora.sandbox.calls_out import ExecutorTarget, WebhookTarget
from connectors.numora.sandbox.catalogue import Catalogue
from connectors.numora.sandbox.runs import DeliveryRoute, Run

Listener = Callable[["Workspace", str, "SandboxDocument"], None]
"""Told of what happens to a document: workspace, type of the event, document."""

EVENTS = {
    "processing": "document.processing",
    "review_required": "document.review_required",
    "reviewed": "document.reviewed",
    "push_succeeded": "push.succeeded",
    "push_failed": "push.failed",
}
"""The event that tells of a document's new status; there is none for the others."""

EXECUTOR = "executor.notify"
"""What a listener is told when the executor is to be called; Numora has no event of this name."""

DELIVERABLE = frozenset({"reviewed", "push_failed"})
"""Statuses that the outbox lists, given that the review is finalized."""


@dataclass(slots=True)
class Callback:
    """A delivery callback as it came, byte for byte. ``verdict``: accepted, replayed, conflict or refused."""

    document_id: str
    execution_id: str | None
    status: str | None
    body: bytes
    verdict: str


@dataclass(slots=True)
class SandboxDocument:
    """A document inside Numora. ``fields`` and ``line_items`` are served as they stand here, in whatever shape.

    ``result_url`` replaces the usual relative one in the outbox when set. ``settled`` is set once a delivery ended that
    takes the document out of the outbox; ``stale_polls`` is how many more times it is shown all the same.
    """

    id: str
    schema: str
    fields: dict[str, Any]
    line_items: list[Any] | dict[str, Any] = field(default_factory=list)
    status: str = "reviewed"
    finalized: bool = True
    external_id: str | None = None
    metadata: dict[str, Any] = field(default_factory=dict)
    confidence: Any = None
    duplicate_of: str | None = None
    review_state: dict[str, Any] | None = None
    result_url: str | None = None
    created_at: str = ""
    updated_at: str = ""
    settled: bool = False
    stale_polls: int = 0
    place: int = 0
    callbacks: list[Callback] = field(default_factory=list)
    accepted: dict[str, Callback] = field(default_factory=dict)
    approval: tuple[bytes, dict[str, Any]] | None = None
    run: Run | None = None
    _row: msgspec.Raw | None = None
    _result: bytes | None = None

    def row(self) -> msgspec.Raw:
        """Return the document's entry in the outbox."""
        if self._row is None:
            self._row = msgspec.Raw(
                encode_json(
                    {
                        "document_id": self.id,
                        "schema": self.schema,
                        "status": self.status,
                        "external_id": self.external_id,
                        "metadata": self.metadata,
                        "result_url": self.result_url or f"/v1/documents/{self.id}/result",
                        "dispatch_url": f"/v1/documents/{self.id}/dispatch",
                        "updated_at": self.updated_at,
                    }
                )
            )
        return self._row

    def result(self) -> bytes:
        """Return the body of the document's result."""
        if self._result is None:
            self._result = encode_json(
                {
                    "id": self.id,
                    "schema": self.schema,
                    "status": self.status,
                    "review_state": self.review_state,
                    "confidence": self.confidence,
                    "fields": self.fields,
                    "line_items": self.line_items,
                    "duplicate_of": self.duplicate_of,
                }
            )
        return self._result

    def resource(self) -> bytes:
        """Return the body of the document itself."""
        return encode_json(
            {
                "id": self.id,
                "schema": self.schema,
                "status": self.status,
                "external_id": self.external_id,
                "metadata": self.metadata,
                "created_at": self.created_at,
                "updated_at": self.updated_at,
                "review_state": self.review_state,
                "duplicate_of": self.duplicate_of,
            }
        )

    def keep_row(self, row: msgspec.Raw) -> None:
        """Go on showing this entry in the outbox until something changes."""
        self._row = row

    def forget_encoded(self) -> None:
        """Encode anew what is served next, for something changed."""
        self._row = self._result = None


class Workspace:
    """The documents that one API key sees. ``clock`` gives seconds since the epoch.

    ``route`` decides what a dispatch does; ``webhooks`` and ``executor`` are where Numora calls, if anywhere.
    """

    def __init__(self, name: str, clock: Callable[[], float] = time.time, listener: Listener | None = None) -> None:
        self.name = name
        self.route = DeliveryRoute()
        self.webhooks: WebhookTarget | None = None
        self.executor: ExecutorTarget | None = None
        self.catalogue = Catalogue()
        self._listener = listener
        self.documents: dict[str, SandboxDocument] = {}
        self.callbacks: list[Callback] = []
        self.executions: dict[str, str] = {}
        self._clock = clock
        self._last_ms = 0
        self._places = 0
        self._order: list[int] = []
        self._listed: dict[int, SandboxDocument] = {}

    def add(self, document: SandboxDocument) -> SandboxDocument:
        """Take a document in. Raises ``ValueError`` when its id is taken."""
        if document.id in self.documents:
            raise ValueError(f"document {document.id} is there already")
        document.created_at = document.updated_at = self._now()
        document.forget_encoded()
        self.documents[document.id] = document
        self.list_anew(document)
        self.announce(document)
        return document

    def by_external_id(self, schema: str, external_id: str) -> SandboxDocument | None:
        """Return the document of this schema that was handed in under this id."""
        found = (one for one in self.documents.values() if (one.schema, one.external_id) == (schema, external_id))
        return next(found, None)

    def extract(self, document_id: str, **content: Any) -> SandboxDocument:
        """Let the processing of a document end: it waits for review. ``content`` are its attributes."""
        document = self.documents[document_id]
        for name, value in content.items():
            setattr(document, name, value)
        return self.send_back(document_id)

    def announce(self, document: SandboxDocument) -> None:
        """Tell of a document's new status."""
        if self._listener is not None and document.status in EVENTS:
            self._listener(self, EVENTS[document.status], document)

    def notify(self, document: SandboxDocument) -> None:
        """Have the executor told of a document."""
        if self._listener is not None:
            self._listener(self, EXECUTOR, document)

    def amend(self, document_id: str, **changes: Any) -> SandboxDocument:
        """Change a document and approve it again: it is reviewed, and listed as new. ``changes`` are its attributes.

        ``fields`` is merged into what is there; give ``status`` for another end than ``reviewed``.
        """
        document = self.documents[document_id]
        document.fields = {**document.fields, **changes.pop("fields", {})}
        document.status, document.finalized = "reviewed", True
        for name, value in changes.items():
            if name not in SandboxDocument.__slots__:
                raise ValueError(f"a document has no {name}")
            setattr(document, name, value)
        self.touch(document)
        self.list_anew(document)
        self.announce(document)
        return document

    def remove(self, document_id: str) -> None:
        """Delete a document: it answers 404 from now on."""
        self.unlist(self.documents.pop(document_id))

    def send_back(self, document_id: str) -> SandboxDocument:
        """Let a reviewer reopen a document: it waits for review and is not listed."""
        document = self.documents[document_id]
        document.status, document.finalized = "review_required", False
        self.touch(document)
        self.unlist(document)
        self.announce(document)
        return document

    def queue(self, document: SandboxDocument) -> None:
        """Hand a document to Numora's own delivery: it is pending, and not listed until that ends."""
        document.status = "push_pending"
        self.touch(document)
        self.unlist(document)

    def settle(self, document_id: str, status: str) -> SandboxDocument:
        """End a managed delivery the way Numora's own workflow would: ``push_succeeded`` or ``push_failed``."""
        document = self.documents[document_id]
        document.status = status
        self.touch(document)
        self.list_anew(document)
        self.end_run(document)
        return document

    def end_run(self, document: SandboxDocument) -> None:
        """Tell how a push ended, and note it in the run that made it."""
        run, document.run = document.run, None
        if run is not None:
            run.end(document.status.removeprefix("push_"), document.updated_at)
        self.announce(document)

    def look_at(self, document: SandboxDocument) -> None:
        """Let a document's run go on by one read of the document."""
        run = document.run
        if run is None or document.status != "push_pending":
            return
        if run.is_due:
            self.settle(document.id, f"push_{run.route.outcome}")
        else:
            run.reads += 1

    def touch(self, document: SandboxDocument) -> None:
        """Move the document's time of change."""
        document.updated_at = self._now()
        document.forget_encoded()

    def unlist(self, document: SandboxDocument) -> None:
        """Take a document out of the outbox."""
        self._listed.pop(document.place, None)

    def is_listed(self, document: SandboxDocument) -> bool:
        """Tell whether the outbox shows the document."""
        return document.place in self._listed

    def list_anew(self, document: SandboxDocument) -> None:
        """List a document behind all others, if it is one to be listed."""
        self.unlist(document)
        document.settled, document.stale_polls = False, 0
        if document.status in DELIVERABLE and document.finalized:
            self._places += 1
            document.place = self._places
            self._order.append(document.place)
            self._listed[document.place] = document

    def listed_after(self, place: int) -> Iterator[SandboxDocument]:
        """Walk through the listed documents behind a place, in the order they were listed."""
        if len(self._order) > 2 * len(self._listed) + 1000:
            self._order = list(self._listed)
        for position in range(bisect_right(self._order, place), len(self._order)):
            document = self._listed.get(self._order[position])
            if document is not None:
                yield document

    def _now(self) -> str:
        """Return the time, ISO 8601 with milliseconds and Z; no moment is given twice."""
        self._last_ms = max(self._last_ms + 1, int(self._clock() * 1000))
        moment = datetime.fromtimestamp(self._last_ms / 1000, UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
