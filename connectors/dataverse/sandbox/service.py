"""The Web API without HTTP: one request in, one answer out, all of it synchronous and therefore atomic."""

from collections.abc import Callable, Iterable
from typing import Any

from connectors.dataverse.sandbox.address import split_path
from connectors.dataverse.sandbox.batch import Batches
from connectors.dataverse.sandbox.bulk import BulkActions
from connectors.dataverse.sandbox.csdl import csdl
from connectors.dataverse.sandbox.errors import ApiError, unknown_segment
from connectors.dataverse.sandbox.messages import ApiRequest, ApiResponse, error_response, json_response
from connectors.dataverse.sandbox.metadata import Metadata
from connectors.dataverse.sandbox.privileges import Privileges
from connectors.dataverse.sandbox.reads import Reader
from connectors.dataverse.sandbox.rows import Rows
from connectors.dataverse.sandbox.settings import Settings
from connectors.dataverse.sandbox.shipped import (
    APPLICATION_USER_ID,
    BUSINESS_UNIT_ID,
    ORGANIZATION_ID,
    first_rows,
)
from connectors.dataverse.sandbox.store import Store, Transaction
from connectors.dataverse.sandbox.tables import Catalog, TableSchema
from connectors.dataverse.sandbox.writes import WriteContext, Writer


class WebApi:
    """An environment: its tables, its rows, and the requests that concern them. ``base`` gives the service root."""

    def __init__(self, tables: Iterable[TableSchema], settings: Settings, base: Callable[[], str]) -> None:
        self.catalog = Catalog(tables)
        self.settings = settings
        self.store = Store(self.catalog, settings)
        self.privileges = Privileges()
        self._writer = Writer(self.store, settings)
        reader = Reader(self.store, base)
        self._base = base
        self._rows = Rows(self.store, self._writer, reader, self.privileges, settings, base)
        self._bulk = BulkActions(self.store, self._writer, self.privileges)
        self._metadata = Metadata(self.store, base)
        self._batches = Batches(self.store, self._perform)
        self._csdl: bytes | None = None
        for table, row in first_rows():
            if table in self.catalog.by_name:
                self.seed(table, row)

    def execute(self, request: ApiRequest) -> ApiResponse:
        """Answer a request; a refused one has left nothing behind."""
        context = WriteContext(Transaction(request.headers.get("x-ms-client-request-id")))
        try:
            if request.path == "$batch" and request.method == "POST":
                return self._batches.run(request)
            response = self._perform(context, request)
        except ApiError as error:
            self.store.rollback(context.transaction)
            return error_response(error)
        self.store.commit(context.transaction)
        return response

    def seed(self, table: str, body: dict[str, Any]) -> str:
        """Add a row as if it had always been there: no effect is counted. Returns its id; raises ``ApiError``."""
        context = WriteContext(Transaction())
        try:
            return self._writer.create(context, self.catalog.by_name[table], body, {}).id
        except ApiError:
            self.store.rollback(context.transaction)
            raise

    def _perform(self, context: WriteContext, request: ApiRequest) -> ApiResponse:
        table = self.catalog.by_set.get(request.path)
        if table is not None:
            return self._on_set(context, table, request)
        segments = split_path(request.path)
        first = segments[0]
        table = self.catalog.by_set.get(first.name)
        if table is None:
            return self._global(request, first.name)(segments, request)
        if first.key is None and len(segments) == 1:
            return self._on_set(context, table, request)
        if first.key is None:
            return self._below_set(context, table, segments[1].name, request)
        if len(segments) == 1:
            return self._rows.addressed(context, table, first, request)
        return self._rows.property_of(context, table, segments, request)

    def _on_set(self, context: WriteContext, table: TableSchema, request: ApiRequest) -> ApiResponse:
        if request.method == "POST":
            return self._rows.create(context, table, request)
        if request.method == "GET":
            return self._rows.query(table, request)
        raise ApiError(405, "0x0", f"The method {request.method} is not allowed for an entity set.")

    def _below_set(self, context: WriteContext, table: TableSchema, name: str, request: ApiRequest) -> ApiResponse:
        if name == "$count" and request.method == "GET":
            return self._rows.count(table)
        if request.method == "POST":
            return self._bulk.invoke(context, table, name, request)
        raise unknown_segment(name)

    def _global(self, request: ApiRequest, name: str) -> Callable[[list[Any], ApiRequest], ApiResponse]:
        if name in {"EntityDefinitions", "GlobalOptionSetDefinitions"}:
            return self._metadata.answer
        if request.method == "GET" and name == "WhoAmI":
            return self._who_am_i
        if request.method == "GET" and name == "$metadata":
            return self._metadata_document
        raise unknown_segment(name)

    def _who_am_i(self, _: list[Any], request: ApiRequest) -> ApiResponse:
        return json_response(
            {
                "@odata.context": f"{self._base()}/$metadata#Microsoft.Dynamics.CRM.WhoAmIResponse",
                "BusinessUnitId": BUSINESS_UNIT_ID,
                "UserId": APPLICATION_USER_ID,
                "OrganizationId": ORGANIZATION_ID,
            }
        )

    def _metadata_document(self, _: list[Any], request: ApiRequest) -> ApiResponse:
        accept = request.headers.get("accept", "")
        if "application/json" in accept and "xml" not in accept:
            raise ApiError(415, "0x0", "The metadata document is XML only; ask for application/xml.")
        if self._csdl is None:
            self._csdl = csdl(self.catalog)
        return ApiResponse(200, body=self._csdl, content_type="application/xml")
