"""The kinds of documents that are delivered through crashes, each with what makes it particular."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Any

from bridge.sandbox import SandboxWorld
from connectors.numora.sandbox.documents import SandboxDocument, Workspace
from connectors.numora.sandbox.runs import DeliveryRoute, RunOutcome
from connectors.numora.sandbox.samples import sample_document
from tests.reliability.invariants import Content, End, content_of, lines_of

Story = Callable[[Workspace, SandboxDocument, SandboxWorld], None]
"""What happens to a document inside Numora, or to the world around it."""


@dataclass(frozen=True)
class Kind:
    """One document's story.

    With ``before``, the document as it is put in is delivered in peace, by a process of its own. Then ``story``
    happens, and what follows from it is what the crashes strike. ``end`` is what must have become of the document, with
    ``revisions`` contents delivered in all and ``callbacks`` outcomes reported. Numora lists a document that it took a
    report of ``stale_polls`` times more. Where Numora delivers by its own means, it is asked ``runs`` times in all.
    """

    name: str
    tenant: str
    story: Story
    document: Callable[[], SandboxDocument]
    end: End = "succeeded"
    before: bool = False
    row: bool = True
    revisions: int = 1
    callbacks: int = 1
    stale_polls: int = 0
    runs: int | None = None

    def content(self, document: SandboxDocument) -> Content | None:
        """Return what the row must hold in the end."""
        return content_of(document) if self.row else None


def _invoice(lines: int = 3) -> SandboxDocument:
    document = sample_document("invoice_v2", 1, Random(f"{lines}"))
    template = lines_of(document)[0]
    document.line_items = [_line(template, number) for number in range(1, lines + 1)]
    return document


def _line(template: dict[str, Any], number: int) -> dict[str, Any]:
    return {
        **template,
        "id": f"li_{number}",
        "description": {"value": f"Line {number}", "confidence": 1},
        "amount": {"value": number * 10, "confidence": 1},
    }


def _receipt() -> SandboxDocument:
    return sample_document("receipt_v1", 1, Random(1))


def _undated() -> SandboxDocument:
    document = _invoice()
    document.fields["invoice_date"] = {"value": "the day before yesterday", "confidence": 1}
    return document


def _unknown_vendor() -> SandboxDocument:
    document = _invoice()
    document.metadata = {"vendor_code": "V-9999"}
    return document


def _new_vendor() -> SandboxDocument:
    document = _invoice()
    document.fields["vendor_name"] = {"value": "Unheard-of & Sons", "confidence": 1}
    return document


def _listed(workspace: Workspace, document: SandboxDocument, world: SandboxWorld) -> None:
    """It is listed, and that is all."""


def _amended(workspace: Workspace, document: SandboxDocument, world: SandboxWorld) -> None:
    """The reviewer changed a total, an amount of a line, took a line away and added two."""
    first, _, third = lines_of(document)
    workspace.amend(
        document.id,
        fields={"total_amount": {"value": "4,321.00", "confidence": 1}},
        line_items=[{**first, "amount": {"value": 77, "confidence": 1}}, third, _line(first, 4), _line(first, 5)],
    )


def _redated(workspace: Workspace, document: SandboxDocument, world: SandboxWorld) -> None:
    """The reviewer put in a date that can be read."""
    workspace.amend(document.id, fields={"invoice_date": {"value": "2026-03-01", "confidence": 1}})


def _reopened(workspace: Workspace, document: SandboxDocument, world: SandboxWorld) -> None:
    """The reviewer reopened the document after it was listed, and the outbox has not noticed yet."""
    stale_row = document.row()
    document.status = "review_required"
    document.forget_encoded()
    document.keep_row(stale_row)


def _routed(outcome: RunOutcome) -> Story:
    """Numora's own deliveries end so, once the document was read as pending."""

    def story(workspace: Workspace, _: SandboxDocument, __: SandboxWorld) -> None:
        workspace.route = DeliveryRoute("workflow", outcome)

    return story


