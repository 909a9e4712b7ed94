"""What every destination promises: one document, one row, one effect, whatever happens on the way.

Oracle: the sandbox's journal of committed effects and its rows, looked at behind the destination's back. Doubles: none
but the sandbox. The destinations, and what they share, are in ``conftest.py``.
"""

import asyncio
from collections import Counter
from decimal import Decimal
from typing import Any

import pytest

from connectors.outcome import RejectedError, ThrottledError, TransientError, UnknownOutcomeError
from connectors.ports import DocumentKey, KnownRow

KEY = DocumentKey("acme", "doc-1")
NOTHING = KnownRow()

LOST_ANSWERS = ["reset_after", "status_after", "truncated", "html_502_after", "hang_after"]
NOTHING_DONE = ["reset_before", "status_before", "html_502", "hang"]


def known_of(result: Any, prepared: Any, *, may_exist: bool = False) -> KnownRow:
    return KnownRow(result.record_id, prepared.line_ids, may_exist=may_exist)


def effects_per_row(target: Any) -> int:
    """The largest number of times that any row met the same kind of effect."""
    return max(Counter(target.effects()).values())


async def write(target: Any, log: Any, plan: Any, known: KnownRow = NOTHING) -> Any:
    prepared = await target.destination.prepare(plan, KEY, log)
    return prepared, await target.destination.write(prepared, known, log)


async def test_a_new_document_becomes_one_row_with_its_lines(target: Any, log: Any) -> None:
    prepared, result = await write(target, log, target.plan())
    assert result.operation == "created"
    assert result.record_id in result.url
    assert target.row(result.record_id) == {"name": "INV-1", "total": Decimal("12.50"), "vendor": None}
    assert target.lines(result.record_id) == dict(zip(prepared_ids(prepared), ["Paper", "Ink"], strict=True))
    assert len(target.effects()) == 3


def prepared_ids(prepared: Any) -> list[str]:
    return [row.id for row in prepared.lines.rows]


async def test_a_document_is_journalled_before_it_is_sent_and_costs_one_request(target: Any, log: Any) -> None:
    await write(target, log, target.plan())
    assert len(log.mutating) == 1
    assert [outcome.id for outcome in log.outcomes] == [request.id for request in log.opened]
    log.opened.clear()
    await write(target, log, target.plan(), KnownRow(may_exist=True))
    assert not log.mutating


@pytest.mark.parametrize("may_exist", [False, True])
async def test_a_document_written_twice_is_one_row(target: Any, log: Any, *, may_exist: bool) -> None:
    """Whether the ledger remembers the first write or was lost with the machine."""
    await write(target, log, target.plan())
    effects = target.effects()
    _, again = await write(target, log, target.plan(), KnownRow(may_exist=may_exist))
    assert again.operation == ("created" if may_exist else "unchanged")
    assert target.rows() == 1
    assert target.effects() == effects


@pytest.mark.parametrize("fault", LOST_ANSWERS + NOTHING_DONE)
async def test_a_create_without_an_answer_is_resolved_without_a_second_row(
    target: Any, log: Any, deliver: Any, fault: str
) -> None:
    """A crash, a lost connection, a proxy's error page, a silence: before or after the effect."""
    target.fail(fault)
    result = await deliver(target.plan())
    assert result.operation == "created"
    assert target.rows() == 1
    assert len(target.lines(result.record_id)) == 2
    assert effects_per_row(target) == 1
    assert len(target.effects()) == 3


@pytest.mark.parametrize("fault", LOST_ANSWERS)
async def test_a_write_that_may_have_had_its_effect_is_called_unknown(target: Any, log: Any, fault: str) -> None:
    target.fail(fault)
    prepared = await target.destination.prepare(target.plan(), KEY, log)
    with pytest.raises(UnknownOutcomeError):
        await target.destination.write(prepared, NOTHING, log)
    assert target.rows() == 1


