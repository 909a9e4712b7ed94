"""``CreateMultiple``, ``UpdateMultiple`` and ``UpsertMultiple``: one transaction, any error undoes all of it."""

from typing import Any

from connectors.dataverse.sandbox.address import RowKey, parse_row_key, split_path
from connectors.dataverse.sandbox.errors import (
    UNEXPECTED,
    ApiError,
    bad_payload,
    missing_key,
    missing_row,
    unknown_segment,
)
from connectors.dataverse.sandbox.messages import ApiRequest, ApiResponse, decode_body, json_response
from connectors.dataverse.sandbox.privileges import Privileges
from connectors.dataverse.sandbox.store import Store
from connectors.dataverse.sandbox.tables import TableSchema
from connectors.dataverse.sandbox.writes import WriteContext, Writer

NAMESPACE = "Microsoft.Dynamics.CRM."
_ID = "@odata.id"
_TYPE = "@odata.type"


class BulkActions:
    """Answers the bulk actions that are bound to an entity set."""

    def __init__(self, store: Store, writer: Writer, privileges: Privileges) -> None:
        self._store = store
        self._writer = writer
        self._privileges = privileges

    def invoke(self, context: WriteContext, table: TableSchema, name: str, request: ApiRequest) -> ApiResponse:
        """Run one action. Raises ``ApiError`` 404 for an unknown one."""
        match name.removeprefix(NAMESPACE):
            case "CreateMultiple":
                return self._create(context, table, _targets(table, decode_body(request)))
            case "UpdateMultiple":
                return self._update(context, table, _targets(table, decode_body(request)))
            case "UpsertMultiple":
                return self._upsert(context, table, _targets(table, decode_body(request)))
            case _:
                raise unknown_segment(name)

    def _create(self, context: WriteContext, table: TableSchema, targets: list[dict[str, Any]]) -> ApiResponse:
        self._privileges.require(table.name, "create")
        ids = [self._writer.create(context, table, target, {}).id for target in targets]
        return json_response({"@odata.context": f"$metadata#{NAMESPACE}CreateMultipleResponse", "Ids": ids})

    def _update(self, context: WriteContext, table: TableSchema, targets: list[dict[str, Any]]) -> ApiResponse:
        self._privileges.require(table.name, "write")
        for target in targets:
            key = self._key(table, target)
            row = self._writer.row_of(table, key)
            if row is None:
                raise missing_row(table.name, key.id) if key.id is not None else missing_key(table.name)
            self._writer.update(context, row, _without_id(target), key.values)
        return ApiResponse(204)

    def _upsert(self, context: WriteContext, table: TableSchema, targets: list[dict[str, Any]]) -> ApiResponse:
        for target in targets:
            key = self._key(table, target)
            row = self._writer.row_of(table, key)
            body = _without_id(target)
            if row is not None:
                self._privileges.require(table.name, "write")
                self._writer.update(context, row, body, key.values)
                continue
            self._privileges.require(table.name, "create")
            if not key.values.keys().isdisjoint(body):
                raise ApiError(400, UNEXPECTED, "An unexpected error occurred: a key column is given twice.")
            defaults = {table.primary_id: key.id} if key.id is not None else key.values
            self._writer.create(context, table, body, defaults)
        return ApiResponse(204)

    def _key(self, table: TableSchema, target: dict[str, Any]) -> RowKey:
        address = target.get(_ID)
        if address is None:
            row_id = target.get(table.primary_id)
            if not isinstance(row_id, str):
                raise bad_payload(
                    table.set_name, "An item names no row: neither '@odata.id' nor the primary key is there."
                )
            return RowKey(row_id.lower(), {})
        segment = split_path(str(address).lstrip("/"))[0]
        if segment.name != table.set_name or segment.key is None:
            raise bad_payload(table.set_name, f"'{address}' does not name a row of this table.")
        return parse_row_key(table, segment.key)


def _targets(table: TableSchema, body: Any) -> list[dict[str, Any]]:
    targets = body.get("Targets") if isinstance(body, dict) else None
    if not isinstance(targets, list) or not targets:
        raise bad_payload(table.set_name, "The parameter 'Targets' is missing or holds nothing.")
    wanted = f"{NAMESPACE}{table.name}"
    for target in targets:
        if not isinstance(target, dict) or str(target.get(_TYPE, "")).lstrip("#") != wanted:
            raise bad_payload(table.set_name, f"Every item of 'Targets' needs '@odata.type' with the value '{wanted}'.")
    return targets


def _without_id(target: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in target.items() if name != _ID}
