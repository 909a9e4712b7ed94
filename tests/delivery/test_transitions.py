"""The state machine of a delivery: what follows from each outcome."""

from datetime import timedelta
from random import Random

import pytest

from bridge.delivery import transitions
from bridge.delivery.model import Delivery, DeliveryError, State, Step, Trigger
from bridge.delivery.retry import RetrySchedule
from connectors.outcome import (
    BlockedError,
    ConflictError,
    CursorRefusedError,
    OutcomeError,
    RejectedError,
    SkippedError,
    ThrottledError,
    TransientError,
    UnknownOutcomeError,
)
from connectors.ports import Listing, WriteResult
from mappings.plan import Problem

NOW = 1_800_000_000_000
SCHEDULE = RetrySchedule.of([timedelta(0), timedelta(seconds=5), timedelta(seconds=60)])


def working(**changes: object) -> Delivery:
    """Return a delivery that was just claimed."""
    delivery = Delivery(
        id="dlv_1",
        tenant="acme",
        document_id="doc-1",
        listing=Listing("doc-1"),
        trigger=Trigger.OUTBOX,
        created_at=NOW,
        updated_at=NOW,
        seen_at=NOW,
        state=State.WORKING,
        due_at=NOW,
        lease_until=NOW + 1000,
        token=1,
    )
    return delivery.evolve(**changes)


def fail(delivery: Delivery, error: OutcomeError) -> transitions.Turn:
    """Let a step of the delivery end with this error."""
    return transitions.failed(delivery, error, now=NOW, started_at=NOW, schedule=SCHEDULE, rng=Random(1))


@pytest.mark.parametrize(
    ("error", "name"),
    [(TransientError("unreachable", "no"), "retry"), (UnknownOutcomeError("timeout", "?"), "unknown")],
)
def test_a_failed_try_waits_by_the_schedule_and_counts(error: TransientError, name: str) -> None:
    """Retry and unknown outcomes are counted, and the delivery goes back to the queue where it was."""
    turn = fail(working(step=Step.WRITE, may_exist=True), error)

    assert turn.delivery.state is State.QUEUED
    assert turn.delivery.step is Step.WRITE
    assert turn.delivery.may_exist
    assert turn.delivery.lease_until is None
    assert (turn.delivery.attempts, turn.delivery.tries) == (1, 1)
    assert turn.delivery.due_at is not None
    assert NOW <= turn.delivery.due_at <= NOW + 5000
    assert turn.delivery.error == DeliveryError(error.code, error.message)
    assert turn.attempt is not None
    assert turn.attempt.outcome == name


def test_the_last_try_of_the_schedule_ends_as_failed_and_is_reported() -> None:
    """When the schedule is used up, the source is told."""
    turn = fail(working(tries=2, attempts=2), TransientError("unreachable", "Dataverse cannot be reached."))

    assert turn.delivery.outcome is State.FAILED
    assert turn.delivery.step is Step.REPORT
    assert turn.delivery.attempts == 3
    assert turn.delivery.execution_id == "nb-doc-1-1-3"
    assert turn.delivery.tries == 0


def test_a_throttled_delivery_waits_without_being_counted() -> None:
    """A pause that was asked for is no attempt."""
    turn = fail(working(), ThrottledError("throttled", "wait", retry_after=30))

    assert turn.attempt is None
    assert (turn.delivery.attempts, turn.delivery.tries) == (0, 0)
    assert turn.delivery.due_at == NOW + 30_000


@pytest.mark.parametrize("error", [TransientError, UnknownOutcomeError])
@pytest.mark.parametrize("step", [Step.WRITE, Step.REPORT])
def test_an_outage_that_names_a_pause_uses_no_schedule_up(error: type[TransientError], step: Step) -> None:
    """A 503 with ``Retry-After: 1`` would otherwise fail every document within seconds."""
    delivery = working(step=step, tries=2, attempts=2)

    turn = fail(delivery, error("server_error", "Down for a moment.", retry_after=1))

    assert turn.attempt is None
    assert (turn.delivery.attempts, turn.delivery.tries) == (2, 2)
    assert turn.delivery.due_at == NOW + 1000


def test_an_outage_that_names_no_time_at_all_is_left_to_the_schedule() -> None:
    """``Retry-After: 0`` would otherwise have it tried eleven times in one second."""
    turn = fail(working(), TransientError("server_error", "Down.", retry_after=0))

    assert (turn.delivery.attempts, turn.delivery.tries) == (1, 1)


def test_a_blocked_delivery_waits_in_the_queue_without_a_report() -> None:
    """Nobody is told that a document failed because a key of ours expired."""
    turn = fail(working(), BlockedError("unauthorized", "The key is refused."))

    assert turn.attempt is None
    assert turn.delivery.state is State.QUEUED
    assert turn.delivery.outcome is None
    assert turn.delivery.due_at == NOW


