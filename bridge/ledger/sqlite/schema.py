"""The tables of the SQLite ledger, and how an older ledger becomes a current one.

The migrations stand in ``migrations/*.sql``, in the order of their names; ``PRAGMA user_version`` holds how many were
applied. A migration that was released is never edited: what changes later is a further file.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path

from bridge.ledger.protocol import LedgerError, LedgerTooNewError

MIGRATIONS: tuple[str, ...] = tuple(
    file.read_text(encoding="utf-8") for file in sorted((Path(__file__).parent / "migrations").glob("*.sql"))
)


def version(connection: sqlite3.Connection) -> int:
    """Return how many migrations the ledger has seen; 0 for an empty file.

    Raises ``LedgerError`` for a database that is no ledger.
    """
    (found,) = connection.execute("PRAGMA user_version").fetchone()
    if not found and connection.execute("SELECT 1 FROM sqlite_schema LIMIT 1").fetchone():
        raise LedgerError("The store is a database of something else; name another file in the bridge's `store`.")
    return int(found)


def require_current(connection: sqlite3.Connection) -> None:
    """Raise ``LedgerTooNewError`` or ``LedgerError`` unless the ledger is exactly what this version reads."""
    found = version(connection)
    _refuse_newer(found, len(MIGRATIONS))
    if found < len(MIGRATIONS):
        raise LedgerError(
            f"The ledger is at schema version {found}, this version of the bridge reads {len(MIGRATIONS)}; "
            "start the service once, which brings it up to date."
        )


def migrate(connection: sqlite3.Connection, migrations: Sequence[str] = MIGRATIONS) -> None:
    """Apply what is missing, in order, each migration in a transaction of its own.

    Raises ``LedgerTooNewError`` when the ledger has seen more migrations than there are here.
    """
    found = version(connection)
    _refuse_newer(found, len(migrations))
    for number, script in enumerate(migrations[found:], start=found + 1):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in _statements(script):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {number}")
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise


def _refuse_newer(found: int, known: int) -> None:
    if found > known:
        raise LedgerTooNewError(
            f"The ledger is at schema version {found}, this version of the bridge knows {known}; "
            "run the version that wrote it, or a later one."
        )


def _statements(script: str) -> Iterator[str]:
    # executescript would commit behind our back, and a half-applied migration could not be rolled back.
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement
