"""What a caller gets who delivers documents, looks at deliveries, and has some made once more."""

import asyncio
import re
from urllib.parse import quote

import pytest
from http_bridge import ACME, OPERATOR, Bridge

from bridge.delivery.model import Trigger
from bridge.delivery.transitions import hand_back
from bridge.ledger.protocol import ClaimFilter, Save
from connectors.ports import Listing

FIELDS = (
    *("id", "tenant", "document_id", "schema", "state", "step", "attempts", "execution_id", "external_record_id"),
    *("external_url", "operation", "error", "problems", "mapping", "next_attempt_at", "created_at", "updated_at"),
)
MOMENT = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
DELIVERIES = "/v1/tenants/acme/deliveries"


async def test_a_delivered_document_is_answered_in_the_documented_shape(bridge: Bridge) -> None:
    """200 with every field of a delivery and no other."""
    (document,) = bridge.add()
    answer = await bridge.deliver(document.id)
    assert answer.status == 200
    delivery = answer.json
    assert tuple(delivery) == FIELDS
    assert delivery["id"].startswith("dlv_")
    assert (delivery["tenant"], delivery["document_id"], delivery["schema"]) == ("acme", document.id, "invoice_v2")
    assert (delivery["state"], delivery["step"], delivery["attempts"]) == ("succeeded", None, 1)
    assert delivery["execution_id"] == bridge.world.numora.callbacks[0].execution_id
    assert delivery["external_record_id"] == bridge.world.dataverse.effects[0].id
    assert delivery["external_url"].startswith(bridge.world.dataverse.url)
    assert delivery["operation"] == "created"
    assert (delivery["error"], delivery["problems"], delivery["next_attempt_at"]) == (None, [], None)
    assert delivery["mapping"]["name"] == "invoice_v2.dataverse.yaml"
    assert re.fullmatch("[0-9a-f]{64}", delivery["mapping"]["digest"])
    assert MOMENT.fullmatch(delivery["created_at"])
    assert MOMENT.fullmatch(delivery["updated_at"])


async def test_a_rejected_document_shows_every_problem_in_the_reviewers_words(bridge: Bridge) -> None:
    """An ended, failed delivery is a 200 as well: the call did what it was asked."""
    (document,) = bridge.add()
    document.fields["total_amount"] = "a lot"
    document.fields["invoice_date"] = "soon"
    answer = await bridge.deliver(document.id)
    assert answer.status == 200
    delivery = answer.json
    assert delivery["state"] == "failed"
    assert delivery["error"].keys() == {"code", "message"}
    assert {problem["field"] for problem in delivery["problems"]} == {"total_amount", "invoice_date"}
    assert all(list(problem) == ["field", "column", "code", "message"] for problem in delivery["problems"])
    assert delivery["external_record_id"] is None
    assert delivery["operation"] is None


async def test_a_caller_who_does_not_wait_is_told_that_it_is_under_way(bridge: Bridge) -> None:
    """202, and the same delivery can be looked at later under its id."""
    (document,) = bridge.add()
    path = f"/v1/tenants/acme/documents/{document.id}/deliver"
    answer = await bridge.call("POST", path, ACME)
    assert answer.status == 202
    assert answer.json["state"] in {"queued", "working"}
    assert answer.json["step"] == "fetch"
    await bridge.deliver(document.id)
    shown = await bridge.call("GET", f"{DELIVERIES}/{answer.json['id']}", ACME)
    assert shown.json["state"] == "succeeded"


async def test_delivering_again_writes_nothing_and_force_says_unchanged(bridge: Bridge) -> None:
    (document,) = bridge.add()
    first = await bridge.deliver(document.id)
    again = await bridge.deliver(document.id)
    assert (again.status, again.json["id"], again.json["operation"]) == (200, first.json["id"], "created")
    forced = await bridge.deliver(document.id, force=True)
    assert (forced.status, forced.json["operation"]) == (200, "unchanged")
    assert len(bridge.world.dataverse.effects) == len({effect.id for effect in bridge.world.dataverse.effects})


