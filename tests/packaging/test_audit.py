"""The look for known vulnerabilities says what it found, and never passes off "not looked" as "nothing found"."""

import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any

AUDIT = runpy.run_path(str(Path(__file__).parents[2] / ".ci" / "audit.py"))
report: Callable[[list[dict[str, Any]]], tuple[list[str], bool]] = AUDIT["report"]

SOUND = {"name": "sound", "version": "1.0", "vulns": []}
UNKNOWN = {"name": "unknown", "skip_reason": "not found"}
VULNERABLE = {"name": "weak", "version": "2.0", "vulns": [{"id": "CVE-2026-1", "fix_versions": ["2.1", "3.0"]}]}


def test_a_vulnerable_package_is_named_with_its_cure() -> None:
    """The line holds what an operator does next: which package, which advisory, which version is safe."""
    assert report([SOUND, VULNERABLE]) == (["weak 2.0: CVE-2026-1, mended in 2.1, 3.0"], True)


def test_a_database_that_was_not_reached_is_not_a_clean_bill() -> None:
    """When every package is unknown, nothing was looked at, and that is what stands there."""
    lines, vulnerable = report([UNKNOWN, UNKNOWN])
    assert not vulnerable
    assert [line.partition(":")[0] for line in lines] == ["NOT AUDITED"]


def test_a_package_that_was_passed_over_is_named() -> None:
    """One unknown package among known ones does not hide."""
    assert report([SOUND, UNKNOWN]) == (["Not audited: unknown."], False)


def test_a_clean_bill_says_how_much_was_looked_at() -> None:
    """Nothing found in nothing would be no news."""
    assert report([SOUND]) == (["None of the 1 pinned packages has a known vulnerability."], False)
