"""How fast one identity may be used: requests in flight, and the pauses that the other side asks for."""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Protocol

from connectors.outcome import ThrottledError

PATIENCE = 5.0
"""Seconds that a request waits in place for a pause to end; a longer pause hands the delivery back to its schedule."""

LONGEST_PAUSE = 24 * 3600.0
"""Seconds; a longer pause than this is not believed."""

_FIRST_SHORTEST_PAUSE = 0.2
_LONGEST_SHORTEST_PAUSE = 5.0
_FIRST_UNTOLD_PAUSE = 1.0
_LONGEST_UNTOLD_PAUSE = 60.0


class PauseMemory(Protocol):
    """Keeps pauses over the end of the process, for a process that starts anew knows nothing of what it was told."""

    def left(self, identity: str) -> float:
        """Return the seconds that are left of a pause which an earlier process was told; 0.0 when there is none."""

    def told(self, identity: str, seconds: float) -> None:
        """Keep a pause that begins now. Returns at once."""


def _forget(seconds: float) -> None:
    """Keep nothing."""


class Pace:
    """The limits that everything sharing one identity (one key, one application user) has in common.

    ``limit`` requests are in flight at most. It starts at ``ceiling`` or at the parallelism that the other side hints
    at, is halved when the other side says 429, and grows by one for each ``limit`` answers that went well, up to
    ``ceiling``. A ``ceiling`` of None sets no limit of our own.

    With ``paused`` (seconds) it begins within a pause. ``told`` is called with the seconds of each further one.
    """

    def __init__(
        self,
        *,
        ceiling: int | None = None,
        patience: float = PATIENCE,
        monotonic: Callable[[], float] = time.monotonic,
        paused: float = 0.0,
        told: Callable[[float], None] = _forget,
    ) -> None:
        self._ceiling = ceiling
        self._limit = ceiling
        self._patience = patience
        self._monotonic = monotonic
        self._in_flight = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._closed_until = monotonic() + paused if paused else 0.0
        self._told = told
        self._went_well = 0
        self._hint: int | None = None
        self._untold_pause = _FIRST_UNTOLD_PAUSE
        self._shortest_pause = _FIRST_SHORTEST_PAUSE

    @property
    def limit(self) -> int | None:
        """How many requests may be in flight now; None when there is no limit."""
        return self._limit

    @property
    def in_flight(self) -> int:
        """How many requests are in flight now."""
        return self._in_flight

    @property
    def pause_left(self) -> float:
        """Seconds until requests may be sent again; 0.0 when they may."""
        return max(0.0, self._closed_until - self._monotonic()) if self._closed_until else 0.0

    async def unpaused(self) -> None:
        """Wait for a pause to end. Raises ``ThrottledError`` when it lasts longer than we wait in place."""
        while (left := self.pause_left) > 0:
            if left > self._patience:
                raise ThrottledError(
                    "throttled", f"The other side asked for a pause; {left:.0f} s are left.", retry_after=left
                )
            await asyncio.sleep(left)

    async def acquire(self) -> None:
        """Wait for a place, and for a pause to end. Raises ``ThrottledError`` as ``unpaused`` does."""
        while True:
            if self.pause_left:
                await self.unpaused()
            if self._limit is None or self._in_flight < self._limit:
                self._in_flight += 1
                return
            await self._wait_for_place()

    def release(self) -> None:
        """Give the place back."""
        self._in_flight -= 1
        self._wake()

    def pause(self, seconds: float | None) -> float:
        """Let nothing more out for this long; None when the other side named no time. Returns the seconds."""
        if seconds is None:
            seconds = self._untold_pause
            self._untold_pause = min(self._untold_pause * 2, _LONGEST_UNTOLD_PAUSE)
        seconds = min(seconds, LONGEST_PAUSE)
        until = self._monotonic() + seconds
        if seconds and until > self._closed_until:
            self._closed_until = until
            self._told(seconds)
        return seconds

    def cut(self) -> None:
        """Halve the parallelism: the other side said that it is too much."""
        self._went_well = 0
        if self._limit is not None:
            self._limit = max(1, self._limit // 2)

    def refused(self, seconds: float | None) -> float:
        """Take a 429: cut the parallelism, and pause as ``pause`` does. Those of one burst cut it once.

        Such a refusal costs a delivery no try, so that one which names no time worth mentioning would have it asked
        again and again without end; the pause has a least length, which grows until an answer is good.
        """
        left = self.pause_left
        if left:
            return left if seconds is None else max(left, self.pause(seconds))
        self.cut()
        if seconds is not None:
            seconds = max(seconds, self._shortest_pause)
            self._shortest_pause = min(self._shortest_pause * 2, _LONGEST_SHORTEST_PAUSE)
        return self.pause(seconds)

    def went_well(self) -> None:
        """Count an answer that was not a refusal; enough of them let the parallelism grow by one."""
        self._untold_pause = _FIRST_UNTOLD_PAUSE
        self._shortest_pause = _FIRST_SHORTEST_PAUSE
        if self._limit is None or self._ceiling is None or self._limit >= self._ceiling:
            return
        self._went_well += 1
        if self._went_well >= self._limit:
            self._went_well = 0
            self._limit += 1
            self._wake()

    def hint(self, parallelism: int) -> None:
        """Start over at the parallelism that the other side recommends, when it is another than the last one."""
        if self._ceiling is None or parallelism == self._hint or parallelism < 1:
            return
        self._hint = parallelism
        self._limit = min(parallelism, self._ceiling)
        self._wake()

    async def _wait_for_place(self) -> None:
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(place)
        try:
            await place
        except asyncio.CancelledError:
            if place.done() and not place.cancelled():
                self._wake()
            raise

    def _wake(self) -> None:
        free = len(self._waiting) if self._limit is None else self._limit - self._in_flight
        while free > 0 and self._waiting:
            place = self._waiting.popleft()
            if not place.done():
                place.set_result(None)
                free -= 1


class Paces:
    """One ``Pace`` for each identity, shared by every tenant that uses it; with a ``memory`` its pauses outlive us."""

    def __init__(self, memory: PauseMemory | None = None) -> None:
        self._memory = memory
        self._by_identity: dict[str, Pace] = {}

    def of(self, identity: str, *, ceiling: int | None = None) -> Pace:
        """Return the identity's pace; the first caller's ``ceiling`` holds."""
        pace = self._by_identity.get(identity)
        if pace is None:
            memory = self._memory
            if memory is None:
                pace = Pace(ceiling=ceiling)
            else:
                told = partial(memory.told, identity)
                pace = Pace(ceiling=ceiling, paused=memory.left(identity), told=told)
            self._by_identity[identity] = pace
        return pace
