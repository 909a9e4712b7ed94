"""The clock's hand: every appointment is kept, however late, and whoever made it."""

import asyncio
from functools import partial

from bridge.ids import now_millis
from bridge.schedule.ticker import Ticker


async def test_an_appointment_that_is_due_before_its_maker_has_ended_is_kept():
    """A loop that is held up between the two must not cost a tenant its polls for good."""
    ticker = Ticker()
    calls = 0
    again = asyncio.Event()

    async def call() -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            ticker.at("poll", now_millis(), call)
            await again.wait()
        again.set()

    ticker.start()
    try:
        ticker.at("poll", now_millis() - 60_000, call)
        async with asyncio.timeout(60):
            await again.wait()
    finally:
        ticker.stop()
    assert calls == 2


async def test_another_appointment_takes_the_place_of_the_one_before():
    """One key, one appointment: the later word counts."""
    ticker = Ticker()
    called: list[str] = []
    done = asyncio.Event()

    async def call(name: str) -> None:
        called.append(name)
        done.set()

    ticker.start()
    try:
        ticker.at("poll", now_millis() + 3_600_000, partial(call, "first"))
        ticker.at("poll", now_millis(), partial(call, "second"))
        async with asyncio.timeout(60):
            await done.wait()
    finally:
        ticker.stop()
    assert called == ["second"]
