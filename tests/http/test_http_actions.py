"""What a person does with documents through the API: look, hand in, approve, send back, have the source deliver."""

from typing import Any

import pytest
from http_bridge import ACME, Answer, Bridge

ROOT = "/v1/tenants/acme/documents"


async def act(bridge: Bridge, document_id: str, action: str, body: Any = None, key: str | None = None) -> Answer:
    headers = {**ACME, "Idempotency-Key": key} if key is not None else ACME
    return await bridge.call("POST", f"{ROOT}/{document_id}/{action}", headers, body)


def sent(bridge: Bridge, end: str) -> int:
    """How many requests Numora got for this."""
    return sum(exchange.method == "POST" and exchange.path.endswith(end) for exchange in bridge.world.numora.requests)


async def test_a_document_is_shown_with_its_result_and_its_deliveries(bridge: Bridge) -> None:
    (document,) = bridge.add()
    delivered = (await bridge.deliver(document.id)).json
    shown = await bridge.call("GET", f"{ROOT}/{document.id}", ACME)
    assert shown.status == 200
    assert shown.json.keys() == {"document", "result", "deliveries"}
    assert shown.json["document"]["id"] == shown.json["result"]["id"] == document.id
    assert shown.json["document"]["updated_at"] == document.updated_at
    assert shown.json["result"]["fields"].keys() == document.fields.keys()
    assert shown.json["deliveries"] == [delivered]


async def test_a_document_that_there_is_not_is_a_404_for_whatever_is_asked_of_it(bridge: Bridge) -> None:
    for method, end in (
        ("GET", ""),
        ("POST", "/approve"),
        ("POST", "/reject"),
        ("POST", "/retry-push"),
        ("POST", "/dispatch"),
        ("POST", "/preview"),
    ):
        answer = await bridge.call(method, f"{ROOT}/no-such-document{end}", ACME)
        assert (answer.status, answer.code) == (404, "document_not_found"), end


async def test_another_tenants_document_is_not_found(bridge: Bridge) -> None:
    """Each tenant is asked for with its own key alone."""
    (document,) = bridge.add(tenant="globex")
    for method, end in (("GET", ""), ("POST", "/approve"), ("POST", "/preview")):
        answer = await bridge.call(method, f"{ROOT}/{document.id}{end}", ACME)
        assert (answer.status, answer.code) == (404, "document_not_found")


async def test_an_approved_document_is_delivered(bridge: Bridge) -> None:
    """200 with the document as it stands and the delivery that began; approving again is the same effect."""
    (document,) = bridge.add()
    bridge.world.workspace("acme").send_back(document.id)
    state = {"version": 1, "confirmed_general_field_names": ["invoice_number"], "confirmed_line_item_ids": []}
    body = {"expected_updated_at": document.updated_at, "review_state": state}
    approved = await act(bridge, document.id, "approve", body)
    assert approved.status == 200
    assert approved.json.keys() == {"id", "status", "updated_at", "review_state", "delivery", "delivery_effect"}
    assert (approved.json["status"], approved.json["review_state"]) == ("reviewed", state)
    assert approved.json["delivery"]["document_id"] == document.id
    again = await act(bridge, document.id, "approve", body)
    assert again.status == 200
    ended = (await bridge.deliver(document.id)).json
    assert (ended["state"], ended["operation"]) == ("succeeded", "created")
    assert ended["id"] == approved.json["delivery"]["id"]


async def test_a_stale_approval_is_a_conflict_that_shows_the_document_as_it_is(bridge: Bridge) -> None:
    """409 with the current updated_at, which is good for the next try; nothing was done."""
    (document,) = bridge.add()
    bridge.world.workspace("acme").send_back(document.id)
    stale = await act(bridge, document.id, "approve", {"expected_updated_at": "2020-01-01T00:00:00.000Z"})
    assert (stale.status, stale.code) == (409, "conflict")
    assert stale.json["updated_at"] == document.updated_at
    assert stale.json["document"]["document"]["id"] == document.id
    assert stale.json["document"]["document"]["updated_at"] == document.updated_at
    assert document.status == "review_required"
    assert (await act(bridge, document.id, "reject", {"expected_updated_at": "2020"})).code == "conflict"
    fresh = await act(bridge, document.id, "approve", {"expected_updated_at": stale.json["updated_at"]})
    assert fresh.status == 200


