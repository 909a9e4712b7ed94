"""The counts that stand in docs/reliability.md, and where a run leaves its own."""

import re
from pathlib import Path
from typing import Final

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "reliability.md"

COUNTS_FILE: Final = "RELIABILITY_COUNTS"
"""The environment variable that names the file to which a run adds its counts, one JSON object a line."""

_ROW = re.compile(r"^\| (?P<name>[^|]+?) \|(?P<numbers>(?: *[\d,]+ *\|)+)$")


def documented(text: str | None = None) -> dict[str, list[int]]:
    """Return the numbers of each row of the document's tables, by the row's name."""
    text = DOCUMENT.read_text(encoding="utf-8") if text is None else text
    rows = filter(None, map(_ROW.match, text.splitlines()))
    return {
        row["name"]: [int(number.replace(",", "")) for number in row["numbers"].strip("| ").split("|")] for row in rows
    }


def floor(name: str) -> list[int]:
    """Return what a run must reach: nine tenths of what is documented, since libraries differ in where they wait."""
    return [number * 9 // 10 for number in documented()[name]]
