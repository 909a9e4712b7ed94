"""One column of a mapping at work: select, step, convert, and say in the reviewer's words what is wrong."""

from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from mappings import codes
from mappings.amounts import Rounding, fit_scale
from mappings.names import KeyPath, Kind, TargetColumn
from mappings.plan import Problem, Scalar
from mappings.selection import Path, Selection
from mappings.steps import Apply, Step
from mappings.transforms import NUMBER_KINDS, Convert, text_of
from mappings.values import ValueProblemError, is_empty, shown


@dataclass(frozen=True, slots=True)
class TraceStep:
    """How one value came about.

    ``row`` is the line's key, None for the document's own row. ``expression`` is the ``from``, None for a constant.
    ``selected`` is the value that it picked, ``transform`` what was done with it (``strip → as decimal``), ``result``
    what is written; ``problem`` says why nothing is.
    """

    column: str
    row: str | None
    expression: str | None
    selected: Any
    transform: str
    result: Scalar
    problem: Problem | None = None


class Scope(msgspec.Struct, frozen=True):
    """What a column selects from: the document's view, or one row. ``row`` is its key in the list called ``rows``."""

    view: Any
    confidences: Mapping[str, Decimal]
    rows: str | None = None
    row: str | None = None

    @property
    def prefix(self) -> str | None:
        """What leads a reviewer to the row; None for the document itself."""
        return None if self.rows is None else f"{self.rows}[{self.row}]"


