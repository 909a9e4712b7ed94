"""Bounded JMESPath over a document: compiled once, and a plain path takes no interpreter at all."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from jmespath.exceptions import JMESPathError, LexerError, ParseError

from mappings import codes
from mappings.interpreter import BoundedInterpreter, DecimalFunctions, ExactParser, bounded, few
from mappings.values import ValueProblemError
from mappings.yaml_findings import nearest

MAX_CHARACTERS: Final = 512
MAX_NODES: Final = 64
MAX_DEPTH: Final = 16
_FAILURES: Final = (JMESPathError, TypeError, ValueError, ArithmeticError, LookupError, AttributeError, RuntimeError)

Path = tuple[str, ...]
"""The names that lead from the view of a document to a value: ``("fields", "invoice_number")``."""


class ExpressionError(Exception):
    """An expression cannot be used. ``position`` counts characters from 0; ``code`` is in ``codes.FINDING_CODES``."""

    def __init__(self, code: str, message: str, position: int = 0) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.position = position


class Select(Protocol):
    """Picks a value out of a view. Raises ``ValueProblemError`` when it cannot."""

    def __call__(self, view: Any) -> Any:
        """Return the selected value, None when there is none."""


@dataclass(frozen=True, slots=True)
class Selection:
    """A compiled expression.

    ``paths`` are the places of the view that it reads. ``alternatives`` are set for ``a || b``: the first that has a
    value is the one selected.
    """

    text: str
    select: Select
    paths: tuple[Path, ...]
    alternatives: tuple["Selection", ...] = ()

    def paths_used(self, view: Any) -> tuple[Path, ...]:
        """Return the paths that the value for this view really comes from."""
        for alternative in self.alternatives:
            if not _is_false(alternative.select(view)):
                return alternative.paths_used(view)
        return self.paths


def compile_selection(text: str) -> Selection:
    """Compile an expression. Raises ``ExpressionError`` when it is not JMESPath or is out of bounds."""
    if len(text) > MAX_CHARACTERS:
        message = f"The expression has {len(text)} characters; at most {MAX_CHARACTERS} are allowed. Shorten it."
        raise ExpressionError(codes.EXPRESSION_TOO_LARGE, message)
    if not text.strip():
        raise ExpressionError(
            codes.BAD_EXPRESSION, "The expression is empty. Name a field, e.g. `fields.invoice_number`."
        )
    tree = _parse(text)
    _check_size(tree)
    _check_functions(tree)
    return _selection(text, tree)


def _selection(text: str, tree: Mapping[str, Any]) -> Selection:
    paths = tuple(dict.fromkeys(path for path in _paths(tree) if path))
    plain = _plain_path(tree)
    if plain is not None:
        return Selection(text, _walker(plain), paths)
    alternatives: tuple[Selection, ...] = ()
    if tree["type"] == "or_expression":
        alternatives = tuple(_selection(text, child) for child in tree["children"])
    return Selection(text, _interpreter(tree), paths, alternatives)


def _parse(text: str) -> Mapping[str, Any]:
    try:
        return ExactParser().parse_tree(text)
    except LexerError as error:
        raise _unreadable(text, int(error.lexer_position or 0)) from None
    except ParseError as error:
        raise _unreadable(text, int(error.lex_position or 0)) from None
    except RecursionError:
        message = f"The expression is nested too deeply; at most {MAX_DEPTH} levels are allowed."
        raise ExpressionError(codes.EXPRESSION_TOO_LARGE, message) from None
    except _FAILURES:
        raise _unreadable(text, 0) from None


def _unreadable(text: str, position: int) -> ExpressionError:
    place = (
        "at its end"
        if position >= len(text)
        else f"at character {position + 1}, before {text[position : position + 20]!r}"
    )
    message = f"This is not a JMESPath expression: it cannot be read {place}. Write e.g. `fields.invoice_number`."
    return ExpressionError(codes.BAD_EXPRESSION, message, min(position, len(text)))


def _children(node: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    return (child for child in node.get("children", ()) if isinstance(child, dict))


def _nodes(tree: Mapping[str, Any]) -> Iterator[tuple[Mapping[str, Any], int]]:
    """Yield every node with its depth, the top being 1. Placeholders that a person did not write are left out."""
    waiting = [(tree, 1)]
    while waiting:
        node, depth = waiting.pop()
        if node["type"] != "identity":
            yield node, depth
        waiting.extend((child, depth + 1) for child in _children(node))


def _check_size(tree: Mapping[str, Any]) -> None:
    sizes = [depth for _, depth in _nodes(tree)]
    if len(sizes) > MAX_NODES:
        message = f"The expression has {len(sizes)} nodes; at most {MAX_NODES} are allowed. Simplify it."
        raise ExpressionError(codes.EXPRESSION_TOO_LARGE, message)
    if max(sizes, default=0) > MAX_DEPTH:
        message = f"The expression is {max(sizes)} levels deep; at most {MAX_DEPTH} are allowed. Simplify it."
        raise ExpressionError(codes.EXPRESSION_TOO_LARGE, message)


def _check_functions(tree: Mapping[str, Any]) -> None:
    for node, _ in _nodes(tree):
        if node["type"] == "slice" and 0 in node["children"][2:]:
            raise ExpressionError(codes.BAD_EXPRESSION, "A slice cannot have a step of 0.")
        if node["type"] != "function_expression":
            continue
        name = str(node["value"])
        known = DecimalFunctions.FUNCTION_TABLE
        if name not in known:
            raise ExpressionError(codes.UNKNOWN_FUNCTION, f"There is no function {name!r}. {nearest(name, known)}")
        signature, given = known[name]["signature"], len(node["children"])
        variadic = bool(signature and signature[-1].get("variadic"))
        if given < len(signature) or (given > len(signature) and not variadic):
            wanted = f"at least {len(signature)}" if variadic else str(len(signature))
            message = f"{name}() takes {wanted} arguments, and {given} are given."
            raise ExpressionError(codes.UNKNOWN_FUNCTION, message)


def _plain_path(tree: Mapping[str, Any]) -> Path | None:
    if tree["type"] == "field":
        return (str(tree["value"]),)
    if tree["type"] == "subexpression":
        parts = [_plain_path(child) for child in tree["children"]]
        if all(part is not None for part in parts):
            return tuple(name for part in parts if part is not None for name in part)
    return None


def _paths(node: Mapping[str, Any]) -> Iterator[Path]:
    """Yield the paths that a node reads from where the expression starts, not from what other nodes hand on."""
    kind = node["type"]
    plain = _plain_path(node)
    if plain is not None:
        yield plain
    elif kind == "subexpression":
        yield from _leading(node["children"])
    elif kind in {"pipe", "index_expression", "projection", "value_projection", "filter_projection", "flatten"}:
        yield from _paths(node["children"][0])
    elif kind != "expref":
        for child in _children(node):
            yield from _paths(child)


def _leading(children: list[Mapping[str, Any]]) -> Iterator[Path]:
    names: list[str] = []
    for child in children:
        part = _plain_path(child)
        if part is None:
            break
        names.extend(part)
    if names:
        yield tuple(names)
    else:
        yield from _paths(children[0])


def _walker(path: Path) -> Select:
    *leading, last = path

    def walk(view: Any) -> Any:
        value = view
        try:
            for name in leading:
                value = value.get(name)
            value = value.get(last)
        except AttributeError:  # what is no object has nothing under a name
            return None
        return few(value) if type(value) is list else value

    return walk


def _interpreter(tree: Mapping[str, Any]) -> Select:
    def interpret(view: Any) -> Any:
        try:
            return bounded(BoundedInterpreter().visit(tree, view))
        except _FAILURES:
            message = (
                "The mapping's expression cannot be worked out on this document. Correct the field, or the mapping."
            )
            raise ValueProblemError(codes.SELECTION_FAILED, message) from None

    return interpret


def _is_false(value: Any) -> bool:
    return value is None or value is False or value in ("", [], {})
