"""How a tenant's Numora is reached: the ``source`` of a tenant file with ``kind: numora``."""

import re
from datetime import timedelta
from typing import Annotated, ClassVar, Final, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from connectors.settings import BaseUrl, OneOrSeveral, PositiveDuration, Secret, SettingsModel, SourceSettings
from mappings.selection import ExpressionError, compile_selection

_PLACEHOLDERS: Final = re.compile(r"\{([^{}]*)\}")


def _check_template(value: str) -> str:
    names = _PLACEHOLDERS.findall(value)
    if names.count("raw") != 1 or not {"t", "id", "raw"}.issuperset(names) or re.search("[{}]", _without(value)):
        raise PydanticCustomError("bad_value", "This should hold {raw} once, and may hold {t} and {id}: {t}.{raw}.")
    return value


def _without(template: str) -> str:
    return _PLACEHOLDERS.sub("", template)


def _check_path(value: str) -> str:
    try:
        compile_selection(value)
    except ExpressionError as error:
        raise PydanticCustomError("bad_value", "{reason}", {"reason": error.message}) from None
    return value


BodyPath = Annotated[str, Field(min_length=1, max_length=512), AfterValidator(_check_path)]
"""JMESPath into the body of a call."""


class WebhookSettings(SettingsModel):
    """What Numora does not publish about the signatures of its webhooks."""

    template: Annotated[str, Field(max_length=128), AfterValidator(_check_template)] = Field(
        default="{t}.{raw}",
        description="The text that is signed: `{t}` is the time in the signature's header, `{id}` the webhook's id, "
        "`{raw}` the body as it came.",
    )
    tolerance: PositiveDuration = Field(
        default=timedelta(minutes=5),
        description="How far the time in the signature may be from the bridge's own.",
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


class SweepSettings(SettingsModel):
    """How documents are found again whose call came to nothing, because they were not reviewed yet."""

    every: PositiveDuration = Field(
        default=timedelta(minutes=15),
        description="How often such documents are read again. Used where calls bring documents in.",
    )
    lookback: PositiveDuration = Field(
        default=timedelta(days=30),
        description="For how long after the last call about it a document is read again.",
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
    header: str = Field(
        pattern=r"^[A-Za-z0-9\-]{1,128}$",
        description="The header that carries the signature, in hex or Base64, with or without `sha256=` before it.",
    )
    secret: Secret = Field(description="The key of the signature.")


class NotifySettings(SettingsModel):
    """How the shared n8n executor of Numora tells of a document."""

    document_id: BodyPath = Field(
        default="document_id", description="JMESPath into the body of the call, to the document's id."
    )
    event_id: BodyPath | None = Field(
        default=None,
        description="JMESPath to what is the same when Numora repeats a call, and another for every new one. Without "
        "it, every call is a new one; nothing is written twice for that, since an unchanged document is not written "
        "again.",
        examples=["attempt_id"],
    )
    auth: Annotated[HeaderAuth | BearerAuth | HmacAuth, Field(discriminator="kind")] = Field(
        description="How the caller proves who it is.",
    )


class NumoraSettings(SourceSettings):
    """Numora's API: where reviewed documents come from and where the outcome is reported to."""

    can_dispatch: ClassVar[bool] = True

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
    trigger: Literal["outbox", "route"] = Field(
        default="outbox",
        description="What brings documents in: `outbox`: the outbox is polled. `route`: Numora calls, by its n8n "
        "executor (`notify`) or its webhooks (`webhook_secret`), and nothing is polled.",
    )
    poll: PollSettings = Field(default=PollSettings(), description="How the outbox is read.")
    sweep: SweepSettings = Field(
        default=SweepSettings(),
        description="How documents are found again whose call came to nothing, because they were not reviewed yet.",
    )
    webhook_secret: OneOrSeveral[Secret] | None = Field(
        default=None,
        description="The secret of Numora's webhooks to `POST /hooks/{tenant}/numora`, or a list of them while one "
        "takes the place of another.",
        examples=["${ACME_NUMORA_WEBHOOK_SECRET}"],
    )
    webhook: WebhookSettings = Field(default=WebhookSettings(), description="How Numora's webhooks are signed.")
    notify: NotifySettings | None = Field(
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

    @property
    def is_polled(self) -> bool:
        """Whether the outbox is read."""
        return self.trigger == "outbox"

    @property
    def is_deaf(self) -> bool:
        """Whether the outbox is not read, and nobody is let in who could call."""
        return not self.is_polled and not self.webhook_secret and self.notify is None

    @property
    def sweeping(self) -> tuple[timedelta, timedelta] | None:
        """How often and how far back to sweep, where calls bring documents in."""
        heard = bool(self.webhook_secret) or self.notify is not None
        return (self.sweep.every, self.sweep.lookback) if heard else None
