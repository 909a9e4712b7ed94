"""Requests for rows: create, read, upsert, delete, one column, one reference."""

from collections.abc import Callable, Mapping
from typing import Any

from connectors.dataverse.sandbox.address import RowKey, Segment, parse_row_key
from connectors.dataverse.sandbox.columns import FileColumn, LookupColumn
from connectors.dataverse.sandbox.errors import (
    BAD_VALUE,
    ApiError,
    matching_key_exists,
    missing_key,
    missing_row,
    unknown_segment,
    version_mismatch,
)
from connectors.dataverse.sandbox.files import download, upload
from connectors.dataverse.sandbox.messages import ApiRequest, ApiResponse, decode_body, json_response
from connectors.dataverse.sandbox.options import parse_query
from connectors.dataverse.sandbox.privileges import Privileges
from connectors.dataverse.sandbox.reads import Reader, check_expansions
from connectors.dataverse.sandbox.settings import Settings
from connectors.dataverse.sandbox.store import Row, Store
from connectors.dataverse.sandbox.tables import TableSchema
from connectors.dataverse.sandbox.writes import WriteContext, Writer

_REPRESENTATION = "return=representation"
_ANNOTATIONS = "odata.include-annotations"


class Rows:
    """Answers the requests whose first segment is an entity set."""

    def __init__(
        self,
        store: Store,
        writer: Writer,
        reader: Reader,
        privileges: Privileges,
        settings: Settings,
        base: Callable[[], str],
    ) -> None:
        self._store = store
        self._writer = writer
        self._reader = reader
        self._privileges = privileges
        self._settings = settings
        self._base = base

    def create(self, context: WriteContext, table: TableSchema, request: ApiRequest) -> ApiResponse:
        """``POST set``: 204 with ``OData-EntityId``, or 201 with the row when a representation is preferred."""
        self._privileges.require(table.name, "create")
        body = decode_body(request)
        row = self._writer.create(context, table, body, {})
        return self._written(request, row, 201, f"{table.set_name}({row.id})")

    def query(self, table: TableSchema, request: ApiRequest) -> ApiResponse:
        """``GET set``: the rows that the query options want."""
        self._privileges.require(table.name, "read")
        return self._listed(table, list(self._store.rows[table.name].values()), request)

    def count(self, table: TableSchema) -> ApiResponse:
        """``GET set/$count``: the number of rows as text."""
        self._privileges.require(table.name, "read")
        return ApiResponse(200, body=str(len(self._store.rows[table.name])).encode(), content_type="text/plain")

    def addressed(
        self, context: WriteContext, table: TableSchema, segment: Segment, request: ApiRequest
    ) -> ApiResponse:
        """Answer a request for one row, named by its key."""
        return self.by_key(context, table, parse_row_key(table, segment.key or ""), request)

    def by_key(self, context: WriteContext, table: TableSchema, key: RowKey, request: ApiRequest) -> ApiResponse:
        """Answer a request for one row."""
        match request.method:
            case "GET":
                return self._read(table, key, request)
            case "PATCH":
                return self._upsert(context, table, key, request)
            case "DELETE":
                return self._delete(context, table, key, request)
            case _:
                raise ApiError(405, "0x0", f"The method {request.method} is not allowed for a row.")

    def property_of(
        self, context: WriteContext, table: TableSchema, segments: list[Segment], request: ApiRequest
    ) -> ApiResponse:
        """Answer a request for something of one row: a column, a file, a related row, a reference."""
        key = parse_row_key(table, segments[0].key or "")
        name = segments[1].name
        rest = tuple(segment.name for segment in segments[2:])
        column = table.by_json_name.get(name)
        if isinstance(column, FileColumn):
            self._privileges.require(table.name, "read" if request.method == "GET" else "write")
            row = self._existing(table, key)
            return self._file(context, row, column, rest, request)
        if rest == ("$ref",):
            self._privileges.require(table.name, "write")
            return self._reference(context, self._existing(table, key), name, request)
        if request.method != "GET" or rest not in {(), ("$value",)}:
            raise unknown_segment(rest[0] if rest else name)
        self._privileges.require(table.name, "read")
        row = self._existing(table, key)
        if column is not None:
            return self._column(row, name, raw=bool(rest))
        return self._related(row, name, request)

    def _read(self, table: TableSchema, key: RowKey, request: ApiRequest) -> ApiResponse:
        self._privileges.require(table.name, "read")
        options = parse_query(request.query)
        row = self._existing(table, key)
        check_expansions(self._store, table, options)
        annotated = request.prefers(_ANNOTATIONS)
        if request.condition("if-none-match") == row.etag and not options.expand and not annotated:
            return ApiResponse(304)
        body = self._reader.one(row, options, annotated=annotated)
        return json_response(body, headers={"ETag": row.etag})

    def _upsert(self, context: WriteContext, table: TableSchema, key: RowKey, request: ApiRequest) -> ApiResponse:
        match, none_match = request.condition("if-match"), request.condition("if-none-match")
        body = decode_body(request)
        row = self._writer.row_of(table, key)
        if row is not None:
            self._privileges.require(table.name, "write")
            if none_match == "*":
                raise matching_key_exists()
            _require_version(row, match)
            self._writer.update(context, row, body, key.values)
            return self._written(request, row, 200, self._resource(table, key))
        self._require_creatable(table, key, match, none_match)
        self._privileges.require(table.name, "create")
        row = self._writer.create(context, table, body, self._from_key(table, key))
        return self._written(request, row, 201, self._resource(table, key))

    def _require_creatable(self, table: TableSchema, key: RowKey, match: str | None, none_match: str | None) -> None:
        """Refuse where the real one does not create: with If-Match, by a key that is not active, create-only by key."""
        if match is not None:
            raise self._missing(table, key)
        if key.id is not None:
            return
        schema = table.key_of(key.values)
        active = schema is not None and self._store.keys[table.name][schema.name].status == "Active"
        if none_match == "*" or not active:
            raise missing_key(table.name)

    def _delete(self, context: WriteContext, table: TableSchema, key: RowKey, request: ApiRequest) -> ApiResponse:
        self._privileges.require(table.name, "delete")
        row = self._existing(table, key)
        _require_version(row, request.condition("if-match"))
        self._store.delete(context.transaction, row)
        return ApiResponse(204)

    def _column(self, row: Row, name: str, *, raw: bool) -> ApiResponse:
        value = self._reader.column_value(row, row.table.by_json_name[name])
        if value is None:
            return ApiResponse(204)
        if raw:
            return ApiResponse(200, body=str(value).encode(), content_type="text/plain")
        context = f"{self._base()}/$metadata#{row.table.set_name}({row.id})/{name}"
        return json_response({"@odata.context": context, "value": value})

    def _related(self, row: Row, name: str, request: ApiRequest) -> ApiResponse:
        collection = self._store.catalog.collections_of(row.table.name).get(name)
        if collection is not None:
            return self._listed(collection.child, self._reader.collection_rows(row, collection), request)
        if name not in row.table.navigations:
            raise unknown_segment(name)
        target = self._reader.referred(row, name)
        if target is None:
            return ApiResponse(204)
        options = parse_query(request.query)
        check_expansions(self._store, target.table, options)
        return json_response(self._reader.one(target, options), headers={"ETag": target.etag})

    def _reference(self, context: WriteContext, row: Row, name: str, request: ApiRequest) -> ApiResponse:
        if name not in row.table.navigations:
            raise unknown_segment(name)
        if request.method == "DELETE":
            self._writer.update(context, row, {f"{name}@odata.bind": None}, {})
        elif request.method == "PUT":
            body = decode_body(request)
            uri = body.get("@odata.id") if isinstance(body, dict) else None
            self._writer.update(context, row, {f"{name}@odata.bind": uri}, {})
        else:
            raise ApiError(405, "0x0", f"The method {request.method} is not allowed for a reference.")
        return ApiResponse(204)

    def _file(
        self, context: WriteContext, row: Row, column: FileColumn, rest: tuple[str, ...], request: ApiRequest
    ) -> ApiResponse:
        if request.method == "PATCH" and not rest:
            return upload(self._store, context.transaction, row, column, request)
        if request.method == "GET" and rest == ("$value",):
            return download(self._store, row, column)
        if request.method == "DELETE" and not rest:
            self._store.update(context.transaction, row, {column.name: None}, (column.name,))
            return ApiResponse(204)
        raise unknown_segment(rest[0] if rest else column.name)

    def _listed(self, table: TableSchema, rows: list[Row], request: ApiRequest) -> ApiResponse:
        options = parse_query(request.query)
        check_expansions(self._store, table, options)
        kept = "&".join(
            part for part in request.query.split("&") if part and not part.startswith(("$skiptoken", "%24skiptoken"))
        )
        page = f"{self._base()}/{request.path}{f'?{kept}' if kept else ''}"
        body = self._reader.many(
            table,
            rows,
            options,
            page_size=_page_size(request) or self._settings.page_size,
            next_page=page,
            annotated=request.prefers(_ANNOTATIONS),
        )
        return json_response(body)

    def _written(self, request: ApiRequest, row: Row, status: int, resource: str) -> ApiResponse:
        if not request.prefers(_REPRESENTATION):
            return ApiResponse(204, {"OData-EntityId": f"{self._base()}/{resource}"})
        options = parse_query(request.query)
        check_expansions(self._store, row.table, options)
        body = self._reader.one(row, options, annotated=request.prefers(_ANNOTATIONS))
        return json_response(body, status, {"ETag": row.etag, "Preference-Applied": _REPRESENTATION})

    def _existing(self, table: TableSchema, key: RowKey) -> Row:
        row = self._writer.row_of(table, key)
        if row is None:
            raise self._missing(table, key)
        return row

    @staticmethod
    def _missing(table: TableSchema, key: RowKey) -> ApiError:
        return missing_row(table.name, key.id) if key.id is not None else missing_key(table.name)

    @staticmethod
    def _from_key(table: TableSchema, key: RowKey) -> Mapping[str, Any]:
        if key.id is not None:
            return {table.primary_id: key.id}
        if any(isinstance(table.by_name[name], LookupColumn) for name in key.values):
            raise ApiError(400, BAD_VALUE, "A row cannot be created through an alternate key that holds a lookup.")
        return {name: table.by_name[name].accept(value, table.set_name) for name, value in key.values.items()}

    @staticmethod
    def _resource(table: TableSchema, key: RowKey) -> str:
        if key.id is not None:
            return f"{table.set_name}({key.id})"
        parts = []
        for name, value in key.values.items():
            written = f"'{value.replace(chr(39), chr(39) * 2)}'" if isinstance(value, str) else str(value)
            parts.append(f"{table.by_name[name].json_name}={written}")
        return f"{table.set_name}({','.join(parts)})"


def _require_version(row: Row, match: str | None) -> None:
    if match not in {None, "*", row.etag}:
        raise version_mismatch()


def _page_size(request: ApiRequest) -> int | None:
    _, found, rest = request.headers.get("prefer", "").partition("odata.maxpagesize=")
    digits = rest.partition(",")[0].strip()
    return int(digits) if found and digits.isdigit() and int(digits) > 0 else None
