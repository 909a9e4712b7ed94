"""SQLite: one process, one writer, readers beside it, and what a kill leaves behind."""

import asyncio
import os
import signal
import sqlite3
import stat
import sys
import textwrap
import threading
from functools import partial
from pathlib import Path

import pytest
from ledger_samples import NOW, Driver, T, end

from bridge.delivery.model import DeliveryFilter, State
from bridge.events.model import Event
from bridge.ledger.open import open_ledger, open_reader, open_sqlite
from bridge.ledger.protocol import LedgerError, LedgerInUseError, LedgerStoreError, Save
from bridge.ledger.sqlite import messages
from bridge.ledger.sqlite.messages import CHUNK

ROOT = Path(__file__).parents[2]
STORE = "sqlite:///data/bridge.db"

SECOND = """
import asyncio, sys
from pathlib import Path
from bridge.ledger.open import open_ledger
from bridge.ledger.protocol import LedgerInUseError

async def main():
    try:
        await open_ledger("sqlite:///data/bridge.db", folder=Path(sys.argv[1]))
    except LedgerInUseError as error:
        print(error.code, error.pid, error, sep="|")

asyncio.run(main())
"""

ENDED = "SELECT id FROM deliveries WHERE state = 'succeeded' ORDER BY id"
TOLD = "SELECT delivery_id FROM messages ORDER BY delivery_id"

WRITER = """
import asyncio, sys
from itertools import count
from pathlib import Path
from bridge.ledger.open import open_ledger
from ledger_samples import Driver, attempt, end, event, request
from bridge.ledger.protocol import Save

async def main():
    ledger = await open_ledger("sqlite:///data/bridge.db", folder=Path(sys.argv[1]))
    numbers = count()
    driver = Driver(ledger)
    driver.new_id = lambda: f"dlv_{sys.argv[2]}_{next(numbers)}"
    await driver.listen()

    async def deliver(caller):
        while True:
            document = f"{sys.argv[2]}-{caller}-{next(numbers)}"
            await driver.bring(document)
            for held in await driver.claim(limit=1):
                await ledger.save(Save(end(held), [request(held, "r")], attempt(held), event=event(held)))
                print(held.id, flush=True)

    await asyncio.gather(*map(deliver, range(8)))

asyncio.run(main())
"""


async def _python(script: str, *arguments: object) -> asyncio.subprocess.Process:
    paths = os.pathsep.join([str(ROOT), str(Path(__file__).parent)])
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        textwrap.dedent(script),
        *map(str, arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": paths},
    )


@pytest.mark.parametrize("lines", [1, 20, 150])
async def test_whatever_was_saved_is_there_after_a_kill(tmp_path, lines):
    """Killed without warning after so many saves came back: each of them is there, whole, and nothing is torn.

    Each has told of itself once, and so has every other that was committed, and none that was not.
    """
    saved: set[str] = set()
    for life in range(2):
        process = await _python(WRITER, tmp_path, life)
        assert process.stdout is not None
        for _ in range(lines):
            saved.add((await process.stdout.readline()).decode().strip())
        process.send_signal(signal.SIGKILL)
        rest, _ = await process.communicate()
        assert process.returncode == -signal.SIGKILL
        saved.update(rest.decode().split("\n")[:-1])

        ledger = await open_ledger(STORE, folder=tmp_path)
        try:
            for delivery_id in saved:
                delivery = await ledger.delivery(delivery_id)
                assert delivery is not None
                assert delivery.state is State.SUCCEEDED
                assert len(await ledger.requests(delivery_id)) == len(await ledger.attempts(delivery_id)) == 1
            checked = await ledger._connection.run(lambda c: c.execute("PRAGMA integrity_check").fetchall())
            assert checked == [("ok",)]
            ended, told = await ledger._connection.run(
                lambda c: [[row for (row,) in c.execute(asked).fetchall()] for asked in (ENDED, TOLD)]
            )
            assert ended == told
            assert saved <= set(told)
        finally:
            await ledger.close()


async def test_a_start_finishes_letting_go_of_an_endpoint(tmp_path):
    """Killed after the first of many messages were dropped: none of the others is ever sent."""
    ledger = await open_ledger(STORE, folder=tmp_path)
    driver = Driver(ledger)
    endpoint = await driver.listen()
    await asyncio.gather(*(ledger.announce(T, Event("tenant.blocked", b"{}"), NOW) for _ in range(CHUNK + 20)))
    await ledger._writer.run(partial(messages.remove, tenant=T, endpoint_id=endpoint.id, now=NOW))
    await ledger.close()

    ledger = await open_ledger(STORE, folder=tmp_path)
    try:
        driver = Driver(ledger)
        left = "SELECT count(*) FROM messages WHERE state = 'queued'"
        assert await ledger._connection.run(lambda c: c.execute(left).fetchone()) == (20,)
        assert await driver.claim_messages() == []
        assert await ledger.next_message_due(NOW - 1) is None
        assert await ledger.take_back(NOW) == 0
        assert await ledger._connection.run(lambda c: c.execute(left).fetchone()) == (0,)
    finally:
        await ledger.close()


