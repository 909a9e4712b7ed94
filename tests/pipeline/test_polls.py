"""Reading the outbox: the cursor, its refusal, an outbox that is not there, and when polls are made."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from typing import Any
from urllib.parse import unquote

import pytest
from pipeline_stage import Stage, staged, states

from bridge.delivery.model import State
from bridge.delivery.retry import RetrySchedule
from bridge.ledger.open import temporary_ledger
from bridge.pipeline.gates import Gates
from bridge.pipeline.lane import Lane
from bridge.pipeline.policy import RunnerPolicy
from bridge.pipeline.poller import Poller, PollRunningError
from bridge.sandbox import SandboxWorld
from bridge.schedule.polls import PollSchedule
from bridge.schedule.ticker import Ticker
from connectors.numora.sandbox import OutboxRules
from connectors.outcome import BlockedError, OutboxAbsentError, TransientError
from connectors.ports import Listing, OutboxPage


def outbox_requests(stage: Stage) -> list[str]:
    """Return the outbox addresses that were asked for, in order."""
    return [record.path for record in stage.world.numora.requests if "/v1/delivery/outbox" in record.path]


async def test_every_page_of_a_window_is_taken_in(world: SandboxWorld, tmp_path: Path) -> None:
    """Pages are small; documents are many."""
    async with staged(world, tmp_path, poll_limit=3) as stage:
        stage.documents(10)

        report = await stage.poll()
        await stage.at_rest()

        assert (report.seen, report.queued, report.cursor_reset, report.complete) == (10, 10, False, True)
        assert states(await stage.deliveries()) == [State.SUCCEEDED] * 10


async def test_a_page_that_fails_leaves_the_cursor_and_the_next_poll_goes_on_there(
    world: SandboxWorld, tmp_path: Path
) -> None:
    """What was read is kept, and is not read again."""
    async with staged(world, tmp_path, poll_limit=2) as stage:
        stage.documents(6)
        world.numora.faults.add("status_before", path="outbox.*cursor=", times=1, skip=1, status=502)
        before = len(outbox_requests(stage))

        with pytest.raises(TransientError):
            await stage.poll()
        stored = (await stage.ledger.poll_state("acme")).cursor
        assert stored is not None
        assert len(await stage.deliveries()) == 4

        report = await stage.poll()
        assert report.seen <= 2
        assert f"cursor={stored}" in unquote(outbox_requests(stage)[before + 3])
        await stage.at_rest()
        assert len(await stage.deliveries()) == 6


@pytest.mark.parametrize("status", [400, 404, 410, 422])
async def test_a_refused_cursor_starts_the_window_anew(world: SandboxWorld, tmp_path: Path, status: int) -> None:
    """It is dropped, and the caller is told."""
    async with staged(world, tmp_path, poll_limit=2) as stage:
        stage.documents(6)
        world.numora.faults.add("status_before", path="outbox.*cursor=", times=1, status=status)

        report = await stage.poll()

        assert report.cursor_reset
        assert report.complete
        await stage.at_rest()
        assert states(await stage.deliveries()) == [State.SUCCEEDED] * 6


async def test_cursors_that_are_always_refused_do_not_keep_a_poll_going_for_ever(
    world: SandboxWorld, tmp_path: Path
) -> None:
    """What the first page lists is delivered all the same, so that the next poll gets further."""
    async with staged(world, tmp_path, poll_limit=2) as stage:
        stage.documents(6)
        world.numora.faults.add("status_before", path="outbox.*cursor=", rate=1.0, status=410)

        report = await stage.poll()
        assert not report.complete
        for _ in range(6):
            await stage.at_rest()
            await stage.poll()

        await stage.at_rest()
        assert states(await stage.deliveries()) == [State.SUCCEEDED] * 6


@pytest.mark.parametrize("status", [404, 410])
async def test_an_absent_outbox_is_told_once_and_is_no_outage(
    stage: Stage, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Documents that a person names are still delivered."""
    stage.world.numora.outbox = OutboxRules(absent=status)
    for _ in range(3):
        with pytest.raises(OutboxAbsentError):
            await stage.poll()

    told = [message for message in caplog.messages if "outbox_absent" in message]
    assert len(told) == 1
    assert "trigger: route" in told[0]
    assert (await stage.service.status("acme")).blocks == ()
    delivery = await stage.service.deliver("acme", stage.invoice().id, wait=20)
    assert delivery.state is State.SUCCEEDED


