"""The limits that everything with one identity shares. Time is a number that the tests move."""

import asyncio

import pytest

from connectors.outcome import ThrottledError
from connectors.pacing import Pace


class Hand:
    """A clock's hand."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return the time in seconds."""
        return self.now


async def test_no_more_than_the_limit_are_let_through() -> None:
    """The next one comes in when one goes out."""
    pace = Pace(ceiling=2)
    await pace.acquire()
    await pace.acquire()
    third = asyncio.create_task(pace.acquire())
    await asyncio.sleep(0)
    assert not third.done()

    pace.release()
    await third

    assert pace.in_flight == 2


async def test_a_waiter_that_gives_up_leaves_its_place_to_the_next() -> None:
    """A cancelled delivery takes no place with it."""
    pace = Pace(ceiling=1)
    await pace.acquire()
    first, second = asyncio.create_task(pace.acquire()), asyncio.create_task(pace.acquire())
    await asyncio.sleep(0)
    pace.release()
    first.cancel()
    await asyncio.gather(first, return_exceptions=True)
    if first.cancelled():
        await second
    assert pace.in_flight == 1


def test_a_refusal_halves_the_parallelism_and_good_answers_let_it_grow_slowly() -> None:
    """It grows by one for a whole round of good answers, up to the ceiling and no further."""
    pace = Pace(ceiling=10)
    pace.cut()
    assert pace.limit == 5
    for _ in range(4):
        pace.went_well()
    assert pace.limit == 5
    pace.went_well()
    assert pace.limit == 6
    for _ in range(1000):
        pace.went_well()
    assert pace.limit == 10


def test_it_never_falls_below_one() -> None:
    """However often it is refused, something goes on."""
    pace = Pace(ceiling=3)
    for _ in range(10):
        pace.cut()
    assert pace.limit == 1


def test_a_burst_of_refusals_halves_it_once() -> None:
    """Those that were on their way together say one thing together: it was too much."""
    hand = Hand()
    pace = Pace(ceiling=52, monotonic=hand)
    for _ in range(20):
        pace.refused(2)
    assert pace.limit == 26
    hand.now += 3
    pace.refused(2)
    assert pace.limit == 13


def test_a_hint_is_taken_once_and_not_above_the_ceiling() -> None:
    """The same hint with every answer does not undo a cut."""
    pace = Pace(ceiling=52)
    pace.hint(100)
    assert pace.limit == 52
    pace.hint(8)
    pace.cut()
    pace.hint(8)
    assert pace.limit == 4


async def test_the_longer_of_two_pauses_holds() -> None:
    """A short pause does not cut a long one short."""
    hand = Hand()
    pace = Pace(patience=0, monotonic=hand)
    pace.pause(60)
    pace.pause(5)
    hand.now += 59
    with pytest.raises(ThrottledError):
        await pace.acquire()
    hand.now += 1
    await pace.acquire()


def test_without_a_named_time_the_pauses_grow_until_an_answer_is_good() -> None:
    """A 429 without Retry-After is answered with patience."""
    pace = Pace()
    assert [pace.pause(None) for _ in range(8)] == [1, 2, 4, 8, 16, 32, 60, 60]
    pace.went_well()
    assert pace.pause(None) == 1


def test_an_absurd_pause_is_not_believed() -> None:
    """A year is a mistake, not a limit."""
    assert Pace().pause(365 * 86400.0) == 86400.0


def test_a_refusal_that_names_no_time_worth_mentioning_is_believed_less_and_less() -> None:
    """Each pause is at least as long as was asked for, and grows until an answer is good."""
    hand = Hand()
    pace = Pace(monotonic=hand)

    def refused(seconds: float) -> float:
        hand.now += pace.pause_left
        return pace.refused(seconds)

    assert [refused(0) for _ in range(7)] == [0.2, 0.4, 0.8, 1.6, 3.2, 5, 5]
    assert refused(30) == 30
    pace.went_well()
    assert refused(0) == 0.2