async def test_a_second_process_is_refused_and_told_who_holds_the_ledger(tmp_path):
    ledger = await open_ledger(STORE, folder=tmp_path)
    try:
        process = await _python(SECOND, tmp_path)
        told, errors = await process.communicate()
        code, pid, message = told.decode().strip().split("|")
        assert (code, pid) == ("ledger_in_use", str(os.getpid()))
        assert f"process {os.getpid()}" in message
        assert errors == b""
    finally:
        await ledger.close()


async def test_the_same_process_cannot_open_it_twice_either(tmp_path):
    ledger = await open_ledger(STORE, folder=tmp_path)
    with pytest.raises(LedgerInUseError):
        await open_ledger(STORE, folder=tmp_path)
    await ledger.ping()
    await ledger.close()
    again = await open_ledger(STORE, folder=tmp_path)
    await again.close()


async def test_a_process_that_forgets_to_close_still_ends(tmp_path):
    forgetful = """
        import asyncio, sys
        from pathlib import Path
        from bridge.ledger.open import open_ledger
        kept = []

        async def main():
            kept.append(await open_ledger("sqlite:///data/bridge.db", folder=Path(sys.argv[1])))
            await kept[0].ping()

        asyncio.run(main())
    """
    process = await _python(forgetful, tmp_path)
    await process.communicate()
    assert process.returncode == 0


async def test_a_reader_beside_the_service_sees_what_is_committed_and_cannot_write(tmp_path):
    ledger = await open_ledger(STORE, folder=tmp_path)
    reader = await open_reader(STORE, folder=tmp_path)
    try:
        driver = Driver(ledger)
        for document in ("doc-1", "doc-2"):
            await driver.bring(document)
            page = await reader.deliveries(DeliveryFilter(T), limit=10)
            assert page.deliveries == await driver.all()
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            await reader._readers[0].run(lambda connection: connection.execute("DELETE FROM deliveries"))
    finally:
        await ledger.close()
        assert len((await reader.deliveries(DeliveryFilter(T), limit=10)).deliveries) == 2
        await reader.close()


async def test_a_reader_that_closes_last_leaves_the_checkpoint_to_the_next_writer(tmp_path):
    ledger = await open_ledger(STORE, folder=tmp_path)
    await Driver(ledger).bring("doc-1")
    reader = await open_reader(STORE, folder=tmp_path)
    await reader.counts(T)
    await ledger.close()
    log = tmp_path / "data/bridge.db-wal"
    left = log.read_bytes()
    await reader.close()
    assert left
    assert log.read_bytes() == left


async def test_a_reader_reads_what_a_killed_service_left_behind(tmp_path):
    process = await _python(WRITER, tmp_path, 0)
    assert process.stdout is not None
    saved = (await process.stdout.readline()).decode().strip()
    process.kill()
    await process.communicate()
    assert (tmp_path / "data/bridge.db-wal").stat().st_size > 0
    reader = await open_reader(STORE, folder=tmp_path)
    found = await reader.delivery(saved)
    await reader.close()
    assert found is not None


async def test_a_long_read_keeps_no_save_waiting(tmp_path):
    ledger = await open_ledger(STORE, folder=tmp_path)
    try:
        driver = Driver(ledger)
        held = await driver.claimed()
        entered, leave = threading.Event(), threading.Event()

        def dawdle(connection: sqlite3.Connection) -> int:
            connection.execute("BEGIN")
            connection.execute("SELECT count(*) FROM deliveries").fetchone()
            entered.set()
            leave.wait(30)
            connection.execute("ROLLBACK")
            return 1

        reading = [asyncio.create_task(reader.run(dawdle)) for reader in ledger._readers]
        await asyncio.to_thread(entered.wait, 30)
        await ledger.save(Save(end(held)))
        assert not any(task.done() for task in reading)
        leave.set()
        assert await asyncio.gather(*reading) == [1] * len(reading)
    finally:
        await ledger.close()


async def test_only_the_owner_can_read_any_of_its_files(tmp_path):
    ledger = await open_ledger(STORE, folder=tmp_path)
    try:
        await ledger.ping()
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "data").iterdir()}
    finally:
        await ledger.close()
    names = ("bridge.db", "bridge.db-shm", "bridge.db-wal", "bridge.db.lock")
    assert modes == dict.fromkeys(names, 0o600)


async def test_a_clean_close_leaves_one_file_and_the_lock(tmp_path):
    ledger = await open_ledger(STORE, folder=tmp_path)
    await Driver(ledger).bring("doc-1")
    await ledger.close()
    assert {file.name for file in (tmp_path / "data").iterdir()} == {"bridge.db", "bridge.db.lock"}