def _and(*stories: Story) -> Story:
    def story(workspace: Workspace, document: SandboxDocument, world: SandboxWorld) -> None:
        for one in stories:
            one(workspace, document, world)

    return story


def _fault(sandbox: str, kind: str, path: str) -> Story:
    """The next request to this path meets a fault."""

    def story(_: Workspace, __: SandboxDocument, world: SandboxWorld) -> None:
        getattr(world, sandbox).faults.add(kind, times=1, method="POST", path=path)

    return story


_CREATE = r"/numora_invoices$"
_BATCH = r"/\$batch$"
_CALLBACK = r"/delivery$"
_DISPATCH = r"/dispatch$"


def _managed(name: str, *stories: Story, end: End = "succeeded", runs: int = 1, before: bool = False) -> Kind:
    """One that Numora delivers by its own means."""
    outcome: RunOutcome = "failed" if end == "failed" else "succeeded"
    story = _and(_routed(outcome), *stories)
    return Kind(name, "managed", story, _receipt, end, before, row=False, callbacks=0, runs=runs)


KINDS = (
    Kind("a receipt is created", "plain", _listed, _receipt),
    Kind("an invoice is created with its lines", "plain", _listed, _invoice),
    Kind("an invoice with many lines is created as a change set", "batched", _listed, lambda: _invoice(5)),
    Kind("an invoice has an alternate key", "keyed", _listed, _invoice),
    Kind("an invoice brings a new vendor", "creating", _listed, _new_vendor),
    Kind("an invoice is corrected", "plain", _amended, _invoice, before=True, revisions=2, callbacks=2),
    Kind(
        "an invoice with an alternate key is corrected",
        "keyed",
        _amended,
        _invoice,
        before=True,
        revisions=2,
        callbacks=2,
    ),
    Kind("an invoice is rejected by the mapping", "plain", _listed, _undated, end="failed", row=False),
    Kind("a rejected invoice is listed again", "plain", _listed, _undated, end="failed", row=False, before=True),
    Kind("a rejected invoice is mended", "plain", _redated, _undated, before=True, callbacks=2),
    Kind("an invoice is skipped by its lookup", "skipping", _listed, _unknown_vendor, end="skipped", row=False),
    Kind("an invoice was reopened meanwhile", "plain", _reopened, _invoice, end="superseded", row=False, callbacks=0),
    Kind("a delivered invoice is listed again", "plain", _listed, _invoice, before=True, stale_polls=1),
    Kind("the answer to a create is lost", "plain", _fault("dataverse", "reset_after", _CREATE), _invoice),
    Kind(
        "the answer to a create by alternate key is lost",
        "keyed",
        _fault("dataverse", "reset_after", _CREATE),
        _invoice,
    ),
    Kind(
        "the answer to a correction is lost",
        "plain",
        _and(_amended, _fault("dataverse", "reset_after", _BATCH)),
        _invoice,
        before=True,
        revisions=2,
        callbacks=2,
    ),
    Kind("the answer to a callback is lost", "plain", _fault("numora", "reset_after", _CALLBACK), _receipt),
    _managed("a receipt is dispatched"),
    _managed("a dispatched receipt fails", end="failed"),
    _managed("the answer to a dispatch is lost", _fault("numora", "reset_after", _DISPATCH)),
    _managed("a dispatch had no effect", _fault("numora", "reset_before", _DISPATCH)),
)
"""Every kind; the names are those of the table in docs/reliability.md."""

LATE = tuple(
    (kind, write)
    for kind in KINDS
    for name, write in (
        ("an invoice is created with its lines", _CREATE),
        ("an invoice with many lines is created as a change set", _BATCH),
        ("an invoice has an alternate key", _CREATE),
        ("an invoice brings a new vendor", r"/accounts$"),
        ("an invoice is corrected", _BATCH),
    )
    if kind.name == name
)
"""Kinds whose write may commit late, with the expression that finds it among the requests to Dataverse."""
