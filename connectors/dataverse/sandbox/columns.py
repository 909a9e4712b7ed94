"""Column types: their limits, and what they make of a JSON value."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from decimal import ROUND_HALF_EVEN, Context, Decimal, InvalidOperation
from functools import cache
from typing import Any, ClassVar, Literal, NamedTuple

from connectors.dataverse.sandbox.errors import (
    BAD_CHOICE,
    BAD_VALUE,
    OUT_OF_RANGE,
    TOO_LONG,
    ApiError,
    bad_payload,
    not_convertible,
)

RequiredLevel = Literal["None", "Recommended", "ApplicationRequired", "SystemRequired"]
DateBehavior = Literal["DateOnly", "UserLocal", "TimeZoneIndependent"]

_EDM_DECIMAL_MAX = Decimal(79228162514264337593543950335)
_ROUNDING = Context(prec=60, rounding=ROUND_HALF_EVEN)
_EARLIEST = date(1753, 1, 1)
_GUID = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")


class Reference(NamedTuple):
    """The value of a lookup column."""

    table: str
    id: str


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column of a table. ``name`` is the logical name; the schema name defaults to it with the first letter upper."""

    attribute_type: ClassVar[str]
    edm_type: ClassVar[str]

    name: str
    schema_name: str = ""
    required: RequiredLevel = "None"
    creatable: bool = True
    updatable: bool = True
    label: str = ""

    def __post_init__(self) -> None:
        prefix, _, rest = self.name.rpartition("_")
        spelled = rest[:1].upper() + rest[1:]
        if not self.schema_name:
            object.__setattr__(self, "schema_name", f"{prefix}_{spelled}" if prefix else spelled)
        if not self.label:
            object.__setattr__(self, "label", spelled)

    @property
    def json_name(self) -> str:
        """The property's name in bodies and queries."""
        return self.name

    def accept(self, value: Any, set_name: str) -> Any:
        """Return the value as it is stored; None stays None. Raises ``ApiError``."""
        if value is None:
            if self.required == "SystemRequired":
                raise ApiError(400, BAD_VALUE, f"Attribute: {self.name} cannot be set to NULL")
            return None
        return self._convert(value, set_name)

    def _convert(self, value: Any, set_name: str) -> Any:
        """Return a value that is not null as it is stored. Raises ``ApiError``."""
        raise NotImplementedError

    def _out_of_range(self, set_name: str) -> ApiError:
        return ApiError(
            400,
            OUT_OF_RANGE,
            f"A validation error occurred. The value of '{self.name}' on record of type '{set_name}' is outside the "
            "valid range.",
        )


@dataclass(frozen=True, kw_only=True)
class StringColumn(Column):
    """A single line of text."""

    attribute_type: ClassVar[str] = "String"
    edm_type: ClassVar[str] = "Edm.String"
    max_length: int = 100
    unicode: bool = True

    def _convert(self, value: Any, set_name: str) -> str:
        if type(value) is not str:
            raise not_convertible(set_name, value, self.edm_type)
        if len(value) > self.max_length:
            raise ApiError(
                400,
                TOO_LONG,
                f"A validation error occurred.  The length of the '{self.name}' attribute of the '{set_name}' entity "
                f"exceeded the maximum allowed length of '{self.max_length}'.",
            )
        if not self.unicode and not value.isascii():
            raise ApiError(400, BAD_VALUE, f"The '{self.name}' attribute takes ASCII characters only.")
        return value


@dataclass(frozen=True, kw_only=True)
class MemoColumn(StringColumn):
    """Several lines of text."""

    attribute_type: ClassVar[str] = "Memo"
    max_length: int = 2000


@dataclass(frozen=True, kw_only=True)
class IntegerColumn(Column):
    """A whole number."""

    attribute_type: ClassVar[str] = "Integer"
    edm_type: ClassVar[str] = "Edm.Int32"
    minimum: int = -2_147_483_648
    maximum: int = 2_147_483_647

    def _convert(self, value: Any, set_name: str) -> int:
        if type(value) is not int or not -2_147_483_648 <= value <= 2_147_483_647:
            raise not_convertible(set_name, value, self.edm_type)
        if not self.minimum <= value <= self.maximum:
            raise self._out_of_range(set_name)
        return value


