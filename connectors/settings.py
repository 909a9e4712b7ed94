"""What settings models are made of: durations, secrets, addresses, and marks for what this version does not do.

Validation looks at ``allow_hosts``, a set of hosts, in its context; without one, none is allowed.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from ipaddress import ip_address
from typing import Annotated, Any, ClassVar, Final, TypeVar
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    GetJsonSchemaHandler,
    PlainSerializer,
    SecretStr,
    Strict,
    ValidationInfo,
    WithJsonSchema,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticCustomError

INSECURE_URL: Final = (
    "http:// is taken for loopback addresses only. Use https://, or list the host under allow_hosts in bridge.yaml."
)
_DURATION = re.compile(r"(\d{1,9})(ms|s|m|h|d)")
_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
    "d": timedelta(days=1),
}
_LONGEST = timedelta(days=36_500)
_HOST = re.compile(r"[\w.-]+|\[[0-9A-Fa-f:.]+\]")
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")

ItemT = TypeVar("ItemT")


class SettingsModel(BaseModel):
    """The base of every settings model: frozen, unknown keys refused, nothing converted behind a person's back."""

    model_config = ConfigDict(
        extra="forbid",
        frozen=True,
        strict=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=False,
    )


class SourceSettings(SettingsModel, ABC):
    """What every kind of source has; the kind tells the models apart."""

    kind: str

    can_dispatch: ClassVar[bool] = False
    """Whether it can deliver documents by its own means, as ``mode: managed`` has it do."""

    @property
    @abstractmethod
    def poll_every(self) -> timedelta:
        """How long after one poll the next one begins."""

    @property
    def is_polled(self) -> bool:
        """Whether documents are found by polling; otherwise calls bring them in."""
        return True

    @property
    def is_deaf(self) -> bool:
        """Whether nothing is set up by which documents could come in by themselves."""
        return False

    @property
    def sweeping(self) -> tuple[timedelta, timedelta] | None:
        """How often, and how far back, documents are read again whose calls came to nothing; None for never."""
        return None


class DestinationSettings(SettingsModel):
    """What every kind of destination has; the kind tells the models apart."""

    kind: str


@dataclass(frozen=True, slots=True)
class NotAvailable:
    """Marks a field, or some values of it, that this version accepts in a file and does not do."""

    what: str
    values: frozenset[str] | None = None


Several = Annotated[tuple[ItemT, ...], Strict(strict=False)]
"""A list in the file, a tuple in the model."""


def _to_list(value: Any) -> Any:
    return value if isinstance(value, list | tuple) else [value]


class OneOrList:
    """Says in a JSON Schema that one value stands for a list of one."""

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        listed = handler(core_schema)
        return {"anyOf": [listed["items"], listed]}


OneOrSeveral = Annotated[tuple[ItemT, ...], Strict(strict=False), BeforeValidator(_to_list), OneOrList]
"""One value or a list of them in the file, a tuple in the model."""


def parse_duration(text: str) -> timedelta:
    """Parse ``500ms``, ``5s``, ``5m``, ``2h`` or ``90d``. Raises ``ValueError``."""
    found = _DURATION.fullmatch(text)
    if found is None:
        message = "A duration is a whole number with a unit: 500ms, 5s, 5m, 2h or 90d."
        raise ValueError(message)
    duration = int(found[1]) * _UNITS[found[2]] if found[2] != "d" or int(found[1]) <= _LONGEST.days else None
    if duration is None or duration > _LONGEST:
        message = f"A duration is at most {_LONGEST.days}d."
        raise ValueError(message)
    return duration


def format_duration(duration: timedelta) -> str:
    """Write a duration the way files do, in the largest unit that leaves no fraction."""
    for unit in ("d", "h", "m", "s"):
        count, rest = divmod(duration, _UNITS[unit])
        if count > (unit == "d") and not rest:  # a day is written 24h, as people do
            return f"{count}{unit}"
    return f"{duration // _UNITS['ms']}ms" if duration else "0s"


