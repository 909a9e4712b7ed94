"""Many rows with few statements.

For each statement and each row that it returns, sqlite3 gives the interpreter away and has to get it back, for which it
waits while the event loop is busy. So a thread that sends a batch row by row hardly runs beside the loop; one that
sends it whole does.
"""

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any, TypeVar

T = TypeVar("T")

LARGEST = 32
"""Rows in a statement at most. There is one statement for each number of rows, compiled once and kept."""

Statement = Callable[[int], str]
"""Gives the statement for so many rows, whose values are bound one row after the other."""


def execute_rows(connection: sqlite3.Connection, statement: Statement, rows: Sequence[tuple[Any, ...]]) -> int:
    """Send all rows; return how many rows of the table were changed."""
    changed = 0
    for chunk in chunks(rows):
        changed += connection.execute(statement(len(chunk)), tuple(chain.from_iterable(chunk))).rowcount
    return changed


def placeholders(columns: int, rows: int) -> str:
    """Return what stands behind VALUES."""
    row = f"({', '.join('?' * columns)})"
    return ", ".join([row] * rows)


def chunks(rows: Sequence[T]) -> Iterator[Sequence[T]]:
    """Yield all rows in order, so many at a time as stand in one statement."""
    for start in range(0, len(rows), LARGEST):
        yield rows[start : start + LARGEST]
