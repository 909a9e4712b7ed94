"""Events out: signed, once for each end and subscriber, whatever happens to receiver and bridge in between."""

import random
import signal
from collections import Counter
from typing import Any

from tests.blackbox.asking import Asking
from tests.blackbox.imitations.numora import Doc
from tests.blackbox.imitations.receiver import signs, verify
from tests.blackbox.world import World, invoice, plain_lines

HOURLY = {"every": "1h", "limit": 100}
SUBSCRIPTIONS = "/v1/tenants/acme/subscriptions"
SECRET = "events secret äöü"
RESUME = "signature=r3sume-s1gnature"


async def start(made: World, events: list[dict[str, Any]] | None = None, **source: Any) -> None:
    acme = await made.add_tenant(**source)
    acme.variables = {"EVENTS_OLD": SECRET, "EVENTS_NEW": "whsec_bmV3IHNlY3JldCBvZiAzMiBieXRlcyBvciBtb3JlIQ=="}
    if events is not None:
        acme.more["events"] = events
    made.settings["allow_hosts"] = ["127.0.0.1"]
    await made.start()


def add(made: World, number: int, **more: Any) -> Doc:
    return plain_lines(made.numora.add(made.acme.numora_key, invoice(number, **more)))


def entry(made: World, path: str = "/config", secret: Any = "${EVENTS_OLD}", types: Any = ("*",)) -> dict[str, Any]:
    return {"url": made.receiver.url(path), "secret": secret, "types": list(types)}


async def test_every_end_is_told_once_to_everyone_who_wants_it(made: World) -> None:
    """By config and by API, filtered by type, verified by both signatures, with the delivery as the API shows it."""
    await start(made, [entry(made), entry(made, "/failed", types=["delivery.failed"])], poll=HOURLY)
    good = [add(made, number, listed=False) for number in range(5)]
    bad = add(made, 9, listed=False, fields={"invoice_date": "soon"})
    skipped = add(made, 10, listed=False, duplicate_of="doc_0")
    review = add(made, 11, listed=False, status="review_required")
    docs = [*good, bad, skipped, review]
    async with Asking(made.bridge) as api:
        url = {"url": made.receiver.url("/api?token=in-the-query"), "types": ["delivery.*"]}
        made_one = await api.ask("POST", SUBSCRIPTIONS, url)
        assert made_one.status == 201
        secret = made_one.json["secret"]
        assert secret.startswith("whsec_")
        for doc in docs:
            reply = await api.ask("POST", f"/v1/tenants/acme/documents/{doc.id}/deliver", {"wait": 30})
            assert reply.status == 200
        await made.until(lambda: len(made.receiver.at("/api")) >= 8 and len(made.receiver.at("/config")) >= 8)
        expected = Counter(
            {"delivery.succeeded": 5, "delivery.failed": 1, "delivery.skipped": 1, "delivery.superseded": 1}
        )
        assert made.receiver.types("/config") == made.receiver.types("/api") == expected
        assert made.receiver.types("/failed") == {"delivery.failed": 1}
        shown = {one["id"]: one for one in await made.bridge.deliveries()}
        for path, key in (("/config", SECRET), ("/failed", SECRET), ("/api", secret)):
            for seen in made.receiver.at(path):
                verify(seen, key)
                assert seen.json["data"] == shown[seen.json["data"]["id"]]
                assert set(seen.json) == {"type", "timestamp", "data"}
                assert seen.headers["content-type"] == "application/json"
                assert not {"authorization", "x-api-key", "cookie"} & set(seen.headers)
        again = await api.ask("POST", f"/v1/tenants/acme/documents/{good[0].id}/deliver", {"wait": 30})
        assert again.status == 200
        trial = await api.ask("POST", f"{SUBSCRIPTIONS}/{made_one.json['id']}/test", {})
        await made.until(lambda: "bridge.test" in made.receiver.types("/api"))
        assert made.receiver.at("/api")[-1].headers["webhook-id"] == trial.json["message_id"]
        assert made.receiver.types("/config") == expected
        listed = (await api.ask("GET", SUBSCRIPTIONS)).json["data"]
        assert sorted(one["origin"] for one in listed) == ["api", "config", "config"]
        assert all(one.get("secret") is None for one in listed)
        config = next(one["id"] for one in listed if one["origin"] == "config")
        assert (await api.ask("DELETE", f"{SUBSCRIPTIONS}/{config}")).code == "configured_subscription"
    assert await made.bridge.stop() == 0
    made.no_secret_was_written(secret, "in-the-query")


