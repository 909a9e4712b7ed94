"""From a write plan to a prepared row: names from metadata, values held against limits, references resolved."""

import asyncio
from collections.abc import Mapping, Sequence

from connectors.dataverse.catalog import Catalog, UnknownTableError
from connectors.dataverse.keys import SHORTEST_DIGEST, digest, line_ids, row_id
from connectors.dataverse.lookups import Lookups, ResolvedLookup
from connectors.dataverse.metadata import Relationship, Table
from connectors.dataverse.naming import line_field
from connectors.dataverse.prepared import Binding, PreparedLine, PreparedLines, PreparedRow
from connectors.dataverse.values import DoesNotFitError, Json, encode_columns
from connectors.outcome import BlockedError, OutcomeError, RejectedError
from connectors.ports import DocumentKey, FoundRow, RequestLog
from mappings.plan import LinesPlan, LookupPlan, Problem, Scalar, WritePlan

MOST_LINES = 999
"""A document is created in one transaction, which takes the row and this many lines."""


class Preparing:
    """Prepares plans for one environment."""

    def __init__(self, catalog: Catalog, lookups: Lookups) -> None:
        self._catalog = catalog
        self._lookups = lookups

    async def prepare(self, plan: WritePlan, key: DocumentKey, log: RequestLog, *, create_missing: bool) -> PreparedRow:
        """Return the row. Raises ``RejectedError`` with every problem of the document, and the lookups' outcomes."""
        try:
            table = await self._catalog.settled(plan.table, _names(plan))
            line_table = None if plan.lines is None else await self._line_table(plan.lines)
        except UnknownTableError as error:
            raise BlockedError("unknown_table", f"{error} Correct the mapping, or create the table.") from error
        problems: list[Problem] = []
        columns = _columns(table, plan.columns, plan.sources, problems)
        lines = None
        if plan.lines is not None and line_table is not None:
            lines = _lines(table, line_table, plan.lines, plan.sources, key, problems)
        bindings, resolved = await self._bindings(table, plan.lookups, log, problems, create_missing=create_missing)
        if problems:
            raise RejectedError(tuple(problems))
        key_column = key_value = None
        if plan.identity.by == "alternate_key":
            key_column, key_value = self._alternate_key(table, plan.identity.column, key)
            columns[key_column] = key_value
        return PreparedRow(
            key,
            table,
            row_id(key) if key_column is None else None,
            key_column,
            key_value,
            columns,
            bindings,
            lines,
            plan.attachments,
            plan.sources,
            resolved,
            tuple(
                FoundRow(one.column, row.table, row.id, self._lookups.age(row))
                for one in plan.lookups
                if (row := self._lookups.remembered(one)) is not None
            ),
        )

    def _alternate_key(self, table: Table, column: str | None, key: DocumentKey) -> tuple[str, str]:
        attribute = table.attributes.get(column or "")
        if column is None or attribute is None:
            raise _unknown_column(table, str(column))
        fault = table.key_fault(column)
        if fault is not None:
            self._catalog.forget(table.name)
            raise BlockedError(*fault)
        room = attribute.limits.max_length
        if room is not None and room < SHORTEST_DIGEST:
            message = f"{column} holds {room} characters; a key needs {SHORTEST_DIGEST} or more."
            raise BlockedError("key_column_too_short", message)
        return column, digest(key, room)

    async def _line_table(self, lines: LinesPlan) -> Table:
        return await self._catalog.settled(lines.table, frozenset().union(*[row.columns for row in lines.rows]))

    async def _bindings(
        self,
        table: Table,
        plans: Sequence[LookupPlan],
        log: RequestLog,
        problems: list[Problem],
        *,
        create_missing: bool,
    ) -> tuple[tuple[Binding, ...], tuple[ResolvedLookup, ...]]:
        if not plans:
            return (), ()
        relationships = [_relationship(table, plan) for plan in plans]
        found: list[ResolvedLookup | BaseException | None] = [self._lookups.remembered(plan) for plan in plans]
        wanted = [number for number, one in enumerate(found) if one is None]
        if wanted:
            # A document that cannot be written anyway creates no rows in other tables.
            creating = create_missing and not problems
            answers = await asyncio.gather(
                *(self._lookups.resolve(plans[number], log, create_missing=creating) for number in wanted),
                return_exceptions=True,
            )
            for number, answer in zip(wanted, answers, strict=True):
                found[number] = answer
        return _bound(relationships, found, problems)


