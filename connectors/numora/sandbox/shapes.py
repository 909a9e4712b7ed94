"""The shapes in which Numora may give the same content: published are few, so the sandbox knows them all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

Row = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Shape:
    """How fields and lines are written down.

    ``cells`` are ``{value, confidence}``, bare, or both in turn. ``line_id`` is the key of a line's id. ``nest`` puts a
    line's cells into a map of this name; ``keyed`` makes the lines an object by id, not a list.
    """

    cells: Literal["confidence", "bare", "mixed"] = "confidence"
    line_id: str = "id"
    nest: str | None = None
    keyed: bool = False


PUBLISHED = Shape()

_CONFIDENCE = Decimal("0.97")


def shaped_fields(
    values: Row, shape: Shape = PUBLISHED, confidences: Mapping[str, Any] | None = None
) -> dict[str, Any]:
    """Return plain values as fields in this shape."""
    known = confidences or {}
    return {
        name: value if _is_bare(shape, place) else {"value": value, "confidence": known.get(name, _CONFIDENCE)}
        for place, (name, value) in enumerate(values.items())
    }


def shaped_lines(rows: Sequence[Row], shape: Shape = PUBLISHED) -> list[Any] | dict[str, Any]:
    """Return plain rows, each with its ``id``, as line items in this shape."""
    lines: dict[str, dict[str, Any]] = {}
    for row in rows:
        cells = shaped_fields({name: value for name, value in row.items() if name != "id"}, shape)
        content = {shape.nest: cells} if shape.nest else cells
        lines[row["id"]] = content if shape.keyed else {shape.line_id: row["id"], **content}
    return lines if shape.keyed else list(lines.values())


def _is_bare(shape: Shape, place: int) -> bool:
    return shape.cells == "bare" or (shape.cells == "mixed" and place % 2 == 1)
