"""From the text of a mapping file to a mapping at work, or to everything that is wrong with it."""

from functools import lru_cache
from hashlib import sha256
from pathlib import PurePath
from typing import Final

from mappings import codes
from mappings.amounts import amount_format
from mappings.cases import TestResult, run_tests
from mappings.column_spec import compile_column, locale_of
from mappings.columns import Column, in_words
from mappings.compiled import LINE_ITEMS, Attachment, CompiledMapping, Guards, Lines, Lookup, Parts
from mappings.findings import FindingsError
from mappings.flow_steps import shield_steps, unshield
from mappings.lint import Lint
from mappings.model import AttachmentSpec, ColumnSpec, LookupSpec, MappingFile
from mappings.names import KeyPath
from mappings.plan import Identity
from mappings.salvage import Salvage, salvage
from mappings.transforms import text_of
from mappings.yaml_source import survey_yaml, validate

_KEPT: Final = 256

__all__ = ["TestResult", "compile_mapping", "run_tests"]


@lru_cache(maxsize=_KEPT)
def compile_mapping(text: str, file: str) -> CompiledMapping:
    """Compile the text of a mapping file; ``file`` is its path as findings are to show it.

    The same text under the same name gives the same mapping, compiled once: many tenants share a file.
    Raises ``FindingsError`` with every error and warning when there is an error. A good file keeps its warnings.
    """
    source, unsound = survey_yaml(shield_steps(text), file)
    value = unshield(source.value)
    model, findings = validate(MappingFile, source, value=value)
    sound = Salvage(model) if model else salvage(MappingFile, value)
    lint = Lint(source, text.removeprefix("\ufeff"), sound)
    parts = _Compiler(sound.model, lint).parts() if sound else None
    every = dict.fromkeys((*unsound, *findings, *lint.findings))
    found = tuple(sorted(every, key=lambda finding: (finding.line or 0, finding.column or 0)))
    if unsound or model is None or parts is None:
        raise FindingsError(found)
    return CompiledMapping(
        name=PurePath(file).name,
        file=file,
        text=text,
        digest=sha256(text.encode()).hexdigest(),
        schema=model.schema_,
        destination=model.destination,
        table=model.table,
        identity=Identity(model.identity.by, model.identity.column),
        warnings=found,
        parts=parts,
        source=source,
    )


