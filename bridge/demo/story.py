"""The documents of the demo, and the misfortunes that wait for them."""

from dataclasses import dataclass, replace
from decimal import Decimal
from random import Random
from typing import Final

from bridge.sandbox import SandboxWorld
from connectors.numora.sandbox.documents import SandboxDocument
from connectors.numora.sandbox.samples import SCHEMAS, sample_document, sample_invoices

TENANT: Final = "acme"
DOCUMENTS: Final = 25
TABLES: Final = {"invoice_v2": "numora_invoice", "receipt_v1": "numora_receipt", "contract_v1": "numora_contract"}
LINES_TABLE: Final = "numora_invoiceline"

_NAME_FIELDS = {"invoice_v2": "invoice_number", "receipt_v1": "receipt_number", "contract_v1": "contract_number"}
_SEED = 7
_MANY_LINES = 60


@dataclass(frozen=True, slots=True)
class Story:
    """Sample documents of all three schemas, and the ids of those to which something happens.

    ``rejected`` holds what cannot be written, ``skipped`` is marked as a duplicate. ``struck`` has so many lines that
    it goes as a change set; the answer to that is lost, and its first report meets a 503.
    """

    documents: tuple[SandboxDocument, ...]
    rejected: str
    skipped: str
    struck: str

    @property
    def delivered(self) -> tuple[SandboxDocument, ...]:
        """The documents that are to have a row in the end."""
        return tuple(one for one in self.documents if one.id not in {self.rejected, self.skipped})

    def name_of(self, document_id: str) -> str:
        """Return how a person calls a document: by its number."""
        document = next(one for one in self.documents if one.id == document_id)
        return str(document.fields[_NAME_FIELDS[document.schema]]["value"])


def write_story() -> Story:
    """Return the story; it is the same every time."""
    random = Random(_SEED)
    documents = [sample_document(SCHEMAS[place % 3], place + 1, random) for place in range(DOCUMENTS)]
    struck = 0
    rejected, skipped = 9, 13
    (many_lines,) = sample_invoices(1, seed=_SEED, lines=_MANY_LINES)
    documents[struck] = replace(many_lines, id=documents[struck].id, external_id=documents[struck].external_id)
    documents[rejected].fields |= {
        "invoice_date": {"value": "31 February", "confidence": Decimal("0.62")},
        "total_amount": {"value": "1.234,50", "confidence": Decimal("0.41")},
    }
    documents[skipped].duplicate_of = documents[skipped - 3].id
    return Story(tuple(documents), documents[rejected].id, documents[skipped].id, documents[struck].id)


def stage(story: Story, world: SandboxWorld) -> None:
    """Put the documents into Numora's outbox, and let the misfortunes wait."""
    workspace = world.workspace(TENANT)
    for document in story.documents:
        workspace.add(document)
    # No other document has so many lines that it is written by a change set.
    world.dataverse.faults.add("reset_after", method="POST", path=r"/\$batch$", times=1)
    report = f"/v1/documents/{story.struck}/delivery$"
    world.numora.faults.add("status_before", status=503, method="POST", path=report, times=1)
