"""Reading lists: the outbox page with its cursor in either place, and the delivery history in any of its forms."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from connectors.numora.models import OutboxAnswer, OutboxRow, understand
from connectors.outcome import TransientError
from connectors.ports import Listing, OutboxPage

_log = logging.getLogger(__name__)


def to_page(answer: object, sent_cursor: str | None) -> OutboxPage:
    """Read a page. The cursor is found under ``meta`` or at the top; null, absent and empty end the window.

    A row without an id cannot be read or reported on, so it is left out, with a warning that counts them. A page of
    which no row has one is not understood at all: ``TransientError`` (``bad_answer``), and the cursor stays as it is.
    """
    page = understand(OutboxAnswer, answer, "outbox")
    rows = page.data or []
    listings = tuple(listing for row in rows if (listing := _to_listing(row)) is not None)
    if len(listings) < len(rows):
        if not listings:
            raise TransientError(
                "bad_answer",
                f"None of the {len(rows)} entries of Numora's outbox page has a document id. It is read again later; "
                "if it stays so, compare the page with docs/numora.md.",
            )
        _log.warning(
            "numora listed %d entries that name no document; ask Numora which documents these are",
            len(rows) - len(listings),
        )
    next_cursor = (page.meta and page.meta.next_cursor) or page.next_cursor or None
    if next_cursor is not None and next_cursor == sent_cursor:
        _log.warning("numora gave back the cursor that it was sent; the window ends here")
        next_cursor = None
    return OutboxPage(listings, next_cursor)


def to_history(answer: object) -> tuple[Mapping[str, Any], ...]:
    """Return the recorded attempts as Numora tells them: from a list, from ``{"data": [...]}``, or a single object."""
    found = answer
    if isinstance(answer, Mapping):
        data = answer.get("data", [answer] if answer else [])
        found = [data] if isinstance(data, Mapping) else data
    if found is None:
        return ()
    if (
        not isinstance(found, Sequence)
        or isinstance(found, str)
        or not all(isinstance(item, Mapping) for item in found)
    ):
        raise TransientError(
            "bad_answer", "Numora's delivery history is neither a list nor an object. Compare it with docs/numora.md."
        )
    return tuple(found)


def _to_listing(raw: object) -> Listing | None:
    try:
        row = OutboxRow.model_validate(raw)
    except ValidationError:
        # Known by its id alone, the document is read in full before it is delivered: nothing is lost but a request.
        document_id = _id_of(raw)
        return Listing(document_id) if document_id else None
    document_id = row.document_id or row.id
    if not document_id:
        return None
    return Listing(
        document_id,
        row.schema_id or None,
        row.status or None,
        row.external_id,
        row.metadata or {},
        row.updated_at or None,
        row.result_url or None,
    )


def _id_of(raw: object) -> str | None:
    if not isinstance(raw, Mapping):
        return None
    found = (raw.get(name) for name in ("document_id", "id"))
    return next((str(value) for value in found if value and isinstance(value, str | int) and value is not True), None)
