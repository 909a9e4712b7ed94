"""The shape of ``bridge.yaml`` and of a tenant file: every key with its default and its meaning."""

import re
from collections.abc import Iterable
from datetime import timedelta
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_core import PydanticCustomError

from connectors.registry import DESTINATIONS, SOURCES
from connectors.settings import (
    DestinationSettings,
    Duration,
    EventUrl,
    OneOrSeveral,
    PositiveDuration,
    Secret,
    SettingsModel,
    Several,
    SourceSettings,
)

DEFAULT_SCHEDULE = tuple(
    timedelta(seconds=seconds) for seconds in (0, 5, 60, 300, 1800, 7200, 18_000, 36_000, 36_000, 86_400, 86_400)
)


def one_of(models: Iterable[type[SettingsModel]]) -> Any:
    """Return the type of a value that is one of these models, told apart by ``kind``."""
    members = tuple(models)
    return members[0] if len(members) == 1 else Annotated[reduce(or_, members), Field(discriminator="kind")]


if TYPE_CHECKING:
    AnySource = SourceSettings
    AnyDestination = DestinationSettings
else:
    AnySource = one_of(kind.settings for kind in SOURCES.values())
    AnyDestination = one_of(kind.settings for kind in DESTINATIONS.values())


def _check_store(value: str) -> str:
    if value.startswith(("postgresql://", "postgres://")):
        raise PydanticCustomError(
            "not_available",
            "A PostgreSQL store is not available in this version. Use sqlite:///data/bridge.db.",
        )
    path = value.removeprefix("sqlite:///")
    if path == value or not path.strip("/") or path.endswith("/") or "?" in path or "\0" in path:
        raise PydanticCustomError(
            "bad_value", "A store is a file: sqlite:///data/bridge.db, or sqlite:////var/lib/bridge.db."
        )
    return value


def _check_host(value: str) -> str:
    host = value.strip("[]")
    is_address = ":" in host and not set(host) - set("0123456789abcdefABCDEF:.")
    if not host or len(host) > 253 or set(host) & set(" /@?#\\\t\n\0[]*") or (":" in host and not is_address):
        raise PydanticCustomError(
            "bad_value", "This should be a host alone, without http:// and port: n8n or 127.0.0.1."
        )
    return value


def _from_text(value: Any) -> Any:
    return int(value) if isinstance(value, str) and re.fullmatch("[0-9]{1,5}", value) else value


class ListenConfig(SettingsModel):
    """Where the bridge listens."""

    host: str = Field(default="127.0.0.1", min_length=1, max_length=255, description="The address to listen on.")
    port: Annotated[int, BeforeValidator(_from_text)] = Field(
        default=8484,
        ge=0,
        le=65_535,
        description="The port to listen on; 0 takes a free one.",
    )


class RetryConfig(SettingsModel):
    """When a step that did not go well is tried again."""

    schedule: Several[Duration] = Field(
        default=DEFAULT_SCHEDULE,
        min_length=1,
        max_length=100,
        description="The pause before each try, with full jitter. After the last one the delivery has failed.",
    )


class BlockedConfig(SettingsModel):
    """What happens to a side that refuses the bridge's credentials."""

    probe: PositiveDuration = Field(
        default=timedelta(seconds=30),
        description="How often a blocked side is tried again.",
    )


class RetentionConfig(SettingsModel):
    """How long the ledger keeps what has ended."""

    deliveries: PositiveDuration = Field(
        default=timedelta(days=90),
        description="How long ended deliveries are kept.",
    )
    requests: PositiveDuration = Field(
        default=timedelta(days=30),
        description="How long the outgoing requests of deliveries are kept.",
    )


class LogConfig(SettingsModel):
    """How the bridge logs."""

    format: Literal["json", "console"] = Field(
        default="json", description="One JSON object a line, or text for people."
    )
    level: Literal["debug", "info", "warning", "error"] = Field(default="info", description="The least that is logged.")


