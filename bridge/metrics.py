"""What is counted while the bridge works. Counting is plain arithmetic; Prometheus is loaded when someone asks."""

import time
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bridge.delivery.model import Delivery, Millis

if TYPE_CHECKING:
    from bridge.runtime import BlockEvent
    from bridge.service import TenantStatus

BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0)
"""Upper bounds in seconds of the histogram of outgoing requests; one more bucket holds what took longer."""

NO_ANSWER: Final = "none"
"""The status class of a request that no answer came to."""

MOST_HOOK_KINDS: Final = 100
"""Kinds of calls that are counted each by itself; further types are counted together."""

OTHER: Final = "other"

FRESH: Final[Millis] = 60_000
"""Milliseconds for which an end is remembered as counted. One that is older was counted when it came."""


@dataclass(slots=True)
class Durations:
    """Outgoing requests of one kind: how many fell into each bucket, and their seconds altogether."""

    counts: list[int] = field(default_factory=lambda: [0] * (len(BUCKETS) + 1))
    seconds: float = 0.0


class Metrics:
    """Counts what happens. Every method is for the event loop's thread, and returns at once.

    ``clock`` gives milliseconds since the epoch, the same as deliveries go by.
    """

    def __init__(self, clock: Callable[[], Millis] = lambda: time.time_ns() // 1_000_000) -> None:
        self.requests: dict[tuple[str, str, str], Durations] = {}
        self.ended: Counter[tuple[str, str]] = Counter()
        self.blocks: Counter[tuple[str, str]] = Counter()
        self.messages: Counter[tuple[str, str]] = Counter()
        self.hooks: Counter[tuple[str, str, str]] = Counter()
        self._clock = clock
        self._counted: set[tuple[str, Millis]] = set()
        self._by_age: deque[tuple[str, Millis]] = deque()

    def observe_request(self, peer: str, purpose: str, status: int | None, seconds: float) -> None:
        """Count an outgoing request; ``status`` is None when no answer came."""
        kind = (peer, purpose, NO_ANSWER if status is None else f"{status // 100}xx")
        durations = self.requests.get(kind)
        if durations is None:
            durations = self.requests[kind] = Durations()
        durations.counts[bisect_left(BUCKETS, seconds)] += 1
        durations.seconds += seconds

    def delivery_moved_on(self, delivery: Delivery) -> None:
        """Count a delivery that has come to its end; one that was merely looked at again is not counted once more."""
        ended_at = delivery.ended_at
        if not delivery.state.ended or ended_at is None:
            return
        horizon = self._clock() - FRESH
        while self._by_age and self._by_age[0][1] < horizon:
            self._counted.discard(self._by_age.popleft())
        end = (delivery.id, ended_at)
        if ended_at < horizon or end in self._counted:
            return
        self._counted.add(end)
        self._by_age.append(end)
        self.ended[delivery.tenant, delivery.state.value] += 1

    def blocked(self, event: "BlockEvent") -> None:
        """Count the beginning of a block; which sides are blocked now is asked of the service."""
        if event.begins:
            self.blocks[event.tenant, event.block.side.value] += 1

    def message_tried(self, tenant: str, outcome: str) -> None:
        """Count a try to send a message to a subscriber."""
        self.messages[tenant, outcome] += 1

    def hook_taken(self, source: str, type_: str, outcome: str) -> None:
        """Count a call that came in. Types beyond a number of them are counted as one, for callers choose them."""
        kind = (source, type_, outcome)
        if kind not in self.hooks and len(self.hooks) >= MOST_HOOK_KINDS:
            kind = (source, OTHER, outcome)
        self.hooks[kind] += 1

    def render(self, statuses: Sequence["TenantStatus"] = ()) -> bytes:
        """Return everything in Prometheus's text format, with gauges for the tenants whose statuses are given."""
        # Loaded here, so that the bridge is up before it is.
        from bridge.exposition import expose  # noqa: PLC0415

        return expose(self, statuses, self._clock())
