"""What a caller gets when an outside system does not do its part: a code to act on, never a 500."""

import pytest
from http_bridge import ACME, Bridge

POLL = "/v1/tenants/acme/poll"


@pytest.mark.parametrize(
    ("fault", "options", "status", "code"),
    [
        ("unauthorized", {}, 409, "blocked"),
        ("status_before", {"status": 403}, 409, "blocked"),
        ("status_before", {"status": 503}, 502, "upstream_unavailable"),
        ("html_502", {}, 502, "upstream_unavailable"),
        ("reset_before", {}, 502, "upstream_unavailable"),
        ("truncated", {}, 502, "upstream_unavailable"),
        ("throttle", {"retry_after": 7}, 503, "upstream_throttled"),
    ],
)
async def test_a_poll_tells_what_the_source_did(
    bridge: Bridge, fault: str, options: dict[str, int], status: int, code: str
) -> None:
    """With the reason as a code and a sentence of its own."""
    bridge.world.numora.faults.add(fault, path="outbox", **options)
    answer = await bridge.call("POST", POLL, ACME)
    assert (answer.status, answer.code) == (status, code)
    assert answer.json["reason"].keys() == {"code", "message"}
    if code == "upstream_throttled":
        assert int(answer.headers["Retry-After"]) >= 7


async def test_a_source_without_an_outbox_is_a_conflict_that_says_what_to_set(bridge: Bridge) -> None:
    bridge.world.numora.outbox.absent = 404
    answer = await bridge.call("POST", POLL, ACME)
    assert (answer.status, answer.code) == (409, "outbox_absent")
    assert "trigger: route" in answer.json["detail"]


async def test_a_poll_that_another_process_makes_is_a_conflict(bridge: Bridge) -> None:
    now = bridge.runtime.clock()
    assert await bridge.ledger.acquire_poll("acme", now, lease_until=now + 60_000) is not None
    answer = await bridge.call("POST", POLL, ACME)
    assert (answer.status, answer.code) == (409, "poll_running")


async def test_a_window_that_had_to_start_anew_is_told(bridge: Bridge) -> None:
    bridge.add(150)
    bridge.world.numora.outbox.cursor_uses = 0
    answer = await bridge.call("POST", POLL, ACME)
    assert (answer.status, answer.json["cursor_reset"]) == (200, True)


@pytest.mark.parametrize(
    ("side", "fault", "status", "code"),
    [
        ("numora", "unauthorized", 409, "blocked"),
        ("numora", "html_502", 502, "upstream_unavailable"),
        ("dataverse", "unauthorized", 409, "blocked"),
        ("dataverse", "html_502", 502, "upstream_unavailable"),
        ("dataverse", "throttle", 503, "upstream_throttled"),
    ],
)
async def test_a_preview_tells_which_side_could_not_be_asked(
    bridge: Bridge, side: str, fault: str, status: int, code: str
) -> None:
    (document,) = bridge.add()
    getattr(bridge.world, side).faults.add(fault)
    answer = await bridge.call("POST", f"/v1/tenants/acme/documents/{document.id}/preview", ACME)
    assert (answer.status, answer.code) == (status, code)


async def test_a_document_that_the_source_refuses_to_give_is_a_422(bridge: Bridge) -> None:
    (document,) = bridge.add()
    bridge.world.numora.faults.add("status_before", status=422)
    answer = await bridge.call("POST", f"/v1/tenants/acme/documents/{document.id}/preview", ACME)
    assert (answer.status, answer.code) == (422, "upstream_refused")


async def test_a_blocked_tenant_still_takes_documents_and_says_that_they_wait(bridge: Bridge) -> None:
    """Deliveries stay in the queue until access is mended; nothing is lost and nobody waits for ever."""
    (document,) = bridge.add()
    bridge.world.numora.faults.add("unauthorized")
    answer = await bridge.deliver(document.id, wait=0.5)
    assert answer.status == 202
    assert answer.json["state"] in {"queued", "working"}
    tenant = (await bridge.call("GET", "/v1/tenants", ACME)).json["data"][0]
    assert tenant["healthy"] is False
    bridge.world.numora.faults.clear()
    mended = await bridge.deliver(document.id, wait=30)
    assert (mended.status, mended.json["state"]) == (200, "succeeded")
