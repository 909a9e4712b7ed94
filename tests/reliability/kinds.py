"""The kinds of documents that are delivered through crashes, each with what makes it particular."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from bridge.sandbox import SandboxWorld
from connectors.numora.sandbox.documents import SandboxDocument, Workspace
from connectors.numora.sandbox.samples import VENDORS, sample_document
from tests.reliability.invariants import Content, End, content_of


@dataclass(frozen=True)
class Kind:
    """One document's story. ``before`` happens in peace: what it puts in is delivered to its end by a process of its own.

    ``story`` happens then, and is what the crashes strike. ``end`` is what must have become of the document; with
    ``revisions`` contents delivered in all and ``callbacks`` outcomes reported.
    """

    name: str
    tenant: str
    story: Callable[[Workspace, SandboxDocument, SandboxWorld], None]
    document: Callable[[], SandboxDocument]
    end: End = "succeeded"
    before: bool = False
    row: bool = True
    revisions: int = 1
    callbacks: int = 1

    def content(self, document: SandboxDocument) -> Content | None:
        """Return what the row must hold in the end."""
        return content_of(document) if self.row else None


def _invoice(lines: int = 3) -> SandboxDocument:
    document = sample_document("invoice_v2", 1, Random(f"{lines}"))
    assert isinstance(document.line_items, list)
    template = document.line_items[0]
    document.line_items = [_line(template, number) for number in range(1, lines + 1)]
    return document


def _line(template: dict, number: int) -> dict:
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
    first, _, third = document.line_items
    workspace.amend(
        document.id,
        fields={"total_amount": {"value": "4,321.00", "confidence": 1}},
        line_items=[{**first, "amount": {"value": 77, "confidence": 1}}, third, _line(first, 4), _line(first, 5)],
    )


def _fault(sandbox: str, kind: str, path: str, method: str = "POST", **more: object) -> Callable[..., None]:
    def story(_: Workspace, __: SandboxDocument, world: SandboxWorld) -> None:
        getattr(world, sandbox).faults.add(kind, times=1, method=method, path=path, **more)

    return story


KINDS = (
    Kind("a receipt is created", "plain", _listed, _receipt),
    Kind("an invoice is created with its lines", "plain", _listed, _invoice),
    Kind("an invoice with many lines is created as a change set", "batched", _listed, lambda: _invoice(5)),
    Kind("an invoice is corrected", "plain", _amended, _invoice, before=True, revisions=2, callbacks=2),
    Kind("an invoice is rejected by the mapping", "plain", _listed, _undated, end="failed", row=False),
    Kind("an invoice is skipped by its lookup", "skipping", _listed, _unknown_vendor, end="skipped", row=False),
    Kind("an invoice has an alternate key", "keyed", _listed, _invoice),
    Kind("an invoice brings a new vendor", "creating", _listed, _new_vendor),
    Kind("the answer to a create is lost", "plain", _fault("dataverse", "reset_after", "numora_invoices$"), _invoice),
    Kind("the answer to a callback is lost", "plain", _fault("numora", "reset_after", "delivery$"), _receipt),
    Kind("a create takes effect late", "plain", _fault("dataverse", "hang", "numora_invoices$", delay=0.02), _invoice),
)
