"""How a tenant's Numora is reached: the ``source`` of a tenant file with ``kind: numora``."""

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


class PollSettings(SettingsModel):
    """How the outbox is read."""

    every: PositiveDuration = Field(
        default=timedelta(minutes=5),
        description="How long after one poll the next begins. One that was due meanwhile runs at start.",
    )
    limit: int = Field(
        default=100, ge=1, le=1000, description="How many documents one page of the outbox holds at most."
    )
    cursor_param: str = Field(
        default="cursor",
        pattern=r"^[A-Za-z0-9_.\-]{1,64}$",
        description="The query parameter that carries the cursor.",
    )


class HeaderAuth(SettingsModel):
    """The caller sends the secret itself in a header."""

    kind: Literal["header"] = Field(description="The secret stands in a header of its own.")
    header: str = Field(pattern=r"^[A-Za-z0-9\-]{1,128}$", description="The header that carries the secret.")
    secret: Secret = Field(description="What the header must hold.")


class BearerAuth(SettingsModel):
    """The caller sends the secret as a bearer token."""

    kind: Literal["bearer"] = Field(description="The secret stands in `Authorization: Bearer`.")
    secret: Secret = Field(description="What the token must be.")


class HmacAuth(SettingsModel):
    """The caller signs the raw body with the secret."""

    kind: Literal["hmac"] = Field(description="A header holds the HMAC-SHA256 of the raw body.")
    header: str = Field(pattern=r"^[A-Za-z0-9\-]{1,128}$", description="The header that carries the signature.")
    secret: Secret = Field(description="The key of the signature.")


class NotifySettings(SettingsModel):
    """How the shared n8n executor of Numora tells of a document."""

    document_id: str = Field(
        default="document_id",
        min_length=1,
        max_length=512,
        description="JMESPath into the body of the call, to the document's id.",
    )
    auth: Annotated[HeaderAuth | BearerAuth | HmacAuth, Field(discriminator="kind")] = Field(
        description="How the caller proves who it is.",
    )


class NumoraSettings(SourceSettings):
    """Numora's API: where reviewed documents come from and where the outcome is reported to."""

    kind: Literal["numora"] = Field(description="Documents come from Numora.")
    base_url: BaseUrl = Field(
        description="The address of Numora's API, without `/v1`.",
        examples=["https://api.numora.example"],
    )
    api_key: Secret = Field(description="The tenant's API key at Numora.", examples=["${ACME_NUMORA_KEY}"])
    provider: str = Field(
        default="dynamics365",
        pattern=r"^[A-Za-z0-9_.\-]{1,64}$",
        description="Which of Numora's delivery providers this bridge is.",
    )
    trigger: Annotated[
        Literal["outbox", "route"],
        NotAvailable("Documents that come in by `trigger: route`", frozenset({"route"})),
    ] = Field(
        default="outbox",
        description="What brings documents in: the outbox is polled, or Numora's routing calls.",
    )
    poll: PollSettings = Field(default=PollSettings(), description="How the outbox is read.")
    webhook_secret: Annotated[Secret | None, NotUsedYet("Numora's webhooks")] = Field(
        default=None,
        description="The secret of Numora's webhooks to `POST /hooks/{tenant}/numora`.",
        examples=["${ACME_NUMORA_WEBHOOK_SECRET}"],
    )
    notify: Annotated[NotifySettings | None, NotUsedYet("Calls of Numora's n8n executor")] = Field(
        default=None,
        description="How Numora's shared n8n executor calls `POST /hooks/{tenant}/executor`.",
    )
    timeout: PositiveDuration = Field(
        default=timedelta(seconds=30),
        description="How long one call to Numora may take.",
    )

    @property
    def poll_every(self) -> timedelta:
        """How long after one poll the next one begins."""
        return self.poll.every
