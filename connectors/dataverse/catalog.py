"""The tables of one environment, read when first needed, kept for a while, read once for all who wait."""

import asyncio
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic import BaseModel, ValidationError

from connectors.dataverse.client import DataverseClient, quoted
from connectors.dataverse.csdl import read_tables
from connectors.dataverse.definitions import (
    ATTRIBUTE_COLUMNS,
    KEY_COLUMNS,
    RELATIONSHIP_COLUMNS,
    TABLE_COLUMNS,
    TYPED,
    AttributeDefinition,
    KeyDefinition,
    RelationshipDefinition,
    TableDefinition,
    attributes_of,
    relationships_of,
)
from connectors.dataverse.metadata import Attribute, Kind, Limits, Table
from connectors.dataverse.refusals import refusal_of
from connectors.outcome import BlockedError, TransientError

TIME_TO_LIVE = 600.0
"""Seconds after which a table is read anew, in the background."""

FRESH = 60.0
"""Seconds: what was read this recently is not cured by reading it again."""

RELOAD_PAUSE = 30.0
"""Seconds before a reload in the background is tried again after it failed."""

_ABSENT = frozenset({400, 404, 405, 501})
_MANY = "ManyToOneRelationships"
_ONE = "OneToManyRelationships"

M = TypeVar("M", bound=BaseModel)


class UnknownTableError(Exception):
    """The environment has no table of this name."""

    def __init__(self, table: str) -> None:
        super().__init__(f"The environment has no table {table!r}.")
        self.table = table


@dataclass(slots=True)
class _Entry:
    table: Table
    stale_from: float


