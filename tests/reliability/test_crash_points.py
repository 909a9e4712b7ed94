"""A process that dies at any suspension of anything it does, twice in a row even, loses nothing and repeats nothing.

The double is ``Life`` in ``dying.py``: a process within this one. The oracle is ``invariants.py``; on top of it, what
was done to the rows must be exactly what is done when nothing crashes. Real kills of real processes are in
``test_kills.py``.
"""

import asyncio
from pathlib import Path

import pytest

from tests.reliability.conftest import Counted
from tests.reliability.counts import floor
from tests.reliability.dying import Life
from tests.reliability.exploring import Explorer, refuse_failures
from tests.reliability.kinds import KINDS, LATE, Kind
from tests.reliability.late import LateEffect
from tests.reliability.stage import Stage

pytestmark = [pytest.mark.crash, pytest.mark.timeout(3600)]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.name)
async def test_two_crashes_anywhere_change_nothing_about_the_outcome(
    stage: Stage, kind: Kind, counted: Counted
) -> None:
    """For each kind of document: a crash at every await point, and at every pair of them."""
    found = await Explorer(stage, kind).explore(2)
    refuse_failures(found)
    points, pairs = found.sequences
    counted(kind.name, points=points, pairs=pairs, processes=found.processes, worlds=sum(found.worlds))
    assert all(number >= least for number, least in zip((points, pairs), floor(kind.name), strict=False))


async def test_a_crash_while_logging_in_or_reading_tables_changes_nothing(stage: Stage, counted: Counted) -> None:
    """A process that knows nothing yet waits at many more places; each of them may be its last."""
    kind = next(one for one in KINDS if one.name == "an invoice is created with its lines")
    found = await Explorer(stage, kind).explore(1, warm=False)
    refuse_failures(found)
    name = "an invoice, from logging in on"
    counted(name, points_alone=found.points, processes=found.processes, worlds=sum(found.worlds))
    assert all(number >= least for number, least in zip([found.points], floor(name), strict=False))


@pytest.mark.parametrize(("kind", "write"), LATE, ids=lambda one: getattr(one, "name", ""))
async def test_a_write_that_commits_after_the_crash_is_not_repeated(
    stage: Stage, kind: Kind, write: str, counted: Counted
) -> None:
    """Dataverse works on a write for up to two minutes: it may commit at any moment of the next process."""
    late = LateEffect(stage, kind)
    await late.run(write)
    assert late.failures == []
    name = f"{kind.name}, late"
    counted(name, moments=late.moments)
    assert all(number >= least for number, least in zip([late.moments], floor(name), strict=False))


async def test_the_dead_do_not_come_back(stage: Stage, lives_folder: Path) -> None:
    """The double itself: no ``finally`` runs and nothing resumes after the chosen suspension."""
    seen: list[str] = []

    async def child() -> None:
        try:
            await asyncio.sleep(0)
            seen.append("child")
        finally:
            seen.append("child's end")

    async def main() -> None:
        task = asyncio.create_task(child())
        try:
            await asyncio.sleep(0)
            seen.append("main")
            await task
        finally:
            seen.append("main's end")

    life = Life(lives_folder, die_at=2)
    assert not await life.run(main())
    for _ in range(10):
        await asyncio.sleep(0)
    assert seen == []
    await life.bury()
