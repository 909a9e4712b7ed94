"""What requests about deliveries and documents may say, in their query and in their body. Unknown names are refused."""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from bridge.delivery.model import DeliveryFilter
from bridge.http.fields import (
    DEFAULT_LIMIT,
    Id,
    JsonObject,
    Limit,
    PageSize,
    RequestModel,
    Seconds,
    States,
    Text,
    Url,
)
from bridge.ledger.protocol import MAX_PAGE


class NoBody(RequestModel):
    """Nothing: an empty body, or an empty object."""


class PageQuery(RequestModel):
    """A page of a list."""

    limit: Limit = Field(default=DEFAULT_LIMIT, description="How many to a page.")
    cursor: Text | None = Field(default=None, description="The next_cursor of the page before.")


class Filter(RequestModel):
    """Which deliveries are meant; what is left out is any."""

    state: States = Field(default=frozenset(), description="One state or several.")
    document_id: Text | None = Field(default=None, description="Of this document only.")
    error_code: Text | None = Field(default=None, description="With this error only.")

    def of(self, tenant: str) -> DeliveryFilter:
        """Return the filter for a tenant."""
        return DeliveryFilter(tenant, self.state, self.document_id, self.error_code)


class DeliveriesQuery(Filter):
    """A page of a tenant's deliveries, newest first."""

    limit: PageSize = Field(
        default=DEFAULT_LIMIT, description=f"How many to a page: {MAX_PAGE} at most, however many are asked for."
    )
    cursor: Text | None = Field(default=None, description="The next_cursor of the page before.")


class RetryBody(RequestModel):
    """How a delivery is made once more."""

    mapping: Literal["latest", "same"] = Field(
        default="latest", description="With the mapping in force, or with the one that made the delivery."
    )


class BulkRetryBody(Filter, RetryBody):
    """Which deliveries are made once more; without `state`, the failed and the parked ones."""

    dry_run: bool = Field(default=False, description="Only tell which ones it would be.")


class DeliverBody(RequestModel):
    """How a document is delivered because someone asked."""

    wait: Seconds = Field(default=0, description="Seconds to wait for the delivery to end.")
    force: bool = Field(default=False, description="Write even an unchanged document that was delivered before.")
    resume_url: Url | None = Field(
        default=None,
        description="Is sent one signed message with the delivery once it has ended: the address of an n8n Wait node.",
    )


class SubmitBody(RequestModel):
    """A document to be handed in at the source."""

    model_config = ConfigDict(populate_by_name=True)

    schema_: Id = Field(alias="schema", description="Which kind of document it is, such as invoice_v2.")
    file_url: Url = Field(description="Where the source fetches the file.")
    external_id: Id | None = Field(
        default=None,
        description="Your own id: the same one again is the same document. Without it the Idempotency-Key is taken.",
    )
    metadata: JsonObject = Field(default_factory=dict, description="What the document carries with it, as you like.")


class ReviewStateBody(RequestModel):
    """What a reviewer has confirmed. Both lists empty is the same as nothing."""

    version: int = Field(default=1, ge=1, le=1, description="The version of this shape.")
    confirmed_general_field_names: list[Id] = Field(default_factory=list, max_length=1000)
    confirmed_line_item_ids: list[Id] = Field(default_factory=list, max_length=1000)


class RejectDocumentBody(RequestModel):
    """The document as it was seen when it was sent back to review."""

    expected_updated_at: Id | None = Field(
        default=None, description="The document's updated_at as it was seen: nothing is done when it has changed since."
    )


class ApproveDocumentBody(RejectDocumentBody):
    """The document as it was seen when it was approved, and what was confirmed."""

    review_state: ReviewStateBody | None = Field(default=None, description="What the reviewer has confirmed.")

    def review_state_given(self) -> dict[str, Any] | None:
        """Return the review state as it was given, further keys among it."""
        return self.review_state.model_dump() if self.review_state is not None else None