async def test_sending_back_a_document_whose_delivery_waits_supersedes_it(bridge: Bridge) -> None:
    """The answer says so, and nothing is written for it."""
    (document,) = bridge.add()
    bridge.world.numora.faults.add("status_before", path="/result", status=503)
    waiting = await bridge.call("POST", f"{ROOT}/{document.id}/deliver", ACME)
    assert waiting.status == 202
    rejected = await act(bridge, document.id, "reject")
    bridge.world.numora.faults.clear()
    assert (rejected.status, rejected.json["delivery_effect"]) == (200, "superseded")
    assert rejected.json["status"] == "review_required"
    assert rejected.json["delivery"]["state"] == "superseded"
    assert bridge.world.dataverse.effects == []
    assert (await act(bridge, document.id, "reject")).json["delivery_effect"] == "none"


@pytest.mark.parametrize("action", ["dispatch", "retry-push"])
async def test_a_document_that_is_on_its_way_is_not_dispatched_again(bridge: Bridge, action: str) -> None:
    """202 with the run, then 200 with ``repeated``; Numora was asked once."""
    (document,) = bridge.add()
    first = await act(bridge, document.id, action)
    assert (first.status, first.json["repeated"], first.json["status"]) == (202, False, "push_pending")
    assert first.json.keys() == {"id", "status", "run_id", "repeated"}
    again = await act(bridge, document.id, action)
    assert (again.status, again.json["repeated"]) == (200, True)
    assert sent(bridge, f"/{action}") == 1


async def test_a_document_in_review_is_not_dispatched(bridge: Bridge) -> None:
    """What the source does not do as things stand is a 409 with its reason."""
    (document,) = bridge.add()
    bridge.world.workspace("acme").send_back(document.id)
    answer = await act(bridge, document.id, "dispatch")
    assert (answer.status, answer.code) == (409, "upstream_conflict")
    assert answer.json["reason"].keys() == {"code", "message"}


async def test_a_document_is_handed_in_once_for_each_external_id(bridge: Bridge) -> None:
    body = {"schema": "invoice_v2", "file_url": "https://files.example/1.pdf", "external_id": "mail-1"}
    first = await bridge.call("POST", ROOT, ACME, {**body, "metadata": {"amount": 12.10, "nested": {"a": [1, None]}}})
    assert first.status == 202
    assert first.json.keys() == {"id", "status", "schema", "external_id", "status_url", "result_url"}
    again = await bridge.call("POST", ROOT, ACME, body)
    assert (again.status, again.json["id"]) == (202, first.json["id"])
    documents = bridge.world.workspace("acme").documents
    assert [document.id for document in documents.values() if document.external_id == "mail-1"] == [first.json["id"]]


async def test_without_an_external_id_the_idempotency_key_is_taken_and_without_either_it_is_refused(
    bridge: Bridge,
) -> None:
    body = {"schema": "invoice_v2", "file_url": "https://files.example/2.pdf"}
    headers = {**ACME, "Idempotency-Key": "execution-17"}
    first = await bridge.call("POST", ROOT, headers, body)
    assert (first.status, first.json["external_id"]) == (202, "execution-17")
    again = await bridge.call("POST", ROOT, headers, body)
    assert (again.status, again.body) == (202, first.body)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert "Idempotency-Replayed" not in first.headers
    neither = await bridge.call("POST", ROOT, ACME, body)
    assert (neither.status, neither.code) == (422, "bad_body")
    assert neither.json["errors"][0]["name"] == "external_id"


async def test_an_idempotency_key_answers_what_the_first_call_was_answered(bridge: Bridge) -> None:
    """However the body is written down; another body or another document is another request."""
    (document, other) = bridge.add(2)
    first = await act(bridge, document.id, "dispatch", key="k1")
    again = await act(bridge, document.id, "dispatch", {}, key="k1")
    assert (first.status, again.status, again.body) == (202, 202, first.body)
    assert again.headers["Idempotency-Replayed"] == "true"
    assert sent(bridge, "/dispatch") == 1
    for reused in (
        await act(bridge, other.id, "dispatch", key="k1"),
        await act(bridge, document.id, "reject", key="k1"),
    ):
        assert (reused.status, reused.code) == (422, "idempotency_key_reused")
    globex = {"X-API-Key": "sandbox-key-of-globex", "Idempotency-Key": "k1"}
    elsewhere = await bridge.call("POST", f"/v1/tenants/globex/documents/{document.id}/dispatch", globex)
    assert elsewhere.code == "document_not_found"


@pytest.mark.parametrize("key", ["", " ", "with blank", "x" * 256, "é", "tab\tinside"])
async def test_a_key_that_is_none_is_refused_before_anything_is_done(bridge: Bridge, key: str) -> None:
    (document,) = bridge.add()
    answer = await act(bridge, document.id, "dispatch", key=key)
    assert (answer.status, answer.code) == (400, "bad_idempotency_key")
    assert sent(bridge, "/dispatch") == 0


