"""Creating and changing rows from JSON bodies: columns, lookups to bind, nested rows."""

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import uuid4

from connectors.dataverse.sandbox.address import RowKey, parse_row_key, service_relative, split_path
from connectors.dataverse.sandbox.columns import (
    LookupColumn,
    Navigation,
    Reference,
    StatusColumn,
    rounded,
)
from connectors.dataverse.sandbox.errors import (
    BAD_STATUS_REASON,
    BAD_VALUE,
    BUSINESS_RULE,
    ApiError,
    bad_payload,
    missing_key,
    missing_row,
    undeclared_annotated_property,
    undeclared_property,
    unknown_segment,
)
from connectors.dataverse.sandbox.settings import Settings
from connectors.dataverse.sandbox.shipped import APPLICATION_USER_ID
from connectors.dataverse.sandbox.store import Row, Store, Transaction
from connectors.dataverse.sandbox.tables import Collection, TableSchema

_BIND = "@odata.bind"
_BASE_PRECISION = 4


@dataclass(slots=True)
class _Body:
    """A JSON body, sorted out: what goes into the row, and what goes into rows of their own."""

    values: dict[str, Any] = field(default_factory=dict)
    parents: list[tuple[LookupColumn, TableSchema, Mapping[str, Any]]] = field(default_factory=list)
    children: list[tuple[Collection, list[Any]]] = field(default_factory=list)


@dataclass(slots=True)
class WriteContext:
    """One atomic piece of work: its transaction, and the rows that ``$<content id>`` stands for in a change set."""

    transaction: Transaction
    references: dict[str, Reference] = field(default_factory=dict)
    nested: int = 0