@dataclass(frozen=True, slots=True)
class Column:
    """A compiled column. ``selection`` is None for a constant, which ``fixed`` then holds.

    ``shape`` is what the steps ``before`` it make of the selected value, one after the other; None without any.
    ``convert`` holds the ``scale`` itself, unless steps come ``after`` it that may still change the number.
    ``threshold`` is the least confidence taken. ``readings`` are the names under which the confidences of what it reads
    are kept, ``fields`` the same in the reviewer's words. ``within`` is the lookup whose criterion it is.
    """

    name: str
    path: KeyPath
    kind: Kind | None
    convert: Convert
    selection: Selection | None = None
    fixed: Scalar = None
    before: tuple[Step, ...] = ()
    shape: Apply | None = None
    after: tuple[Step, ...] = ()
    default: Scalar = None
    required: bool = False
    threshold: Decimal = Decimal(0)
    scale: int | None = None
    rounding: Rounding | None = None
    options: tuple[int | str | bool, ...] = ()
    max_length: int | None = None
    of_row: bool = False
    within: str | None = None
    readings: tuple[str, ...] = ()
    fields: tuple[str, ...] = ()

    def evaluate(self, scope: Scope, problems: list[Problem], trace: list[TraceStep] | None) -> Scalar:
        """Return the value to write, None for an empty one; what is wrong with it is added to ``problems``."""
        if trace is not None:
            return self._traced(scope, problems, trace)
        if self.selection is None:
            return self.fixed
        try:
            selected = self.selection.select(scope.view)
            value = selected if self.shape is None else self.shape(selected, scope.view)
            if is_empty(value):
                return self._absent(scope)
            if self.threshold and scope.confidences:
                self._check_confidence(selected, scope, problems)
            result = self.convert(value)
            return self._finished(result, scope) if self.after else result
        except ValueProblemError as problem:
            if problem.code == codes.UNKNOWN_OPTION and self.default is not None:
                return self.default
            field = self._label(scope) if self.fields else None
            problems.append(Problem(field, self.name, problem.code, problem.message))
            return None

    def _traced(self, scope: Scope, problems: list[Problem], trace: list[TraceStep]) -> Scalar:
        found = len(problems)
        result = self.evaluate(scope, problems, None)
        problem = problems[found] if len(problems) > found else None
        expression = selected = None
        if self.selection is not None:
            expression = self.selection.text
            with suppress(ValueProblemError):
                selected = self.selection.select(scope.view)
        transform = "constant" if expression is None else self.transform
        name = f"{self.within}.{self.name}" if self.within else self.name
        trace.append(TraceStep(name, scope.row, expression, selected, transform, result, problem))
        return result

    def _absent(self, scope: Scope) -> Scalar:
        if self.default is None and self.required:
            message = f"{self._label(scope)} is empty, and it is needed. Fill it in review."
            raise ValueProblemError(codes.REQUIRED_MISSING, message)
        return self.default

    def _finished(self, result: Scalar, scope: Scope) -> Scalar:
        for step in self.after:
            result = step.apply(result, scope.view)
        if self.scale is not None and isinstance(result, Decimal):
            result = fit_scale(result, self.scale, self.rounding)
        return result

    def _check_confidence(self, selected: Any, scope: Scope, problems: list[Problem]) -> None:
        if not any(_is_below(scope.confidences.get(name), self.threshold) for name in self.readings):
            return
        for path in self._paths_used(selected, scope):
            name = reading(path, of_row=self.of_row)
            confidence = scope.confidences.get(name) if name is not None else None
            if _is_below(confidence, self.threshold):
                field = _in_words(path, scope.prefix)
                message = (
                    f"{field} was read with a confidence of {confidence}, and the mapping asks for {self.threshold}. "
                    "Check the field in review and correct it."
                )
                problems.append(Problem(field, self.name, codes.LOW_CONFIDENCE, message))

    def _paths_used(self, selected: Any, scope: Scope) -> list[Path]:
        """Return the paths that the value really came from; a fallback that was not needed is none of them."""
        paths = self.selection.paths_used(scope.view) if self.selection is not None else ()
        value = selected
        for step in self.before:
            if step.takes(value, keeps_numbers=self.kind in NUMBER_KINDS):
                paths = step.origin(value, scope.view, paths)
                value = step.apply(value, scope.view)
        return list(dict.fromkeys(paths))

    def _label(self, scope: Scope) -> str:
        names = [f"{scope.prefix}.{name}" if scope.prefix else name for name in self.fields]
        return ", ".join(names) or "The value"

    @property
    def transform(self) -> str:
        """What is done with a selected value, in order."""
        parts = [step.text.strip() for step in self.before]
        if self.kind is not None:
            parts.append(f"as {self.kind}")
        parts.extend(step.text.strip() for step in self.after)
        if self.scale is not None:
            parts.append(f"scale {self.scale}" + (f" {self.rounding}" if self.rounding else ""))
        if self.default is not None:
            parts.append(f"default {text_of(self.default)}")
        return " → ".join(parts)

    def target(self) -> TargetColumn:
        """Return what the destination must be able to take."""
        constants = tuple(value for value in (self.fixed, self.default) if value is not None)
        return TargetColumn(
            self.name,
            self.path,
            self.kind,
            constants,
            self.options,
            self.scale,
            self.max_length,
            self.required,
            always_set=self.required or bool(constants),
        )


def reading(path: Path, *, of_row: bool) -> str | None:
    """Return the name under which the confidence of what stands at ``path`` is kept; None when there is none."""
    if of_row:
        return path[0]
    return path[1] if len(path) > 1 and path[0] == "fields" else None


def in_words(path: Path, *, of_row: bool) -> str:
    """Return what a reviewer calls the value at ``path``: ``invoice_date``, ``metadata.vendor_code``, a cell's name."""
    names = path[1:] if not of_row and len(path) > 1 and path[0] == "fields" else path
    return ".".join(names)


def _in_words(path: Path, prefix: str | None) -> str:
    name = in_words(path, of_row=prefix is not None)
    return f"{prefix}.{name}" if prefix else name


def _is_below(confidence: Any, threshold: Decimal) -> bool:
    return isinstance(confidence, Decimal) and confidence.is_finite() and confidence < threshold


def row_key(value: Any) -> str | None:
    """Return a row's own key as text; None when it has none."""
    if isinstance(value, str):
        return value.strip() or None
    if is_empty(value) or isinstance(value, (dict, list, bool)):
        return None
    try:
        return text_of(value).strip()
    except ValueProblemError:
        return shown(value)
