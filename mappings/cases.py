"""The ``tests:`` inside a mapping file: documents written short, and what the mapping should make of them."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, ClassVar
from uuid import UUID

from mappings.cells import confidence_of, split_cells
from mappings.compiled import CompiledMapping
from mappings.document import Document, LineItem
from mappings.model import CaseDocument, Expectation, ExpectedProblem
from mappings.plan import LookupPlan, MappingResult, Problem, Rejection, Skip, WritePlan


@dataclass(frozen=True, slots=True)
class TestResult:
    """How one test of a mapping file ended; every difference is a sentence."""

    __test__: ClassVar[bool] = False

    name: str
    passed: bool
    differences: tuple[str, ...] = ()


def run_tests(mapping: CompiledMapping) -> tuple[TestResult, ...]:
    """Run the tests that the mapping's file holds, in their order."""
    results = []
    for case in mapping.parts.tests:
        result = mapping.apply(document_of(case.document, mapping.schema))
        differences = tuple(_differences(case.expect, result))
        results.append(TestResult(case.name, not differences, differences))
    return tuple(results)


def document_of(case: CaseDocument, schema: str) -> Document:
    """Return the document that a test describes. Dates become their ISO text, since documents carry text."""
    fields, confidences = split_cells(_as_json(case.fields))
    told = {name: confidence_of(number) for name, number in _as_json(case.confidences).items()}
    confidences |= {name: number for name, number in told.items() if number is not None}
    return Document(
        id=case.id or "test-document",
        schema=case.schema_ or schema,
        status=case.status,
        external_id=case.external_id,
        updated_at=None if case.updated_at is None else str(_as_json(case.updated_at)),
        metadata=_as_json(case.metadata),
        confidence=case.confidence,
        duplicate_of=case.duplicate_of,
        fields=fields,
        confidences=confidences,
        line_items=tuple(_line_item(row) for row in case.line_items),
        review_state=None if case.review_state is None else _as_json(case.review_state),
    )


def _line_item(row: Any) -> LineItem:
    return LineItem(*split_cells(_as_json(row if isinstance(row, dict) else {"value": row})))


