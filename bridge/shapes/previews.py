"""How a preview looks from outside. Amounts are JSON numbers with their own digits, dates ISO 8601."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from bridge.delivery.model import State
from bridge.preview import Preview
from bridge.shapes.deliveries import MappingShape, ProblemShape, ReasonShape, problem_shapes
from connectors.ports import FoundRow, Operation, RowDifference
from mappings.columns import TraceStep
from mappings.plan import LookupPlan, WritePlan


class ExpectedShape(msgspec.Struct, frozen=True):
    """What a delivery would end as, and what it would do to the row, null when nothing is written."""

    state: State
    operation: Operation | None


class LookupShape(msgspec.Struct, frozen=True):
    """A reference to a row of ``table``, found by ``criteria``; null when the document has no values to look for.

    ``row`` is the row that it leads to, found ``age`` seconds ago and remembered since; null when there is none.
    """

    column: str
    table: str
    criteria: Mapping[str, Any] | None
    missing: str
    row: str | None
    age: int | None


class LineShape(msgspec.Struct, frozen=True):
    """One line, by its stable key."""

    key: str
    columns: Mapping[str, Any]


class LinesShape(msgspec.Struct, frozen=True):
    """The lines that belong to the row."""

    table: str
    rows: tuple[LineShape, ...]


class AttachmentShape(msgspec.Struct, frozen=True):
    """A file that would hang on the row."""

    url: str
    kind: str
    column: str | None


class PlanShape(msgspec.Struct, frozen=True):
    """What the mapping makes of the document, in the destination's names."""

    table: str
    columns: Mapping[str, Any]
    lookups: tuple[LookupShape, ...]
    lines: LinesShape | None
    attachments: tuple[AttachmentShape, ...]


class ColumnDifferenceShape(msgspec.Struct, frozen=True):
    """A column that would change; ``row`` is the line's id, null for the document's own row."""

    row: str | None
    column: str
    current: Any
    planned: Any


class DifferenceShape(msgspec.Struct, frozen=True):
    """How the row as it is differs from the plan; ``record_id`` is null when there is no row yet."""

    record_id: str | None
    columns: tuple[ColumnDifferenceShape, ...]
    lines_added: tuple[str, ...]
    lines_removed: tuple[str, ...]


class TraceShape(msgspec.Struct, frozen=True):
    """How one value came about: the expression, what it selected, what was done with that, and the result."""

    row: str | None
    column: str
    expression: str | None
    selected: Any
    transform: str
    result: Any
    problem: ProblemShape | None


class PreviewShape(msgspec.Struct, frozen=True, kw_only=True):
    """What a delivery would do; nothing was written.

    ``body`` is the row as it would be sent, with lookups resolved. Where nothing would be written ``problems`` or
    ``skip`` say why.
    """

    document_id: str
    schema: str
    status: str | None
    deliverable: bool
    expected: ExpectedShape
    mapping: MappingShape | None
    plan: PlanShape | None
    body: Mapping[str, Any] | None
    difference: DifferenceShape | None
    problems: tuple[ProblemShape, ...]
    skip: ReasonShape | None
    trace: tuple[TraceShape, ...]


def preview_shape(preview: Preview) -> PreviewShape:
    """Return a preview's shape."""
    document, mapping = preview.document, preview.mapping
    return PreviewShape(
        document_id=document.id,
        schema=document.schema,
        status=document.status,
        deliverable=preview.deliverable,
        expected=_expected(preview),
        mapping=MappingShape(mapping.name, mapping.digest) if mapping else None,
        plan=_plan(preview.plan, preview.found) if preview.plan else None,
        body=preview.body,
        difference=_difference(preview.difference) if preview.difference else None,
        problems=problem_shapes(preview.problems),
        skip=ReasonShape(*preview.skip) if preview.skip else None,
        trace=tuple(_trace(step) for step in preview.explanation.steps) if preview.explanation else (),
    )


def _expected(preview: Preview) -> ExpectedShape:
    if not preview.deliverable:
        return ExpectedShape(State.SUPERSEDED, None)
    if preview.problems:
        return ExpectedShape(State.FAILED, None)
    if preview.skip is not None or preview.difference is None:
        return ExpectedShape(State.SKIPPED, None)
    found = preview.difference
    if found.record_id is None:
        return ExpectedShape(State.SUCCEEDED, "created")
    changed = found.columns or found.lines_added or found.lines_removed
    return ExpectedShape(State.SUCCEEDED, "updated" if changed else "unchanged")


def _plan(plan: WritePlan, found: Sequence[FoundRow]) -> PlanShape:
    lines = plan.lines
    rows = {one.column: one for one in found}
    return PlanShape(
        plan.table,
        plan.columns,
        tuple(_lookup(lookup, rows.get(lookup.column)) for lookup in plan.lookups),
        LinesShape(lines.table, tuple(LineShape(row.key, row.columns) for row in lines.rows)) if lines else None,
        tuple(AttachmentShape(item.url, item.kind, item.column) for item in plan.attachments),
    )


def _lookup(lookup: LookupPlan, found: FoundRow | None) -> LookupShape:
    row, age = (None, None) if found is None else (found.id, round(found.age))
    return LookupShape(lookup.column, lookup.table, lookup.criteria, lookup.missing, row, age)


def _difference(difference: RowDifference) -> DifferenceShape:
    return DifferenceShape(
        difference.record_id,
        tuple(
            ColumnDifferenceShape(found.row, found.column, found.current, found.planned) for found in difference.columns
        ),
        difference.lines_added,
        difference.lines_removed,
    )


def _trace(step: TraceStep) -> TraceShape:
    problem = problem_shapes((step.problem,))[0] if step.problem else None
    return TraceShape(step.row, step.column, step.expression, step.selected, step.transform, step.result, problem)
