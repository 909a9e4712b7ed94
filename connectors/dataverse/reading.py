"""Reading the document's row as it is, with its lines."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from connectors.dataverse.catalog import Catalog
from connectors.dataverse.client import DataverseClient
from connectors.dataverse.metadata import Table
from connectors.dataverse.prepared import PreparedLines, PreparedRow
from connectors.dataverse.refusals import refusal_of
from connectors.outcome import TransientError
from connectors.ports import KnownRow, RequestLog


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row as Dataverse holds it: its id in lower case, its version, the values by property name."""

    id: str
    etag: str | None
    values: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class StoredDocument:
    """The document's row, and its lines by id."""

    row: StoredRow
    lines: Mapping[str, StoredRow]


class Reading:
    """Reads rows of one environment."""

    def __init__(self, client: DataverseClient, catalog: Catalog) -> None:
        self._client = client
        self._catalog = catalog

    async def document(self, prepared: PreparedRow, known: KnownRow, log: RequestLog) -> StoredDocument | None:
        """Return the row, sought by the id it is known under and then by its identity. None when there is none."""
        paths = [prepared.identity_path]
        record_id = _guid(known.record_id)
        if record_id is not None:
            known_path = f"{prepared.table.set_name}({record_id})"
            paths = [known_path, *(path for path in paths if path != known_path)]
        for path in paths:
            found = await self._document_at(path, prepared, log)
            if found is not None:
                return found
        return None

    async def lines(self, lines: PreparedLines, ids: Sequence[str], log: RequestLog) -> dict[str, StoredRow]:
        """Return which of these lines exist, wherever they hang."""
        found: dict[str, StoredRow] = {}
        for line_id in ids:
            row = await self._get(
                f"{lines.table.set_name}({line_id})?$select={lines.table.primary_id}", (lines.table,), log
            )
            if row is not None:
                found[line_id] = _stored(row, lines.table)
        return found

    async def _document_at(self, path: str, prepared: PreparedRow, log: RequestLog) -> StoredDocument | None:
        table = prepared.table
        selected = [table.primary_id, *prepared.columns, *(f"_{one.attribute}_value" for one in prepared.bindings)]
        query = f"$select={','.join(dict.fromkeys(selected))}"
        lines = prepared.lines
        if lines is not None:
            query += f"&$expand={lines.collection}({_selected(lines)})"
        row = await self._get(f"{path}?{query}", (table,) if lines is None else (table, lines.table), log)
        if row is None:
            return None
        stored: dict[str, StoredRow] = {}
        if lines is not None:
            for line in await self._expanded(row, table, lines, log):
                one = _stored(line, lines.table)
                stored[one.id] = one
        return StoredDocument(_stored(row, table), stored)

    async def _expanded(self, row: Mapping[str, Any], table: Table, lines: PreparedLines, log: RequestLog) -> list[Any]:
        """Return the lines of a row, those of further pages included; asked for by themselves if it came without."""
        rows = row.get(lines.collection)
        following = row.get(f"{lines.collection}@odata.nextLink")
        if rows is None and following is None:
            parent = f"_{lines.relationship.attribute}_value%20eq%20{_stored(row, table).id}"
            following = f"{lines.table.set_name}?{_selected(lines)}&$filter={parent}"
        collected = _listed(rows or [])
        followed: set[str] = set()
        while isinstance(following, str):
            if following in followed:
                raise TransientError("bad_answer", f"The pages of {lines.table.set_name} lead in a circle.")
            followed.add(following)
            page = await self._client.read(following, purpose="read lines", log=log)
            collected += _listed(page.get("value") if isinstance(page, dict) else None)
            following = page.get("@odata.nextLink")
        return collected

    async def _get(self, path: str, tables: Sequence[Table], log: RequestLog) -> Mapping[str, Any] | None:
        answer = await self._client.request("GET", path, purpose="read row", log=log)
        if answer.status >= 300:
            refusal = refusal_of(answer)
            if refusal.undeclared and self._catalog.doubt(*tables):
                raise TransientError("metadata_changed", f"The table has changed: {refusal.message} It is read again.")
            if refusal.not_found and not refusal.undeclared:
                return None
            raise self._client.outcome(refusal, "read row", mutating=False)
        row = answer.json()
        if not isinstance(row, dict):
            raise TransientError("bad_answer", "A row was not answered with an object.")
        return row


def _selected(lines: PreparedLines) -> str:
    columns = dict.fromkeys([lines.table.primary_id, *(name for row in lines.rows for name in row.columns)])
    return f"$select={','.join(columns)}"


def _listed(rows: Any) -> list[Any]:
    if not isinstance(rows, list):
        raise TransientError("bad_answer", "Lines were not answered with a list.")
    return list(rows)


def _stored(row: Any, table: Table) -> StoredRow:
    row_id = _guid(row.get(table.primary_id)) if isinstance(row, dict) else None
    if row_id is None:
        raise TransientError("bad_answer", f"A row of {table.set_name} came without its {table.primary_id}.")
    etag = row.get("@odata.etag")
    return StoredRow(row_id, etag if isinstance(etag, str) else None, row)


def _guid(value: Any) -> str | None:
    try:
        return str(UUID(value)) if isinstance(value, str) else None
    except ValueError:
        return None