class Catalog:
    """Tables by logical name. ``monotonic`` tells seconds."""

    def __init__(self, client: DataverseClient, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._client = client
        self._monotonic = monotonic
        self._entries: dict[str, _Entry] = {}
        self._loading: dict[str, asyncio.Task[Table]] = {}
        self._settled: dict[tuple[str, frozenset[str]], Table] = {}
        self._csdl: dict[str, Table] | None = None
        self._csdl_read_at = 0.0

    async def table(self, name: str) -> Table:
        """Return a table; the limits of its columns may not be known yet. Raises ``UnknownTableError`` and outcomes."""
        entry = self._entries.get(name)
        if entry is None:
            return await asyncio.shield(self._load(name))
        if self._monotonic() >= entry.stale_from:
            entry.stale_from = self._monotonic() + RELOAD_PAUSE
            self._load(name)
        return entry.table

    async def settled(self, name: str, columns: Iterable[str]) -> Table:
        """Return a table with the limits of these columns, as far as the target tells them."""
        table = await self.table(name)
        wanted = (name, frozenset(columns))
        if self._settled.get(wanted) is table:
            return table
        kinds = {
            table.attributes[column].kind
            for column in wanted[1]
            if column in table.attributes and not table.attributes[column].settled
        }
        if kinds:
            table = await self._settle(table, sorted(kinds))
        self._settled[wanted] = table
        return table

    def forget(self, *names: str) -> None:
        """Have these tables read anew: what we know of them is out of date."""
        self._csdl = None
        for name in names:
            self._entries.pop(name, None)

    def doubt(self, *tables: Table) -> bool:
        """Have tables read anew, since the target refused a name; tell whether that can help: not if they just were."""
        self.forget(*(table.name for table in tables))
        return any(self._monotonic() - table.loaded_at > FRESH for table in tables)

    def now(self) -> float:
        """Return the moment, for ``forget_older``."""
        return self._monotonic()

    def forget_older(self, moment: float, names: Iterable[str]) -> bool:
        """Have those of these tables read anew that were read before the moment; tell whether there are any."""
        kept = [self._entries[name].table for name in names if name in self._entries]
        older = [table.name for table in kept if table.loaded_at < moment]
        outdated = bool(older) or (self._csdl is not None and self._csdl_read_at < moment)
        if outdated:
            self.forget(*older)
        return outdated

    @property
    def known(self) -> Sequence[Table]:
        """The tables that have been read."""
        return [entry.table for entry in self._entries.values()]

    async def close(self) -> None:
        """End what is being read."""
        loading = list(self._loading.values())
        for task in loading:
            task.cancel()
        await asyncio.gather(*loading, return_exceptions=True)

    def _load(self, name: str) -> asyncio.Task[Table]:
        task = self._loading.get(name)
        if task is None:
            task = asyncio.create_task(self._read(name), name=f"metadata of {name}")
            self._loading[name] = task
            task.add_done_callback(lambda done: self._loaded(name, done))
        return task

    def _loaded(self, name: str, task: asyncio.Task[Table]) -> None:
        self._loading.pop(name, None)
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._keep(task.result())
        elif isinstance(error, UnknownTableError):
            self._entries.pop(name, None)

    def _keep(self, table: Table) -> None:
        self._entries[table.name] = _Entry(table, self._monotonic() + TIME_TO_LIVE)
        self._settled = {wanted: kept for wanted, kept in self._settled.items() if wanted[0] != table.name}

    async def _read(self, name: str) -> Table:
        definition = await self._definition(name)
        if definition is None:
            table = (await self._from_csdl()).get(name)
            if table is None:
                raise UnknownTableError(name)
            return replace(table, loaded_at=self._monotonic())
        base = _definition_path(name)
        attributes = definition.Attributes
        if attributes is None:
            attributes = await self._entries_of(f"{base}/Attributes", ATTRIBUTE_COLUMNS, AttributeDefinition)
        keys = definition.Keys
        if keys is None:
            keys = await self._entries_of(f"{base}/Keys", KEY_COLUMNS, KeyDefinition)
        many, one = definition.ManyToOneRelationships, definition.OneToManyRelationships
        if many is None:
            many = await self._entries_of(f"{base}/{_MANY}", RELATIONSHIP_COLUMNS, RelationshipDefinition)
        if one is None:
            one = await self._entries_of(f"{base}/{_ONE}", RELATIONSHIP_COLUMNS, RelationshipDefinition)
        table = Table(
            name,
            definition.EntitySetName,
            definition.PrimaryIdAttribute,
            definition.PrimaryNameAttribute,
            attributes_of(attributes or ()),
            None if keys is None else tuple(key.key() for key in keys),
            relationships_of(many or (), name, many_to_one=True),
            relationships_of(one or (), name, many_to_one=False),
            definition.HasNotes,
            elastic=definition.TableType == "Elastic",
            loaded_at=self._monotonic(),
        )
        if attributes is None or many is None or one is None:
            described = (await self._from_csdl()).get(name)
            if described is not None:
                table = replace(
                    table,
                    attributes=table.attributes or described.attributes,
                    many_to_one=table.many_to_one or described.many_to_one,
                    one_to_many=table.one_to_many or described.one_to_many,
                )
        return table

    async def _definition(self, name: str) -> TableDefinition | None:
        """Ask for all at once, and for less when the target does not take that. None when it knows no such table."""
        base = _definition_path(name)
        expanded = (
            f"{base}?$select={TABLE_COLUMNS}&$expand=Attributes($select={ATTRIBUTE_COLUMNS}),Keys($select={KEY_COLUMNS}),"
            f"{_MANY}($select={RELATIONSHIP_COLUMNS}),{_ONE}($select={RELATIONSHIP_COLUMNS})"
        )
        for path in (expanded, f"{base}?$select={TABLE_COLUMNS}", base):
            answer = await self._ask(path)
            if answer is not None:
                return _parsed(TableDefinition, answer, path)
        return None

    async def _entries_of(self, base: str, columns: str, model: type[M]) -> list[M] | None:
        """Return the entries at ``base``; None when the target has nothing there."""
        return await self._first_entries((f"{base}?$select={columns}", base), model)

    async def _first_entries(self, paths: Sequence[str], model: type[M]) -> list[M] | None:
        for path in paths:
            answer = await self._ask(path)
            if isinstance(answer, dict) and isinstance(answer.get("value"), list):
                return [_parsed(model, entry, path) for entry in answer["value"]]
        return None

    async def _ask(self, path: str) -> Any:
        """Return the parsed answer; None when the target has nothing there. Raises the outcome of anything else."""
        purpose = "metadata"
        answer = await self._client.request("GET", path, purpose=purpose)
        if answer.status in _ABSENT:
            return None
        if answer.status >= 300:
            raise self._client.outcome(refusal_of(answer), purpose, mutating=False)
        return answer.json()

    async def _from_csdl(self) -> dict[str, Table]:
        if self._csdl is None or self._monotonic() - self._csdl_read_at > FRESH:
            read_at = self._monotonic()
            answer = await self._client.request(
                "GET", "$metadata", purpose="metadata", headers={"Accept": "application/xml"}
            )
            if answer.status in _ABSENT or answer.status in {406, 415}:
                return {}
            if answer.status >= 300:
                raise self._client.outcome(refusal_of(answer), "metadata", mutating=False)
            try:
                self._csdl = await asyncio.to_thread(read_tables, answer.body)
            except ValueError as error:
                raise TransientError("bad_answer", f"$metadata cannot be read: {error}.") from error
            self._csdl_read_at = read_at
        return self._csdl

    async def _limits(self, table: Table, kind: Kind) -> list[AttributeDefinition]:
        """Ask for the limits of one kind of column; nothing when the target does not tell them."""
        cast, query = TYPED[kind]
        base = f"{_definition_path(table.name)}/Attributes/Microsoft.Dynamics.CRM.{cast}"
        try:
            return await self._first_entries((f"{base}?{query}", base), AttributeDefinition) or []
        except BlockedError:
            return []

    async def _settle(self, table: Table, kinds: Sequence[Kind]) -> Table:
        """Ask for the limits of every column of these kinds. What the target does not tell stays unknown."""
        told: dict[str, AttributeDefinition] = {}
        for entries in await asyncio.gather(*(self._limits(table, kind) for kind in kinds)):
            told.update((entry.LogicalName, entry) for entry in entries if entry.LogicalName)
        current = self._entries.get(table.name)
        newest = table if current is None else current.table
        attributes = {
            name: _with_limits(attribute, told.get(name)) if attribute.kind in kinds else attribute
            for name, attribute in newest.attributes.items()
        }
        settled = replace(newest, attributes=attributes)
        if current is not None:
            current.table = settled
        return settled


def _with_limits(attribute: Attribute, told: AttributeDefinition | None) -> Attribute:
    limits = attribute.limits
    if told is not None and told.limits() != Limits():
        limits = told.limits()
    default = told is not None and told.DefaultFormValue is not None and told.DefaultFormValue >= 0
    return replace(attribute, limits=limits, has_default=attribute.has_default or default, settled=True)


def _definition_path(name: str) -> str:
    return f"EntityDefinitions(LogicalName={quoted(name)})"


def _parsed(model: type[M], answer: Any, path: str) -> M:
    try:
        return model.model_validate(answer)
    except ValidationError as error:
        where = urlsplit(path).path
        fields = ", ".join(".".join(map(str, one["loc"])) for one in error.errors()[:3])
        raise TransientError("bad_answer", f"The metadata at {where} is not as expected: {fields}.") from error
