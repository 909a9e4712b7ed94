"""What the SQLite ledger forgets by age, besides deliveries and their requests."""

import sqlite3
from collections.abc import Mapping, Sequence
from typing import Final

from bridge.delivery.model import Millis
from bridge.ledger.sqlite.sweeps import CHUNK

# An endpoint may be asked to wait once more between being found and being deleted, so both ask the same.
_OLD: Final[Mapping[str, str]] = {
    "messages": "ended_at < :before",
    "hooks": "received_at < :before",
    "actions": "requested_at < :before",
    "endpoints": """
        updated_at < :before AND CASE WHEN state = 'gone' THEN NOT EXISTS (
            SELECT 1 FROM messages WHERE messages.endpoint_id = endpoints.id
        ) ELSE document_id IS NOT NULL AND NOT EXISTS (
            SELECT 1 FROM deliveries
            WHERE deliveries.tenant = endpoints.tenant AND deliveries.document_id = endpoints.document_id
        ) END
    """,
}

KINDS: Final = tuple(_OLD)
"""What is forgotten, in this order: an endpoint goes once its messages went."""

FIND: Final = {
    kind: f"SELECT seq FROM {kind} WHERE seq > :after AND {old} ORDER BY seq LIMIT {CHUNK}"
    for kind, old in _OLD.items()
}
_DELETE: Final = {kind: f"DELETE FROM {kind} WHERE seq = :seq AND {old}" for kind, old in _OLD.items()}


def delete(connection: sqlite3.Connection, kind: str, seqs: Sequence[int], before: Millis) -> int:
    """Delete those that are still old; return how many."""
    return sum(connection.execute(_DELETE[kind], {"seq": seq, "before": before}).rowcount for seq in seqs)
