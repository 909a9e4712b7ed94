"""Rows of other tables that a document's row refers to: found by value, remembered for a while."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from uuid import UUID
from weakref import WeakValueDictionary

from connectors.dataverse.catalog import Catalog, UnknownTableError
from connectors.dataverse.client import CREATED, JSON_HEADERS, DataverseClient, escaped, quoted
from connectors.dataverse.keys import lookup_row_id
from connectors.dataverse.metadata import Attribute, Kind, Table
from connectors.dataverse.refusals import refusal_of
from connectors.dataverse.values import DoesNotFitError, Json, encode, plain_text
from connectors.http import encode_json
from connectors.outcome import BlockedError, RejectedError, SkippedError, TransientError
from connectors.ports import RequestLog
from mappings.plan import LookupPlan, Problem, Scalar

TIME_TO_LIVE = 600.0
"""Seconds that a found row is remembered. Rows that were not found are looked for every time."""

LARGEST_CACHE = 20_000

_LONGEST_SHOWN = 200

_Key = tuple[str, tuple[tuple[str, Scalar], ...]]


@dataclass(frozen=True, slots=True)
class ResolvedLookup:
    """A row that was found. ``resolved_at`` is a monotonic time in seconds; ``path`` is what a binding points to."""

    key: _Key
    table: str
    set_name: str
    id: str
    resolved_at: float

    @property
    def path(self) -> str:
        """Return the reference to the row, relative to the API."""
        return f"/{self.set_name}({self.id})"


class Lookups:
    """Resolves references in one environment."""

    def __init__(
        self, client: DataverseClient, catalog: Catalog, *, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._client = client
        self._catalog = catalog
        self._monotonic = monotonic
        self._found: dict[_Key, ResolvedLookup] = {}
        self._locks: WeakValueDictionary[_Key, asyncio.Lock] = WeakValueDictionary()

    def remembered(self, plan: LookupPlan) -> ResolvedLookup | None:
        """Return the row if it was found not long ago."""
        if plan.criteria is None:
            return None
        found = self._found.get((plan.table, tuple(plan.criteria.items())))
        if found is not None and self._monotonic() - found.resolved_at < TIME_TO_LIVE:
            return found
        return None

    def age(self, resolved: ResolvedLookup) -> float:
        """Return how many seconds ago a row was found."""
        return self._monotonic() - resolved.resolved_at

    def forget(self, resolved: ResolvedLookup) -> None:
        """Look for this row anew next time: it is gone."""
        self._found.pop(resolved.key, None)

    async def resolve(
        self, plan: LookupPlan, log: RequestLog | None, *, create_missing: bool = True
    ) -> ResolvedLookup | None:
        """Find the row; None when it is to be left empty.

        Raises ``SkippedError`` and ``RejectedError`` by the mapping's policy (``lookup_missing``), ``RejectedError``
        (``lookup_ambiguous``, ``lookup_value_invalid``) for values that cannot lead to one row.
        """
        if plan.criteria is None:
            self._missing(plan, "has no value to look for")
            return None
        key: _Key = (plan.table, tuple(plan.criteria.items()))
        lock = self._locks.get(key)
        if lock is None:
            lock = self._locks[key] = asyncio.Lock()
        async with lock:
            remembered = self.remembered(plan)
            if remembered is not None:
                return remembered
            return await self._find(plan, key, plan.criteria, log, create_missing=create_missing)

    async def _find(
        self,
        plan: LookupPlan,
        key: _Key,
        criteria: Mapping[str, Scalar],
        log: RequestLog | None,
        *,
        create_missing: bool,
    ) -> ResolvedLookup | None:
        try:
            table = await self._catalog.settled(plan.table, criteria)
        except UnknownTableError as error:
            raise BlockedError("unknown_table", f"{error} Correct the mapping's lookup {plan.column}.") from error
        values = {column: self._value(plan, table, column, value) for column, value in criteria.items()}
        # A text that is longer than its column is not there; asking would make an address longer than a server takes.
        ids = [] if any(_is_too_long(*one) for one in values.values()) else await self._query(table, values, log)
        if len(ids) > 1:
            raise self._rejected(
                plan,
                "lookup_ambiguous",
                f"{_told(criteria)} is found more than once in {plan.table}; it must be unique",
            )
        if ids:
            return self._remember(key, table, ids[0])
        if plan.missing != "create":
            self._missing(plan, f"{_told(criteria)} is not found in {plan.table}")
            return None
        new_id = lookup_row_id(
            self._client.org_url, table.name, [(column, plain_text(value)) for column, value in criteria.items()]
        )
        if not create_missing:
            return ResolvedLookup(key, table.name, table.set_name, new_id, self._monotonic())
        return self._remember(key, table, await self._create(plan, table, values, new_id, log))

    def _value(self, plan: LookupPlan, table: Table, column: str, value: Scalar) -> tuple[Attribute, Json]:
        attribute = table.attributes.get(column)
        if attribute is None:
            raise BlockedError(
                "unknown_column", f"{table.name} has no column {column!r}. Correct {plan.column}'s match."
            )
        if attribute.kind.is_reference:
            attribute = replace(attribute, kind=Kind.UNIQUEIDENTIFIER)
        elif attribute.kind is Kind.UNTOLD and isinstance(value, str):
            attribute = replace(attribute, kind=Kind.STRING)
        try:
            return attribute, encode(replace(attribute, limits=replace(attribute.limits, max_length=None)), value)
        except DoesNotFitError as error:
            raise self._rejected(plan, "lookup_value_invalid", f"{_shown(value)} {error.message}") from error

    async def _query(
        self, table: Table, values: Mapping[str, tuple[Attribute, Json]], log: RequestLog | None
    ) -> list[str]:
        tests = [
            f"{_property(table, column)}%20eq%20{_literal(attribute, value)}"
            for column, (attribute, value) in values.items()
        ]
        path = f"{table.set_name}?$select={table.primary_id}&$filter={'%20and%20'.join(tests)}&$top=2"
        try:
            answer = await self._client.read(path, purpose=f"lookup in {table.name}", log=log)
        except BlockedError:
            self._catalog.forget(table.name)
            raise
        rows = answer.get("value") if isinstance(answer, dict) else None
        if not isinstance(rows, list):
            raise TransientError("bad_answer", f"A query of {table.set_name} was not answered with a list.")
        return [_id_of(row, table) for row in rows]

    async def _create(
        self,
        plan: LookupPlan,
        table: Table,
        values: Mapping[str, tuple[Attribute, Json]],
        new_id: str,
        log: RequestLog | None,
    ) -> str:
        if any(table.attributes[column].kind.is_reference for column in values):
            raise BlockedError(
                "lookup_not_creatable", f"{plan.column} matches by a reference: missing: create cannot write one."
            )
        for attribute, value in values.values():
            try:
                encode(attribute, value)
            except DoesNotFitError as error:
                raise self._rejected(plan, error.code, f"{attribute.name} {error.message}") from error
        body = {table.primary_id: new_id, **{column: value for column, (_, value) in values.items()}}
        purpose = f"create {table.name}"
        answer = await self._client.request(
            "POST",
            table.set_name,
            purpose=purpose,
            mutating=True,
            headers=JSON_HEADERS,
            body=encode_json(body),
            log=log,
        )
        if answer.status in CREATED:
            return new_id
        refusal = refusal_of(answer)
        if answer.status >= 300 and not refusal.taken:
            raise self._client.outcome(refusal, purpose, mutating=True, name=lambda _: (_field(plan), plan.column))
        ids = await self._query(table, values, log)
        if len(ids) == 1:
            return ids[0]
        if not ids and await self._is_there(table, new_id, log):
            # It was created for these very values, and somebody has put them right since.
            return new_id
        raise TransientError(
            "lookup_unsettled", f"A row of {table.name} is being created by someone else; looking again."
        )

    async def _is_there(self, table: Table, row_id: str, log: RequestLog | None) -> bool:
        path = f"{table.set_name}({row_id})?$select={table.primary_id}"
        purpose = f"lookup in {table.name}"
        answer = await self._client.request("GET", path, purpose=purpose, log=log)
        if answer.status < 300:
            return _id_of(answer.json(), table) == row_id
        refusal = refusal_of(answer)
        if refusal.not_found:
            return False
        raise self._client.outcome(refusal, purpose, mutating=False)

    def _remember(self, key: _Key, table: Table, row_id: str) -> ResolvedLookup:
        found = ResolvedLookup(key, table.name, table.set_name, row_id, self._monotonic())
        if len(self._found) >= LARGEST_CACHE:
            del self._found[next(iter(self._found))]
        self._found[key] = found
        return found

    def _missing(self, plan: LookupPlan, what: str) -> None:
        """Follow the mapping's policy: return to leave the reference empty, or raise."""
        if plan.missing == "empty":
            return
        if plan.missing == "skip":
            raise SkippedError("lookup_missing", f"{_named(plan)}{what} (column {plan.column}).")
        raise self._rejected(plan, "lookup_missing", what)

    def _rejected(self, plan: LookupPlan, code: str, what: str) -> RejectedError:
        return RejectedError((Problem(_field(plan), plan.column, code, f"{_named(plan)}{what}."),))


