"""What a sandbox was asked and how it answered, with secrets left out."""

from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

SECRET_HEADERS = frozenset({"authorization", "proxy-authorization", "x-api-key", "api-key", "cookie", "set-cookie"})
_SHOWN_BODY_BYTES = 64 * 1024


@dataclass(slots=True)
class RequestRecord:
    """One request. ``at`` is seconds since the epoch; ``status`` is None while under way or when no answer went out."""

    at: float
    method: str
    path: str
    sent_headers: Mapping[str, str]
    identity: str
    body: bytes | None = None
    status: int | None = None
    fault: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """The request's headers by lower-case name; of secret ones only that they were there."""
        return {
            name.lower(): "***" if name.lower() in SECRET_HEADERS else value
            for name, value in self.sent_headers.items()
        }

    def report(self) -> dict[str, Any]:
        """Return what ``GET /_sandbox/requests`` shows of it."""
        body = None if self.body is None else self.body[:_SHOWN_BODY_BYTES].decode("utf-8", "replace")
        return {
            "at": self.at,
            "method": self.method,
            "path": self.path,
            "headers": self.headers,
            "body": body,
            "status": self.status,
            "faults": [self.fault] if self.fault else [],
        }


class RequestJournal:
    """The latest requests of one sandbox, oldest first; ``total`` counts those that were dropped as well."""

    def __init__(self, limit: int) -> None:
        self._records: deque[RequestRecord] = deque(maxlen=limit)
        self.total = 0

    def add(self, record: RequestRecord) -> None:
        """Add a request at its arrival."""
        self.total += 1
        self._records.append(record)

    def __iter__(self) -> Iterator[RequestRecord]:
        return iter(self._records)

    def __len__(self) -> int:
        return len(self._records)

    def clear(self) -> None:
        """Forget every request."""
        self._records.clear()
        self.total = 0
