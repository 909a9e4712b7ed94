"""``$filter``: parsed once into a predicate over rows, with the types checked as the real one checks them."""

import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, NoReturn, Protocol

from connectors.dataverse.sandbox.address import Literal, literal_at
from connectors.dataverse.sandbox.errors import refuse_query

Predicate = Callable[[Any], bool]

_TOKEN = re.compile(r"\s*(?P<symbol>[(),])|\s*(?P<path>[A-Za-z_$@][\w./]*)")
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "gt": operator.gt,
    "ge": operator.ge,
    "lt": operator.lt,
    "le": operator.le,
}
_TEXT_FUNCTIONS: dict[str, Callable[[str, str], bool]] = {
    "contains": operator.contains,
    "startswith": str.startswith,
    "endswith": str.endswith,
}
_MAX_LENGTH = 32_768


@dataclass(frozen=True, slots=True)
class Property:
    """A property that a filter can read: its ``kind`` is that of a ``Literal``."""

    kind: str
    edm_type: str
    read: Callable[[Any], Any]


class Properties(Protocol):
    """Where a filter finds the properties of a type."""

    def property(self, path: str) -> Property:
        """Return a property by its path. Raises ``ApiError`` 400 for an unknown one."""


def compile_filter(text: str, properties: Properties) -> Predicate:
    """Return the predicate of a ``$filter``. Raises ``ApiError`` 400 when it does not parse or fit the types."""
    if len(text) > _MAX_LENGTH:
        refuse_query("The filter expression is too long.")
    parser = _Parser(text, properties)
    predicate = parser.disjunction()
    parser.expect_end()
    return predicate


@dataclass(frozen=True, slots=True)
class _Operand:
    kind: str
    edm_type: str
    read: Callable[[Any], Any]


class _Parser:
    def __init__(self, text: str, properties: Properties) -> None:
        self._text = text
        self._position = 0
        self._properties = properties

    def disjunction(self) -> Predicate:
        terms = [self._conjunction()]
        while self._take_word("or"):
            terms.append(self._conjunction())
        return terms[0] if len(terms) == 1 else lambda row: any(term(row) for term in terms)

    def expect_end(self) -> None:
        if self._text[self._position :].strip():
            self._syntax_error()

    def _conjunction(self) -> Predicate:
        terms = [self._negation()]
        while self._take_word("and"):
            terms.append(self._negation())
        return terms[0] if len(terms) == 1 else lambda row: all(term(row) for term in terms)

    def _negation(self) -> Predicate:
        if self._take_word("not"):
            inner = self._negation()
            return lambda row: not inner(row)
        if self._take_symbol("("):
            inner = self.disjunction()
            self._require_symbol(")")
            return inner
        return self._condition()

    def _condition(self) -> Predicate:
        for name, function in _TEXT_FUNCTIONS.items():
            if self._take_call(name):
                return self._text_condition(name, function)
        left = self._operand()
        comparison = next((word for word in _COMPARISONS if self._take_word(word)), None)
        if comparison is None:
            if left.kind == "boolean":
                return lambda row: left.read(row) is True
            self._syntax_error()
        return _compare(comparison, left, self._operand())

    def _text_condition(self, name: str, function: Callable[[str, str], bool]) -> Predicate:
        left = self._operand()
        self._require_symbol(",")
        right = self._operand()
        self._require_symbol(")")
        if left.kind != "text" or right.kind != "text":
            refuse_query(f"No function signature for the function with name '{name}' matches the specified arguments.")

        def holds(row: Any) -> bool:
            value, wanted = left.read(row), right.read(row)
            return value is not None and wanted is not None and function(value.casefold(), wanted.casefold())

        return holds

    def _operand(self) -> _Operand:
        self._skip_space()
        found = literal_at(self._text, self._position)
        if found is not None:
            literal, self._position = found
            return _constant(literal)
        matched = _TOKEN.match(self._text, self._position)
        if matched is None or matched["path"] is None:
            self._syntax_error()
        self._position = matched.end()
        found_property = self._properties.property(matched["path"])
        return _Operand(found_property.kind, found_property.edm_type, found_property.read)

    def _take_call(self, name: str) -> bool:
        matched = re.compile(rf"\s*{name}\s*\(").match(self._text, self._position)
        if matched is not None:
            self._position = matched.end()
        return matched is not None

    def _take_word(self, word: str) -> bool:
        matched = re.compile(rf"\s*{word}\b").match(self._text, self._position)
        if matched is not None:
            self._position = matched.end()
        return matched is not None

    def _take_symbol(self, symbol: str) -> bool:
        self._skip_space()
        if self._text.startswith(symbol, self._position):
            self._position += 1
            return True
        return False

    def _require_symbol(self, symbol: str) -> None:
        if not self._take_symbol(symbol):
            self._syntax_error()

    def _skip_space(self) -> None:
        while self._position < len(self._text) and self._text[self._position].isspace():
            self._position += 1

    def _syntax_error(self) -> NoReturn:
        refuse_query(f"Syntax error at position {self._position} in '{self._text}'.")


def _constant(literal: Literal) -> _Operand:
    edm_types = {
        "text": "Edm.String",
        "guid": "Edm.Guid",
        "number": "Edm.Int32",
        "boolean": "Edm.Boolean",
        "date": "Edm.Date",
        "moment": "Edm.DateTimeOffset",
        "null": "Edm.Null",
    }
    edm_type = edm_types[literal.kind]
    if literal.kind == "number" and isinstance(literal.value, Decimal) and literal.value != int(literal.value):
        edm_type = "Edm.Decimal"
    value = literal.value
    return _Operand(literal.kind, edm_type, lambda _: value)


def _compare(name: str, left: _Operand, right: _Operand) -> Predicate:
    kinds = {left.kind, right.kind} - {"null"}
    if len(kinds) > 1 and kinds != {"date", "moment"}:
        refuse_query(
            "A binary operator with incompatible types was detected. Found operand types "
            f"'{left.edm_type}' and '{right.edm_type}' for operator kind '{_KIND_NAMES[name]}'."
        )
    comparison = _COMPARISONS[name]
    if name in {"eq", "ne"}:
        return lambda row: comparison(_folded(left.read(row)), _folded(right.read(row)))

    def ordered(row: Any) -> bool:
        first, second = _folded(left.read(row)), _folded(right.read(row))
        return first is not None and second is not None and comparison(first, second)

    return ordered


_KIND_NAMES = {
    "eq": "Equal",
    "ne": "NotEqual",
    "gt": "GreaterThan",
    "ge": "GreaterThanOrEqual",
    "lt": "LessThan",
    "le": "LessThanOrEqual",
}


def _folded(value: Any) -> Any:
    return value.casefold() if type(value) is str else value
