"""What docs/reliability.md says was counted is what these suites count."""

from tests.reliability.counts import BEGINNING, END, documented, replaced, tables
from tests.reliability.kinds import KINDS, LATE
from tests.reliability.test_faults import FAULTS


def test_every_kind_and_every_fault_has_its_row() -> None:
    """A suite that was added without its counts is noticed, as is a row whose suite is gone."""
    rows = set(documented())
    kinds = {kind.name for kind in KINDS} | {f"{kind.name}, late" for kind, _ in LATE}
    assert kinds <= rows
    assert set(FAULTS) <= rows
    assert {name for name in rows if name.endswith(", late")} <= kinds


def test_a_thousand_kills_are_documented() -> None:
    assert documented()["SIGKILL"][0] == 1000


def test_counts_are_written_as_they_are_read() -> None:
    """Tables go by what was counted, and numbers survive the way there and back."""
    text = tables([{"name": "one", "points": 1234, "pairs": 5}, {"name": "other", "points": 1, "pairs": 2}])
    assert documented(text) == {"one": [1234, 5], "other": [1, 2]}
    assert "| **in all** | **1,235** | **7** |" in text
    page = replaced(f"before {BEGINNING}old{END} after", text)
    assert documented(page) == documented(text)
    assert page.startswith("before")
    assert page.endswith("after")
    assert "old" not in page
