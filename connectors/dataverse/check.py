"""Holding a mapping against the live tables: every name in the file, before the first document."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from connectors.dataverse.catalog import Catalog, UnknownTableError
from connectors.dataverse.columns import check_column, nearest
from connectors.dataverse.keys import SHORTEST_DIGEST
from connectors.dataverse.metadata import Attribute, Kind, Table
from connectors.dataverse.preparing import lines_relationship
from connectors.outcome import BlockedError
from mappings.compiled import CompiledMapping
from mappings.findings import Finding
from mappings.names import KeyPath, TargetAttachment, TargetColumn, TargetLines, TargetLookup, TargetNames
from mappings.plan import Identity

_REQUIRED = frozenset({"ApplicationRequired", "SystemRequired"})
_FILLED_BY_SERVER = frozenset({Kind.OWNER, Kind.STATE, Kind.STATUS, Kind.BOOLEAN, Kind.UNIQUEIDENTIFIER, Kind.OTHER})


class Checking:
    """Checks mappings against one environment."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    async def check(self, mapping: CompiledMapping) -> Sequence[Finding]:
        """Return a finding for each name that does not fit. Raises outcomes when the environment cannot be asked.

        What does not fit is held against tables that were read just now: somebody may have mended them meanwhile.
        """
        names = mapping.names()
        begun = self._catalog.now()
        findings = await self._check(mapping, names)
        tables = {names.table, *(lookup.table for lookup in names.lookups)}
        if names.lines is not None:
            tables.add(names.lines.table)
        if any(finding.severity == "error" for finding in findings) and self._catalog.forget_older(begun, tables):
            findings = await self._check(mapping, names)
        return findings

    async def _check(self, mapping: CompiledMapping, names: TargetNames) -> Sequence[Finding]:
        columns = [column.name for column in names.columns]
        if names.identity.column is not None:
            columns.append(names.identity.column)
        table = await self._table(names.table, columns)
        if table is None:
            return [_unknown_table(mapping, names.table_path, names.table)]
        findings = list(_check_columns(mapping, table, names.columns))
        findings += _check_identity(mapping, table, names.identity, names.identity_path)
        for lookup in names.lookups:
            findings += await self._check_lookup(mapping, table, lookup)
        if names.lines is not None:
            findings += await self._check_lines(mapping, table, names.lines)
        findings += _check_attachments(mapping, table, names.attachments)
        findings += _check_required(mapping, table, names)
        return findings

    async def _table(self, name: str, columns: Iterable[str]) -> Table | None:
        """Return the table with the limits of these columns and of every required one; None when there is none."""
        try:
            table = await self._catalog.table(name)
            required = [one.name for one in table.attributes.values() if _must_be_given(one, table)]
            return await self._catalog.settled(name, [*columns, *required])
        except UnknownTableError:
            return None

    async def _check_lookup(self, mapping: CompiledMapping, table: Table, lookup: TargetLookup) -> list[Finding]:
        matched = [column for rule in lookup.rules for column in rule.columns]
        target = await self._table(lookup.table, [column.name for column in matched])
        if target is None:
            return [_unknown_table(mapping, (*lookup.path, "table"), lookup.table)]
        findings = list(_check_navigation(mapping, table, lookup))
        for column in matched:
            attribute = target.attributes.get(column.name)
            if attribute is None:
                findings.append(_unknown_column(mapping, target, column))
                continue
            if attribute.kind.is_reference and lookup.missing != "create":
                attribute = replace(attribute, kind=Kind.UNIQUEIDENTIFIER)
            written = lookup.missing == "create"
            findings += check_column(mapping, target, attribute, column, written=written)
        return findings

    async def _check_lines(self, mapping: CompiledMapping, table: Table, lines: TargetLines) -> list[Finding]:
        line_table = await self._table(lines.table, [column.name for column in lines.columns])
        if line_table is None:
            return [_unknown_table(mapping, (*lines.path, "table"), lines.table)]
        findings = list(_check_columns(mapping, line_table, lines.columns))
        parents: set[str] = set()
        try:
            parents.add(lines_relationship(table, line_table).attribute)
        except BlockedError as error:
            findings.append(mapping.finding((*lines.path, "table"), error.code, error.message))
        if table.elastic or line_table.elastic:
            message = f"{table.name} is an elastic table: it cannot be written in one transaction with its lines."
            findings.append(mapping.finding((*lines.path, "table"), "elastic_table", message))
        covered = {column.name for column in lines.columns} | parents
        findings += _missing_columns(mapping, line_table, covered, lines.path)
        return findings


def _check_columns(mapping: CompiledMapping, table: Table, columns: Iterable[TargetColumn]) -> Iterator[Finding]:
    for column in columns:
        attribute = table.attributes.get(column.name)
        if attribute is None:
            yield _unknown_column(mapping, table, column)
        elif column.name == table.primary_id:
            message = f"{column.name} is the primary key: the bridge decides it. Remove the line."
            yield mapping.finding(column.path, "primary_key_mapped", message)
        else:
            yield from check_column(mapping, table, attribute, column)


