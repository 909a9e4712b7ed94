"""The state machine of a delivery that the source makes by its own means: ask once, then watch what becomes of it.

Plain functions, as in ``bridge.delivery.transitions``. Nothing is reported to the source, which knows; so every end is
an end at once.
"""

from dataclasses import dataclass
from datetime import timedelta
from random import Random

from bridge.delivery.model import Attempt, Delivery, DeliveryError, Millis, State, Step, Watch
from bridge.delivery.retry import RetrySchedule
from bridge.delivery.transitions import Turn, asked_pause, describe, end, hand_back, supersede, wait_for
from connectors.outcome import (
    BlockedError,
    OutcomeError,
    RejectedError,
    SkippedError,
    TransientError,
    UnknownOutcomeError,
)
from connectors.settings import format_duration

MANAGED_PUSH_FAILED = "managed_push_failed"
MANAGED_DEADLINE = "managed_deadline"

FIRST_LOOKS = tuple(timedelta(seconds=seconds) for seconds in (2, 5, 10, 30))
"""The waits before the first looks; the ones after that come at the configured interval, and none later than that."""


@dataclass(frozen=True, slots=True)
class WatchRules:
    """How a document is watched: the longest time between two looks, and how long it may take in all."""

    every: Millis
    deadline: Millis

    def next_look(self, looks: int) -> Millis:
        """Return the milliseconds to wait after so many looks."""
        if looks < len(FIRST_LOOKS):
            return min(round(FIRST_LOOKS[looks].total_seconds() * 1000), self.every)
        return self.every


def asking(delivery: Delivery, status: str | None, updated_at: str | None, now: Millis) -> Delivery:
    """The source is about to be asked. Made durable with the request, so that after a crash it is read first."""
    return delivery.evolve(step=Step.WATCH, watch=Watch(now, status, updated_at), updated_at=now)


def not_asked(delivery: Delivery) -> Delivery:
    """The request provably had no effect: it begins anew."""
    return delivery.evolve(step=Step.FETCH, watch=None)


def on_its_way(delivery: Delivery, now: Millis) -> Delivery:
    """The source has taken the document: from now on it is watched."""
    known = delivery.watch or Watch(now)
    watch = known if known.taken else Watch(now, known.status, known.updated_at, taken=True)
    return delivery.evolve(step=Step.WATCH, watch=watch, tries=0, error=None)


def look_later(
    delivery: Delivery, rules: WatchRules, now: Millis, *, error: OutcomeError | None = None, not_before: Millis = 0
) -> Delivery:
    """Nothing is known yet: look again, and give up the place until then. ``error`` is why a look told nothing."""
    watch = delivery.watch or Watch(now)
    due_at = max(now + rules.next_look(watch.looks), not_before)
    looked = Watch(watch.since, watch.status, watch.updated_at, watch.taken, watch.looks + 1)
    told = None if error is None else DeliveryError(error.code, error.message)
    return hand_back(delivery, due_at).evolve(watch=looked, error=told)


def is_overdue(delivery: Delivery, rules: WatchRules, now: Millis) -> bool:
    """Tell whether the source had all the time that it is given."""
    return delivery.watch is not None and now - delivery.watch.since >= rules.deadline


def has_moved(delivery: Delivery, status: str | None, updated_at: str | None) -> bool:
    """Tell whether the document is not as it was just before the source was asked."""
    watch = delivery.watch
    return watch is not None and (watch.status, watch.updated_at) != (status, updated_at)


def succeeded(delivery: Delivery, now: Millis, started_at: Millis) -> Turn:
    """The source has delivered the document."""
    return _ended(delivery, State.SUCCEEDED, "done", now, started_at)


def push_failed(delivery: Delivery, status: str | None, now: Millis, started_at: Millis) -> Turn:
    """The source's own delivery failed. It is tried again when a person asks, or the document changes."""
    said = f" ({status})" if status else ""
    message = (
        f"The source could not deliver the document by its own means{said}. Look there for the reason, mend it, then "
        "retry."
    )
    return _ended(delivery, State.FAILED, "rejected", now, started_at, DeliveryError(MANAGED_PUSH_FAILED, message))


def deadline_over(delivery: Delivery, rules: WatchRules, status: str | None, now: Millis, started_at: Millis) -> Turn:
    """The source took too long: a person is to look."""
    allowed = format_duration(timedelta(milliseconds=rules.deadline))
    said = f" It is still {status} there." if status else ""
    message = (
        f"The source has not ended its delivery within {allowed}.{said} Look there what holds it up; a retry watches "
        "on, and asks again only if the document is no longer on its way."
    )
    return _ended(delivery, State.PARKED, "parked", now, started_at, DeliveryError(MANAGED_DEADLINE, message))


def withdrawn(delivery: Delivery, code: str, message: str, now: Millis, started_at: Millis) -> Turn:
    """The document went back to review, or is gone."""
    turn = supersede(delivery, code, message, now, started_at)
    return Turn(turn.delivery.evolve(watch=None), turn.attempt)


def failed(
    delivery: Delivery, error: OutcomeError, *, now: Millis, started_at: Millis, schedule: RetrySchedule, rng: Random
) -> Turn:
    """Reading or asking did not end well: wait, try again, or end."""
    match error:
        case TransientError() if (pause := asked_pause(error)) is not None:
            return Turn(wait_for(delivery, error, now + pause))
        case BlockedError():
            return Turn(wait_for(delivery, error, now))
        case TransientError():
            return _try_failed(delivery, error, now, started_at, schedule, rng)
        case _:
            outcome = State.SKIPPED if isinstance(error, SkippedError) else State.FAILED
            name = "skipped" if outcome is State.SKIPPED else "rejected"
            turn = _ended(delivery, outcome, name, now, started_at, _told(error))
            problems = error.problems if isinstance(error, RejectedError) else ()
            return Turn(turn.delivery.evolve(problems=problems), turn.attempt)


def _try_failed(
    delivery: Delivery, error: TransientError, now: Millis, started_at: Millis, schedule: RetrySchedule, rng: Random
) -> Turn:
    tries = delivery.tries + 1
    name = "unknown" if isinstance(error, UnknownOutcomeError) else "retry"
    wait = schedule.next_wait(tries, rng)
    if wait is None:
        return _ended(delivery, State.FAILED, name, now, started_at, _told(error))
    attempts = delivery.attempts + 1
    waiting = wait_for(delivery, error, now + wait).evolve(tries=tries, attempts=attempts, updated_at=now)
    return Turn(waiting, Attempt(delivery.id, attempts, started_at, now, name, error.code, error.message))


def _told(error: OutcomeError) -> DeliveryError:
    problems = error.problems if isinstance(error, RejectedError) else ()
    return DeliveryError(error.code, describe(problems) if problems else error.message)


def _ended(
    delivery: Delivery, state: State, name: str, now: Millis, started_at: Millis, error: DeliveryError | None = None
) -> Turn:
    attempts = delivery.attempts + 1
    ended = end(delivery, state, now).evolve(attempts=attempts, error=error, problems=(), watch=None)
    code, message = (error.code, error.message) if error else (None, None)
    return Turn(ended, Attempt(delivery.id, attempts, started_at, now, name, code, message))
