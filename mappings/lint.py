"""Collects what is wrong with a mapping file while it is compiled, each thing at its place."""

import re
from collections.abc import Hashable, Sequence
from typing import Final

from mappings import codes
from mappings.findings import Finding
from mappings.model import MappingFile
from mappings.salvage import Salvage
from mappings.selection import ExpressionError, Selection, compile_selection
from mappings.yaml_findings import nearest
from mappings.yaml_source import YamlSource

VIEW_NAMES: Final = (
    "id",
    "schema",
    "status",
    "external_id",
    "updated_at",
    "metadata",
    "confidence",
    "duplicate_of",
    "fields",
    "confidences",
    "line_items",
    "review_state",
)
"""The names at the top of every document's view."""

_NEVER_IN_A_ROW: Final = frozenset({"fields", "confidences", "line_items", "metadata", "review_state"})

_BY_OTHERS: Final = frozenset(
    {
        codes.FROM_OR_VALUE,
        codes.OPTIONS_MISSING,
        codes.BAD_IDENTITY,
        codes.BAD_ATTACHMENT,
        codes.BAD_DEFAULT,
        codes.BAD_OPTIONS,
        codes.KEY_NOT_USED,
    }
)
"""Codes of what is wrong with a value only by the keys that stand beside it."""
_DECISIVE_KEYS: Final = ("as", "from", "value", "options", "by", "column")
"""Keys by which a part's other keys are judged: with one of them unknown, nothing sure can be said of the others."""

_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")

Path = tuple[Hashable, ...]


class Lint:
    """The findings about one file, in the making."""

    def __init__(self, source: YamlSource, text: str, sound: Salvage[MappingFile] | None) -> None:
        self.findings: list[Finding] = []
        self._source = source
        self._gaps = sound.gaps if sound else frozenset()
        self._strays = sound.strays if sound else frozenset()
        self._lines = text.splitlines()

    @property
    def errors(self) -> list[Finding]:
        """The findings because of which the file cannot be taken."""
        return [finding for finding in self.findings if finding.severity == "error"]

    def error(self, path: Path, code: str, message: str, *, key: bool = False, by_others: bool = False) -> None:
        """Note an error at the value at ``path``, or at its key; ``by_others`` when it is one by the keys beside it."""
        self._add(path, self._source.finding(path, code, message, key=key), by_others=by_others)

    def warn(self, path: Path, code: str, message: str, *, key: bool = False) -> None:
        """Note something that works, and is hardly what was meant."""
        self._add(path, self._source.finding(path, code, message, key=key, warning=True))

    def has(self, path: Path) -> bool:
        """Tell whether the file has a value at ``path`` that is not null."""
        return self._source.at(path) is not None

    def expression_path(self, path: Path, key: str) -> Path:
        """Return where an expression stands: under its key, or in the shorthand's place."""
        return path if isinstance(self._source.at(path), str) else (*path, key)

    def step_path(self, path: Path, index: int) -> Path:
        """Return where the step with this index stands in the file."""
        then = (*path, "then")
        return then if isinstance(self._source.at(then), str) else (*then, index)

    def selection(self, text: str, path: Path, *, of_row: bool) -> Selection | None:
        """Compile an expression; None, and a finding at the very character, when it cannot be used."""
        try:
            selection = compile_selection(text)
        except ExpressionError as error:
            self._add(path, self._inside(path, error, text))
            return None
        self.roots(selection.paths, path, of_row=of_row)
        return selection

    def roots(self, selection_paths: Sequence[tuple[str, ...]], path: Path, *, of_row: bool) -> None:
        """Note every path that begins with a name that no document has, or, over one row, that hardly a row has."""
        for root in dict.fromkeys(found[0] for found in selection_paths):
            if of_row and root in _NEVER_IN_A_ROW:
                message = (
                    f"An expression in `lines` looks at one row, which hardly has {root!r}. Write a cell's name alone, "
                    "e.g. `amount`. What stands in the document belongs into its own `columns`."
                )
                self.warn(path, codes.DOCUMENT_FIELD_IN_ROW, message)
            elif not of_row and root not in VIEW_NAMES:
                close = nearest(root, VIEW_NAMES)
                message = f"No document has {root!r} at its top. A field is written fields.{root}. {close}"
                self.error(path, codes.UNKNOWN_DOCUMENT_FIELD, message)

    def name(self, name: str, path: Path, *, key: bool = True) -> None:
        """Note a table or column name that cannot be one."""
        if not _NAME.fullmatch(name):
            message = f"{name!r} cannot be a name. Names have letters, digits and underscores, as in the destination."
            self.error(path, codes.BAD_NAME, message, key=key)

    def _add(self, path: Path, finding: Finding, *, by_others: bool = False) -> None:
        """Note a finding, unless it only follows from what is said of the file's shape already."""
        stood_in = any(path[: index + 1] in self._gaps for index in range(len(path)))
        by_others = by_others or finding.code in _BY_OTHERS
        if not stood_in and not (by_others and self._is_unsure(path)):
            self.findings.append(finding)

    def _is_unsure(self, path: Path) -> bool:
        """Tell whether a key is missing or not understood by which the value at ``path`` would be judged."""
        parts = (path, path[:-1], path[:-2])
        return any(part in self._strays or any((*part, key) in self._gaps for key in _DECISIVE_KEYS) for part in parts)

    def _inside(self, path: Path, error: ExpressionError, text: str) -> Finding:
        finding = self._source.finding(path, error.code, error.message)
        line, column = finding.line or 1, finding.column or 1
        written = self._lines[line - 1] if line <= len(self._lines) else ""
        offset = 1 if written[column - 1 : column] in {"'", '"'} else 0
        start = column - 1 + offset
        if not error.position or written[start : start + error.position] != text[: error.position]:
            return finding
        return Finding(finding.code, finding.message, finding.file, line, start + error.position + 1, finding.key)