@dataclass(frozen=True, kw_only=True)
class BigIntColumn(Column):
    """A 64-bit whole number, such as the row's version."""

    attribute_type: ClassVar[str] = "BigInt"
    edm_type: ClassVar[str] = "Edm.Int64"

    def _convert(self, value: Any, set_name: str) -> int:
        if type(value) is not int or not -(2**63) <= value < 2**63:
            raise not_convertible(set_name, value, self.edm_type)
        return value


@dataclass(frozen=True, kw_only=True)
class DecimalColumn(Column):
    """A decimal number: more fraction digits than ``precision`` are rounded without a word."""

    attribute_type: ClassVar[str] = "Decimal"
    edm_type: ClassVar[str] = "Edm.Decimal"
    precision: int = 2
    minimum: Decimal = Decimal(-100_000_000_000)
    maximum: Decimal = Decimal(100_000_000_000)

    def _convert(self, value: Any, set_name: str) -> Decimal:
        if type(value) is int:
            value = Decimal(value)
        elif type(value) is not Decimal:
            raise not_convertible(set_name, value, self.edm_type)
        if abs(value) > _EDM_DECIMAL_MAX:
            raise not_convertible(set_name, value, self.edm_type)
        if not self.minimum <= value <= self.maximum:
            raise self._out_of_range(set_name)
        return rounded(value, self.precision)


@dataclass(frozen=True, kw_only=True)
class MoneyColumn(DecimalColumn):
    """An amount in the row's currency; ``<name>_base`` holds it in the base currency."""

    attribute_type: ClassVar[str] = "Money"
    precision_source: int = 0
    minimum: Decimal = Decimal(-922337203685477)
    maximum: Decimal = Decimal(922337203685477)


@dataclass(frozen=True, kw_only=True)
class DoubleColumn(DecimalColumn):
    """A floating point number, kept here with the digits that came in."""

    attribute_type: ClassVar[str] = "Double"
    edm_type: ClassVar[str] = "Edm.Double"
    precision: int = 5


@dataclass(frozen=True, kw_only=True)
class BooleanColumn(Column):
    """Yes or no."""

    attribute_type: ClassVar[str] = "Boolean"
    edm_type: ClassVar[str] = "Edm.Boolean"
    true_label: str = "Yes"
    false_label: str = "No"

    def _convert(self, value: Any, set_name: str) -> bool:
        if type(value) is not bool:
            raise not_convertible(set_name, value, self.edm_type)
        return value


@dataclass(frozen=True, kw_only=True)
class PicklistColumn(Column):
    """A choice by its number. ``global_name`` is set when the options are those of a global choice."""

    attribute_type: ClassVar[str] = "Picklist"
    edm_type: ClassVar[str] = "Edm.Int32"
    options: Mapping[int, str] = field(default_factory=dict)
    global_name: str | None = None

    def _convert(self, value: Any, set_name: str) -> int:
        if type(value) is not int:
            raise not_convertible(set_name, value, self.edm_type)
        if value not in self.options:
            accepted = ",".join(map(str, self.options))
            raise ApiError(
                400,
                BAD_CHOICE,
                f"A validation error occurred. The value {value} of '{self.name}' on record of type '{set_name}' is "
                f"outside the valid range. Accepted Values: {accepted}",
            )
        return value


@dataclass(frozen=True, kw_only=True)
class StateColumn(PicklistColumn):
    """``statecode``."""

    attribute_type: ClassVar[str] = "State"
    options: Mapping[int, str] = field(default_factory=lambda: {0: "Active", 1: "Inactive"})


@dataclass(frozen=True, kw_only=True)
class StatusColumn(PicklistColumn):
    """``statuscode``; ``states`` tells which state each reason belongs to."""

    attribute_type: ClassVar[str] = "Status"
    options: Mapping[int, str] = field(default_factory=lambda: {1: "Active", 2: "Inactive"})
    states: Mapping[int, int] = field(default_factory=lambda: {1: 0, 2: 1})


