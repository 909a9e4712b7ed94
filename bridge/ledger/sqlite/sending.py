"""Which messages are sent next, so that however many wait for one endpoint, the others get their turn."""

import sqlite3
from heapq import nsmallest
from random import random

import msgspec

from bridge.delivery.model import Millis
from bridge.events.model import Endpoint
from bridge.ledger.messages import ClaimedMessage
from bridge.ledger.sqlite.endpoints import COLUMNS as ENDPOINT_COLUMNS
from bridge.ledger.sqlite.endpoints import to_endpoint
from bridge.ledger.sqlite.messages import COLUMNS, to_message

# Goes from line to line in the index on what is ready, so that it costs as much as there are lines, however long they
# are. The lines that calls of resume_urls stand in belong to no one endpoint, and are never paused.
_LINES = """
WITH RECURSIVE lines (line) AS (
    SELECT min(line) FROM messages WHERE state = 'queued'
    UNION ALL
    SELECT (SELECT min(line) FROM messages WHERE state = 'queued' AND line > lines.line)
    FROM lines WHERE lines.line IS NOT NULL
)
"""

_OPEN = "lines.line IS NOT NULL AND coalesce(endpoints.state, 'active') = 'active'"

DUE_LINES = f"""
{_LINES}
SELECT lines.line, endpoints.id IS NULL,
    (SELECT count(*) FROM messages AS held WHERE held.line = lines.line AND held.lease_until > :now)
FROM lines LEFT JOIN endpoints ON endpoints.id = lines.line
WHERE {_OPEN}
  AND (SELECT min(ready_at) FROM messages AS due WHERE due.state = 'queued' AND due.line = lines.line) <= :now
"""

_DUE_IN_LINE = """
SELECT seq FROM messages WHERE state = 'queued' AND line = :line AND ready_at <= :now{filters}
ORDER BY ready_at LIMIT :limit
"""
_EXCEPT_IDS = " AND id NOT IN (SELECT value FROM json_each(:ids))"

NEXT_DUE = f"""
{_LINES}
SELECT min((
    SELECT min(ready_at) FROM messages AS later
    WHERE later.state = 'queued' AND later.line = lines.line AND later.ready_at > :now
))
FROM lines LEFT JOIN endpoints ON endpoints.id = lines.line
WHERE {_OPEN}
"""

LINES_OF_GONE = f"""
{_LINES}
SELECT lines.line FROM lines JOIN endpoints ON endpoints.id = lines.line WHERE endpoints.state = 'gone'
"""

CLAIM = f"""
UPDATE messages SET token = token + 1, lease_until = ? WHERE seq = ? RETURNING {", ".join(COLUMNS)}
"""

SELECT_RECEIVER = f"SELECT {', '.join(ENDPOINT_COLUMNS)} FROM endpoints WHERE id = ?"

END_LEASES = """
UPDATE messages SET token = token + 1, lease_until = NULL
WHERE seq IN (SELECT seq FROM messages INDEXED BY messages_held WHERE lease_until IS NOT NULL)
"""


def claim(
    connection: sqlite3.Connection,
    now: Millis,
    limit: int,
    lease_until: Millis,
    per_endpoint: int,
    except_ids: frozenset[str],
) -> list[ClaimedMessage]:
    """Claim due messages, those of the lines first that have the fewest in flight."""
    due_in_line = _DUE_IN_LINE.format(filters=_EXCEPT_IDS if except_ids else "")
    wanted = {"now": now, "ids": msgspec.json.encode(except_ids).decode()}
    candidates: list[tuple[int, float, int]] = []
    for line, shared, held in connection.execute(DUE_LINES, {"now": now}).fetchall():
        room = limit if shared else min(limit, per_endpoint - held)
        if room > 0:
            due = connection.execute(due_in_line, {**wanted, "line": line, "limit": room}).fetchall()
            candidates += [(place, random(), seq) for place, (seq,) in enumerate(due, start=held)]
    receivers: dict[str, Endpoint] = {}
    claimed = []
    for _, _, seq in nsmallest(limit, candidates):
        [row] = connection.execute(CLAIM, (lease_until, seq)).fetchall()
        message = to_message(row)
        if message.endpoint_id not in receivers:
            found = connection.execute(SELECT_RECEIVER, (message.endpoint_id,)).fetchone()
            receivers[message.endpoint_id] = to_endpoint(found)
        claimed.append(ClaimedMessage(message, receivers[message.endpoint_id]))
    return claimed


def next_due(connection: sqlite3.Connection, now: Millis) -> Millis | None:
    """Return when the next message becomes claimable."""
    (ready_at,) = connection.execute(NEXT_DUE, {"now": now}).fetchone()
    return None if ready_at is None else int(ready_at)


def take_back(connection: sqlite3.Connection) -> int:
    """End the lease of every message; return how many there were."""
    return connection.execute(END_LEASES).rowcount


def gone_with_messages(connection: sqlite3.Connection) -> list[str]:
    """Return the endpoints that are gone and whose messages a process that died was still dropping."""
    return [endpoint_id for (endpoint_id,) in connection.execute(LINES_OF_GONE).fetchall()]
