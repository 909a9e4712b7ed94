"""The sandbox is strict about what Numora is known to be strict about; asked here without the bridge's own client."""

from collections.abc import Mapping
from datetime import datetime

import aiohttp
import pytest

from connectors.http import decode_json, encode_json
from connectors.numora.sandbox import DEFAULT_KEY, NumoraSandbox, OutboxRules, SandboxDocument, sample_documents

AT = "2026-03-21T14:24:11.000Z"


class Caller:
    """Someone with a key and an HTTP client."""

    def __init__(self, session: aiohttp.ClientSession, url: str, key: str = DEFAULT_KEY) -> None:
        self._session, self._url = session, url
        self._headers = {"Authorization": f"Bearer {key}"}
        self.headers: Mapping[str, str] = {}

    async def __call__(self, method: str, path: str, body: object = None) -> tuple[int, dict]:
        data = body if body is None or isinstance(body, bytes) else encode_json(body)
        async with self._session.request(method, self._url + path, data=data, headers=self._headers) as response:
            self.headers = response.headers
            return response.status, decode_json(await response.read() or b"null")

    async def outbox(self, query: str = "") -> list[str]:
        _, page = await self("GET", f"/v1/delivery/outbox?provider=dynamics365{query}")
        return [row["document_id"] for row in page["data"]]

    async def callback(self, document_id: str, status: str, execution_id: str, **more: object) -> int:
        body = {"provider": "dynamics365", "status": status, "execution_id": execution_id, "attempted_at": AT, **more}
        if status == "succeeded":
            body.setdefault("external_record_id", "r-1")
        return (await self("POST", f"/v1/documents/{document_id}/delivery", body))[0]


@pytest.fixture
def call(numora, session) -> Caller:
    return Caller(session, numora.url)


@pytest.fixture
def documents(numora) -> list[SandboxDocument]:
    made = sample_documents(3)
    numora.add(*made)
    return made


async def test_errors_have_the_published_envelope_and_ids(call):
    status, body = await call("GET", "/v1/documents/doc_none")

    assert status == 404
    assert body["error"]["code"] == "not_found"
    assert body["error"]["request_id"] == call.headers["x-request-id"]
    assert {"x-rate-limit-limit", "x-rate-limit-remaining", "x-rate-limit-reset"}.issubset(
        name.lower() for name in call.headers
    )


async def test_a_revoked_key_is_refused(numora, session, documents):
    numora.add_key("sk_live_other")
    other = Caller(session, numora.url, "sk_live_other")
    assert await other.outbox() == []

    numora.revoke_key("sk_live_other")

    assert (await other("GET", "/v1/delivery/outbox?provider=dynamics365"))[0] == 401


@pytest.mark.parametrize(
    "query", ["", "?provider=salesforce", "?provider=dynamics365&limit=0", "?provider=dynamics365&limit=x"]
)
async def test_an_outbox_asked_wrongly_answers_400(call, query):
    assert (await call("GET", f"/v1/delivery/outbox{query}"))[0] == 400


async def test_success_and_skip_leave_the_outbox_and_a_failure_stays(call, documents):
    first, second, third = (document.id for document in documents)

    assert await call.callback(first, "succeeded", "e-1") == 200
    assert await call.callback(second, "failed", "e-2", error_code="x") == 200
    assert await call.callback(third, "skipped", "e-3") == 200

    assert [document.status for document in documents] == ["push_succeeded", "push_failed", "reviewed"]
    assert await call.outbox() == [second]


async def test_a_callback_moves_the_time_of_change_and_a_failure_is_listed_for_ever(call, documents):
    before = documents[0].updated_at

    for attempt in range(3):
        await call.callback(documents[0].id, "failed", f"e-{attempt}")
        assert documents[0].id in await call.outbox()

    assert datetime.fromisoformat(documents[0].updated_at) > datetime.fromisoformat(before)


async def test_the_outbox_lags_behind_for_as_many_polls_as_it_is_told(numora, call, documents):
    numora.outbox.stale_polls = 2
    first = documents[0]
    before = first.updated_at
    await call.callback(first.id, "succeeded", "e-1")

    _, page = await call("GET", "/v1/delivery/outbox?provider=dynamics365")

    assert (page["data"][0]["status"], page["data"][0]["updated_at"]) == ("reviewed", before)
    assert first.id in await call.outbox()
    assert first.id not in await call.outbox()