class Writer:
    """Turns bodies into rows. Every method raises ``ApiError`` and leaves undoing to the caller's transaction."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._catalog = store.catalog
        self._settings = settings
        self._second = 0
        self._stamp = ""

    def create(self, context: WriteContext, table: TableSchema, body: Any, defaults: Mapping[str, Any]) -> Row:
        """Create a row and the rows nested in it. ``defaults`` are key values from the URL; the body's win."""
        sorted_out = self._sort_out(context, table, body, creating=True)
        values = {**defaults, **sorted_out.values} if defaults else sorted_out.values
        for column, target, nested in sorted_out.parents:
            self._count_nested(context, 1)
            values[column.name] = Reference(target.name, self.create(context, target, nested, {}).id)
        columns = tuple(values)
        row_id = values.get(table.primary_id) or str(uuid4())
        values[table.primary_id] = row_id
        self._complete(table, values)
        row = self._store.insert(context.transaction, table, row_id, values, columns)
        for collection, rows in sorted_out.children:
            self._count_nested(context, len(rows))
            parent = {collection.column.name: Reference(table.name, row_id)}
            for nested in rows:
                self.create(context, collection.child, nested, parent)
        return row

    def update(self, context: WriteContext, row: Row, body: Any, ignored: Mapping[str, Any]) -> None:
        """Change a row. ``ignored`` are key columns, which the body of an addressed row cannot change."""
        sorted_out = self._sort_out(context, row.table, body, creating=False)
        if sorted_out.children or sorted_out.parents:
            raise bad_payload(row.table.set_name, "Deep update of navigation properties is not supported.")
        changes = {name: value for name, value in sorted_out.values.items() if name not in ignored}
        table = row.table
        if changes.get(table.primary_id, row.id) != row.id:
            raise ApiError(400, BAD_VALUE, f"The primary key '{table.primary_id}' cannot be changed.")
        changes.pop(table.primary_id, None)
        columns = tuple(changes)
        self._check_status(table, changes, row.values)
        changes["modifiedon"] = self.now()
        if table.money:
            self._price(table, {**row.values, **changes}, changes)
        self._store.update(context.transaction, row, changes, columns)

    def row_of(self, table: TableSchema, key: RowKey) -> Row | None:
        """Return the row that a key names."""
        if key.id is not None:
            return self._store.get(table.name, key.id)
        return self._store.find(table, key.values)

    def resolve(self, context: WriteContext, uri: Any, set_name: str) -> Reference:
        """Return the row that a bind value names. Raises ``ApiError`` 404 when there is none."""
        if type(uri) is not str:
            raise bad_payload(set_name, "A value of an 'odata.bind' annotation must be a string with a resource URL.")
        if uri.startswith(("$", "/$")):
            return self._content_reference(context, uri)
        segments = split_path(service_relative(uri))
        segment = segments[0]
        table = self._catalog.by_set.get(segment.name)
        if table is None or len(segments) != 1:
            raise unknown_segment(segment.name)
        if segment.key is None:
            raise bad_payload(set_name, f"The URL '{uri}' does not name a single row.")
        key = parse_row_key(table, segment.key)
        row = self.row_of(table, key)
        if row is None:
            raise missing_row(table.name, key.id) if key.id is not None else missing_key(table.name)
        return Reference(table.name, row.id)

    def now(self) -> str:
        """Return the time in UTC, to the second, as it is stored."""
        second = int(time.time())
        if second != self._second:
            self._second, self._stamp = second, time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(second))
        return self._stamp

    @staticmethod
    def _content_reference(context: WriteContext, uri: str) -> Reference:
        name = uri.lstrip("/")
        reference = context.references.get(name)
        if reference is None:
            raise ApiError(400, "0x0", f"Content-ID Reference: '{name}' does not exist in the batch context.")
        return reference

    def _sort_out(self, context: WriteContext, table: TableSchema, body: Any, *, creating: bool) -> _Body:
        if type(body) is not dict:
            raise bad_payload(table.set_name, "A JSON object was expected.")
        result = _Body()
        values, writable, set_name = result.values, table.writable, table.set_name
        for name, value in body.items():
            column = writable.get(name)
            if column is None:
                self._take_annotated(context, table, name, value, result)
            elif (column.creatable if creating else column.updatable) or name == table.primary_id:
                values[name] = column.accept(value, set_name)
            elif column.attribute_type == "File":
                column.accept(value, set_name)
        return result

    def _take_annotated(self, context: WriteContext, table: TableSchema, name: str, value: Any, result: _Body) -> None:
        """Take a property that is no plain column: an annotation, a lookup to bind or nested rows."""
        navigation_name, at, annotation = name.partition("@")
        if at and f"@{annotation}" == _BIND:
            self._bind(context, table, navigation_name, value, result)
        elif at:
            if "." not in annotation:
                raise bad_payload(table.set_name, f"The annotation '{name}' is not valid: its name holds no dot.")
        elif name in table.navigations:
            column, ways = table.navigations[name]
            if value is None:
                result.values[column.name] = None
            elif type(value) is dict:
                result.parents.append((column, self._catalog.by_name[ways[0].target], value))
            else:
                raise bad_payload(
                    table.set_name, f"A node of type 'PrimitiveValue' was read for the navigation property '{name}'."
                )
        else:
            self._take_collection(table, name, value, result)

    def _take_collection(self, table: TableSchema, name: str, value: Any, result: _Body) -> None:
        collection = self._catalog.collections_of(table.name).get(name)
        if collection is not None and type(value) is list:
            result.children.append((collection, value))
        elif collection is not None:
            raise bad_payload(table.set_name, f"An array was expected for the navigation property '{name}'.")
        elif name in table.by_json_name:
            table.by_json_name[name].accept(value if value is not None else "", table.set_name)
        else:
            raise undeclared_property(table.set_name, table.name, name)

    def _bind(self, context: WriteContext, table: TableSchema, name: str, value: Any, result: _Body) -> None:
        found = table.navigations.get(name)
        if found is None:
            raise undeclared_annotated_property(table.set_name, name)
        column, ways = found
        if value is None:
            result.values[column.name] = None
            return
        reference = self.resolve(context, value, table.set_name)
        if not any(way.target == reference.table for way in ways):
            raise _wrong_target(table, name, ways, reference)
        result.values[column.name] = reference

    def _count_nested(self, context: WriteContext, rows: int) -> None:
        context.nested += rows
        limit = self._settings.nested_rows_limit
        if limit is not None and context.nested > limit:
            raise ApiError(400, BUSINESS_RULE, f"The number of nested rows exceeds the limit of {limit}.")

    def _complete(self, table: TableSchema, values: dict[str, Any]) -> None:
        now = self.now()
        values["createdon"] = now
        values["modifiedon"] = now
        self._check_status(table, values, {"statecode": 0})
        values.setdefault("statecode", 0)
        values.setdefault("statuscode", 1)
        if table.user_owned:
            values.setdefault("ownerid", Reference("systemuser", APPLICATION_USER_ID))
        if table.money:
            self._price(table, values, values)
        for column in table.system_required:
            if values.get(column.name) is None:
                raise ApiError(400, BAD_VALUE, f"Attribute: {column.name} cannot be set to NULL")

    @staticmethod
    def _check_status(table: TableSchema, changes: dict[str, Any], before: Mapping[str, Any]) -> None:
        """Let ``statecode`` alone bring its first reason along; refuse a reason of another state."""
        if "statecode" not in changes and "statuscode" not in changes:
            return
        column = table.by_name["statuscode"]
        state = changes.get("statecode", before["statecode"])
        if not isinstance(column, StatusColumn):
            return
        if changes.get("statuscode") is None:
            changes["statuscode"] = next(reason for reason, of in column.states.items() if of == state)
        elif column.states[changes["statuscode"]] != state:
            raise ApiError(
                400,
                BAD_STATUS_REASON,
                f"{changes['statuscode']} is not a valid status code for state code {state} on {table.name}.",
            )

    def _price(self, table: TableSchema, after: Mapping[str, Any], changes: dict[str, Any]) -> None:
        currency = after.get("transactioncurrencyid")
        row = None if currency is None else self._store.get("transactioncurrency", currency.id)
        rate = Decimal(1) if row is None else row.values.get("exchangerate") or Decimal(1)
        changes["exchangerate"] = rate
        for column in table.money:
            amount = after.get(column.name)
            base = None if amount is None else rounded(amount / rate, _BASE_PRECISION)
            changes[f"{column.name}_base"] = base


def _wrong_target(table: TableSchema, name: str, ways: tuple[Navigation, ...], reference: Reference) -> ApiError:
    targets = " or ".join(way.target for way in ways)
    return bad_payload(table.set_name, f"The property '{name}' refers to {targets}, not to {reference.table}.")