async def test_faults_and_kills_lose_no_event_and_make_none_of_their_own(made: World) -> None:
    """Receiver and bridge fail at random: each end is told, under one webhook-id and with the same bytes."""
    await start(made, [entry(made, types=["delivery.*"])])
    made.receiver.faults.rate = 0.2
    made.receiver.faults.kinds = (
        "status_before",
        "status_after",
        "reset_before",
        "reset_after",
        "html_502",
        "truncated",
    )
    docs = [add(made, number) for number in range(30)]
    chance = random.Random(11)
    for _ in range(4):
        wanted = len(made.receiver.requests) + chance.randint(1, 12)
        await made.until(
            lambda wanted=wanted: (  # type: ignore[misc]
                len(made.receiver.requests) >= wanted or made.receiver.types("/config").total() >= 30
            )
        )
        await made.bridge.kill()
        await made.bridge.start()
    made.receiver.faults.rate = 0

    def told() -> set[str]:
        return {seen.json["data"]["document_id"] for seen in made.receiver.taken["/config"]}

    await made.until(lambda: told() == {doc.id for doc in docs})
    messages = made.receiver.messages("/config")
    assert Counter(one["data"]["document_id"] for one in messages) == {doc.id: 1 for doc in docs}
    for seen in made.receiver.requests:
        verify(seen, SECRET)
    made.written_once(made.acme, docs)
    assert await made.bridge.stop() == 0
    made.holds()
    made.no_secret_was_written()


async def test_secrets_are_rotated_in_the_file_and_by_the_api(made: World) -> None:
    """While both stand in the file both sign, the new one first; a subscription that is posted again does the same."""
    await start(made, [entry(made, types=["delivery.*"])], poll=HOURLY)
    new = made.acme.variables["EVENTS_NEW"]
    async with Asking(made.bridge) as api:

        async def told(number: int, path: str) -> Any:
            doc = add(made, number, listed=False)
            assert (await api.ask("POST", f"/v1/tenants/acme/documents/{doc.id}/deliver", {"wait": 30})).status == 200
            await made.until(lambda: any(one["data"]["document_id"] == doc.id for one in made.receiver.messages(path)))
            return made.receiver.at(path)[-1]

        verify(await told(1, "/config"), SECRET)
        for secrets, first, others in (
            (["${EVENTS_NEW}", "${EVENTS_OLD}"], new, (SECRET,)),
            (["${EVENTS_NEW}"], new, ()),
        ):
            made.acme.more["events"] = [entry(made, secret=secrets, types=["delivery.*"])]
            made.write()
            made.bridge.signal(signal.SIGHUP)
            number = len(made.receiver.requests) * 10

            async def rotated(number: int = number, first: str = first, others: Any = others) -> bool:
                nonlocal seen
                seen = await told(number + len(made.receiver.requests), "/config")
                return signs(seen, first) and all(signs(seen, one) for one in (SECRET,)) == bool(others)

            seen = None
            await made.until_told(rotated)
            verify(seen, first, others)
        url = {"url": made.receiver.url("/api"), "types": ["delivery.*"]}
        first_one = await api.ask("POST", SUBSCRIPTIONS, {**url, "secret": "the first secret"})
        again = await api.ask("POST", SUBSCRIPTIONS, {**url, "secret": "the second secret"})
        assert (first_one.status, again.status, again.json["id"]) == (201, 200, first_one.json["id"])
        assert "secret" not in {name for name, value in again.json.items() if value is not None}
        verify(await told(900, "/api"), "the second secret", ("the first secret",))
        for odd in ("", " x", "x ", "a\nb", "\u0000", "whsec_%%%", "whsec_", "x" * 600, "\ud7ff\u0085", 7, []):
            refused = await api.ask("POST", SUBSCRIPTIONS, {**url, "secret": odd})
            assert refused.status == 422, odd
            assert refused.code in {"bad_secret", "bad_body"}
        for types in ([], ["delivery"], ["Delivery.*"], "*", [7], ["a.b.c"], ["*.*"], ["delivery.succeeded\n"]):
            assert (await api.ask("POST", SUBSCRIPTIONS, {**url, "types": types})).status == 422, types
    made.no_secret_was_written("the first secret", "the second secret")


