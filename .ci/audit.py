"""Look for known vulnerabilities in the pinned packages of the service, and say plainly when that could not be done.

Ends with 1 when a pinned package has a known vulnerability. Ends with 0 when none has, and also when the advisory
database could not be asked: a check that needs the outside must not stop work that has nothing to do with it, but
"nothing was looked at" is never shown as "nothing was found".
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

LOCKS = ("build.txt", "run.txt")


def report(dependencies: list[dict[str, Any]]) -> tuple[list[str], bool]:
    """Return what to print about pip-audit's findings, and whether there is something to mend."""
    vulnerable = [entry for entry in dependencies if entry.get("vulns")]
    skipped = [entry["name"] for entry in dependencies if "skip_reason" in entry]
    lines = [
        f"{entry['name']} {entry['version']}: {advisory['id']}, "
        f"mended in {', '.join(advisory['fix_versions']) or 'no version yet'}"
        for entry in vulnerable
        for advisory in entry["vulns"]
    ]
    if skipped and len(skipped) == len(dependencies):
        lines.append("NOT AUDITED: the advisory database knows none of the packages, so it was probably not reached.")
    elif skipped:
        lines.append(f"Not audited: {', '.join(skipped)}.")
    if not lines:
        lines.append(f"None of the {len(dependencies)} pinned packages has a known vulnerability.")
    return lines, bool(vulnerable)


def main() -> int:
    """Run pip-audit over the locks and print what it found."""
    requirements = Path(__file__).resolve().parent.parent / "requirements"
    command = [
        sys.executable,
        "-m",
        "pip_audit",
        "--disable-pip",
        "--no-deps",
        "--progress-spinner=off",
        "--format=json",
    ]
    for lock in LOCKS:
        command += ["--requirement", str(requirements / lock)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)  # noqa: S603 - no outside input
    try:
        dependencies = json.loads(done.stdout)["dependencies"]
    except (ValueError, KeyError):
        reason = done.stderr.strip().splitlines() or ["no reason given"]
        print(f"NOT AUDITED: the advisory database was not reached ({reason[-1]}).")
        return 0
    lines, vulnerable = report(dependencies)
    print("\n".join(lines))
    return int(vulnerable)


if __name__ == "__main__":
    sys.exit(main())