def _names(plan: WritePlan) -> frozenset[str]:
    own = frozenset(plan.columns)
    return own if plan.identity.column is None else own | {plan.identity.column}


def _bound(
    relationships: Sequence[Relationship],
    found: Sequence[ResolvedLookup | BaseException | None],
    problems: list[Problem],
) -> tuple[tuple[Binding, ...], tuple[ResolvedLookup, ...]]:
    bindings: list[Binding] = []
    resolved: list[ResolvedLookup] = []
    other: list[BaseException] = []
    for relationship, one in zip(relationships, found, strict=True):
        navigation = relationship.navigation or ""
        if isinstance(one, RejectedError):
            problems += one.problems
        elif isinstance(one, BaseException):
            other.append(one)
        elif one is None:
            bindings.append(Binding(navigation, relationship.attribute, None, None))
        else:
            bindings.append(Binding(navigation, relationship.attribute, one.path, one.id))
            resolved.append(one)
    # What nobody expected comes first, then what may pass; a skip only stands when nothing else is wrong.
    unexpected = [one for one in other if not isinstance(one, OutcomeError)]
    if unexpected:
        raise unexpected[0]
    if other and not problems:
        raise other[0]
    # A column of several tables is written once: a reference that is left empty must not take back the one that is not.
    written = {one.attribute for one in bindings if one.path is not None}
    return tuple(one for one in bindings if one.path is not None or one.attribute not in written), tuple(resolved)


def _columns(
    table: Table, values: Mapping[str, Scalar], sources: Mapping[str, str], problems: list[Problem]
) -> dict[str, Json]:
    faults: list[tuple[str, DoesNotFitError]] = []
    try:
        columns = encode_columns(table.attributes, values, faults)
    except KeyError as error:
        raise _unknown_column(table, error.args[0]) from None
    problems += [_misfit(name, sources.get(name), error) for name, error in faults]
    return columns


def _lines(
    table: Table,
    line_table: Table,
    plan: LinesPlan,
    sources: Mapping[str, str],
    key: DocumentKey,
    problems: list[Problem],
) -> PreparedLines:
    relationship = lines_relationship(table, line_table)
    if len(plan.rows) > MOST_LINES:
        problems.append(
            Problem(
                "line_items",
                None,
                "too_many_lines",
                f"line_items: {len(plan.rows)} lines, and Dynamics takes at most {MOST_LINES} with a document.",
            )
        )
    rows: list[PreparedLine] = []
    for row, id_ in zip(plan.rows, line_ids(key, [row.key for row in plan.rows]), strict=True):
        faults: list[tuple[str, DoesNotFitError]] = []
        try:
            rows.append(PreparedLine(row.key, id_, encode_columns(line_table.attributes, row.columns, faults)))
        except KeyError as error:
            raise _unknown_column(line_table, error.args[0]) from None
        for name, fault in faults:
            source = line_field(sources.get(f"{plan.table}.{name}"), row.key)
            problems.append(_misfit(name, source, fault))
    return PreparedLines(line_table, relationship, tuple(rows))


def _misfit(column: str, source: str | None, error: DoesNotFitError) -> Problem:
    return Problem(source, column, error.code, f"{source or column} {error.message}.")


def lines_relationship(table: Table, line_table: Table) -> Relationship:
    """Return the one relationship that makes lines belong to the row. Raises ``BlockedError``."""
    found = table.lines(line_table.name)
    if len(found) != 1:
        how_many = "no relationship" if not found else "more than one relationship"
        raise BlockedError(
            "lines_relationship", f"{line_table.name} has {how_many} to {table.name}; it needs exactly one."
        )
    one = found[0]
    if one.navigation is not None:
        return one
    other = [other for other in line_table.many_to_one if other.attribute == one.attribute and other.navigation]
    if not other:
        raise BlockedError("lines_relationship", f"{line_table.name}.{one.attribute} has no navigation property.")
    return Relationship(one.referencing, one.attribute, one.referenced, other[0].navigation, one.collection)


def _relationship(table: Table, plan: LookupPlan) -> Relationship:
    found = table.lookups(plan.column, plan.table)
    if len(found) != 1:
        raise BlockedError(
            "unknown_navigation_property",
            f"{table.name} has no navigation property {plan.column!r} to {plan.table}. Run check for the right name.",
        )
    return found[0]


def _unknown_column(table: Table, name: str) -> BlockedError:
    return BlockedError(
        "unknown_column", f"{table.name} has no column {name!r}. Correct the mapping, or create the column."
    )