async def test_a_delivery_is_shown_with_its_attempts_and_every_outgoing_request(bridge: Bridge) -> None:
    """Ids, statuses and milliseconds of each request, so that both sides' logs can be held against it."""
    (document,) = bridge.add()
    delivered = (await bridge.deliver(document.id)).json
    detail = (await bridge.call("GET", f"{DELIVERIES}/{delivered['id']}", ACME)).json
    assert {name: detail[name] for name in FIELDS} == delivered
    (attempt,) = detail["attempt_log"]
    assert attempt["outcome"] == "done"
    assert attempt["number"] == 1
    assert MOMENT.fullmatch(attempt["started_at"])
    requests = {(request["peer"], request["method"]): request for request in detail["requests"]}
    callback = requests["numora", "POST"]
    assert callback["status"] == 200
    assert isinstance(callback["ms"], int)
    assert callback["url"].endswith(f"/v1/documents/{document.id}/delivery")
    assert callback["peer_request_id"].startswith("req_")
    assert ("dataverse", "POST") in requests


async def test_deliveries_are_listed_newest_first_by_pages(bridge: Bridge) -> None:
    documents = bridge.add(7)
    for document in documents:
        await bridge.deliver(document.id)
    seen: list[str] = []
    cursor = ""
    pages = 0
    while True:
        page = (await bridge.call("GET", f"{DELIVERIES}?limit=3&cursor={quote(cursor, safe='')}", ACME)).json
        assert page.keys() == {"data", "next_cursor"}
        seen += [delivery["document_id"] for delivery in page["data"]]
        pages += 1
        if page["next_cursor"] is None:
            break
        cursor = page["next_cursor"]
    assert seen == [document.id for document in reversed(documents)]
    assert pages == 3


async def test_a_page_holds_as_many_as_it_can_however_many_are_asked_for(bridge: Bridge) -> None:
    """Whoever asks for a thousand is given the first five hundred and where to go on, rather than a refusal."""
    now = bridge.runtime.clock()
    listings = [Listing(f"doc_{number}") for number in range(501)]
    new_id = bridge.runtime.new_id
    await bridge.ledger.intake("acme", listings, Trigger.OUTBOX, now, new_id=new_id)

    first = (await bridge.call("GET", f"{DELIVERIES}?limit=1000", ACME)).json
    assert len(first["data"]) == 500
    rest = (await bridge.call("GET", f"{DELIVERIES}?limit=1000&cursor={first['next_cursor']}", ACME)).json
    assert (len(rest["data"]), rest["next_cursor"]) == (1, None)


async def test_deliveries_are_filtered_by_state_document_and_error(bridge: Bridge) -> None:
    """States may be repeated or stand with commas between; a parameter without a value counts as left out."""
    good, bad, other = bridge.add(3)
    bad.fields["total_amount"] = "a lot"
    delivered = [(await bridge.deliver(document.id)).json for document in (good, bad, other)]
    states = [delivery["state"] for delivery in delivered]
    assert states == ["succeeded", "failed", "succeeded"]

    async def listed(query: str) -> set[str]:
        answer = await bridge.call("GET", f"{DELIVERIES}?{query}", ACME)
        assert answer.status == 200, answer.body
        return {delivery["document_id"] for delivery in answer.json["data"]}

    everything = {good.id, bad.id, other.id}
    assert await listed("state=failed") == {bad.id}
    assert await listed("state=failed,succeeded") == everything
    assert await listed("state=failed&state=succeeded") == everything
    assert await listed("state=&document_id=&error_code=&limit=&cursor=") == everything
    assert await listed(f"document_id={other.id}") == {other.id}
    assert await listed(f"error_code={delivered[1]['error']['code']}") == {bad.id}
    assert await listed("error_code=no_such_code") == set()


async def test_a_failed_delivery_is_made_once_more(bridge: Bridge) -> None:
    """202 with the same delivery, queued; mended at the source, it then succeeds."""
    (document,) = bridge.add()
    whole = document.fields["total_amount"]
    document.fields["total_amount"] = "a lot"
    failed = (await bridge.deliver(document.id)).json
    document.fields["total_amount"] = whole
    answer = await bridge.call("POST", f"{DELIVERIES}/{failed['id']}/retry", ACME, {"mapping": "same"})
    assert answer.status == 202
    assert (answer.json["id"], answer.json["state"], answer.json["error"]) == (failed["id"], "queued", None)
    ended = (await bridge.deliver(document.id)).json
    assert (ended["state"], ended["attempts"]) == ("succeeded", 2)