async def test_polls_that_are_asked_for_at_once_become_one(stage: Stage) -> None:
    """Two polls of one tenant never run at once."""
    stage.world.numora.latency = 0.02
    before = len(outbox_requests(stage))
    reports = await asyncio.gather(*(stage.poll() for _ in range(20)))

    assert len(outbox_requests(stage)) == before + 1
    assert len(set(reports)) == 1


@pytest.mark.parametrize(
    ("finished_at", "due"),
    [(None, 100_000), (10_000, 100_000), (70_000, 130_000), (900_000, 160_000)],
    ids=["never polled", "due while nobody was there", "not due yet", "the clock went back"],
)
async def test_the_first_poll_of_a_process_is_made_when_it_is_due(finished_at: int | None, due: int) -> None:
    """A poll that was due while the process was down is made at its start. Interval: 60 s; time: 100 s."""
    appointments: list[int] = []

    class NotingTicker(Ticker):
        """Notes when it is to call."""

        def at(self, key: str, moment: int, call: Callable[[], Awaitable[None]]) -> None:
            """Note an appointment."""
            appointments.append(moment)

    async with temporary_ledger() as ledger:
        if finished_at is not None:
            lease = await ledger.acquire_poll("acme", finished_at, lease_until=finished_at + 1)
            assert lease is not None
            await ledger.finish_poll(lease, finished_at, succeeded=True)
        policy = RunnerPolicy(lambda: 100_000, str, Random(1), RetrySchedule.of([]))
        gates = Gates(policy.clock, 1, lambda *_: None)
        nobody: Any = None
        lane = Lane("acme", nobody, nobody, {}, gates)
        poller = Poller(ledger, policy.clock, str)
        await PollSchedule(lane, poller, ledger, policy, NotingTicker(), lambda: None, every=60_000).start()

    assert appointments == [due]


async def test_a_tenant_is_polled_at_its_interval(world: SandboxWorld, tmp_path: Path) -> None:
    """Nobody has to ask."""
    async with staged(world, tmp_path, poll_every="50ms") as stage:
        stage.invoice()
        await stage.at_rest()
        stage.invoice(seed=2)
        await stage.until(lambda deliveries: states(deliveries) == [State.SUCCEEDED] * 2)


async def test_a_failed_poll_is_made_again_when_numora_said(stage: Stage) -> None:
    """A ``Retry-After`` wins over our own delay, which is five seconds at first."""
    stage.invoice()
    stage.world.numora.faults.add("status_before", path="outbox", times=1, status=503, retry_after=1)
    started = asyncio.get_running_loop().time()
    with pytest.raises(TransientError):
        await stage.poll()

    await stage.until(lambda deliveries: states(deliveries) == [State.SUCCEEDED])

    assert 1.0 <= asyncio.get_running_loop().time() - started < 4.5


