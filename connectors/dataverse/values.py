"""Values of a write plan as Dataverse takes them, and whether what it holds is the same value."""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any
from uuid import UUID

from connectors.dataverse.metadata import Attribute, Kind
from mappings.plan import Scalar

Json = str | int | Decimal | bool | None

_EARLIEST = date(1753, 1, 1)
_DATE_LENGTH = len("2026-01-31")


class DoesNotFitError(Exception):
    """A value cannot be held by its column. ``code`` is stable, ``message`` a sentence without the field's name."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def encode(attribute: Attribute, value: Scalar) -> Json:
    """Return the value as it stands in the JSON body. Raises ``DoesNotFitError``.

    What the target would round, cut or shift is refused, since it does so without a word.
    """
    return None if value is None else _ENCODERS[attribute.kind](attribute, value)


def encode_columns(
    attributes: Mapping[str, Attribute], values: Mapping[str, Scalar], faults: list[tuple[str, DoesNotFitError]]
) -> dict[str, Json]:
    """Return the values of a row as they stand in the JSON body, by column; add what does not fit to ``faults``.

    Raises ``KeyError`` with the name of a column that there is not.
    """
    columns: dict[str, Json] = {}
    for name, value in values.items():
        attribute = attributes[name]
        if value is None:
            columns[name] = None
            continue
        try:
            columns[name] = _ENCODERS[attribute.kind](attribute, value)
        except DoesNotFitError as error:
            faults.append((name, error))
    return columns


def same(planned: Json, current: Any, kind: Kind = Kind.UNTOLD) -> bool:
    """Tell whether what a column of this kind returned is the value that was planned for it.

    Numbers are equal by value, dates by day, moments by instant, ids in any case; an empty text is stored as none, and
    a text may have lost the blanks around it and its carriage returns. Of a column of untold kind it is the value that
    tells what it may be.
    """
    if planned is None or planned == "":
        return current is None or current == ""
    if planned == current and type(planned) is type(current):
        return True
    if isinstance(planned, bool) or isinstance(current, bool):
        return False
    if isinstance(planned, int | Decimal):
        return _same_number(planned, current, kind)
    if current is None:
        return kind.is_text and not _as_kept(planned)
    if not isinstance(current, str):
        return planned == str(current)
    compare = _COMPARISONS.get(kind)
    if compare is not None:
        return compare(planned, current)
    return _same_moment(planned, current) or _same_id(planned, current)


def _same_number(planned: int | Decimal, current: Any, kind: Kind) -> bool:
    """Compare by value; a target may write numbers as text, so that no digit is lost on the way."""
    if isinstance(current, str):
        try:
            current = Decimal(current)
        except ArithmeticError:
            return False
    if not isinstance(current, int | Decimal):
        return False
    return planned == current or (kind is Kind.DOUBLE and float(planned) == float(current))


def _same_text(planned: str, current: str) -> bool:
    return planned == current or _as_kept(planned) == current.replace("\r\n", "\n")


def _as_kept(text: str) -> str:
    """Return a text as a target may keep it that tidies up: without blanks around it and carriage returns."""
    return text.replace("\r\n", "\n").strip()


def _same_moment(planned: str, current: str) -> bool:
    if len(planned) < _DATE_LENGTH or not planned[:4].isdecimal() or planned[4] != "-":
        return False
    try:
        if len(planned) == _DATE_LENGTH:
            return date.fromisoformat(planned) == _moment(current).date()
        return _moment(planned) == _moment(current)
    except ValueError:
        return False


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text).replace(microsecond=0)
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)


def _same_id(planned: str, current: str) -> bool:
    return len(planned) == 36 and planned.count("-") == 4 and planned.lower() == current.lower()


def _same_choices(planned: str, current: str) -> bool:
    return {one.strip() for one in planned.split(",")} == {one.strip() for one in current.split(",")}


_COMPARISONS: Mapping[Kind, Callable[[str, str], bool]] = {
    Kind.STRING: _same_text,
    Kind.MEMO: _same_text,
    Kind.DATETIME: _same_moment,
    Kind.UNIQUEIDENTIFIER: _same_id,
    Kind.MULTI_SELECT: _same_choices,
}


def plain_text(value: Scalar) -> str:
    """Return a value as text, the way it is written into a text column."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date):
        return value.isoformat()
    return str(value)


def _text(attribute: Attribute, value: Scalar) -> Json:
    text = value if isinstance(value, str) else plain_text(value)
    longest = attribute.limits.max_length
    if longest is None:
        return text
    length = len(text)
    if length <= longest and not text.isascii():
        length = len(text.encode("utf-16-le", "surrogatepass")) // 2
    if length > longest:
        raise DoesNotFitError("text_too_long", f"has {length} characters, and Dynamics holds {longest}")
    return text


def _whole(attribute: Attribute, value: Scalar) -> Json:
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int):
        raise DoesNotFitError("wrong_type", f"is {value}, and Dynamics holds a whole number")
    _in_range(attribute, value)
    return value