async def test_two_idempotency_keys_are_refused(bridge: Bridge) -> None:
    headers = [*ACME.items(), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    answer = await bridge.call("POST", f"{ROOT}/d1/dispatch", headers)  # type: ignore[arg-type]
    assert (answer.status, answer.code) == (400, "bad_idempotency_key")


@pytest.mark.parametrize(
    ("path", "body", "name", "code"),
    [
        ("d1/approve", {"expected_updated_at": 1}, "expected_updated_at", "wrong_type"),
        ("d1/approve", {"expected_updated_at": ""}, "expected_updated_at", "bad_value"),
        ("d1/approve", {"review_state": []}, "review_state", "wrong_type"),
        ("d1/approve", {"review_state": {"version": 2}}, "review_state.version", "bad_value"),
        ("d1/approve", {"review_state": {"version": True}}, "review_state.version", "wrong_type"),
        ("d1/approve", {"review_state": {"confirmed": []}}, "review_state.confirmed", "unknown_key"),
        ("d1/reject", {"review_state": None}, "review_state", "unknown_key"),
        ("d1/dispatch", {"provider": "other"}, "provider", "unknown_key"),
        ("", {"schema": 1, "file_url": "https://f.example/"}, "schema", "wrong_type"),
        ("", {"schema": "invoice_v2", "file_url": "https://f.example/\n"}, "file_url", "bad_value"),
        ("", {"schema": "x\x00", "file_url": "https://f.example/"}, "schema", "bad_value"),
        ("", {"schema": "s", "file_url": "u", "metadata": [1]}, "metadata", "wrong_type"),
        ("", {"schema": "s", "file_url": "u", "metadata": {"n": 2**64}}, "metadata", "bad_value"),
    ],
)
async def test_a_wrong_body_names_each_key(bridge: Bridge, path: str, body: Any, name: str, code: str) -> None:
    answer = await bridge.call("POST", f"{ROOT}/{path}".rstrip("/"), {**ACME, "Idempotency-Key": "k"}, body)
    assert (answer.status, answer.code) == (422, "bad_body")
    assert (name, code) in {(error["name"], error["code"]) for error in answer.json["errors"]}


async def test_what_is_handed_on_is_bounded_in_depth(bridge: Bridge) -> None:
    deep: Any = 1
    for _ in range(40):
        deep = {"a": deep}
    body = {"schema": "s", "file_url": "https://f.example/1", "external_id": "e", "metadata": deep}
    answer = await bridge.call("POST", ROOT, ACME, body)
    assert (answer.status, answer.code) == (422, "bad_body")


async def test_amounts_in_metadata_keep_their_digits(bridge: Bridge) -> None:
    """They are handed on as they were written, never through a float."""
    raw = (
        b'{"schema": "invoice_v2", "file_url": "https://f.example/1", "external_id": "e",'
        b' "metadata": {"amount": 12345678901234567.10}}'
    )
    answer = await bridge.call("POST", ROOT, {**ACME, "Content-Type": "application/json"}, data=raw)
    assert answer.status == 202
    (request,) = [exchange for exchange in bridge.world.numora.requests if exchange.path.endswith("/v1/documents")]
    assert b"12345678901234567.10" in request.body


@pytest.mark.parametrize(
    ("fault", "options", "status", "code"),
    [
        ("unauthorized", {}, 409, "blocked"),
        ("status_before", {"status": 422}, 422, "upstream_refused"),
        ("throttle", {"retry_after": 7}, 503, "upstream_throttled"),
    ],
)
async def test_what_the_source_refuses_is_told_with_its_reason(
    bridge: Bridge, fault: str, options: dict[str, Any], status: int, code: str
) -> None:
    (document,) = bridge.add()
    bridge.world.numora.faults.add(fault, times=None, **options)
    for action in ("approve", "reject", "dispatch", "retry-push"):
        answer = await act(bridge, document.id, action)
        assert (answer.status, answer.code) == (status, code), action
        assert answer.json["reason"].keys() == {"code", "message"}


@pytest.mark.parametrize("action", ["approve", "reject", "dispatch", "retry-push"])
async def test_an_outside_system_that_fails_is_a_502_with_a_code(bridge: Bridge, action: str) -> None:
    (document,) = bridge.add()
    bridge.world.numora.faults.add("html_502", times=None)
    answer = await act(bridge, document.id, action)
    assert (answer.status, answer.code in {"upstream_unavailable", "outcome_unknown"}) == (502, True)
