"""What listings and people bring in, as changes to the tables."""

import sqlite3
from collections.abc import Sequence
from functools import cache

from bridge.delivery.model import Delivery, Millis, Step, Trigger
from bridge.events.model import Endpoint
from bridge.ledger.arrivals import arrival, asked_for, listed, retried
from bridge.ledger.protocol import Intake, PollLease
from bridge.ledger.sqlite.endpoints import wait_for_rest
from bridge.ledger.sqlite.polls import move_cursor
from bridge.ledger.sqlite.rows import DELIVERY_COLUMNS, STATE_COLUMNS, encode_listing, state_values, to_delivery
from bridge.ledger.sqlite.saving import insert_delivery
from connectors.ports import Listing

_AT_ONCE = 100
"""Documents that one statement asks for, at most."""


@cache
def find_newest(documents: int) -> str:
    """Return the query for the newest deliveries of so many documents: document and sequence number.

    Asked by itself: most documents that are listed are new, and a whole row is only read of those that are not.
    """
    return (
        "SELECT document_id, max(seq) FROM deliveries "
        f"WHERE tenant = ? AND document_id IN ({', '.join('?' * documents)}) GROUP BY tenant, document_id"
    )


SELECT_FOUND = f"SELECT {', '.join(DELIVERY_COLUMNS)} FROM deliveries WHERE seq = ?"

SELECT_DELIVERY = f"SELECT {', '.join(DELIVERY_COLUMNS)} FROM deliveries WHERE id = ?"

# Not fenced: the row was read in the same transaction.
REPLACE_DELIVERY = f"""
UPDATE deliveries SET listing = ?, seen_at = ?, token = ?, {", ".join(f"{column} = ?" for column in STATE_COLUMNS)}
WHERE id = ?
"""


def take_in(
    connection: sqlite3.Connection,
    tenant: str,
    arrivals: Sequence[tuple[str, Listing]],
    trigger: Trigger,
    now: Millis,
    poll: PollLease | None,
    next_cursor: str | None,
) -> Intake:
    """Turn listings, each with the id that a new delivery of it would get, into deliveries, and move the cursor."""
    if poll is not None:
        move_cursor(connection, poll, next_cursor)
    known = _newest(connection, tenant, [listing.document_id for _, listing in arrivals])
    fresh: list[Delivery] = []
    rechecked = 0
    ids = []
    for new_id, listing in arrivals:
        seq = known.get(listing.document_id)
        if seq is None:
            fresh.append(arrival(new_id, tenant, listing, trigger, now))
            ids.append(new_id)
            continue
        newest = _read(connection, seq)
        following = listed(newest, listing, now)
        replace_delivery(connection, following)
        rechecked += following.again or (following.state.ended and following.step is Step.RECHECK)
        ids.append(newest.id)
    insert_delivery(connection, *fresh)
    return Intake(len(arrivals), len(fresh), rechecked, tuple(ids))


def deliver_now(
    connection: sqlite3.Connection,
    tenant: str,
    listing: Listing,
    now: Millis,
    new_id: str,
    force: bool,  # noqa: FBT001
    resume: Endpoint | None,
) -> Delivery:
    """Bring in one document that a person asked for, and let the one who asked wait for it to rest."""
    if resume is not None:
        wait_for_rest(connection, resume)
    newest = select_newest(connection, tenant, listing.document_id)
    if newest is None:
        fresh = arrival(new_id, tenant, listing, Trigger.PERSON, now, force=force)
        insert_delivery(connection, fresh)
        return fresh
    return replace_delivery(connection, asked_for(newest, listing, now, force=force))


def retry(connection: sqlite3.Connection, delivery_id: str, now: Millis, *, pinned: bool) -> Delivery | None:
    """Queue a delivery afresh if it has ended."""
    found = select_delivery(connection, delivery_id)
    return found and replace_delivery(connection, retried(found, now, pinned=pinned))


def select_newest(connection: sqlite3.Connection, tenant: str, document_id: str) -> Delivery | None:
    """Return the delivery of a document that was inserted last."""
    seq = _newest(connection, tenant, [document_id]).get(document_id)
    return None if seq is None else _read(connection, seq)


def _newest(connection: sqlite3.Connection, tenant: str, document_ids: Sequence[str]) -> dict[str, int]:
    """Return the number of each document's newest delivery; documents that have none are left out."""
    found: dict[str, int] = {}
    for start in range(0, len(document_ids), _AT_ONCE):
        asked = document_ids[start : start + _AT_ONCE]
        found.update(connection.execute(find_newest(len(asked)), (tenant, *asked)).fetchall())
    return found


def _read(connection: sqlite3.Connection, seq: int) -> Delivery:
    return to_delivery(connection.execute(SELECT_FOUND, (seq,)).fetchone())


def select_delivery(connection: sqlite3.Connection, delivery_id: str) -> Delivery | None:
    """Return one delivery."""
    row = connection.execute(SELECT_DELIVERY, (delivery_id,)).fetchone()
    return row and to_delivery(row)


def replace_delivery(connection: sqlite3.Connection, delivery: Delivery) -> Delivery:
    """Store a delivery that was read in this transaction; return it."""
    intake_values = (encode_listing(delivery.listing), delivery.seen_at, delivery.token)
    connection.execute(REPLACE_DELIVERY, (*intake_values, *state_values(delivery), delivery.id))
    return delivery
