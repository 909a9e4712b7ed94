"""From what the file says of a column to the column at work, with everything that does not fit together noted."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import date
from decimal import Decimal
from typing import Any, Final

from mappings import codes
from mappings.amounts import AmountFormat, amount_format, fit_scale
from mappings.columns import Column, in_words, reading
from mappings.dates import FormatError, ambiguous_pairs, check_format, zone
from mappings.lint import Lint
from mappings.model import ColumnSpec
from mappings.names import KeyPath, Kind
from mappings.plan import Scalar
from mappings.steps import Step, StepError, in_turn, parse_step
from mappings.transforms import NUMBER_KINDS, Convert, constant, converter, text_of
from mappings.values import ValueProblemError, shown

_PLAIN: Final = amount_format("en_US")
_KINDS_OF: Final[Mapping[str, frozenset[Kind]]] = {
    "options": frozenset({"choice", "boolean"}),
    "formats": frozenset({"date", "datetime"}),
    "timezone": frozenset({"datetime"}),
    "scale": frozenset({"decimal", "money"}),
    "round": NUMBER_KINDS,
    "locale": NUMBER_KINDS,
}
_ONLY_WITH_FROM: Final = ("then", "default", "min_confidence", "locale", "formats", "timezone", "scale", "round")


def compile_column(
    name: str,
    spec: ColumnSpec,
    path: KeyPath,
    lint: Lint,
    *,
    amounts: AmountFormat,
    threshold: Decimal,
    of_row: bool = False,
    within: str | None = None,
) -> Column | None:
    """Return the column, None when something about it was noted as an error."""
    before = len(lint.errors)
    lint.name(name, path)
    has_from, has_value = spec.from_ is not None, "value" in spec.model_fields_set
    if has_from == has_value:
        message = "A column has either `from` or `value`. " + (
            "Remove one of them." if has_from else "Add one of them."
        )
        lint.error(path, codes.FROM_OR_VALUE, message, key=True)
    _check_keys(spec, path, lint)
    options = _options(spec, path, lint)
    own_amounts = locale_of(spec.locale, (*path, "locale"), lint) if spec.locale else amounts
    if has_value:
        column = _constant_column(name, spec, path, lint, options)
    else:
        column = _selecting_column(name, spec, path, lint, options, own_amounts or amounts, threshold, of_row=of_row)
    return replace(column, within=within) if column is not None and len(lint.errors) == before else None


def locale_of(name: str, path: tuple[Any, ...], lint: Lint) -> AmountFormat | None:
    """Return how a locale writes amounts, None with a finding for an unknown one."""
    try:
        return amount_format(name)
    except ValueError:
        message = f"The locale {name!r} is not known. Write a language and a country, e.g. en_US or de_DE."
        lint.error(path, codes.UNKNOWN_LOCALE, message)
        return None


def _check_keys(spec: ColumnSpec, path: KeyPath, lint: Lint) -> None:
    kind = spec.as_ or "text"
    for key, kinds in _KINDS_OF.items():
        if lint.has((*path, key)) and kind not in kinds and not (key == "scale" and kind == "integer"):
            wanted = " or ".join(f"`as: {name}`" for name in sorted(kinds))
            message = f"`{key}` has no effect with `as: {kind}`. Use it with {wanted}, or remove it."
            lint.warn((*path, key), codes.KEY_NOT_USED, message, key=True)
    if "value" in spec.model_fields_set:
        for key in _ONLY_WITH_FROM:
            if lint.has((*path, key)):
                message = f"`{key}` has no effect on a constant `value`. Remove it."
                lint.warn((*path, key), codes.KEY_NOT_USED, message, key=True)
    if spec.round and not lint.has((*path, "scale")) and kind in {"decimal", "money"}:
        message = "`round` needs `scale`, the number of digits to round to. Add e.g. `scale: 2`."
        lint.warn((*path, "round"), codes.KEY_NOT_USED, message, key=True)


def _options(spec: ColumnSpec, path: KeyPath, lint: Lint) -> dict[str, Any]:
    options: dict[str, Any] = {}
    for key, value in (spec.options or {}).items():
        try:
            name = text_of(key).strip()
        except ValueProblemError:
            name = ""
        if not name:
            lint.error(
                (*path, "options", key), codes.BAD_OPTIONS, "An option is named by a text or a number.", key=True
            )
        elif spec.as_ == "boolean" and not isinstance(value, bool):
            message = f"{shown(value)} is neither true nor false. An option of a boolean is one of the two."
            lint.error((*path, "options", key), codes.BAD_OPTIONS, message)
        elif spec.as_ != "boolean" and (isinstance(value, bool) or not isinstance(value, (int, str))):
            message = f"{shown(value)} is not an option's value. Write the number that the destination has for it."
            lint.error((*path, "options", key), codes.BAD_OPTIONS, message)
        else:
            options[name] = value
    if spec.as_ == "choice" and not spec.options and spec.from_ is not None:
        message = "A choice needs `options`: {what the document says: the destination's number}."
        lint.error(path, codes.OPTIONS_MISSING, message, key=True)
    return options


def _constant_column(
    name: str, spec: ColumnSpec, path: KeyPath, lint: Lint, options: Mapping[str, Any]
) -> Column | None:
    value = spec.value
    fixed = _constant(value, spec.as_, options, (*path, "value"), lint)
    if fixed is None and spec.required:
        lint.error((*path, "value"), codes.BAD_DEFAULT, "The column is required, and its constant is empty.")
    return Column(name, path, spec.as_, text_of, fixed=fixed, options=_values(options), required=spec.required)


def _constant(value: Any, kind: Kind | None, options: Mapping[str, Any], path: KeyPath, lint: Lint) -> Scalar:
    try:
        return constant(value, kind, options, amounts=_PLAIN)
    except ValueProblemError as problem:
        lint.error(path, codes.BAD_DEFAULT, f"This cannot be written as {kind or 'text'}: {problem.message}")
        return None


def _fitted(default: Scalar, spec: ColumnSpec, path: KeyPath, lint: Lint) -> Scalar:
    """Return a default with the fraction digits that the column takes."""
    if spec.scale is None or not isinstance(default, Decimal):
        return default
    try:
        return fit_scale(default, spec.scale, spec.round)
    except ValueProblemError:
        message = f"{shown(default)} has more than {spec.scale} digits after the point. Write fewer."
        lint.error((*path, "default"), codes.BAD_DEFAULT, message)
        return None


def _selecting_column(
    name: str,
    spec: ColumnSpec,
    path: KeyPath,
    lint: Lint,
    options: Mapping[str, Any],
    amounts: AmountFormat,
    threshold: Decimal,
    *,
    of_row: bool,
) -> Column | None:
    kind: Kind = spec.as_ or "text"
    selection = None
    if spec.from_ is not None:
        selection = lint.selection(spec.from_, lint.expression_path(path, "from"), of_row=of_row)
    steps = _steps(spec, path, kind, lint, of_row=of_row)
    default = None
    if spec.default is not None:
        wanted = "text" if kind == "text" and isinstance(spec.default, (int, Decimal, date)) else kind
        default = _fitted(_constant(spec.default, wanted, options, (*path, "default"), lint), spec, path, lint)
    before = tuple(step for step in steps if step.stage == "text")
    after = tuple(step for step in steps if step.stage == "number")
    scale = spec.scale if kind in {"decimal", "money"} else None
    convert = _converter(spec, path, kind, options, amounts, lint, scale=None if after else scale)
    if selection is None or convert is None:
        return None
    paths = tuple(dict.fromkeys([*selection.paths, *(found for step in steps for found in step.paths)]))
    return Column(
        name,
        path,
        kind,
        convert,
        selection=selection,
        before=before,
        shape=in_turn(before, keeps_numbers=kind in NUMBER_KINDS) if before else None,
        after=after,
        default=default,
        required=spec.required,
        threshold=threshold if spec.min_confidence is None else spec.min_confidence,
        scale=scale,
        rounding=spec.round,
        options=_values(options) if kind == "choice" else (),
        max_length=_max_length(steps),
        of_row=of_row,
        readings=tuple(dict.fromkeys(found for one in paths if (found := reading(one, of_row=of_row)))),
        fields=tuple(dict.fromkeys(in_words(one, of_row=of_row) for one in paths)),
    )


def _steps(spec: ColumnSpec, path: KeyPath, kind: Kind, lint: Lint, *, of_row: bool) -> list[Step]:
    steps: list[Step] = []
    for index, text in enumerate(spec.then):
        place = lint.step_path(path, index)
        try:
            step = parse_step(text, spec.from_)
        except StepError as error:
            lint.error(place, error.code, error.message)
            continue
        if step.stage == "number" and kind not in NUMBER_KINDS:
            message = (
                f"{step.name} works on a number, and this column is {kind}. Use `as: decimal`, or remove the step."
            )
            lint.error(place, codes.BAD_STEP, message, by_others=True)
        lint.roots(step.paths, place, of_row=of_row)
        steps.append(step)
    return steps


def _converter(
    spec: ColumnSpec,
    path: KeyPath,
    kind: Kind,
    options: Mapping[str, Any],
    amounts: AmountFormat,
    lint: Lint,
    *,
    scale: int | None,
) -> Convert | None:
    usable = True
    formats = (spec.formats or []) if kind in {"date", "datetime"} else []
    for index, pattern in enumerate(formats):
        try:
            check_format(pattern, with_time=kind == "datetime")
        except FormatError as error:
            lint.error((*path, "formats", index), codes.BAD_FORMAT, str(error))
            usable = False
    timezone = spec.timezone if kind == "datetime" else None
    if timezone:
        try:
            zone(timezone)
        except FormatError as error:
            lint.error((*path, "timezone"), codes.UNKNOWN_TIMEZONE, str(error))
            usable = False
    if not usable:
        return None
    for first, second in ambiguous_pairs(formats):
        message = (
            f"{first} and {second} read some dates differently, e.g. 3 April and 4 March. A document with such a date "
            "is rejected; keep one of the two."
        )
        lint.warn((*path, "formats"), codes.AMBIGUOUS_FORMATS, message)
    return converter(
        kind,
        amounts=amounts,
        scale=scale,
        rounding=spec.round,
        formats=formats,
        timezone=timezone,
        options=options,
    )


def _values(options: Mapping[str, Any]) -> tuple[int | str | bool, ...]:
    return tuple(dict.fromkeys(options.values()))


def _max_length(steps: list[Step]) -> int | None:
    """Return the length that the text is sure to end with; a later step may make it longer again."""
    length: int | None = None
    for step in steps:
        if step.max_length is not None:
            length = step.max_length if length is None else min(length, step.max_length)
        elif step.name not in {"strip", "squeeze", "digits", "remove", "empty_if"}:
            length = None
    return length
