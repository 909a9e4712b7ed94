"""The metadata answers of Dataverse as they come, and what the bridge makes of them."""

from collections.abc import Iterable, Mapping
from decimal import Decimal
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

from connectors.dataverse.metadata import (
    AlternateKey,
    Attribute,
    DateBehavior,
    Kind,
    Limits,
    Relationship,
    RequiredLevel,
)

TABLE_COLUMNS = "LogicalName,EntitySetName,PrimaryIdAttribute,PrimaryNameAttribute,HasNotes,TableType"
ATTRIBUTE_COLUMNS = (
    "LogicalName,AttributeType,AttributeTypeName,AttributeOf,RequiredLevel,IsValidForCreate,IsValidForUpdate"
)
KEY_COLUMNS = "SchemaName,KeyAttributes,EntityKeyIndexStatus"
RELATIONSHIP_COLUMNS = (
    "ReferencingEntity,ReferencingAttribute,ReferencedEntity,"
    "ReferencingEntityNavigationPropertyName,ReferencedEntityNavigationPropertyName"
)

_OPTIONS = "$expand=OptionSet($select=Options),GlobalOptionSet($select=Options)"
TYPED: Mapping[Kind, tuple[str, str]] = {
    Kind.STRING: ("StringAttributeMetadata", "$select=LogicalName,MaxLength"),
    Kind.MEMO: ("MemoAttributeMetadata", "$select=LogicalName,MaxLength"),
    Kind.INTEGER: ("IntegerAttributeMetadata", "$select=LogicalName,MinValue,MaxValue"),
    Kind.DECIMAL: ("DecimalAttributeMetadata", "$select=LogicalName,MinValue,MaxValue,Precision"),
    Kind.DOUBLE: ("DoubleAttributeMetadata", "$select=LogicalName,MinValue,MaxValue,Precision"),
    Kind.MONEY: ("MoneyAttributeMetadata", "$select=LogicalName,MinValue,MaxValue,Precision,PrecisionSource"),
    Kind.DATETIME: ("DateTimeAttributeMetadata", "$select=LogicalName,Format,DateTimeBehavior"),
    Kind.PICKLIST: ("PicklistAttributeMetadata", _OPTIONS),
    Kind.MULTI_SELECT: ("MultiSelectPicklistAttributeMetadata", _OPTIONS),
    Kind.STATE: ("StateAttributeMetadata", "$select=LogicalName&$expand=OptionSet($select=Options)"),
    Kind.STATUS: ("StatusAttributeMetadata", "$select=LogicalName&$expand=OptionSet($select=Options)"),
}
"""The cast of ``Attributes`` that tells the limits of each kind of column, and what to ask of it."""

_BY_TYPE_NAME = {
    "FileType": Kind.FILE,
    "ImageType": Kind.FILE,
    "MultiSelectPicklistType": Kind.MULTI_SELECT,
}
_KINDS = {kind.value: kind for kind in Kind}


class _Model(BaseModel):
    model_config = ConfigDict(extra="ignore")


class _Option(_Model):
    Value: int | None = None


class _OptionSet(_Model):
    Options: list[_Option] = []

    @field_validator("Options", mode="before")
    @classmethod
    def _none_given(cls, value: Any) -> Any:
        return [] if value is None else value


def _inner(value: Any) -> Any:
    """Unwrap ``{"Value": x}``, the way Dataverse writes managed properties and named values."""
    return value.get("Value") if isinstance(value, Mapping) else value


def _exact(bound: Decimal | int | None) -> Decimal | None:
    """Return a bound in the form that amounts have, which compare with it the soonest."""
    return None if bound is None else Decimal(bound)


