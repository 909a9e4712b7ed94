"""Reading rows: projection, expansion, filtering, order and paging."""

from collections.abc import Callable
from typing import Any
from urllib.parse import quote

from connectors.dataverse.sandbox.columns import Column, DateTimeColumn, LookupColumn, PicklistColumn, Reference
from connectors.dataverse.sandbox.errors import unknown_property
from connectors.dataverse.sandbox.filters import Property, compile_filter
from connectors.dataverse.sandbox.options import Expansion, QueryOptions
from connectors.dataverse.sandbox.store import Row, Store
from connectors.dataverse.sandbox.tables import Collection, TableSchema

_KINDS = {
    "Edm.String": "text",
    "Edm.Guid": "guid",
    "Edm.Int32": "number",
    "Edm.Int64": "number",
    "Edm.Decimal": "number",
    "Edm.Double": "number",
    "Edm.Boolean": "boolean",
}
_FORMATTED = "OData.Community.Display.V1.FormattedValue"


class RowProperties:
    """The properties of a table, and of the tables that its lookups lead to, for filters and orders."""

    def __init__(self, store: Store, table: TableSchema) -> None:
        self._store = store
        self._table = table

    def property(self, path: str) -> Property:
        """Return a property by its path. Raises ``ApiError`` 400 for an unknown one."""
        return self._property(self._table, path)

    def _property(self, table: TableSchema, path: str) -> Property:
        name, slash, rest = path.partition("/")
        if not slash:
            column = table.by_json_name.get(name)
            if column is None:
                raise unknown_property(table.name, name)
            return Property(_kind_of(column), column.edm_type, _reader(column))
        if name not in table.navigations:
            raise unknown_property(table.name, name)
        lookup, ways = table.navigations[name]
        target = self._store.catalog.by_name[ways[0].target]
        inner = self._property(target, rest)

        def read(row: Row) -> Any:
            reference = row.values.get(lookup.name)
            if reference is None or reference.table != target.name:
                return None
            other = self._store.get(target.name, reference.id)
            return None if other is None else inner.read(other)

        return Property(inner.kind, inner.edm_type, read)


