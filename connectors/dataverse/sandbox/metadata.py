"""Schema as data: ``EntityDefinitions`` with attributes, keys and relationships, and global choices."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import uuid5

from connectors.dataverse.sandbox.address import Segment, literal_at
from connectors.dataverse.sandbox.columns import LookupColumn, PicklistColumn
from connectors.dataverse.sandbox.errors import ApiError, refuse_query, unknown_property, unknown_segment
from connectors.dataverse.sandbox.filters import Property, compile_filter
from connectors.dataverse.sandbox.messages import ApiRequest, ApiResponse, json_response
from connectors.dataverse.sandbox.metadata_entries import (
    BASE_PROPERTIES,
    CAST,
    CAST_SUFFIX,
    attribute_entry,
    label_entry,
    option_set_entry,
    relationship_entry,
)
from connectors.dataverse.sandbox.options import QueryOptions, parse_query
from connectors.dataverse.sandbox.store import Store
from connectors.dataverse.sandbox.tables import Collection, TableSchema

_COLLECTIONS = ("Attributes", "Keys", "ManyToOneRelationships", "OneToManyRelationships")
_OPTION_SETS = ("OptionSet", "GlobalOptionSet")


class Metadata:
    """Answers the metadata requests. ``base`` is asked for the service root."""

    def __init__(self, store: Store, base: Callable[[], str]) -> None:
        self._store = store
        self._base = base
        self._object_type_codes = {name: 10_000 + number for number, name in enumerate(store.catalog.by_name)}

    def answer(self, segments: list[Segment], request: ApiRequest) -> ApiResponse:
        """Answer a GET below ``EntityDefinitions`` or ``GlobalOptionSetDefinitions``."""
        if request.method != "GET":
            raise ApiError(501, "0x80040216", "The sandbox does not change its schema over HTTP.")
        options = parse_query(request.query)
        if segments[0].name == "GlobalOptionSetDefinitions":
            return self._global_choices(segments, options)
        if segments[0].key is None:
            if len(segments) != 1:
                raise unknown_segment(segments[1].name)
            tables = [self._table(table) for table in self._store.catalog.by_name.values()]
            return self._listed("EntityDefinitions", "EntityMetadata", tables, options)
        table = self._table_of(segments[0].key)
        if len(segments) == 1:
            shown = _project(self._table(table), "EntityMetadata", options, inner=_COLLECTIONS)
            return json_response({"@odata.context": f"{self._base()}/$metadata#EntityDefinitions/$entity", **shown})
        return self._part(table, segments[1:], options)

    def _part(self, table: TableSchema, segments: list[Segment], options: QueryOptions) -> ApiResponse:
        name = segments[0].name
        if name not in _COLLECTIONS:
            raise unknown_segment(name)
        type_name = "AttributeMetadata" if name == "Attributes" else "EntityKeyMetadata" if name == "Keys" else name
        entries: list[dict[str, Any]] = self._table(table)[name]
        cast = segments[1].name if len(segments) > 1 else None
        if segments[0].key is not None:
            entries = [_only(entries, segments[0])]
        if cast is not None:
            if name != "Attributes" or not (cast.startswith(CAST) and cast.endswith(CAST_SUFFIX)):
                raise unknown_segment(cast)
            type_name = cast.removeprefix(CAST)
            entries = [entry for entry in entries if entry["@odata.type"] == f"#{cast}"]
        if segments[0].key is None:
            return self._listed(f"EntityDefinitions('{table.name}')/{name}", type_name, entries, options)
        if not entries:
            raise unknown_segment(str(cast))
        return json_response(_project(entries[0], type_name, options, inner=_OPTION_SETS))

    def _listed(
        self, context: str, type_name: str, entries: list[dict[str, Any]], options: QueryOptions
    ) -> ApiResponse:
        inner = _COLLECTIONS if type_name == "EntityMetadata" else _OPTION_SETS
        if options.filter is not None:
            predicate = compile_filter(options.filter, _Entries(type_name, entries))
            entries = [entry for entry in entries if predicate(entry)]
        shown = [_project(entry, type_name, options, inner=inner) for entry in entries]
        return json_response({"@odata.context": f"{self._base()}/$metadata#{context}", "value": shown})

    def _table_of(self, key: str) -> TableSchema:
        name, _, text = key.partition("=")
        found = literal_at(text.strip(), 0)
        tables = self._store.catalog.by_name
        table = None
        if name.strip() == "LogicalName" and found is not None:
            table = tables.get(str(found[0].value))
        elif not text:
            table = next((table for table in tables.values() if str(table.metadata_id) == key.lower()), None)
        if table is None:
            raise ApiError(404, "0x80060888", f"Could not find an entity with specified key '{key}'.")
        return table

    def _table(self, table: TableSchema) -> dict[str, Any]:
        collections = self._store.catalog
        return {
            "MetadataId": str(table.metadata_id),
            "LogicalName": table.name,
            "SchemaName": table.schema_name,
            "EntitySetName": table.set_name,
            "LogicalCollectionName": table.set_name,
            "CollectionSchemaName": table.schema_name + "s",
            "PrimaryIdAttribute": table.primary_id,
            "PrimaryNameAttribute": table.primary_name,
            "ObjectTypeCode": self._object_type_codes[table.name],
            "OwnershipType": "UserOwned" if table.user_owned else "OrganizationOwned",
            "TableType": table.table_type,
            "HasNotes": table.has_notes,
            "HasActivities": False,
            "IsActivity": False,
            "IsCustomEntity": "_" in table.name,
            "IsOptimisticConcurrencyEnabled": table.optimistic_concurrency,
            "DisplayName": label_entry(table.label),
            "DisplayCollectionName": label_entry(table.label + "s"),
            "Description": label_entry(""),
            "Attributes": [attribute_entry(table, column) for column in table.columns],
            "Keys": [self._key(table, name) for name in self._store.keys[table.name]],
            "ManyToOneRelationships": [
                relationship_entry(Collection(way, way.target, table, column), self._store)
                for column in table.columns
                if isinstance(column, LookupColumn)
                for way in column.navigations
            ],
            "OneToManyRelationships": [
                relationship_entry(collection, self._store) for collection in collections.referrers_of(table.name)
            ],
        }

    def _key(self, table: TableSchema, name: str) -> dict[str, Any]:
        index = self._store.keys[table.name][name]
        return {
            "MetadataId": str(uuid5(table.metadata_id, f"key {name}")),
            "LogicalName": name.lower(),
            "SchemaName": index.schema.schema_name,
            "EntityLogicalName": table.name,
            "KeyAttributes": list(index.schema.columns),
            "EntityKeyIndexStatus": index.status,
            "IsSynchronous": False,
            "IsManaged": False,
            "DisplayName": label_entry(name),
        }

    def _global_choices(self, segments: list[Segment], options: QueryOptions) -> ApiResponse:
        choices = {
            column.global_name: option_set_entry(column)
            for table in self._store.catalog.by_name.values()
            for column in table.columns
            if isinstance(column, PicklistColumn) and column.global_name is not None
        }
        if segments[0].key is None:
            return json_response({"value": list(choices.values())})
        if options != QueryOptions():
            refuse_query("The query parameters $select and $expand are not supported for this resource.")
        found = literal_at(segments[0].key.partition("=")[2].strip(), 0)
        choice = None if found is None else choices.get(found[0].value)
        if choice is None:
            raise ApiError(404, "0x80060888", f"Could not find an optionset with name {segments[0].key}.")
        return json_response(choice)


class _Entries:
    """The properties of metadata entries, for filters."""

    def __init__(self, type_name: str, entries: list[dict[str, Any]]) -> None:
        self._type_name = type_name
        self._known = {name: value for entry in entries for name, value in entry.items() if value is not None}

    def property(self, path: str) -> Property:
        """Return a property by its path."""
        if path not in self._known and self._known:
            raise unknown_property(self._type_name, path)
        value = self._known.get(path)
        if isinstance(value, bool):
            return Property("boolean", "Edm.Boolean", lambda entry: entry.get(path))
        if isinstance(value, int):
            return Property("number", "Edm.Int32", lambda entry: entry.get(path))
        kind = "guid" if path == "MetadataId" else "text"
        return Property(kind, "Edm.Guid" if kind == "guid" else "Edm.String", lambda entry: entry.get(path))


def _project(
    entry: Mapping[str, Any], type_name: str, options: QueryOptions, *, inner: tuple[str, ...]
) -> dict[str, Any]:
    """Apply ``$select`` and ``$expand`` to one entry; what can be expanded is left out unless it is."""
    expanded = {expansion.name: expansion.options for expansion in options.expand}
    for name in expanded:
        if name not in inner:
            raise unknown_property(type_name, name)
    visible = {name: value for name, value in entry.items() if name not in inner}
    if type_name == CAST_SUFFIX and options.select is not None:
        visible = {name: value for name, value in visible.items() if name in BASE_PROPERTIES}
    if options.select is not None:
        for name in options.select:
            if name not in visible:
                raise unknown_property(type_name, name)
        kept = {"MetadataId", *options.select, *(name for name in visible if name.startswith("@"))}
        visible = {name: value for name, value in visible.items() if name in kept}
    for name, nested in expanded.items():
        value = entry.get(name)
        if isinstance(value, list):
            nested_type = CAST_SUFFIX if name == "Attributes" else name
            if nested.filter is not None:
                predicate = compile_filter(nested.filter, _Entries(nested_type, value))
                value = [item for item in value if predicate(item)]
            visible[name] = [_project(item, nested_type, nested, inner=_OPTION_SETS) for item in value]
        else:
            visible[name] = None if value is None else _project(value, name, nested, inner=())
    return visible


def _only(entries: list[dict[str, Any]], segment: Segment) -> dict[str, Any]:
    name, _, text = (segment.key or "").partition("=")
    found = literal_at(text.strip(), 0) if text else literal_at(name.strip(), 0)
    wanted = None if found is None else found[0].value
    for entry in entries:
        if wanted in {entry.get("LogicalName"), entry.get("SchemaName"), entry["MetadataId"]}:
            return entry
    raise ApiError(404, "0x80060888", f"Could not find a metadata entry with the key '{segment.key}'.")
