"""``$metadata``: the schema as CSDL."""

from xml.sax.saxutils import quoteattr

from connectors.dataverse.sandbox.columns import Column, DateTimeColumn, FileColumn, LookupColumn, StringColumn
from connectors.dataverse.sandbox.tables import Catalog, TableSchema

_NAMESPACE = "Microsoft.Dynamics.CRM"
_HEAD = (
    '<?xml version="1.0" encoding="utf-8"?>\n'
    '<edmx:Edmx Version="4.0" xmlns:edmx="http://docs.oasis-open.org/odata/ns/edmx"><edmx:DataServices>'
    f'<Schema Namespace="{_NAMESPACE}" Alias="mscrm" xmlns="http://docs.oasis-open.org/odata/ns/edm">'
    '<EntityType Name="crmbaseentity" Abstract="true" />'
)


def csdl(catalog: Catalog) -> bytes:
    """Return the whole schema as XML."""
    tables = list(catalog.by_name.values())
    parts = [_HEAD]
    parts += [_entity_type(catalog, table) for table in tables]
    parts.append('<EntityContainer Name="System">')
    parts += [_entity_set(catalog, table) for table in tables]
    parts.append("</EntityContainer></Schema></edmx:DataServices></edmx:Edmx>")
    return "".join(parts).encode()


def _entity_type(catalog: Catalog, table: TableSchema) -> str:
    parts = [
        f'<EntityType Name={quoteattr(table.name)} BaseType="mscrm.crmbaseentity">',
        f"<Key><PropertyRef Name={quoteattr(table.primary_id)} /></Key>",
    ]
    parts += [_property(column) for column in table.columns]
    for name, (column, ways) in table.navigations.items():
        target = f"mscrm.{ways[0].target}" if len(ways) == 1 else "mscrm.principal"
        referenced = catalog.by_name[ways[0].target].primary_id
        parts.append(
            f'<NavigationProperty Name={quoteattr(name)} Type="{target}" Nullable="false" '
            f"Partner={quoteattr(ways[0].collection)}>"
            f'<ReferentialConstraint Property="{column.json_name}" ReferencedProperty="{referenced}" />'
            "</NavigationProperty>"
        )
    parts += [
        f'<NavigationProperty Name={quoteattr(name)} Type="Collection(mscrm.{collection.child.name})" '
        f"Partner={quoteattr(collection.navigation.name)} />"
        for name, collection in catalog.collections_of(table.name).items()
    ]
    parts.append("</EntityType>")
    return "".join(parts)


def _property(column: Column) -> str:
    edm_type = column.edm_type
    extra = ""
    match column:
        case FileColumn():
            edm_type = "Edm.Binary"
        case DateTimeColumn() if column.is_date:
            edm_type = "Edm.Date"
        case StringColumn():
            extra = ' Unicode="false"' if not column.unicode else ""
        case LookupColumn():
            return f'<Property Name="{column.json_name}" Type="Edm.Guid" />'
        case _:
            pass
    return f'<Property Name="{column.name}" Type="{edm_type}"{extra} />'


def _entity_set(catalog: Catalog, table: TableSchema) -> str:
    bindings = [
        f'<NavigationPropertyBinding Path="{name}" Target="{catalog.by_name[ways[0].target].set_name}" />'
        for name, (_, ways) in table.navigations.items()
        if len(ways) == 1
    ]
    bindings += [
        f'<NavigationPropertyBinding Path="{name}" Target="{collection.child.set_name}" />'
        for name, collection in catalog.collections_of(table.name).items()
    ]
    return f'<EntitySet Name="{table.set_name}" EntityType="{_NAMESPACE}.{table.name}">{"".join(bindings)}</EntitySet>'