@pytest.mark.parametrize("fault", LOST_ANSWERS + NOTHING_DONE)
async def test_a_correction_without_an_answer_is_made_once(target: Any, log: Any, deliver: Any, fault: str) -> None:
    prepared, first = await write(target, log, target.plan())
    before = len(target.effects())
    target.fail(fault)
    plan = target.plan(total="13.75", lines={"li_2": "Black ink", "li_3": "Pens"})
    result = await deliver(plan, known_of(first, prepared))
    assert result.record_id == first.record_id
    assert target.row(result.record_id)["total"] == Decimal("13.75")
    assert sorted(target.lines(result.record_id).values()) == ["Black ink", "Pens"]
    kinds = Counter(kind for kind, _ in target.effects()[before:])
    assert kinds == {"update": 2, "create": 1, "delete": 1}


async def test_a_correction_changes_what_differs_and_nothing_else(target: Any, log: Any) -> None:
    prepared, first = await write(target, log, target.plan())
    before = len(target.effects())
    _, result = await write(target, log, target.plan(total="99"), known_of(first, prepared))
    assert result.operation == "updated"
    assert target.effects()[before:] == [("update", first.record_id)]


async def test_a_correction_of_a_line_leaves_the_row_itself_alone(target: Any, log: Any) -> None:
    """The customer's own logic on the document's row does not run for nothing."""
    prepared, first = await write(target, log, target.plan())
    before = len(target.effects())
    await write(target, log, target.plan(lines={"li_1": "Card", "li_2": "Ink"}), known_of(first, prepared))
    assert target.effects()[before:] == [("update", prepared_ids(prepared)[0])]


async def test_an_equal_document_is_left_alone(target: Any, log: Any) -> None:
    prepared, first = await write(target, log, target.plan())
    log.opened.clear()
    _, result = await write(target, log, target.plan(), known_of(first, prepared))
    assert result.operation == "unchanged"
    assert not log.mutating


async def test_lines_that_a_person_added_are_never_removed(target: Any, log: Any) -> None:
    prepared, first = await write(target, log, target.plan())
    foreign = target.add_foreign_line(first.record_id, "By hand")
    await write(target, log, target.plan(lines={}), known_of(first, prepared))
    assert target.lines(first.record_id) == {foreign: "By hand"}


async def test_what_another_changed_meanwhile_is_read_again_and_not_overwritten_blindly(target: Any, log: Any) -> None:
    prepared, first = await write(target, log, target.plan())
    known = known_of(first, prepared)
    changed = await target.destination.prepare(target.plan(total="99"), KEY, log)

    class Meddler:
        """Changes the row between the read and the correction."""

        async def opening(self, request: Any) -> None:
            if request.mutating:
                target.change_by_hand(first.record_id, "By hand")

        def closed(self, outcome: Any) -> None:
            pass

    with pytest.raises(TransientError) as error:
        await target.destination.write(changed, known, Meddler())
    assert error.value.code == "row_changed"
    assert target.row(first.record_id)["total"] == Decimal("12.50")
    result = await target.destination.write(changed, known, log)
    assert result.operation == "updated"
    assert target.row(first.record_id)["name"] == "INV-1"


async def test_a_row_that_was_deleted_is_written_anew(target: Any, log: Any) -> None:
    prepared, first = await write(target, log, target.plan())
    target.delete(first.record_id)
    _, result = await write(target, log, target.plan(), known_of(first, prepared))
    assert result.operation == "created"
    assert target.rows() == 1
    assert len(target.lines(result.record_id)) == 2


async def test_two_writers_of_the_same_content_make_one_row(target: Any, log: Any) -> None:
    results = await asyncio.gather(*(write(target, log, target.plan()) for _ in range(4)))
    assert {result.record_id for _, result in results} == {results[0][1].record_id}
    assert sorted(result.operation for _, result in results) == ["created", "unchanged", "unchanged", "unchanged"]
    assert effects_per_row(target) == 1


