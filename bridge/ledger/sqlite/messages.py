"""Messages as rows of the SQLite ledger: one for each event and each endpoint that it goes to."""

import sqlite3
from typing import Final
from uuid import uuid4

from bridge.delivery.model import UNDER_WAY, Millis
from bridge.events.model import Endpoint, Event, Message, MessageState, Origin
from bridge.ledger.protocol import MAX_PAGE, LeaseLostError
from bridge.ledger.sqlite.endpoints import end_pause, let_go, listening, save_state, select_endpoint, waiting
from bridge.ledger.sqlite.rows import Row

CHUNK: Final = 500
"""How many messages change in one transaction, so that no step that is to be saved waits long."""

COLUMNS: Final = (
    "id",
    "tenant",
    "endpoint_id",
    "type",
    "delivery_id",
    "body",
    "created_at",
    "due_at",
    "lease_until",
    "token",
    "tries",
    "state",
    "status",
    "error",
    "ended_at",
)

_UNDER_WAY = ", ".join(f"'{state.value}'" for state in sorted(UNDER_WAY))

# A successor that came in with the same save is newer, so the document does not rest.
SELECT_TOLD = f"""
SELECT tenant, document_id, max(updated_at, seen_at),
    state NOT IN ({_UNDER_WAY}) AND due_at IS NULL AND NOT EXISTS (
        SELECT 1 FROM deliveries AS newer
        WHERE newer.tenant = told.tenant AND newer.document_id = told.document_id AND newer.seq > told.seq
    )
FROM deliveries AS told WHERE id = ?
"""

INSERT_MESSAGE = """
INSERT INTO messages
    (id, tenant, endpoint_id, type, delivery_id, body, created_at, line, due_at, token, tries, state)
VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, 0, 0, 'queued')
"""

SAVE_MESSAGE = """
UPDATE messages
SET due_at = ?, lease_until = NULL, tries = ?, state = ?, status = ?, error = ?, ended_at = ?
WHERE id = ? AND token = ? AND state = 'queued'
"""

DROP_MESSAGES = f"""
UPDATE messages
SET state = 'dropped', due_at = NULL, lease_until = NULL, ended_at = :now
WHERE seq IN (SELECT seq FROM messages WHERE endpoint_id = :endpoint_id AND state = 'queued' LIMIT {CHUNK})
"""

# Those that are being sent are left to the one who sends them.
HURRY_MESSAGES = f"""
UPDATE messages SET due_at = min(due_at, :now), tries = 0
WHERE seq IN (
    SELECT seq FROM messages
    WHERE endpoint_id = :endpoint_id AND state = 'queued' AND seq > :after AND lease_until IS NULL
    ORDER BY seq LIMIT {CHUNK}
)
RETURNING seq
"""

# One seek for each state, since only then the index gives the order as well.
_NEWEST_IN_STATES = "UNION ALL".join(
    f"""
        SELECT * FROM (
            SELECT seq FROM messages WHERE endpoint_id = :endpoint_id AND state = '{state.value}'
            ORDER BY seq DESC LIMIT :limit
        )
    """
    for state in MessageState
)
SELECT_MESSAGES = f"""
SELECT {", ".join(COLUMNS)} FROM messages
WHERE seq IN (SELECT seq FROM ({_NEWEST_IN_STATES}) ORDER BY seq DESC LIMIT :limit) AND tenant = :tenant
ORDER BY seq DESC
"""


def to_message(row: Row) -> Message:
    """Return the message of a row of ``COLUMNS``."""
    named = dict(zip(COLUMNS, row, strict=True))
    return Message(state=MessageState(named.pop("state")), **named)


def line_of(tenant: str, endpoint_id: str, origin: Origin) -> str:
    """Return the queue that a message stands in: a subscriber has its own, a tenant's ``resume_url`` calls share one.

    So thousands of calls that nobody answers take no more turns than one subscriber does.
    """
    return f"resume:{tenant}" if origin is Origin.RESUME else endpoint_id


