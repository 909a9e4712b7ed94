"""Documents that keep coming: new ones, amended ones, rejected and mended ones, and what must become of each."""

from collections.abc import Iterator, Sequence
from random import Random

from bridge.sandbox import SandboxWorld
from connectors.numora.sandbox.documents import SandboxDocument, Workspace
from connectors.numora.sandbox.samples import SCHEMAS, sample_document
from tests.reliability.invariants import End, Expected, content_of, lines_of

_TOTAL = {"invoice_v2": "total_amount", "receipt_v1": "total_amount", "contract_v1": "contract_value"}


class Flow:
    """The documents of several tenants. Equal seeds give equal documents, and equal decisions on equal chances.

    One in ten is an invoice without a readable date and is rejected; one in ten repeats another one and is skipped.
    """

    def __init__(self, world: SandboxWorld, tenants: Sequence[str], seed: int) -> None:
        self._world = world
        self._tenants = tenants
        self._random = Random(seed)
        self._tenant_of: dict[str, str] = {}
        self._ends: dict[str, End] = {}
        self._contents: dict[str, int] = {}
        self._callbacks: dict[str, int] = {}
        self.amended = 0
        self.mended = 0

    def __len__(self) -> int:
        return len(self._tenant_of)

    def add(self, count: int = 1) -> None:
        """Let Numora list new documents."""
        for _ in range(count):
            number = len(self) + 1
            chance = self._random.random()
            rejected, skipped = chance < 0.1, 0.1 <= chance < 0.2
            schema = "invoice_v2" if rejected else SCHEMAS[number % 3]
            document = sample_document(schema, number, self._random)
            if rejected:
                document.fields["invoice_date"] = {"value": "soon", "confidence": 1}
            if skipped:
                document.duplicate_of = "another"
            tenant = self._tenants[number % len(self._tenants)]
            self._tenant_of[document.id] = tenant
            self._ends[document.id] = "failed" if rejected else "skipped" if skipped else "succeeded"
            self._contents[document.id] = 1
            self._callbacks[document.id] = 1
            self._world.workspace(tenant).add(document)

    def amend_one(self) -> None:
        """Let a reviewer change a document that was delivered, or mend one that was rejected; once each."""
        settled = [
            (id_, document)
            for id_, document in self._documents()
            if self._callbacks[id_] == 1 and document.status in {"push_succeeded", "push_failed"}
        ]
        if not settled:
            return
        rejected = [one for one in settled if one[1].status == "push_failed"]
        id_, document = self._random.choice(rejected if rejected and self._random.random() < 0.3 else settled)
        workspace = self._workspace_of(id_)
        if document.status == "push_failed":
            workspace.amend(id_, fields={"invoice_date": {"value": "2026-05-05", "confidence": 1}})
            self._ends[id_] = "succeeded"
            self.mended += 1
        else:
            self._correct(workspace, document)
            self._contents[id_] = 2
            self.amended += 1
        self._callbacks[id_] = 2

    def _correct(self, workspace: Workspace, document: SandboxDocument) -> None:
        changed = {_TOTAL[document.schema]: {"value": f"{self._random.randint(1, 9_999)}.50", "confidence": 1}}
        lines = lines_of(document)
        if not lines:
            workspace.amend(document.id, fields=changed)
            return
        first = {**lines[0], "amount": {"value": self._random.randint(1, 9_999), "confidence": 1}}
        added = {**lines[0], "id": "li_added"}
        workspace.amend(document.id, fields=changed, line_items=[first, *lines[1:-1], added])

    def reported(self) -> int:
        """Count the outcomes that Numora has recorded."""
        return sum(len(document.accepted) for _, document in self._documents())

    @property
    def outcomes(self) -> int:
        """How many outcomes there will be in the end."""
        return sum(self._callbacks.values())

    def outstanding(self) -> int:
        """Count the outcomes that Numora has still to learn of."""
        return self.outcomes - self.reported()

    def let_rest(self) -> None:
        """Let the outbox list no more what was rejected and stays so."""
        for id_, document in self._documents():
            if document.status == "push_failed" and self._ends[id_] == "failed":
                self._workspace_of(id_).unlist(document)

    def expected(self) -> Iterator[Expected]:
        """Tell what must have become of every document."""
        for id_, document in self._documents():
            end = self._ends[id_]
            content = content_of(document) if end == "succeeded" else None
            yield Expected(self._tenant_of[id_], id_, end, content, self._contents[id_], self._callbacks[id_])

    def _documents(self) -> Iterator[tuple[str, SandboxDocument]]:
        for id_ in self._tenant_of:
            yield id_, self._workspace_of(id_).documents[id_]

    def _workspace_of(self, document_id: str) -> Workspace:
        return self._world.workspace(self._tenant_of[document_id])