async def test_only_the_newest_delivery_of_a_document_is_made_once_more(bridge: Bridge) -> None:
    (document,) = bridge.add()
    first = (await bridge.deliver(document.id)).json
    document.fields["invoice_number"] = "INV-CORRECTED"
    bridge.world.workspace("acme").touch(document)
    second = (await bridge.deliver(document.id)).json
    assert second["id"] != first["id"]
    answer = await bridge.call("POST", f"{DELIVERIES}/{first['id']}/retry", ACME)
    assert (answer.status, answer.code) == (409, "not_newest")
    assert answer.json["newest"] == second["id"]


async def test_a_retry_of_many_is_looked_at_before_it_is_made(bridge: Bridge) -> None:
    """A dry run tells which ones and changes nothing; without a state it is the failed and the parked ones."""
    documents = bridge.add(4)
    for document in documents[:2]:
        document.fields["total_amount"] = "a lot"
    ended = [(await bridge.deliver(document.id)).json for document in documents]
    failed = {delivery["id"] for delivery in ended if delivery["state"] == "failed"}
    assert len(failed) == 2
    before = (await bridge.call("GET", DELIVERIES, ACME)).json
    looked = await bridge.call("POST", f"{DELIVERIES}/retry", ACME, {"dry_run": True})
    assert looked.status == 200
    assert (looked.json["matched"], set(looked.json["deliveries"]), looked.json["dry_run"]) == (2, failed, True)
    assert (await bridge.call("GET", DELIVERIES, ACME)).json == before
    for how in ({"json": {"state": "failed"}}, {"json": {"state": ["failed"]}}, {}):
        query = "" if how else "?state=failed"
        answer = await bridge.call("POST", f"{DELIVERIES}/retry{query}", ACME, **how)
        assert answer.json["dry_run"] is False
    for document in documents[:2]:
        assert (await bridge.deliver(document.id)).json["attempts"] >= 2
    assert (await bridge.call("GET", f"{DELIVERIES}?state=succeeded", ACME)).json["data"] == [
        delivery for delivery in reversed(ended) if delivery["state"] == "succeeded"
    ]


async def test_deliveries_that_wait_for_their_next_try_are_tried_at_once_when_many_are_retried(
    bridge: Bridge,
) -> None:
    """After an outage nobody has to wait for what the schedule has come to; as with a retry of one."""
    (document,) = bridge.add()
    ledger, clock = bridge.ledger, bridge.runtime.clock
    await ledger.intake("acme", [Listing(document.id)], Trigger.OUTBOX, clock(), new_id=bridge.runtime.new_id)
    (held,) = await ledger.claim("acme", clock(), limit=1, lease_until=clock() + 60_000, only=ClaimFilter())
    await ledger.save(Save(hand_back(held, clock() + 3_600_000)))

    answer = await bridge.call("POST", f"{DELIVERIES}/retry", ACME, {"state": "queued"})

    assert (answer.status, answer.json["matched"], answer.json["deliveries"]) == (200, 1, [held.id])
    assert (await bridge.deliver(document.id)).json["id"] == held.id
    assert (await bridge.call("GET", f"{DELIVERIES}/{held.id}", ACME)).json["state"] == "succeeded"


async def test_a_filter_is_given_in_the_query_or_in_the_body_but_not_in_both(bridge: Bridge) -> None:
    answer = await bridge.call("POST", f"{DELIVERIES}/retry?state=failed", ACME, {"state": "parked"})
    assert (answer.status, answer.code) == (422, "bad_body")
    assert answer.json["errors"][0]["code"] == "given_twice"


async def test_a_document_that_the_source_never_had_is_a_404(bridge: Bridge) -> None:
    """As soon as that is known; who does not wait is told that it is under way, and finds its end in the list."""
    answer = await bridge.deliver("no-such-document")
    assert (answer.status, answer.code) == (404, "document_not_found")
    (listed,) = (await bridge.call("GET", DELIVERIES, ACME)).json["data"]
    assert (listed["state"], listed["error"]["code"]) == ("superseded", "document_gone")
    path = "/v1/tenants/acme/documents/nor-this-one/deliver"
    assert (await bridge.call("POST", path, ACME)).status == 202


