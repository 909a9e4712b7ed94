"""What an imitated Dataverse tells about its tables, in several styles that are each plausible.

``full``       EntityDefinitions with everything expanded on request, typed casts, keys; unknown names are refused.
``plain``      as full, but nothing below a table has a typed cast and ``$select`` is not looked at.
``typed``      ``$select`` is not looked at; every attribute comes with its typed facts and no cast is known.
``keyless``    as full, but Keys are not known below a table.
``paths``      ``$expand`` is not looked at; Attributes, Keys and relationships have addresses of their own.
``sparse``     no more than names and types is told of a column, and nothing of what may be written.
``csdl``       EntityDefinitions are not there at all; ``$metadata`` is.
"""

import re
from collections.abc import Mapping
from typing import Any
from xml.sax.saxutils import quoteattr

from tests.blackbox.imitations.tables import Column, Table

STYLES = ("full", "plain", "typed", "keyless", "paths", "sparse", "csdl")

_TABLE_FACTS = (
    "LogicalName", "SchemaName", "EntitySetName", "LogicalCollectionName", "PrimaryIdAttribute",
    "PrimaryNameAttribute", "IsOptimisticConcurrencyEnabled", "HasNotes", "TableType", "OwnershipType", "MetadataId",
    "DisplayName", "ObjectTypeCode", "IsCustomEntity", "IsActivity",
)  # fmt: skip
_ATTRIBUTE_FACTS = (
    "LogicalName", "SchemaName", "AttributeType", "AttributeTypeName", "RequiredLevel", "IsValidForCreate",
    "IsValidForUpdate", "IsValidForRead", "MetadataId", "DisplayName", "AttributeOf", "IsPrimaryId", "IsPrimaryName",
    "SourceType", "EntityLogicalName", "IsLogical", "ColumnNumber", "IsSecured", "ExternalName",
)  # fmt: skip
_RELATION_FACTS = (
    "SchemaName", "ReferencedAttribute", "ReferencedEntity", "ReferencingAttribute", "ReferencingEntity",
    "ReferencedEntityNavigationPropertyName", "ReferencingEntityNavigationPropertyName", "MetadataId",
)  # fmt: skip
_KEY_FACTS = ("SchemaName", "LogicalName", "KeyAttributes", "EntityKeyIndexStatus", "MetadataId", "DisplayName")
_TYPED = {
    "String": ("MaxLength", "Format"),
    "Memo": ("MaxLength", "Format"),
    "Integer": ("MinValue", "MaxValue", "Format"),
    "Decimal": ("MinValue", "MaxValue", "Precision"),
    "Money": ("MinValue", "MaxValue", "Precision", "PrecisionSource"),
    "DateTime": ("DateTimeBehavior", "Format"),
    "Picklist": (),
    "Boolean": (),
    "Lookup": ("Targets",),
    "Owner": ("Targets",),
    "Uniqueidentifier": (),
}


class UnknownNameError(Exception):
    """Something was asked for that metadata does not have."""


def definition(table: Table) -> dict[str, Any]:
    return {
        "LogicalName": table.name,
        "SchemaName": table.name,
        "EntitySetName": table.set_name,
        "LogicalCollectionName": table.set_name,
        "PrimaryIdAttribute": table.primary_id,
        "PrimaryNameAttribute": table.primary_name,
        "IsOptimisticConcurrencyEnabled": table.optimistic,
        "HasNotes": table.has_notes,
        "TableType": "Standard",
        "OwnershipType": "UserOwned",
        "MetadataId": f"00000000-0000-0000-0000-{abs(hash(table.name)) % 10**12:012d}",
    }


_NAMES = ("LogicalName", "SchemaName", "AttributeType", "EntitySetName", "PrimaryIdAttribute")


def attribute(table: Table, column: Column, *, typed: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "@odata.type": f"#Microsoft.Dynamics.CRM.{column.kind}AttributeMetadata",
        "LogicalName": column.name,
        "SchemaName": column.schema_name or column.name,
        "AttributeType": column.kind,
        "AttributeTypeName": {"Value": f"{column.kind}Type"},
        "RequiredLevel": {"Value": column.required, "CanBeChanged": True, "ManagedPropertyLogicalName": "canmodify"},
        "IsValidForCreate": column.create,
        "IsValidForUpdate": column.update,
        "IsValidForRead": True,
        "EntityLogicalName": table.name,
        "AttributeOf": None,
        "IsPrimaryId": column.name == table.primary_id,
        "IsPrimaryName": column.name == table.primary_name,
    }
    if typed:
        entry |= column.facts
        if column.kind in {"Lookup", "Owner"}:
            entry["Targets"] = [lookup.target for lookup in table.lookups if lookup.column == column.name]
        if column.options:
            entry["OptionSet"] = {
                "Options": [
                    {"Value": value, "Label": {"UserLocalizedLabel": {"Label": f"Option {value}"}}}
                    for value in column.options
                ],
            }
            entry["GlobalOptionSet"] = None
        if column.kind == "Boolean":
            entry["OptionSet"] = {"TrueOption": {"Value": 1}, "FalseOption": {"Value": 0}}
    return entry


