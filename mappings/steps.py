"""The steps of ``then``: a closed list of small functions, written ``name`` or ``name(argument, …)``.

Steps for text work on the value as selected, before ``as`` converts it; steps for numbers work on the converted number.
A number that came as a JSON number and is to stay one is left alone by the steps for text.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any, Final, Literal

from mappings import codes
from mappings.amounts import multiply_exactly
from mappings.selection import ExpressionError, Path, Selection, compile_selection
from mappings.transforms import text_of
from mappings.values import check_length, is_empty
from mappings.yaml_findings import nearest

MAX_ARGUMENTS: Final = 16
MAX_COUNT: Final = 1_000_000

Apply = Callable[[Any, Any], Any]
"""Takes the current value and the view that expressions select from; returns the next value."""

Origin = Callable[[Any, Any, tuple[Path, ...]], tuple[Path, ...]]
"""Takes the current value, the view, and the paths that the value came from; returns those of the next value."""

Stage = Literal["text", "number"]


class StepError(Exception):
    """A step cannot be used; ``code`` is one of ``codes.FINDING_CODES``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def _unchanged(_current: Any, _view: Any, paths: tuple[Path, ...]) -> tuple[Path, ...]:
    return paths


@dataclass(frozen=True, slots=True)
class Step:
    """One compiled step.

    ``of_text`` is what it makes of a text that is not blank, where that is all it is about. ``changes_numbers`` is True
    for a text step that a JSON number may go through as well. ``paths`` are those that its arguments may read, and
    ``origin`` tells which of them a value really came from.
    """

    text: str
    name: str
    stage: Stage
    apply: Apply
    changes_numbers: bool = False
    paths: tuple[Path, ...] = ()
    origin: Origin = _unchanged
    max_length: int | None = None
    of_text: Callable[[str], Any] | None = None

    def takes(self, value: Any, *, keeps_numbers: bool) -> bool:
        """Tell whether the step is for this value: with ``keeps_numbers``, those for text leave a number alone."""
        return isinstance(value, str) or self.changes_numbers or not keeps_numbers


@dataclass(frozen=True, slots=True)
class _Spec:
    """How a step is written: the kinds of its arguments (``rest`` for any number more), and what builds it."""

    build: Callable[[Sequence[Any]], Callable[[Any], Any]]
    arguments: tuple[Literal["sought", "text", "count", "number"], ...] = ()
    optional: int = 0
    rest: bool = False
    stage: Stage = "text"


def _squeeze(text: str) -> str:
    return " ".join(text.split())


def _digits(text: str) -> str:
    return "".join(char for char in text if char.isdecimal())


def _replace(arguments: Sequence[Any]) -> Callable[[Any], Any]:
    old, new = arguments
    growth = len(new) - len(old)

    def apply(text: str) -> str:
        if growth > 0:
            check_length(len(text) + growth * text.count(old))
        return text.replace(old, new)

    return apply


def _pad_left(arguments: Sequence[Any]) -> Callable[[Any], Any]:
    length, fill = arguments[0], arguments[1] if len(arguments) > 1 else "0"
    if len(fill) != 1:
        raise StepError(codes.BAD_STEP, f"pad_left fills with one character, and {fill!r} has {len(fill)}.")
    return lambda text: text.rjust(length, fill)


def _empty_if(arguments: Sequence[Any]) -> Callable[[Any], Any]:
    words = {str(word).strip().casefold() for word in arguments}
    return lambda text: None if text.strip().casefold() in words else text


_SPECS: Final[Mapping[str, _Spec]] = {
    "strip": _Spec(lambda _: str.strip),
    "squeeze": _Spec(lambda _: _squeeze),
    "upper": _Spec(lambda _: str.upper),
    "lower": _Spec(lambda _: str.lower),
    "title": _Spec(lambda _: str.title),
    "digits": _Spec(lambda _: _digits),
    "truncate": _Spec(lambda arguments: lambda text: text[: arguments[0]], ("count",)),
    "replace": _Spec(_replace, ("sought", "text")),
    "remove": _Spec(lambda arguments: lambda text: text.replace(arguments[0], ""), ("sought",)),
    "pad_left": _Spec(_pad_left, ("count", "text"), optional=1),
    "empty_if": _Spec(_empty_if, ("text",), rest=True),
    "abs": _Spec(
        lambda _: lambda number: number.copy_abs() if isinstance(number, Decimal) else abs(number), stage="number"
    ),
    "negate": _Spec(
        lambda _: lambda number: number.copy_negate() if isinstance(number, Decimal) and number else -number,
        stage="number",
    ),
    "multiply": _Spec(
        lambda arguments: lambda number: multiply_exactly(number, arguments[0]), ("number",), stage="number"
    ),
}
_WITH_OPERANDS: Final = ("concat", "coalesce", "default")
STEP_NAMES: Final[tuple[str, ...]] = (*_SPECS, *_WITH_OPERANDS)
"""Every step there is, in the order of the reference in ``docs/mapping.md``."""

