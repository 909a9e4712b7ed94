"""What the bridge knows of a table: its names, columns, keys and relationships."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum
from typing import Literal


class Kind(StrEnum):
    """The kind of a column, as far as writing to it goes. The values are Dataverse's own names for them.

    ``OTHER`` cannot be written as a value; ``UNTOLD`` is a kind that the target does not tell, which may be anything.
    """

    STRING = "String"
    MEMO = "Memo"
    INTEGER = "Integer"
    BIGINT = "BigInt"
    DECIMAL = "Decimal"
    MONEY = "Money"
    DOUBLE = "Double"
    BOOLEAN = "Boolean"
    DATETIME = "DateTime"
    PICKLIST = "Picklist"
    STATE = "State"
    STATUS = "Status"
    MULTI_SELECT = "MultiSelectPicklist"
    UNIQUEIDENTIFIER = "Uniqueidentifier"
    LOOKUP = "Lookup"
    OWNER = "Owner"
    CUSTOMER = "Customer"
    FILE = "File"
    OTHER = "Other"
    UNTOLD = "Untold"

    @property
    def is_text(self) -> bool:
        """Tell whether it holds text."""
        return self in {Kind.STRING, Kind.MEMO}

    @property
    def is_number(self) -> bool:
        """Tell whether it holds a number that may have a range."""
        return self in {Kind.INTEGER, Kind.BIGINT, Kind.DECIMAL, Kind.MONEY, Kind.DOUBLE}

    @property
    def is_choice(self) -> bool:
        """Tell whether it holds one of a list of numbers."""
        return self in {Kind.PICKLIST, Kind.STATE, Kind.STATUS}

    @property
    def is_reference(self) -> bool:
        """Tell whether it refers to a row, and so is written through a navigation property."""
        return self in {Kind.LOOKUP, Kind.OWNER, Kind.CUSTOMER}


RequiredLevel = Literal["None", "Recommended", "ApplicationRequired", "SystemRequired"]
DateBehavior = Literal["DateOnly", "UserLocal", "TimeZoneIndependent"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What a column can hold; None means that the target did not say.

    ``max_length`` counts UTF-16 code units. ``precision`` is the number of fraction digits that are kept; the server
    rounds more of them away without a word. ``precision_elsewhere`` is True for money whose precision is the currency's
    or the organisation's, so that ``precision`` is only the column's own. ``options`` are the values of a choice.
    """

    max_length: int | None = None
    precision: int | None = None
    precision_elsewhere: bool = False
    min_value: Decimal | int | None = None
    max_value: Decimal | int | None = None
    behavior: DateBehavior | None = None
    options: frozenset[int] | None = None


UNKNOWN = Limits()


@dataclass(frozen=True, slots=True)
class Attribute:
    """One column of a table. ``name`` is its logical name; ``settled`` is True once its limits were asked for."""

    name: str
    kind: Kind
    required: RequiredLevel = "None"
    creatable: bool = True
    updatable: bool = True
    has_default: bool = False
    limits: Limits = UNKNOWN
    settled: bool = True


@dataclass(frozen=True, slots=True)
class AlternateKey:
    """A unique key of a table. ``status`` is that of its index: only ``Active`` ones hold."""

    name: str
    columns: frozenset[str]
    status: str

    @property
    def active(self) -> bool:
        """Tell whether the server enforces it."""
        return self.status == "Active"


@dataclass(frozen=True, slots=True)
class Relationship:
    """One N:1 relationship: column ``attribute`` of table ``referencing`` refers to a row of table ``referenced``.

    ``navigation`` is the property that is bound on the referencing side, ``collection`` that of the rows on the other.
    """

    referencing: str
    attribute: str
    referenced: str
    navigation: str | None
    collection: str | None


@dataclass(frozen=True, slots=True)
class Table:
    """A table. ``keys`` is None when the target does not tell them; ``loaded_at`` is a monotonic time in seconds."""

    name: str
    set_name: str
    primary_id: str
    primary_name: str | None
    attributes: Mapping[str, Attribute]
    keys: tuple[AlternateKey, ...] | None = None
    many_to_one: tuple[Relationship, ...] = ()
    one_to_many: tuple[Relationship, ...] = ()
    has_notes: bool | None = None
    elastic: bool = False
    loaded_at: float = 0.0

    def lookups(self, name: str, target: str) -> tuple[Relationship, ...]:
        """Return the relationships to ``target`` that ``name`` stands for: a navigation property's name, or a column's.

        A row's owner is bound through one property, whether it is a user or a team.
        """
        if name == "ownerid" and target in {"systemuser", "team"} and self._may_have_owner():
            return (Relationship(self.name, "ownerid", target, "ownerid", None),)
        exact: list[Relationship] = []
        by_column: list[Relationship] = []
        for one in self.many_to_one:
            if one.referenced != target or one.navigation is None:
                continue
            if one.navigation == name:
                exact.append(one)
            # A column's name that is the property's in another case is a slip, which the server would refuse.
            elif one.attribute == name and one.navigation.lower() != name.lower():
                by_column.append(one)
        return tuple(exact or by_column)

    def key_fault(self, column: str) -> tuple[str, str] | None:
        """Return why ``column`` is no key that rows can be found and held apart by: a code and a sentence, or None.

        A key whose index is not active neither finds rows nor keeps a second one out.
        """
        if self.keys is None:
            return None
        keys = [key for key in self.keys if key.columns == {column}]
        if not keys:
            return (
                "key_missing",
                f"{self.name} has no alternate key on {column} alone. Define it, or use identity {{by: primary_key}}.",
            )
        if not any(key.active for key in keys):
            return (
                "key_not_active",
                f"The index of key {keys[0].name} is {keys[0].status}, not Active: wait for it, or reactivate it.",
            )
        return None

    def lines(self, table: str) -> tuple[Relationship, ...]:
        """Return the relationships through which rows of ``table`` belong to rows of this one."""
        return tuple(one for one in self.one_to_many if one.referencing == table and one.collection is not None)

    def lookup_names(self) -> Iterable[str]:
        """Return every name that a lookup can be given: navigation properties first."""
        names = [one.navigation for one in self.many_to_one if one.navigation is not None]
        return dict.fromkeys([*names, *(["ownerid"] if self._may_have_owner() else [])])

    def _may_have_owner(self) -> bool:
        return "ownerid" in self.attributes or any(one.attribute == "ownerid" for one in self.many_to_one)
