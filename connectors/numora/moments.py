"""Times as Numora writes them: ISO 8601 in its examples, and seconds since the epoch should it write those."""

import re
from datetime import UTC, datetime
from typing import Final

_EPOCH: Final = re.compile(r"[0-9]{1,13}(?:\.[0-9]{1,9})?", re.ASCII)
_MILLISECONDS_FROM: Final = 100_000_000_000
"""A whole number from here on counts milliseconds: in seconds it would lie in the year 5138."""


def to_moment(text: str) -> datetime | None:
    """Read a time that has an offset, or seconds or milliseconds since the epoch; None for anything else."""
    try:
        if _EPOCH.fullmatch(text):
            number = float(text)
            return datetime.fromtimestamp(number / 1000 if number >= _MILLISECONDS_FROM else number, UTC)
        moment = datetime.fromisoformat(text)
    except (OSError, OverflowError, ValueError):
        return None
    return moment if moment.tzinfo is not None else None


def same_moment(one: str | None, other: str | None) -> bool:
    """Tell whether two times are the same, however they are written; texts that are no times are compared as such."""
    if one is None or other is None or one == other:
        return one == other
    first, second = to_moment(one), to_moment(other)
    return first is not None and second is not None and first == second