_CALL: Final = re.compile(r"\s*([A-Za-z_][A-Za-z0-9_]*)\s*(?:\((.*)\)\s*)?", re.DOTALL)
_CLOSING: Final = {"(": ")", "[": "]", "{": "}"}
_QUOTES: Final = "'\"`"
_QUOTED: Final = re.compile(r"""(?s)"(?:[^"\\]|\\.)*"|'[^']*'|`[^`]*`""")
_ESCAPE: Final = re.compile(r'\\([nt"\\])')
_ESCAPES: Final = {"n": "\n", "t": "\t", '"': '"', "\\": "\\"}
_NUMBER: Final = re.compile(r"-?(0|[1-9][0-9]{0,30})(\.[0-9]{1,30})?")


def parse_step(text: str, own: str | None) -> Step:
    """Compile one step; ``own`` is the column's ``from``. Raises ``StepError``."""
    call = _CALL.fullmatch(text)
    if call is None:
        message = f"{text!r} is not a step. Write its name, e.g. strip, or its name and arguments, e.g. truncate(100)."
        raise StepError(codes.BAD_STEP, message)
    name, inner = call.group(1), call.group(2)
    arguments = [] if inner is None or not inner.strip() else _split(inner)
    if len(arguments) > MAX_ARGUMENTS:
        raise StepError(codes.BAD_STEP, f"{name} has {len(arguments)} arguments; at most {MAX_ARGUMENTS} are allowed.")
    if name in _WITH_OPERANDS:
        return _with_operands(text, name, arguments, own)
    spec = _SPECS.get(name)
    if spec is None:
        raise StepError(codes.UNKNOWN_STEP, f"There is no step {name!r}. {nearest(name, STEP_NAMES)}")
    values = _arguments(name, spec, arguments)
    function = spec.build(values)
    if spec.stage == "number":
        return Step(text, name, spec.stage, lambda value, _: function(value))
    max_length = values[0] if name == "truncate" else None
    return Step(text, name, spec.stage, _for_text(function), max_length=max_length, of_text=function)


def in_turn(steps: Sequence[Step], *, keeps_numbers: bool) -> Apply:
    """Return steps for text as one, in their order."""

    def one_by_one(value: Any, view: Any) -> Any:
        for step in steps:
            if step.takes(value, keeps_numbers=keeps_numbers):
                value = step.apply(value, view)
        return value

    functions = [step.of_text for step in steps if step.of_text is not None]
    if len(functions) < len(steps):
        return one_by_one

    def apply(value: Any, view: Any) -> Any:
        if type(value) is not str:
            return one_by_one(value, view)
        for function in functions:  # the same with fewer calls, for nearly every value is a text
            if not value or value.isspace():
                break
            value = function(value)
        return value

    return apply


def _for_text(function: Callable[[Any], Any]) -> Apply:
    def apply(value: Any, _: Any) -> Any:
        if isinstance(value, str):
            return function(value) if value and not value.isspace() else value
        return value if value is None or isinstance(value, (dict, list)) else function(text_of(value))

    return apply


def _arguments(name: str, spec: _Spec, arguments: list[str]) -> list[Any]:
    wanted = len(spec.arguments)
    if len(arguments) < wanted - spec.optional or (len(arguments) > wanted and not spec.rest):
        form = f"{name}({', '.join(_FORMS[kind] for kind in spec.arguments)})" if spec.arguments else name
        raise StepError(codes.BAD_STEP, f"{name} is written `{form}`; given here: {len(arguments)}.")
    kinds = [*spec.arguments, *(["text"] * (len(arguments) - wanted))]
    return [_argument(name, kind, argument) for kind, argument in zip(kinds, arguments, strict=False)]


_FORMS: Final = {"sought": "text", "text": "text", "count": "number", "number": "number"}


def _argument(name: str, kind: str, argument: str) -> Any:
    if kind in {"sought", "text"}:
        literal = _quoted(argument)
        text = literal if literal is not None else argument.strip()
        if kind == "sought" and not text:
            raise StepError(codes.BAD_STEP, f'{name} has nothing to look for. A blank stands in quotes, " ".')
        return text
    try:
        if kind == "count":
            count = int(argument)
            if not 0 < count <= MAX_COUNT:
                raise ValueError
            return count
        number = Decimal(argument.strip())
        if not number.is_finite():
            raise ValueError
    except (ValueError, InvalidOperation):
        raise StepError(codes.BAD_STEP, f"{name} wants a number, and {argument.strip()!r} is none.") from None
    return number