async def test_410_ends_a_subscription_and_a_dead_receiver_keeps_nobody_waiting(made: World) -> None:
    await start(made, poll=HOURLY)
    made.receiver.statuses = {"/gone": [410], "/dead": [500], "/redirecting": [302], "/taken": [200]}
    async with Asking(made.bridge) as api:
        ids = {}
        for path in ("/gone", "/dead", "/redirecting", "/taken"):
            ids[path] = (await api.ask("POST", SUBSCRIPTIONS, {"url": made.receiver.url(path)})).json["id"]
        docs = [add(made, number, listed=False) for number in range(4)]
        for doc in docs:
            assert (await api.ask("POST", f"/v1/tenants/acme/documents/{doc.id}/deliver", {"wait": 30})).status == 200
        await made.until(lambda: len(made.receiver.messages("/taken")) == 4 and bool(made.receiver.at("/gone")))

        async def ended() -> bool:
            page = (await api.ask("GET", SUBSCRIPTIONS)).json["data"]
            return ids["/gone"] not in {one["id"] for one in page if one["state"] == "active"}

        await made.until_told(ended)
        assert (await api.ask("POST", f"{SUBSCRIPTIONS}/{ids['/gone']}/test", {})).status in {404, 202}
        for _ in range(3):
            assert (await api.ask("DELETE", f"{SUBSCRIPTIONS}/{ids['/dead']}")).status == 204
        made.receiver.statuses = {}
        anew = await api.ask("POST", SUBSCRIPTIONS, {"url": made.receiver.url("/gone")})
        assert anew.status in {200, 201}
        assert anew.json["state"] == "active"
        assert anew.json["secret"]
        same = await api.all(*(api.ask("POST", SUBSCRIPTIONS, {"url": made.receiver.url("/burst")}) for _ in range(50)))
        assert len({one.json["id"] for one in same}) == 1
        assert sorted(one.status for one in same) == [200] * 49 + [201]
        assert sum(one.json.get("secret") is not None for one in same) == 1


async def test_resume_url_is_called_once_whole_and_leaves_no_trace(made: World) -> None:
    """Repeated by n8n's retries, killed in between: one message; 409, 404 and 410 end it; the query is in no file."""
    await start(made, [entry(made, types=["tenant.*"])], poll=HOURLY)
    made.receiver.statuses = {"/wait/once": [503, 500, 409]}
    docs = [add(made, number, listed=False) for number in range(8)]
    async with Asking(made.bridge) as api:
        bodies = [{"resume_url": made.receiver.url(f"/wait/{number}?{RESUME}&a=%2F+b")} for number in range(8)]
        calls = [
            api.ask("POST", f"/v1/tenants/acme/documents/{doc.id}/deliver", body)
            for _ in range(10)
            for doc, body in zip(docs, bodies, strict=True)
        ]
        assert {reply.status for reply in await api.all(*calls)} <= {200, 202}
        await made.bridge.kill()
        await made.bridge.start()
        await made.until(lambda: all(made.receiver.taken[f"/wait/{number}"] for number in range(8)))
        for doc, body in zip(docs, bodies, strict=True):
            again = await api.ask("POST", f"/v1/tenants/acme/documents/{doc.id}/deliver", {**body, "wait": 10})
            assert again.status == 200
        once = {"resume_url": made.receiver.url(f"/wait/once?{RESUME}"), "wait": 10}
        assert (await api.ask("POST", f"/v1/tenants/acme/documents/{docs[0].id}/deliver", once)).status == 200
        await made.until(lambda: len(made.receiver.at("/wait/once")) >= 3)
        for number in range(8):
            (message,) = made.receiver.messages(f"/wait/{number}")
            assert (message["type"], message["data"]["document_id"]) == ("delivery.succeeded", docs[number].id)
        for seen in made.receiver.requests:
            assert seen.raw_query == (RESUME if seen.path.endswith("once") else f"{RESUME}&a=%2F+b")
            verify(seen, SECRET)
        detail = await api.ask("GET", f"/v1/tenants/acme/deliveries/{(await made.bridge.delivery(docs[0].id))['id']}")
        assert "r3sume" not in detail.raw.decode()
    assert await made.bridge.stop() == 0
    made.no_secret_was_written("r3sume-s1gnature")
    made.written_once(made.acme, docs)
