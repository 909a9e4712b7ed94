"""JMESPath at work, exact for decimals and bounded: parser, interpreter and functions behind a selection."""

import math
from collections.abc import Mapping
from decimal import Context, Decimal, Inexact, InvalidOperation
from json import loads
from typing import Any, Final

import msgspec
from jmespath.exceptions import LexerError, ParseError
from jmespath.functions import Functions
from jmespath.lexer import Lexer
from jmespath.parser import Parser
from jmespath.visitor import Options, TreeInterpreter

from mappings import codes
from mappings.values import OUT_OF_RANGE, ValueProblemError, check_length, plain_digits

MAX_OUTPUT_NODES: Final = 10_000
MAX_STEPS: Final = 100_000
"""How many nodes of an expression may be visited for one document; ends what is small but would run for long."""
_CHARACTERS_A_STEP: Final = 64

_EXACT: Final = Context(prec=400, traps=[Inexact, InvalidOperation])
_ROUNDED: Final = Context(prec=50)
_ENCODER: Final = msgspec.json.Encoder(decimal_format="number")


class _ExactLexer(Lexer):  # type: ignore[misc]
    """JMESPath's lexer, with the fractions of literals as exact decimals and without its deprecated bare literals."""

    def _consume_literal(self) -> dict[str, Any]:
        start = self._position
        lexeme = self._consume_until("`").replace("\\`", "`")
        try:
            value = loads(lexeme, parse_float=Decimal, parse_constant=_refuse)
        except ValueError:
            raise LexerError(lexer_position=start, lexer_value=lexeme, message="not JSON") from None
        return {"type": "literal", "value": value, "start": start, "end": self._position - start}


def _refuse(constant: str) -> Any:
    raise ValueError(constant)


class ExactParser(Parser):  # type: ignore[misc]
    """JMESPath's parser over the exact lexer, without its process-wide cache."""

    def parse_tree(self, text: str) -> Mapping[str, Any]:
        """Return the syntax tree. Raises jmespath's ``LexerError`` or ``ParseError``."""
        self._tokens = list(_ExactLexer().tokenize(text))
        self._index = 0
        tree: Mapping[str, Any] = self._expression(binding_power=0)
        if self._current_token() != "eof":
            token = self._lookahead_token(0)
            raise ParseError(token["start"], token["value"], token["type"], "unexpected token")
        return tree


def few(rows: list[Any]) -> list[Any]:
    """Return a list that stands in the document as it is. Raises ``ValueProblemError``, ``selection_too_large``.

    What the rows hold is not counted: it is the document's own, and nothing was put together.
    """
    if len(rows) > MAX_OUTPUT_NODES:
        raise _too_large()
    return rows


def bounded(value: Any) -> Any:
    """Return what an expression made. Raises ``ValueProblemError``, ``selection_too_large``: it has too many nodes."""
    if isinstance(value, (dict, list)):
        _count(value)
    return value


def _count(value: Any) -> None:
    count = 1
    waiting = [value]
    while waiting:
        current = waiting.pop()
        within = current.values() if isinstance(current, dict) else current
        count += len(within)
        if count > MAX_OUTPUT_NODES:
            raise _too_large()
        waiting += [one for one in within if isinstance(one, (dict, list))]


def _characters(value: Any) -> int:
    """Return how long the names and texts in a value are together; one that stands there twice counts twice."""
    count = 0
    waiting = [value]
    while waiting:
        current = waiting.pop()
        if isinstance(current, str):
            count += len(current)
        elif isinstance(current, (dict, list)):
            waiting += current
            waiting += current.values() if isinstance(current, dict) else ()
    return count


def _too_large() -> ValueProblemError:
    message = (
        f"The mapping's expression selects more than {MAX_OUTPUT_NODES:,} values. Narrow the expression in the mapping."
    )
    return ValueProblemError(codes.SELECTION_TOO_LARGE, message)


