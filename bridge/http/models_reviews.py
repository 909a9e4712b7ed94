"""What requests about reviews, subscriptions and the source's resources may say."""

from typing import Annotated, Any, Literal

from pydantic import ConfigDict, Field, model_validator

from bridge.http.fields import Id, Prose, RequestModel, Text, Url, handed_on
from bridge.http.models import PageQuery


class ReviewsQuery(PageQuery):
    """A page of reviews, the one opened first at the top."""

    decision_status: Literal["pending", "approved", "rejected", "decided", "cancelled", "all"] | None = Field(
        default=None, description="Without it, those that are not decided yet."
    )
    workflow_id: Text | None = Field(default=None, description="Of this workflow only.")


class ApproveReviewBody(RequestModel):
    """The version that is approved."""

    version_id: Id = Field(description="The version that was looked at.")
    acknowledged_superseded_version_ids: list[Id] = Field(
        default_factory=list, max_length=1000, description="Other latest versions that may be discarded by it."
    )


class RejectReviewBody(RequestModel):
    """The version that is rejected, and why."""

    version_id: Id = Field(description="The version that was looked at.")
    reason: Prose = Field(description="Why, for those who come after.")


EventType = Annotated[str, Field(min_length=1, max_length=64, pattern=r"^(\*|[a-z_]+\.(\*|[a-z_]+))$")]
"""A pattern of event types: ``*``, ``delivery.*`` or one type."""


class SubscribeBody(RequestModel):
    """Where events are sent."""

    url: Url = Field(description="Where events are sent to. The same address again is the same subscription.")
    types: Annotated[list[EventType], Field(min_length=1, max_length=32)] | None = Field(
        default=None, description="Which events: *, delivery.*, or single types. Without it, all of them."
    )
    secret: Annotated[str, Field(min_length=1, max_length=512)] | None = Field(
        default=None,
        description="What events are signed with, one line; after whsec_ it is base64. Without it the bridge makes one "
        "and shows it once.",
    )


class WorkflowDispatchBody(RequestModel):
    """The document that a workflow is run for."""

    document_id: Id = Field(description="A reviewed document.")


class PassedOnBody(RequestModel):
    """What is handed on to the source as it is."""

    model_config = ConfigDict(extra="allow")

    @model_validator(mode="before")
    @classmethod
    def _bounded(cls, value: Any) -> Any:
        return handed_on(value)

    def given(self) -> dict[str, Any]:
        """Return every key as it was given, those without a type of their own among them."""
        return self.model_dump(exclude_unset=True)


class DestinationBody(PassedOnBody):
    """A connection to a downstream system. Further keys are handed on as they are."""

    provider: Id = Field(description="Which kind of system it is, such as dynamics365.")
    display_name: Text | None = Field(default=None, description="What people call it.")


class SourceMappingBody(PassedOnBody):
    """The source's own mapping for a schema and a destination, handed on as it is."""
