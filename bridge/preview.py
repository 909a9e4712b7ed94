"""What a delivery would do, without doing it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from bridge.actions.asked import UnsupportedError
from bridge.pipeline.journal import NoJournal
from bridge.pipeline.lane import Lane
from bridge.pipeline.problems import every_problem
from bridge.pipeline.runner import unmapped
from connectors.outcome import RejectedError, SkippedError
from connectors.ports import DocumentKey, FoundRow, KnownRow, Listing, RowDifference
from mappings.compiled import CompiledMapping, Explanation
from mappings.document import Document
from mappings.plan import Problem, Rejection, Skip, WritePlan


@dataclass(frozen=True, slots=True)
class Preview:
    """What would become of a document.

    ``plan`` and ``body`` are None when there would be no write: then ``problems`` or ``skip`` (code and message) say
    why. ``difference`` holds the row as it is against the plan; ``explanation`` how each column came about; ``found``
    the rows that lookups led to.
    """

    document: Document
    deliverable: bool
    mapping: CompiledMapping | None
    explanation: Explanation | None = None
    plan: WritePlan | None = None
    body: Mapping[str, Any] | None = None
    difference: RowDifference | None = None
    problems: tuple[Problem, ...] = ()
    skip: tuple[str, str] | None = None
    found: tuple[FoundRow, ...] = ()


async def preview(lane: Lane, document_id: str, known: KnownRow) -> Preview | None:
    """Fetch, map and compare; nothing is written. None when the source has no such document.

    Raises ``OutcomeError``s when a side cannot be asked, and ``UnsupportedError`` (``managed_mode``) for a tenant whose
    source delivers by its own means.
    """
    if lane.managed:
        raise UnsupportedError(
            "managed_mode",
            "The source delivers this tenant's documents by its own means (`mode: managed`), so the bridge has no "
            "write to show. Look at the source.",
        )
    journal = NoJournal()
    document = await lane.source.fetch(Listing(document_id), journal)
    if document is None:
        return None
    deliverable = lane.source.is_deliverable(document.status)
    mapping = lane.mappings.get(document.schema)
    if mapping is None:
        return Preview(document, deliverable, None, problems=(unmapped(document.schema),))
    explanation = mapping.explain(document)
    plan = explanation.result
    if isinstance(plan, Skip):
        return Preview(document, deliverable, mapping, explanation, skip=(plan.code, plan.message))
    key = DocumentKey(lane.tenant, document.id)
    if isinstance(plan, Rejection):
        problems = await every_problem(lane.destination, plan, key, journal)
        return Preview(document, deliverable, mapping, explanation, problems=problems)
    await lane.verify(mapping)
    try:
        prepared = await lane.destination.prepare(plan, key, journal, create_missing=False)
    except RejectedError as error:
        return Preview(document, deliverable, mapping, explanation, plan, problems=error.problems)
    except SkippedError as error:
        return Preview(document, deliverable, mapping, explanation, plan, skip=(error.code, error.message))
    difference = await lane.destination.compare(prepared, known, journal)
    found = tuple(prepared.found)
    return Preview(document, deliverable, mapping, explanation, plan, prepared.body, difference, found=found)
