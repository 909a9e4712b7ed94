"""The rows: primary and alternate keys, versions, transactions that roll back, and a journal of every effect."""

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from connectors.dataverse.sandbox.columns import LookupColumn, Reference
from connectors.dataverse.sandbox.errors import PRIMARY_KEY_TAKEN, ApiError, key_taken, matching_key_exists
from connectors.dataverse.sandbox.settings import Settings
from connectors.dataverse.sandbox.tables import Catalog, KeySchema, TableSchema

KeyStatus = Literal["Pending", "InProgress", "Active", "Failed"]
EffectKind = Literal["create", "update", "delete"]


@dataclass(slots=True)
class Row:
    """A row. ``values`` holds what is set, by logical name; ``version`` is the number in its ETag."""

    table: TableSchema
    id: str
    values: dict[str, Any]
    version: int

    @property
    def etag(self) -> str:
        """The row's weak ETag."""
        return f'W/"{self.version}"'


@dataclass(frozen=True, slots=True)
class Effect:
    """One committed change of one row. ``columns`` are those that were set; ``request_id`` is the client's."""

    sequence: int
    kind: EffectKind
    table: str
    id: str
    columns: tuple[str, ...]
    request_id: str | None

    def report(self) -> dict[str, Any]:
        """Return what ``GET /_sandbox/effects`` shows of it."""
        return asdict(self)


@dataclass(slots=True)
class KeyIndex:
    """An alternate key with its index, which is only used and enforced while ``status`` is Active."""

    schema: KeySchema
    status: KeyStatus = "Active"
    entries: dict[tuple[Any, ...], str] = field(default_factory=dict)

    def entry_of(self, values: Mapping[str, Any]) -> tuple[Any, ...] | None:
        """Return the key of a row; None when a column is null, since such rows are not deduplicated."""
        entry = []
        for column in self.schema.columns:
            value = values.get(column)
            if value is None:
                return None
            entry.append(comparable(value))
        return tuple(entry)


@dataclass(slots=True)
class Transaction:
    """What is to be undone when it fails, and the effects that count when it does not."""

    request_id: str | None = None
    undo: list[Callable[[], None]] = field(default_factory=list)
    effects: list[tuple[EffectKind, str, str, tuple[str, ...]]] = field(default_factory=list)