def _number(attribute: Attribute, value: Scalar) -> Json:
    if not isinstance(value, Decimal):
        if isinstance(value, int) and not isinstance(value, bool):
            return _whole(attribute, value)
        raise DoesNotFitError("wrong_type", f"is {plain_text(value)!r}, and Dynamics holds a number")
    precision = attribute.limits.precision
    text = str(value)
    if "E" not in text and (precision is None or len(text.partition(".")[2]) <= precision) and value.is_finite():
        # Nearly every number; taking it apart, as below, needs five times the time.
        _in_range(attribute, value)
        return value
    _, digits, exponent = value.as_tuple()
    if not isinstance(exponent, int):
        raise DoesNotFitError("wrong_type", f"is {value}, and Dynamics holds a number")
    _in_range(attribute, value)
    if exponent > 0:
        return Decimal(format(value, "f"))
    if precision is not None and -exponent > precision:
        beyond = -exponent - precision
        if any(digits[-beyond:]):
            raise DoesNotFitError(
                "too_many_decimals", f"is {value:f}, and Dynamics keeps {precision} digits after the point"
            )
    return value


def _double(attribute: Attribute, value: Scalar) -> Json:
    number = _number(attribute, value)
    if isinstance(number, int | Decimal) and Decimal(repr(float(number))) != number:
        raise DoesNotFitError("too_many_digits", f"is {number}, and Dynamics keeps about 15 digits in this column")
    return number


def _in_range(attribute: Attribute, value: int | Decimal) -> None:
    least, most = attribute.limits.min_value, attribute.limits.max_value
    if (least is not None and value < least) or (most is not None and value > most):
        raise DoesNotFitError(
            "out_of_range", f"is {plain_text(value)}, and Dynamics holds {_told(least)} to {_told(most)}"
        )


def _told(bound: int | Decimal | None) -> str:
    return "any" if bound is None else plain_text(bound)


def _boolean(_: Attribute, value: Scalar) -> Json:
    if not isinstance(value, bool):
        raise DoesNotFitError("wrong_type", f"is {plain_text(value)!r}, and Dynamics holds yes or no")
    return value


def _date(attribute: Attribute, value: Scalar) -> Json:
    if isinstance(value, datetime):
        if attribute.limits.behavior == "DateOnly":
            raise DoesNotFitError("wrong_type", f"is {value.isoformat()}, and Dynamics holds a date without a time")
        if value.tzinfo is None:
            raise DoesNotFitError("wrong_type", f"is {value.isoformat()}, a time of no time zone")
        try:
            moment = value.astimezone(UTC)
        except OverflowError:
            raise DoesNotFitError("out_of_range", f"is {value.isoformat()}, and UTC has no such time") from None
        _not_too_early(moment.date())
        return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
    if not isinstance(value, date):
        raise DoesNotFitError("wrong_type", f"is {plain_text(value)!r}, and Dynamics holds a date")
    _not_too_early(value)
    day = value.isoformat()
    return day if attribute.limits.behavior in {None, "DateOnly"} else f"{day}T00:00:00Z"


def _not_too_early(day: date) -> None:
    if day < _EARLIEST:
        raise DoesNotFitError("out_of_range", f"is {day.isoformat()}, and Dynamics holds dates from {_EARLIEST} on")


def _choice(attribute: Attribute, value: Scalar) -> Json:
    if isinstance(value, bool) or not isinstance(value, int):
        raise DoesNotFitError("wrong_type", f"is {plain_text(value)!r}, and Dynamics holds the number of a choice")
    options = attribute.limits.options
    if options is not None and value not in options:
        raise DoesNotFitError("unknown_choice", f"is {value}, which is none of the choices of this column")
    return value


def _choices(attribute: Attribute, value: Scalar) -> Json:
    text = plain_text(value)
    options = attribute.limits.options
    for one in text.split(","):
        number = one.strip()
        if not number.isdecimal():
            raise DoesNotFitError("wrong_type", f"is {text!r}, and Dynamics holds numbers of choices with commas")
        if options is not None and int(number) not in options:
            raise DoesNotFitError("unknown_choice", f"has {number}, which is none of the choices of this column")
    return text


def _guid(_: Attribute, value: Scalar) -> Json:
    if isinstance(value, UUID):
        return str(value)
    try:
        return str(UUID(plain_text(value)))
    except ValueError:
        raise DoesNotFitError("wrong_type", f"is {plain_text(value)!r}, and Dynamics holds a GUID") from None


def _unwritable(attribute: Attribute, _: Scalar) -> Json:
    raise DoesNotFitError("wrong_type", f"a column of the kind {attribute.kind.value} cannot be written as a value")


def _untold(attribute: Attribute, value: Scalar) -> Json:
    """Write a value in the form of its own kind: the target does not tell the column's."""
    if isinstance(value, date):
        return _date(attribute, value)
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        return _number(attribute, value)
    return value


_ENCODERS: Mapping[Kind, Callable[[Attribute, Scalar], Json]] = {
    **dict.fromkeys(Kind, _unwritable),
    Kind.STRING: _text,
    Kind.MEMO: _text,
    Kind.INTEGER: _whole,
    Kind.BIGINT: _whole,
    Kind.DECIMAL: _number,
    Kind.MONEY: _number,
    Kind.DOUBLE: _double,
    Kind.BOOLEAN: _boolean,
    Kind.DATETIME: _date,
    Kind.PICKLIST: _choice,
    Kind.STATE: _choice,
    Kind.STATUS: _choice,
    Kind.MULTI_SELECT: _choices,
    Kind.UNIQUEIDENTIFIER: _guid,
    Kind.UNTOLD: _untold,
}