async def test_a_store_is_relative_to_the_folder_or_absolute(tmp_path):
    for store, file in (
        (STORE, "data/bridge.db"),
        (f"sqlite:///{tmp_path}/a b%20#?.db".replace("?", ""), "a b%20#.db"),
    ):
        ledger = await open_ledger(store, folder=tmp_path)
        await ledger.ping()
        await ledger.close()
        assert (tmp_path / file).exists()


@pytest.mark.parametrize(
    "store", ["", "data/bridge.db", "sqlite:///", "sqlite://data/x.db", "sqlite:///:memory:", "sqlite:///x.db?mode=ro"]
)
async def test_a_store_that_names_no_file_is_refused(tmp_path, store):
    for opening in (open_ledger, open_reader):
        with pytest.raises(LedgerStoreError) as refused:
            await opening(store, folder=tmp_path)
        assert refused.value.code == "ledger_store"


async def test_the_password_of_a_store_is_not_repeated(tmp_path):
    with pytest.raises(LedgerStoreError) as refused:
        await open_ledger("postgres://bridge:hush@db:5432/bridge", folder=tmp_path)
    assert "hush" not in str(refused.value)


async def test_a_reader_needs_a_ledger(tmp_path):
    with pytest.raises(LedgerError, match="no ledger"):
        await open_reader(STORE, folder=tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"no database at all, but long enough to be looked at " * 40, "foreign", "folder"])
async def test_a_start_that_fails_lets_go_of_everything(tmp_path, content):
    """Neither a thread nor the lock outlives it, so the process can end, and the next start finds its way free."""
    path = tmp_path / "bridge.db"
    if content == "foreign":
        foreign = sqlite3.connect(path)
        foreign.execute("CREATE TABLE invoices (id)")
        foreign.close()
    elif content == "folder":
        path.mkdir()
    else:
        path.write_bytes(content)
    before = set(threading.enumerate())
    with pytest.raises(LedgerError) as refused:
        await open_sqlite(path)
    assert not isinstance(refused.value, LedgerInUseError)
    for thread in set(threading.enumerate()) - before:
        await asyncio.to_thread(thread.join)
    if path.is_dir():
        path.rmdir()
    else:
        path.unlink()
    ledger = await open_sqlite(path)
    await ledger.close()


async def test_a_damaged_ledger_is_told_as_one(tmp_path):
    path = tmp_path / "bridge.db"
    await (await open_sqlite(path)).close()
    path.write_bytes(path.read_bytes()[:9000])
    with pytest.raises(LedgerError, match="restore the backup"):
        await open_sqlite(path)


async def test_a_ledger_that_another_program_has_locked_is_told_as_one(tmp_path, monkeypatch):
    monkeypatch.setattr("bridge.ledger.sqlite.connection.BUSY_TIMEOUT_MS", 50)
    path = tmp_path / "bridge.db"
    await (await open_sqlite(path)).close()
    shell = sqlite3.connect(path, isolation_level=None)
    shell.execute("PRAGMA locking_mode = EXCLUSIVE")
    shell.execute("BEGIN EXCLUSIVE")
    with pytest.raises(LedgerError, match="Another program has a lock on it"):
        await open_sqlite(path)
    shell.close()


async def test_closing_ends_every_thread(tmp_path):
    before = set(threading.enumerate())
    ledger = await open_sqlite(tmp_path / "bridge.db")
    mine = set(threading.enumerate()) - before
    assert mine
    await ledger.close()
    for thread in mine:
        await asyncio.to_thread(thread.join)


async def test_an_operator_is_told_of_a_sqlite_with_a_known_flaw(tmp_path, monkeypatch, caplog):
    for version, told in (((3, 51, 2), 1), ((3, 51, 3), 0)):
        monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
        caplog.clear()
        ledger = await open_ledger(STORE, folder=tmp_path)
        await ledger.close()
        assert len(ledger.warnings) == len(caplog.messages) == told


async def test_a_sqlite_that_is_too_old_is_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(sqlite3, "sqlite_version_info", (3, 36, 0))
    with pytest.raises(LedgerError, match="too old"):
        await open_ledger(STORE, folder=tmp_path)


async def test_commits_wait_for_the_disk(tmp_path):
    ledger = await open_ledger(STORE, folder=tmp_path)
    settings = {}

    def read(connection: sqlite3.Connection) -> None:
        for name in ("journal_mode", "synchronous", "foreign_keys"):
            settings[name] = connection.execute(f"PRAGMA {name}").fetchone()[0]

    await ledger._connection.run(read)
    await ledger.close()
    assert settings == {"journal_mode": "wal", "synchronous": 2, "foreign_keys": 1}
