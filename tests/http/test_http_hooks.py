"""Calls of outside systems: verified on the raw bytes, stored once, and answered alike where none are taken."""

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from io import BytesIO

import pytest
from http_bridge import ACME, Answer, Bridge

from bridge.http import reading
from connectors.numora.sandbox.calls_out import SignedCall
from connectors.numora.sandbox.documents import SandboxDocument

NUMORA = "/hooks/acme/numora"
EXECUTOR = "/hooks/acme/executor"


def webhook(
    bridge: Bridge, document: SandboxDocument, type_: str = "document.reviewed", **options: object
) -> SignedCall:
    return bridge.world.numora.calls.webhook(bridge.world.workspace("acme"), type_, document, **options)  # type: ignore[arg-type]


async def send(bridge: Bridge, path: str, call: SignedCall, body: bytes | None = None) -> Answer:
    return await bridge.call("POST", path, dict(call.headers), data=call.body if body is None else body)


async def test_a_signed_call_is_stored_and_brings_its_document_in_once(bridge: Bridge) -> None:
    """202 once it is in the ledger; the same call again is a 202 that changes nothing. No key is needed."""
    (document,) = bridge.add()
    call = webhook(bridge, document)
    first = await send(bridge, NUMORA, call)
    assert (first.status, first.json) == (202, {"accepted": True, "repeated": False})
    again = await send(bridge, NUMORA, call)
    assert (again.status, again.json) == (202, {"accepted": True, "repeated": True})
    delivered = (await bridge.deliver(document.id)).json
    assert delivered["state"] == "succeeded"
    listed = (await bridge.call("GET", "/v1/tenants/acme/deliveries", ACME)).json["data"]
    assert [delivery["id"] for delivery in listed] == [delivered["id"]]


async def test_the_executors_call_is_taken_with_its_secret(bridge: Bridge) -> None:
    (document,) = bridge.add()
    call = bridge.world.numora.calls.notification(bridge.world.workspace("acme"), document)
    taken = await send(bridge, EXECUTOR, call)
    assert (taken.status, taken.json) == (202, {"accepted": True, "repeated": False})
    assert (await send(bridge, EXECUTOR, call)).json["repeated"] is True
    assert (await bridge.deliver(document.id)).json["state"] == "succeeded"


async def test_a_forged_call_is_refused_and_nothing_comes_of_it(bridge: Bridge) -> None:
    """401 for another body, another signature, none at all, an old moment, and for a key of the API instead."""
    (document,) = bridge.add()
    call = webhook(bridge, document)
    old = webhook(bridge, document, at=datetime.now(UTC) - timedelta(days=2))
    forged = [
        await send(bridge, NUMORA, call, call.body.replace(b"reviewed", b"review3d", 1)),
        await send(bridge, NUMORA, call, call.body + b" "),
        await send(bridge, NUMORA, call, b""),
        await send(bridge, NUMORA, SignedCall({**call.headers, "X-Numora-Webhook-Signature": "v1=00"}, call.body)),
        await send(bridge, NUMORA, SignedCall({"Content-Type": "application/json", **ACME}, call.body)),
        await send(bridge, NUMORA, old),
        await send(bridge, EXECUTOR, call),
        await send(bridge, EXECUTOR, SignedCall({"X-Numora-Secret": "wrong"}, b'{"document_id": "d"}')),
    ]
    for answer in forged:
        assert (answer.status, answer.code) == (401, "hook_refused")
        assert answer.json["reason"].keys() == {"code", "message"}
        assert "WWW-Authenticate" in answer.headers
        assert b"secret-of-numora" not in answer.body
    assert (await bridge.call("GET", "/v1/tenants/acme/deliveries", ACME)).json["data"] == []


async def test_an_authentic_call_that_cannot_be_read_is_a_422(bridge: Bridge) -> None:
    headers = {"X-Numora-Secret": "a-secret-of-numoras-executor"}
    for body in (b"not json", b"[]", b"{}", b'{"document_id": 7.5}', b'{"document_id": ""}', b"\xff"):
        answer = await bridge.call("POST", EXECUTOR, headers, data=body)
        assert (answer.status, answer.code) == (422, "hook_unreadable"), body


async def test_where_no_calls_are_taken_every_answer_is_alike(bridge: Bridge) -> None:
    """An unknown tenant, an unknown hook, and one that the tenant's file does not set: nobody learns who is served."""
    answers = [
        await bridge.call("POST", path, data=b'{"any": "thing"}')
        for path in (
            "/hooks/globex/numora",
            "/hooks/acme/retab",
            "/hooks/nobody/numora",
            "/hooks/acme/other",
            "/hooks/a/b",
        )
    ]
    for answer in answers:
        assert (answer.status, answer.code) == (404, "hook_not_found")
    bodies = [{key: value for key, value in answer.json.items() if key != "request_id"} for answer in answers]
    assert all(body == bodies[0] for body in bodies)


@pytest.mark.parametrize("path", [NUMORA, "/hooks/nobody/numora"])
async def test_bodies_are_bounded_in_size_before_anything_is_looked_at(bridge: Bridge, path: str) -> None:
    answer = await bridge.call("POST", path, data=BytesIO(b" " * (reading.LARGEST_BODY + 1)))
    assert (answer.status, answer.code) == (413, "too_large")


async def test_a_body_that_does_not_come_is_not_waited_for_for_ever(
    bridge: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BODY_TIMEOUT", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", bridge.server.port)
    writer.write(f"POST {NUMORA} HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\n{{".encode())
    assert b"408" in await reader.readline()
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


@pytest.mark.parametrize("headers", [{"Content-Type": "text/plain"}, {}, {"Content-Type": "nonsense"}])
async def test_what_the_body_says_it_is_does_not_matter(bridge: Bridge, headers: dict[str, str]) -> None:
    (document,) = bridge.add()
    call = webhook(bridge, document)
    signed = {name: value for name, value in call.headers.items() if name != "Content-Type"}
    assert (await bridge.call("POST", NUMORA, {**signed, **headers}, data=call.body)).status == 202


async def test_other_methods_are_not_taken(bridge: Bridge) -> None:
    for method in ("GET", "PUT", "DELETE"):
        answer = await bridge.call(method, NUMORA)
        assert (answer.status, answer.headers["Allow"]) == (405, "POST")


async def test_a_tenant_that_is_still_put_to_work_has_its_caller_come_again(bridge: Bridge) -> None:
    """503 with Retry-After, so that no call is lost while the bridge starts."""
    (document,) = bridge.add()
    call = webhook(bridge, document)
    del bridge.runtime._lines["acme"]
    answer = await send(bridge, NUMORA, call)
    assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "starting", "1")


async def test_a_hundred_repeats_at_once_are_one_call(bridge: Bridge) -> None:
    (document,) = bridge.add()
    call = webhook(bridge, document)
    answers = await asyncio.gather(*(send(bridge, NUMORA, call) for _ in range(100)))
    assert {answer.status for answer in answers} == {202}
    assert sum(not answer.json["repeated"] for answer in answers) == 1