def test_a_rejection_is_reported_with_every_problem_in_the_reviewers_words() -> None:
    """The reviewer reads the names of the fields that are in front of them."""
    problems = (
        Problem("total_amount", "numora_total", "not_an_amount", "12,3x is no amount"),
        Problem("invoice_date", "numora_invoicedate", "required_missing", "is required"),
    )

    turn = fail(working(), RejectedError(problems))

    assert turn.delivery.outcome is State.FAILED
    assert turn.delivery.problems == problems
    assert turn.delivery.error == DeliveryError(
        "not_an_amount", "total_amount: 12,3x is no amount; invoice_date: is required"
    )


def test_a_field_that_its_problem_names_already_is_not_named_twice() -> None:
    sentences = ("total is 5, and Dynamics holds 1 to 4.", "total: it is not confirmed.", "totals differ.", "5 is odd.")
    problems = tuple(Problem("total", None, "any", sentence) for sentence in sentences)
    told = fail(working(), RejectedError(problems)).delivery.error
    assert told is not None
    assert told.message == (
        "total is 5, and Dynamics holds 1 to 4.; total: it is not confirmed.; total: totals differ.; total: 5 is odd."
    )


def test_a_skip_is_reported_as_skipped() -> None:
    """Creating nothing on purpose is an end of its own."""
    turn = fail(working(), SkippedError("lookup_missing", "No account has accountnumber V-1."))

    assert turn.delivery.outcome is State.SKIPPED
    assert turn.delivery.step is Step.REPORT


def test_a_conflict_is_parked_with_both_bodies() -> None:
    """A person sees what was sent and what was answered."""
    reporting = working(step=Step.REPORT, outcome=State.SUCCEEDED, attempts=1)

    turn = fail(reporting, ConflictError("callback_conflict", "Refused.", sent='{"a":1}', answered='{"b":2}'))

    assert turn.delivery.state is State.PARKED
    assert turn.delivery.due_at is None
    assert turn.delivery.error is not None
    assert '{"a":1}' in turn.delivery.error.message
    assert '{"b":2}' in turn.delivery.error.message


def test_a_report_that_fails_is_repeated_without_a_new_attempt() -> None:
    """The bytes of a report belong to one attempt, however often they are sent; and its reason is kept."""
    error = DeliveryError("not_an_amount", "total: no amount")
    reporting = working(step=Step.REPORT, outcome=State.FAILED, attempts=1, callback=b"{}", error=error)

    turn = fail(reporting, TransientError("unreachable", "no"))

    assert turn.attempt is None
    assert turn.delivery.attempts == 1
    assert turn.delivery.callback == b"{}"
    assert turn.delivery.error == error
    assert turn.delivery.step is Step.REPORT


@pytest.mark.parametrize("delay", [ThrottledError("throttled", "x", retry_after=1), BlockedError("unauthorized", "x")])
def test_a_delayed_report_keeps_the_reason_that_is_reported(delay: OutcomeError) -> None:
    """What holds the report up does not replace what it says."""
    error = DeliveryError("not_an_amount", "total: no amount")
    reporting = working(step=Step.REPORT, outcome=State.FAILED, attempts=1, callback=b"{}", error=error)

    assert fail(reporting, delay).delivery.error == error


def test_a_report_that_cannot_be_delivered_is_parked() -> None:
    """The row stands; only a person can tell the source now."""
    reporting = working(step=Step.REPORT, outcome=State.SUCCEEDED, tries=2, attempts=1)

    turn = fail(reporting, TransientError("unreachable", "Numora cannot be reached."))

    assert turn.delivery.state is State.PARKED
    assert turn.delivery.error is not None
    assert turn.delivery.error.code == transitions.REPORT_UNDELIVERABLE


def test_an_error_that_is_no_outcome_of_a_delivery_is_not_swallowed() -> None:
    """A refused cursor belongs to a poll."""
    with pytest.raises(AssertionError):
        fail(working(), CursorRefusedError("cursor_refused", "x"))


def test_execution_ids_of_two_attempts_differ() -> None:
    """The same id with other data would be refused by the source."""
    first = transitions.wrote(
        working(), WriteResult("row", None, "created"), frozenset(), now=NOW, started_at=NOW
    ).delivery
    ended = transitions.reported(first, NOW)
    second = transitions.wrote(
        transitions.afresh(ended, NOW), WriteResult("row", None, "unchanged"), frozenset(), now=NOW, started_at=NOW
    ).delivery

    assert first.execution_id != second.execution_id


def test_a_further_revision_knows_what_stands_at_the_destination() -> None:
    """A correction updates the row of the first delivery and removes only lines that we wrote."""
    ended = working(state=State.SUCCEEDED, record_id="row", line_ids=frozenset({"a", "b"}), may_exist=True)

    following = transitions.successor(ended, "dlv_2", NOW)

    assert (following.record_id, following.line_ids, following.may_exist) == ("row", frozenset({"a", "b"}), True)
    assert following.state is State.QUEUED


def test_a_superseded_delivery_ends_without_a_report() -> None:
    """A document that went back to review is not reported."""
    turn = transitions.supersede(working(), "back_in_review", "back", NOW, NOW)

    assert turn.delivery.state is State.SUPERSEDED
    assert turn.delivery.outcome is None
    assert turn.delivery.due_at is None
