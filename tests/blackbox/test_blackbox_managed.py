"""Managed mode: Numora writes, the bridge asks it once for each document and watches; no callback."""

import random

import pytest

from tests.blackbox.asking import Asking
from tests.blackbox.imitations.numora import Doc
from tests.blackbox.world import World, invoice


async def start(made: World, *, deadline: str = "1h", every: str = "300ms", poll: str = "400ms") -> None:
    acme = await made.add_tenant(poll={"every": poll, "limit": 100})
    acme.delivery = {"mode": "managed", "watch": {"every": every, "deadline": deadline}}
    acme.more, acme.mappings = {"destination": None}, {}
    await made.start()


def add(made: World, count: int) -> list[Doc]:
    return [made.numora.add(made.acme.numora_key, invoice(number)) for number in range(count)]


async def ended(made: World, docs: list[Doc], state: str) -> None:
    async def there() -> bool:
        newest = {one["document_id"]: one["state"] for one in reversed(await made.bridge.deliveries())}
        return all(newest.get(doc.id) == state for doc in docs)

    await made.until_told(there)


async def test_every_document_is_dispatched_once_and_watched_to_its_end(made: World) -> None:
    await start(made)
    docs = add(made, 30)
    await ended(made, docs, "succeeded")
    assert made.numora.dispatches == {doc.id: 1 for doc in docs}
    assert not made.numora.posted
    assert not made.acme.dataverse.requests
    assert all(seen.json == {"provider": "dynamics365"} for seen in made.numora.sent("POST", "/dispatch"))
    async with Asking(made.bridge) as api:
        again = await api.ask("POST", f"/v1/tenants/acme/documents/{docs[0].id}/deliver", {"wait": 10})
        assert (again.status, again.json["state"]) == (200, "succeeded")
        preview = await api.ask("POST", f"/v1/tenants/acme/documents/{docs[0].id}/preview", {})
        assert (preview.status, preview.code) == (409, "managed_mode")
    assert made.numora.dispatches[docs[0].id] == 1


@pytest.mark.parametrize("fault", ["reset_after", "status_after", "html_502", "throttled_seconds"])
async def test_a_dispatch_without_a_good_answer_is_not_made_twice(made: World, fault: str) -> None:
    """Lost after its effect, refused before it: the document shows which, and it is dispatched once."""
    acme = await made.add_tenant(poll={"every": "400ms", "limit": 100})
    acme.delivery = {"mode": "managed", "watch": {"every": "200ms", "deadline": "1h"}}
    acme.more, acme.mappings = {"destination": None}, {}
    docs = add(made, 4)
    made.numora.ends_after_looks = 3
    made.numora.faults.only = lambda seen: seen.path.endswith("/dispatch")
    made.numora.faults.retry_after = 1
    made.numora.faults.queue = [fault] * 3
    await made.start()
    if fault == "html_502":
        # Whether that one had an effect is known only later: the bridge gives it half a minute before it asks again.
        await made.until(lambda: len(made.numora.dispatches) == 1)
        await ended(made, [doc for doc in docs if made.numora.dispatches[doc.id]], "succeeded")
    else:
        await ended(made, docs, "succeeded")
        assert set(made.numora.dispatches) == {doc.id for doc in docs}
    assert set(made.numora.dispatches.values()) == {1}
    assert not made.numora.posted
    made.holds()


@pytest.mark.parametrize(
    ("documents", "kills", "done"),
    [(120, 2, 40), pytest.param(120, 8, 120, marks=[pytest.mark.soak, pytest.mark.timeout(300)])],
)
async def test_killed_again_and_again_it_dispatches_every_document_once(
    made: World, documents: int, kills: int, done: int
) -> None:
    """What was on its way at a kill may have its effect yet, and is asked for again only half a minute later."""
    await start(made)
    made.numora.latency = 0.03
    made.numora.ends_after_looks = 2
    docs = add(made, documents)
    chance = random.Random(3)
    for _ in range(kills):
        seen = len(made.numora.sent("POST", "/dispatch")) + chance.randint(1, 6)
        await made.until(
            lambda seen=seen: (  # type: ignore[misc]
                len(made.numora.sent("POST", "/dispatch")) >= seen or len(made.numora.dispatches) == len(docs)
            )
        )
        await made.bridge.kill()
        await made.bridge.start()
    await made.until(lambda: sum(doc.status == "push_succeeded" for doc in docs) >= done, 200)
    assert set(made.numora.dispatches.values()) == {1}
    assert not made.numora.posted
    made.holds()


async def test_a_push_that_fails_or_takes_too_long_is_told(made: World) -> None:
    """push_failed ends as failed; past the deadline it is parked, and a retry watches on without a second dispatch."""
    await start(made, deadline="1s", every="200ms")
    made.numora.ends_as = "push_failed"
    (failing,) = add(made, 1)
    failing.listed = False
    async with Asking(made.bridge) as api:
        path = f"/v1/tenants/acme/documents/{failing.id}/deliver"
        failed = await api.ask("POST", path, {"wait": 30})
        assert (failed.status, failed.json["state"]) == (200, "failed")
        assert failed.json["error"]["code"] == "managed_push_failed"
        made.numora.ends_after_looks, made.numora.ends_as = 10**6, "push_succeeded"
        slow = made.numora.add(made.acme.numora_key, invoice(7, listed=False))
        parked = await api.ask("POST", f"/v1/tenants/acme/documents/{slow.id}/deliver", {"wait": 30})
        assert (parked.status, parked.json["state"], parked.json["error"]["code"]) == (
            200,
            "parked",
            "managed_deadline",
        )
        made.numora.ends_after_looks = 0
        retried = await api.ask("POST", f"/v1/tenants/acme/deliveries/{parked.json['id']}/retry", {})
        assert retried.status in {200, 202}
        await ended(made, [slow], "succeeded")
    assert made.numora.dispatches[slow.id] == 1
