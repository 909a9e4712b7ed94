"""Work on many deliveries at once.

A reader finds them, and the writer changes a bounded number at a time, so that no step that is to be saved
waits long.
"""

import sqlite3
from collections.abc import Sequence

from bridge.delivery.model import UNDER_WAY, Millis
from bridge.ledger.arrivals import is_worked_on, rechecked
from bridge.ledger.sqlite.intake import replace_delivery, select_delivery

CHUNK = 500

_ENDED_BEFORE = f"""
state NOT IN ({", ".join(f"'{state.value}'" for state in sorted(UNDER_WAY))})
AND due_at IS NULL AND max(seen_at, updated_at) < ?
"""

FIND_OLD_DELIVERIES = f"SELECT seq FROM deliveries WHERE seq > ? AND {_ENDED_BEFORE} ORDER BY seq LIMIT {CHUNK}"
FIND_OLD_REQUESTS = f"SELECT seq FROM requests WHERE seq > ? AND sent_at < ? ORDER BY seq LIMIT {CHUNK}"

DELETE_DELIVERY = f"DELETE FROM deliveries WHERE seq = ? AND {_ENDED_BEFORE}"
DELETE_REQUEST = "DELETE FROM requests WHERE seq = ?"
COUNT_REQUESTS = "SELECT count(*) FROM requests WHERE delivery = ?"

FIND_MISMAPPED = f"""
SELECT seq, id FROM deliveries AS failed
WHERE seq > :after AND tenant = :tenant AND state = 'failed' AND schema = :schema AND mapping_digest IS NOT :digest
  AND NOT EXISTS (
    SELECT 1 FROM deliveries AS newer
    WHERE newer.tenant = failed.tenant AND newer.document_id = failed.document_id AND newer.seq > failed.seq
  )
ORDER BY seq LIMIT {CHUNK}
"""

IS_NEWEST = """
SELECT NOT EXISTS (
    SELECT 1 FROM deliveries AS newer JOIN deliveries AS this
      ON newer.tenant = this.tenant AND newer.document_id = this.document_id AND newer.seq > this.seq
    WHERE this.id = ?
)
"""


def delete_deliveries(connection: sqlite3.Connection, seqs: Sequence[int], before: Millis) -> tuple[int, int]:
    """Delete those that are still old; return how many deliveries and how many of their requests went."""
    deliveries = requests = 0
    for seq in seqs:
        (of_this,) = connection.execute(COUNT_REQUESTS, (seq,)).fetchone()
        if connection.execute(DELETE_DELIVERY, (seq, before)).rowcount:
            deliveries += 1
            requests += of_this
    return deliveries, requests


def delete_requests(connection: sqlite3.Connection, seqs: Sequence[int]) -> int:
    """Delete requests; return how many there still were."""
    return sum(connection.execute(DELETE_REQUEST, (seq,)).rowcount for seq in seqs)


def recheck(connection: sqlite3.Connection, ids: Sequence[str], now: Millis, schema: str, digest: str) -> int:
    """Make those due for a recheck that still are as they were found; return how many."""
    changed = 0
    for delivery_id in ids:
        delivery = select_delivery(connection, delivery_id)
        if delivery is None or delivery.state != "failed" or delivery.schema != schema:
            continue
        if delivery.mapping is not None and delivery.mapping.digest == digest:
            continue
        if not connection.execute(IS_NEWEST, (delivery_id,)).fetchone()[0]:
            continue
        again = is_worked_on(delivery, now)
        replace_delivery(connection, delivery.evolve(again=True) if again else rechecked(delivery, now))
        changed += 1
    return changed
