"""Group commit: changes from many deliveries become one transaction, and so share one wait for the disk."""

import asyncio
import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from functools import partial
from itertools import groupby
from typing import Any, Protocol, TypeVar

from bridge.ledger.protocol import LedgerClosedError, LedgerError, LedgerFullError
from bridge.ledger.sqlite.connection import LedgerConnection

T = TypeVar("T")

Change = Callable[[sqlite3.Connection], T]
"""One change to the ledger, run on the writer's thread inside a transaction that is begun and committed around it.

It may be run twice, the first run rolled back. When it raises a ``LedgerError``, it has changed nothing.
"""


class JointChange(Protocol):
    """A change that can be made together with others of its class, which takes fewer calls."""

    @property
    def joins(self) -> bool:
        """Tell whether this one can."""

    def __call__(self, connection: sqlite3.Connection) -> None:
        """Make this change alone."""

    @staticmethod
    def together(connection: sqlite3.Connection, changes: Sequence[Any]) -> bool:
        """Make all of these changes; return False when that is not possible, and everything has to be undone."""


MAX_BATCH = 256

_MANY = 16
"""So many changes in a commit are a sign of load."""

_TOLD_AT_ONCE = 2
"""Callers that are woken before the loop looks at its sockets again. All at once would keep it from that for so long
that the other sides, to whom each of them has something to send, stand idle."""

_Outcome = tuple[Any, BaseException | None]


class GroupWriter:
    """Runs changes on the one connection that writes.

    What is asked for while a commit is under way gathers and becomes the next transaction. A change that fails does so
    alone. A caller that is cancelled takes nothing with it: its change may still be committed. After a commit of many
    changes the next one begins ``spacing`` seconds later at the earliest, so that under load more changes share one;
    after one of few it may begin sooner, in proportion.
    """

    def __init__(self, connection: LedgerConnection, *, spacing: float = 0.0) -> None:
        self._connection = connection
        self._spacing = spacing
        self._not_before = 0.0
        self._waiting: deque[tuple[Change[Any], asyncio.Future[Any]]] = deque()
        self._pump: asyncio.Task[None] | None = None
        self._closed = False

    async def run(self, change: Change[T]) -> T:
        """Return what ``change`` returned, once it is committed; raise what it raised, or a ``LedgerError``."""
        if self._closed:
            raise LedgerClosedError("The ledger is closed.")
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((change, future))
        if self._pump is None:
            self._pump = asyncio.create_task(self._commit_waiting(), name="ledger writer")
        return await future

    async def drain(self) -> None:
        """Take no further changes, and return when those that were taken are committed."""
        self._closed = True
        if self._pump is not None:
            # Waited for rather than awaited: cancelling the one who waits must not cancel the commit.
            await asyncio.wait({self._pump})

    async def _commit_waiting(self) -> None:
        try:
            while self._waiting:
                await self._keep_distance()
                batch = [self._waiting.popleft() for _ in range(min(len(self._waiting), MAX_BATCH))]
                distance = self._spacing * min(1.0, len(batch) / _MANY)
                self._not_before = asyncio.get_running_loop().time() + distance
                await self._commit(batch)
                # Whoever was woken by this commit gets the chance to ask for its next change before the next one
                # begins.
                await asyncio.sleep(0)
        finally:
            self._pump = None
            _fail_all(self._waiting, "The event loop stopped before this was written.")

    async def _keep_distance(self) -> None:
        """Wait until the last commit is long enough ago."""
        left = self._not_before - asyncio.get_running_loop().time()
        if left > 0:
            await asyncio.sleep(left)

    async def _commit(self, batch: Sequence[tuple[Change[Any], asyncio.Future[Any]]]) -> None:
        try:
            outcomes = await self._connection.run(commit_together, [change for change, _ in batch])
        except asyncio.CancelledError:
            _fail_all(batch, "The event loop stopped; it is not known whether this was written.")
            raise
        except Exception as error:  # noqa: BLE001 - whatever it is, nobody may wait for ever
            _fail_all(batch, f"The ledger could not be written: {error}.")
            return
        untold = iter(zip((future for _, future in batch), outcomes, strict=True))
        try:
            for number, (future, outcome) in enumerate(untold, 1):
                _tell(future, outcome)
                if number % _TOLD_AT_ONCE == 0:
                    await asyncio.sleep(0)
        finally:
            for future, outcome in untold:
                _tell(future, outcome)


