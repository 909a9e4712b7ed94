"""The retry schedule."""

from datetime import timedelta
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from bridge.delivery.retry import RetrySchedule

SCHEDULE = RetrySchedule.of([timedelta(0), timedelta(seconds=5), timedelta(minutes=1)])


@given(tries=st.integers(1, 2), seed=st.integers())
def test_a_wait_is_anything_up_to_the_planned_one(tries: int, seed: int) -> None:
    """Full jitter spreads the tries of many deliveries over the whole wait."""
    wait = SCHEDULE.next_wait(tries, Random(seed))

    assert wait is not None
    assert 0 <= wait <= SCHEDULE.waits[tries] / timedelta(milliseconds=1)


def test_the_waits_are_spread_out() -> None:
    """Deliveries that failed together do not come back together."""
    rng = Random(7)

    waits = {SCHEDULE.next_wait(2, rng) for _ in range(50)}

    assert len(waits) > 40


def test_a_schedule_allows_as_many_tries_as_it_has_waits() -> None:
    """After the last wait of the schedule the delivery is not tried again by itself."""
    assert SCHEDULE.next_wait(2, Random(1)) is not None
    assert SCHEDULE.next_wait(3, Random(1)) is None


@given(seconds=st.floats(0, 86400), tries=st.integers(1, 2))
def test_what_the_other_side_asks_for_wins_over_the_schedule(seconds: float, tries: int) -> None:
    """A ``Retry-After`` is kept, whether it is shorter or longer than our own wait."""
    assert SCHEDULE.next_wait(tries, Random(1), retry_after=seconds) == round(seconds * 1000)


def test_an_empty_schedule_still_allows_the_first_try() -> None:
    """A delivery is always tried once."""
    assert RetrySchedule.of([]).next_wait(1, Random(1)) is None
