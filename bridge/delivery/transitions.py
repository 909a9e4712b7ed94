"""The state machine of a delivery, as plain functions from a delivery and what happened to the next delivery."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from bridge.delivery.model import Attempt, Delivery, DeliveryError, Millis, State, Step
from bridge.delivery.retry import RetrySchedule
from connectors.outcome import (
    BlockedError,
    ConflictError,
    OutcomeError,
    RejectedError,
    SkippedError,
    ThrottledError,
    TransientError,
    UnknownOutcomeError,
)
from connectors.ports import WriteResult
from mappings.plan import Problem

REPORT_UNDELIVERABLE = "report_undeliverable"


@dataclass(frozen=True, slots=True)
class Turn:
    """What a step made of a delivery. ``attempt`` is None when the step does not count as one."""

    delivery: Delivery
    attempt: Attempt | None = None


def execution_id(delivery: Delivery, attempt: int) -> str:
    """Return the id of an attempt that reached an end: unique for each, and the same after a crash."""
    return f"nb-{delivery.document_id}-{delivery.id.removeprefix('dlv_')}-{attempt}"


def wrote(delivery: Delivery, result: WriteResult, line_ids: frozenset[str], now: Millis, started_at: Millis) -> Turn:
    """The row stands as planned: report it."""
    written = delivery.evolve(
        record_id=result.record_id,
        external_url=result.url,
        operation=result.operation,
        line_ids=line_ids,
        may_exist=True,
    )
    return _conclude(written, State.SUCCEEDED, "done", now, started_at)


def supersede(delivery: Delivery, code: str, message: str, now: Millis, started_at: Millis) -> Turn:
    """The document went back to review, or is gone: this delivery ends without a report."""
    attempts = delivery.attempts + 1
    ended = end(delivery, State.SUPERSEDED, now).evolve(
        attempts=attempts, error=DeliveryError(code, message), problems=()
    )
    return Turn(ended, Attempt(delivery.id, attempts, started_at, now, "superseded", code, message))


def reported(delivery: Delivery, now: Millis) -> Delivery:
    """The source took the report: the delivery ends in the state that was reported."""
    if delivery.outcome is None:
        raise ValueError(f"{delivery.id} was reported without an outcome")
    return end(delivery, delivery.outcome, now)


def failed(
    delivery: Delivery, error: OutcomeError, *, now: Millis, started_at: Millis, schedule: RetrySchedule, rng: Random
) -> Turn:
    """A step did not end well: wait, try again, report or park, by the kind of the error."""
    match error:
        case TransientError() if (pause := asked_pause(error)) is not None:
            return Turn(wait_for(delivery, error, now + pause))
        case BlockedError():
            return Turn(wait_for(delivery, error, now))
        case TransientError() if delivery.step is Step.REPORT:
            return _report_failed(delivery, error, now, schedule, rng)
        case TransientError():
            return _try_failed(delivery, error, now, started_at, schedule, rng)
        case RejectedError():
            return _conclude(delivery, State.FAILED, "rejected", now, started_at, error, error.problems)
        case SkippedError():
            return _conclude(delivery, State.SKIPPED, "skipped", now, started_at, error)
        case ConflictError():
            attempt = Attempt(delivery.id, delivery.attempts, started_at, now, "conflict", error.code, error.message)
            parked = end(delivery, State.PARKED, now)
            return Turn(
                parked.evolve(error=DeliveryError(error.code, _both_bodies(error)), step=delivery.step), attempt
            )
        case _:
            raise AssertionError(f"{type(error).__name__} is no outcome of a delivery") from error


def hand_back(delivery: Delivery, now: Millis) -> Delivery:
    """Give up the lease without an outcome, so that another holder goes on from the last journalled step."""
    state = State.QUEUED if delivery.state is State.WORKING else delivery.state
    return delivery.evolve(state=state, due_at=now, lease_until=None)


def afresh(delivery: Delivery, now: Millis, *, pinned: bool = False, force: bool = False) -> Delivery:
    """Queue an ended delivery once more, from its first step. What is known of its row stays known."""
    return delivery.evolve(
        state=State.QUEUED,
        step=Step.FETCH,
        due_at=now,
        lease_until=None,
        tries=0,
        pinned=pinned,
        force=force,
        again=False,
        outcome=None,
        callback=None,
        execution_id=None,
        error=None,
        problems=(),
        ended_at=None,
        watch=None,
        updated_at=now,
    )


def successor(delivery: Delivery, new_id: str, now: Millis) -> Delivery:
    """Return the delivery of a further revision of the same document; it knows what stands at the destination."""
    return Delivery(
        id=new_id,
        tenant=delivery.tenant,
        document_id=delivery.document_id,
        listing=delivery.listing,
        trigger=delivery.trigger,
        created_at=now,
        updated_at=now,
        seen_at=delivery.seen_at,
        due_at=now,
        schema=delivery.schema,
        may_exist=delivery.may_exist,
        line_ids=delivery.line_ids,
        record_id=delivery.record_id,
    )


def settle(delivery: Delivery) -> Delivery:
    """A recheck found nothing to do: the ended delivery rests again."""
    return delivery.evolve(step=None, due_at=None, lease_until=None, tries=0)


def describe(problems: Sequence[Problem]) -> str:
    """Tell a rejection in the reviewer's words: each problem with its field at the source, which is said once."""
    return "; ".join(map(_described, problems))


