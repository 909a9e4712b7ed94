"""Table schemas, and the catalog of them that knows who refers to whom."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Literal
from uuid import NAMESPACE_DNS, UUID, uuid5

from connectors.dataverse.sandbox.columns import (
    BigIntColumn,
    Column,
    DateTimeColumn,
    DecimalColumn,
    GuidColumn,
    LookupColumn,
    MoneyColumn,
    Navigation,
    OwnerColumn,
    StateColumn,
    StatusColumn,
)

_METADATA_IDS = uuid5(NAMESPACE_DNS, "metadata.sandbox.numora-bridge")


@dataclass(frozen=True)
class KeySchema:
    """An alternate key over one or more columns."""

    name: str
    columns: tuple[str, ...]

    @property
    def schema_name(self) -> str:
        """The key's name in metadata."""
        return self.name


@dataclass(frozen=True)
class TableSchema:
    """A table as its maker describes it; primary key, state, dates, version and owner are added.

    ``set_name`` defaults to the logical name with an s, ``primary_id`` to the logical name with id. The maker's own
    columns stand first; a column that is given by the name of a system column takes its place.
    """

    name: str
    columns: tuple[Column, ...]
    keys: tuple[KeySchema, ...] = ()
    set_name: str = ""
    primary_id: str = ""
    primary_name: str = ""
    schema_name: str = ""
    label: str = ""
    has_notes: bool = True
    user_owned: bool = True
    optimistic_concurrency: bool = True
    table_type: Literal["Standard", "Elastic"] = "Standard"
    by_name: Mapping[str, Column] = field(init=False, repr=False, compare=False)
    writable: Mapping[str, Column] = field(init=False, repr=False, compare=False)
    navigations: Mapping[str, tuple[LookupColumn, tuple[Navigation, ...]]] = field(
        init=False, repr=False, compare=False
    )
    by_json_name: Mapping[str, Column] = field(init=False, repr=False, compare=False)
    money: tuple[MoneyColumn, ...] = field(init=False, repr=False, compare=False)
    system_required: tuple[Column, ...] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._default("set_name", f"{self.name}s")
        self._default("primary_id", f"{self.name}id")
        spelled = self.name.rpartition("_")
        self._default("schema_name", f"{spelled[0]}{spelled[1]}{spelled[2][:1].upper()}{spelled[2][1:]}")
        self._default("label", self.schema_name.rpartition("_")[2])
        if not self.primary_name:
            text = (column.name for column in self.columns if column.attribute_type == "String")
            self._default("primary_name", next(text, self.primary_id))
        by_name = {column.name: column for column in self.columns}
        for column in self._system_columns():
            by_name.setdefault(column.name, column)
        self._set("columns", tuple(by_name.values()))
        self._set("by_name", by_name)
        self._set("writable", {column.name: column for column in self.columns if not isinstance(column, LookupColumn)})
        self._set("by_json_name", {column.json_name: column for column in self.columns})
        self._set("money", tuple(column for column in self.columns if _is_entered_money(column)))
        self._set("system_required", tuple(column for column in self.columns if column.required == "SystemRequired"))
        ways: dict[str, tuple[LookupColumn, tuple[Navigation, ...]]] = {}
        for column in self.columns:
            if isinstance(column, LookupColumn):
                for navigation in column.navigations:
                    known = ways.get(navigation.name)
                    ways[navigation.name] = (column, (*known[1], navigation) if known else (navigation,))
        self._set("navigations", ways)

    @property
    def metadata_id(self) -> UUID:
        """The id of the table in metadata; the same in every run."""
        return uuid5(_METADATA_IDS, self.name)

    def key_of(self, columns: Iterable[str]) -> KeySchema | None:
        """Return the alternate key over exactly these columns."""
        wanted = set(columns)
        return next((key for key in self.keys if set(key.columns) == wanted), None)

    def _default(self, name: str, value: str) -> None:
        if not getattr(self, name):
            self._set(name, value)

    def _set(self, name: str, value: object) -> None:
        object.__setattr__(self, name, value)

    def _system_columns(self) -> Iterable[Column]:
        yield GuidColumn(name=self.primary_id, required="SystemRequired", updatable=False)
        yield StateColumn(name="statecode", schema_name="statecode", label="Status", required="SystemRequired")
        yield StatusColumn(name="statuscode", schema_name="statuscode", label="Status Reason")
        yield DateTimeColumn(name="createdon", schema_name="CreatedOn", creatable=False, updatable=False)
        yield DateTimeColumn(name="modifiedon", schema_name="ModifiedOn", creatable=False, updatable=False)
        yield BigIntColumn(name="versionnumber", schema_name="VersionNumber", creatable=False, updatable=False)
        if self.user_owned:
            yield OwnerColumn(
                name="ownerid",
                schema_name="OwnerId",
                required="SystemRequired",
                navigations=tuple(
                    Navigation(name="ownerid", target=target, collection=f"{kind}_{self.name}")
                    for target, kind in (("systemuser", "user"), ("team", "team"))
                ),
            )
        if any(_is_entered_money(column) for column in self.columns):
            yield from self._money_columns()

    def _money_columns(self) -> Iterable[Column]:
        yield LookupColumn(
            name="transactioncurrencyid",
            schema_name="TransactionCurrencyId",
            navigations=(
                Navigation(
                    name="transactioncurrencyid",
                    target="transactioncurrency",
                    collection=f"TransactionCurrency_{self.name}",
                    on_delete="Restrict",
                ),
            ),
        )
        yield DecimalColumn(
            name="exchangerate", schema_name="ExchangeRate", precision=10, creatable=False, updatable=False
        )
        for column in self.columns:
            if _is_entered_money(column) and isinstance(column, MoneyColumn):
                yield replace(
                    column,
                    name=f"{column.name}_base",
                    schema_name=f"{column.schema_name}_Base",
                    label=f"{column.label} (Base)",
                    required="None",
                    precision=4,
                    minimum=Decimal(-922337203685477),
                    creatable=False,
                    updatable=False,
                )


