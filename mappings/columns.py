"""One column of a mapping at work: select, step, convert, and say in the reviewer's words what is wrong."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import msgspec

from mappings import codes
from mappings.amounts import Rounding, fit_scale
from mappings.names import KeyPath, Kind, TargetColumn
from mappings.plan import Problem, Scalar
from mappings.selection import Path, Selection
from mappings.steps import Step
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
    """What a column selects from: the document's view, or one row. ``prefix`` leads a reviewer to the row."""

    view: Any
    confidences: Mapping[str, Decimal]
    prefix: str | None = None
    row: str | None = None


@dataclass(frozen=True, slots=True)
class Column:
    """A compiled column. ``selection`` is None for a constant, which ``fixed`` then holds.

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
        if self.selection is None:
            if trace is not None:
                trace.append(TraceStep(self._traced_as, scope.row, None, None, "constant", self.fixed))
            return self.fixed
        selected: Any = None
        found = len(problems)
        result: Scalar = None
        try:
            selected = self.selection.select(scope.view)
            result = self._made_of(selected, scope, problems)
        except ValueProblemError as problem:
            problems.append(self._problem(scope, problem.code, problem.message))
        if trace is not None:
            problem_found = problems[found] if len(problems) > found else None
            transform = self.transform
            trace.append(
                TraceStep(self._traced_as, scope.row, self.selection.text, selected, transform, result, problem_found)
            )
        return result

    def _made_of(self, selected: Any, scope: Scope, problems: list[Problem]) -> Scalar:
        value = selected
        for step in self.before:
            if type(value) is str or self._goes_through(step, value):
                value = step.apply(value, scope.view)
        if value is None or is_empty(value):
            if self.default is None and self.required:
                message = f"{self._label(scope)} is empty, and it is needed. Fill it in review."
                raise ValueProblemError(codes.REQUIRED_MISSING, message)
            return self.default
        if self.threshold and self.readings and scope.confidences:
            self._check_confidence(selected, scope, problems)
        try:
            result = self.convert(value)
        except ValueProblemError as problem:
            if problem.code == codes.UNKNOWN_OPTION and self.default is not None:
                return self.default
            raise
        if not self.after:
            return result
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
            if self._goes_through(step, value):
                paths = step.origin(value, scope.view, paths)
                value = step.apply(value, scope.view)
        return list(dict.fromkeys(paths))

    def _goes_through(self, step: Step, value: Any) -> bool:
        """Tell whether a step is for this value: a number that is to stay one is left alone by the steps for text."""
        return isinstance(value, str) or step.changes_numbers or self.kind not in NUMBER_KINDS

    def _problem(self, scope: Scope, code: str, message: str) -> Problem:
        field = self._label(scope) if self.fields else None
        return Problem(field, self.name, code, message)

    def _label(self, scope: Scope) -> str:
        names = [f"{scope.prefix}.{name}" if scope.prefix else name for name in self.fields]
        return ", ".join(names) or "The value"

    @property
    def _traced_as(self) -> str:
        return f"{self.within}.{self.name}" if self.within else self.name

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
    if is_empty(value) or isinstance(value, (dict, list, bool)):
        return None
    try:
        return text_of(value).strip()
    except ValueProblemError:
        return shown(value)
