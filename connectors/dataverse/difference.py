"""How a stored row differs from the planned one: what a correction sends and what a preview shows."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from connectors.dataverse.metadata import Kind, Table
from connectors.dataverse.prepared import Binding, PreparedLine, PreparedRow
from connectors.dataverse.reading import StoredDocument, StoredRow
from connectors.dataverse.values import Json, same
from connectors.ports import ColumnDifference, KnownRow, RowDifference


@dataclass(frozen=True, slots=True)
class Difference:
    """What has to change. ``removed`` holds only lines that are ours, as the ledger knows them."""

    columns: Mapping[str, Json]
    bindings: tuple[Binding, ...]
    added: tuple[PreparedLine, ...]
    changed: tuple[tuple[PreparedLine, StoredRow, Mapping[str, Json]], ...]
    removed: tuple[StoredRow, ...]

    def __bool__(self) -> bool:
        return bool(self.columns or self.bindings or self.added or self.changed or self.removed)


def difference(prepared: PreparedRow, stored: StoredDocument, known: KnownRow) -> Difference:
    """Compare column by column, reference by reference, line by line."""
    added: list[PreparedLine] = []
    changed: list[tuple[PreparedLine, StoredRow, Mapping[str, Json]]] = []
    if prepared.lines is not None:
        for line in prepared.lines.rows:
            there = stored.lines.get(line.id)
            if there is None:
                added.append(line)
            elif columns := _changed(prepared.lines.table, line.columns, there.values):
                changed.append((line, there, columns))
    ours = {line_id.lower() for line_id in known.line_ids} - prepared.line_ids
    return Difference(
        _changed(prepared.table, prepared.columns, stored.row.values),
        tuple(one for one in prepared.bindings if not _is_bound(one, stored.row)),
        tuple(added),
        tuple(changed),
        tuple(there for line_id, there in stored.lines.items() if line_id in ours),
    )


def _is_bound(binding: Binding, row: StoredRow) -> bool:
    return same(binding.id, row.values.get(f"_{binding.attribute}_value"), Kind.UNIQUEIDENTIFIER)


def _changed(table: Table, planned: Mapping[str, Json], current: Mapping[str, Any]) -> dict[str, Json]:
    attributes = table.attributes
    return {name: value for name, value in planned.items() if not same(value, current.get(name), attributes[name].kind)}


def preview(prepared: PreparedRow, stored: StoredDocument, known: KnownRow) -> RowDifference:
    """Tell the difference for a person: columns with both values, lines added by key, lines removed by id."""
    found = difference(prepared, stored, known)
    row = stored.row.values
    columns = [ColumnDifference(None, name, row.get(name), value) for name, value in found.columns.items()]
    columns += [
        ColumnDifference(None, one.navigation, row.get(f"_{one.attribute}_value"), one.id) for one in found.bindings
    ]
    columns += [
        ColumnDifference(line.key, name, there.values.get(name), value)
        for line, there, changed in found.changed
        for name, value in changed.items()
    ]
    return RowDifference(
        stored.row.id,
        tuple(columns),
        tuple(line.key for line in found.added),
        tuple(there.id for there in found.removed),
    )
