"""What people had the bridge do at a source, as rows of the SQLite ledger."""

import sqlite3
from typing import Final

from bridge.ledger.actions import Action
from bridge.ledger.protocol import MAX_PAGE

COLUMNS: Final = Action.__struct_fields__

SELECT_BY_KEY = f"SELECT {', '.join(COLUMNS)} FROM actions WHERE tenant = ? AND key = ?"

SELECT_OF_SUBJECT = (
    f"SELECT {', '.join(COLUMNS)} FROM actions WHERE tenant = ? AND subject = ? ORDER BY seq DESC LIMIT ?"
)

INSERT_ACTION = f"INSERT INTO actions ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"

SAVE_ACTION = """
UPDATE actions SET request_id = ?, state = ?, status = ?, answer = ?, ended_at = ? WHERE tenant = ? AND id = ?
"""


def begin(connection: sqlite3.Connection, action: Action) -> Action:
    """Insert an action, unless the tenant's key is taken; return the one that is stored."""
    if action.key is not None:
        found = connection.execute(SELECT_BY_KEY, (action.tenant, action.key)).fetchone()
        if found is not None:
            return Action(*found)
    connection.execute(INSERT_ACTION, [getattr(action, column) for column in COLUMNS])
    return action


def save(connection: sqlite3.Connection, action: Action) -> bool:
    """Store what became of an action; tell whether there is one."""
    values = (
        action.request_id,
        action.state,
        action.status,
        action.answer,
        action.ended_at,
        action.tenant,
        action.id,
    )
    return connection.execute(SAVE_ACTION, values).rowcount > 0


def select_of_subject(connection: sqlite3.Connection, tenant: str, subject: str, limit: int) -> tuple[Action, ...]:
    """Return the actions that concern a subject, newest first."""
    rows = connection.execute(SELECT_OF_SUBJECT, (tenant, subject, max(1, min(limit, MAX_PAGE)))).fetchall()
    return tuple(Action(*row) for row in rows)
