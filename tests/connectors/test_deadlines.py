"""Deadlines that share one timer: what takes too long ends, and nothing else does."""

import asyncio

import pytest

from connectors.deadlines import Deadlines

SOON = 0.01
"""Seconds; nothing that these tests wait for under it ever comes."""

LATE = 3600.0


async def _never() -> None:
    await asyncio.get_running_loop().create_future()


async def test_a_wait_that_takes_too_long_ends_with_a_timeout():
    with pytest.raises(TimeoutError), Deadlines().after(SOON):
        await _never()
    assert asyncio.current_task().cancelling() == 0


async def test_a_deadline_that_is_set_later_may_pass_sooner():
    deadlines = Deadlines()

    async def wait(seconds: float) -> None:
        with deadlines.after(seconds):
            await _never()

    late = asyncio.create_task(wait(LATE))
    await asyncio.sleep(0)
    with pytest.raises(TimeoutError):
        await wait(SOON)
    with pytest.raises(TimeoutError):  # and the next one after it, though a later one is still watched
        await wait(SOON)
    assert not late.done()
    late.cancel()
    with pytest.raises(asyncio.CancelledError):
        await late


async def test_all_that_are_due_pass():
    deadlines = Deadlines()

    async def wait() -> None:
        with deadlines.after(SOON):
            await _never()

    ended = await asyncio.gather(*(wait() for _ in range(50)), return_exceptions=True)
    assert [type(one) for one in ended] == [TimeoutError] * 50


async def test_what_is_done_in_time_is_left_alone_and_sets_no_further_timer(monkeypatch):
    loop = asyncio.get_running_loop()
    timers: list[float] = []
    call_at = loop.call_at
    monkeypatch.setattr(
        loop, "call_at", lambda when, *rest, **more: timers.append(when) or call_at(when, *rest, **more)
    )
    deadlines = Deadlines()
    for _ in range(100):
        with deadlines.after(LATE):
            await asyncio.sleep(0)
    assert len(timers) == 1


async def test_a_deadline_that_was_left_does_not_end_a_later_wait():
    deadlines = Deadlines()
    with deadlines.after(SOON):
        pass
    with pytest.raises(TimeoutError), deadlines.after(2 * SOON):  # the first one's timer has run out before
        await _never()
    passed = asyncio.create_task(asyncio.sleep(2 * SOON, "undisturbed"))
    assert await passed == "undisturbed"


async def test_entered_again_it_is_still_the_same_moment():
    deadline = Deadlines().after(SOON)
    with deadline:
        await asyncio.sleep(0)
    await asyncio.sleep(2 * SOON)
    with pytest.raises(TimeoutError), deadline:
        await _never()


async def test_a_cancellation_by_someone_else_stays_one():
    async def wait() -> None:
        with Deadlines().after(LATE):
            await _never()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_at_the_very_moment_of_the_deadline_is_not_taken_for_a_delay():
    deadline = Deadlines().after(LATE)

    async def wait() -> None:
        with deadline:
            await _never()

    task = asyncio.create_task(wait())
    await asyncio.sleep(0)
    task.cancel()
    deadline.passes()
    with pytest.raises(asyncio.CancelledError):
        await task
