"""As n8n calls: all items at once, whole nodes again, many waiting; and the bridge's end in the middle of it."""

import asyncio

from tests.blackbox.asking import Asking
from tests.blackbox.world import World, invoice, plain_lines

HOURLY = {"every": "1h", "limit": 100}


async def test_three_hundred_deliver_calls_at_once_are_each_answered_and_written_once(made: World) -> None:
    """A hundred documents, each asked for three times at once, waited for or not, then the whole node again."""
    acme = await made.add_tenant(poll=HOURLY)
    await made.start()
    docs = [plain_lines(made.numora.add(acme.numora_key, invoice(number, listed=False))) for number in range(100)]
    async with Asking(made.bridge) as api:
        for _ in range(2):
            replies = await api.all(
                *(
                    api.ask("POST", f"/v1/tenants/acme/documents/{doc.id}/deliver", {"wait": 60 if turn else 0})
                    for turn in range(3)
                    for doc in docs
                )
            )
            assert {reply.status for reply in replies} <= {200, 202}
            assert [reply.json["state"] for reply in replies[100:]] == ["succeeded"] * 200
            assert [reply.json["document_id"] for reply in replies] == [doc.id for doc in docs] * 3
    made.written_once(acme, docs)
    assert len(await made.bridge.deliveries()) == 100
    assert await made.bridge.stop() == 0
    made.holds()


async def test_two_hundred_waiting_calls_are_answered_when_the_bridge_is_told_to_end(made: World) -> None:
    """SIGTERM: whoever waits is told how it stands, with 202, and the process ends well; nothing is lost by it."""
    acme = await made.add_tenant(poll=HOURLY)
    await made.start()
    docs = [made.numora.add(acme.numora_key, invoice(number, listed=False)) for number in range(200)]
    acme.dataverse.latency = 1000
    async with Asking(made.bridge) as api:
        waiting = [
            asyncio.create_task(api.ask("POST", f"/v1/tenants/acme/documents/{doc.id}/deliver", {"wait": 60}))
            for doc in docs
        ]

        async def taken() -> bool:
            return len(await made.bridge.deliveries()) == 200

        await made.until_told(taken)
        assert await made.bridge.stop() == 0
        replies = await asyncio.gather(*waiting)
        assert {reply.status for reply in replies} == {202}
        assert {reply.json["state"] for reply in replies} <= {"queued", "working"}
        acme.dataverse.latency = 0
        await made.bridge.start()
        await made.until(lambda: made.finished(acme))
    creates = acme.dataverse.count("create", "numora_invoice")
    assert (len(creates), set(creates.values())) == (200, {1})
    made.holds()