def _to_duration(value: Any) -> Any:
    if isinstance(value, timedelta):
        return value
    if not isinstance(value, str):
        raise PydanticCustomError("wrong_type", "This should be a duration: 500ms, 5s, 5m, 2h or 90d.")
    try:
        return parse_duration(value)
    except ValueError as error:
        raise PydanticCustomError("bad_value", "{reason}", {"reason": str(error)}) from None


def _check_positive(value: timedelta) -> timedelta:
    if value <= timedelta(0):
        raise PydanticCustomError("bad_value", "This should be longer than 0s.")
    return value


def _check_secret(value: SecretStr) -> SecretStr:
    text = value.get_secret_value()
    if not text or text != text.strip():
        raise PydanticCustomError("bad_value", "A secret is not empty and has no blanks around it.")
    if _UNPRINTABLE.search(text):
        raise PydanticCustomError("bad_value", "A secret is one line of text, with no control characters in it.")
    return value


def is_loopback(host: str) -> bool:
    """Tell whether a host, as it stands in a URL without brackets, is ``localhost``, 127.0.0.0/8 or ::1."""
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def is_insecure(url: str, allow_hosts: Iterable[str]) -> bool:
    """Tell whether a URL is ``http://`` to a host that it is not taken for."""
    parts = urlsplit(url)
    host = (parts.hostname or "").rstrip(".")
    return parts.scheme == "http" and not is_loopback(host) and host not in allow_hosts


def allowed_hosts(hosts: Iterable[str]) -> frozenset[str]:
    """Return hosts as URLs are compared with them: lower case, no brackets, no dot at the end."""
    return frozenset(host.lower().strip("[]").rstrip(".") for host in hosts)


def _check_url(value: str, info: ValidationInfo, *, query: bool, plain_http: bool) -> str:
    if len(value) > 2048 or re.search(r"[\s\\]", value) or _UNPRINTABLE.search(value):
        raise PydanticCustomError("bad_url", "A URL has no blanks, and at most 2048 characters.")
    try:
        parts = urlsplit(value)
        host, _port = parts.hostname, parts.port
    except ValueError:
        raise PydanticCustomError("bad_url", "This URL has a host or port that cannot be.") from None
    if parts.scheme not in {"http", "https"} or not host:
        raise PydanticCustomError("bad_url", "A URL begins with https:// and a host: https://api.example.com.")
    if "@" in parts.netloc:
        raise PydanticCustomError("bad_url", "A URL holds no user name or password. Use the keys made for them.")
    if not _HOST.fullmatch(parts.netloc.rpartition(":")[0] if parts.port is not None else parts.netloc.rstrip(":")):
        raise PydanticCustomError("bad_url", "This URL has a host or port that cannot be.")
    if "#" in value or ("?" in value and not query):
        raise PydanticCustomError("bad_url", "This URL should end before any `?` or `#`.")
    if not plain_http:
        hosts = (info.context or {}).get("allow_hosts", frozenset())
        if is_insecure(value, hosts):
            raise PydanticCustomError("insecure_url", INSECURE_URL)
    return value if query else value.rstrip("/")


Duration = Annotated[
    timedelta,
    BeforeValidator(_to_duration),
    PlainSerializer(format_duration, return_type=str, when_used="json"),
    WithJsonSchema(
        {"type": "string", "pattern": r"^\d{1,9}(ms|s|m|h|d)$", "examples": ["500ms", "5s", "5m", "2h", "90d"]}
    ),
]
"""``500ms``, ```5s``, ``5m``, ``2h`` or ``90d``."""

PositiveDuration = Annotated[Duration, AfterValidator(_check_positive)]
"""A duration longer than nothing."""

Secret = Annotated[
    SecretStr,
    Field(json_schema_extra={"examples": ["${NAME}", "${file:/run/secrets/name}"]}),
    AfterValidator(_check_secret),
]
"""A secret: one line of text that no finding, repr or dump shows."""

BaseUrl = Annotated[str, AfterValidator(partial(_check_url, query=False, plain_http=False))]
"""The address of an outside system, without user, query and fragment; a slash at its end is taken off."""

EventUrl = Annotated[str, AfterValidator(partial(_check_url, query=True, plain_http=True))]
"""An address that messages go to; whether ``http://`` may be used for it is not looked at here."""