async def test_a_document_that_was_delivered_and_is_gone_keeps_its_delivery(bridge: Bridge) -> None:
    """200 with the delivery that found it out: the row in the destination is still ours."""
    (document,) = bridge.add()
    await bridge.deliver(document.id)
    bridge.world.workspace("acme").remove(document.id)
    answer = await bridge.deliver(document.id, force=True)
    assert (answer.status, answer.json["state"], answer.json["error"]["code"]) == (200, "superseded", "document_gone")


async def test_a_preview_shows_plan_body_and_difference_and_writes_nothing(bridge: Bridge) -> None:
    (document,) = bridge.add()
    path = f"/v1/tenants/acme/documents/{document.id}/preview"
    fresh = (await bridge.call("POST", path, ACME)).json
    assert fresh["expected"] == {"state": "succeeded", "operation": "created"}
    assert fresh["plan"]["columns"]["numora_name"] == document.fields["invoice_number"]["value"]
    assert fresh["body"]["numora_name"] == fresh["plan"]["columns"]["numora_name"]
    assert fresh["difference"]["record_id"] is None
    assert {step["column"] for step in fresh["trace"]} >= {"numora_name", "numora_total"}
    assert bridge.world.dataverse.effects == []
    assert (await bridge.call("GET", DELIVERIES, ACME)).json["data"] == []
    await bridge.deliver(document.id)
    delivered = len(bridge.world.dataverse.effects)
    same = (await bridge.call("POST", path, ACME)).json
    assert same["expected"] == {"state": "succeeded", "operation": "unchanged"}
    assert len(bridge.world.dataverse.effects) == delivered


async def test_a_preview_of_a_document_that_would_be_rejected_names_its_problems(bridge: Bridge) -> None:
    (document,) = bridge.add()
    document.fields["total_amount"] = "a lot"
    shown = await bridge.call("POST", f"/v1/tenants/acme/documents/{document.id}/preview", ACME)
    assert shown.status == 200
    assert shown.json["expected"] == {"state": "failed", "operation": None}
    assert [problem["field"] for problem in shown.json["problems"]] == ["total_amount"]
    assert shown.json["plan"] is None


async def test_a_preview_of_an_unknown_document_is_a_404(bridge: Bridge) -> None:
    answer = await bridge.call("POST", "/v1/tenants/acme/documents/nothing/preview", ACME)
    assert (answer.status, answer.code) == (404, "document_not_found")


async def test_amounts_in_a_preview_keep_their_digits(bridge: Bridge) -> None:
    """19 digits stand in the answer as they stood in the document."""
    (document,) = bridge.add()
    document.fields["total_amount"] = "12345678901234567.89"
    shown = await bridge.call("POST", f"/v1/tenants/acme/documents/{document.id}/preview", ACME)
    assert b"12345678901234567.89" in shown.body
    assert b"1.2345678901234568e" not in shown.body.lower()


async def test_a_poll_tells_what_it_saw(bridge: Bridge) -> None:
    bridge.add(5)
    answer = await bridge.call("POST", "/v1/tenants/acme/poll", ACME)
    assert (answer.status, answer.json) == (200, {"seen": 5, "queued": 5, "cursor_reset": False})


async def test_a_waiting_caller_is_answered_when_the_bridge_stops(bridge: Bridge) -> None:
    """202 with the delivery as it stands; it goes on when the bridge is back."""
    (document,) = bridge.add()
    bridge.world.numora.faults.add("hang", times=1)
    waiting = asyncio.create_task(bridge.deliver(document.id, wait=60))
    await bridge.world.numora.faults.until_struck()
    bridge.server.detach()
    answer = await waiting
    assert (answer.status, answer.json["document_id"]) == (202, document.id)
    refused = await bridge.call("GET", "/v1/me", OPERATOR)
    assert (refused.status, refused.code) == (503, "stopping")
    bridge.world.numora.faults.release()


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1/",
        "https://127.0.0.1/",
        "http://n8n.example/webhook-waiting/1",
        "https://user:password@n8n.example/",
        "https://[::1]/",
        "file:///etc/passwd",
        "not a url",
        "https://",
    ],
)
async def test_a_resume_url_that_is_not_sent_to_is_refused_before_anything_is_delivered(
    bridge: Bridge, url: str
) -> None:
    answer = await bridge.deliver("any", resume_url=url)
    assert (answer.status, answer.code) == (422, "forbidden_url")
    assert (await bridge.call("GET", DELIVERIES, ACME)).json["data"] == []