class AttributeDefinition(_Model):
    """One entry of ``Attributes``, as is or through a typed cast."""

    LogicalName: str | None = None
    odata_type: str | None = Field(default=None, alias="@odata.type")
    AttributeType: str | None = None
    AttributeTypeName: str | None = None
    AttributeOf: str | None = None
    RequiredLevel: str | None = None
    IsValidForCreate: bool | None = None
    IsValidForUpdate: bool | None = None
    MaxLength: int | None = None
    Precision: int | None = None
    PrecisionSource: int | None = None
    MinValue: Decimal | int | None = None
    MaxValue: Decimal | int | None = None
    Format: str | None = None
    DateTimeBehavior: str | None = None
    DefaultFormValue: int | None = None
    OptionSet: _OptionSet | None = None
    GlobalOptionSet: _OptionSet | None = None

    @field_validator("AttributeTypeName", "RequiredLevel", "DateTimeBehavior", "Format", "AttributeType", mode="before")
    @classmethod
    def _unwrap(cls, value: Any) -> Any:
        inner = _inner(value)
        return inner if inner is None or isinstance(inner, str) else str(inner)

    @field_validator("MinValue", "MaxValue", mode="before")
    @classmethod
    def _numbers_only(cls, value: Any) -> Any:
        return value if isinstance(value, int | Decimal) and not isinstance(value, bool) else None

    @field_validator("MaxLength", "Precision", "PrecisionSource", "DefaultFormValue", mode="before")
    @classmethod
    def _whole_numbers_only(cls, value: Any) -> Any:
        if isinstance(value, Decimal) and value == value.to_integral_value():
            value = int(value)
        return value if isinstance(value, int) and not isinstance(value, bool) else None

    @field_validator("IsValidForCreate", "IsValidForUpdate", mode="before")
    @classmethod
    def _yes_or_no_only(cls, value: Any) -> Any:
        inner = _inner(value)
        return inner if isinstance(inner, bool) else None

    @property
    def kind(self) -> Kind:
        """Return the column's kind."""
        by_name = _BY_TYPE_NAME.get(self.AttributeTypeName or "")
        if by_name is not None:
            return by_name
        written = self.AttributeType or (self.AttributeTypeName or "").removesuffix("Type")
        if not written and self.odata_type is not None:
            written = self.odata_type.rpartition(".")[2].removesuffix("AttributeMetadata")
        return _KINDS.get(written, Kind.OTHER) if written else Kind.UNTOLD

    def limits(self) -> Limits:
        """Return the limits that stand in this entry."""
        behavior = self.DateTimeBehavior
        options = {
            option.Value
            for one in (self.OptionSet, self.GlobalOptionSet)
            if one is not None
            for option in one.Options
            if option.Value is not None
        }
        return Limits(
            max_length=self.MaxLength,
            precision=self.Precision,
            precision_elsewhere=self.PrecisionSource in {1, 2},
            min_value=_exact(self.MinValue),
            max_value=_exact(self.MaxValue),
            behavior=behavior if behavior in get_args(DateBehavior) else None,  # type: ignore[arg-type]
            options=frozenset(options) or None,
        )

    def attribute(self) -> Attribute:
        """Return the column; settled when this entry itself tells its limits, or its kind has none."""
        limits = self.limits()
        kind = self.kind
        level = self.RequiredLevel
        return Attribute(
            self.LogicalName or "",
            kind,
            required=level if level in get_args(RequiredLevel) else "None",  # type: ignore[arg-type]
            creatable=self.IsValidForCreate is not False,
            updatable=self.IsValidForUpdate is not False,
            has_default=self.DefaultFormValue is not None and self.DefaultFormValue >= 0,
            limits=limits,
            settled=kind not in TYPED or limits != Limits(),
        )


class KeyDefinition(_Model):
    """One entry of ``Keys``."""

    SchemaName: str | None = None
    KeyAttributes: list[str] = Field(default_factory=list)
    EntityKeyIndexStatus: str | None = None

    @field_validator("KeyAttributes", mode="before")
    @classmethod
    def _none_given(cls, value: Any) -> Any:
        return [] if value is None else value

    @field_validator("EntityKeyIndexStatus", mode="before")
    @classmethod
    def _by_name(cls, value: Any) -> Any:
        names = ("Pending", "InProgress", "Active", "Failed")
        inner = _inner(value)
        return names[inner] if isinstance(inner, int) and 0 <= inner < len(names) else inner

    def key(self) -> AlternateKey:
        """Return the key."""
        return AlternateKey(
            self.SchemaName or "+".join(self.KeyAttributes),
            frozenset(self.KeyAttributes),
            self.EntityKeyIndexStatus or "Active",
        )


class RelationshipDefinition(_Model):
    """One entry of ``ManyToOneRelationships`` or ``OneToManyRelationships``; what it hangs on may be left out."""

    ReferencingEntity: str | None = None
    ReferencingAttribute: str | None = None
    ReferencedEntity: str | None = None
    ReferencingEntityNavigationPropertyName: str | None = None
    ReferencedEntityNavigationPropertyName: str | None = None

    def relationship(self, table: str, *, many_to_one: bool) -> Relationship | None:
        """Return the relationship of ``table``; None when a name that it cannot do without is missing."""
        referencing = self.ReferencingEntity or (table if many_to_one else None)
        referenced = self.ReferencedEntity or (None if many_to_one else table)
        if referencing is None or referenced is None or self.ReferencingAttribute is None:
            return None
        return Relationship(
            referencing,
            self.ReferencingAttribute,
            referenced,
            self.ReferencingEntityNavigationPropertyName or None,
            self.ReferencedEntityNavigationPropertyName or None,
        )


class TableDefinition(_Model):
    """One ``EntityDefinitions`` entry; what was not expanded is None."""

    LogicalName: str
    EntitySetName: str
    PrimaryIdAttribute: str
    PrimaryNameAttribute: str | None = None
    HasNotes: bool | None = None
    TableType: str | None = None
    Attributes: list[AttributeDefinition] | None = None
    Keys: list[KeyDefinition] | None = None
    ManyToOneRelationships: list[RelationshipDefinition] | None = None
    OneToManyRelationships: list[RelationshipDefinition] | None = None


def attributes_of(entries: Iterable[AttributeDefinition]) -> dict[str, Attribute]:
    """Return the columns by name, without those that only shadow another (``x_name`` of a lookup ``x``)."""
    return {one.LogicalName: one.attribute() for one in entries if one.LogicalName and one.AttributeOf is None}


def relationships_of(
    entries: Iterable[RelationshipDefinition], table: str, *, many_to_one: bool
) -> tuple[Relationship, ...]:
    """Return the relationships that can be used."""
    found = (one.relationship(table, many_to_one=many_to_one) for one in entries)
    return tuple(one for one in found if one is not None)
