"""What is left of a file once the parts that do not fit its model are taken out, so that the rest is linted as well."""

from typing import Any, Final

from pydantic import ValidationError

from mappings.model import MappingFile

_BY_NAME: Final = frozenset({"columns", "lookups"})
_STAND_INS: Final[dict[str, Any]] = {"schema": "any", "destination": "any", "table": "any", "columns": {}}
_ROUNDS: Final = 3


def salvage(value: Any) -> MappingFile | None:
    """Return a model of the sound parts of a file's value, None when there are none.

    A column or lookup with an error is taken out whole, and so is any other top-level key with one.
    """
    left = {key: dict(item) if key in _BY_NAME and isinstance(item, dict) else item for key, item in value.items()}
    for _ in range(_ROUNDS):
        try:
            return MappingFile.model_validate(left)
        except ValidationError as error:
            places = {details["loc"][:2] for details in error.errors() if details["loc"]}
        for top, *inner in places:
            entries = left.get(top)
            if top in _BY_NAME and inner and isinstance(entries, dict):
                entries.pop(inner[0], None)
            elif top in _STAND_INS:
                left[top] = _STAND_INS[top]
            else:
                left.pop(top, None)
    return None
