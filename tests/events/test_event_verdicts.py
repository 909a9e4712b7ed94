"""What follows from a receiver's answer, without a network."""

from datetime import timedelta
from random import Random

import pytest

from bridge.delivery.retry import RetrySchedule
from bridge.events.model import Endpoint, EndpointState, Message, MessageState, Origin
from bridge.events.posting import Reply
from bridge.events.verdicts import FAILING_FOR, LONGEST_PAUSE, SHORTEST_PAUSE, Outcome, Verdict, health_after, judge

NOW = 1_800_000_000_000
SCHEDULE = RetrySchedule.of([timedelta(0), timedelta(minutes=1), timedelta(minutes=5)])


def endpoint(origin: Origin = Origin.API) -> Endpoint:
    return Endpoint(
        id="sub_1",
        tenant="acme",
        origin=origin,
        address=b"",
        label="https://n8n.example/hook",
        digest="",
        types=("*",),
        secrets=b"",
        created_at=NOW,
        updated_at=NOW,
    )


def message(tries: int = 0, error: str | None = None) -> Message:
    return Message("msg_1", "acme", "sub_1", "delivery.failed", "dlv_1", b"{}", NOW, NOW, tries=tries, error=error)


def judged(reply: Reply, *, origin: Origin = Origin.API, tries: int = 0, error: str | None = None) -> Verdict:
    return judge(message(tries, error), endpoint(origin), reply, now=NOW, schedule=SCHEDULE, rng=Random(1))


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
@pytest.mark.parametrize("origin", Origin)
def test_any_success_ends_a_message(status, origin):
    verdict = judged(Reply(status), origin=origin)

    assert verdict.outcome is Outcome.SENT
    assert (verdict.message.state, verdict.message.due_at, verdict.message.status) == (MessageState.SENT, None, status)


@pytest.mark.parametrize(
    ("reply", "code"),
    [
        (Reply(500), "endpoint_refused"),
        (Reply(404), "endpoint_refused"),
        (Reply(401), "endpoint_refused"),
        (Reply(429), "endpoint_refused"),
        (Reply(301), "endpoint_redirected"),
        (Reply(308), "endpoint_redirected"),
        (Reply(None, "endpoint_unreachable"), "endpoint_unreachable"),
        (Reply(None, "endpoint_forbidden"), "endpoint_forbidden"),
        (Reply(500, None, 30.0), "endpoint_refused"),
    ],
)
def test_anything_else_is_tried_again_by_the_schedule(reply, code):
    verdict = judged(reply)

    assert verdict.outcome is Outcome.RETRY
    assert (verdict.message.state, verdict.message.tries, verdict.message.error) == (MessageState.QUEUED, 1, code)
    assert NOW <= (verdict.message.due_at or 0) <= NOW + 60_000


def test_a_message_whose_schedule_is_used_up_has_failed():
    verdict = judged(Reply(500), tries=2)

    assert verdict.outcome is Outcome.FAILED
    assert (verdict.message.state, verdict.message.due_at, verdict.message.ended_at) == (MessageState.FAILED, None, NOW)


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    ("asked", "granted"), [(30.0, 30_000), (0.0, SHORTEST_PAUSE), (10.0**9, LONGEST_PAUSE), (7200.0, 7_200_000)]
)
def test_a_pause_that_is_asked_for_is_granted_within_bounds_and_is_no_try(status, asked, granted):
    verdict = judged(Reply(status, None, asked), tries=2)

    assert verdict.outcome is Outcome.THROTTLED
    assert (verdict.message.due_at, verdict.message.tries) == (NOW + granted, 2)
    assert verdict.pause_until == NOW + granted


def test_410_ends_a_subscription():
    verdict = judged(Reply(410))

    assert verdict.outcome is Outcome.GONE
    assert verdict.message.state is MessageState.FAILED
    changed = health_after(endpoint(), None, verdict.outcome, NOW)
    assert changed is not None
    assert changed.state is EndpointState.GONE


@pytest.mark.parametrize("status", [404, 409, 410])
@pytest.mark.parametrize("text", ["", '{"code":409,"message":"The execution \\"7 has finished already."}'])
def test_a_resume_url_that_was_used_or_is_not_there_has_been_called(status, text):
    verdict = judged(Reply(status, None, None, text), origin=Origin.RESUME)

    assert verdict.outcome is Outcome.SENT
    assert verdict.message.status == status


RUNNING = Reply(409, None, None, '{"code":409,"message":"The execution \\"7\\" is running already."}')


@pytest.mark.parametrize("error", [None, "endpoint_not_waiting", "endpoint_starting", "endpoint_unreachable"])
def test_a_flow_that_is_not_yet_at_its_wait_node_is_called_again(error):
    """A delivery may end before the flow that asked for it has come to where it waits."""
    verdict = judged(RUNNING, origin=Origin.RESUME, error=error)

    assert verdict.outcome is Outcome.RETRY
    assert verdict.message.error == "endpoint_not_waiting"


def test_a_flow_that_runs_because_of_a_try_without_an_answer_is_not_called_again():
    """It might wait a second time, for something else."""
    assert judged(RUNNING, origin=Origin.RESUME, error="endpoint_no_answer").outcome is Outcome.SENT


@pytest.mark.parametrize("origin", Origin)
@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, None, None, "n8n is starting up. Please wait"),
        Reply(404, None, None, "<pre>Cannot POST /webhook-waiting/7</pre>"),
    ],
    ids=["before its database", "before its routes"],
)
def test_an_n8n_that_starts_has_taken_nothing(origin, reply):
    """It answers 200 to every call until its database is ready; what came then would be lost."""
    verdict = judged(reply, origin=origin)

    assert verdict.outcome is Outcome.RETRY
    assert verdict.message.error == "endpoint_starting"


def test_409_of_a_subscriber_is_a_refusal_like_any_other():
    assert judged(Reply(409)).outcome is Outcome.RETRY


@pytest.mark.parametrize("outcome", [Outcome.RETRY, Outcome.FAILED, Outcome.THROTTLED])
def test_the_first_failure_is_noted_and_the_next_ones_are_not(outcome):
    first = health_after(endpoint(), None, outcome, NOW)

    assert first is not None
    assert first.failing_since == NOW
    assert health_after(endpoint(), NOW, outcome, NOW + FAILING_FOR - 1) is None


def test_days_of_nothing_but_failures_pause_an_endpoint():
    paused = health_after(endpoint(), NOW, Outcome.RETRY, NOW + FAILING_FOR)

    assert paused is not None
    assert (paused.state, paused.failing_since) == (EndpointState.PAUSED, NOW)


def test_a_success_clears_what_was_noted():
    cleared = health_after(endpoint(), NOW, Outcome.SENT, NOW + 5)

    assert cleared is not None
    assert cleared.failing_since is None
    assert health_after(endpoint(), None, Outcome.SENT, NOW) is None
