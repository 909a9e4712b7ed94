"""Reading the list of approved reviews: which of them are documents, under which schema, and where a window ends."""

import logging
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from pydantic import ValidationError

from connectors.outcome import TransientError
from connectors.ports import Listing
from connectors.retab.models import Review
from connectors.retab.settings import ANY_WORKFLOW

APPROVED: Final = "approved"

_NO_DOCUMENTS: Final = frozenset({"split", "classifier", "for_each"})
"""Blocks whose reviews are about how a file is cut or sorted: a step on the way, and not a document by themselves."""

_log = logging.getLogger(__name__)


class Selection:
    """Which reviews are documents of this tenant, by the ``schemas`` of its file."""

    def __init__(self, schemas: Mapping[str, str]) -> None:
        self._schemas = schemas

    def schema_of(self, review: Review) -> str | None:
        """Return the schema of a review's document; None for a review that is no document of ours.

        A block that is named itself is one whatever its type; otherwise only those that extract are.
        """
        workflow = review.workflow_id or ""
        named = self._schemas.get(f"{workflow}/{review.block_id}")
        if named is not None or review.block_type in _NO_DOCUMENTS:
            return named
        if not self._schemas:
            return workflow or None
        return self._schemas.get(workflow) or self._schemas.get(ANY_WORKFLOW)


def to_listings(rows: Sequence[Any], selection: Selection, oldest: datetime) -> tuple[tuple[Listing, ...], bool]:
    """Return the documents of a page, newest first, and whether the window ends in it.

    It ends with the first review that was opened before ``oldest``. A row without an id cannot be read, so it is left
    out, with a warning that counts them; a page of which no row has one is not understood at all: ``TransientError``
    (``bad_answer``).
    """
    listings: list[Listing] = []
    unknown = 0
    for row in rows:
        review = _review(row)
        if review is None:
            unknown += 1
            continue
        opened_at = moment(review.created_at)
        if opened_at is not None and opened_at < oldest:
            return tuple(listings), True
        listing = _to_listing(review, selection)
        if listing is not None:
            listings.append(listing)
    if unknown:
        if unknown == len(rows):
            raise TransientError(
                "bad_answer",
                f"None of the {unknown} entries of Retab's list of reviews has an id. It is read again later; if it "
                "stays so, compare the list with docs/retab.md.",
            )
        _log.warning("retab listed %d entries that name no review; ask Retab which reviews these are", unknown)
    return tuple(listings), False


def moment(text: str | None) -> datetime | None:
    """Return a time that Retab gave, UTC where it names no offset; None for anything else."""
    if text is None:
        return None
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        return None
    return found if found.tzinfo is not None else found.replace(tzinfo=UTC)


def _review(row: Any) -> Review | None:
    try:
        return Review.model_validate(row)
    except ValidationError:
        # Known by its id alone, the review is read in full before it is delivered: nothing is lost but a request.
        review_id = row.get("id") if isinstance(row, Mapping) else None
        return Review(id=review_id) if isinstance(review_id, str) and review_id else None


def _to_listing(review: Review, selection: Selection) -> Listing | None:
    schema = selection.schema_of(review)
    decision = review.decision
    if decision is None:
        # A row that says too little: reading the review will tell.
        known = review.workflow_id is not None
        return Listing(review.id, schema) if review.cancelled_at is None and (schema or not known) else None
    if decision.verdict != APPROVED or schema is None:
        return None
    return Listing(
        review.id,
        schema,
        decision.verdict,
        updated_at=decision.created_at,
        # One decision for ever, about a version that never changes.
        final=decision.created_at is not None,
    )
