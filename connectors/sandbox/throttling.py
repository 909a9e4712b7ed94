"""Retry-After windows: who was told to wait, until when, and who did not."""

import time
from dataclasses import dataclass, field
from email.utils import formatdate
from math import ceil, floor


@dataclass(frozen=True, slots=True)
class Violation:
    """A request that came inside its identity's window, ``early`` seconds before the end of it."""

    identity: str
    method: str
    path: str
    early: float


@dataclass(slots=True)
class _Window:
    until: float
    counted_from: float


@dataclass
class RetryAfterWindows:
    """The windows of one sandbox, by identity."""

    violations: list[Violation] = field(default_factory=list)
    opened: int = 0
    _windows: dict[str, _Window] = field(default_factory=dict)

    def open(self, identity: str, seconds: int, *, http_date: bool = False, grace: float = 0.0) -> str:
        """Open a window and return the ``Retry-After`` header that announces it.

        A window never ends earlier than one that is open already. An HTTP date has whole seconds, so such a window
        is up to a second longer than asked for.
        """
        now = time.monotonic()
        until = now + seconds
        header = str(seconds)
        if http_date:
            wall = time.time()
            moment = floor(wall) + seconds + 1
            until = now + (moment - wall)
            header = formatdate(moment, usegmt=True)
        known = self._windows.get(identity)
        self._windows[identity] = _Window(max(until, known.until if known else until), now + grace)
        self.opened += 1
        return header

    def __bool__(self) -> bool:
        return bool(self._windows)

    def enter(self, identity: str, method: str, path: str) -> int | None:
        """Return None when the request may pass, else the whole seconds it still has to wait; it is then counted."""
        window = self._windows.get(identity)
        if window is None:
            return None
        now = time.monotonic()
        early = window.until - now
        if early <= 0:
            del self._windows[identity]
            return None
        if now >= window.counted_from:
            self.violations.append(Violation(identity, method, path, early))
        return ceil(early)

    def clear(self) -> None:
        """Forget windows and violations."""
        self._windows.clear()
        self.violations.clear()
        self.opened = 0
