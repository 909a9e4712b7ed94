"""Findings the way a person wants them: by file, with the place to click on, what is wrong and what to do."""

from collections.abc import Iterable, Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from bridge.cli.terminal import clean, console, on_terminal, say

if TYPE_CHECKING:
    from mappings.findings import Finding


def print_findings(findings: Iterable["Finding"], *, to_stderr: bool = False) -> None:
    """Print findings, those of one file together. The lines of the files stay unseen, for they may hold secrets."""
    grouped = _by_file(findings)
    if not on_terminal(stderr=to_stderr):
        for finding in grouped:
            say(str(finding), to_stderr=to_stderr)
        return
    from rich.padding import Padding
    from rich.text import Text

    screen = console(stderr=to_stderr)
    for _, of_file in groupby(grouped, key=lambda finding: finding.file):
        for finding in of_file:
            error = finding.severity == "error"
            place = ":".join(str(part) for part in (finding.file, finding.line, finding.column) if part is not None)
            screen.print(
                Text.assemble(
                    ("✗ " if error else "! ", "red" if error else "yellow"),
                    (clean(place), "bold"),
                    (f"  {clean(finding.key)}" if finding.key else "", "cyan"),
                    (f"  {finding.code}", "dim"),
                ),
                soft_wrap=True,
            )
            screen.print(Padding(Text(clean(finding.message)), (0, 0, 0, 4)))
        screen.print()


def summary(findings: Sequence["Finding"]) -> str:
    """Return one sentence: how much there is to mend, and where."""
    errors = sum(finding.severity == "error" for finding in findings)
    warnings = len(findings) - errors
    files = len({finding.file for finding in findings})
    counted = [counted_as(errors, "error")] if errors else []
    counted += [counted_as(warnings, "warning")] if warnings else []
    advice = " Mend the errors, then try again." if errors else ""
    return f"{' and '.join(counted)} in {counted_as(files, 'file')}.{advice}"


def counted_as(count: int, noun: str) -> str:
    """Write a number with its noun: ``1 error``, ``2 errors``."""
    return f"{count} {noun}" if count == 1 else f"{count} {noun}s"


def _by_file(findings: Iterable["Finding"]) -> list["Finding"]:
    """Put findings in the order of their files as they first come up, and of their lines."""
    found = list(findings)
    files = list(dict.fromkeys(finding.file for finding in found))
    return sorted(found, key=lambda finding: (files.index(finding.file), finding.line or 0, finding.column or 0))
