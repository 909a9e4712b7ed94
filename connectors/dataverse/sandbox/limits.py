"""Service protection: how much one identity may ask at once and within a while."""

import time
from collections import deque
from typing import NamedTuple

from connectors.dataverse.sandbox.errors import CONCURRENCY_EXCEEDED, REQUESTS_EXCEEDED
from connectors.dataverse.sandbox.settings import Settings


class Exceeded(NamedTuple):
    """The limit that a request met."""

    code: str
    message: str


class ServiceProtection:
    """The limits of every identity."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._in_flight: dict[str, int] = {}
        self._arrivals: dict[str, deque[float]] = {}
        self.refused = 0

    def enter(self, identity: str) -> Exceeded | None:
        """Count a request in, or return the limit that keeps it out. Whoever was let in leaves with ``leave``."""
        exceeded = self._exceeded(identity)
        if exceeded is None:
            self._in_flight[identity] = self._in_flight.get(identity, 0) + 1
        else:
            self.refused += 1
        return exceeded

    def leave(self, identity: str) -> None:
        """Count a request out."""
        self._in_flight[identity] -= 1

    def remaining(self, identity: str) -> int | None:
        """Return how many requests the window still takes, or None without such a limit."""
        limit = self._settings.requests_per_window
        return None if limit is None else max(0, limit - len(self._arrivals.get(identity, ())))

    def clear(self) -> None:
        """Forget what was asked."""
        self._arrivals.clear()
        self.refused = 0

    def _exceeded(self, identity: str) -> Exceeded | None:
        settings = self._settings
        concurrent = settings.max_concurrent
        if concurrent is not None and self._in_flight.get(identity, 0) >= concurrent:
            return Exceeded(CONCURRENCY_EXCEEDED, f"Number of concurrent requests exceeded the limit of {concurrent}.")
        if settings.requests_per_window is None:
            return None
        now = time.monotonic()
        arrivals = self._arrivals.setdefault(identity, deque())
        while arrivals and arrivals[0] <= now - settings.window_seconds:
            arrivals.popleft()
        if len(arrivals) >= settings.requests_per_window:
            return Exceeded(
                REQUESTS_EXCEEDED,
                f"Number of requests exceeded the limit of {settings.requests_per_window} over time window of "
                f"{settings.window_seconds:g} seconds.",
            )
        arrivals.append(now)
        return None
