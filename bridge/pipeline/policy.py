"""What decides about time and chance on a delivery's way."""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from bridge.delivery.model import Millis
from bridge.delivery.retry import RetrySchedule


@dataclass(frozen=True, slots=True)
class RunnerPolicy:
    """The clock, in milliseconds since the epoch, ids of new deliveries, chance, and when something is tried again."""

    clock: Callable[[], Millis]
    new_id: Callable[[], str]
    rng: Random
    schedule: RetrySchedule
