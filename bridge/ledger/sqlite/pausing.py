"""The pauses that outside systems asked for, kept over the end of the process."""

import sqlite3
from collections.abc import Sequence

from bridge.delivery.model import Millis
from bridge.ledger.protocol import Pause

SELECT_PAUSES = "SELECT identity, asked_at, until FROM pauses"

KEEP_PAUSE = """
INSERT INTO pauses (identity, asked_at, until) VALUES (?, ?, ?)
ON CONFLICT (identity) DO UPDATE SET asked_at = excluded.asked_at, until = excluded.until
WHERE excluded.until > until
"""

FORGET_PAUSES = "DELETE FROM pauses WHERE until <= ?"


def select_pauses(connection: sqlite3.Connection) -> tuple[Pause, ...]:
    """Return every pause that is kept."""
    return tuple(Pause(*row) for row in connection.execute(SELECT_PAUSES))


def keep(connection: sqlite3.Connection, pauses: Sequence[Pause], now: Millis) -> None:
    """Keep pauses, and forget those that are over."""
    connection.execute(FORGET_PAUSES, (now,))
    connection.executemany(KEEP_PAUSE, [(pause.identity, pause.asked_at, pause.until) for pause in pauses])
