"""Dates and moments, read by the formats that the mapping names and by no guess.

A date never meets a time zone. A moment always has one: its own offset, or the mapping's ``timezone``.
"""

import re
from collections.abc import Sequence
from datetime import date, datetime, timedelta, timezone, tzinfo
from typing import Any, Final
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from mappings import codes
from mappings.values import ValueProblemError, shown

ISO_DATE: Final = "%Y-%m-%d"

_ISO_DATE_TEXT: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_ISO_DATETIME_TEXT: Final = re.compile(
    r"[0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(:[0-9]{2}(\.[0-9]{1,12})?)?(Z|[+-][0-9]{2}(:?[0-9]{2})?)?"
)
_OFFSET: Final = re.compile(r"([+-])([0-9]{2}):([0-9]{2})")
_OF_THE_MACHINE: Final = frozenset({"%c", "%x", "%X"})
_TIME: Final = frozenset({"%H", "%I"})
_DIRECTIVE: Final = re.compile(r"%.")
_SAMPLE: Final = datetime(2026, 1, 31, 14, 5, 9, tzinfo=timezone(timedelta(hours=2)))
_OTHER_SAMPLES: Final = (date(2026, 3, 4), date(2012, 11, 10), date(2001, 2, 3))
_MAX_TEXT: Final = 100


class FormatError(Exception):
    """A date format or a time zone cannot be used; the message says why and what to write instead."""


def check_format(pattern: str, *, with_time: bool) -> None:
    """Raise ``FormatError`` unless a format reads back the day (``with_time``: and the hour) that it writes."""
    used = set(_DIRECTIVE.findall(pattern))
    if machine := sorted(used & _OF_THE_MACHINE):
        raise FormatError(f"{machine[0]} depends on the machine's language. Spell the format out, e.g. %d.%m.%Y.")
    if not with_time and "%z" in used:
        raise FormatError("A date has no time zone, so %z has no place here. Use `as: datetime`, or leave %z out.")
    if with_time and not used & _TIME:
        raise FormatError("The format has no time. Add e.g. %H:%M, or use `as: date`.")
    try:
        read = datetime.strptime(_SAMPLE.strftime(pattern), pattern)  # noqa: DTZ007 - compared by its parts
    except (ValueError, re.error) as error:
        raise FormatError(f"{pattern!r} is not a strptime format ({error}). Write e.g. %d.%m.%Y.") from None
    if read.date() != _SAMPLE.date():
        raise FormatError(f"{pattern!r} does not give day, month and year. Write e.g. %d.%m.%Y.")
    if with_time and read.hour not in {_SAMPLE.hour, _SAMPLE.hour - 12}:
        raise FormatError(f"{pattern!r} does not give the hour. Add e.g. %H:%M.")


def ambiguous_pairs(formats: Sequence[str]) -> list[tuple[str, str]]:
    """Return the pairs of formats that read some text as two different days; unusable formats are in none."""
    return [
        (first, second)
        for index, first in enumerate(formats)
        for second in formats[index + 1 :]
        if any(_differs(day, first, second) or _differs(day, second, first) for day in _OTHER_SAMPLES)
    ]


def _differs(day: date, writes: str, reads: str) -> bool:
    try:
        return datetime.strptime(day.strftime(writes), reads).date() != day  # noqa: DTZ007 - only the day counts
    except ValueError:
        return False


def zone(name: str) -> tzinfo:
    """Return the zone called ``Europe/Berlin``, ``UTC`` or ``+01:00``. Raises ``FormatError`` for an unknown one."""
    if offset := _OFFSET.fullmatch(name):
        sign, hours, minutes = offset.groups()
        delta = timedelta(hours=int(hours), minutes=int(minutes))
        if delta < timedelta(days=1):
            return timezone(-delta if sign == "-" else delta)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        message = f"The time zone {name!r} is not known. Write e.g. Europe/Berlin, UTC or +01:00."
        raise FormatError(message) from None


class DateReader:
    """Reads a selected value as a day."""

    def __init__(self, formats: Sequence[str]) -> None:
        self._formats = tuple(formats)
        self._iso = ISO_DATE in self._formats
        self._check_all = bool(ambiguous_pairs(self._formats))

    def __call__(self, value: Any) -> date:
        """Return the day. Raises ``ValueProblemError``: ``not_a_date``, ``ambiguous_date``, ``not_a_single_value``."""
        text = _text(value, self._refusal)
        if self._iso and not self._check_all and _ISO_DATE_TEXT.fullmatch(text):
            try:
                return date.fromisoformat(text)
            except ValueError:
                raise self._refusal(value) from None
        found: dict[date, str] = {}
        for pattern in self._formats:
            try:
                found.setdefault(datetime.strptime(text, pattern).date(), pattern)  # noqa: DTZ007 - only the day counts
            except (ValueError, OverflowError):
                continue
            if not self._check_all:
                break
        if not found:
            raise self._refusal(value)
        if len(found) > 1:
            days = " and as ".join(day.isoformat() for day in found)
            advice = "Write it like 2026-01-31." if self._iso else "Let the mapping name one format."
            raise ValueProblemError(codes.AMBIGUOUS_DATE, f"{shown(value)} can be read as {days}. {advice}")
        return next(iter(found))

    def _refusal(self, value: Any) -> ValueProblemError:
        examples = " or ".join(dict.fromkeys(_SAMPLE.strftime(pattern) for pattern in self._formats))
        code = codes.NOT_A_SINGLE_VALUE if isinstance(value, (dict, list)) else codes.NOT_A_DATE
        return ValueProblemError(
            code, f"{shown(value)} is not a date that the mapping knows. Write it like {examples}."
        )


class DatetimeReader:
    """Reads a selected value as a moment; no formats means ISO 8601."""

    def __init__(self, formats: Sequence[str], timezone_name: str | None) -> None:
        self._formats = tuple(formats)
        self._zone = zone(timezone_name) if timezone_name else None

    def __call__(self, value: Any) -> datetime:
        """Return the moment, with its offset.

        Raises ``ValueProblemError``: ``not_a_datetime``, ``no_time_zone``, ``not_a_single_value``.
        """
        text = _text(value, self._refusal)
        moment = self._read(text)
        if moment is None:
            raise self._refusal(value)
        if moment.tzinfo is not None:
            return moment
        if self._zone is None:
            message = f"{shown(value)} has no time zone. Write it with its offset, e.g. 2026-01-31T14:05:09+01:00."
            raise ValueProblemError(codes.NO_TIME_ZONE, message)
        return moment.replace(tzinfo=self._zone)

    def _read(self, text: str) -> datetime | None:
        if not self._formats:
            if not _ISO_DATETIME_TEXT.fullmatch(text):
                return None
            try:
                return datetime.fromisoformat(text)
            except ValueError:
                return None
        for pattern in self._formats:
            try:
                return datetime.strptime(text, pattern)  # noqa: DTZ007 - the caller adds the zone
            except (ValueError, OverflowError):
                continue
        return None

    def _refusal(self, value: Any) -> ValueProblemError:
        examples = " or ".join(_SAMPLE.strftime(pattern) for pattern in self._formats) or _SAMPLE.isoformat()
        code = codes.NOT_A_SINGLE_VALUE if isinstance(value, (dict, list)) else codes.NOT_A_DATETIME
        message = f"{shown(value)} is not a date with a time that the mapping knows. Write it like {examples}."
        return ValueProblemError(code, message)


def _text(value: Any, refusal: Any) -> str:
    if not isinstance(value, str) or len(value) > _MAX_TEXT:
        raise refusal(value)
    return value.strip()