async def test_a_poll_that_somebody_else_was_making_is_made_soon_after(
    world: SandboxWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such as the one of before a change of the tenant's file, which is being broken off just then."""
    monkeypatch.setattr("bridge.schedule.polls.FIRST_REPEAT", 20)
    async with staged(world, tmp_path) as stage:
        now = stage.runtime.clock()
        lease = await stage.ledger.acquire_poll("acme", now, lease_until=now + 60_000)
        assert lease is not None
        with pytest.raises(PollRunningError):
            await stage.poll()
        stage.invoice()
        await stage.ledger.finish_poll(lease, now, succeeded=False)

        await stage.until(lambda deliveries: states(deliveries) == [State.SUCCEEDED])


async def test_cursors_that_go_round_in_circles_end_the_window(caplog: pytest.LogCaptureFixture) -> None:
    """The pages are read once each, and the next poll starts at the beginning."""
    asked: list[str | None] = []

    class Circle:
        """Leads from its third page back to its second."""

        async def list_outbox(self, cursor: str | None) -> OutboxPage:
            """Return a page of one document."""
            asked.append(cursor)
            return OutboxPage((Listing(f"doc-{cursor}"),), {None: "a", "a": "b", "b": "a"}[cursor])

    async with temporary_ledger() as ledger:
        source: Any = Circle()
        lane = Lane("acme", source, None, {}, Gates(lambda: 0, 1, lambda *_: None))
        report = await Poller(ledger, lambda: 0, iter("abcdef").__next__).poll(lane, lambda: None)

        assert (report.seen, report.complete, asked) == (3, True, [None, "a", "b"])
        assert (await ledger.poll_state("acme")).cursor is None
    assert any("its window ends here" in message for message in caplog.messages)


async def test_empty_pages_without_end_are_read_with_a_rest(caplog: pytest.LogCaptureFixture) -> None:
    """A poll gives up after some, and the next one goes on behind them: what comes after them is found in the end."""

    class EmptyForLong:
        """Has one document, behind many empty pages."""

        asked = 0

        async def list_outbox(self, cursor: str | None) -> OutboxPage:
            """Return a page, whatever the cursor."""
            self.asked += 1
            if self.asked == 250:
                return OutboxPage((Listing("doc_1"),), None)
            return OutboxPage((), f"c{self.asked}")

    source: Any = EmptyForLong()
    async with temporary_ledger() as ledger:
        poller = Poller(ledger, lambda: 0, lambda: "id")
        lane = Lane("acme", source, None, {}, Gates(lambda: 0, 1, lambda *_: None))
        reports = [await poller.poll(lane, lambda: None) for _ in range(3)]

    assert [report.seen for report in reports] == [0, 0, 1]
    assert source.asked == 250
    assert "empty pages in a row" in caplog.text


async def test_a_source_that_refuses_the_key_is_probed_and_not_polled(world: SandboxWorld, tmp_path: Path) -> None:
    """However short the interval is; the poll that was due meanwhile is made once the key is good again."""
    async with staged(world, tmp_path, poll_every="20ms", probe="400ms") as stage:
        world.numora.faults.add("unauthorized", rate=1.0)
        await stage.until(lambda _: bool(stage.service.health("acme").blocks))
        before = len(outbox_requests(stage))

        await asyncio.sleep(1.0)

        assert 1 <= len(outbox_requests(stage)) - before <= 3
        stage.invoice()
        world.numora.faults.clear()
        await stage.until(lambda deliveries: states(deliveries) == [State.SUCCEEDED])
        assert stage.service.health("acme").poll_problem is None


async def test_a_poll_that_a_person_asks_for_is_made_though_the_source_is_blocked(
    world: SandboxWorld, tmp_path: Path
) -> None:
    """It tells at once whether what was mended is enough."""
    async with staged(world, tmp_path, probe="10s") as stage:
        world.numora.faults.add("unauthorized", times=1)
        with pytest.raises(BlockedError):
            await stage.poll()
        assert stage.service.health("acme").blocks

        await stage.poll()

        assert not stage.service.health("acme").blocks


async def test_a_failed_poll_is_made_again_before_the_interval_is_over(
    world: SandboxWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outage at the moment of a poll does not cost a whole interval."""
    monkeypatch.setattr("bridge.schedule.polls.FIRST_REPEAT", 20)
    async with staged(world, tmp_path) as stage:
        stage.invoice()
        world.numora.faults.add("status_before", path="outbox", times=3, status=503)
        with pytest.raises(TransientError):
            await stage.poll()

        await stage.until(lambda deliveries: states(deliveries) == [State.SUCCEEDED])
