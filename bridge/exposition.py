"""The metrics as Prometheus reads them."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Final

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily, Metric
from prometheus_client.registry import Collector

from bridge.delivery.model import Millis
from bridge.metrics import BUCKETS, Metrics
from bridge.service import TenantStatus

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"

_BOUNDS: Final = (*map(str, BUCKETS), "+Inf")


def expose(metrics: Metrics, statuses: Sequence[TenantStatus], now: Millis) -> bytes:
    """Return the text format of what was counted, of the tenants' statuses and of the process."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collected([*_counters(metrics), *_gauges(statuses, now)]))
    ProcessCollector(registry=registry)
    return generate_latest(registry)


class _Collected(Collector):
    def __init__(self, families: Iterable[Metric]) -> None:
        self._families = list(families)

    def collect(self) -> Iterator[Metric]:
        """Return the families."""
        return iter(self._families)


def _counters(metrics: Metrics) -> Iterator[Metric]:
    ended = CounterMetricFamily(
        "bridge_deliveries_ended", "Deliveries that came to their end in this process.", labels=("tenant", "state")
    )
    for (tenant, state), count in metrics.ended.items():
        ended.add_metric((tenant, state), count)
    yield ended
    blocks = CounterMetricFamily("bridge_blocks", "Times that a side was blocked.", labels=("tenant", "side"))
    for (tenant, side), count in metrics.blocks.items():
        blocks.add_metric((tenant, side), count)
    yield blocks
    messages = CounterMetricFamily(
        "bridge_messages",
        "Tries to send a message to a subscriber; the outcome is sent, retry, throttled, failed or gone.",
        labels=("tenant", "outcome"),
    )
    for (tenant, outcome), count in metrics.messages.items():
        messages.add_metric((tenant, outcome), count)
    yield messages
    hooks = CounterMetricFamily(
        "bridge_hooks",
        "Calls that came in. The outcome is what they asked for (deliver, withdraw, poll, keep), repeated, or why they "
        "were refused.",
        labels=("source", "type", "outcome"),
    )
    for (source, type_, outcome), count in metrics.hooks.items():
        hooks.add_metric((source, type_, outcome), count)
    yield hooks
    requests = HistogramMetricFamily(
        "bridge_outgoing_request_seconds",
        "Requests to outside systems; the status is a class such as 2xx, or none when no answer came.",
        labels=("peer", "purpose", "status"),
    )
    for kind, durations in metrics.requests.items():
        buckets = list(zip(_BOUNDS, accumulate(durations.counts), strict=True))
        requests.add_metric(kind, buckets, durations.seconds)
    yield requests


def _gauges(statuses: Sequence[TenantStatus], now: Millis) -> Iterator[Metric]:
    deliveries = GaugeMetricFamily("bridge_deliveries", "Deliveries in the ledger.", labels=("tenant", "state"))
    in_progress = GaugeMetricFamily(
        "bridge_deliveries_in_progress", "Deliveries that this process works on.", labels=("tenant",)
    )
    age = GaugeMetricFamily(
        "bridge_queue_age_seconds", "Age of the oldest queued delivery; 0 when none is queued.", labels=("tenant",)
    )
    blocked = GaugeMetricFamily("bridge_blocked", "1 for each side that is blocked.", labels=("tenant", "side", "code"))
    polled = GaugeMetricFamily(
        "bridge_last_successful_poll_timestamp_seconds", "When the outbox was last read well.", labels=("tenant",)
    )
    for status in statuses:
        for state, count in status.by_state.items():
            deliveries.add_metric((status.tenant, state.value), count)
        in_progress.add_metric((status.tenant,), status.in_progress)
        oldest = status.oldest_queued_at
        age.add_metric((status.tenant,), 0 if oldest is None else max(0, now - oldest) / 1000)
        for side, code in sorted({(block.side.value, block.code) for block in status.blocks}):
            blocked.add_metric((status.tenant, side, code), 1)
        if status.poll.succeeded_at is not None:
            polled.add_metric((status.tenant,), status.poll.succeeded_at / 1000)
    yield from (deliveries, in_progress, age, blocked, polled)