def _described(problem: Problem) -> str:
    field = problem.field
    named = field is None or problem.message.startswith((f"{field} ", f"{field}:"))
    return problem.message if named else f"{field}: {problem.message}"


def _conclude(
    delivery: Delivery,
    outcome: State,
    name: str,
    now: Millis,
    started_at: Millis,
    error: OutcomeError | None = None,
    problems: tuple[Problem, ...] = (),
) -> Turn:
    attempts = delivery.attempts + 1
    told = None
    if error is not None:
        told = DeliveryError(error.code, describe(problems) if problems else error.message)
    identity = execution_id(delivery, attempts)
    concluded = delivery.evolve(
        step=Step.REPORT,
        attempts=attempts,
        tries=0,
        outcome=outcome,
        execution_id=identity,
        callback=None,
        error=told,
        problems=problems,
        updated_at=now,
    )
    code, message = (told.code, told.message) if told else (None, None)
    return Turn(concluded, Attempt(delivery.id, attempts, started_at, now, name, code, message, identity))


def end(delivery: Delivery, state: State, now: Millis) -> Delivery:
    """The delivery ends in this state, and nothing more is asked of it."""
    return delivery.evolve(
        state=state,
        step=None,
        due_at=None,
        lease_until=None,
        tries=0,
        force=False,
        pinned=False,
        ended_at=now,
        updated_at=now,
    )


def wait_for(delivery: Delivery, error: OutcomeError, until: Millis) -> Delivery:
    """Hand the delivery back until a moment, and note what it waits for."""
    waiting = hand_back(delivery, until)
    # Once concluded, the delivery's error is the one that is reported, not the one that delays the report.
    return waiting if delivery.outcome else waiting.evolve(error=DeliveryError(error.code, error.message))


def asked_pause(error: TransientError) -> Millis | None:
    """Return how long the other side asked to wait, by a 429 or a ``Retry-After`` on any status; None if it did not.

    Such a wait is no try of ours: an outage that says "in a second" each time would use the schedule up in seconds. One
    that asks for no time at all is left to the schedule.
    """
    if error.retry_after or isinstance(error, ThrottledError):
        return round((error.retry_after or 0) * 1000)
    return None


def _try_failed(
    delivery: Delivery, error: TransientError, now: Millis, started_at: Millis, schedule: RetrySchedule, rng: Random
) -> Turn:
    tries = delivery.tries + 1
    wait = schedule.next_wait(tries, rng)
    name = "unknown" if isinstance(error, UnknownOutcomeError) else "retry"
    if wait is None:
        return _conclude(delivery, State.FAILED, name, now, started_at, error)
    attempts = delivery.attempts + 1
    waiting = wait_for(delivery, error, now + wait).evolve(tries=tries, attempts=attempts, updated_at=now)
    return Turn(waiting, Attempt(delivery.id, attempts, started_at, now, name, error.code, error.message))


def _report_failed(
    delivery: Delivery, error: TransientError, now: Millis, schedule: RetrySchedule, rng: Random
) -> Turn:
    tries = delivery.tries + 1
    wait = schedule.next_wait(tries, rng)
    if wait is None:
        parked = end(delivery, State.PARKED, now).evolve(step=Step.REPORT)
        message = f"The outcome ({delivery.outcome}) could not be reported to the source: {error.message}"
        return Turn(parked.evolve(error=DeliveryError(REPORT_UNDELIVERABLE, message)))
    return Turn(hand_back(delivery, now + wait).evolve(tries=tries, updated_at=now))


def _both_bodies(error: ConflictError) -> str:
    return f"{error.message} We sent: {error.sent} The source answered: {error.answered}"
