"""Schema as data: ``EntityDefinitions`` with attributes, keys and relationships, and global choices."""

from collections.abc import Callable, Mapping
from typing import Any
from uuid import UUID, uuid5

from connectors.dataverse.sandbox.address import Segment, literal_at
from connectors.dataverse.sandbox.columns import (
    BooleanColumn,
    Column,
    DateTimeColumn,
    DecimalColumn,
    FileColumn,
    IntegerColumn,
    LookupColumn,
    MemoColumn,
    MoneyColumn,
    PicklistColumn,
    StatusColumn,
    StringColumn,
)
from connectors.dataverse.sandbox.errors import ApiError, refuse_query, unknown_property, unknown_segment
from connectors.dataverse.sandbox.filters import Property, compile_filter
from connectors.dataverse.sandbox.messages import ApiRequest, ApiResponse, json_response
from connectors.dataverse.sandbox.options import QueryOptions, parse_query
from connectors.dataverse.sandbox.store import Store
from connectors.dataverse.sandbox.tables import Collection, TableSchema

_LANGUAGE = 1033
_CAST = "Microsoft.Dynamics.CRM."
_CAST_SUFFIX = "AttributeMetadata"
_COLLECTIONS = ("Attributes", "Keys", "ManyToOneRelationships", "OneToManyRelationships")
_OPTION_SETS = ("OptionSet", "GlobalOptionSet")
_MONEY_BOUND = 922_337_203_685_477


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
            if name != "Attributes" or not (cast.startswith(_CAST) and cast.endswith(_CAST_SUFFIX)):
                raise unknown_segment(cast)
            type_name = cast.removeprefix(_CAST)
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
            "DisplayName": _label(table.label),
            "DisplayCollectionName": _label(table.label + "s"),
            "Description": _label(""),
            "Attributes": [_attribute(table, column) for column in table.columns],
            "Keys": [self._key(table, name) for name in self._store.keys[table.name]],
            "ManyToOneRelationships": [
                _relationship(Collection(way, way.target, table, column), self._store)
                for column in table.columns
                if isinstance(column, LookupColumn)
                for way in column.navigations
            ],
            "OneToManyRelationships": [
                _relationship(collection, self._store) for collection in collections.referrers_of(table.name)
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
            "DisplayName": _label(name),
        }

    def _global_choices(self, segments: list[Segment], options: QueryOptions) -> ApiResponse:
        choices = {
            column.global_name: _option_set(column)
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
    if type_name == _CAST_SUFFIX and options.select is not None:
        visible = {name: value for name, value in visible.items() if name in _BASE_PROPERTIES}
    if options.select is not None:
        for name in options.select:
            if name not in visible:
                raise unknown_property(type_name, name)
        kept = {"MetadataId", *options.select, *(name for name in visible if name.startswith("@"))}
        visible = {name: value for name, value in visible.items() if name in kept}
    for name, nested in expanded.items():
        value = entry.get(name)
        if isinstance(value, list):
            nested_type = _CAST_SUFFIX if name == "Attributes" else name
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


_BASE_PROPERTIES = frozenset(
    {
        "@odata.type",
        "MetadataId",
        "LogicalName",
        "SchemaName",
        "AttributeType",
        "AttributeTypeName",
        "EntityLogicalName",
        "RequiredLevel",
        "IsValidForCreate",
        "IsValidForUpdate",
        "IsValidForRead",
        "IsPrimaryId",
        "IsPrimaryName",
        "IsCustomAttribute",
        "AttributeOf",
        "DisplayName",
        "Description",
    }
)


def _attribute(table: TableSchema, column: Column) -> dict[str, Any]:
    kind = column.attribute_type
    metadata_type = {"Uniqueidentifier": "UniqueIdentifier", "Owner": "Lookup"}.get(kind, kind)
    return {
        "@odata.type": f"#{_CAST}{metadata_type}{_CAST_SUFFIX}",
        "MetadataId": str(uuid5(table.metadata_id, column.name)),
        "LogicalName": column.name,
        "SchemaName": column.schema_name,
        "EntityLogicalName": table.name,
        "AttributeType": "Virtual" if kind == "File" else kind,
        "AttributeTypeName": {"Value": f"{kind}Type"},
        "RequiredLevel": {
            "Value": column.required,
            "CanBeChanged": column.required != "SystemRequired",
            "ManagedPropertyLogicalName": "canmodifyrequirementlevelsettings",
        },
        "IsValidForCreate": column.creatable,
        "IsValidForUpdate": column.updatable,
        "IsValidForRead": True,
        "IsPrimaryId": column.name == table.primary_id,
        "IsPrimaryName": column.name == table.primary_name,
        "IsCustomAttribute": "_" in column.name,
        "AttributeOf": None,
        "DisplayName": _label(column.label),
        "Description": _label(""),
        **_limits(column),
    }


def _limits(column: Column) -> dict[str, Any]:
    match column:
        case MemoColumn():
            return {"MaxLength": column.max_length, "Format": "TextArea"}
        case StringColumn():
            return {
                "MaxLength": column.max_length,
                "DatabaseLength": column.max_length * 2,
                "Format": "Text",
                "FormatName": {"Value": "Text"},
            }
        case MoneyColumn():
            return {
                "Precision": column.precision,
                "PrecisionSource": column.precision_source,
                "MinValue": column.minimum,
                "MaxValue": column.maximum,
                "IsBaseCurrency": column.name.endswith("_base"),
                "CalculationOf": column.name.removesuffix("_base") if column.name.endswith("_base") else None,
            }
        case DecimalColumn():
            return {"Precision": column.precision, "MinValue": column.minimum, "MaxValue": column.maximum}
        case IntegerColumn():
            return {"MinValue": column.minimum, "MaxValue": column.maximum, "Format": "None"}
        case DateTimeColumn():
            return {
                "Format": "DateOnly" if column.is_date else "DateAndTime",
                "DateTimeBehavior": {"Value": column.behavior},
            }
        case LookupColumn():
            return {"Targets": list(column.targets)}
        case FileColumn():
            return {"MaxSizeInKB": column.max_size_kb}
        case BooleanColumn():
            return {
                "DefaultValue": False,
                "OptionSet": {
                    "MetadataId": str(uuid5(UUID(int=0), f"choice {column.name}")),
                    "TrueOption": {"Value": 1, "Label": _label(column.true_label)},
                    "FalseOption": {"Value": 0, "Label": _label(column.false_label)},
                },
            }
        case PicklistColumn():
            shared = column.global_name is not None
            choice = _option_set(column)
            return {"OptionSet": None if shared else choice, "GlobalOptionSet": choice if shared else None}
        case _:
            return {}


def _option_set(column: PicklistColumn) -> dict[str, Any]:
    options = [{"Value": value, "Label": _label(text), "Color": None} for value, text in column.options.items()]
    if isinstance(column, StatusColumn):
        for option in options:
            option["State"] = column.states[int(str(option["Value"]))]
    return {
        "MetadataId": str(uuid5(UUID(int=0), f"choice {column.global_name or column.name}")),
        "Name": column.global_name or column.name,
        "IsGlobal": column.global_name is not None,
        "OptionSetType": column.attribute_type,
        "Options": options,
    }


def _relationship(collection: Collection, store: Store) -> dict[str, Any]:
    way, child = collection.navigation, collection.child
    parent = store.catalog.by_name[collection.parent]
    name = way.relationship or way.collection
    return {
        "MetadataId": str(uuid5(child.metadata_id, f"{name} {way.name}")),
        "SchemaName": name,
        "RelationshipType": "OneToManyRelationship",
        "ReferencingEntity": child.name,
        "ReferencingAttribute": collection.column.name,
        "ReferencedEntity": parent.name,
        "ReferencedAttribute": parent.primary_id,
        "ReferencingEntityNavigationPropertyName": way.name,
        "ReferencedEntityNavigationPropertyName": way.collection,
        "CascadeConfiguration": {"Delete": way.on_delete, "Assign": "NoCascade", "Share": "NoCascade"},
    }


def _label(text: str) -> dict[str, Any]:
    label = {"Label": text, "LanguageCode": _LANGUAGE, "IsManaged": False}
    return {"LocalizedLabels": [label], "UserLocalizedLabel": label}
