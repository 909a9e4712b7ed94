"""Cells as they come: a bare value, or ``{value, confidence}`` with whatever else stands beside the two."""

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any


def split_cells(raw: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Decimal]]:
    """Split ``{name: cell}`` into the values and those confidences that are known, 0 to 1."""
    values: dict[str, Any] = {}
    confidences: dict[str, Decimal] = {}
    for name, cell in raw.items():
        if type(cell) is dict and ("value" in cell or "confidence" in cell):
            values[name] = cell.get("value")
            confidence = confidence_of(cell.get("confidence"))
            if confidence is not None:
                confidences[name] = confidence
        else:
            values[name] = cell
    return values, confidences


def confidence_of(raw: object) -> Decimal | None:
    """Return a finite number as it came, also one written as text; None for anything else."""
    if type(raw) is Decimal:
        return raw if raw.is_finite() else None
    if type(raw) is int:
        return Decimal(raw)
    if type(raw) is str:
        try:
            number = Decimal(raw)
        except InvalidOperation:
            return None
        return number if number.is_finite() else None
    return None