def relations(tables: Mapping[str, Table], table: Table, *, many_to_one: bool) -> list[dict[str, Any]]:
    found = []
    for other in tables.values():
        for lookup in other.lookups:
            if (other if many_to_one else tables[lookup.target]) is not table:
                continue
            found.append(
                {
                    "SchemaName": lookup.collection or f"{lookup.target}_{other.name}_{lookup.column}",
                    "ReferencedAttribute": tables[lookup.target].primary_id,
                    "ReferencedEntity": lookup.target,
                    "ReferencingAttribute": lookup.column,
                    "ReferencingEntity": other.name,
                    "ReferencedEntityNavigationPropertyName": lookup.collection
                    or f"{lookup.target}_{other.name}_{lookup.column}",
                    "ReferencingEntityNavigationPropertyName": lookup.navigation,
                }
            )
    return found


def keys(table: Table) -> list[dict[str, Any]]:
    return [
        {
            "SchemaName": key.name,
            "LogicalName": key.name,
            "KeyAttributes": list(key.columns),
            "EntityKeyIndexStatus": key.status,
        }
        for key in table.keys
    ]


class Metadata:
    """Answers for EntityDefinitions of one style."""

    def __init__(self, tables: Mapping[str, Table], style: str) -> None:
        self.tables = tables
        self.style = style

    @property
    def strict(self) -> bool:
        return self.style in {"full", "keyless"}

    def listing(self, query: Mapping[str, str]) -> Any:
        """Answer ``EntityDefinitions?$filter=LogicalName eq 'x'``."""
        wanted = re.findall(r"LogicalName\s+eq\s+'([^']*)'", query.get("$filter", ""))
        tables = [table for table in self.tables.values() if not wanted or table.name in wanted]
        return {"value": [self.table(table, query) for table in tables]}

    def table(self, table: Table, query: Mapping[str, str]) -> dict[str, Any]:
        entry = self._select(definition(table), query.get("$select"), _TABLE_FACTS)
        if self.style == "sparse":
            entry = {name: value for name, value in entry.items() if name in _NAMES}
        if self.style == "paths":
            return entry
        for name, options in _expansions(query.get("$expand", "")):
            entry[name] = self.part(table, name, options)
        return entry

    def part(self, table: Table, name: str, query: Mapping[str, str], cast: str = "") -> list[dict[str, Any]]:
        """Answer a collection below a table; ``cast`` narrows Attributes to a type and adds its facts."""
        match name:
            case "Attributes":
                return self._attributes(table, query, cast)
            case "Keys" if self.style != "keyless":
                return [self._select(key, query.get("$select"), _KEY_FACTS) for key in keys(table)]
            case "ManyToOneRelationships" | "OneToManyRelationships":
                found = relations(self.tables, table, many_to_one=name.startswith("Many"))
                return [self._select(one, query.get("$select"), _RELATION_FACTS) for one in found]
            case "ManyToManyRelationships":
                return []
        raise UnknownNameError(name)

    def _attributes(self, table: Table, query: Mapping[str, str], cast: str) -> list[dict[str, Any]]:
        kind = cast.removeprefix("Microsoft.Dynamics.CRM.").removesuffix("AttributeMetadata")
        if cast and (kind not in _TYPED or self.style in {"plain", "typed", "sparse"}):
            raise UnknownNameError(cast)
        typed = bool(cast) or self.style == "typed"
        columns = [column for column in table.columns if not cast or column.kind == kind]
        if wanted := re.findall(r"LogicalName\s+eq\s+'([^']*)'", query.get("$filter", "")):
            columns = [column for column in columns if column.name in wanted]
        expanded = {name for name, _ in _expansions(query.get("$expand", ""))}
        entries = []
        for column in columns:
            entry = attribute(table, column, typed=typed)
            if self.style == "sparse":
                entry = {name: value for name, value in entry.items() if name in _NAMES}
            sets = {name: entry.pop(name) for name in ("OptionSet", "GlobalOptionSet") if name in entry}
            entry = self._select(entry, query.get("$select"), (*_ATTRIBUTE_FACTS, *(_TYPED[kind] if cast else ())))
            entries.append(entry | {name: value for name, value in sets.items() if not self.strict or name in expanded})
        return entries

    def _select(self, entry: dict[str, Any], select: str | None, known: tuple[str, ...]) -> dict[str, Any]:
        if not self.strict or not select:
            return entry
        wanted = [name.strip() for name in select.split(",")]
        for name in wanted:
            if name not in known:
                raise UnknownNameError(name)
        return {name: value for name, value in entry.items() if name in wanted or name.startswith("@")}