class BridgeConfig(SettingsModel):
    """What is the same for every tenant: `bridge.yaml`."""

    listen: ListenConfig = Field(default=ListenConfig(), description="Where the bridge listens.")
    store: Annotated[str, AfterValidator(_check_store)] = Field(
        default="sqlite:///data/bridge.db",
        description="Where the ledger is kept; a path is relative to this file.",
    )
    tenants: str = Field(
        default="tenants",
        min_length=1,
        max_length=1024,
        description="The folder of the tenant files, relative to this file.",
    )
    mappings: str = Field(
        default="mappings",
        min_length=1,
        max_length=1024,
        description="The folder of your own mapping files, relative to this file; found before the shipped ones.",
    )
    api_keys: Several[Secret] = Field(
        default=(),
        description="Operator keys, good for every tenant.",
        examples=[["${BRIDGE_API_KEY}"]],
    )
    allow_hosts: Several[Annotated[str, AfterValidator(_check_host)]] = Field(
        default=(),
        description="Hosts that `http://` may be used for, and private or loopback hosts that callbacks and events "
        "may reach.",
        examples=[["n8n", "127.0.0.1"]],
    )
    ca_file: str | None = Field(
        default=None,
        min_length=1,
        max_length=1024,
        description="Extra CA certificates (PEM) for every outgoing call, logins included; relative to this file.",
    )
    retry: RetryConfig = Field(default=RetryConfig(), description="When a step that did not go well is tried again.")
    blocked: BlockedConfig = Field(
        default=BlockedConfig(),
        description="What happens to a side that refuses the bridge's credentials.",
    )
    retention: RetentionConfig = Field(
        default=RetentionConfig(),
        description="How long the ledger keeps what has ended.",
    )
    log: LogConfig = Field(default=LogConfig(), description="How the bridge logs.")


class WatchConfig(SettingsModel):
    """How a delivery is watched that Numora makes by its own means: `mode: managed`."""

    every: PositiveDuration = Field(
        default=timedelta(minutes=1),
        description="How often the document is looked at. The first looks come sooner: after 2 s, 5 s, 10 s and 30 s.",
    )
    deadline: PositiveDuration = Field(
        default=timedelta(hours=24),
        description="How long Numora may take. After that the delivery is parked, for a person to look.",
    )


class DeliveryConfig(SettingsModel):
    """Who writes, and how many requests are in flight at a time."""

    mode: Literal["external", "managed"] = Field(
        default="external",
        description="`external`: the bridge writes and reports back. `managed`: Numora's own dispatch writes, and the "
        "bridge watches what becomes of it.",
    )
    concurrency: int = Field(
        default=8,
        ge=1,
        le=256,
        description="How many of the tenant's requests are in flight at a time, towards each side.",
    )
    watch: WatchConfig = Field(
        default=WatchConfig(),
        description="How a delivery is watched that Numora makes by its own means: `mode: managed`.",
    )


class EventConfig(SettingsModel):
    """Where signed messages go."""

    url: EventUrl = Field(description="Where the messages are posted to.", examples=["http://n8n:5678/webhook/bridge"])
    secret: OneOrSeveral[Secret] | None = Field(
        default=None,
        min_length=1,
        description="What the messages are signed with; several while one takes the other's place, the new one first.",
        examples=["${ACME_EVENTS_SECRET}"],
    )
    types: Several[Annotated[str, Field(pattern=r"^(\*|[a-z_]+\.(\*|[a-z_]+))$")]] = Field(
        default=("*",),
        min_length=1,
        description="Which messages: `delivery.succeeded`, `delivery.*`, `*`.",
    )


class TenantConfig(SettingsModel):
    """One tenant: `tenants/NAME.yaml`. The file's name is the tenant's id."""

    source: AnySource = Field(description="Where documents come from.")
    delivery: DeliveryConfig = Field(default=DeliveryConfig(), description="Who writes, and how much at once.")
    destination: AnyDestination | None = Field(
        default=None,
        description="Where rows are written. Needed with `mode: external`.",
    )
    mappings: dict[
        Annotated[str, Field(pattern=r"^[A-Za-z0-9_.\-]{1,128}$")],
        Annotated[str, Field(pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.\-]*\.ya?ml$", max_length=255)],
    ] = Field(
        default={},
        description="Which mapping file is used for which schema. It is looked for in the mappings folder, then "
        "among the shipped ones.",
        examples=[{"invoice_v2": "invoice_v2.dataverse.yaml"}],
    )
    api_keys: Several[Secret] = Field(
        default=(),
        description="Keys that are good for this tenant only. No other tenant may have the same one.",
        examples=[["${ACME_API_KEY}"]],
    )
    events: Several[EventConfig] = Field(
        default=(),
        description="Signed messages out, to n8n Webhook nodes or others.",
    )
