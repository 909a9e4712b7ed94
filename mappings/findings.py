"""What is wrong with a file that a person wrote, and where."""

from dataclasses import dataclass
from typing import Literal


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to mend: where it stands, what is wrong, and what to do. ``line`` and ``column`` count from 1."""

    code: str
    message: str
    file: str
    line: int | None = None
    column: int | None = None
    key: str | None = None
    severity: Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        place = ":".join(str(part) for part in (self.file, self.line, self.column) if part is not None)
        key = f"{self.key}: " if self.key else ""
        return f"{place}: {self.severity}: {key}{self.message} [{self.code}]"


class FindingsError(Exception):
    """A file cannot be taken. Holds every finding, not the first."""

    def __init__(self, findings: tuple[Finding, ...]) -> None:
        super().__init__("\n".join(map(str, findings)))
        self.findings = findings
