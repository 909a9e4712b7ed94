"""Run every reliability suite, and write what was counted into docs/reliability.md: ``make reliability``."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import msgspec

from tests.reliability.counts import COUNTS_FILE, DOCUMENT, replaced, tables

ROOT = Path(__file__).parents[2]


def main() -> int:
    """Return the exit code of the tests; the document is written only when they went well."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "counts"
        suites = ["tests/reliability", "--ignore", "tests/reliability/test_documentation.py"]
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:randomly", *suites, *sys.argv[1:]]
        done = subprocess.run(command, cwd=ROOT, env={**os.environ, COUNTS_FILE: str(file)}, check=False)
        if done.returncode != 0:
            return done.returncode
        counts = [msgspec.json.decode(line) for line in file.read_bytes().splitlines()]
    DOCUMENT.write_text(replaced(DOCUMENT.read_text(encoding="utf-8"), tables(counts)), encoding="utf-8")
    print(f"The counts stand in {DOCUMENT.relative_to(ROOT)}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
