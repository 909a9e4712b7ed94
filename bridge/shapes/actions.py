"""How documents at the source, and what was done with them, look from outside."""

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from bridge.shapes.deliveries import DeliveryShape

DeliveryEffect = Literal["none", "superseded", "written"]
"""What an action meant for a delivery that was under way.

``none``: there was none. ``superseded``: it has ended before its write. ``written``: its write had begun, and is
corrected once the document is approved again.
"""


class DocumentStateShape(msgspec.Struct, frozen=True, kw_only=True):
    """A document as the source describes it; null for what the source does not say."""

    id: str
    schema: str | None = None
    status: str | None = None
    external_id: str | None = None
    metadata: Mapping[str, Any] = msgspec.field(default_factory=dict)
    created_at: str | None = None
    updated_at: str | None = None
    review_state: Mapping[str, Any] | None = None
    duplicate_of: str | None = None


class DocumentShape(msgspec.Struct, frozen=True):
    """A document, its result as the source gave it (null while there is none), and its deliveries, newest first."""

    document: DocumentStateShape
    result: Mapping[str, Any] | None
    deliveries: tuple[DeliveryShape, ...]


class SubmittedShape(msgspec.Struct, frozen=True):
    """A document that was handed in. The addresses are the source's own, as it gave them."""

    id: str
    status: str | None
    schema: str | None
    external_id: str | None
    status_url: str | None
    result_url: str | None


class ReviewActionShape(msgspec.Struct, frozen=True):
    """A document after it was approved or rejected, its newest delivery, and what the action meant for that one."""

    id: str
    status: str | None
    updated_at: str | None
    review_state: Mapping[str, Any] | None
    delivery: DeliveryShape | None
    delivery_effect: DeliveryEffect


class DispatchShape(msgspec.Struct, frozen=True):
    """A document that the source delivers by its own means.

    ``repeated`` is true when it was on its way already, so that nothing was sent.
    """

    id: str
    status: str | None
    run_id: str | None
    repeated: bool


class DecisionShape(msgspec.Struct, frozen=True):
    """A decision about a review as the source took it, and what became of the run that waited for it."""

    submission_status: Literal["accepted", "already_applied"]
    resume_status: str | None
    resume_error: str | None
    run_status: str | None
    review: Mapping[str, Any]


class ResourceListShape(msgspec.Struct, frozen=True):
    """A page of the source's resources; ``next_cursor`` is null on the last one."""

    data: tuple[Any, ...]
    next_cursor: str | None
