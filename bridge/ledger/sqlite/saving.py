"""Storing a step of a delivery, fenced by its token."""

import sqlite3

from bridge.delivery.model import Delivery
from bridge.ledger.protocol import LeaseLostError, Save
from bridge.ledger.sqlite.messages import tell
from bridge.ledger.sqlite.rows import (
    ATTEMPT_COLUMNS,
    DELIVERY_COLUMNS,
    REQUEST_COLUMNS,
    STATE_COLUMNS,
    Row,
    attempt_values,
    decode_listing,
    identity_values,
    request_values,
    state_values,
)
from bridge.ledger.sqlite.writer import Change

INSERT_DELIVERY = (
    f"INSERT INTO deliveries ({', '.join(DELIVERY_COLUMNS)}) VALUES ({', '.join('?' * len(DELIVERY_COLUMNS))})"
)

# `again` survives a copy that does not know of it.
SAVE_UNDER_WAY = f"""
UPDATE deliveries
SET {", ".join(f"{column} = again OR ?" if column == "again" else f"{column} = ?" for column in STATE_COLUMNS)}
WHERE id = ? AND token = ? AND seq = ?
"""

# What an ended delivery keeps of the copy, by column; the names in colons are its values. Within an UPDATE a bare
# column is the value before it. The lease is kept in the midst of a recheck only, and a rest that overlooks `again` is
# none.
_UNREST = "(again OR :again) AND :due_at IS NULL"
_ENDED = {
    "step": f"CASE WHEN {_UNREST} THEN 'recheck' ELSE :step END",
    "due_at": f"CASE WHEN {_UNREST} THEN max(:updated_at, seen_at) ELSE :due_at END",
    "lease_until": "CASE WHEN due_at = :due_at THEN :lease_until END",
    "again": "CASE WHEN :due_at IS NULL THEN 0 ELSE again OR :again END",
}
SAVE_ENDED = f"""
UPDATE deliveries
SET {", ".join(f"{column} = {_ENDED.get(column, ':' + column)}" for column in STATE_COLUMNS)}
WHERE id = :id AND token = :token AND seq = :seq
"""

SELECT_SEQ = "SELECT seq FROM deliveries WHERE id = ?"

SELECT_HELD = "SELECT again, listing, seen_at FROM deliveries WHERE id = ? AND token = ?"

CLEAR_AGAIN = "UPDATE deliveries SET again = 0 WHERE id = ?"

INSERT_ATTEMPT = (
    f"INSERT INTO attempts (delivery, {', '.join(ATTEMPT_COLUMNS)}) VALUES (?, {', '.join('?' * len(ATTEMPT_COLUMNS))})"
)

PUT_REQUEST = f"""
INSERT INTO requests (delivery, {", ".join(REQUEST_COLUMNS)}) VALUES (?, {", ".join("?" * len(REQUEST_COLUMNS))})
ON CONFLICT (delivery, id) DO UPDATE
SET {", ".join(f"{column} = excluded.{column}" for column in REQUEST_COLUMNS if column != "id")}
"""


def insert_delivery(connection: sqlite3.Connection, delivery: Delivery) -> None:
    """Insert a delivery as it is given; it is its document's newest from now on."""
    connection.execute(INSERT_DELIVERY, identity_values(delivery) + state_values(delivery))


def saving(save: Save, seq: int | None = None) -> Change[None]:
    """Return the change that stores a step; everything is encoded already, on the caller's time.

    ``seq`` is the delivery's number in the ledger; without it, it is looked up.
    """
    delivery, successor, event = save.delivery, save.successor, save.event
    for part in (*save.requests, *((save.attempt,) if save.attempt else ())):
        if part.delivery_id != delivery.id:
            raise ValueError(f"a save of {delivery.id} cannot hold what belongs to {part.delivery_id}")
    if successor and (successor.tenant, successor.document_id) != (delivery.tenant, delivery.document_id):
        raise ValueError(f"the successor of {delivery.id} is of another document")

    # With a successor, `again` is its affair: the predecessor rests.
    statement, values = _update(delivery.evolve(again=False) if successor else delivery)
    attempt = attempt_values(save.attempt) if save.attempt else None
    requests = [request_values(request) for request in save.requests]

    def change(connection: sqlite3.Connection) -> None:
        if successor is not None:
            _insert_successor(connection, delivery, successor)
        number = seq or _seq(connection, delivery.id)
        placed = (*values, number) if isinstance(values, tuple) else {**values, "seq": number}
        if connection.execute(statement, placed).rowcount == 0:
            raise LeaseLostError(
                f"{delivery.id} is in other hands since token {delivery.token}; what was to be saved is void."
            )
        if attempt is not None:
            connection.execute(INSERT_ATTEMPT, (number, *attempt))
        connection.executemany(PUT_REQUEST, [(number, *request) for request in requests])
        if event is not None:
            tell(connection, delivery.id, event)

    return change


def _update(delivery: Delivery) -> tuple[str, Row | dict[str, object]]:
    if delivery.state.ended:
        named = dict(zip(STATE_COLUMNS, state_values(delivery), strict=True))
        return SAVE_ENDED, {**named, "id": delivery.id, "token": delivery.token}
    held = delivery if delivery.state == "working" else delivery.evolve(lease_until=None)
    return SAVE_UNDER_WAY, (*state_values(held), delivery.id, delivery.token)


def _seq(connection: sqlite3.Connection, delivery_id: str) -> int | None:
    row = connection.execute(SELECT_SEQ, (delivery_id,)).fetchone()
    return row and int(row[0])


def _insert_successor(connection: sqlite3.Connection, delivery: Delivery, successor: Delivery) -> None:
    held = connection.execute(SELECT_HELD, (delivery.id, delivery.token)).fetchone()
    if held is None:
        return  # the save that follows finds the same, and says so
    again, listing, seen_at = held
    if again or delivery.again:
        # What was listed meanwhile is the successor's to read; its predecessor need not be rechecked for it.
        successor = successor.evolve(listing=decode_listing(listing), seen_at=seen_at)
        connection.execute(CLEAR_AGAIN, (delivery.id,))
    insert_delivery(connection, successor)