class Reader:
    """Turns rows into JSON objects. ``base`` is asked for the service root, without a slash at its end."""

    def __init__(self, store: Store, base: Callable[[], str]) -> None:
        self._store = store
        self._base = base

    def context(self, table: TableSchema, options: QueryOptions, *, single: bool) -> str:
        """Return the ``@odata.context`` of an answer."""
        selected = f"({','.join(options.select)})" if options.select is not None else ""
        return f"{self._base()}/$metadata#{table.set_name}{selected}{'/$entity' if single else ''}"

    def one(self, row: Row, options: QueryOptions, *, annotated: bool = False) -> dict[str, Any]:
        """Return one row as the body of an answer."""
        return {
            "@odata.context": self.context(row.table, options, single=True),
            **self._object(row, options, annotated=annotated),
        }

    def many(
        self,
        table: TableSchema,
        rows: list[Row],
        options: QueryOptions,
        *,
        page_size: int,
        next_page: str,
        annotated: bool = False,
    ) -> dict[str, Any]:
        """Return the rows that the options want, as the body of an answer; ``next_page`` is this page's URL."""
        wanted = self._wanted(table, rows, options)
        end = options.skip + page_size
        page = wanted[options.skip : end]
        answer: dict[str, Any] = {"@odata.context": self.context(table, options, single=False)}
        if options.count:
            answer["@odata.count"] = len(wanted)
        answer["value"] = [self._object(row, options, annotated=annotated) for row in page]
        if end < len(wanted):
            answer["@odata.nextLink"] = f"{next_page}{'&' if '?' in next_page else '?'}{quote('$skiptoken')}={end}"
        return answer

    def column_value(self, row: Row, column: Column) -> Any:
        """Return what a column shows of a row."""
        value = row.values.get(column.name)
        return value.id if isinstance(value, Reference) else value

    def _wanted(self, table: TableSchema, rows: list[Row], options: QueryOptions) -> list[Row]:
        properties = RowProperties(self._store, table)
        if options.filter is not None:
            predicate = compile_filter(options.filter, properties)
            rows = [row for row in rows if predicate(row)]
        for name, descending in reversed(options.order):
            found = properties.property(name)
            rows = sorted(rows, key=lambda row: _order_key(found.read(row)), reverse=descending)
        return rows if options.top is None else rows[: options.top]

    def _columns(self, table: TableSchema, options: QueryOptions) -> list[Column]:
        if options.select is None:
            return list(table.columns)
        columns: list[Column] = []
        for name in (table.primary_id, *options.select):
            column = table.by_json_name.get(name)
            if column is None:
                raise unknown_property(table.name, name)
            if column not in columns:
                columns.append(column)
        return columns

    def _object(self, row: Row, options: QueryOptions, *, annotated: bool) -> dict[str, Any]:
        shown: dict[str, Any] = {"@odata.etag": row.etag}
        for column in self._columns(row.table, options):
            value = row.values.get(column.name)
            if annotated and value is not None:
                self._annotate(shown, column, value)
            shown[column.json_name] = value.id if isinstance(value, Reference) else value
        for expansion in options.expand:
            shown[expansion.name] = self._expanded(row, expansion, annotated=annotated)
        return shown

    def _expanded(self, row: Row, expansion: Expansion, *, annotated: bool) -> Any:
        collection = self._store.catalog.collections_of(row.table.name).get(expansion.name)
        if collection is not None:
            rows = self._wanted(collection.child, self.collection_rows(row, collection), expansion.options)
            return [self._object(child, expansion.options, annotated=annotated) for child in rows]
        if expansion.name not in row.table.navigations:
            raise unknown_property(row.table.name, expansion.name)
        target = self.referred(row, expansion.name)
        return None if target is None else self._object(target, expansion.options, annotated=annotated)

    def collection_rows(self, row: Row, collection: Collection) -> list[Row]:
        """Return the rows that refer to this one through a collection navigation property."""
        return self._store.referring(collection.child, collection.column.name, row.id)

    def referred(self, row: Row, navigation_name: str) -> Row | None:
        """Return the row that a single-valued navigation property leads to."""
        column, ways = row.table.navigations[navigation_name]
        reference = row.values.get(column.name)
        if reference is None or not any(way.target == reference.table for way in ways):
            return None
        return self._store.get(reference.table, reference.id)

    def _annotate(self, shown: dict[str, Any], column: Column, value: Any) -> None:
        name = column.json_name
        if isinstance(column, LookupColumn):
            target = self._store.get(value.table, value.id)
            if target is not None:
                shown[f"{name}@{_FORMATTED}"] = target.values.get(target.table.primary_name)
            way = next(way for way in column.navigations if way.target == value.table)
            shown[f"{name}@Microsoft.Dynamics.CRM.associatednavigationproperty"] = way.name
            shown[f"{name}@Microsoft.Dynamics.CRM.lookuplogicalname"] = value.table
        elif isinstance(column, PicklistColumn):
            shown[f"{name}@{_FORMATTED}"] = column.options.get(value)


def check_expansions(store: Store, table: TableSchema, options: QueryOptions) -> None:
    """Raise ``ApiError`` 400 for an expansion or a selection that no row could answer, though there may be no row."""
    for name in options.select or ():
        if name not in table.by_json_name:
            raise unknown_property(table.name, name)
    for expansion in options.expand:
        collection = store.catalog.collections_of(table.name).get(expansion.name)
        if collection is not None:
            check_expansions(store, collection.child, expansion.options)
        elif expansion.name in table.navigations:
            target = table.navigations[expansion.name][1][0].target
            check_expansions(store, store.catalog.by_name[target], expansion.options)
        else:
            raise unknown_property(table.name, expansion.name)


def _kind_of(column: Column) -> str:
    if isinstance(column, DateTimeColumn):
        return "date" if column.is_date else "moment"
    return _KINDS.get(column.edm_type, "text")


def _reader(column: Column) -> Callable[[Row], Any]:
    name = column.name
    if isinstance(column, LookupColumn):

        def read(row: Row) -> Any:
            reference = row.values.get(name)
            return None if reference is None else reference.id

        return read
    return lambda row: row.values.get(name)


def _order_key(value: Any) -> tuple[bool, Any]:
    return (value is not None, value.casefold() if type(value) is str else value if value is not None else 0)
