"""How columns, choices and relationships look in metadata."""

from typing import Any
from uuid import UUID, uuid5

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
from connectors.dataverse.sandbox.store import Store
from connectors.dataverse.sandbox.tables import Collection, TableSchema

CAST = "Microsoft.Dynamics.CRM."
CAST_SUFFIX = "AttributeMetadata"
_LANGUAGE = 1033

BASE_PROPERTIES = frozenset(
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


def attribute_entry(table: TableSchema, column: Column) -> dict[str, Any]:
    """Return a column with every property of its own metadata type."""
    kind = column.attribute_type
    metadata_type = {"Uniqueidentifier": "UniqueIdentifier", "Owner": "Lookup"}.get(kind, kind)
    return {
        "@odata.type": f"#{CAST}{metadata_type}{CAST_SUFFIX}",
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
        "DisplayName": label_entry(column.label),
        "Description": label_entry(""),
        **_limits(column),
    }


def _limits(column: Column) -> dict[str, Any]:
    """Return what the metadata type of the column adds to the base type."""
    match column:
        case MemoColumn():
            limits: dict[str, Any] = {"MaxLength": column.max_length, "Format": "TextArea"}
        case StringColumn():
            name = {"Value": "Text"}
            length = column.max_length
            limits = {"MaxLength": length, "DatabaseLength": length * 2, "Format": "Text", "FormatName": name}
        case MoneyColumn():
            limits = _money_limits(column)
        case DecimalColumn():
            limits = {"Precision": column.precision, "MinValue": column.minimum, "MaxValue": column.maximum}
        case IntegerColumn():
            limits = {"MinValue": column.minimum, "MaxValue": column.maximum, "Format": "None"}
        case DateTimeColumn():
            written = "DateOnly" if column.is_date else "DateAndTime"
            limits = {"Format": written, "DateTimeBehavior": {"Value": column.behavior}}
        case LookupColumn():
            limits = {"Targets": list(column.targets)}
        case FileColumn():
            limits = {"MaxSizeInKB": column.max_size_kb}
        case BooleanColumn():
            limits = {"DefaultValue": False, "OptionSet": _two_options(column)}
        case PicklistColumn():
            shared = column.global_name is not None
            choice = option_set_entry(column)
            limits = {"OptionSet": None if shared else choice, "GlobalOptionSet": choice if shared else None}
        case _:
            limits = {}
    return limits


def _money_limits(column: MoneyColumn) -> dict[str, Any]:
    is_base = column.name.endswith("_base")
    return {
        "Precision": column.precision,
        "PrecisionSource": column.precision_source,
        "MinValue": column.minimum,
        "MaxValue": column.maximum,
        "IsBaseCurrency": is_base,
        "CalculationOf": column.name.removesuffix("_base") if is_base else None,
    }


def _two_options(column: BooleanColumn) -> dict[str, Any]:
    return {
        "MetadataId": str(uuid5(UUID(int=0), f"choice {column.name}")),
        "TrueOption": {"Value": 1, "Label": label_entry(column.true_label)},
        "FalseOption": {"Value": 0, "Label": label_entry(column.false_label)},
    }


def option_set_entry(column: PicklistColumn) -> dict[str, Any]:
    """Return the options of a choice."""
    options = [{"Value": value, "Label": label_entry(text), "Color": None} for value, text in column.options.items()]
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


def relationship_entry(collection: Collection, store: Store) -> dict[str, Any]:
    """Return a relationship as both of its tables show it."""
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


def label_entry(text: str) -> dict[str, Any]:
    """Return a text in the one language that there is."""
    label = {"Label": text, "LanguageCode": _LANGUAGE, "IsManaged": False}
    return {"LocalizedLabels": [label], "UserLocalizedLabel": label}
