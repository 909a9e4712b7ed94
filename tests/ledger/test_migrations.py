"""SQLite: a ledger of any earlier version becomes a current one, and one of a later version is left alone."""

import sqlite3
from pathlib import Path

import pytest
from ledger_samples import NOW, Driver, T, end, event

from bridge.delivery.model import DeliveryError, DeliveryFilter, MappingRef, State, Step, Trigger
from bridge.ledger.open import open_reader, open_sqlite
from bridge.ledger.protocol import LedgerError, LedgerTooNewError, PollState, Save
from bridge.ledger.sqlite.schema import MIGRATIONS, migrate
from connectors.ports import Listing
from mappings.plan import Problem

FIRST = Path(__file__).with_name("ledger_v1.sql")

KEPT = (
    "SELECT id, state, listing, callback FROM deliveries",
    "SELECT * FROM attempts",
    "SELECT * FROM requests",
    "SELECT * FROM polls",
    "SELECT * FROM mappings",
)

GROW = (
    "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT);\nINSERT INTO notes (text) VALUES ('a; b');\n",
    "-- A comment; with a semicolon.\nALTER TABLE notes ADD COLUMN author TEXT;\nUPDATE notes SET author = 'nobody';\n",
)


@pytest.fixture
def connection(tmp_path):
    opened = sqlite3.connect(tmp_path / "bridge.db", isolation_level=None)
    yield opened
    opened.close()


def _version(connection: sqlite3.Connection) -> int:
    return connection.execute("PRAGMA user_version").fetchone()[0]


async def test_a_ledger_of_version_1_opens_with_everything_in_it(tmp_path, connection):
    connection.executescript(FIRST.read_text())
    assert _version(connection) == 1
    connection.close()
    ledger = await open_sqlite(tmp_path / "bridge.db")
    try:
        newest, oldest = (await ledger.deliveries(DeliveryFilter(T), limit=10)).deliveries
        assert (newest.id, newest.state, newest.step, newest.due_at) == ("dlv_2", State.QUEUED, Step.FETCH, NOW)
        assert (oldest.id, oldest.state, oldest.trigger, oldest.callback) == (
            "dlv_1",
            State.FAILED,
            Trigger.OUTBOX,
            b'{"status":"failed"}',
        )
        assert oldest.listing == Listing("doc-1", "invoice_v2", "approved", metadata={"file_url": "/files/1"})
        assert oldest.mapping == MappingRef("invoice_v2.dataverse.yaml", "d1")
        assert oldest.error == DeliveryError("field_required", "The total is missing.")
        assert oldest.problems == (Problem("total", "numora_total", "field_required", "The total is missing."),)
        assert oldest.line_ids == frozenset({"line-1"})
        assert [each.outcome for each in await ledger.attempts("dlv_1")] == ["rejected"]
        assert [each.status for each in await ledger.requests("dlv_1")] == [200, 204]
        assert await ledger.poll_state(T) == PollState("cursor-2", NOW, NOW)
        assert await ledger.mapping_text("d1") == "schema: invoice_v2\n"
        assert await ledger._connection.run(_version) == len(MIGRATIONS)
    finally:
        await ledger.close()


async def test_a_ledger_of_version_1_tells_of_what_it_held_before(tmp_path, connection):
    connection.executescript(FIRST.read_text())
    connection.close()
    ledger = await open_sqlite(tmp_path / "bridge.db")
    try:
        driver = Driver(ledger)
        assert not await ledger.listens(T)
        endpoint = await driver.listen()
        [held] = await driver.claim()
        await ledger.save(Save(end(held), event=event(end(held))))
        assert [message.delivery_id for message in await driver.told(endpoint)] == ["dlv_2"]
        assert (await ledger.withdraw(T, "doc-1", NOW, code="c", message="m.")).effect == "none"
        assert await ledger.hook_counts(T) == {}
        assert await ledger.actions(T, "doc-1", 10) == ()
    finally:
        await ledger.close()


def test_every_version_becomes_the_current_one_whatever_it_holds(connection):
    """A ledger that was migrated has the tables of a new one, and its rows are still there."""
    connection.executescript(FIRST.read_text())
    rows = [connection.execute(statement).fetchall() for statement in KEPT]
    for known in range(2, len(MIGRATIONS) + 1):
        migrate(connection, MIGRATIONS[:known])
        assert _version(connection) == known
    fresh = sqlite3.connect(":memory:", isolation_level=None)
    migrate(fresh)
    tables = "SELECT type, name, sql FROM sqlite_schema ORDER BY name"
    assert fresh.execute(tables).fetchall() == connection.execute(tables).fetchall()
    fresh.close()
    assert [connection.execute(statement).fetchall() for statement in KEPT] == rows


def test_version_1_is_never_edited(connection):
    """Who has released a migration lives with it: a changed one would reach no ledger that has seen it already."""
    connection.executescript(FIRST.read_text())
    fresh = sqlite3.connect(":memory:", isolation_level=None)
    migrate(fresh, MIGRATIONS[:1])
    tables = "SELECT type, name, sql FROM sqlite_schema ORDER BY name"
    assert fresh.execute(tables).fetchall() == connection.execute(tables).fetchall()
    fresh.close()


def test_migrations_are_applied_in_order_and_once(connection):
    migrate(connection, GROW[:1])
    assert _version(connection) == 1
    migrate(connection, GROW)
    migrate(connection, GROW)
    assert _version(connection) == 2
    assert connection.execute("SELECT text, author FROM notes").fetchall() == [("a; b", "nobody")]


def test_a_migration_that_fails_leaves_the_ledger_at_the_version_before(connection):
    broken = (*GROW[:1], "DELETE FROM notes;\nCREATE TABLE more (id);\nINSERT INTO absent VALUES (1);\n", GROW[1])
    with pytest.raises(sqlite3.OperationalError, match="absent"):
        migrate(connection, broken)
    assert _version(connection) == 1
    assert connection.execute("SELECT text FROM notes").fetchall() == [("a; b",)]
    assert connection.execute("SELECT name FROM sqlite_schema WHERE name = 'more'").fetchall() == []
    migrate(connection, GROW)
    assert _version(connection) == 2


async def test_a_ledger_of_a_later_version_is_left_alone(tmp_path, connection):
    connection.execute(f"PRAGMA user_version = {len(MIGRATIONS) + 1}")
    connection.close()
    for opening in (open_sqlite(tmp_path / "bridge.db"), open_reader("sqlite:///bridge.db", folder=tmp_path)):
        with pytest.raises(LedgerTooNewError) as refused:
            await opening
        assert refused.value.code == "ledger_too_new"


async def test_a_reader_does_not_migrate(tmp_path, connection):
    connection.execute("CREATE TABLE deliveries (seq)")
    connection.execute("PRAGMA user_version = -1")
    connection.close()
    with pytest.raises(LedgerError, match="start the service once"):
        await open_reader("sqlite:///bridge.db", folder=tmp_path)
