"""What is counted, and how Prometheus reads it."""

from bridge.delivery.model import Delivery, State, Trigger
from bridge.metrics import Metrics
from connectors.ports import Listing

NOW = 1_800_000_000_000


def delivery(id: str, state: State, ended_at: int | None) -> Delivery:
    return Delivery(
        id, "acme", "d1", Listing("d1"), Trigger.OUTBOX, NOW, NOW, NOW, state=state, step=None, ended_at=ended_at
    )


def test_an_end_counts_once_however_often_it_is_looked_at_again() -> None:
    metrics = Metrics(lambda: NOW)
    ended = delivery("dlv_1", State.SUCCEEDED, NOW - 5)
    for _ in range(3):
        metrics.delivery_moved_on(ended)
    metrics.delivery_moved_on(ended.evolve(ended_at=NOW))  # made once more, and ended once more
    assert metrics.ended == {("acme", "succeeded"): 2}


def test_a_delivery_that_waits_or_ended_long_ago_does_not_count() -> None:
    """The recheck of an old delivery is no end of this process."""
    metrics = Metrics(lambda: NOW)
    metrics.delivery_moved_on(delivery("dlv_1", State.QUEUED, None))
    metrics.delivery_moved_on(delivery("dlv_2", State.FAILED, NOW - 3_600_000))
    assert not metrics.ended


def test_what_is_remembered_of_ends_does_not_grow_for_ever() -> None:
    moment = NOW
    metrics = Metrics(lambda: moment)
    for number in range(10_000):
        moment += 1000
        metrics.delivery_moved_on(delivery(f"dlv_{number}", State.SUCCEEDED, moment))
    assert metrics.ended["acme", "succeeded"] == 10_000
    assert len(metrics._counted) == len(metrics._by_age) < 100


def test_requests_are_counted_by_peer_purpose_and_class_of_status() -> None:
    metrics = Metrics()
    for status, seconds in ((200, 0.02), (204, 0.2), (429, 0.01), (None, 500.0)):
        metrics.observe_request("numora", "callback", status, seconds)
    text = metrics.render().decode()
    labels = 'peer="numora",purpose="callback",status="2xx"'
    assert f"bridge_outgoing_request_seconds_count{{{labels}}} 2.0" in text
    assert f'bridge_outgoing_request_seconds_bucket{{le="0.025",{labels}}} 1.0' in text
    assert f'bridge_outgoing_request_seconds_bucket{{le="+Inf",{labels}}} 2.0' in text
    assert 'status="4xx"} 1.0' in text
    assert 'bucket{le="120.0",peer="numora",purpose="callback",status="none"} 0.0' in text
