"""Deadlines for very many short waits, of which hardly one is ever missed: they share one timer of the event loop.

``asyncio.timeout`` and aiohttp's own total timeout set a timer for each wait and take it back again, which makes up a
noticeable part of what a request costs the processor.
"""

import asyncio
from types import TracebackType


class Deadlines:
    """Hands out deadlines, and watches over those that are waited under."""

    def __init__(self) -> None:
        self._watched: set[Deadline] = set()
        self._timer: asyncio.TimerHandle | None = None

    def after(self, seconds: float) -> "Deadline":
        """Return the deadline so many seconds from now."""
        return Deadline(self, asyncio.get_running_loop().time() + seconds)

    def watch(self, deadline: "Deadline") -> None:
        """Let a deadline pass when it is time."""
        self._watched.add(deadline)
        if self._timer is None or deadline.due < self._timer.when():
            self._set_timer(deadline.due)

    def leave(self, deadline: "Deadline") -> None:
        """Watch over a deadline no more. The timer stays: setting it anew for each would be what is saved here."""
        self._watched.discard(deadline)

    def _set_timer(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = asyncio.get_running_loop().call_at(due, self._look)

    def _look(self) -> None:
        """Let pass what is due, and look again when the next one is."""
        self._timer = None
        now = asyncio.get_running_loop().time()
        for deadline in [one for one in self._watched if one.due <= now]:
            self._watched.discard(deadline)
            deadline.passes()
        if self._watched:
            self._set_timer(min(one.due for one in self._watched))


class Deadline:
    """A moment by which what is awaited within ``with`` has to be done; then ``TimeoutError`` is raised.

    It may be entered again, one time after the other, by the same task; the moment stays the same. ``due`` is in the
    event loop's seconds.
    """

    __slots__ = ("_cancelling", "_deadlines", "_passed", "_task", "due")

    def __init__(self, deadlines: Deadlines, due: float) -> None:
        self._deadlines = deadlines
        self._passed = False
        self._task: asyncio.Task[object] | None = None
        self._cancelling = 0
        self.due = due

    def __enter__(self) -> None:
        self._task = asyncio.current_task()
        self._cancelling = 0 if self._task is None else self._task.cancelling()
        self._passed = False
        self._deadlines.watch(self)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._deadlines.leave(self)
        # As asyncio.timeout does: a cancellation by someone else, at the same moment, is not ours to take for a delay.
        if self._passed and self._task is not None:
            still_cancelling = self._task.uncancel() > self._cancelling
            if kind is asyncio.CancelledError and not still_cancelling:
                raise TimeoutError from error

    def passes(self) -> None:
        """End the wait."""
        self._passed = True
        if self._task is not None:
            self._task.cancel()
