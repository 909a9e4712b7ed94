"""How shapes are written: as JSON, with moments as text."""

from datetime import UTC, datetime
from typing import Annotated

import msgspec

from bridge.delivery.model import Millis

encode = msgspec.json.Encoder(decimal_format="number").encode
"""Write any shape as JSON; a ``Decimal`` becomes a number with its own digits."""

encode_sorted = msgspec.json.Encoder(decimal_format="number", order="sorted").encode
"""Write any shape so that equal ones are the same bytes."""

Moment = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
"""A moment as ``timestamp`` writes it."""


def timestamp(moment: Millis) -> str:
    """Write a moment: ``2026-01-31T09:30:00.000Z``."""
    seconds, millis = divmod(moment, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{millis:03d}Z"


def timestamp_or_none(moment: Millis | None) -> str | None:
    """Write a moment that may not have come."""
    return None if moment is None else timestamp(moment)
