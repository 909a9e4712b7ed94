"""Deliveries that are not wanted any more, and a second look at those that were taken back."""

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass

from bridge.delivery.model import Delivery, DeliveryError, Millis, State, Step
from bridge.ledger.arrivals import rechecked, withdrawn
from bridge.ledger.inbox import TellsOf, Withdrawal
from bridge.ledger.sqlite.intake import replace_delivery, select_delivery, select_newest
from bridge.ledger.sqlite.messages import tell
from bridge.ledger.sqlite.sweeps import IS_NEWEST

_TAKEN_BACK = """
state = 'superseded' AND due_at IS NULL
AND seen_at > :seen_after AND max(seen_at, updated_at) < :quiet_since
"""

FIND_TAKEN_BACK = f"""
SELECT seq, id FROM deliveries AS quiet
WHERE tenant = :tenant AND seq > :after AND {_TAKEN_BACK}
  AND NOT EXISTS (
    SELECT 1 FROM deliveries AS newer
    WHERE newer.tenant = quiet.tenant AND newer.document_id = quiet.document_id AND newer.seq > quiet.seq
  )
ORDER BY seq LIMIT :limit
"""


@dataclass(frozen=True, slots=True)
class Withdrawing:
    """Why a delivery is withdrawn, and what tells of it."""

    error: DeliveryError
    event: TellsOf | None


@dataclass(frozen=True, slots=True)
class Quiet:
    """Which superseded deliveries deserve another look; see ``HookLedger.sweep``."""

    seen_after: Millis
    quiet_since: Millis

    def has(self, delivery: Delivery) -> bool:
        """Tell whether a delivery is one of them."""
        return (
            delivery.state is State.SUPERSEDED
            and delivery.at_rest
            and delivery.seen_at > self.seen_after
            and max(delivery.seen_at, delivery.updated_at) < self.quiet_since
        )


def withdraw(
    connection: sqlite3.Connection, tenant: str, document_id: str, now: Millis, withdrawing: Withdrawing
) -> Withdrawal:
    """End a document's newest delivery unless its write has begun."""
    newest = select_newest(connection, tenant, document_id)
    if newest is None or newest.state.ended:
        return Withdrawal("none", newest)
    if newest.step is not Step.FETCH:
        return Withdrawal("written", newest)
    ended = replace_delivery(connection, withdrawn(newest, withdrawing.error, now))
    event = withdrawing.event and withdrawing.event(ended)
    if event is not None:
        tell(connection, ended.id, event)
    return Withdrawal("superseded", ended)


def find_taken_back(
    connection: sqlite3.Connection, tenant: str, quiet: Quiet, after: int, limit: int
) -> list[tuple[int, str]]:
    """Return sequence numbers and ids of a chunk of them, the oldest first."""
    wanted = {"tenant": tenant, "after": after, "limit": limit}
    limits = {"seen_after": quiet.seen_after, "quiet_since": quiet.quiet_since}
    return connection.execute(FIND_TAKEN_BACK, wanted | limits).fetchall()


def look_again(connection: sqlite3.Connection, ids: Sequence[str], now: Millis, quiet: Quiet) -> int:
    """Make those due for a recheck that still are as they were found; return how many."""
    changed = 0
    for delivery_id in ids:
        delivery = select_delivery(connection, delivery_id)
        if delivery is None or not quiet.has(delivery):
            continue
        if not connection.execute(IS_NEWEST, (delivery_id,)).fetchone()[0]:
            continue
        replace_delivery(connection, rechecked(delivery, now).evolve(updated_at=now))
        changed += 1
    return changed
