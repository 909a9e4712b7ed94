"""YAML files as a person wrote them: plain values, and where each of them stands.

YAML 1.2 through ruamel.yaml's scanner, with the core schema's plain scalars: ``NO`` and ``1_000`` are text, a fraction
is a ``Decimal`` with its digits, ``2026-01-31`` is a ``date``, anything with a time of day stays text.
"""

import re
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Final, NoReturn, TypeVar

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.reader import ReaderError

from mappings.findings import Finding, FindingsError
from mappings.yaml_findings import Path, as_meant, dotted, findings_of, nearest

MAX_CHARACTERS: Final = 262_144
MAX_DEPTH: Final = 32
MAX_NODES: Final = 50_000
MAX_DIGITS: Final = 1_000

__all__ = ["Path", "YamlSource", "decode_text", "dotted", "nearest", "parse_yaml", "survey_yaml", "validate"]

ModelT = TypeVar("ModelT", bound=BaseModel)

_NULL = re.compile(r"~|null|Null|NULL|")
_BOOL = re.compile(r"true|True|TRUE|false|False|FALSE")
_INT = re.compile(r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_DATE = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_SURROGATE = re.compile("[\ud800-\udfff]")
_TAG_PREFIX = "tag:yaml.org,2002:"


@dataclass(slots=True)
class _Node:
    """A value, where it stands, where its keys stand, and how many nodes it is with its aliases written out."""

    value: Any
    line: int
    column: int
    size: int = 1
    keys: dict[Hashable, tuple[int, int]] = field(default_factory=dict)
    children: dict[Hashable, "_Node"] = field(default_factory=dict)


class YamlSource:
    """A parsed file.

    ``value`` is plain: dict, list, str, int, bool, None, ``Decimal`` and ``date``. Treat it as read-only.
    """

    def __init__(self, file: str, root: _Node) -> None:
        self.file = file
        self.value: Any = root.value
        self._root = root

    def position(self, path: Path, *, key: bool = False) -> tuple[int, int]:
        """Return line and column, from 1, of the value at ``path``, or of its key with ``key``.

        A path that leads nowhere gives the place of the nearest value above that exists.
        """
        node, place = self._root, (self._root.line, self._root.column)
        for part in path:
            child = node.children.get(part)
            if child is None:
                break
            place = node.keys.get(part, (child.line, child.column)) if key else (child.line, child.column)
            node = child
        return place

    def at(self, path: Path) -> Any:
        """Return the value at ``path``, or None where there is none."""
        node: _Node | None = self._root
        for part in path:
            node = node.children.get(part) if node else None
        return node.value if node else None

    def finding(
        self,
        path: Path,
        code: str,
        message: str,
        *,
        key: bool = False,
        warning: bool = False,
    ) -> Finding:
        """Return a finding about the value at ``path``, placed there, or at its key with ``key``."""
        line, column = self.position(path, key=key)
        return Finding(code, message, self.file, line, column, dotted(path), "warning" if warning else "error")


def decode_text(data: bytes, file: str) -> str:
    """Return the text of a file's bytes. Raises ``FindingsError`` when it is too large or not UTF-8."""
    if len(data) > MAX_CHARACTERS * 4:
        raise FindingsError((_too_large(file),))
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = len(data[data.rfind(b"\n", 0, error.start) + 1 : error.start].decode("utf-8", "replace")) + 1
        message = "This is not UTF-8. Save the file as UTF-8 and try again."
        raise FindingsError((Finding("not_utf8", message, file, line, column),)) from None


def parse_yaml(text: str, file: str, *, allow_empty: bool = False) -> YamlSource:
    """Parse one file as ``survey_yaml`` does. Raises ``FindingsError`` when there is anything wrong with it."""
    source, findings = survey_yaml(text, file, allow_empty=allow_empty)
    if findings:
        raise FindingsError(findings)
    return source


def survey_yaml(text: str, file: str, *, allow_empty: bool = False) -> tuple[YamlSource, tuple[Finding, ...]]:
    """Parse one file whose top level is a mapping; ``file`` is its name in findings.

    Returns the file with every duplicate key and unusable value. With such a finding the file cannot be taken, but the
    rest of it can be looked at as well; of a key that is given twice it holds the first. With ``allow_empty`` a file
    with nothing in it is an empty mapping. Raises ``FindingsError`` with what ended the reading, e.g. a syntax error.
    """
    if len(text) > MAX_CHARACTERS:
        raise FindingsError((_too_large(file),))
    builder = _Builder(file)
    try:
        root = builder.build(text.removeprefix("\ufeff"))
    except FindingsError:
        raise
    except MarkedYAMLError as error:
        raise FindingsError((*builder.findings, _syntax_finding(error, file))) from None
    except ReaderError as error:
        raise FindingsError((_character_finding(error, text, file),)) from None
    except (YAMLError, ValueError, ArithmeticError, LookupError, TypeError, AttributeError, AssertionError) as error:
        # The scanner answers some malformed escapes and directives with whatever its own code trips over.
        finding = Finding("yaml_syntax", f"This is not YAML 1.2 ({type(error).__name__}).", file, 1, 1)
        raise FindingsError((*builder.findings, finding)) from None
    if root is None or root.value is None:
        if not allow_empty and not builder.findings:
            message = "The file is empty. Write its keys, or remove the file."
            raise FindingsError((Finding("empty_file", message, file, 1, 1),))
        root = _Node({}, 1, 1)
    elif not isinstance(root.value, dict):
        message = "The file should be a mapping, `key: value` on each line, at its top level."
        raise FindingsError((*builder.findings, Finding("wrong_type", message, file, root.line, root.column)))
    return YamlSource(file, root), tuple(builder.findings)


def validate(
    model: type[ModelT],
    source: YamlSource,
    *,
    value: Any = None,
    context: Mapping[str, Any] | None = None,
) -> tuple[ModelT | None, tuple[Finding, ...]]:
    """Validate a file against a model: the model, or None and everything that is wrong.

    ``value`` stands in for the file's own value when given, e.g. with its secrets filled in; it has the same shape, and
    findings never show it: they quote the file alone. ``context`` is handed to the model's validators.
    """
    given = source.value if value is None else value
    try:
        return model.model_validate(given, context=context), ()
    except ValidationError as error:
        found = findings_of(model, error, source)
        meant = as_meant(model, error, given)
        if meant is not None:
            # Of a union whose tag is misspelt nothing was looked at: what else is wrong is told in the same breath.
            _, more = validate(model, source, value=meant, context=context)
            found = tuple(dict.fromkeys((*found, *more)))
        return None, tuple(sorted(found, key=lambda finding: (finding.line or 0, finding.column or 0)))


class _Builder:
    """Builds nodes from the scanner's events, without recursion into the file's depth beyond ``MAX_DEPTH``."""

    def __init__(self, file: str) -> None:
        self.findings: list[Finding] = []
        self._file = file
        self._anchors: dict[str, _Node] = {}
        self._size = 0
        self._events: Any = None

    def build(self, text: str) -> _Node | None:
        """Return the top node of the one document in ``text``, None when there is none."""
        self._events = YAML(typ="safe", pure=True).parse(text)
        root: _Node | None = None
        documents = 0
        for event in self._events:
            if type(event).__name__ == "DocumentStartEvent":
                documents += 1
                if documents > 1:
                    message = "One file holds one document: remove this `---` and what follows."
                    self._fail("more_documents", message, event)
                root = self._node(next(self._events), ())
        return root

    def _node(self, event: Any, path: Path) -> _Node:
        if len(path) > MAX_DEPTH:
            self._fail("too_deep", f"This is nested more than {MAX_DEPTH} levels deep. Write it flatter.", event)
        name = type(event).__name__
        if name == "AliasEvent":
            node = self._anchors.get(event.anchor)
            if node is None:
                self._fail(
                    "unknown_anchor", f"There is no complete value called &{event.anchor} above this line.", event
                )
        elif name == "MappingStartEvent":
            node = self._mapping(event, path)
        elif name == "SequenceStartEvent":
            node = self._sequence(event, path)
        else:
            node = self._new(self._scalar(event, path), event)
        self._size += node.size if name == "AliasEvent" else 1
        if self._size > MAX_NODES:
            self._fail(
                "too_large", f"The file has more than {MAX_NODES} values once its aliases are written out.", event
            )
        if name != "AliasEvent" and event.anchor:
            self._anchors[event.anchor] = node
        return node

    def _alias(self, event: Any) -> _Node:
        node = self._anchors.get(event.anchor)
        if node is None:
            self._fail("unknown_anchor", f"There is no complete value called &{event.anchor} above this line.", event)
        return node

    def _mapping(self, event: Any, path: Path) -> _Node:
        self._check_tag(event, "map", path)
        node = self._new({}, event)
        while type(key_event := next(self._events)).__name__ != "MappingEndEvent":
            place = (key_event.start_mark.line + 1, key_event.start_mark.column + 1)
            key_node = self._node(key_event, path)
            key = key_node.value
            usable = isinstance(key, Hashable)
            value_event = next(self._events)
            child = self._node(value_event, (*path, key if usable else "?"))
            if _is_not_written(value_event):
                # The scanner places it where the next thing begins, which may be many lines below.
                child.line, child.column = place
            if not usable:
                self._add("bad_key", "A key should be plain text, not a mapping or a list.", place, path)
            elif key in node.value:
                first = node.keys[key][0]
                message = f"{key!r} is given twice, first on line {first}. Keep one of them."
                self._add("duplicate_key", message, place, (*path, key))
            else:
                node.value[key] = child.value
                node.children[key] = child
                node.keys[key] = place
                node.size += child.size + 1
        return node

    def _sequence(self, event: Any, path: Path) -> _Node:
        self._check_tag(event, "seq", path)
        node = self._new([], event)
        while type(item_event := next(self._events)).__name__ != "SequenceEndEvent":
            index = len(node.value)
            child = self._node(item_event, (*path, index))
            node.value.append(child.value)
            node.children[index] = child
            node.size += child.size
        return node

    def _scalar(self, event: Any, path: Path) -> Any:
        text: str = event.value
        tag = str(event.tag) if event.tag else None
        place = (event.start_mark.line + 1, event.start_mark.column + 1)
        if _SURROGATE.search(text):
            self._add("bad_value", "This text holds half of a character pair. Write the character itself.", place, path)
            return ""
        if tag is None:
            plain, _quoted = event.implicit
            return self._plain(text, place, path) if plain else text
        if tag in {"!", f"{_TAG_PREFIX}str"}:
            return text
        if tag.startswith(_TAG_PREFIX) and tag.removeprefix(_TAG_PREFIX) in {"int", "float", "bool", "null"}:
            return self._plain(text, place, path)
        self._add("unknown_tag", f"The tag {tag} is not known. Remove it.", place, path)
        return text

    def _plain(self, text: str, place: tuple[int, int], path: Path) -> Any:
        if _NULL.fullmatch(text):
            return None
        if _BOOL.fullmatch(text):
            return text.lower() == "true"
        if _NOT_FINITE.fullmatch(text):
            self._add("bad_value", f"{text} is not a number that can be used. Write digits.", place, path)
            return text
        if len(text) > MAX_DIGITS and (_INT.fullmatch(text) or _FLOAT.fullmatch(text)):
            self._add("bad_value", f"A number has at most {MAX_DIGITS} digits. Put text in quotes.", place, path)
            return text
        if _INT.fullmatch(text):
            return int(text, 0) if text[:2] in {"0x", "0o"} else int(text)
        if _FLOAT.fullmatch(text):
            return Decimal(text)
        if _DATE.fullmatch(text):
            try:
                return date.fromisoformat(text)
            except ValueError:
                return text
        return text

    def _check_tag(self, event: Any, expected: str, path: Path) -> None:
        tag = str(event.tag) if event.tag else None
        if tag not in {None, "!", _TAG_PREFIX + expected}:
            place = (event.start_mark.line + 1, event.start_mark.column + 1)
            self._add("unknown_tag", f"The tag {tag} is not known. Remove it.", place, path)

    @staticmethod
    def _new(value: Any, event: Any) -> _Node:
        return _Node(value, event.start_mark.line + 1, event.start_mark.column + 1)

    def _add(self, code: str, message: str, place: tuple[int, int], path: Path) -> None:
        self.findings.append(Finding(code, message, self._file, *place, dotted(path)))

    def _fail(self, code: str, message: str, event: Any) -> NoReturn:
        mark = event.start_mark
        finding = Finding(code, message, self._file, mark.line + 1, mark.column + 1)
        raise FindingsError((*self.findings, finding))


def _is_not_written(event: Any) -> bool:
    """Tell whether nothing stands behind a key."""
    return type(event).__name__ == "ScalarEvent" and event.start_mark.index == event.end_mark.index


def _too_large(file: str) -> Finding:
    return Finding("too_large", f"The file has more than {MAX_CHARACTERS} characters. Split it up.", file, 1, 1)


def _syntax_finding(error: MarkedYAMLError, file: str) -> Finding:
    mark = error.problem_mark or error.context_mark
    line, column = (mark.line + 1, mark.column + 1) if mark else (1, 1)
    problem = str(error.problem or error.context or "it cannot be read")
    opened = error.context_mark
    if opened and "end of stream" in problem and "quoted scalar" in str(error.context):
        message = "A quote opens here and is never closed. Close it, or put what it stands in between other quotes."
        return Finding("yaml_syntax", message, file, opened.line + 1, opened.column + 1)
    if "'\\t'" in problem:
        message = "A tab stands here. YAML is indented with spaces: replace the tab by spaces."
    elif "mapping values are not allowed" in problem:
        message = "A `:` stands where none can. Put the value in quotes, or check the indentation."
    elif "cannot start any token" in problem:
        message = f"A value cannot begin like this ({problem}). Put it in quotes."
    else:
        where = (
            f" that opens at {opened.line + 1}:{opened.column + 1}" if opened and "flow" in str(error.context) else ""
        )
        message = f"This is not YAML: {problem}" + (f" {error.context}{where}" if error.context else "") + "."
    return Finding("yaml_syntax", message, file, line, column)


def _character_finding(error: ReaderError, text: str, file: str) -> Finding:
    before = text.removeprefix("\ufeff")[: error.position]
    line = before.count("\n") + 1
    column = len(before) - (before.rfind("\n") + 1) + 1
    code = error.character if isinstance(error.character, int) else ord(str(error.character)[:1] or "\0")
    return Finding("yaml_syntax", f"The character U+{code:04X} cannot stand in YAML. Remove it.", file, line, column)