def _property(table: Table, column: str) -> str:
    return f"_{column}_value" if table.attributes[column].kind.is_reference else column


def _is_too_long(attribute: Attribute, value: Json) -> bool:
    longest = attribute.limits.max_length
    return isinstance(value, str) and longest is not None and len(value) > longest


def _literal(attribute: Attribute, value: Json) -> str:
    if value is None:
        return "null"
    if attribute.kind.is_text or attribute.kind is Kind.MULTI_SELECT:
        return quoted(str(value))
    if isinstance(value, bool):
        return "true" if value else "false"
    return escaped(plain_text(value))


def _id_of(row: object, table: Table) -> str:
    value = row.get(table.primary_id) if isinstance(row, dict) else None
    try:
        return str(UUID(str(value)))
    except ValueError:
        raise TransientError("bad_answer", f"A row of {table.set_name} came without its {table.primary_id}.") from None


def _told(criteria: Mapping[str, Scalar]) -> str:
    return " and ".join(f"{column} {_shown(value)}" for column, value in criteria.items())


def _shown(value: Scalar) -> str:
    """Return a value for a message, and the beginning of a long one."""
    text = plain_text(value)
    return repr(text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…")


def _field(plan: LookupPlan) -> str | None:
    return plan.fields[0] if plan.fields else None


def _named(plan: LookupPlan) -> str:
    return f"{', '.join(plan.fields)}: " if plan.fields else ""