def tell(connection: sqlite3.Connection, delivery_id: str, event: Event) -> None:
    """Make the messages that tell of a delivery as it was just stored."""
    tenant, document_id, moment, rests = connection.execute(SELECT_TOLD, (delivery_id,)).fetchone()
    if event.ended:
        for endpoint_id in listening(connection, tenant, event.type):
            insert_message(connection, tenant, endpoint_id, Origin.API, event, moment)
    if rests:
        for endpoint_id in waiting(connection, tenant, document_id):
            insert_message(connection, tenant, endpoint_id, Origin.RESUME, event, moment)
            let_go(connection, tenant, endpoint_id, moment)


def announce(connection: sqlite3.Connection, tenant: str, event: Event, now: Millis, endpoint_id: str | None) -> int:
    """Make a message for one endpoint or for every subscriber; return how many."""
    if endpoint_id is None:
        receivers = [(subscriber, Origin.API) for subscriber in listening(connection, tenant, event.type)]
    else:
        found = select_endpoint(connection, tenant, endpoint_id)
        receivers = [(found.id, found.origin)] if found is not None and found.state != "gone" else []
    for receiver, origin in receivers:
        insert_message(connection, tenant, receiver, origin, event, now)
    return len(receivers)


def insert_message(
    connection: sqlite3.Connection, tenant: str, endpoint_id: str, origin: Origin, event: Event, now: Millis
) -> None:
    """Queue an event for an endpoint, due now."""
    line = line_of(tenant, endpoint_id, origin)
    identity = (f"msg_{uuid4().hex}", tenant, endpoint_id)
    connection.execute(INSERT_MESSAGE, (*identity, event.type, event.delivery_id, event.body, now, line, now))


def save(connection: sqlite3.Connection, message: Message, endpoint: Endpoint | None) -> bool:
    """Store what became of a message, and of its endpoint; tell whether that left messages to be dropped."""
    values = (
        message.due_at if message.state is MessageState.QUEUED else None,
        message.tries,
        message.state.value,
        message.status,
        message.error,
        None if message.state is MessageState.QUEUED else message.ended_at,
        message.id,
        message.token,
    )
    if connection.execute(SAVE_MESSAGE, values).rowcount == 0:
        raise LeaseLostError(f"{message.id} was claimed by someone else, or dropped, since token {message.token}.")
    gone = endpoint is not None and save_state(connection, endpoint)
    return gone and endpoint is not None and drop(connection, endpoint.id, endpoint.updated_at)


def remove(connection: sqlite3.Connection, tenant: str, endpoint_id: str, now: Millis) -> tuple[bool, bool]:
    """Let an endpoint be gone; tell whether it was not so before, and whether that left messages to be dropped."""
    if not let_go(connection, tenant, endpoint_id, now):
        return False, False
    return True, drop(connection, endpoint_id, now)


def resume(
    connection: sqlite3.Connection, tenant: str, endpoint_id: str, now: Millis
) -> tuple[Endpoint | None, int | None]:
    """Let a paused endpoint be active; return it, and where the next chunk of what it held begins, None at the end."""
    resumed = end_pause(connection, tenant, endpoint_id, now)
    after = hurry(connection, endpoint_id, now, after=0) if resumed else None
    return select_endpoint(connection, tenant, endpoint_id), after


def drop(connection: sqlite3.Connection, endpoint_id: str, now: Millis) -> bool:
    """Drop a chunk of the messages that wait for an endpoint; tell whether there may be more."""
    return connection.execute(DROP_MESSAGES, {"endpoint_id": endpoint_id, "now": now}).rowcount == CHUNK


def hurry(connection: sqlite3.Connection, endpoint_id: str, now: Millis, after: int) -> int | None:
    """Make a chunk of what an endpoint held due now; return where the next chunk begins, None at the end."""
    changed = connection.execute(HURRY_MESSAGES, {"endpoint_id": endpoint_id, "now": now, "after": after}).fetchall()
    return max(seq for (seq,) in changed) if len(changed) == CHUNK else None


def select_messages(connection: sqlite3.Connection, tenant: str, endpoint_id: str, limit: int) -> tuple[Message, ...]:
    """Return the messages to an endpoint, newest first."""
    wanted = {"tenant": tenant, "endpoint_id": endpoint_id, "limit": max(1, min(limit, MAX_PAGE))}
    return tuple(map(to_message, connection.execute(SELECT_MESSAGES, wanted).fetchall()))
