"""How a tenant's Retab is reached: the ``source`` of a tenant file with ``kind: retab``."""

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field

from connectors.settings import (
    BaseUrl,
    NotAvailable,
    NotUsedYet,
    PositiveDuration,
    Secret,
    SettingsModel,
    SourceSettings,
)


class RetabPollSettings(SettingsModel):
    """How the reviews are read."""

    every: PositiveDuration = Field(
        default=timedelta(minutes=5), description="How long after one poll the next one begins."
    )
    limit: int = Field(default=50, ge=1, le=200, description="How many reviews one page holds at most.")


class RetabSettings(SourceSettings):
    """Retab's API: where reviewed documents come from."""

    kind: Annotated[Literal["retab"], NotAvailable("A source of `kind: retab`")] = Field(
        description="Documents come from the reviews of a Retab workflow.",
    )
    base_url: BaseUrl = Field(
        default="https://api.retab.com",
        description="The address of Retab's API, without `/v1`.",
    )
    api_key: Secret = Field(description="The tenant's API key at Retab.", examples=["${ACME_RETAB_KEY}"])
    workflow_id: str | None = Field(
        default=None,
        min_length=1,
        max_length=200,
        description="The workflow whose reviews are delivered; all of them when left out.",
    )
    poll: RetabPollSettings = Field(default=RetabPollSettings(), description="How the reviews are read.")
    webhook_secret: Annotated[Secret | None, NotUsedYet("Retab's webhooks")] = Field(
        default=None,
        description="The secret of Retab's webhooks to `POST /hooks/{tenant}/retab`.",
    )
    timeout: PositiveDuration = Field(default=timedelta(seconds=30), description="How long one call to Retab may take.")

    @property
    def poll_every(self) -> timedelta:
        """How long after one poll the next one begins."""
        return self.poll.every
