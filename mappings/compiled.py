"""A mapping ready for documents: pure, and the same for everyone who applies it."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final, Literal

from mappings import codes
from mappings.columns import Column, Scope, TraceStep, row_key
from mappings.document import Document, LineItem
from mappings.findings import Finding
from mappings.model import CaseSpec
from mappings.names import KeyPath, TargetAttachment, TargetLines, TargetLookup, TargetNames, TargetRule
from mappings.plan import (
    AttachmentPlan,
    Identity,
    LineRow,
    LinesPlan,
    LookupPlan,
    MappingResult,
    MissingPolicy,
    Problem,
    Rejection,
    Scalar,
    Skip,
    WritePlan,
)
from mappings.selection import Selection
from mappings.values import ValueProblemError
from mappings.yaml_source import YamlSource

LINE_ITEMS: Final = "line_items"
"""In ``guards.confirmed`` this name stands for every row of the document's line items."""


@dataclass(frozen=True, slots=True)
class Guards:
    """What a document must meet before anything else; the least confidence is part of each column."""

    duplicate: Literal["skip", "deliver"] = "skip"
    confirmed: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Lookup:
    """A compiled lookup: the first rule whose criteria all have values is used.

    ``fields`` are those of every rule, ``rule_fields`` those of each, in the reviewer's words.
    """

    column: str
    table: str
    rules: tuple[tuple[Column, ...], ...]
    missing: MissingPolicy
    path: KeyPath
    rule_paths: tuple[KeyPath, ...]
    fields: tuple[str, ...]
    rule_fields: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Lines:
    """The compiled lines: ``rows`` picks the list, ``key`` each row's stable id."""

    rows: Selection
    table: str
    key: Selection
    columns: tuple[Column, ...]
    path: KeyPath
    prefix: str


@dataclass(frozen=True, slots=True)
class Attachment:
    """A compiled attachment; ``url`` picks the address."""

    url: Column
    kind: Literal["note", "file_column"]
    column: str | None
    path: KeyPath