async def test_two_writers_of_different_content_leave_the_content_of_one_of_them(
    target: Any, log: Any, deliver: Any
) -> None:
    plans = [target.plan(total=f"{number}", lines={"li_1": f"{number}.00"}) for number in range(1, 4)]
    results = await asyncio.gather(*(deliver(plan, tries=8) for plan in plans))
    (record_id,) = {result.record_id for result in results}
    assert target.rows() == 1
    assert list(target.lines(record_id).values()) == [str(target.row(record_id)["total"])]
    assert Counter(kind for kind, _ in target.effects())["create"] == 2


async def test_documents_of_different_tenants_are_different_rows(target: Any, log: Any) -> None:
    one = await target.destination.prepare(target.plan(), DocumentKey("acme", "doc-1"), log)
    other = await target.destination.prepare(target.plan(), DocumentKey("zeta", "doc-1"), log)
    assert not one.line_ids & other.line_ids
    await target.destination.write(one, NOTHING, log)
    await target.destination.write(other, NOTHING, log)
    assert target.rows() == 2


async def test_a_refusal_of_the_data_names_the_reviewers_field(target: Any, log: Any) -> None:
    with pytest.raises(RejectedError) as error:
        await write(target, log, target.plan(name="x" * 101, total="1.005"))
    problems = {(problem.field, problem.code) for problem in error.value.problems}
    assert problems == {("invoice_number", "text_too_long"), ("total_amount", "too_many_decimals")}
    assert target.rows() == 0


async def test_a_throttled_write_is_not_made(target: Any, log: Any, deliver: Any) -> None:
    target.fail("throttle", retry_after=0)
    prepared = await target.destination.prepare(target.plan(), KEY, log)
    with pytest.raises(ThrottledError):
        await target.destination.write(prepared, NOTHING, log)
    assert target.rows() == 0
    assert (await target.destination.write(prepared, NOTHING, log)).operation == "created"


async def test_a_reference_is_set_changed_and_emptied(target: Any, log: Any) -> None:
    first_vendor, second_vendor = target.add_vendor("V1"), target.add_vendor("V2")
    prepared, first = await write(target, log, target.plan(vendor="V1"))
    assert target.row(first.record_id)["vendor"] == first_vendor
    known = known_of(first, prepared)
    await write(target, log, target.plan(vendor="V2"), known)
    assert target.row(first.record_id)["vendor"] == second_vendor
    await write(target, log, target.plan(vendor=None), known)
    assert target.row(first.record_id)["vendor"] is None
    _, same = await write(target, log, target.plan(vendor=None), known)
    assert same.operation == "unchanged"


async def test_a_preview_shows_the_difference_and_writes_nothing(target: Any, log: Any) -> None:
    plan = target.plan()
    prepared = await target.destination.prepare(plan, KEY, log, create_missing=False)
    difference = await target.destination.compare(prepared, NOTHING, log)
    assert difference.record_id is None
    assert difference.lines_added == ("li_1", "li_2")
    _, first = await write(target, log, plan)
    effects = target.effects()
    changed = target.plan(total="13", lines={"li_1": "Card", "li_3": "Pens"})
    planned = await target.destination.prepare(changed, KEY, log, create_missing=False)
    difference = await target.destination.compare(planned, known_of(first, prepared), log)
    assert difference.record_id == first.record_id
    columns = {(column.row, column.current, column.planned) for column in difference.columns}
    assert columns == {(None, Decimal("12.50"), Decimal(13)), ("li_1", "Paper", "Card")}
    assert difference.lines_added == ("li_3",)
    assert len(difference.lines_removed) == 1
    assert target.effects() == effects


async def test_a_probe_goes_well_while_writing_would(target: Any, log: Any) -> None:
    await target.destination.probe()
    await write(target, log, target.plan())
    await target.destination.probe()