def _tell(future: asyncio.Future[Any], outcome: _Outcome) -> None:
    """Tell a caller what became of its change, unless it was cancelled."""
    value, failure = outcome
    if future.done():
        return
    if failure is None:
        future.set_result(value)
    else:
        future.set_exception(failure)


def commit_together(connection: sqlite3.Connection, changes: Sequence[Change[Any]]) -> list[_Outcome]:
    """Run all changes in one transaction; return value or error of each, once those without an error are committed."""
    try:
        return _transaction(connection, changes, _attempt_all)
    except _SpoiltError as spoilt:
        if spoilt.fatal or len(changes) == 1:
            return [(None, _translated(spoilt.reason)) for _ in changes]
    # One of them failed halfway, so all were rolled back. Each has a savepoint to itself now, which the usual case need
    # not pay for.
    try:
        return _transaction(connection, changes, _attempt_each_apart)
    except _SpoiltError as spoilt:
        return [(None, _translated(spoilt.reason)) for _ in changes]


class _SpoiltError(Exception):
    """The transaction was rolled back. ``fatal`` when none of its changes could have been kept."""

    def __init__(self, reason: Exception, *, fatal: bool) -> None:
        super().__init__(str(reason))
        self.reason = reason
        self.fatal = fatal


def _transaction(
    connection: sqlite3.Connection,
    changes: Sequence[Change[Any]],
    attempt: Callable[[sqlite3.Connection, Sequence[Change[Any]]], list[_Outcome]],
) -> list[_Outcome]:
    try:
        connection.execute("BEGIN IMMEDIATE")
        outcomes = attempt(connection, changes)
        connection.execute("COMMIT")
    except _SpoiltError:
        _roll_back(connection)
        raise
    except sqlite3.Error as error:
        _roll_back(connection)
        raise _SpoiltError(error, fatal=True) from error
    return outcomes


def _attempt_all(connection: sqlite3.Connection, changes: Sequence[Change[Any]]) -> list[_Outcome]:
    outcomes: list[_Outcome] = []
    for joint, group in groupby(changes, _joint):
        together = list(group)
        if joint is None or len(together) == 1:
            outcomes += [_attempt(connection, change) for change in together]
        elif _attempt(connection, partial(joint.together, changes=together)) == (True, None):
            outcomes += [(None, None)] * len(together)
        else:
            raise _SpoiltError(ValueError("not to be made together"), fatal=False)
    return outcomes


def _joint(change: Any) -> type[JointChange] | None:
    """Return the class of a change that can be made together with others, None for any other."""
    return type(change) if getattr(change, "joins", False) else None


def _attempt(connection: sqlite3.Connection, change: Change[Any]) -> _Outcome:
    try:
        return change(connection), None
    except LedgerError as error:
        return None, error
    except Exception as error:
        # SQLite has rolled back by itself when the disk is full; then there is nothing to save for the others either.
        raise _SpoiltError(error, fatal=not connection.in_transaction or _is_full(error)) from error


def _attempt_each_apart(connection: sqlite3.Connection, changes: Sequence[Change[Any]]) -> list[_Outcome]:
    return [_attempt_apart(connection, change) for change in changes]


def _attempt_apart(connection: sqlite3.Connection, change: Change[Any]) -> _Outcome:
    connection.execute("SAVEPOINT change")
    outcome: _Outcome
    try:
        outcome = change(connection), None
    except Exception as error:
        if not connection.in_transaction or _is_full(error):
            raise _SpoiltError(error, fatal=True) from error
        connection.execute("ROLLBACK TO change")
        outcome = None, _translated(error)
    connection.execute("RELEASE change")
    return outcome


def _roll_back(connection: sqlite3.Connection) -> None:
    if connection.in_transaction:
        connection.execute("ROLLBACK")


def _is_full(error: Exception) -> bool:
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & 0xFF == sqlite3.SQLITE_FULL


def _translated(error: Exception) -> Exception:
    """Return an error of our own, a new one for every caller, for one of SQLite's; any other as it is."""
    if not isinstance(error, sqlite3.Error):
        return error
    translated: LedgerError
    if _is_full(error):
        translated = LedgerFullError("The disk that holds the ledger is full; free some space. Nothing was written.")
    else:
        translated = LedgerError(f"The ledger could not be written: {error}. Nothing was changed.")
    translated.__cause__ = error
    return translated


def _fail_all(batch: Iterable[tuple[Change[Any], asyncio.Future[Any]]], message: str) -> None:
    for _, future in batch:
        if not future.done():
            future.set_exception(LedgerError(message))
