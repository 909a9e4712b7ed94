"""What a column of the imitated Dataverse takes."""

import re
import uuid
from decimal import Decimal
from typing import Any

from tests.blackbox.imitations.calls import RefusedError
from tests.blackbox.imitations.tables import Column


def checked(column: Column, value: Any) -> Any:
    """Return the value as it is kept. Nothing is rounded here: what does not fit is refused."""
    bad = RefusedError(400, "0x80048d19", f"Cannot convert the literal '{value}' to the type of '{column.name}'.")
    if value is None:
        return None
    match column.kind:
        case "String" | "Memo":
            if not isinstance(value, str):
                raise bad
            if len(value) > column.facts["MaxLength"]:
                message = f"A validation error occurred. The length of '{column.name}' exceeded the maximum length."
                raise RefusedError(400, "0x80044331", message)
        case "Integer" | "Picklist":
            if not isinstance(value, int) or isinstance(value, bool):
                raise bad
            if column.options and value not in column.options:
                raise RefusedError(
                    400, "0x80048408", f"The value {value} is outside the valid range of '{column.name}'."
                )
        case "Decimal" | "Money":
            if not isinstance(value, int | Decimal) or isinstance(value, bool):
                raise bad
            number = Decimal(value)
            if not column.facts["MinValue"] <= number <= column.facts["MaxValue"]:
                raise RefusedError(400, "0x80044330", f"'{column.name}' is out of range.")
            if number != number.quantize(Decimal(1).scaleb(-column.facts["Precision"])):
                raise RefusedError(400, "0x80044330", f"'{column.name}' would be rounded.")
        case "DateTime" if column.facts["DateTimeBehavior"]["Value"] == "DateOnly":
            if not re.fullmatch(r"\d{4}-\d\d-\d\d", str(value)):
                raise bad
        case "DateTime":
            if not re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)", str(value)):
                raise bad
        case "Boolean":
            if not isinstance(value, bool):
                raise bad
        case "Uniqueidentifier":
            return str(uuid.UUID(value))
    return value
