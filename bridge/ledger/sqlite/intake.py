"""What listings and people bring in: new deliveries, and deliveries that are looked at once more."""

import sqlite3
from collections.abc import Sequence
from dataclasses import replace

from bridge.delivery.model import Delivery, Millis, State, Step, Trigger
from bridge.delivery.transitions import afresh
from bridge.ledger.protocol import Intake, PollLease
from bridge.ledger.sqlite.polls import move_cursor
from bridge.ledger.sqlite.rows import DELIVERY_COLUMNS, Row, encode_listing, state_values, to_delivery
from bridge.ledger.sqlite.saving import insert_delivery
from bridge.ledger.sqlite.writer import Change
from connectors.ports import Listing

SELECT_NEWEST = f"""
SELECT {", ".join(DELIVERY_COLUMNS)} FROM deliveries
WHERE tenant = ? AND document_id = ? ORDER BY seq DESC LIMIT 1
"""

SELECT_BY_ID = f"SELECT {', '.join(DELIVERY_COLUMNS)} FROM deliveries WHERE id = ?"

UPDATE_LISTING = "UPDATE deliveries SET listing = ?, seen_at = ?, schema = ?, again = again OR ? WHERE id = ?"

# Whoever made the delivery due holds the newest copy: the token fences every older one.
UPDATE_QUEUED = "UPDATE deliveries SET due_at = ?, force = force OR ?, token = token + 1 WHERE id = ?"

START_RECHECK = """
UPDATE deliveries SET step = 'recheck', due_at = ?, lease_until = NULL, token = token + 1 WHERE id = ?
"""

REPLACE_STATE = f"""
UPDATE deliveries
SET {", ".join(f"{column} = ?" for column in ("updated_at", *state_columns_after_updated_at()))}, token = token + 1
WHERE id = ?
"""
