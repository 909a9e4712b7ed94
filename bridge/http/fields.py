"""The types of what requests may say. Nothing is converted by guess, and every bound stands in the schema as well."""

import math
import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Annotated, Any, Final

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from bridge.delivery.model import State

DEFAULT_LIMIT: Final = 50
LARGEST_LIMIT: Final = 200

DEEPEST: Final = 32
"""Levels that a value which is handed on may be nested."""

LARGEST_INTEGER: Final = 2**63

LINE_PATTERN: Final = r"^[^\x00-\x1f\x7f]*$"

_CONTROL: Final = re.compile("[\x00-\x1f\x7f]")
_WHOLE_NUMBER: Final = re.compile(r"[0-9]{1,9}", re.ASCII)
_STATES: Final = "|".join(State)


class RequestModel(BaseModel):
    """The base of what a request may say."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


def _plain(value: str) -> str:
    if _CONTROL.search(value):
        raise PydanticCustomError("control_character", "This holds a control character.")
    return value


def _no_blank_ends(value: str) -> str:
    if value != value.strip():
        raise PydanticCustomError("blank_ends", "This begins or ends with a blank.")
    return value


def _number(value: Any) -> Any:
    if not isinstance(value, str) or not _WHOLE_NUMBER.fullmatch(value):
        raise PydanticCustomError("int_type", "This should be a whole number.")
    return int(value)


def _seconds(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value


def _states(value: Any) -> Any:
    """Take one state, a list of them, or several with commas between."""
    given = value if isinstance(value, list) else [value]
    names: list[str] = []
    for item in given:
        if not isinstance(item, str):
            raise PydanticCustomError("string_type", "This should be the name of a state, or a list of them.")
        names += (name.strip() for name in item.split(",") if name.strip())
    known = {state.value for state in State}
    if not known.issuperset(names):
        raise PydanticCustomError("bad_state", "This should be one or more of: {known}.", {"known": ", ".join(State)})
    return frozenset(State(name) for name in names)


def handed_on(value: Any) -> Any:
    """Hold a value that is handed on against what any JSON reader takes."""
    level = [value]
    for _ in range(DEEPEST):
        below: list[Any] = []
        for item in level:
            if isinstance(item, Mapping):
                below += item.values()
            elif isinstance(item, list):
                below += item
            elif isinstance(item, int) and abs(item) >= LARGEST_INTEGER:
                raise PydanticCustomError("number_too_large", "A number in this is too large.")
        level = below
        if not level:
            return value
    raise PydanticCustomError("too_deep", "This is nested more than {most} levels deep.", {"most": DEEPEST})


Text = Annotated[
    str,
    Field(max_length=512),
    AfterValidator(_plain),
    WithJsonSchema({"type": "string", "maxLength": 512, "pattern": LINE_PATTERN}),
]
"""A line of text, which may be empty."""

Id = Annotated[
    str,
    Field(min_length=1, max_length=512),
    AfterValidator(_plain),
    WithJsonSchema({"type": "string", "minLength": 1, "maxLength": 512, "pattern": LINE_PATTERN}),
]
"""An id of an outside system: opaque, and never empty."""

Url = Annotated[
    str,
    Field(min_length=1, max_length=2048),
    AfterValidator(_plain),
    AfterValidator(_no_blank_ends),
    WithJsonSchema({"type": "string", "format": "uri", "minLength": 1, "maxLength": 2048}),
]
"""An address. Whether the bridge sends to it is looked at where it is used."""

Prose = Annotated[str, Field(min_length=1, max_length=4096, pattern=r"\S")]
"""Some words of a person, of several lines perhaps."""

Limit = Annotated[int, Field(ge=1, le=LARGEST_LIMIT), BeforeValidator(_number)]
"""How many to a page, as a query says it."""

PageSize = Annotated[int, Field(ge=1, le=999_999_999), BeforeValidator(_number)]
"""How many to a page where nobody else is asked: a page holds as many as it can."""

Seconds = Annotated[float, Field(ge=0, le=60, allow_inf_nan=False), BeforeValidator(_seconds)]

States = Annotated[
    frozenset[State],
    BeforeValidator(_states),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": rf"^({_STATES})(,({_STATES}))*$"},
                {"type": "array", "items": {"enum": [state.value for state in State]}},
            ]
        }
    ),
]
"""States as ``failed``, ``failed,parked`` or ``["failed", "parked"]``; empty means any."""

JsonObject = Annotated[dict[str, Any], AfterValidator(handed_on)]
"""An object that is handed on as it is: at most 32 levels deep, with numbers that any JSON reader takes."""


def decimal(digits: str) -> Decimal:
    """Read a JSON number with its own digits. Raises ``ValueError`` for one that no JSON reader could hold."""
    if not math.isfinite(float(digits)):
        raise ValueError("the number is out of range")
    try:
        return Decimal(digits)
    except InvalidOperation:
        raise ValueError("the number is out of range") from None