@dataclass(frozen=True, kw_only=True)
class DateTimeColumn(Column):
    """A date (``behavior`` DateOnly, stored as YYYY-MM-DD) or a moment (stored in UTC with seconds)."""

    attribute_type: ClassVar[str] = "DateTime"
    edm_type: ClassVar[str] = "Edm.DateTimeOffset"
    behavior: DateBehavior = "UserLocal"

    @property
    def is_date(self) -> bool:
        """Whether the value is a date without a time."""
        return self.behavior == "DateOnly"

    def _convert(self, value: Any, set_name: str) -> str:
        edm_type = "Edm.Date" if self.is_date else self.edm_type
        if type(value) is not str:
            raise not_convertible(set_name, value, edm_type)
        try:
            return self._date(value) if self.is_date else self._moment(value)
        except ValueError as error:
            raise not_convertible(set_name, value, edm_type) from error
        except OverflowError as error:
            raise self._out_of_range(set_name) from error

    @staticmethod
    def _date(text: str) -> str:
        if len(text) != len("2026-01-31"):
            raise ValueError(text)
        if date.fromisoformat(text) < _EARLIEST:
            raise OverflowError(text)
        return text

    @staticmethod
    def _moment(text: str) -> str:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is None or "T" not in text:
            raise ValueError(text)
        moment = moment.astimezone(UTC)
        if moment.date() < _EARLIEST:
            raise OverflowError(text)
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, kw_only=True)
class GuidColumn(Column):
    """A unique identifier that is no lookup: the primary key."""

    attribute_type: ClassVar[str] = "Uniqueidentifier"
    edm_type: ClassVar[str] = "Edm.Guid"

    def _convert(self, value: Any, set_name: str) -> str:
        if type(value) is str and _GUID.fullmatch(value):
            return value.lower()
        raise not_convertible(set_name, value, self.edm_type)


@dataclass(frozen=True, kw_only=True)
class Navigation:
    """One way that a lookup column leads: the property to bind, its target, and the way back.

    ``collection`` is the navigation property of the target that lists the rows that refer to it; ``on_delete`` is what
    becomes of those when the target is deleted.
    """

    name: str
    target: str
    collection: str
    relationship: str = ""
    on_delete: Literal["RemoveLink", "Cascade", "Restrict"] = "RemoveLink"


@dataclass(frozen=True, kw_only=True)
class LookupColumn(Column):
    """A reference to another row: read as ``_<name>_value``, written through a navigation property."""

    attribute_type: ClassVar[str] = "Lookup"
    edm_type: ClassVar[str] = "Edm.Guid"
    navigations: tuple[Navigation, ...] = ()

    @property
    def json_name(self) -> str:
        """The read-only property that holds the id."""
        return f"_{self.name}_value"

    @property
    def targets(self) -> tuple[str, ...]:
        """The tables that it can refer to."""
        return tuple(navigation.target for navigation in self.navigations)

    def _convert(self, value: Any, set_name: str) -> Any:
        raise bad_payload(
            set_name,
            "CRM do not support direct update of Entity Reference properties, Use Navigation properties instead.",
        )


@dataclass(frozen=True, kw_only=True)
class OwnerColumn(LookupColumn):
    """``ownerid``."""

    attribute_type: ClassVar[str] = "Owner"


@dataclass(frozen=True, kw_only=True)
class FileColumn(Column):
    """A file, uploaded by a request of its own."""

    attribute_type: ClassVar[str] = "File"
    edm_type: ClassVar[str] = "Edm.Binary"
    max_size_kb: int = 32_768
    creatable: bool = False
    updatable: bool = False

    def _convert(self, value: Any, set_name: str) -> Any:
        raise bad_payload(set_name, f"The property '{self.name}' is a stream and cannot be set in the body.")


def rounded(value: Decimal, precision: int) -> Decimal:
    """Round to so many fraction digits, whatever the number of digits before the point."""
    try:
        return value.quantize(_last_digit(precision), context=_ROUNDING)
    except InvalidOperation:
        return value


@cache
def _last_digit(precision: int) -> Decimal:
    return Decimal(1).scaleb(-precision)
