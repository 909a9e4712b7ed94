"""From Numora's shapes to the plain ``Document``, and from a ``Report`` to Numora's bytes.

What is not understood is refused, never dropped: a line that got lost on the way would be an invoice with the wrong
total. The published examples leave much open (how a line's cells look, under which key its id stands), so that
every form which has one meaning only is taken.
"""

from collections.abc import Mapping
from typing import Any

from connectors.http import encode_json
from connectors.numora.models import DocumentState, Result
from connectors.outcome import TransientError
from connectors.ports import Listing, Report
from mappings.cells import confidence_of, split_cells
from mappings.document import Document, LineItem

LONGEST_MESSAGE = 1000
"""Characters of an error message that are reported; Numora publishes no limit of its own."""

_ROW_ID_KEYS = ("id", "line_item_id", "line_id", "row_id", "key")
_NESTED_CELLS = ("fields", "cells", "values")


def to_document(listing: Listing, result: Result, state: DocumentState | None = None) -> Document:
    """Join what is known of a document: ``state`` was read last and wins, then ``result``, then the ``listing``.

    Raises ``TransientError``: ``wrong_document`` when the result is another document's, ``bad_answer`` when it cannot
    be understood without loss.
    """
    asked = listing.document_id
    require_same(asked, result.id or result.document_id)
    if state is not None:
        require_same(asked, state.id or state.document_id)
    schema = result.schema_id or (state and state.schema_id) or listing.schema
    if not schema:
        raise TransientError("bad_answer", f"Numora names no schema for document {asked}. It is read again later.")
    fields, confidences = split_cells(result.fields or {})
    return Document(
        id=asked,
        schema=schema,
        status=(state and state.status) or result.status or listing.status,
        external_id=_first(state and state.external_id, result.external_id, listing.external_id),
        updated_at=(state and state.updated_at) or result.updated_at or listing.updated_at,
        metadata=_first(state and state.metadata, result.metadata, listing.metadata) or {},
        confidence=confidence_of(result.confidence),
        duplicate_of=reference(result.duplicate_of) or (reference(state.duplicate_of) if state else None),
        fields=fields,
        confidences=confidences,
        line_items=_rows(result.line_items),
        review_state=confirmed(result.review_state) or (confirmed(state.review_state) if state else None),
    )


def to_report_body(report: Report, provider: str) -> bytes:
    """Return the body of a delivery callback: set keys only, always in the same order, so always the same bytes."""
    body = {
        "provider": provider,
        "status": report.status,
        "execution_id": report.execution_id,
        "attempted_at": report.attempted_at,
    }
    optional = {
        "external_record_id": report.external_record_id,
        "external_url": report.external_url,
        "error_code": report.error_code,
        "error_message": _bounded(report.error_message),
    }
    body.update({name: value for name, value in optional.items() if value is not None})
    return encode_json(body)


def _first(*values: Any) -> Any:
    """Return the first value that says something."""
    return next((value for value in values if value is not None), None)


def _bounded(message: str | None) -> str | None:
    if message is None:
        return None
    writable = message.encode("utf-8", "replace").decode()
    return writable if len(writable) <= LONGEST_MESSAGE else writable[: LONGEST_MESSAGE - 1] + "…"


def require_same(asked: str, answered: str | None) -> None:
    """Refuse another document's content. Both published forms of an id (``doc_…`` and bare) may name the same one."""
    if answered is None or is_same_document(asked, answered):
        return
    raise TransientError(
        "wrong_document",
        f"Numora was asked for document {asked} and answered with {answered}. Nothing of it is delivered; it is read "
        "again later. If it stays so, look for a proxy or cache between the bridge and Numora.",
    )


def is_same_document(one: str, other: str) -> bool:
    """Tell whether two ids name the same document, in whichever of the published forms."""
    return one == other or _bare(one) == _bare(other)


def _bare(document_id: str) -> str:
    return document_id.casefold().removeprefix("doc_").replace("-", "")


def reference(raw: object) -> str | None:
    """Return the id of the document that this one repeats. A form that nobody published still counts as a duplicate."""
    if isinstance(raw, dict):
        raw = raw.get("id") or raw.get("document_id") or raw
    if not raw:
        return None
    return raw if isinstance(raw, str) else encode_json(raw).decode()


def confirmed(raw: object) -> Mapping[str, Any] | None:
    """Return what the reviewer confirmed; anything but an object confirms nothing."""
    return raw if isinstance(raw, dict) and raw else None


def _rows(raw: list[Any] | dict[str, Any] | None) -> tuple[LineItem, ...]:
    if not raw:
        return ()
    if isinstance(raw, dict):
        return tuple(_row(row, place, row_id) for place, (row_id, row) in enumerate(raw.items(), 1))
    return tuple(_row(row, place, None) for place, row in enumerate(raw, 1))


def _row(raw: object, place: int, known_id: str | None) -> LineItem:
    """Read one line. Its id stands under one of several names, or is the key that led to it; it is never made up."""
    if not isinstance(raw, dict):
        raise TransientError(
            "bad_answer",
            f"Line {place} of the document is not an object. Nothing is delivered; it is read again later.",
        )
    for name in _NESTED_CELLS:
        nested = raw.get(name)
        if type(nested) is dict and "value" not in nested:
            raw = {**{key: cell for key, cell in raw.items() if key != name}, **nested, **_ids(raw)}
    values, confidences = split_cells(raw)
    row_id = known_id
    for name in _ROW_ID_KEYS:
        candidate = values.get(name)
        if type(candidate) is str and candidate:
            row_id = candidate
            break
        if type(candidate) is int:
            row_id = str(candidate)
            break
    if row_id is not None:
        values["id"] = row_id
    return LineItem(values, confidences)


def _ids(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the ids that stand beside nested cells: a cell that happens to be named ``id`` is not the line's id."""
    return {name: raw[name] for name in _ROW_ID_KEYS if name in raw}