class Store:
    """Every row of an environment. All of it is synchronous, so each transaction is alone."""

    def __init__(self, catalog: Catalog, settings: Settings) -> None:
        self.catalog = catalog
        self._settings = settings
        self.rows: dict[str, dict[str, Row]] = {}
        self.keys: dict[str, dict[str, KeyIndex]] = {}
        self.files: dict[str, tuple[str, bytes]] = {}
        self.effects: list[Effect] = []
        self._referring: dict[tuple[str, str], dict[str, dict[str, None]]] = {}
        self._lookups: dict[str, tuple[str, ...]] = {}
        self._version = 1_000_000
        for table in catalog.by_name.values():
            self.rows[table.name] = {}
            self.keys[table.name] = {key.name: KeyIndex(key) for key in table.keys}
            self._lookups[table.name] = tuple(
                column.name for column in table.columns if isinstance(column, LookupColumn) and column.name != "ownerid"
            )

    # Reading

    def get(self, table: str, row_id: str) -> Row | None:
        """Return a row by its primary key."""
        return self.rows[table].get(row_id)

    def find(self, table: TableSchema, key: Mapping[str, Any]) -> Row | None:
        """Return a row by alternate key values; None too when the key's index is not active."""
        schema = table.key_of(key)
        if schema is None:
            raise KeyError(tuple(key))
        index = self.keys[table.name][schema.name]
        entry = index.entry_of(key)
        if index.status != "Active" or entry is None:
            return None
        row_id = index.entries.get(entry)
        return None if row_id is None else self.rows[table.name][row_id]

    def referring(self, table: TableSchema, column: str, parent_id: str) -> list[Row]:
        """Return the rows of a table whose lookup column refers to this row, in the order they came to it."""
        rows = self.rows[table.name]
        if column == "ownerid":
            return [row for row in rows.values() if row.values["ownerid"].id == parent_id]
        return [rows[row_id] for row_id in self._referring.get((table.name, column), {}).get(parent_id, ())]

    def effect_counts(self) -> dict[tuple[EffectKind, str, str], int]:
        """Count the effects by kind, table and row."""
        return dict(Counter((effect.kind, effect.table, effect.id) for effect in self.effects))

    # Transactions

    def commit(self, transaction: Transaction) -> None:
        """Let the effects count."""
        sequence = len(self.effects)
        for kind, table, row_id, columns in transaction.effects:
            sequence += 1
            self.effects.append(Effect(sequence, kind, table, row_id, columns, transaction.request_id))

    def rollback(self, transaction: Transaction) -> None:
        """Undo everything, last first."""
        for undo in reversed(transaction.undo):
            undo()

    def insert(
        self,
        transaction: Transaction,
        table: TableSchema,
        row_id: str,
        values: dict[str, Any],
        columns: tuple[str, ...],
    ) -> Row:
        """Add a row; ``columns`` are those that were asked for.

        Raises ``ApiError`` 412 when its primary key or an alternate key is taken.
        """
        rows = self.rows[table.name]
        if row_id in rows:
            if self._settings.primary_key_conflict_code == PRIMARY_KEY_TAKEN:
                raise ApiError(412, PRIMARY_KEY_TAKEN, "Cannot insert duplicate key.")
            raise matching_key_exists()
        taken = self._entries(table, values, row_id)
        row = Row(table, row_id, values, self._next_version())
        values["versionnumber"] = row.version
        rows[row_id] = row
        for index, entry in taken:
            index.entries[entry] = row_id
        for column in self._lookups[table.name]:
            if (reference := values.get(column)) is not None:
                self._refer(table.name, column, reference, row_id)
        transaction.undo.append(lambda: self._remove(row))
        transaction.effects.append(("create", table.name, row_id, columns))
        return row

    def update(self, transaction: Transaction, row: Row, changes: Mapping[str, Any], columns: tuple[str, ...]) -> None:
        """Change columns of a row; ``columns`` are those that were asked for.

        Raises ``ApiError`` 412 when an alternate key is taken.
        """
        before, version = dict(row.values), row.version
        after = {**before, **changes}
        self._entries(row.table, after, row.id)
        self._replace(row, after, self._next_version())
        transaction.undo.append(lambda: self._replace(row, before, version))
        transaction.effects.append(("update", row.table.name, row.id, columns))

    def delete(self, transaction: Transaction, row: Row) -> None:
        """Remove a row and do to the rows that refer to it what their relationship says."""
        for collection in self.catalog.referrers_of(row.table.name):
            referring = self.referring(collection.child, collection.column.name, row.id)
            if not referring or collection.navigation.target != row.table.name:
                continue
            match collection.navigation.on_delete:
                case "Cascade":
                    for child in referring:
                        self.delete(transaction, child)
                case "RemoveLink":
                    column = collection.column.name
                    for child in referring:
                        self.update(transaction, child, {column: None}, (column,))
                case "Restrict":
                    raise ApiError(400, "0x80048496", "The row cannot be deleted because other rows refer to it.")
        self._remove(row)
        transaction.undo.append(lambda: self._restore(row))
        transaction.effects.append(("delete", row.table.name, row.id, ()))

    def set_key_status(self, table: str, key: str, status: KeyStatus) -> KeyStatus:
        """Move an alternate key's index; becoming Active builds it, and ends in Failed when rows collide."""
        index = self.keys[table][key]
        index.status = status
        index.entries = {}
        if status == "Active":
            for row in self.rows[table].values():
                entry = index.entry_of(row.values)
                if entry is None:
                    continue
                if entry in index.entries:
                    index.status, index.entries = "Failed", {}
                    break
                index.entries[entry] = row.id
        return index.status

    def _next_version(self) -> int:
        self._version += 1
        return self._version

    def _entries(
        self, table: TableSchema, values: Mapping[str, Any], row_id: str
    ) -> list[tuple[KeyIndex, tuple[Any, ...]]]:
        entries = []
        for index in self.keys[table.name].values():
            if index.status != "Active":
                continue
            entry = index.entry_of(values)
            if entry is None:
                continue
            if index.entries.get(entry, row_id) != row_id:
                labels = ", ".join(table.by_name[column].label for column in index.schema.columns)
                raise key_taken(index.schema.name, labels)
            entries.append((index, entry))
        return entries

    def _refer(self, table: str, column: str, reference: Reference, row_id: str) -> None:
        self._referring.setdefault((table, column), {}).setdefault(reference.id, {})[row_id] = None

    def _remove(self, row: Row) -> None:
        table = row.table.name
        del self.rows[table][row.id]
        self._unlink(row)

    def _unlink(self, row: Row) -> None:
        table = row.table.name
        for index in self.keys[table].values():
            entry = index.entry_of(row.values)
            if entry is not None and index.entries.get(entry) == row.id:
                del index.entries[entry]
        for column in self._lookups[table]:
            reference = row.values.get(column)
            if reference is not None:
                self._referring[table, column][reference.id].pop(row.id, None)

    def _restore(self, row: Row) -> None:
        self.rows[row.table.name][row.id] = row
        self._link(row)

    def _link(self, row: Row) -> None:
        for index, entry in self._entries(row.table, row.values, row.id):
            index.entries[entry] = row.id
        for column in self._lookups[row.table.name]:
            reference = row.values.get(column)
            if reference is not None:
                self._refer(row.table.name, column, reference, row.id)

    def _replace(self, row: Row, values: dict[str, Any], version: int) -> None:
        self._unlink(row)
        values["versionnumber"] = version
        row.values, row.version = values, version
        self._link(row)


def comparable(value: Any) -> Any:
    """Return what equality is decided by: text regardless of case, references by their id."""
    if type(value) is str:
        return value.casefold()
    if isinstance(value, Reference):
        return value.id
    return value