async def test_the_same_execution_id_is_a_replay_or_a_conflict(numora, call, documents):
    first, second, _ = (document.id for document in documents)

    assert await call.callback(first, "succeeded", "e-1") == 200
    assert await call.callback(first, "succeeded", "e-1") == 200
    assert await call.callback(first, "succeeded", "e-1", external_record_id="r-2") == 409
    assert await call.callback(second, "succeeded", "e-1") == 409

    assert [callback.verdict for callback in numora.callbacks] == ["accepted", "replayed", "conflict", "conflict"]
    assert documents[1].status == "reviewed"
    _, history = await call("GET", f"/v1/documents/{first}/delivery")
    assert [record["execution_id"] for record in history["data"]] == ["e-1"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        ({"provider": "dynamics365", "status": "succeeded", "execution_id": "e"}, 400),
        ({"provider": "other", "status": "failed", "execution_id": "e", "attempted_at": AT}, 422),
        ({"provider": "dynamics365", "status": "done", "execution_id": "e", "attempted_at": AT}, 422),
        ({"provider": "dynamics365", "status": "failed", "execution_id": "", "attempted_at": AT}, 422),
        ({"provider": "dynamics365", "status": "succeeded", "execution_id": "e", "attempted_at": AT}, 422),
        ({"provider": "dynamics365", "status": "failed", "execution_id": "e", "attempted_at": "today"}, 422),
        (
            {"provider": "dynamics365", "status": "failed", "execution_id": "e", "attempted_at": "2026-03-21T14:24:11"},
            422,
        ),
    ],
)
async def test_a_callback_that_breaks_a_rule_is_refused_and_recorded(numora, call, documents, body, status):
    found, _ = await call("POST", f"/v1/documents/{documents[0].id}/delivery", body)

    assert found == status
    assert [callback.verdict for callback in numora.callbacks] == ["refused"]
    assert documents[0].status == "reviewed"


async def test_a_callback_does_not_lift_a_document_out_of_review(numora, call, documents):
    numora.workspace().send_back(documents[0].id)

    assert await call.callback(documents[0].id, "succeeded", "e-1") == 200

    assert documents[0].status == "review_required"
    assert documents[0].id not in await call.outbox()


async def test_an_amended_document_is_listed_again_with_its_new_content(numora, call, documents):
    first = documents[0]
    await call.callback(first.id, "succeeded", "e-1")

    numora.workspace().amend(first.id, fields={"invoice_number": "INV-NEW"}, line_items=[])

    assert await call.outbox() == [documents[1].id, documents[2].id, first.id]
    _, result = await call("GET", f"/v1/documents/{first.id}/result")
    assert result["fields"]["invoice_number"] == "INV-NEW"
    assert result["line_items"] == []
    assert result["status"] == "reviewed"


async def test_cursors_grow_old(session):
    async with NumoraSandbox(outbox=OutboxRules(cursor_age=0.0, cursor_refusal=422)) as sandbox:
        sandbox.add(*sample_documents(2))
        call = Caller(session, sandbox.url)
        _, page = await call("GET", "/v1/delivery/outbox?provider=dynamics365&limit=1")

        status, _ = await call(
            "GET", f"/v1/delivery/outbox?provider=dynamics365&cursor={page['meta']['next_cursor'][:-1]}%3D"
        )

    assert status == 422


async def test_an_approval_with_an_old_time_is_a_conflict_and_a_repeated_one_is_not(numora, call, documents):
    first = documents[0]
    numora.workspace().send_back(first.id)
    path = f"/v1/documents/{first.id}/actions/approve"
    state = {"version": 1, "confirmed_general_field_names": ["invoice_number"], "confirmed_line_item_ids": []}
    current = first.updated_at

    status, body = await call("POST", path, {"expected_updated_at": "2020-01-01T00:00:00.000Z", "review_state": state})
    assert (status, body["error"]["code"], body["updated_at"]) == (409, "conflict", current)

    status, body = await call("POST", path, {"expected_updated_at": current, "review_state": state})
    assert (status, body["status"], body["review_state"]) == (200, "reviewed", state)
    assert await call("POST", path, {"expected_updated_at": current, "review_state": state}) == (200, body)
    assert first.id in await call.outbox()


async def test_empty_confirmations_are_no_review_state(call, documents):
    path = f"/v1/documents/{documents[0].id}/actions/approve"

    _, body = await call("POST", path, {"review_state": {"version": 1, "confirmed_general_field_names": []}})

    assert body["review_state"] is None


