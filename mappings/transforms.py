"""The closed list of conversions: what ``as`` makes of a selected value. Pure, and exact for decimals."""

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Final
from uuid import UUID

from mappings import codes
from mappings.amounts import AmountFormat, Rounding, fit_scale, number_of
from mappings.dates import ISO_DATE, DateReader, DatetimeReader
from mappings.names import Kind
from mappings.plan import Scalar
from mappings.values import OUT_OF_RANGE, ValueProblemError, is_plain, plain_digits, shown

Convert = Callable[[Any], Scalar]
"""Makes the value to be written of one that is not empty. Raises ``ValueProblemError``."""

NUMBER_KINDS: Final[frozenset[Kind]] = frozenset({"decimal", "money", "integer"})

_TOO_LARGE: Final = 10**OUT_OF_RANGE
_GUID: Final = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")
_BOOLEANS: Final[Mapping[str, bool]] = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def text_of(value: Any) -> str:
    """Return a single value as text: a number with the digits it came with, a boolean as ``true`` or ``false``.

    Raises ``ValueProblemError`` with ``not_a_single_value`` or ``number_out_of_range``.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    try:
        if isinstance(value, int):
            return str(value)
        if isinstance(value, (float, Decimal)):
            return plain_digits(value if isinstance(value, Decimal) else Decimal(repr(value)))
    except ValueError:
        message = f"{shown(value)} is out of range. Correct the field in review."
        raise ValueProblemError(codes.NUMBER_OUT_OF_RANGE, message) from None
    if isinstance(value, (date, UUID)):
        return value.isoformat() if isinstance(value, date) else str(value)
    message = f"This is {shown(value)}, and one value is wanted. Name the value inside it in the mapping's `from`."
    raise ValueProblemError(codes.NOT_A_SINGLE_VALUE, message)


def to_decimal(amounts: AmountFormat, scale: int | None, rounding: Rounding | None) -> Convert:
    """Return the conversion to a decimal with at most ``scale`` fraction digits."""
    longest = OUT_OF_RANGE if scale is None else scale

    def convert(value: Any) -> Decimal:
        if type(value) is Decimal and is_plain(value, longest):
            return value or value.copy_abs()  # what follows comes to the same, in twice the time
        if type(value) is int and -_TOO_LARGE < value < _TOO_LARGE:
            return Decimal(value)
        number = number_of(value, amounts)
        return number if scale is None else fit_scale(number, scale, rounding)

    return convert


def to_integer(amounts: AmountFormat, rounding: Rounding | None) -> Convert:
    """Return the conversion to a whole number; ``12.00`` is one, ``12.50`` only with a rounding."""

    def convert(value: Any) -> int:
        if isinstance(value, int) and not isinstance(value, bool):
            return int(number_of(value, amounts))
        try:
            return int(fit_scale(number_of(value, amounts), 0, rounding))
        except ValueProblemError as problem:
            if problem.code not in {codes.NOT_AN_AMOUNT, codes.TOO_MANY_DECIMALS}:
                raise
            message = f"{shown(value)} is not a whole number. Correct the field in review."
            raise ValueProblemError(codes.NOT_AN_INTEGER, message) from None

    return convert


def to_boolean(options: Mapping[str, Any]) -> Convert:
    """Return the conversion to a boolean: JSON's own, yes, no, true, false, 1, 0, and the mapping's options."""
    known = {**_BOOLEANS, **{name.casefold(): bool(value) for name, value in options.items()}}

    def convert(value: Any) -> bool:
        if isinstance(value, bool):
            return value
        found = known.get(text_of(value).strip().casefold())
        if found is None:
            names = ", ".join(known)
            message = f"{shown(value)} is neither a yes nor a no. Write one of: {names}."
            raise ValueProblemError(codes.NOT_A_BOOLEAN, message)
        return found

    return convert


def to_choice(options: Mapping[str, Scalar]) -> Convert:
    """Return the conversion to an option's value, by the option's name; letter case does not matter."""
    folded: dict[str, Scalar] = {}
    for name, value in options.items():
        folded.setdefault(name.casefold(), value)

    def convert(value: Any) -> Scalar:
        name = text_of(value).strip()
        if name in options:
            return options[name]
        if name.casefold() in folded:
            return folded[name.casefold()]
        message = f"{shown(value)} is not known here. Choose one of: {', '.join(options)}."
        raise ValueProblemError(codes.UNKNOWN_OPTION, message)

    return convert


def to_guid(value: Any) -> UUID:
    """Return a GUID, with or without braces, in its five groups."""
    text = text_of(value).strip()
    if text[:1] == "{" and text[-1:] == "}":
        text = text[1:-1]
    if not _GUID.fullmatch(text):
        message = f"{shown(value)} is not a GUID. Write it like 00000000-0000-0000-0000-000000000000."
        raise ValueProblemError(codes.NOT_A_GUID, message)
    return UUID(text)


def converter(
    kind: Kind,
    *,
    amounts: AmountFormat,
    scale: int | None = None,
    rounding: Rounding | None = None,
    formats: Sequence[str] = (),
    timezone: str | None = None,
    options: Mapping[str, Any] | None = None,
) -> Convert:
    """Return the conversion for a kind. Raises ``dates.FormatError`` for an unknown ``timezone``."""
    if kind in {"decimal", "money"}:
        return to_decimal(amounts, scale, rounding)
    if kind == "integer":
        return to_integer(amounts, rounding)
    if kind == "boolean":
        return to_boolean(options or {})
    if kind == "date":
        return DateReader(formats or (ISO_DATE,))
    if kind == "datetime":
        return DatetimeReader(formats, timezone)
    if kind == "choice":
        return to_choice(options or {})
    return to_guid if kind == "guid" else text_of


def constant(value: Any, kind: Kind | None, options: Mapping[str, Any], *, amounts: AmountFormat) -> Scalar:
    """Return a constant or default of a mapping file as the value to write: in plain notation, whatever the locale.

    A choice takes one of its options' values, the name of an option, or a number of the destination's that no document
    leads to. Raises ``ValueProblemError``.
    """
    if value is None or kind is None:
        return constant(value, "text", options, amounts=amounts) if isinstance(value, (dict, list)) else value
    if kind == "choice":
        return _option(value, options)
    if kind == "date" and isinstance(value, date) and not isinstance(value, datetime):
        return value
    if kind == "datetime" and isinstance(value, datetime) and value.tzinfo is not None:
        return value
    return converter(kind, amounts=amounts)(value)


def _option(value: Any, options: Mapping[str, Any]) -> Scalar:
    for option in options.values():
        if type(option) is type(value) and option == value:
            known: Scalar = option
            return known
    try:
        return to_choice(options)(value)
    except ValueProblemError:
        if isinstance(value, bool) or not isinstance(value, int):
            raise
        return value
