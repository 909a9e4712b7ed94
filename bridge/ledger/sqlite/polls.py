"""The cursor of a tenant's outbox and the right to poll it."""

import sqlite3

from bridge.delivery.model import Millis
from bridge.ledger.protocol import LeaseLostError, PollLease, PollState

SELECT_POLL = "SELECT cursor, finished_at, succeeded_at FROM polls WHERE tenant = ?"

# Returns a row only when nobody else holds the right.
ACQUIRE_POLL = """
INSERT INTO polls (tenant, token, lease_until) VALUES (:tenant, 1, :until)
ON CONFLICT (tenant) DO UPDATE SET token = token + 1, lease_until = :until
WHERE lease_until IS NULL OR lease_until <= :now
RETURNING token, cursor, finished_at, succeeded_at
"""

MOVE_CURSOR = "UPDATE polls SET cursor = ? WHERE tenant = ? AND token = ? AND lease_until IS NOT NULL"

FINISH_POLL = """
UPDATE polls
SET lease_until = NULL,
    finished_at = :now,
    succeeded_at = CASE WHEN :succeeded THEN :now ELSE succeeded_at END,
    cursor = CASE WHEN :reset THEN NULL ELSE cursor END
WHERE tenant = :tenant AND token = :token AND lease_until IS NOT NULL
"""


def select_poll(connection: sqlite3.Connection, tenant: str) -> PollState:
    """Return where the tenant's outbox is being read."""
    found = connection.execute(SELECT_POLL, (tenant,)).fetchone()
    return PollState(*found) if found else PollState()


def acquire(connection: sqlite3.Connection, tenant: str, now: Millis, until: Millis) -> PollLease | None:
    """Take the right to poll unless someone holds it."""
    rows = connection.execute(ACQUIRE_POLL, {"tenant": tenant, "now": now, "until": until}).fetchall()
    if not rows:
        return None
    [(token, *state)] = rows
    return PollLease(tenant, token, until, PollState(*state))


def move_cursor(connection: sqlite3.Connection, lease: PollLease, cursor: str | None) -> None:
    """Store the cursor of the next page. Raises ``LeaseLostError`` when the lease is no longer the current one."""
    if connection.execute(MOVE_CURSOR, (cursor, lease.tenant, lease.token)).rowcount == 0:
        raise LeaseLostError(f"The outbox of {lease.tenant} is polled by someone else since; this page is void.")


def finish(
    connection: sqlite3.Connection, lease: PollLease, now: Millis, *, succeeded: bool, reset_cursor: bool
) -> None:
    """Give the right back; nothing happens under a lease that was lost."""
    connection.execute(
        FINISH_POLL,
        {
            "now": now,
            "succeeded": int(succeeded),
            "reset": int(reset_cursor),
            "tenant": lease.tenant,
            "token": lease.token,
        },
    )
