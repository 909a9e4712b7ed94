"""A delivery that the source makes by its own means: when it is looked at, and what it becomes."""

from datetime import timedelta
from random import Random

import pytest

from bridge.delivery import managed
from bridge.delivery.managed import WatchRules
from bridge.delivery.model import Delivery, State, Step, Trigger
from bridge.delivery.retry import RetrySchedule
from connectors.outcome import BlockedError, RejectedError, ThrottledError, TransientError
from connectors.ports import Listing
from mappings.plan import Problem

NOW = 1_000_000
RULES = WatchRules(every=60_000, deadline=3_600_000)
SCHEDULE = RetrySchedule.of([timedelta(0), timedelta(seconds=5)])


def claimed() -> Delivery:
    """Return a delivery that somebody is at work on."""
    return Delivery(
        "dlv_1",
        "acme",
        "doc",
        Listing("doc"),
        Trigger.OUTBOX,
        NOW,
        NOW,
        NOW,
        state=State.WORKING,
        due_at=NOW,
        lease_until=NOW + 1,
        token=1,
    )


def watched() -> Delivery:
    """Return one that the source has taken."""
    return managed.on_its_way(managed.asking(claimed(), "reviewed", "t1", NOW), NOW)


def test_looks_come_soon_at_first_and_then_at_the_configured_interval() -> None:
    """A workflow that takes seconds is not waited for a minute, one that takes hours is not hammered."""
    assert [RULES.next_look(looks) for looks in range(6)] == [2000, 5000, 10_000, 30_000, 60_000, 60_000]
    assert WatchRules(every=3000, deadline=1).next_look(3) == 3000


def test_a_look_that_tells_nothing_gives_up_the_place_until_the_next() -> None:
    """It is queued, without a lease."""
    waiting = managed.look_later(watched(), RULES, NOW)

    assert (waiting.state, waiting.lease_until, waiting.due_at) == (State.QUEUED, None, NOW + 2000)
    assert waiting.watch is not None
    assert waiting.watch.looks == 1


def test_a_pause_that_the_source_asks_for_is_kept() -> None:
    """Also where it is longer than the interval."""
    assert managed.look_later(watched(), RULES, NOW, not_before=NOW + 500_000).due_at == NOW + 500_000


def test_the_deadline_counts_from_when_the_source_was_asked() -> None:
    """Not from the last look."""
    later = managed.look_later(watched(), RULES, NOW + 3_599_999)

    assert not managed.is_overdue(later, RULES, NOW + 3_599_999)
    assert managed.is_overdue(later, RULES, NOW + 3_600_000)


@pytest.mark.parametrize(
    ("status", "updated_at", "moved"),
    [("reviewed", "t1", False), ("reviewed", "t2", True), ("push_failed", "t1", True)],
)
def test_a_document_has_moved_when_anything_of_it_differs_from_before(
    status: str, updated_at: str, moved: bool
) -> None:
    """Status or time of change."""
    assert managed.has_moved(watched(), status, updated_at) is moved


def test_an_end_leaves_no_report_to_be_made() -> None:
    """The source knows."""
    for turn in (
        managed.succeeded(watched(), NOW, NOW),
        managed.push_failed(watched(), "push_failed", NOW, NOW),
        managed.deadline_over(watched(), RULES, "push_pending", NOW, NOW),
        managed.withdrawn(watched(), "back_in_review", "It went back.", NOW, NOW),
    ):
        ended = turn.delivery
        assert ended.at_rest
        assert (ended.step, ended.outcome, ended.execution_id, ended.callback, ended.watch) == (None,) * 5
        assert turn.attempt is not None
        assert ended.attempts == 1


def test_what_goes_wrong_before_the_source_was_asked_goes_by_the_schedule() -> None:
    """Retry, then failed; throttled and blocked do not count; rejected ends at once, with its problems."""

    def after(error: Exception, delivery: Delivery) -> Delivery:
        return managed.failed(
            delivery,
            error,  # type: ignore[arg-type]
            now=NOW,
            started_at=NOW,
            schedule=SCHEDULE,
            rng=Random(1),
        ).delivery

    waiting = after(TransientError("unreachable", "no"), claimed())
    assert (waiting.state, waiting.tries, waiting.attempts) == (State.QUEUED, 1, 1)
    assert after(TransientError("unreachable", "no"), waiting).state is State.FAILED
    paused = after(ThrottledError("throttled", "slow", retry_after=7), claimed())
    assert (paused.due_at, paused.attempts) == (NOW + 7000, 0)
    assert after(BlockedError("unauthorized", "no"), claimed()).attempts == 0
    problem = Problem(None, None, "numora_refused", "It is refused.")
    rejected = after(RejectedError((problem,)), claimed())
    assert (rejected.state, rejected.problems, rejected.step) == (State.FAILED, (problem,), None)


def test_a_request_that_had_no_effect_begins_anew() -> None:
    """From the first step, with nothing known of it."""
    again = managed.not_asked(managed.asking(claimed(), "reviewed", "t1", NOW))

    assert (again.step, again.watch) == (Step.FETCH, None)
