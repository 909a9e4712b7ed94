"""Connections to the SQLite ledger, each on a thread of its own."""

import asyncio
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar
from urllib.parse import quote

import aiosqlite

P = ParamSpec("P")
T = TypeVar("T")

BUSY_TIMEOUT_MS = 5000
"""How long to wait for someone else's lock, such as that of a person with the ``sqlite3`` shell."""

_WRITER = (
    "PRAGMA journal_mode = WAL",
    "PRAGMA foreign_keys = ON",
    "PRAGMA temp_store = MEMORY",
    "PRAGMA cache_size = -8000",
    "PRAGMA wal_autocheckpoint = 2000",
    "PRAGMA journal_size_limit = 67108864",
)

_READER = ("PRAGMA query_only = ON", "PRAGMA cache_size = -2000")

# sqlite3 asks every bound value that is not an exact int, float or str how it wants to be stored, also None and bytes.
# Unless an adapter is registered it does so by way of exceptions, which took a seventh of the writer's time.
sqlite3.register_adapter(type(None), {None: None}.get)
sqlite3.register_adapter(bytes, bytes)


class LedgerConnection(aiosqlite.Connection):
    """An aiosqlite connection that can run a whole function on its thread.

    aiosqlite hops to the thread and back for every statement; the ledger does many at a time, so it hands the thread a
    function of the raw connection. This uses two protected members of aiosqlite 0.22: ``_execute``, which queues
    any function and not only sqlite3's own methods, and ``_thread``, made a daemon here, because an
    unclosed connection would otherwise keep the process from ending, also after an error at start-up. Losing the
    thread at any instant is safe: it is what a crash does.
    """

    def __init__(self, connector: Callable[[], sqlite3.Connection]) -> None:
        super().__init__(connector, iter_chunk_size=64)
        self._thread.daemon = True
        self._stopped: asyncio.Future[Any] | None = None

    def stop(self) -> asyncio.Future[Any] | None:
        """Have the thread end. Called by aiosqlite, which does not wait for it when connecting has failed."""
        self._stopped = super().stop()
        return self._stopped

    async def stopped(self) -> None:
        """Wait for the end of a thread that was told to end: it must not outlive the loop that it reports to."""
        if self._stopped is not None:
            await asyncio.wait({self._stopped})

    async def run(
        self, function: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Call ``function`` with the raw connection on this connection's thread; return what it returns."""
        result: T = await self._execute(function, self._conn, *args, **kwargs)  # type: ignore[no-untyped-call]
        return result


async def open_writer(path: Path, *, durable: bool) -> LedgerConnection:
    """Open the one connection that writes and checkpoints. Without ``durable`` a commit does not wait for the disk."""

    def connect() -> sqlite3.Connection:
        connection = _connect(f"file:{quote(str(path))}?mode=rw")
        return _prepared(connection, (*_WRITER, f"PRAGMA synchronous = {'FULL' if durable else 'OFF'}"))

    return await _connected(LedgerConnection(connect))


async def open_reading(path: Path) -> LedgerConnection:
    """Open a connection that can neither write nor checkpoint: its file descriptor is read-only."""

    def connect() -> sqlite3.Connection:
        return _prepared(_connect(f"file:{quote(str(path))}?mode=ro"), _READER)

    return await _connected(LedgerConnection(connect))


def _connect(uri: str) -> sqlite3.Connection:
    return sqlite3.connect(
        uri,
        uri=True,
        isolation_level=None,
        timeout=BUSY_TIMEOUT_MS / 1000,
        cached_statements=256,
        check_same_thread=False,
    )


def _prepared(connection: sqlite3.Connection, pragmas: tuple[str, ...]) -> sqlite3.Connection:
    try:
        for pragma in pragmas:
            connection.execute(pragma)
    except BaseException:
        connection.close()
        raise
    return connection


async def _connected(connection: LedgerConnection) -> LedgerConnection:
    try:
        await connection
    except BaseException:
        await connection.stopped()
        raise
    return connection
