"""What a person sees: colours and tables on a terminal, plain lines elsewhere.

Everything that is shown may come from outside, so control characters in it are made harmless.
"""

import functools
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from rich.console import Console
    from rich.status import Status

Tone = Literal["good", "bad", "warning", "faint", "strong", "plain"]

_STYLES: dict[Tone, str] = {
    "good": "green",
    "bad": "red",
    "warning": "yellow",
    "faint": "dim",
    "strong": "bold",
    "plain": "",
}
_MARKS: dict[bool | None, tuple[str, str, Tone]] = {
    True: ("✓", "ok", "good"),
    False: ("✗", "failed", "bad"),
    None: ("!", "warning", "warning"),
}
_WORDS = {
    "succeeded": "green",
    "created": "green",
    "updated": "green",
    "unchanged": "green",
    "failed": "red",
    "parked": "red",
    "skipped": "yellow",
    "superseded": "yellow",
}
_LEAST_FOLDED = 24
_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")


def clean(text: str) -> str:
    """Return the text with its control characters written out, so that a document cannot steer the terminal."""
    return _CONTROL.sub(lambda found: f"\\x{ord(found[0]):02x}", text)


@functools.cache
def on_terminal(*, stderr: bool = False) -> bool:
    """Tell whether a person is looking."""
    return (sys.stderr if stderr else sys.stdout).isatty()


@functools.cache
def console(*, stderr: bool = False) -> "Console":
    """Return the terminal. It honours NO_COLOR."""
    from rich.console import Console

    return Console(stderr=stderr, markup=False, highlight=False, emoji=False)


def say(text: str = "", tone: Tone = "plain", *, to_stderr: bool = False) -> None:
    """Print one line."""
    if on_terminal(stderr=to_stderr):
        console(stderr=to_stderr).print(clean(text), style=_STYLES[tone] or None, soft_wrap=True)
    else:
        print(clean(text), file=sys.stderr if to_stderr else sys.stdout, flush=True)


def complain(text: str) -> None:
    """Print one line to stderr that says what is wrong."""
    say(text, "bad", to_stderr=True)


def report(good: bool | None, text: str) -> None:  # noqa: FBT001 - reads like the line that it prints
    """Print one line that begins with how something is: well, failed, or (None) to be looked at."""
    sign, word, tone = _MARKS[good]
    if on_terminal():
        from rich.text import Text

        console().print(Text.assemble((sign, _STYLES[tone]), " ", clean(text)), soft_wrap=True)
    else:
        say(f"{word}: {text}")


def table(heads: Sequence[str], rows: Sequence[Sequence[str]], *, folded: str | None = None) -> None:
    """Print a table. On a terminal the column ``folded`` takes several lines where there is no room for it in one."""
    cells = [[clean(cell) for cell in row] for row in rows]
    if on_terminal():
        _draw(heads, cells, folded)
        return
    widths = [max(len(row[place]) for row in [list(heads), *cells]) for place in range(len(heads))]
    for row in [list(heads), *cells]:
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())


def _draw(heads: Sequence[str], cells: Sequence[Sequence[str]], folded: str | None) -> None:
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    widths = [max(cell_len(row[place]) for row in [list(heads), *cells]) for place in range(len(heads))]
    least = [min(width, _LEAST_FOLDED) if head == folded else width for head, width in zip(heads, widths, strict=True)]
    gap = 2 if sum(least) + 2 * len(heads) <= console().width else 1
    drawn = Table(box=None, header_style="bold", padding=(0, gap, 0, 0), pad_edge=False)
    for head, width in zip(heads, widths, strict=True):
        if head == folded:
            drawn.add_column(head, overflow="fold", min_width=min(width, _LEAST_FOLDED))
        else:
            drawn.add_column(head, no_wrap=True, min_width=width)
    for row in cells:
        drawn.add_row(*(Text(cell, style=_WORDS.get(cell, "")) for cell in row))
    # Where even that has no room the terminal breaks the lines: better than to leave anything out.
    needed = sum(least) + gap * (len(heads) - 1)
    console().print(drawn, width=max(console().width, needed), crop=False, no_wrap=True, overflow="ignore")


class Progress:
    """The one line at the bottom that tells how far it is; to be seen on a terminal only."""

    def __init__(self, status: "Status | None" = None) -> None:
        self._status = status

    def now(self, text: str) -> None:
        """Replace the line."""
        if self._status is not None:
            self._status.update(clean(text))


@contextmanager
def progress(text: str) -> Iterator[Progress]:
    """Show that work is going on, on a terminal."""
    if not on_terminal():
        yield Progress()
        return
    with console().status(clean(text)) as status:
        yield Progress(status)
