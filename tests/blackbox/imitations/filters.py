"""The part of ``$filter`` that the imitated Dataverse knows."""

import re
from decimal import Decimal
from typing import Any

from tests.blackbox.imitations.calls import RefusedError
from tests.blackbox.imitations.tables import Table


def matches(table: Table, row: dict[str, Any], expression: str | None) -> bool:
    if not expression:
        return True
    alternatives = re.split(r"\s+or\s+(?=(?:[^']*'[^']*')*[^']*$)", expression)
    return any(_all(table, row, one.strip().removeprefix("(").removesuffix(")")) for one in alternatives)


def _all(table: Table, row: dict[str, Any], expression: str) -> bool:
    for part in re.split(r"\s+and\s+(?=(?:[^']*'[^']*')*[^']*$)", expression):
        match = re.fullmatch(r"\(?\s*([\w/]+)\s+(eq|ne)\s+(.+?)\s*\)?", part.strip())
        if match is None:
            raise RefusedError(400, "0x80060888", f"Syntax error in '{part}'")
        name, operator, literal = match.groups()
        known = any(name in {column.name, f"_{column.name}_value"} for column in table.columns)
        if not known and name != "statecode":
            raise RefusedError(400, "0x80060888", f"Could not find a property named '{name}' on type '{table.name}'.")
        value = row.get(name, 0 if name == "statecode" else None)
        if literal.startswith("'"):
            same = str(value).lower() == literal[1:-1].replace("''", "'").lower() and value is not None
        elif literal == "null":
            same = value is None
        elif re.fullmatch(r"-?\d+(\.\d+)?", literal):
            same = value is not None and Decimal(str(value)) == Decimal(literal)
        else:
            same = str(value) == literal
        if same != (operator == "eq"):
            return False
    return True