def _is_entered_money(column: Column) -> bool:
    return isinstance(column, MoneyColumn) and column.creatable


@dataclass(frozen=True)
class Collection:
    """The way from a row to those that refer to it."""

    navigation: Navigation
    parent: str
    child: TableSchema
    column: LookupColumn


class Catalog:
    """Every table of an environment, by logical name and by set name."""

    def __init__(self, tables: Iterable[TableSchema]) -> None:
        self.by_name: dict[str, TableSchema] = {}
        self.by_set: dict[str, TableSchema] = {}
        self._collections: dict[str, dict[str, Collection]] = {}
        self._referrers: dict[str, list[Collection]] = {}
        for table in tables:
            self.by_name[table.name] = table
        annotation = self.by_name.get("annotation")
        if annotation is not None:
            self.by_name["annotation"] = self._with_notes(annotation)
        for table in self.by_name.values():
            self.by_set[table.set_name] = table
            self._collections.setdefault(table.name, {})
        for table in self.by_name.values():
            self._refer(table)

    def collections_of(self, table: str) -> Mapping[str, Collection]:
        """Return the collection navigation properties of a table, by name."""
        return self._collections[table]

    def referrers_of(self, table: str) -> Iterable[Collection]:
        """Return everything that can refer to a table."""
        return self._referrers.get(table, ())

    def _refer(self, table: TableSchema) -> None:
        for column, navigations in table.navigations.values():
            for navigation in navigations:
                if navigation.target not in self.by_name:
                    raise ValueError(
                        f"{table.name}.{column.name} refers to the table {navigation.target}, which is missing"
                    )
                collection = Collection(navigation, navigation.target, table, column)
                self._collections[navigation.target][navigation.collection] = collection
                self._referrers.setdefault(navigation.target, []).append(collection)

    def _with_notes(self, annotation: TableSchema) -> TableSchema:
        ways = tuple(
            Navigation(
                name=f"objectid_{table.name}",
                target=table.name,
                collection=f"{table.name}_Annotations" if "_" in table.name else f"{table.schema_name}_Annotation",
                on_delete="Cascade",
            )
            for table in self.by_name.values()
            if table.has_notes
        )
        columns = tuple(
            replace(column, navigations=ways)
            if isinstance(column, LookupColumn) and column.name == "objectid"
            else column
            for column in annotation.columns
        )
        return replace(annotation, columns=columns)
