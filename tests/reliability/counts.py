"""The counts that stand in docs/reliability.md: reading them, and writing those of a run."""

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

DOCUMENT: Final = Path(__file__).parents[2] / "docs" / "reliability.md"

COUNTS_FILE: Final = "RELIABILITY_COUNTS"
"""The environment variable that names the file to which a run adds its counts, one JSON object a line."""

BEGINNING, END = "<!-- counts: made by `make reliability` -->", "<!-- end of counts -->"

_ROW = re.compile(r"^\| (?P<name>[^|]+?) \|(?P<numbers>(?: *[\d,]+ *\|)+)$")


def documented(text: str | None = None) -> dict[str, list[int]]:
    """Return the numbers of each row of the document's tables, by the row's name."""
    text = DOCUMENT.read_text(encoding="utf-8") if text is None else text
    rows = filter(None, map(_ROW.match, text.splitlines()))
    return {
        row["name"]: [int(number.replace(",", "")) for number in row["numbers"].strip("| ").split("|")] for row in rows
    }


def floor(name: str) -> list[int]:
    """Return what a run must reach: nine tenths of what is documented, since libraries differ in where they wait.

    Nothing for a row that is not documented yet; a test sees to it that each is.
    """
    return [number * 9 // 10 for number in documented().get(name, [])]


def tables(counts: Iterable[Mapping[str, int | str]]) -> str:
    """Return a table for each set of things that were counted together, with sums where there are several rows."""
    by_columns: dict[tuple[str, ...], dict[str, list[int]]] = {}
    for count in counts:
        columns = tuple(name for name in count if name != "name")
        by_columns.setdefault(columns, {})[str(count["name"])] = [int(count[column]) for column in columns]
    written = []
    for columns, rows in by_columns.items():
        lines = [
            f"| | {' | '.join(column.replace('_', ' ') for column in columns)} |",
            f"|---|{'---:|' * len(columns)}",
        ]
        lines += [_line(name, rows[name]) for name in rows]
        if len(rows) > 1:
            lines.append(_line("in all", [sum(numbers) for numbers in zip(*rows.values(), strict=True)], bold=True))
        written.append("\n".join(lines))
    return "\n\n".join(written)


def replaced(text: str, written: str) -> str:
    """Return the document with other counts in it."""
    before, _, rest = text.partition(BEGINNING)
    _, _, after = rest.partition(END)
    return f"{before}{BEGINNING}\n\n{written}\n\n{END}{after}"


def _line(name: str, numbers: Iterable[int], *, bold: bool = False) -> str:
    mark = "**" if bold else ""
    return f"| {mark}{name}{mark} | {' | '.join(f'{mark}{number:,}{mark}' for number in numbers)} |"
