"""Approve, reject, retry-push, dispatch, submit, look: one effect each, and conflicts that a workflow branches on."""

import asyncio
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from tests.blackbox.asking import Asking, Reply
from tests.blackbox.imitations.numora import Doc, moment
from tests.blackbox.imitations.wire import Held, Seen, Server
from tests.blackbox.world import World, invoice, plain_lines

HOURLY = {"every": "1h", "limit": 100}
DOCUMENTS = "/v1/tenants/acme/documents"
STATE = {"version": 1, "confirmed_general_field_names": ["invoice_number"], "confirmed_line_item_ids": ["li_1"]}


def add(made: World, number: int = 1, **more: Any) -> Doc:
    more.setdefault("status", "review_required")
    return plain_lines(made.numora.add(made.acme.numora_key, invoice(number, **more)))


async def act(api: Asking, doc: Doc, action: str, body: Any = None, **headers: str) -> Reply:
    return await api.ask("POST", f"{DOCUMENTS}/{doc.id}/{action}", body or {}, headers=headers)


async def ended(made: World, doc: Doc, *states: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    async def there() -> bool:
        found.clear()
        found.update(await made.bridge.delivery(doc.id))
        return found.get("state") in states

    await made.until_told(there)
    return found


async def test_a_stale_approval_is_a_conflict_with_all_that_a_workflow_needs(made: World) -> None:
    """409 with the current updated_at and the document; with that updated_at the next approval is taken."""
    await made.add_tenant(poll=HOURLY)
    await made.start()
    doc = add(made)
    before = moment(doc.updated_at)
    made.numora.touch(doc)
    async with Asking(made.bridge) as api:
        for action in ("approve", "reject"):
            stale = await act(api, doc, action, {"expected_updated_at": before})
            assert (stale.status, stale.code) == (409, "conflict")
            assert stale.json["updated_at"] == moment(doc.updated_at)
            assert stale.json["document"]["document"]["id"] == doc.id
            assert stale.json["document"]["document"]["status"] == "review_required"
            assert stale.json["document"]["result"]["fields"]["invoice_number"]["value"] == "INV-acme-0001"
        assert not made.numora.approvals
        body = {"expected_updated_at": stale.json["updated_at"], "review_state": STATE}
        taken = await act(api, doc, "approve", body)
        assert (taken.status, taken.json["status"], taken.json["review_state"]) == (200, "reviewed", STATE)
        again = await act(api, doc, "approve", body)
        assert again.status == 200
        await made.until(lambda: doc.status == "push_succeeded")
        late = await act(api, doc, "approve", body)
        assert (late.status, late.json["status"]) == (200, "push_succeeded")
        other = await act(api, doc, "approve", {**body, "review_state": None})
        assert (other.status, other.code) == (409, "conflict")
        doc.status = "review_required"
        made.numora.touch(doc)
        edited = await act(api, doc, "approve", body)
        assert (edited.status, edited.code) == (409, "conflict")
    assert made.numora.approvals == {doc.id: 1}
    made.written_once(made.acme, [doc])
    sent = [seen.json for seen in made.numora.sent("POST", "/actions/approve")]
    assert sent[-1]["expected_updated_at"] == body["expected_updated_at"]


async def test_three_hundred_approvals_at_once_are_one_effect_each(made: World) -> None:
    """Thirty documents, ten approvals each, half with an Idempotency-Key: one approval, one row, one callback."""
    await made.add_tenant(poll=HOURLY)
    await made.start()
    docs = [add(made, number) for number in range(30)]
    async with Asking(made.bridge) as api:
        calls = []
        for turn in range(10):
            for doc in docs:
                headers = {"Idempotency-Key": f"approve-{doc.id}"} if turn % 2 else {}
                calls.append(act(api, doc, "approve", {}, **headers))
        replies = await api.all(*calls)
        assert {reply.status for reply in replies} <= {200, 409}
        assert {reply.code for reply in replies if reply.status == 409} <= {"idempotency_in_progress"}
        assert sum(reply.status == 200 for reply in replies) >= 150
        await made.until(lambda: made.finished(made.acme))
        for doc in docs:
            kept = await act(api, doc, "approve", {}, **{"Idempotency-Key": f"approve-{doc.id}"})
            assert (kept.status, kept.headers.get("Idempotency-Replayed")) == (200, "true")
        assert {(await ended(made, doc, "succeeded"))["state"] for doc in docs} == {"succeeded"}
    made.written_once(made.acme, docs)
    assert len(await made.bridge.deliveries()) == 30
    assert set(made.numora.approvals.values()) == {1}, made.numora.approvals
    made.holds()


async def test_review_state_is_normalised_and_odd_ones_are_refused(made: World) -> None:
    """Both lists empty become null; another version, a wrong type or an unknown key never reach Numora."""
    await made.add_tenant(poll=HOURLY)
    await made.start()
    doc = add(made)
    async with Asking(made.bridge) as api:
        for odd in (
            {"version": 2}, {"version": "1"}, {"version": True}, [], "x", 1, {"confirmed_general_field_names": "a"},
            {"confirmed_line_item_ids": [1]}, {"confirmed_line_item_ids": [None]}, {"confirmed": []},
            {"confirmed_line_item_ids": [""]},
        ):  # fmt: skip
            refused = await act(api, doc, "approve", {"review_state": odd})
            assert (refused.status, refused.code) == (422, "bad_body"), odd
        for odd_time in (7, "", None, "x" * 600):
            refused = await act(api, doc, "reject", {"expected_updated_at": odd_time})
            assert refused.status in {422, 409} or odd_time is None, odd_time
        assert not made.numora.sent("POST", "/approve")
        empty = {"version": 1, "confirmed_general_field_names": [], "confirmed_line_item_ids": []}
        taken = await act(api, doc, "approve", {"review_state": empty})
        assert (taken.status, taken.json["review_state"]) == (200, None)
        assert made.numora.sent("POST", "/approve")[-1].json["review_state"] is None


async def test_an_approval_without_a_good_answer_is_never_two(made: World) -> None:
    """The document shows what became of it: told as done, or as not known, never sent twice by the bridge."""
    await made.add_tenant(poll=HOURLY)
    await made.start()
    made.numora.faults.only = lambda seen: seen.path.endswith("/approve")
    docs = []
    answers = {"reset_after": True, "status_after": True, "truncated": True}
    answers |= {"html_502": False, "reset_before": False, "status_before": False}
    async with Asking(made.bridge) as api:
        for number, (answer, done) in enumerate(answers.items()):
            docs.append(doc := add(made, number))
            made.numora.faults.queue = [answer]
            reply = await act(api, doc, "approve", {}, **{"Idempotency-Key": answer})
            assert (reply.status == 200) is done, (answer, reply)
            if not done:
                assert reply.status == 502
                assert reply.code in {"outcome_unknown", "upstream_unavailable"}
                retried = await act(api, doc, "approve", {}, **{"Idempotency-Key": answer})
                assert retried.status == 200
        await made.until(lambda: made.finished(made.acme))
    assert made.numora.approvals == {doc.id: 1 for doc in docs}
    made.written_once(made.acme, docs)


EFFECTS = {"fetch": "superseded", "lookup": "superseded", "write": "written", "report": "written", "after": "none"}


async def test_a_rejection_while_a_delivery_is_under_way_says_what_became_of_it(made: World) -> None:
    """Before its write the delivery ends as superseded and nothing is written; after it, it is corrected later."""
    acme = await made.add_tenant(poll=HOURLY)
    await made.start()
    async with Asking(made.bridge) as api:
        for number, (stage, effect) in enumerate(EFFECTS.items()):
            doc = add(made, number, status="reviewed", listed=False, metadata={"vendor_code": f"W-{number}"})
            acme.dataverse.seed("account", name=f"Vendor {number}", accountnumber=f"W-{number}")
            held = hold(made, stage)
            path = f"{DOCUMENTS}/{doc.id}/deliver"
            if held is None:
                assert (await api.ask("POST", path, {"wait": 30})).status == 200
            else:
                assert (await api.ask("POST", path, {})).status == 202
                await asyncio.wait_for(held.came.wait(), 30)
            rejected = await act(api, doc, "reject")
            assert (rejected.status, rejected.json["delivery_effect"]) == (200, effect), (stage, rejected)
            assert doc.status == "review_required"
            if held is not None:
                held.go.set()
            if effect == "superseded":
                assert rejected.json["delivery"]["state"] == "superseded"
                assert (await ended(made, doc, "superseded"))["state"] == "superseded"
                assert row_of(made, doc) is None
            else:
                await ended(made, doc, "succeeded", "superseded", "parked")
            made.numora.review_again(doc, fields={**doc.fields, "total_amount": "77.00"})
            await api.ask("POST", path, {"wait": 30})
            assert (await ended(made, doc, "succeeded"))["state"] == "succeeded"
            row = row_of(made, doc)
            assert row is not None
            assert Decimal(row["numora_total"]) == 77
    assert list(acme.dataverse.count("create", "numora_invoice").values()) == [1] * len(EFFECTS)
    made.holds()


def hold(made: World, stage: str) -> Held | None:
    """Have the request of a stage wait; None for the stage after all of them."""
    for server in (made.numora, made.acme.dataverse):
        server.held = None
    places: dict[str, tuple[Server, Callable[[Seen], bool]]] = {
        "fetch": (made.numora, lambda seen: seen.path.endswith("/result")),
        "lookup": (made.acme.dataverse, lambda seen: seen.method == "GET" and "account" in seen.path),
        "write": (made.acme.dataverse, lambda seen: seen.method == "POST"),
        "report": (made.numora, lambda seen: seen.path.endswith("/delivery")),
    }
    if stage not in places:
        return None
    server, server.faults.only = places[stage]
    server.held = Held()
    return server.held


def row_of(made: World, doc: Doc) -> dict[str, Any] | None:
    rows = made.acme.dataverse.rows["numora_invoice"].values()
    return next((row for row in rows if row["numora_name"] == doc.fields["invoice_number"]), None)


async def test_a_document_is_shown_submitted_pushed_and_dispatched(made: World) -> None:
    """Submitting is known by external_id; a push of a document on its way is a repeat; other refusals are told."""
    await made.add_tenant(poll=HOURLY)
    await made.start()
    doc = add(made, status="push_failed", listed=False)
    made.numora.ends_after_looks = 10**6
    async with Asking(made.bridge) as api:
        shown = await api.ask("GET", f"{DOCUMENTS}/{doc.id}")
        assert (shown.status, shown.json["document"]["status"], shown.json["deliveries"]) == (200, "push_failed", [])
        for action, counted in (("retry-push", made.numora.pushes), ("dispatch", made.numora.dispatches)):
            doc.status = "push_failed"
            replies = await api.all(*(act(api, doc, action) for _ in range(20)))
            assert sorted(reply.status for reply in replies) == [200] * 19 + [202]
            assert sum(reply.json["repeated"] for reply in replies) == 19
            assert counted == {doc.id: 1}
        doc.status = "review_required"
        for action in ("retry-push", "dispatch"):
            refused = await act(api, doc, action)
            assert (refused.status, refused.code) == (409, "upstream_conflict"), refused
        body = {"schema": "invoice_v2", "file_url": "https://files.example/a.pdf?signature=x", "external_id": "ERP-1"}
        replies = await api.all(*(api.ask("POST", DOCUMENTS, body) for _ in range(20)))
        assert {reply.status for reply in replies} == {202}
        assert len({reply.json["id"] for reply in replies}) == 1
        keyed = {name: value for name, value in body.items() if name != "external_id"}
        assert (await api.ask("POST", DOCUMENTS, keyed)).status == 422
        first = await api.ask("POST", DOCUMENTS, keyed, headers={"Idempotency-Key": "k-1"})
        second = await api.ask("POST", DOCUMENTS, keyed, headers={"Idempotency-Key": "k-1"})
        assert (first.status, first.raw) == (202, second.raw)
        assert second.headers["Idempotency-Replayed"] == "true"
        other = {**keyed, "file_url": "https://files.example/b.pdf"}
        reused = await api.ask("POST", DOCUMENTS, other, headers={"Idempotency-Key": "k-1"})
        assert (reused.status, reused.code) == (422, "idempotency_key_reused")
    assert len(made.numora.submitted) == 2
    assert all("idempotency-key" not in seen.headers for seen in made.numora.requests)
    assert "signature=x" not in made.bridge.log.read_text()


async def test_numoras_other_resources_are_a_closed_list_without_credentials(made: World) -> None:
    await made.add_tenant(poll=HOURLY)
    await made.start()
    root = "/v1/tenants/acme/numora"
    async with Asking(made.bridge) as api:
        for path in ("schemas", "destinations", "workflows", "runs/run_1/logs"):
            listed = await api.ask("GET", f"{root}/{path}")
            assert (listed.status, set(listed.json)) == (200, {"data", "next_cursor"}), path
        body = {"provider": "dynamics365", "display_name": "ERP", "client_secret": "d3st-secret", "x": 1.10}
        made_one = await api.ask("POST", f"{root}/destinations", body, headers={"Idempotency-Key": "d-1"})
        again = await api.ask("POST", f"{root}/destinations", body, headers={"Idempotency-Key": "d-1"})
        assert (made_one.status, again.raw) == (201, made_one.raw)
        assert "d3st-secret" not in made_one.raw.decode()
        assert len(made.numora.destinations) == 1
        assert (await api.ask("POST", f"{root}/destinations/dst_0/test", {})).status == 200
        mapping = await api.ask(
            "PUT", f"{root}/mappings/invoice_v2/dst_0", {"rules": [{"scale": 12345678901234567.89}]}
        )
        assert mapping.status == 200
        ran = await api.ask("POST", f"{root}/workflows/wf_1/dispatch", {"document_id": "doc_1"})
        assert (ran.status, ran.json["execution_mode"]) == (202, "queued")
        assert (await api.ask("GET", f"{root}/runs/run_1")).json["status"] == "succeeded"
        for path in (
            "",
            "users",
            "documents",
            "delivery/outbox",
            "keys",
            "destinations/dst_0",
            "schemas/x",
            "dynamics/session",
        ):
            for method in ("GET", "POST", "PUT", "DELETE"):
                assert (await api.ask(method, f"{root}/{path}", None)).status in {404, 405}
        assert (await api.ask("GET", "/v1/tenants/acme/reviews")).code == "no_reviews"
    made.no_secret_was_written("d3st-secret")
    assert {seen.identity for seen in made.numora.requests} == {f"Bearer {made.acme.numora_key}"}