def _as_json(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(_as_json(key)): _as_json(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_as_json(item) for item in value]
    return value.isoformat() if isinstance(value, date) else value


def _differences(expect: Expectation, result: MappingResult) -> Iterator[str]:
    if isinstance(result, WritePlan):
        yield from _plan_differences(expect, result)
    elif isinstance(result, Rejection):
        yield from _rejection_differences(expect, result.problems)
    else:
        yield from _skip_differences(expect, result)


def _skip_differences(expect: Expectation, skip: Skip) -> Iterator[str]:
    if expect.skip is None:
        yield f"the document is skipped ({skip.code}): {skip.message}"
        return
    if expect.skip != skip.code:
        yield f"the document is skipped with {skip.code}, and not with {expect.skip}"
    if expect.problems:
        yield "problems are expected, and the document is skipped"
    if _expects_a_plan(expect):
        yield "columns, lookups, lines or attachments are expected, and the document is skipped"


def _rejection_differences(expect: Expectation, problems: Sequence[Problem]) -> Iterator[str]:
    if expect.skip is not None:
        yield f"the document is rejected, and not skipped with {expect.skip}"
    if expect.problems is None or expect.skip is not None:
        yield from (f"the document is rejected: {_problem(problem)}" for problem in problems)
        return
    pairs = _pairs(expect.problems, problems)
    for index, wanted in enumerate(expect.problems):
        if index not in pairs.values():
            yield f"the problem {_wanted(wanted)} is expected, and is not there"
    for place, problem in enumerate(problems):
        if place not in pairs:
            yield f"the problem is not expected: {_problem(problem)}"
    if _expects_a_plan(expect):
        yield "columns, lookups, lines or attachments are expected, and the document is rejected"


def _expects_a_plan(expect: Expectation) -> bool:
    """Tell whether something is expected that only a document has which is delivered."""
    return any(part is not None for part in (expect.columns, expect.lookups, expect.lines, expect.attachments))


def _pairs(wanted: Sequence[ExpectedProblem], problems: Sequence[Problem]) -> dict[int, int]:
    """Return which problem, by its place, is which expected one, by its index: as many pairs as there can be.

    One that is expected by its code alone leaves a problem to another that fits no other.
    """
    pairs: dict[int, int] = {}

    def pair(index: int, tried: set[int]) -> bool:
        for place, problem in enumerate(problems):
            if place in tried or not _matches(wanted[index], problem):
                continue
            tried.add(place)
            if place not in pairs or pair(pairs[place], tried):
                pairs[place] = index
                return True
        return False

    for index in range(len(wanted)):
        pair(index, set())
    return pairs


def _plan_differences(expect: Expectation, plan: WritePlan) -> Iterator[str]:
    if expect.skip is not None:
        yield f"the document is delivered, and not skipped with {expect.skip}"
    for wanted in expect.problems or ():
        yield f"the problem {_wanted(wanted)} is expected, and the document is delivered"
    if expect.columns is not None:
        yield from _row_differences("column", expect.columns, plan.columns)
    if expect.lookups is not None:
        yield from _lookup_differences(expect.lookups, plan.lookups)
    if expect.lines is not None:
        yield from _line_differences(expect.lines, plan)
    if expect.attachments is not None:
        urls = [attachment.url for attachment in plan.attachments]
        if urls != expect.attachments:
            yield f"the attachments are {urls}, and not {expect.attachments}"


def _row_differences(what: str, wanted: Mapping[Any, Any], got: Mapping[str, Any]) -> Iterator[str]:
    for name, value in wanted.items():
        if name not in got:
            yield f"{what} {name}: the mapping does not set it"
        elif not _equal(value, got[name]):
            yield f"{what} {name} is {_shown(got[name])}, and not {_shown(value)}"


def _lookup_differences(wanted: Mapping[str, Mapping[Any, Any] | None], lookups: Sequence[LookupPlan]) -> Iterator[str]:
    got = {lookup.column: lookup.criteria for lookup in lookups}
    for column, criteria in wanted.items():
        if column not in got:
            yield f"lookup {column}: the mapping does not have it"
            continue
        found = got[column]
        if found is None or criteria is None:
            if found != criteria:
                yield f"lookup {column} goes by {_criteria(found)}, and not by {_criteria(criteria)}"
        elif found.keys() != criteria.keys() or not all(_equal(value, found[name]) for name, value in criteria.items()):
            yield f"lookup {column} goes by {_criteria(found)}, and not by {_criteria(criteria)}"


def _line_differences(wanted: Sequence[Mapping[Any, Any]], plan: WritePlan) -> Iterator[str]:
    rows = plan.lines.rows if plan.lines else ()
    if len(rows) != len(wanted):
        yield f"there are {len(rows)} lines, and not {len(wanted)}"
    for number, (columns, row) in enumerate(zip(wanted, rows, strict=False), 1):
        yield from _row_differences(f"line {number} ({row.key}), column", columns, row.columns)


def _equal(wanted: Any, got: Any) -> bool:
    if isinstance(got, bool) or isinstance(wanted, bool):
        return wanted is got
    if isinstance(got, (int, Decimal)) and isinstance(wanted, (int, Decimal)):
        return wanted == got
    if isinstance(got, datetime):
        # Between zones, a moment in the hour that a clock repeats equals no other: it is compared in one zone.
        moment = _moment(wanted)
        return moment is not None and moment.astimezone(UTC) == got.astimezone(UTC)
    if isinstance(got, date):
        return bool(wanted == got or wanted == got.isoformat())
    if isinstance(got, UUID):
        return str(wanted).strip("{}").lower() == str(got)
    if isinstance(got, str) and isinstance(wanted, date):
        return got == wanted.isoformat()
    return type(wanted) is type(got) and bool(wanted == got)


def _moment(wanted: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(wanted) if isinstance(wanted, str) else None
    except ValueError:
        return None
    return moment if moment is not None and moment.tzinfo is not None else None


def _matches(wanted: ExpectedProblem, problem: Problem) -> bool:
    return (
        wanted.field in {None, problem.field}
        and wanted.column in {None, problem.column}
        and wanted.code in {None, problem.code}
        and wanted.message in {None, problem.message}
    )


def _wanted(wanted: ExpectedProblem) -> str:
    given = wanted.model_dump(exclude_none=True)
    return ", ".join(f"{key} {value}" for key, value in given.items()) or "of any kind"


def _problem(problem: Problem) -> str:
    place = " → ".join(name for name in (problem.field, problem.column) if name)
    return f"{place}: {problem.message} [{problem.code}]" if place else f"{problem.message} [{problem.code}]"


def _criteria(criteria: Mapping[Any, Any] | None) -> str:
    if criteria is None:
        return "nothing"
    return ", ".join(f"{name} = {_shown(value)}" for name, value in criteria.items())


def _shown(value: Any) -> str:
    if value is None:
        return "empty"
    if isinstance(value, str):
        return f"“{value}”"
    if isinstance(value, (bool, date)):
        return value.isoformat() if isinstance(value, date) else str(value).lower()
    return str(value)
