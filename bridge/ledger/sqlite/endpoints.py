"""Endpoints as rows of the SQLite ledger: who is told what happens."""

import sqlite3
from collections.abc import Sequence
from typing import Final

import msgspec

from bridge.delivery.model import Millis
from bridge.events.model import Endpoint, EndpointState, Origin, matches
from bridge.ledger.messages import LISTENING, EndpointPage
from bridge.ledger.protocol import MAX_PAGE
from bridge.ledger.sqlite.pages import decode_cursor, encode_cursor
from bridge.ledger.sqlite.rows import Row

COLUMNS: Final = (
    "id",
    "tenant",
    "origin",
    "address",
    "label",
    "digest",
    "types",
    "secrets",
    "state",
    "failing_since",
    "document_id",
    "created_at",
    "updated_at",
)

_LISTENING = ", ".join(f"'{state.value}'" for state in sorted(LISTENING))
_SUBSCRIBING = f"tenant = ? AND origin IN ('config', 'api') AND state IN ({_LISTENING})"

LISTENS = f"SELECT EXISTS (SELECT 1 FROM endpoints WHERE {_SUBSCRIBING})"

SELECT_SUBSCRIBERS = f"SELECT id, types FROM endpoints WHERE {_SUBSCRIBING} ORDER BY seq"

SELECT_WAITING = "SELECT id FROM endpoints WHERE tenant = ? AND document_id = ? AND state <> 'gone' ORDER BY seq"

SELECT_ENDPOINT = f"SELECT {', '.join(COLUMNS)} FROM endpoints WHERE tenant = ? AND id = ?"

SELECT_SAME = f"""
SELECT {", ".join(COLUMNS)} FROM endpoints
WHERE tenant = ? AND origin = ? AND digest = ? AND document_id IS NULL AND state <> 'gone'
"""

SELECT_SAME_CALL = """
SELECT endpoints.id, endpoints.state = 'gone' AND NOT EXISTS (
    SELECT 1 FROM messages WHERE messages.endpoint_id = endpoints.id AND messages.state IN ('queued', 'sent')
)
FROM endpoints WHERE tenant = ? AND document_id = ? AND digest = ?
"""

SELECT_CONFIGURED = "SELECT id, digest FROM endpoints WHERE tenant = ? AND origin = 'config' AND state <> 'gone'"

INSERT_ENDPOINT = f"INSERT INTO endpoints ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"

RENEW_ENDPOINT = f"""
UPDATE endpoints SET address = ?, label = ?, types = ?, secrets = ?, updated_at = ? WHERE id = ?
RETURNING {", ".join(COLUMNS)}
"""

WAIT_ONCE_MORE = """
UPDATE endpoints SET state = 'active', failing_since = NULL, address = ?, label = ?, secrets = ?, updated_at = ?
WHERE id = ?
"""

# What is gone stays gone, whatever an older copy says.
SAVE_STATE = """
UPDATE endpoints SET state = ?, failing_since = ?, updated_at = ? WHERE tenant = ? AND id = ? AND state <> 'gone'
"""

LET_GO = "UPDATE endpoints SET state = 'gone', updated_at = ? WHERE tenant = ? AND id = ? AND state <> 'gone'"

END_PAUSE = """
UPDATE endpoints SET state = 'active', failing_since = NULL, updated_at = ?
WHERE tenant = ? AND id = ? AND state = 'paused'
"""

_types = msgspec.json.Decoder(tuple[str, ...]).decode


def values_of(endpoint: Endpoint) -> Row:
    """Return the values of ``COLUMNS``."""
    return (
        endpoint.id,
        endpoint.tenant,
        endpoint.origin.value,
        endpoint.address,
        endpoint.label,
        endpoint.digest,
        _encoded(endpoint.types),
        endpoint.secrets,
        endpoint.state.value,
        endpoint.failing_since,
        endpoint.document_id,
        endpoint.created_at,
        endpoint.updated_at,
    )


def to_endpoint(row: Row) -> Endpoint:
    """Return the endpoint of a row of ``COLUMNS``."""
    named = dict(zip(COLUMNS, row, strict=True))
    origin, state = Origin(named.pop("origin")), EndpointState(named.pop("state"))
    return Endpoint(origin=origin, state=state, types=_types(named.pop("types")), **named)


def select_endpoint(connection: sqlite3.Connection, tenant: str, endpoint_id: str) -> Endpoint | None:
    """Return one endpoint of the tenant."""
    row = connection.execute(SELECT_ENDPOINT, (tenant, endpoint_id)).fetchone()
    return row and to_endpoint(row)


def listens(connection: sqlite3.Connection, tenant: str) -> bool:
    """Tell whether the tenant has a subscriber."""
    return bool(connection.execute(LISTENS, (tenant,)).fetchone()[0])