async def test_a_rejected_document_is_neither_listed_nor_dispatched(call, documents):
    first = f"/v1/documents/{documents[0].id}"

    status, body = await call("POST", f"{first}/actions/reject", {})

    assert (status, body["status"]) == (200, "review_required")
    assert documents[0].id not in await call.outbox()
    assert (await call("POST", f"{first}/dispatch", {"provider": "dynamics365"}))[0] == 409
    assert (await call("POST", f"{first}/actions/retry-push", {}))[0] == 409


async def test_a_dispatched_document_is_pending_until_its_delivery_ends(numora, call, documents):
    first = f"/v1/documents/{documents[0].id}"

    assert (await call("POST", f"{first}/dispatch", {}))[0] == 422
    status, body = await call("POST", f"{first}/dispatch", {"provider": "dynamics365"})
    assert (status, body["status"]) == (202, "push_pending")
    assert documents[0].id not in await call.outbox()
    assert (await call("POST", f"{first}/dispatch", {"provider": "dynamics365"}))[0] == 409

    numora.workspace().settle(documents[0].id, "push_failed")

    assert documents[0].id in await call.outbox()
    assert (await call("POST", f"{first}/actions/retry-push", {}))[0] == 202
    numora.workspace().settle(documents[0].id, "push_succeeded")
    assert (await call("GET", first))[1]["status"] == "push_succeeded"


async def test_requests_inside_a_pause_are_refused_and_counted(numora, call, documents):
    numora.faults.add("throttle", retry_after=60, times=1)

    assert (await call("GET", "/v1/delivery/outbox?provider=dynamics365"))[0] == 429
    assert call.headers["Retry-After"] == "60"
    status, body = await call("GET", f"/v1/documents/{documents[0].id}")

    assert (status, body["error"]["code"]) == (429, "rate_limited")
    assert numora.violations == 1


async def test_documents_come_in_and_change_through_the_control_routes(call, numora):
    status, made = await call(
        "POST", "/_sandbox/documents", {"id": "doc_1", "schema": "receipt_v1", "fields": {"total_amount": 12}}
    )
    assert (status, made["id"]) == (201, "doc_1")
    assert (await call("POST", "/_sandbox/documents", {"id": "doc_1", "schema": "x", "fields": {}}))[0] == 400
    assert (await call("POST", "/_sandbox/documents", {"fields": {}}))[0] == 400
    assert (await call("PATCH", "/_sandbox/documents/doc_1", {"fields": {"total_amount": 13}}))[0] == 200
    assert (await call("PATCH", "/_sandbox/documents/doc_1", {"unknown": 1}))[0] == 400
    assert (await call("PATCH", "/_sandbox/documents/doc_2", {}))[0] == 404
    await call.callback("doc_1", "succeeded", "e-1")

    _, result = await call("GET", "/v1/documents/doc_1/result")
    _, state = await call("GET", "/_sandbox/state")

    assert result["fields"] == {"total_amount": 13}
    (workspace,) = state.values()
    assert workspace["documents"]["doc_1"]["status"] == "push_succeeded"
    assert [callback["verdict"] for callback in workspace["callbacks"]] == ["accepted"]
    assert DEFAULT_KEY not in str(state)


async def test_a_reset_forgets_documents_and_keeps_the_keys(numora, call, documents):
    await call("POST", "/_sandbox/reset")

    assert await call.outbox() == []
    numora.add(*documents)
    assert len(await call.outbox()) == 3


async def test_a_document_that_is_removed_is_gone(numora, call, documents):
    numora.workspace().remove(documents[0].id)

    assert documents[0].id not in await call.outbox()
    assert (await call("GET", f"/v1/documents/{documents[0].id}/result"))[0] == 404


def test_a_long_outbox_is_walked_in_order_while_documents_leave_it():
    workspace = NumoraSandbox().workspace()
    documents = sample_documents(1200)
    for document in documents:
        workspace.add(document)
    for document in documents[:1190]:
        workspace.settle(document.id, "push_succeeded")

    workspace.amend(documents[0].id)

    assert [document.id for document in workspace.listed_after(0)] == [d.id for d in documents[1190:]] + [
        documents[0].id
    ]


def test_equal_seeds_give_equal_documents_and_other_seeds_others():
    def bodies(seed: int) -> list[bytes]:
        return [document.result() for document in sample_documents(12, seed=seed)]

    assert bodies(3) == bodies(3)
    assert not set(bodies(3)) & set(bodies(4))