def _with_operands(text: str, name: str, arguments: list[str], own: str | None) -> Step:
    if not arguments:
        message = (
            f'{name} wants at least one argument: a text in quotes or a field, e.g. {name}("-", fields.invoice_number).'
        )
        raise StepError(codes.BAD_STEP, message)
    operands = [_operand(argument, own) for argument in arguments]
    if not any(operand is None for operand in operands):
        operands.insert(0, None)
    paths = tuple(path for operand in operands if isinstance(operand, Selection) for path in operand.paths)
    apply = _concat(operands) if name == "concat" else _coalesce(operands)
    origin = _origin(operands, first_alone=name != "concat")
    return Step(text, name, "text", apply, changes_numbers=True, paths=paths, origin=origin)


Operand = Selection | str | Decimal | None
"""An expression, a text, a number, or None for the current value."""


def _operand(argument: str, own: str | None) -> Operand:
    literal = _quoted(argument)
    if literal is not None:
        return literal
    expression = argument.strip()
    if expression in {"@", own}:
        return None
    if _NUMBER.fullmatch(expression):
        return Decimal(expression)
    try:
        return compile_selection(expression)
    except ExpressionError as error:
        message = f"{error.message} A text stands in quotes."
        raise StepError(error.code, message) from None


def _value(operand: Operand, current: Any, view: Any) -> Any:
    if operand is None:
        return current
    return operand.select(view) if isinstance(operand, Selection) else operand


def _concat(operands: Sequence[Operand]) -> Apply:
    def apply(current: Any, view: Any) -> Any:
        parts: list[str] = []
        found = False
        for operand in operands:
            value = _value(operand, current, view)
            if isinstance(operand, (str, Decimal)):
                parts.append(str(operand))
            elif not is_empty(value):
                found = True
                parts.append(text_of(value))
        check_length(sum(map(len, parts)))
        return "".join(parts) if found else None

    return apply


def _coalesce(operands: Sequence[Operand]) -> Apply:
    def apply(current: Any, view: Any) -> Any:
        for operand in operands:
            value = _value(operand, current, view)
            if not is_empty(value):
                return value
        return None

    return apply


def _origin(operands: Sequence[Operand], *, first_alone: bool) -> Origin:
    def origin(current: Any, view: Any, paths: tuple[Path, ...]) -> tuple[Path, ...]:
        given = [operand for operand in operands if not is_empty(_value(operand, current, view))]
        found: list[Path] = []
        for operand in given[:1] if first_alone else given:
            found += paths if operand is None else ()
            found += operand.paths_used(view) if isinstance(operand, Selection) else ()
        return tuple(found)

    return origin


def _quoted(argument: str) -> str | None:
    """Return the text between quotes, None when the argument is not one quoted text."""
    text = argument.strip()
    if not _QUOTED.fullmatch(text) or text[0] == "`":
        return None
    return text[1:-1] if text[0] == "'" else _ESCAPE.sub(lambda found: _ESCAPES[found.group(1)], text[1:-1])


def _split(inner: str) -> list[str]:
    """Split arguments at the commas that stand outside quotes and brackets."""
    parts: list[str] = []
    start, awaited, quote = 0, [], ""
    for index, char in _outside_quotes(inner, 0):
        if char in _QUOTES:
            quote = char
        elif char in _CLOSING:
            awaited.append(_CLOSING[char])
        elif awaited and char == awaited[-1]:
            awaited.pop()
        elif char == "," and not awaited:
            parts.append(inner[start:index])
            start = index + 1
    if quote or awaited:
        raise StepError(codes.BAD_STEP, f"{quote or awaited[-1]!r} is missing in the arguments {inner.strip()!r}.")
    return [*parts, inner[start:]]


def closing_parenthesis(text: str, start: int) -> int | None:
    """Return where the call that begins at ``start`` ends, outside quotes; None when it does not."""
    depth = 0
    for index, char in _outside_quotes(text, start):
        if char == "(":
            depth += 1
        elif char == ")":
            depth -= 1
            if depth == 0:
                return index + 1
    return None


def _outside_quotes(text: str, start: int) -> Iterator[tuple[int, str]]:
    """Yield each character outside quotes, with its index. A quote that is never closed is yielded and is the last."""
    index = start
    while index < len(text):
        quoted = _QUOTED.match(text, index) if text[index] in _QUOTES else None
        if quoted is None:
            yield index, text[index]
            if text[index] in _QUOTES:
                return
        index = quoted.end() if quoted else index + 1
