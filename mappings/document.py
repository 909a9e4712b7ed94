"""The reviewed document as mapping files see it, free of any source's own shapes."""

from collections.abc import Mapping
from decimal import Decimal
from hashlib import sha256
from typing import Any

import msgspec

_NOTHING: Mapping[str, Any] = {}


class LineItem(msgspec.Struct, frozen=True):
    """One row of a document's line items.

    ``values`` holds the cell values by name (the stable row id under ``id`` among them), ``confidences`` what
    is known of them, 0 to 1. Cells that came bare have no confidence.
    """

    values: Mapping[str, Any]
    confidences: Mapping[str, Decimal] = msgspec.field(default_factory=dict)


class Document(msgspec.Struct, frozen=True):
    """What a source says of one document: its reviewed content and the state it was read in.

    Numbers that came as JSON fractions are ``Decimal`` with the digits that came in, never ``float``.
    """

    id: str
    schema: str
    status: str | None = None
    external_id: str | None = None
    updated_at: str | None = None
    metadata: Mapping[str, Any] = msgspec.field(default_factory=dict)
    confidence: Decimal | None = None
    duplicate_of: str | None = None
    fields: Mapping[str, Any] = msgspec.field(default_factory=dict)
    confidences: Mapping[str, Decimal] = msgspec.field(default_factory=dict)
    line_items: tuple[LineItem, ...] = ()
    review_state: Mapping[str, Any] | None = None

    def view(self) -> dict[str, Any]:
        """Return the plain view that mapping expressions select from."""
        return {
            "id": self.id,
            "schema": self.schema,
            "status": self.status,
            "external_id": self.external_id,
            "updated_at": self.updated_at,
            "metadata": self.metadata,
            "confidence": self.confidence,
            "duplicate_of": self.duplicate_of,
            "fields": self.fields,
            "confidences": self.confidences,
            "line_items": [item.values for item in self.line_items],
            "review_state": self.review_state,
        }

    def revision(self) -> str:
        """Return the digest of the content: equal content, equal revision.

        ``status`` and ``updated_at`` stay out, since a delivery report moves both without touching the content.
        """
        content = (
            self.schema,
            self.external_id,
            self.metadata or _NOTHING,
            self.confidence,
            self.duplicate_of,
            self.fields,
            self.confidences,
            [(item.values, item.confidences) for item in self.line_items],
            self.review_state,
        )
        return sha256(msgspec.json.encode(content, order="sorted")).hexdigest()
