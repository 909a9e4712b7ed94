"""Storing a step of a delivery, fenced by its token."""

import sqlite3
from collections.abc import Sequence

from bridge.delivery.model import UNDER_WAY, Delivery, State
from bridge.ledger.protocol import LeaseLostError, Save
from bridge.ledger.sqlite.messages import tell
from bridge.ledger.sqlite.rows import (
    ATTEMPT_COLUMNS,
    DELIVERY_COLUMNS,
    REQUEST_COLUMNS,
    STATE_COLUMNS,
    attempt_values,
    decode_listing,
    identity_values,
    request_values,
    state_values,
)


def _inserting(table: str, columns: Sequence[str]) -> str:
    return f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join('?' * len(columns))})"


INSERT_DELIVERY = _inserting("deliveries", DELIVERY_COLUMNS)

# What a column keeps of the row that is stored; `{again}` and so on are the values of the copy that is saved. Within an
# UPDATE a column of the table is its value before it. While a delivery is under way, `again` survives a copy that does
# not know of it. Once it has ended, the lease is kept in the midst of a recheck only, and a rest that overlooks `again`
# is none.
_UNDER_WAY = "{state} IN (" + ", ".join(f"'{state.value}'" for state in sorted(UNDER_WAY)) + ")"
_GOES_ON = f"{_UNDER_WAY} OR {{due_at}} IS NOT NULL"
_IS_LEFT = f"{_GOES_ON} OR NOT (deliveries.again OR {{again}})"
_KEPT = {
    "step": f"CASE WHEN {_IS_LEFT} THEN {{step}} ELSE 'recheck' END",
    "due_at": f"CASE WHEN {_IS_LEFT} THEN {{due_at}} ELSE max({{updated_at}}, deliveries.seen_at) END",
    "lease_until": f"CASE WHEN {_UNDER_WAY} OR deliveries.due_at = {{due_at}} THEN {{lease_until}} END",
    "again": f"({_GOES_ON}) AND (deliveries.again OR {{again}})",
}

_SAVED = ("seq", "id", "token", *STATE_COLUMNS)
"""The values that a save binds: the row that it is for, and the token that it holds, then what it stores."""


def _updating() -> str:
    value = {column: f"?{number}" for number, column in enumerate(_SAVED, 1)}
    changes = ", ".join(f"{column} = {_KEPT.get(column, f'{{{column}}}').format(**value)}" for column in STATE_COLUMNS)
    held = " AND ".join(f"{column} = {value[column]}" for column in ("seq", "id", "token"))
    return f"UPDATE deliveries SET {changes} WHERE {held}"


UPDATE_DELIVERY = _updating()
"""Stores a delivery if the token is the current one, and changes nothing otherwise."""

SELECT_SEQ = "SELECT seq FROM deliveries WHERE id = ?"

SELECT_HELD = "SELECT again, listing, seen_at FROM deliveries WHERE id = ? AND token = ?"

CLEAR_AGAIN = "UPDATE deliveries SET again = 0 WHERE id = ?"

INSERT_ATTEMPT = _inserting("attempts", ("delivery", *ATTEMPT_COLUMNS))

PUT_REQUEST = (
    f"{_inserting('requests', ('delivery', *REQUEST_COLUMNS))} ON CONFLICT (delivery, id) DO UPDATE SET "
    + ", ".join(f"{column} = excluded.{column}" for column in REQUEST_COLUMNS if column != "id")
)
"""Stores a request, new or known."""


def insert_delivery(connection: sqlite3.Connection, *deliveries: Delivery) -> None:
    """Insert deliveries as they are given; each is its document's newest from now on."""
    connection.executemany(INSERT_DELIVERY, [identity_values(one) + state_values(one) for one in deliveries])


class Saving:
    """The change that stores a step of a delivery. Everything is encoded already, on the caller's time.

    ``seq`` is the delivery's number in the ledger; without it, it is looked up.
    """

    __slots__ = ("attempt", "delivery", "event", "requests", "seq", "successor", "values")

    def __init__(self, save: Save, seq: int | None = None) -> None:
        delivery, successor = save.delivery, save.successor
        for part in (*save.requests, *((save.attempt,) if save.attempt else ())):
            if part.delivery_id != delivery.id:
                raise ValueError(f"a save of {delivery.id} cannot hold what belongs to {part.delivery_id}")
        if successor and (successor.tenant, successor.document_id) != (delivery.tenant, delivery.document_id):
            raise ValueError(f"the successor of {delivery.id} is of another document")
        self.delivery = delivery
        self.successor = successor
        self.event = save.event
        self.seq = seq
        self.values = state_values(_kept(delivery, successor))
        self.attempt = attempt_values(save.attempt) if save.attempt else None
        self.requests = [request_values(request) for request in save.requests]

    @property
    def joins(self) -> bool:
        """Tell whether it can be made with others: nothing has to be looked up for it, and nothing else hangs on it."""
        return self.seq is not None and self.successor is None and self.event is None

    def __call__(self, connection: sqlite3.Connection) -> None:
        """Make the change. Raises ``LeaseLostError``, having changed nothing."""
        delivery = self.delivery
        if self.successor is not None:
            _insert_successor(connection, delivery, self.successor)
        number = self.seq or _seq(connection, delivery.id)
        if _store(connection, [(number, self)]) == 0:
            raise LeaseLostError(
                f"{delivery.id} is in other hands since token {delivery.token}; what was to be saved is void."
            )
        _store_parts(connection, [(number, self)])
        if self.event is not None:
            tell(connection, delivery.id, self.event)

    @staticmethod
    def together(connection: sqlite3.Connection, changes: Sequence["Saving"]) -> bool:
        """Make all of these changes; return False when one of them has to be refused, and so all have to be undone."""
        if len({saving.delivery.id for saving in changes}) < len(changes):
            return False
        numbered = [(saving.seq, saving) for saving in changes]
        if _store(connection, numbered) < len(changes):
            return False
        _store_parts(connection, numbered)
        return True


_Numbered = Sequence[tuple[int | None, Saving]]


def _store(connection: sqlite3.Connection, savings: _Numbered) -> int:
    """Store the deliveries; return how many of them were still ours."""
    rows = [(number, one.delivery.id, one.delivery.token, *one.values) for number, one in savings]
    return connection.executemany(UPDATE_DELIVERY, rows).rowcount


def _store_parts(connection: sqlite3.Connection, savings: _Numbered) -> None:
    attempts = [(number, *one.attempt) for number, one in savings if one.attempt is not None]
    connection.executemany(INSERT_ATTEMPT, attempts)
    requests = [(number, *request) for number, one in savings for request in one.requests]
    connection.executemany(PUT_REQUEST, requests)


def _kept(delivery: Delivery, successor: Delivery | None) -> Delivery:
    """Return what is stored of a delivery. With a successor, ``again`` is its affair: the predecessor rests."""
    if successor is not None:
        delivery = delivery.evolve(again=False)
    if delivery.state is State.QUEUED and delivery.lease_until is not None:
        return delivery.evolve(lease_until=None)
    return delivery


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
