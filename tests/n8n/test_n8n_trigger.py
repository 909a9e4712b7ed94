"""The trigger node of a real n8n: it comes and goes with its workflow, and believes nobody but the bridge."""

import base64
import hashlib
import hmac
import time

import flows
import pytest
from n8n_process import items_of
from n8n_side import Side

ENDED = ("delivery.succeeded", "delivery.failed")


async def listening(side: Side, *types: str) -> tuple[str, str]:
    """Publish a workflow that starts with our trigger; return its id and the address that it subscribed with."""
    before = {one["url"] for one in await subscriptions(side)}
    workflow = await side.n8n.add_workflow(
        flows.workflow(flows.bridge_trigger(side.credential, *types), flows.nothing("After"))
    )
    found = await side.until(lambda: subscriptions(side), lambda now: len(now) > len(before))
    (url,) = {one["url"] for one in found} - before
    return workflow, url


async def subscriptions(side: Side) -> list[dict[str, object]]:
    answer = await side.ask("GET", "/subscriptions")
    return list(answer["data"])


async def deliver(side: Side) -> str:
    document = side.add()
    delivery = await side.ask("POST", f"/documents/{document.id}/deliver", {"wait": 60})
    assert delivery["state"] == "succeeded"
    return document.id


async def test_the_trigger_subscribes_and_starts_the_workflow_with_a_signed_event(side: Side) -> None:
    """Publishing is all that it takes: the next delivery starts the workflow, with the delivery as data."""
    workflow, url = await listening(side, *ENDED)
    (subscription,) = await subscriptions(side)
    assert (subscription["url"], subscription["types"]) == (url, list(ENDED))
    assert "secret" not in subscription

    document = await deliver(side)

    (ended,) = await side.n8n.ended_executions(workflow)
    (event,) = items_of(ended, "After")
    assert event["type"] == "delivery.succeeded"
    assert event["webhook_id"]
    assert event["timestamp"].endswith("Z")
    assert (event["data"]["document_id"], event["data"]["state"]) == (document, "succeeded")


async def test_only_events_that_were_chosen_start_the_workflow(side: Side) -> None:
    workflow, _ = await listening(side, "delivery.failed")
    other, _ = await listening(side, "delivery.succeeded")

    await deliver(side)

    await side.n8n.ended_executions(other)
    assert await side.n8n.executions(workflow) == []


def _signed(secret: bytes, body: bytes, sent_at: float) -> dict[str, str]:
    stamp = str(int(sent_at))
    digest = hmac.new(secret, f"msg_forged.{stamp}.".encode() + body, hashlib.sha256).digest()
    return {
        "Content-Type": "application/json",
        "webhook-id": "msg_forged",
        "webhook-timestamp": stamp,
        "webhook-signature": f"v1,{base64.b64encode(digest).decode()}",
    }


@pytest.mark.parametrize("forgery", ["unsigned", "another secret", "empty secret"])
async def test_a_forged_event_is_refused(side: Side, forgery: str) -> None:
    """Whoever finds the address can start nothing with it."""
    workflow, url = await listening(side, *ENDED)
    body = b'{"type": "delivery.succeeded", "timestamp": "2026-01-01T00:00:00.000Z", "data": {}}'
    headers = {
        "unsigned": {"Content-Type": "application/json"},
        "another secret": _signed(b"another secret", body, time.time()),
        "empty secret": _signed(b"", body, time.time()),
    }[forgery]
    await side.until(lambda: side.n8n.request("POST", url, b"{}"), lambda answer: answer[0] != 404)

    status, answer = await side.n8n.request("POST", url, body, headers)

    assert status == 401
    assert "signature" in answer["message"]
    assert await side.n8n.executions(workflow) == []


async def test_unpublishing_ends_the_subscription_and_publishing_again_makes_one(side: Side) -> None:
    """A workflow that is off gets nothing, and leaves nothing behind at the bridge."""
    workflow, url = await listening(side, *ENDED)

    await side.n8n.unpublish(workflow)
    await side.until(lambda: subscriptions(side), lambda now: now == [])

    await side.n8n.publish(workflow)
    (again,) = await side.until(lambda: subscriptions(side), lambda now: len(now) == 1)
    assert again["url"] == url
    await deliver(side)
    await side.n8n.ended_executions(workflow)


async def test_an_n8n_that_was_down_gets_every_event_when_it_is_back(side: Side) -> None:
    """Killed in the middle: what was delivered meanwhile is told by retries, each event at least once."""
    workflow, _ = await listening(side, *ENDED)
    first = await deliver(side)
    await side.n8n.ended_executions(workflow)

    side.n8n.kill()
    missed = [await deliver(side) for _ in range(3)]
    await side.n8n.start()

    ended = await side.n8n.ended_executions(workflow, 4)
    told = [items_of(one, "After")[0]["data"]["document_id"] for one in ended]
    assert set(told) == {first, *missed}