class _Compiler:
    """Compiles one validated file, noting everything that does not fit together."""

    def __init__(self, model: MappingFile, lint: Lint) -> None:
        self._model = model
        self._lint = lint
        self._amounts = locale_of(model.locale, ("locale",), lint) or amount_format("en_US")
        self._threshold = model.guards.min_confidence

    def parts(self) -> Parts | None:
        """Return the compiled parts, None when something was noted as an error."""
        model, lint = self._model, self._lint
        lint.name(model.table, ("table",), key=False)
        self._check_identity()
        columns = self._columns(model.columns, ("columns",))
        lookups = [self._lookup(name, spec) for name, spec in model.lookups.items()]
        lines = self._lines()
        attachments = [self._attachment(spec, index) for index, spec in enumerate(model.attachments)]
        self._check_twice()
        if lint.errors:
            return None
        known_lookups = tuple(lookup for lookup in lookups if lookup is not None)
        return Parts(
            Guards(model.guards.duplicate, tuple(name.removeprefix("fields.") for name in model.guards.confirmed)),
            columns,
            known_lookups,
            lines,
            tuple(attachment for attachment in attachments if attachment is not None),
            tuple(model.tests),
            _sources(columns, known_lookups, lines),
        )

    def _check_identity(self) -> None:
        identity, lint = self._model.identity, self._lint
        if identity.by == "alternate_key" and identity.column is None:
            message = "An alternate key needs its column. Add e.g. `column: numora_externalkey`."
            lint.error(("identity",), codes.BAD_IDENTITY, message, key=True)
        if identity.column is None:
            return
        lint.name(identity.column, ("identity", "column"), key=False)
        if identity.by == "primary_key":
            message = "The primary key needs no column. Remove `column`, or write `by: alternate_key`."
            lint.error(("identity", "column"), codes.BAD_IDENTITY, message, key=True)
        elif identity.column in self._model.columns:
            message = "This column is the alternate key, which the bridge fills itself. Remove it from `columns`."
            lint.error(("columns", identity.column), codes.BAD_IDENTITY, message, key=True)

    def _check_twice(self) -> None:
        columns = {name.lower(): name for name in self._model.columns}
        for name in self._model.lookups:
            if name.lower() in columns:
                message = f"{columns[name.lower()]!r} stands in `columns` as well. Keep it in one of the two."
                self._lint.error(("lookups", name), codes.COLUMN_TWICE, message, key=True)

    def _columns(
        self, specs: dict[str, ColumnSpec], path: KeyPath, *, of_row: bool = False, within: str | None = None
    ) -> tuple[Column, ...]:
        compiled = [
            compile_column(
                name,
                spec,
                (*path, name),
                self._lint,
                amounts=self._amounts,
                threshold=self._threshold,
                of_row=of_row,
                within=within,
            )
            for name, spec in specs.items()
        ]
        return tuple(column for column in compiled if column is not None)

    def _lookup(self, name: str, spec: LookupSpec) -> Lookup | None:
        path: KeyPath = ("lookups", name)
        self._lint.name(name, path)
        self._lint.name(spec.table, (*path, "table"), key=False)
        rule_paths: list[KeyPath] = [(*path, "match")]
        rule_paths.extend((*path, "or_match", index) for index in range(len(spec.or_match)))
        rules: list[tuple[Column, ...]] = []
        for rule, rule_path in zip([spec.match, *spec.or_match], rule_paths, strict=True):
            if not rule:
                message = "The rule matches nothing. Name a column of the table and the value that it must have."
                self._lint.error(rule_path, codes.EMPTY_RULE, message, key=True)
            rules.append(self._columns(rule, rule_path, within=name))
        rule_fields = tuple(tuple(dict.fromkeys(field for column in rule for field in column.fields)) for rule in rules)
        fields = tuple(dict.fromkeys(field for of_rule in rule_fields for field in of_rule))
        return Lookup(name, spec.table, tuple(rules), spec.missing, path, tuple(rule_paths), fields, rule_fields)

    def _lines(self) -> Lines | None:
        spec, lint = self._model.lines, self._lint
        if spec is None:
            return None
        path: KeyPath = ("lines",)
        lint.name(spec.table, (*path, "table"), key=False)
        rows = lint.selection(spec.from_, (*path, "from"), of_row=False)
        key = lint.selection(spec.key, (*path, "key"), of_row=True)
        columns = self._columns(spec.columns, (*path, "columns"), of_row=True)
        if rows is None or key is None:
            return None
        own = [found for found in rows.paths if found[0] == LINE_ITEMS]
        prefix = next((in_words(found, of_row=False) for found in (*own, *rows.paths)), spec.from_)
        return Lines(rows, spec.table, key, columns, path, prefix)

    def _attachment(self, spec: AttachmentSpec, index: int) -> Attachment | None:
        path: KeyPath = ("attachments", index)
        if spec.as_ == "file_column" and spec.column is None:
            message = "A file_column needs its column. Add e.g. `column: numora_file`."
            self._lint.error(path, codes.BAD_ATTACHMENT, message)
        if spec.as_ == "note" and spec.column is not None:
            message = "A note has no column. Remove `column`, or write `as: file_column`."
            self._lint.error((*path, "column"), codes.BAD_ATTACHMENT, message, key=True)
        if spec.column is not None:
            self._lint.name(spec.column, (*path, "column"), key=False)
        where = self._lint.expression_path(path, "url")
        selection = self._lint.selection(spec.url, where, of_row=False)
        if selection is None:
            return None
        fields = tuple(in_words(found, of_row=False) for found in selection.paths)
        column = Column(spec.column or "attachment", path, "text", text_of, selection=selection, fields=fields)
        return Attachment(column, spec.as_, spec.column, path)


def _sources(columns: tuple[Column, ...], lookups: tuple[Lookup, ...], lines: Lines | None) -> dict[str, str]:
    sources = {column.name: ", ".join(column.fields) for column in columns if column.fields}
    sources |= {lookup.column: ", ".join(lookup.fields) for lookup in lookups if lookup.fields}
    if lines is not None:
        sources |= {
            f"{lines.table}.{column.name}": ", ".join(f"{lines.prefix}.{field}" for field in column.fields)
            for column in lines.columns
            if column.fields
        }
    return sources