def _expansions(text: str) -> list[tuple[str, dict[str, str]]]:
    """Split ``A($select=x,y;$filter=…),B`` into names with their options."""
    found, depth, part = [], 0, ""
    for char in f"{text},":
        depth += (char == "(") - (char == ")")
        if char == "," and depth == 0:
            if part.strip():
                name, _, options = part.strip().partition("(")
                pairs = [option.partition("=") for option in options.removesuffix(")").split(";") if option]
                found.append((name, {key.strip(): value for key, _, value in pairs}))
            part = ""
        else:
            part += char
    return found


_EDM = {
    "String": "Edm.String", "Memo": "Edm.String", "Integer": "Edm.Int32", "Decimal": "Edm.Decimal",
    "Money": "Edm.Decimal", "Picklist": "Edm.Int32", "Boolean": "Edm.Boolean", "Uniqueidentifier": "Edm.Guid",
}  # fmt: skip


def csdl(tables: Mapping[str, Table]) -> str:
    """Write ``$metadata``."""
    types, sets = [], []
    for table in tables.values():
        lines = [f"<Key><PropertyRef Name={quoteattr(table.primary_id)}/></Key>"]
        for column in table.columns:
            if column.kind in {"Lookup", "Owner"}:
                lines.append(f'<Property Name="_{column.name}_value" Type="Edm.Guid"/>')
                continue
            behavior = column.facts.get("DateTimeBehavior", {}).get("Value")
            kind = _EDM.get(column.kind) or ("Edm.Date" if behavior == "DateOnly" else "Edm.DateTimeOffset")
            scale = ' Scale="Variable"' if kind == "Edm.Decimal" else ""
            length = f' MaxLength="{column.facts["MaxLength"]}"' if "MaxLength" in column.facts else ""
            lines.append(f'<Property Name={quoteattr(column.name)} Type="{kind}"{scale}{length}/>')
        lines += [
            f'<NavigationProperty Name="{one["ReferencingEntityNavigationPropertyName"]}" '
            f'Type="mscrm.{one["ReferencedEntity"]}" Partner="{one["ReferencedEntityNavigationPropertyName"]}">'
            f'<ReferentialConstraint Property="_{one["ReferencingAttribute"]}_value" '
            f'ReferencedProperty="{one["ReferencedAttribute"]}"/></NavigationProperty>'
            for one in relations(tables, table, many_to_one=True)
        ]
        lines += [
            f'<NavigationProperty Name="{one["ReferencedEntityNavigationPropertyName"]}" '
            f'Type="Collection(mscrm.{one["ReferencingEntity"]})" '
            f'Partner="{one["ReferencingEntityNavigationPropertyName"]}"/>'
            for one in relations(tables, table, many_to_one=False)
        ]
        types.append(f'<EntityType Name="{table.name}" BaseType="mscrm.crmbaseentity">{"".join(lines)}</EntityType>')
        bindings = "".join(
            f'<NavigationPropertyBinding Path="{lookup.navigation}" Target="{tables[lookup.target].set_name}"/>'
            for lookup in table.lookups
        )
        kind = f"Microsoft.Dynamics.CRM.{table.name}"
        sets.append(f'<EntitySet Name="{table.set_name}" EntityType="{kind}">{bindings}</EntitySet>')
    return (
        '<?xml version="1.0" encoding="utf-8"?><edmx:Edmx Version="4.0" '
        'xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>'
        '<Schema Namespace="Microsoft.Dynamics.CRM" Alias="mscrm" xmlns="http://docs.oasis-open.org/odata/ns/edm">'
        '<EntityType Name="crmbaseentity" Abstract="true"/>'
        f'{"".join(types)}<EntityContainer Name="System">{"".join(sets)}</EntityContainer>'
        "</Schema></edmx:DataServices></edmx:Edmx>"
    )
