"""Opening the ledger that a ``store`` names."""

import logging
import os
import sqlite3
import tempfile
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from bridge.ledger.protocol import Ledger, LedgerError, LedgerReader, LedgerStoreError
from bridge.ledger.sqlite.connection import open_reading, open_writer
from bridge.ledger.sqlite.ledger import SqliteLedger
from bridge.ledger.sqlite.lock import ProcessLock
from bridge.ledger.sqlite.reader import SqliteReader
from bridge.ledger.sqlite.schema import migrate, require_current

log = logging.getLogger(__name__)

READERS = 2

COMMIT_SPACING = 0.01
"""Seconds between two commits that wait for the disk, at least: each costs the processor more than what it holds."""

_DAMAGED = "It is damaged, or no ledger at all: restore the backup, or name another file in the bridge's `store`."
_LOCKED = "Another program has a lock on it, such as a database shell or a backup: close that, then start again."
_REMEDIES = {
    sqlite3.SQLITE_BUSY: _LOCKED,
    sqlite3.SQLITE_LOCKED: _LOCKED,
    sqlite3.SQLITE_CORRUPT: _DAMAGED,
    sqlite3.SQLITE_NOTADB: _DAMAGED,
    sqlite3.SQLITE_FULL: "The disk is full: make room, then start again.",
}

_SQLITE = "sqlite:///"
_OLDEST_SQLITE = (3, 37, 0)
_SOUND_SQLITE = (3, 51, 3)


async def open_ledger(store: str, *, folder: Path) -> Ledger:
    """Open the ledger for this process alone, make it if it is not there, and bring its tables up to date.

    ``store`` is ``sqlite:///data/bridge.db``, relative to ``folder``, or ``sqlite:////var/lib/bridge.db``. Folders on
    the way are made; the file can be read by its owner only. Close it when it is no longer needed.

    Raises ``LedgerInUseError``, ``LedgerTooNewError``, ``LedgerStoreError``, or ``LedgerError`` when the file cannot
    be used.
    """
    ledger = await open_sqlite(sqlite_path(store, folder))
    for warning in ledger.warnings:
        log.warning(warning)
    return ledger


async def open_reader(store: str, *, folder: Path) -> LedgerReader:
    """Open the ledger for reading only, beside the service that may be running on it.

    Raises ``LedgerError`` when there is no ledger yet, or one that the service has still to bring up to date.
    """
    path = sqlite_path(store, folder)
    if not path.exists():
        raise LedgerError(f"There is no ledger at {path} yet; the service makes it when it first starts.")
    async with AsyncExitStack() as undo:
        try:
            connection = await open_reading(path)
            undo.push_async_callback(connection.close)
            await connection.run(require_current)
        except sqlite3.Error as error:
            raise _unusable(path, error) from error
        undo.pop_all()
    return SqliteReader([connection])


@asynccontextmanager
async def temporary_ledger() -> AsyncIterator[Ledger]:
    """Give a ledger in a temporary folder, gone afterwards. All is as in earnest, but no commit waits for the disk."""
    with tempfile.TemporaryDirectory(prefix="ledger-") as folder:
        ledger = await open_sqlite(Path(folder) / "bridge.db", durable=False)
        try:
            yield ledger
        finally:
            await ledger.close()


async def open_sqlite(path: Path, *, durable: bool = True) -> SqliteLedger:
    """Open the ledger in this file, as ``open_ledger`` does. Without ``durable`` a power cut may undo commits."""
    if sqlite3.sqlite_version_info < _OLDEST_SQLITE:
        raise LedgerError(f"SQLite {sqlite3.sqlite_version} is too old for the ledger; it needs 3.37 or newer.")
    async with AsyncExitStack() as undo:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            lock = ProcessLock(path)
            undo.callback(lock.release)
            _create(path)
            writer = await open_writer(path, durable=durable)
            undo.push_async_callback(writer.close)
            await writer.run(migrate)
            readers = []
            for _ in range(READERS):
                reader = await open_reading(path)
                undo.push_async_callback(reader.close)
                readers.append(reader)
        except (sqlite3.Error, OSError) as error:
            raise _unusable(path, error) from error
        undo.pop_all()
    spacing = COMMIT_SPACING if durable else 0.0
    return SqliteLedger(writer, readers, lock, _warnings(), commit_spacing=spacing)


def sqlite_path(store: str, folder: Path) -> Path:
    """Return the file that a ``sqlite:///`` store names. Raises ``LedgerStoreError`` for any other store."""
    name = store.removeprefix(_SQLITE)
    if name == store or not name or name == ":memory:" or "?" in name or name.endswith("/"):
        raise LedgerStoreError(
            f"The store {store.partition('@')[2] or store} is not one of SQLite's; write sqlite:///data/bridge.db, "
            "relative to the bridge's file, or sqlite:////var/lib/numora-bridge/bridge.db."
        )
    return folder / name


def _create(path: Path) -> None:
    # SQLite gives the files beside it the same mode. An existing file is not opened here: closing it again would
    # take away the locks that this process holds on it through SQLite.
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return


def _warnings() -> tuple[str, ...]:
    if sqlite3.sqlite_version_info >= _SOUND_SQLITE:
        return ()
    warning = (
        f"SQLite {sqlite3.sqlite_version} can damage a ledger that two connections write to at the same moment (mended "
        "in 3.51.3). The bridge writes through one; open the file with nothing else that writes while it runs."
    )
    return (warning,)


def _unusable(path: Path, error: Exception) -> LedgerError:
    code = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_CANTOPEN) & 0xFF
    remedy = _REMEDIES.get(code, "It must be a file the bridge may read and write.")
    return LedgerError(f"The ledger {path} cannot be opened: {error}. {remedy}")
