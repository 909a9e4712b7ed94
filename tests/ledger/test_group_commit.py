"""SQLite: many changes become one transaction, and a full disk costs nothing but time."""

import asyncio

import pytest
from ledger_samples import NOW, Driver, T, end, request

from bridge.delivery.model import State
from bridge.ledger.open import open_sqlite
from bridge.ledger.protocol import LedgerError, LedgerFullError, Save
from bridge.ledger.sqlite.writer import _TOLD_AT_ONCE


@pytest.fixture
def driver(sqlite):
    return Driver(sqlite)


async def _commits(sqlite) -> list[str]:
    """Every COMMIT from now on is noted in the list that comes back."""
    seen: list[str] = []

    def note(statement: str) -> None:
        if statement == "COMMIT":
            seen.append(statement)

    await sqlite._connection.run(lambda connection: connection.set_trace_callback(note))
    return seen


async def _limit_pages(sqlite, room: int | None) -> None:
    """Let the file grow by so many pages and no more; None takes the limit away."""

    def limit(connection) -> None:
        (pages,) = connection.execute("PRAGMA page_count").fetchone()
        connection.execute(f"PRAGMA max_page_count = {2**30 if room is None else pages + room}")

    await sqlite._connection.run(limit)


async def test_saves_that_are_asked_for_together_share_a_commit(sqlite, driver):
    await driver.bring(*(f"doc-{number}" for number in range(50)))
    held = await driver.claim()
    commits = await _commits(sqlite)
    await asyncio.gather(*(sqlite.save(Save(end(delivery))) for delivery in held))
    assert len(commits) == 1


async def test_what_is_asked_for_during_a_commit_shares_the_next_one(sqlite, driver):
    await driver.bring(*(f"doc-{number}" for number in range(50)))
    held = await driver.claim()
    commits = await _commits(sqlite)

    async def two_steps(delivery) -> None:
        await sqlite.save(Save(delivery, [request(delivery, "r")]))
        await sqlite.save(Save(end(delivery)))

    await asyncio.gather(*map(two_steps, held))
    assert len(commits) == 2


async def test_those_whom_a_commit_wakes_share_the_next_one_with_those_who_came_meanwhile(sqlite, driver):
    await driver.bring(*(f"doc-{number}" for number in range(20)))
    held = await driver.claim()
    commits = await _commits(sqlite)

    async def two_steps(delivery) -> None:
        await sqlite.save(Save(delivery, [request(delivery, "r")]))
        await sqlite.save(Save(end(delivery)))

    early = asyncio.gather(*map(two_steps, held[:10]))
    await asyncio.sleep(0)  # they ask
    await asyncio.sleep(0)  # and their commit begins
    late = asyncio.gather(*(sqlite.save(Save(end(delivery))) for delivery in held[10:]))
    await asyncio.gather(early, late)
    assert len(commits) == 2


async def test_a_change_that_fails_is_taken_back_and_its_neighbours_are_committed(sqlite, driver):
    await driver.bring("doc-1")

    def broken(connection) -> None:
        connection.execute("UPDATE deliveries SET state = 'parked'")
        raise ZeroDivisionError

    results = await asyncio.gather(
        driver.bring("doc-2"), sqlite._writer.run(broken), driver.bring("doc-3"), return_exceptions=True
    )
    assert isinstance(results[1], ZeroDivisionError)
    assert {delivery.state for delivery in await driver.all()} == {State.QUEUED}
    assert len(await driver.all()) == 3


async def test_a_full_disk_fails_the_whole_commit_and_the_ledger_goes_on_when_there_is_room(sqlite, driver):
    await driver.bring("doc-1", "doc-2")
    held = await driver.claim()
    await _limit_pages(sqlite, 2)
    large = end(held[0], callback=b"x" * 100_000)
    results = await asyncio.gather(
        sqlite.save(Save(large)), sqlite.save(Save(end(held[1]))), driver.bring("doc-3"), return_exceptions=True
    )
    assert [type(result) for result in results] == [LedgerFullError] * 3
    assert {result.code for result in results} == {"ledger_full"}
    assert sorted((each.document_id, each.state) for each in await driver.all()) == [
        ("doc-1", State.WORKING),
        ("doc-2", State.WORKING),
    ]

    await sqlite.save(Save(end(held[1])))
    with pytest.raises(LedgerFullError):
        await sqlite.save(Save(large))
    await _limit_pages(sqlite, None)
    await sqlite.save(Save(large))
    assert (await sqlite.counts(T)).by_state[State.SUCCEEDED] == 2


async def test_a_disk_that_fills_up_after_a_neighbour_failed_fails_the_rest_as_full(sqlite, driver):
    await driver.bring("doc-1", "doc-2")
    first, second = await driver.claim()
    await _limit_pages(sqlite, 2)
    taken = Save(end(first), successor=first.evolve(id=second.id))
    results = await asyncio.gather(
        sqlite.save(taken), sqlite.save(Save(end(second, callback=b"x" * 100_000))), return_exceptions=True
    )
    assert [type(result) for result in results] == [LedgerFullError] * 2
    assert (await sqlite.counts(T)).by_state[State.WORKING] == 2