@dataclass(frozen=True, slots=True)
class Parts:
    """What a mapping consists of once it is compiled."""

    guards: Guards
    columns: tuple[Column, ...]
    lookups: tuple[Lookup, ...]
    lines: Lines | None
    attachments: tuple[Attachment, ...]
    tests: tuple[CaseSpec, ...]
    sources: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The result of a document, and how every value of it came about."""

    result: MappingResult
    steps: tuple[TraceStep, ...]


@dataclass(frozen=True, slots=True)
class CompiledMapping:
    """A mapping file that passed the lint.

    ``name`` is the file's base name, ``file`` its path as given, ``digest`` the hex SHA-256 of ``text``. ``warnings``
    are what the lint found worth a word.
    """

    name: str
    file: str
    text: str
    digest: str
    schema: str
    destination: str
    table: str
    identity: Identity
    warnings: tuple[Finding, ...]
    parts: Parts = field(repr=False)
    source: YamlSource = field(repr=False, compare=False)

    def apply(self, document: Document) -> MappingResult:
        """Return what is to be written for a document, or every reason why it cannot be. Never raises."""
        return self._run(document, None)

    def explain(self, document: Document) -> Explanation:
        """Return the same as ``apply``, with one trace step for each value."""
        trace: list[TraceStep] = []
        result = self._run(document, trace)
        return Explanation(result, tuple(trace))

    def finding(
        self, path: KeyPath, code: str, message: str, severity: Literal["error", "warning"] = "error"
    ) -> Finding:
        """Return a finding about the key at ``path`` of the file, with its position."""
        return self.source.finding(path, code, message, key=True, warning=severity == "warning")

    def names(self) -> TargetNames:
        """Return every name that the destination must know, for the check against its metadata."""
        lines = self.parts.lines
        return TargetNames(
            self.table,
            ("table",),
            self.identity,
            ("identity",),
            tuple(column.target() for column in self.parts.columns),
            tuple(_target_lookup(lookup) for lookup in self.parts.lookups),
            TargetLines(lines.table, tuple(column.target() for column in lines.columns), lines.path) if lines else None,
            tuple(TargetAttachment(item.kind, item.column, item.path) for item in self.parts.attachments),
        )

    def _run(self, document: Document, trace: list[TraceStep] | None) -> MappingResult:
        parts = self.parts
        if document.duplicate_of and parts.guards.duplicate == "skip":
            message = (
                f"The source marks this document as a duplicate of {document.duplicate_of}. To deliver it all the "
                "same, remove the mark in review, or set `guards: {duplicate: deliver}` in the mapping."
            )
            return Skip(codes.DUPLICATE, message)
        problems: list[Problem] = []
        if parts.guards.confirmed:
            problems.extend(_unconfirmed(parts.guards.confirmed, document))
        scope = Scope(document.view(), document.confidences)
        columns = {column.name: column.evaluate(scope, problems, trace) for column in parts.columns}
        lookups = [_lookup(lookup, scope, problems, trace) for lookup in parts.lookups]
        lines = _lines(parts.lines, document, scope.view, problems, trace) if parts.lines else None
        attachments = tuple(_attachments(parts.attachments, scope, problems, trace))
        found = tuple(lookup for lookup in lookups if lookup is not None)
        plan = WritePlan(self.table, self.identity, columns, found, lines, attachments, parts.sources)
        return Rejection(tuple(problems), plan) if problems else plan


def _unconfirmed(wanted: tuple[str, ...], document: Document) -> Iterator[Problem]:
    state = document.review_state if isinstance(document.review_state, Mapping) else {}
    fields = _names(state.get("confirmed_general_field_names"))
    rows = _names(state.get("confirmed_line_item_ids"))
    for name in wanted:
        if name == LINE_ITEMS:
            keys = (
                row_key(item.values.get("id")) or f"row-{index}" for index, item in enumerate(document.line_items, 1)
            )
            yield from (_not_confirmed(f"{LINE_ITEMS}[{key}]") for key in keys if key not in rows)
        elif name not in fields:
            yield _not_confirmed(name)


def _names(value: Any) -> frozenset[str]:
    return (
        frozenset(item for item in value if isinstance(item, str)) if isinstance(value, (list, tuple)) else frozenset()
    )


def _not_confirmed(name: str) -> Problem:
    message = f"{name} must be confirmed before the document is delivered. Confirm it in review."
    return Problem(name, None, codes.NOT_CONFIRMED, message)


def _lookup(
    lookup: Lookup,
    scope: Scope,
    problems: list[Problem],
    trace: list[TraceStep] | None,
) -> LookupPlan | None:
    """Return what to look for; None when there is a problem, which is noted."""
    for rule, fields in zip(lookup.rules, lookup.rule_fields, strict=True):
        found = len(problems)
        criteria = {column.name: column.evaluate(scope, problems, trace) for column in rule}
        if len(problems) > found:
            problems[found:] = [
                Problem(problem.field, lookup.column, problem.code, problem.message) for problem in problems[found:]
            ]
            return None
        if all(value is not None for value in criteria.values()):
            return LookupPlan(lookup.column, lookup.table, criteria, lookup.missing, fields)
    if lookup.missing in {"reject", "create"}:
        names = ", ".join(lookup.fields)
        message = (
            f"There is nothing to find the {lookup.table} by: {names or 'every value'} is empty. Fill it in review."
        )
        problems.append(Problem(names or None, lookup.column, codes.LOOKUP_WITHOUT_VALUES, message))
        return None
    return LookupPlan(lookup.column, lookup.table, None, lookup.missing, lookup.fields)


def _lines(
    lines: Lines,
    document: Document,
    view: Any,
    problems: list[Problem],
    trace: list[TraceStep] | None,
) -> LinesPlan:
    try:
        selected = lines.rows.select(view)
    except ValueProblemError as problem:
        problems.append(Problem(lines.prefix, None, problem.code, problem.message))
        selected = None
    if selected is None:
        selected = []
    if not isinstance(selected, list) or not all(isinstance(row, dict) for row in selected):
        message = (
            f"{lines.prefix} is not a list of rows, so it has no lines. Name one in the mapping's `lines: {{from: …}}`."
        )
        problems.append(Problem(lines.prefix, None, codes.NOT_A_LIST, message))
        selected = []
    items = {id(item.values): item for item in document.line_items}
    rows: list[LineRow] = []
    for key, values in zip(_keys(lines.key, selected), selected, strict=True):
        item: LineItem | None = items.get(id(values))
        confidences: Mapping[str, Decimal] = item.confidences if item else {}
        scope = Scope(values, confidences, lines.prefix, key)
        columns: dict[str, Scalar] = {column.name: column.evaluate(scope, problems, trace) for column in lines.columns}
        rows.append(LineRow(key, columns))
    return LinesPlan(lines.table, tuple(rows))


def _keys(selection: Selection, rows: list[Any]) -> list[str]:
    """Return a key for every row, no two alike.

    Its own; ``row-3``, by position, for one that has none; ``li_1-2`` for the second ``li_1``.
    """
    own = [_own_key(selection, row) for row in rows]
    given = [key for key in own if key is not None]
    taken = set(given)
    if len(taken) == len(rows):
        return given
    keys: list[str] = []
    seen: set[str] = set()
    for position, key in enumerate(own, 1):
        wanted = key if key is not None else f"row-{position}"
        chosen, count = wanted, 1
        while chosen in seen or (chosen != key and chosen in taken):
            count += 1
            chosen = f"{wanted}-{count}"
        seen.add(chosen)
        keys.append(chosen)
    return keys


def _own_key(selection: Selection, row: Any) -> str | None:
    try:
        return row_key(selection.select(row))
    except ValueProblemError:
        return None


def _attachments(
    attachments: tuple[Attachment, ...],
    scope: Scope,
    problems: list[Problem],
    trace: list[TraceStep] | None,
) -> Iterator[AttachmentPlan]:
    for attachment in attachments:
        url = attachment.url.evaluate(scope, problems, trace)
        if isinstance(url, str):
            yield AttachmentPlan(url.strip(), attachment.kind, attachment.column)


def _target_lookup(lookup: Lookup) -> TargetLookup:
    rules = tuple(
        TargetRule(tuple(column.target() for column in rule), path)
        for rule, path in zip(lookup.rules, lookup.rule_paths, strict=True)
    )
    return TargetLookup(lookup.column, lookup.table, rules, lookup.missing, lookup.path)
