"""How a tenant's Retab is reached: the ``source`` of a tenant file with ``kind: retab``."""

from datetime import timedelta
from typing import Annotated, Final, Literal

from pydantic import Field

from connectors.settings import BaseUrl, Duration, OneOrSeveral, PositiveDuration, Secret, SettingsModel, SourceSettings

ANY_WORKFLOW: Final = "*"
"""The key of ``schemas`` that stands for every workflow that is not named there."""


class RetabPollSettings(SettingsModel):
    """How the reviews are read."""

    every: PositiveDuration = Field(
        default=timedelta(minutes=5), description="How long after one poll the next one begins."
    )
    limit: int = Field(default=50, ge=1, le=200, description="How many reviews one page holds at most.")
    lookback: PositiveDuration = Field(
        default=timedelta(days=30),
        description="How far back every poll looks for approved reviews, by the time at which they were opened. Longer "
        "than any review of yours waits for its decision: one that is decided later is not found.",
    )


class RetabWebhookSettings(SettingsModel):
    """How Retab's webhooks are verified."""

    tolerance: PositiveDuration = Field(
        default=timedelta(minutes=5),
        description="How far the time in the signature may be from the bridge's own.",
    )


class RetabSettings(SourceSettings):
    """Retab's API: where reviewed documents come from."""

    kind: Literal["retab"] = Field(description="Documents come from the reviews of a Retab workflow.")
    base_url: BaseUrl = Field(
        default="https://api.retab.com",
        description="The address of Retab's API, without `/v1`.",
    )
    api_key: Secret = Field(description="The tenant's API key at Retab.", examples=["${ACME_RETAB_KEY}"])
    workflow_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="The only workflow whose reviews this tenant sees, delivers and decides; all that the key opens "
        "when left out.",
    )
    schemas: dict[
        Annotated[str, Field(pattern=r"^(\*|[^\s/*]{1,200}(/[^\s/*]{1,200})?)$")],
        Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-]{1,128}$")],
    ] = Field(
        default={},
        description="Which schema the documents of a workflow have, so which mapping is used for them. A key is a "
        "workflow's id, a workflow's and a block's (`wf_…/block`), or `*` for every other one. Without `*`, only what "
        "is named here is delivered. When left out, a document's schema is its workflow's id.",
        examples=[{"wf_01HXYZ": "invoice_v2"}],
    )
    line_items: str = Field(
        default="line_items",
        min_length=1,
        max_length=200,
        description="The name of the list in the extracted data that holds the line items; dotted when it is nested.",
    )
    human_confidence: Literal["none", "full"] = Field(
        default="none",
        description="What is known of a value that a reviewer changed: `none`: it has no confidence; `full`: it has 1.",
    )
    poll: RetabPollSettings = Field(default=RetabPollSettings(), description="How the reviews are read.")
    resume_wait: Duration = Field(
        default=timedelta(seconds=5),
        description="How long approve and reject wait for a run that Retab has not resumed yet.",
    )
    webhook_secret: OneOrSeveral[Secret] | None = Field(
        default=None,
        description="The secret of Retab's webhooks to `POST /hooks/{tenant}/retab`, or a list of them while one takes "
        "the place of another. A call makes the bridge poll at once.",
        examples=["${ACME_RETAB_WEBHOOK_SECRET}"],
    )
    webhook: RetabWebhookSettings = Field(
        default=RetabWebhookSettings(), description="How Retab's webhooks are verified."
    )
    timeout: PositiveDuration = Field(default=timedelta(seconds=30), description="How long one call to Retab may take.")

    @property
    def poll_every(self) -> timedelta:
        """How long after one poll the next one begins."""
        return self.poll.every
