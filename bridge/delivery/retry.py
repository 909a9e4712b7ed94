"""When a delivery is tried again."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from bridge.delivery.model import Millis


@dataclass(frozen=True, slots=True)
class RetrySchedule:
    """The waits before each try, the first one included: a schedule of eleven waits allows eleven tries."""

    waits: tuple[timedelta, ...]

    @classmethod
    def of(cls, waits: Sequence[timedelta]) -> "RetrySchedule":
        """Build a schedule; it has at least one wait."""
        return cls(tuple(waits) or (timedelta(0),))

    def next_wait(self, tries: int, rng: Random, *, retry_after: float | None = None) -> Millis | None:
        """Return the milliseconds to wait after ``tries`` tries that failed; None when the schedule is used up.

        Full jitter: anything from nothing to the planned wait is as likely. A ``retry_after`` in seconds, named by the
        other side, wins over the plan, whether it is longer or shorter, and is never cut short.
        """
        if tries >= len(self.waits):
            return None
        if retry_after is not None:
            return round(retry_after * 1000)
        return round(rng.uniform(0, self.waits[tries].total_seconds()) * 1000)