async def test_closing_finishes_what_was_asked_for_before(tmp_path):
    ledger = await open_sqlite(tmp_path / "bridge.db")
    driver = Driver(ledger)
    asked = [asyncio.create_task(driver.bring(f"doc-{number}")) for number in range(20)]
    await asyncio.sleep(0)
    await asyncio.gather(ledger.close(), ledger.close())
    await asyncio.gather(*asked)
    again = await open_sqlite(tmp_path / "bridge.db")
    assert (await again.counts(T)).by_state[State.QUEUED] == 20
    await again.close()


async def test_a_caller_that_is_cancelled_while_closing_does_not_keep_the_ledger_open(tmp_path):
    ledger = await open_sqlite(tmp_path / "bridge.db")
    await ledger.ping()
    closing = asyncio.create_task(ledger.close())
    await asyncio.sleep(0)
    closing.cancel()
    await asyncio.wait({closing})
    await ledger.close()
    again = await open_sqlite(tmp_path / "bridge.db")
    await again.close()


async def test_nobody_waits_for_ever_when_the_writer_is_gone(sqlite):
    await sqlite._connection.close()
    with pytest.raises(LedgerError):
        await sqlite.ping()
    assert (await sqlite.counts(T)).by_state[State.QUEUED] == 0


async def test_the_clock_of_a_save_is_not_the_ledgers(sqlite, driver):
    """Moments come from the caller: a ledger that was written under another clock reads the same."""
    held = await driver.claimed(now=5)
    await sqlite.save(Save(end(held, now=-NOW)))
    assert (await driver.stored(held)).ended_at == -NOW


async def test_changes_that_come_soon_after_a_commit_share_the_next_one(tmp_path, monkeypatch):
    """Also when each comes by itself, and the commit before has long been answered."""
    monkeypatch.setattr("bridge.ledger.open.COMMIT_SPACING", 3600.0)
    ledger = await open_sqlite(tmp_path / "bridge.db")
    try:
        commits = await _commits(ledger)
        await ledger.ping()
        before = len(commits)
        late = await _one_by_one(ledger)
        assert len(commits) == before
        _turn_on(monkeypatch, 3600.0)
        await asyncio.gather(*late)
        assert len(commits) == before + 1
    finally:
        await ledger.close()


async def test_the_more_a_commit_held_the_longer_the_next_one_takes_to_begin(tmp_path, monkeypatch):
    monkeypatch.setattr("bridge.ledger.open.COMMIT_SPACING", 3600.0)
    ledger = await open_sqlite(tmp_path / "bridge.db")
    try:
        await ledger.ping()
        commits = await _commits(ledger)
        many = [asyncio.create_task(ledger.ping()) for _ in range(40)]
        _turn_on(monkeypatch, 600.0)
        await asyncio.gather(*many)
        assert len(commits) == 1
        late = await _one_by_one(ledger)
        _turn_on(monkeypatch, 600.0)
        late += await _one_by_one(ledger)
        assert len(commits) == 1
        _turn_on(monkeypatch, 3600.0)
        await asyncio.gather(*late)
        assert len(commits) == 2
    finally:
        await ledger.close()


async def _one_by_one(ledger) -> list[asyncio.Task[None]]:
    asked = []
    for _ in range(5):
        asked.append(asyncio.create_task(ledger.ping()))
        await asyncio.sleep(0.001)
    return asked


def _turn_on(monkeypatch, seconds: float) -> None:
    """Let so many seconds have passed on the loop's clock."""
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "time", lambda now=loop.time: now() + seconds)


async def test_those_who_share_a_commit_are_woken_a_few_at_a_time(sqlite, driver):
    """So the loop looks at its sockets in between, however many they are."""
    await driver.bring(*(f"doc-{number}" for number in range(50)))
    held = await driver.claim()
    woken: list[int] = []
    turn = 0

    async def save(delivery) -> None:
        await sqlite.save(Save(end(delivery)))
        woken.append(turn)

    saves = asyncio.gather(*map(save, held))
    while not saves.done():
        turn += 1
        await asyncio.sleep(0)
    assert len(woken) == 50
    assert max(woken.count(turn) for turn in set(woken)) <= 2 * _TOLD_AT_ONCE


async def test_when_the_writer_is_cancelled_while_it_wakes_callers_everyone_still_learns_that_it_is_stored(
    sqlite, driver
):
    await driver.bring(*(f"doc-{number}" for number in range(50)))
    held = await driver.claim()
    first_woken = asyncio.Event()

    async def save(delivery) -> None:
        await sqlite.save(Save(end(delivery)))
        first_woken.set()

    saves = asyncio.gather(*map(save, held))
    await first_woken.wait()
    sqlite._writer._pump.cancel()
    assert await saves == [None] * 50