class BoundedInterpreter(TreeInterpreter):  # type: ignore[misc]
    """JMESPath's interpreter with exact numbers, that gives up when an expression grows out of bounds."""

    def __init__(self) -> None:
        super().__init__(Options(custom_functions=_FUNCTIONS))
        self._left = MAX_STEPS

    def visit(self, node: Mapping[str, Any], *args: Any, **kwargs: Any) -> Any:
        """Return what a node selects. Raises ``ValueProblemError``, ``selection_too_large``, beyond the bounds."""
        self._take(1)
        result = super().visit(node, *args, **kwargs)
        if isinstance(result, list) and len(result) > MAX_OUTPUT_NODES:
            raise _too_large()
        return result

    def visit_function_expression(self, node: Mapping[str, Any], value: Any) -> Any:
        """Return what a function gives. What it goes through, value by value, counts as visited."""
        arguments = [self.visit(child, value) for child in node["children"]]
        self._take(sum(len(one) for one in arguments if isinstance(one, (list, dict))))
        self._take(sum(len(one) for one in arguments if isinstance(one, str)) // _CHARACTERS_A_STEP)
        return self._functions.call_function(node["value"], arguments)

    def _take(self, steps: int) -> None:
        self._left -= steps
        if self._left < 0:
            raise _too_large()


_NAMES: Final = {
    "boolean": ("bool",),
    "array": ("list", "_Projection"),
    "object": ("dict", "OrderedDict", "mappingproxy"),
    "null": ("NoneType",),
    "string": ("str",),
    "number": ("int", "float", "Decimal"),
    "expref": ("_Expression",),
}
_KINDS: Final = {name: kind for kind, names in _NAMES.items() for name in names}


class DecimalFunctions(Functions):  # type: ignore[misc]
    """JMESPath's functions for exact numbers: a sum that would have to be rounded fails, an average is rounded."""

    def _get_allowed_pytypes(self, types: list[str]) -> tuple[list[str], list[tuple[str, ...]]]:
        allowed: list[str] = []
        elements: list[tuple[str, ...]] = []
        for wanted in types:
            kind, _, element = wanted.partition("-")
            allowed.extend(_NAMES[kind])
            if element:
                elements.append(_NAMES[element])
        return allowed, elements

    def _convert_to_jmespath_type(self, name: str) -> str:
        return _KINDS.get(name, "unknown")

    def _func_abs(self, number: Any) -> Any:
        return number.copy_abs() if isinstance(number, Decimal) else abs(number)

    def _func_sum(self, numbers: list[Any]) -> Any:
        return _sum(numbers)

    def _func_avg(self, numbers: list[Any]) -> Any:
        return _ROUNDED.divide(Decimal(_sum(numbers)), Decimal(len(numbers))) if numbers else None

    def _func_ceil(self, number: Any) -> Any:
        return math.ceil(_in_range(number))

    def _func_floor(self, number: Any) -> Any:
        return math.floor(_in_range(number))

    def _func_join(self, glue: str, texts: list[str]) -> str:
        check_length(sum(map(len, texts)) + len(glue) * (len(texts) - 1))
        return glue.join(texts)

    def _func_to_number(self, value: Any) -> Any:
        if isinstance(value, (int, float, Decimal)) and not isinstance(value, bool):
            return value
        if not isinstance(value, str):
            return None
        try:
            number = Decimal(value.strip()) if value.isascii() and "_" not in value else None
        except InvalidOperation:
            return None
        if number is None or not number.is_finite():
            return None
        return _in_range(number)

    def _func_to_string(self, value: Any) -> str:
        if isinstance(value, str):
            return value
        if isinstance(value, Decimal):
            return plain_digits(value)
        check_length(_characters(bounded(value)))
        text = _ENCODER.encode(value).decode()
        check_length(len(text))
        return text

    def _func_type(self, value: Any) -> str:
        return _KINDS.get(type(value).__name__, "object" if isinstance(value, Mapping) else "unknown")


def _sum(numbers: list[Any]) -> Any:
    if not any(isinstance(number, Decimal) for number in numbers):
        return sum(numbers)
    total = Decimal(0)
    for number in numbers:
        total = _EXACT.add(total, Decimal(number))
    return total


def _in_range(number: Any) -> Any:
    if isinstance(number, Decimal) and (not number.is_finite() or abs(number.adjusted()) > OUT_OF_RANGE):
        raise ValueError(number)
    return number


for _name in ("abs", "sum", "avg", "ceil", "floor", "join", "to_number", "to_string", "type"):
    getattr(DecimalFunctions, f"_func_{_name}").signature = getattr(Functions, f"_func_{_name}").signature
DecimalFunctions._populate_function_table()  # noqa: SLF001
_FUNCTIONS: Final = DecimalFunctions()
