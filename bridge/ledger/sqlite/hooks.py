"""Calls that came in, as rows of the SQLite ledger."""

import sqlite3
from collections.abc import Mapping

from bridge.delivery.model import Trigger
from bridge.ledger.inbox import HookTaken, StoredHook
from bridge.ledger.sqlite.intake import select_delivery, take_in
from bridge.ledger.sqlite.withdrawing import Withdrawing, withdraw
from connectors.ports import Listing

INSERT_HOOK = """
INSERT INTO hooks (tenant, source, event_id, type, document_id, received_at, body)
VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (tenant, source, event_id) DO NOTHING
"""

COUNT_HOOK = """
INSERT INTO hook_counts (tenant, source, type, count) VALUES (?, ?, ?, 1)
ON CONFLICT (tenant, source, type) DO UPDATE SET count = count + 1
"""

SELECT_COUNTS = "SELECT source, type, count FROM hook_counts WHERE tenant = ?"


def take(
    connection: sqlite3.Connection,
    hook: StoredHook,
    new_id: str,
    trigger: Trigger | None,
    withdrawing: Withdrawing | None,
) -> HookTaken:
    """Store a call that is new, and do what it asks for."""
    values = (hook.tenant, hook.source, hook.event_id, hook.type, hook.document_id, hook.received_at, hook.body)
    if connection.execute(INSERT_HOOK, values).rowcount == 0:
        return HookTaken(repeated=True, delivery=None)
    connection.execute(COUNT_HOOK, (hook.tenant, hook.source, hook.type))
    delivery = None
    if hook.document_id is not None and trigger is not None:
        arrivals = [(new_id, Listing(hook.document_id))]
        taken = take_in(connection, hook.tenant, arrivals, trigger, hook.received_at, None, None)
        delivery = select_delivery(connection, taken.deliveries[0])
    elif hook.document_id is not None and withdrawing is not None:
        delivery = withdraw(connection, hook.tenant, hook.document_id, hook.received_at, withdrawing).delivery
    return HookTaken(repeated=False, delivery=delivery)


def select_counts(connection: sqlite3.Connection, tenant: str) -> Mapping[tuple[str, str], int]:
    """Return how many calls there were, by source and type."""
    counted = connection.execute(SELECT_COUNTS, (tenant,)).fetchall()
    return {(source, type_): count for source, type_, count in counted}
