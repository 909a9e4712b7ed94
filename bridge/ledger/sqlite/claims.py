"""Who works on what: claiming due deliveries, and taking them back from a process that is gone."""

import sqlite3
from collections.abc import Iterable

import msgspec

from bridge.delivery.model import Delivery, Millis, Step
from bridge.ledger.arrivals import taken_back
from bridge.ledger.protocol import ClaimFilter
from bridge.ledger.sqlite import sending
from bridge.ledger.sqlite.intake import replace_delivery
from bridge.ledger.sqlite.rows import DELIVERY_COLUMNS, to_delivery

# The index on what is ready begins with tenant and step, so that a backlog of one step, while its side is blocked,
# costs nothing to those who look for another. Hence one seek for each step.
_READY_IN_STEP = """
SELECT * FROM (
    SELECT seq, document_id, ready_at FROM deliveries AS candidate
    WHERE tenant = :tenant AND step {step} AND ready_at <= :now{filters}
      AND NOT EXISTS (
        SELECT 1 FROM deliveries AS sibling
        WHERE sibling.tenant = candidate.tenant AND sibling.document_id = candidate.document_id
          AND sibling.seq <> candidate.seq AND sibling.lease_until > :now
      )
    ORDER BY ready_at LIMIT :limit
)
"""

_EXCEPT_SCHEMAS = "\n      AND (schema IS NULL OR schema NOT IN (SELECT value FROM json_each(:schemas)))"
_EXCEPT_IDS = "\n      AND id NOT IN (SELECT value FROM json_each(:ids))"

# A working delivery without a lease is ready since ever.
CLAIM = """
UPDATE deliveries
SET token = token + 1,
    lease_until = :lease_until,
    updated_at = CASE state WHEN 'queued' THEN :now ELSE updated_at END,
    state = CASE state WHEN 'queued' THEN 'working' ELSE state END,
    again = CASE WHEN step IN ('fetch', 'recheck') THEN 0 ELSE again END
WHERE seq IN (SELECT value FROM json_each(:seqs))
"""

SELECT_CLAIMED = f"""
SELECT seq, {", ".join(DELIVERY_COLUMNS)} FROM deliveries
WHERE seq IN (SELECT value FROM json_each(:seqs))
"""

# A holder whose time ran out may still be at work on another delivery of the document: it must not come back to it.
FENCE_SIBLINGS = """
UPDATE deliveries SET token = token + 1
WHERE tenant = :tenant
  AND document_id IN (SELECT document_id FROM deliveries WHERE seq IN (SELECT value FROM json_each(:seqs)))
  AND seq NOT IN (SELECT value FROM json_each(:seqs))
  AND lease_until IS NOT NULL
"""

_NEXT_IN_STEP = (
    "\nSELECT min(ready_at) AS ready_at FROM deliveries WHERE tenant = :tenant AND step {step} AND ready_at > :now\n"
)

_EVERY_STEP = ("IS NULL", *(f"= '{step.value}'" for step in Step))

NEXT_DUE = f"SELECT min(ready_at) FROM ({'UNION ALL'.join(_NEXT_IN_STEP.format(step=step) for step in _EVERY_STEP)})"

# Finds them in the index on what is ready, and reads no row that nobody holds.
SELECT_LEASED = f"""
SELECT {", ".join(DELIVERY_COLUMNS)} FROM deliveries
WHERE seq IN (SELECT seq FROM deliveries WHERE ready_at IS NOT NULL AND lease_until IS NOT NULL)
"""

END_POLL_LEASES = "UPDATE polls SET lease_until = NULL WHERE lease_until IS NOT NULL"


def ready_statement(only: ClaimFilter) -> str:
    """Return the query for what can be claimed: sequence number and document, oldest due first."""
    steps = [f"= '{step.value}'" for step in sorted(only.steps)] or _EVERY_STEP
    filters = (_EXCEPT_SCHEMAS if only.except_schemas else "") + (_EXCEPT_IDS if only.except_ids else "")
    ready = "UNION ALL".join(_READY_IN_STEP.format(step=step, filters=filters) for step in steps)
    return f"SELECT seq, document_id FROM ({ready}) ORDER BY ready_at, seq LIMIT :limit"


def claim(
    connection: sqlite3.Connection, tenant: str, now: Millis, limit: int, lease_until: Millis, only: ClaimFilter
) -> list[tuple[int, Delivery]]:
    """Claim what is due, at most one delivery of a document; return each with its number."""
    statement = ready_statement(only)
    wanted = {"tenant": tenant, "now": now, "schemas": _json(only.except_schemas), "ids": _json(only.except_ids)}
    claimed: list[tuple[int, Delivery]] = []
    while len(claimed) < limit:
        ready = connection.execute(statement, {**wanted, "limit": limit - len(claimed)}).fetchall()
        if not ready:
            break
        first_of_document: dict[str, int] = {}
        for seq, document_id in ready:
            first_of_document.setdefault(document_id, seq)
        taking = {"lease_until": lease_until, "now": now, "seqs": _json(first_of_document.values())}
        connection.execute(CLAIM, taking)
        rows = connection.execute(SELECT_CLAIMED, {"seqs": taking["seqs"]}).fetchall()
        taken = {seq: to_delivery(row) for seq, *row in rows}
        connection.execute(FENCE_SIBLINGS, {"tenant": tenant, "seqs": taking["seqs"]})
        claimed += [(seq, taken[seq]) for seq in first_of_document.values()]
        if len(first_of_document) == len(ready):
            break
        # A sibling took a place in vain; now that it has to wait, the next one in line gets the place.
    return claimed


def next_due(connection: sqlite3.Connection, tenant: str, now: Millis) -> Millis | None:
    """Return when the next delivery becomes claimable."""
    (ready_at,) = connection.execute(NEXT_DUE, {"tenant": tenant, "now": now}).fetchone()
    return None if ready_at is None else int(ready_at)


def take_back(connection: sqlite3.Connection, now: Millis) -> int:
    """End every lease, of deliveries, polls and messages."""
    held = connection.execute(SELECT_LEASED).fetchall()
    for row in held:
        replace_delivery(connection, taken_back(to_delivery(row), now))
    return len(held) + connection.execute(END_POLL_LEASES).rowcount + sending.take_back(connection)


def _json(values: Iterable[str] | Iterable[int]) -> str:
    return msgspec.json.encode([*values]).decode()