def _check_identity(mapping: CompiledMapping, table: Table, identity: Identity, path: KeyPath) -> Iterator[Finding]:
    if identity.by != "alternate_key":
        return
    name = identity.column or ""
    attribute = table.attributes.get(name)
    if attribute is None:
        yield mapping.finding(path, "unknown_column", _no_such_column(table, name))
        return
    room = attribute.limits.max_length
    if attribute.kind is not Kind.STRING:
        message = (
            f"{name} is of the type {attribute.kind.value}; a key needs a text column of {SHORTEST_DIGEST} or more."
        )
        yield mapping.finding(path, "wrong_type", message)
    elif room is not None and room < SHORTEST_DIGEST:
        message = f"{name} holds {room} characters; a key needs {SHORTEST_DIGEST} or more, 64 at best."
        yield mapping.finding(path, "key_column_too_short", message)
    fault = table.key_fault(name)
    if fault is not None:
        yield mapping.finding(path, *fault)


def _check_navigation(mapping: CompiledMapping, table: Table, lookup: TargetLookup) -> Iterator[Finding]:
    found = table.lookups(lookup.column, lookup.table)
    if len(found) == 1:
        attribute = table.attributes.get(found[0].attribute)
        if attribute is not None and not (attribute.creatable and attribute.updatable):
            message = f"{attribute.name} cannot be written in {table.name}."
            yield mapping.finding(lookup.path, "column_not_writable", message)
        return
    code = "unknown_navigation_property"
    if found:
        names = ", ".join(str(one.navigation) for one in found)
        message = f"{lookup.column} stands for more than one navigation property to {lookup.table}: {names}. Name one."
        yield mapping.finding(lookup.path, code, message)
        return
    wanted = lookup.column.lower()
    alike = [
        one
        for one in table.many_to_one
        if one.navigation is not None and wanted in {one.navigation.lower(), one.attribute.lower()}
    ]
    right = [one.navigation for one in alike if one.referenced == lookup.table]
    if right:
        message = f"{table.name} has no navigation property {lookup.column!r}: it is written {right[0]!r}, exactly so."
        yield mapping.finding(lookup.path, code, message)
    elif alike:
        targets = " or ".join(sorted({one.referenced for one in alike}))
        message = f"{lookup.column} refers to {targets}, not to {lookup.table}."
        yield mapping.finding((*lookup.path, "table"), "lookup_target", message)
    else:
        hint = nearest(lookup.column, table.lookup_names())
        message = f"{table.name} has no navigation property {lookup.column!r}{hint}."
        yield mapping.finding(lookup.path, code, message)


def _check_attachments(
    mapping: CompiledMapping, table: Table, attachments: Iterable[TargetAttachment]
) -> Iterator[Finding]:
    for attachment in attachments:
        if attachment.kind == "note":
            if table.has_notes is False:
                message = f"{table.name} takes no notes. Switch attachments on for the table."
                yield mapping.finding(attachment.path, "notes_disabled", message)
            continue
        column = table.attributes.get(attachment.column or "")
        if column is None:
            yield mapping.finding(attachment.path, "unknown_column", _no_such_column(table, attachment.column or ""))
        elif column.kind not in {Kind.FILE, Kind.UNTOLD}:
            message = f"{column.name} is of the type {column.kind.value}, not a file column."
            yield mapping.finding(attachment.path, "wrong_type", message)


def _check_required(mapping: CompiledMapping, table: Table, names: TargetNames) -> Iterator[Finding]:
    covered = {column.name for column in names.columns}
    if names.identity.column is not None:
        covered.add(names.identity.column)
    for lookup in names.lookups:
        covered.update(one.attribute for one in table.lookups(lookup.column, lookup.table))
    return _missing_columns(mapping, table, covered, names.table_path)


def _missing_columns(mapping: CompiledMapping, table: Table, covered: set[str], path: KeyPath) -> Iterator[Finding]:
    for attribute in table.attributes.values():
        if attribute.name in covered or not _must_be_given(attribute, table):
            continue
        if attribute.required == "SystemRequired":
            message = f"{table.name} cannot be written without {attribute.name}. Add it to the mapping."
            yield mapping.finding(path, "required_column", message)
        else:
            message = f"{table.name}.{attribute.name} is marked as required, and the mapping leaves it empty."
            yield mapping.finding(path, "required_column", message, "warning")


def _must_be_given(attribute: Attribute, table: Table) -> bool:
    return (
        attribute.required in _REQUIRED
        and attribute.creatable
        and not attribute.has_default
        and attribute.kind not in _FILLED_BY_SERVER
        and attribute.name != table.primary_id
        and not attribute.name.startswith("owning")
    )


def _unknown_table(mapping: CompiledMapping, path: KeyPath, name: str) -> Finding:
    message = f"The environment has no table {name!r}. Logical names are wanted, in the singular and in lower case."
    return mapping.finding(path, "unknown_table", message)


def _unknown_column(mapping: CompiledMapping, table: Table, column: TargetColumn) -> Finding:
    return mapping.finding(column.path, "unknown_column", _no_such_column(table, column.name))


def _no_such_column(table: Table, name: str) -> str:
    return f"{table.name} has no column {name!r}{nearest(name, table.attributes)}."