def listening(connection: sqlite3.Connection, tenant: str, event_type: str) -> list[str]:
    """Return the ids of the tenant's subscribers who want events of this type."""
    subscribers = connection.execute(SELECT_SUBSCRIBERS, (tenant,)).fetchall()
    return [endpoint_id for endpoint_id, types in subscribers if matches(_types(types), event_type)]


def waiting(connection: sqlite3.Connection, tenant: str, document_id: str) -> list[str]:
    """Return the ids of the endpoints that wait for a document to rest."""
    return [endpoint_id for (endpoint_id,) in connection.execute(SELECT_WAITING, (tenant, document_id)).fetchall()]


def select_page(
    connection: sqlite3.Connection,
    tenant: str,
    origins: frozenset[Origin],
    states: frozenset[EndpointState],
    limit: int,
    cursor: str | None,
) -> EndpointPage:
    """Return a page of the tenant's endpoints, newest first."""
    size = max(1, min(limit, MAX_PAGE))
    below = (1 << 62) if cursor is None else decode_cursor(cursor)
    of_origin = ", ".join(f"'{origin.value}'" for origin in sorted(origins))
    in_state = ", ".join(f"'{state.value}'" for state in sorted(states))
    rows = connection.execute(
        f"""
            SELECT seq, {", ".join(COLUMNS)} FROM endpoints
            WHERE tenant = ? AND origin IN ({of_origin}) AND state IN ({in_state}) AND seq < ?
            ORDER BY seq DESC LIMIT ?
        """,
        (tenant, below, size + 1),  # one more than a page tells whether there is a next one
    ).fetchall()
    page = rows[:size]
    return EndpointPage(
        tuple(to_endpoint(row[1:]) for row in page), encode_cursor(page[-1][0]) if len(rows) > size else None
    )


def put(connection: sqlite3.Connection, endpoint: Endpoint) -> tuple[Endpoint, bool]:
    """Insert a subscriber, or renew the one that has its digest."""
    key = (endpoint.tenant, endpoint.origin.value, endpoint.digest)
    row = connection.execute(SELECT_SAME, key).fetchone()
    if row is None:
        connection.execute(INSERT_ENDPOINT, values_of(endpoint))
        return endpoint, True
    renewed = (
        endpoint.address,
        endpoint.label,
        _encoded(endpoint.types),
        endpoint.secrets,
        endpoint.updated_at,
        to_endpoint(row).id,
    )
    [stored] = connection.execute(RENEW_ENDPOINT, renewed).fetchall()
    return to_endpoint(stored), False


def sync(connection: sqlite3.Connection, tenant: str, endpoints: Sequence[Endpoint], now: Millis) -> list[str]:
    """Let the configured ones be exactly these; return the ids of those that are gone by it."""
    for endpoint in endpoints:
        put(connection, endpoint)
    wanted = {endpoint.digest for endpoint in endpoints}
    configured = connection.execute(SELECT_CONFIGURED, (tenant,)).fetchall()
    unwanted = [endpoint_id for endpoint_id, digest in configured if digest not in wanted]
    for endpoint_id in unwanted:
        let_go(connection, tenant, endpoint_id, now)
    return unwanted


def let_go(connection: sqlite3.Connection, tenant: str, endpoint_id: str, now: Millis) -> bool:
    """Let an endpoint be gone; tell whether it was not so before."""
    return connection.execute(LET_GO, (now, tenant, endpoint_id)).rowcount > 0


def end_pause(connection: sqlite3.Connection, tenant: str, endpoint_id: str, now: Millis) -> bool:
    """Let a paused endpoint be active; tell whether it was paused."""
    return connection.execute(END_PAUSE, (now, tenant, endpoint_id)).rowcount > 0


def save_state(connection: sqlite3.Connection, endpoint: Endpoint) -> bool:
    """Store whether it answers; tell whether it became gone by that."""
    values = (endpoint.state.value, endpoint.failing_since, endpoint.updated_at, endpoint.tenant, endpoint.id)
    return connection.execute(SAVE_STATE, values).rowcount > 0 and endpoint.state is EndpointState.GONE


def wait_for_rest(connection: sqlite3.Connection, resume_endpoint: Endpoint) -> None:
    """Let an endpoint wait for its document, unless the same call waits already, is being made, or was made."""
    key = (resume_endpoint.tenant, resume_endpoint.document_id, resume_endpoint.digest)
    found = connection.execute(SELECT_SAME_CALL, key).fetchone()
    if found is None:
        connection.execute(INSERT_ENDPOINT, values_of(resume_endpoint))
        return
    endpoint_id, came_to_nothing = found
    if came_to_nothing:
        renewed = (resume_endpoint.address, resume_endpoint.label, resume_endpoint.secrets, resume_endpoint.updated_at)
        connection.execute(WAIT_ONCE_MORE, (*renewed, endpoint_id))


def _encoded(types: Sequence[str]) -> str:
    return msgspec.json.encode(types).decode()
