"""Deliveries by pages, newest first."""

import sqlite3
from base64 import urlsafe_b64decode, urlsafe_b64encode

from bridge.delivery.model import DeliveryFilter, DeliveryPage, State
from bridge.ledger.protocol import MAX_PAGE
from bridge.ledger.sqlite.rows import DELIVERY_COLUMNS, to_delivery

_MARK = b"seq:"


def encode_cursor(seq: int) -> str:
    """Return the cursor that goes on below this sequence number."""
    return urlsafe_b64encode(_MARK + b"%d" % seq).decode().rstrip("=")


def decode_cursor(cursor: str) -> int:
    """Return the sequence number of a cursor. Raises ``ValueError`` for one that was never given."""
    try:
        text = urlsafe_b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4))
        seq = int(text.removeprefix(_MARK))
    except ValueError:
        seq = -1
    if seq < 0 or encode_cursor(seq) != cursor:
        raise ValueError("this cursor was not given by the ledger; start at the first page again")
    return seq


def page_statement(wanted: DeliveryFilter) -> str:
    """Return the query for a page: one seek for each state, since only then an index gives the order as well.

    Filtering by document needs none of that, a document has few deliveries.
    """
    if wanted.document_id is not None:
        states = ", ".join(f"'{state.value}'" for state in sorted(wanted.states or State))
        error = " AND error_code = :error_code" if wanted.error_code is not None else ""
        return f"""
            SELECT seq, {", ".join(DELIVERY_COLUMNS)} FROM deliveries
            WHERE tenant = :tenant AND document_id = :document_id AND seq < :below AND state IN ({states}){error}
            ORDER BY seq DESC LIMIT :limit
        """
    error = " AND error_code = :error_code" if wanted.error_code is not None else ""
    seeks = "UNION ALL".join(
        f"""
            SELECT * FROM (
                SELECT seq FROM deliveries
                WHERE tenant = :tenant{error} AND state = '{state.value}' AND seq < :below
                ORDER BY seq DESC LIMIT :limit
            )
        """
        for state in sorted(wanted.states or State)
    )
    return f"""
        SELECT seq, {", ".join(DELIVERY_COLUMNS)} FROM deliveries
        WHERE seq IN (SELECT seq FROM ({seeks}) ORDER BY seq DESC LIMIT :limit)
        ORDER BY seq DESC
    """


def select_page(connection: sqlite3.Connection, wanted: DeliveryFilter, limit: int, cursor: str | None) -> DeliveryPage:
    """Return a page of what is wanted."""
    size = max(1, min(limit, MAX_PAGE))
    rows = connection.execute(
        page_statement(wanted),
        {
            "tenant": wanted.tenant,
            "document_id": wanted.document_id,
            "error_code": wanted.error_code,
            "below": (1 << 62) if cursor is None else decode_cursor(cursor),
            # One more than a page tells whether there is a next one.
            "limit": size + 1,
        },
    ).fetchall()
    page = rows[:size]
    return DeliveryPage(
        tuple(to_delivery(row[1:]) for row in page),
        encode_cursor(page[-1][0]) if len(rows) > size else None,
    )
