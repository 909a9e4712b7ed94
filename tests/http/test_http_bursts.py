"""n8n's nodes send all their items at once and repeat whole nodes: hundreds of calls at once have one effect each."""

import asyncio
from collections import Counter
from typing import Any

import aiohttp
from http_bridge import ACME, OPERATOR, Bridge

ROOT = "/v1/tenants/acme/documents"


async def burst(bridge: Bridge, calls: list[tuple[str, Any]], **headers: str) -> list[tuple[int, Any]]:
    """Send these posts at once, each over a connection of its own."""
    connector = aiohttp.TCPConnector(limit=0, force_close=True)
    async with aiohttp.ClientSession(connector=connector, headers={**OPERATOR, **headers}) as session:

        async def one(path: str, body: Any) -> tuple[int, Any]:
            async with session.post(bridge.server.url + path, json=body) as response:
                return response.status, await response.json(content_type=None)

        return await asyncio.gather(*(one(path, body) for path, body in calls))


async def test_three_hundred_calls_for_fifty_documents_write_each_of_them_once(bridge: Bridge) -> None:
    """All are answered with the one delivery of their document."""
    documents = bridge.add(50)
    wanted = [document.id for document in documents] * 6
    answers = await burst(bridge, [(f"{ROOT}/{document}/deliver", {"wait": 60}) for document in wanted])
    assert Counter(status for status, _ in answers) == {200: 300}
    by_document: dict[str, set[str]] = {}
    for document, (_, delivery) in zip(wanted, answers, strict=True):
        assert (delivery["document_id"], delivery["state"]) == (document, "succeeded")
        by_document.setdefault(document, set()).add(delivery["id"])
    assert all(len(ids) == 1 for ids in by_document.values())
    created = Counter(effect.id for effect in bridge.world.dataverse.effects if effect.kind == "create")
    assert set(created.values()) == {1}
    assert {record for ids in by_document.values() for record in ids} == {
        delivery["id"]
        for delivery in (await bridge.call("GET", "/v1/tenants/acme/deliveries?limit=200", ACME)).json["data"]
    }


async def test_three_hundred_approvals_of_one_document_are_one_effect(bridge: Bridge) -> None:
    (document,) = bridge.add()
    bridge.world.workspace("acme").send_back(document.id)
    body = {"expected_updated_at": document.updated_at}
    answers = await burst(
        bridge, [(f"{ROOT}/{document.id}/approve", body)] * 300, **{"Idempotency-Key": "approve-once"}
    )
    assert {status for status, _ in answers} <= {200, 409}
    assert {problem["code"] for status, problem in answers if status == 409} <= {"idempotency_in_progress"}
    approvals = [record for record in bridge.world.numora.requests if record.path.endswith("/approve")]
    assert len(approvals) == 1
    assert document.status == "reviewed"
    settled = await burst(bridge, [(f"{ROOT}/{document.id}/approve", body)], **{"Idempotency-Key": "approve-once"})
    assert settled[0][0] == 200
    ended = (await bridge.deliver(document.id)).json
    assert (ended["state"], ended["operation"]) == ("succeeded", "created")


async def test_approvals_without_a_key_are_one_effect_as_well(bridge: Bridge) -> None:
    """The document itself tells that it was approved: each call is answered with it, and it is delivered once."""
    (document,) = bridge.add()
    bridge.world.workspace("acme").send_back(document.id)
    body = {"expected_updated_at": document.updated_at}
    answers = await burst(bridge, [(f"{ROOT}/{document.id}/approve", body)] * 300)
    assert Counter(status for status, _ in answers) == {200: 300}
    assert {answer["status"] for _, answer in answers} <= {"reviewed", "push_pending", "push_succeeded"}
    assert (await bridge.deliver(document.id)).json["state"] == "succeeded"
    created = Counter(effect.id for effect in bridge.world.dataverse.effects if effect.kind == "create")
    assert set(created.values()) == {1}
    assert len((await bridge.call("GET", "/v1/tenants/acme/deliveries", ACME)).json["data"]) == 1


async def test_a_waiting_call_is_answered_as_soon_as_the_delivery_ends(bridge: Bridge) -> None:
    """Not when its time is over: the delivery is held up, let go, and the answer comes with its end."""
    (document,) = bridge.add()
    bridge.world.numora.faults.add("hang", times=1)
    waiting = asyncio.create_task(bridge.deliver(document.id, wait=60))
    await bridge.world.numora.faults.until_struck()
    assert not waiting.done()
    bridge.world.numora.faults.release()
    async with asyncio.timeout(30):
        answer = await waiting
    assert answer.status in {200, 202}
    assert answer.json["document_id"] == document.id
