"""The sandbox delivers and calls as Numora is known to; asked and called here without the bridge's own client."""

import asyncio
import hmac
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from connectors.http import encode_json
from connectors.numora.sandbox import DEFAULT_KEY, DeliveryRoute, ExecutorTarget, SandboxDocument, WebhookTarget

AT = "2026-03-21T14:24:11.000Z"
SUBMISSION = {"schema": "invoice_v2", "file_url": "https://files.example/i.pdf", "external_id": "po-7"}


@dataclass
class Receiver:
    """Somebody who is called. The first ``failures`` calls are answered with 503."""

    server: TestServer
    failures: int = 0
    calls: list[tuple[dict[str, str], bytes]] = field(default_factory=list)

    @property
    def url(self) -> str:
        return str(self.server.make_url("/hook"))

    def types(self) -> list[str]:
        return [json.loads(body)["type"] for _, body in self.calls]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async def take(request: web.Request) -> web.Response:
        made.calls.append((dict(request.headers), await request.read()))
        made.failures -= 1
        return web.Response(status=202 if made.failures < 0 else 503)

    app = web.Application()
    app.router.add_post("/hook", take)
    made = Receiver(TestServer(app))
    async with made.server:
        yield made


@pytest.fixture
def call(numora, session):
    async def call(method: str, path: str, body: object = None) -> tuple[int, dict]:
        headers = {"Authorization": f"Bearer {DEFAULT_KEY}"}
        data = None if body is None else encode_json(body)
        async with session.request(method, numora.url + path, data=data, headers=headers) as response:
            return response.status, json.loads(await response.read() or b"null")

    return call


@pytest.fixture
def document(numora) -> SandboxDocument:
    return numora.workspace().add(SandboxDocument("doc_1", "invoice_v2", {"invoice_number": "INV-1"}))


async def dispatch(call) -> tuple[int, dict]:
    return await call("POST", "/v1/documents/doc_1/dispatch", {"provider": "dynamics365"})


async def statuses(call, count: int) -> list[str]:
    return [(await call("GET", "/v1/documents/doc_1"))[1]["status"] for _ in range(count)]


async def test_the_same_external_id_is_the_same_document_and_answers_200(call, numora):
    status, first = await call("POST", "/v1/documents", SUBMISSION)
    again, second = await call("POST", "/v1/documents", {**SUBMISSION, "file_url": "https://files.example/other.pdf"})
    other, third = await call("POST", "/v1/documents", {**SUBMISSION, "schema": "receipt_v1"})

    assert (status, again, other) == (202, 200, 202)
    assert first["id"] == second["id"] != third["id"]
    assert first["status"] == "processing"
    assert len(numora.workspace().documents) == 2


@pytest.mark.parametrize(
    ("change", "status"), [({"schema": "x"}, 422), ({"file_url": 7}, 400), ({"file_url": "ftp://x/y"}, 400)]
)
async def test_a_submission_that_breaks_a_rule_is_refused(call, numora, change, status):
    assert (await call("POST", "/v1/documents", {**SUBMISSION, **change}))[0] == status
    assert numora.workspace().documents == {}


async def test_a_document_goes_from_processing_to_review_and_is_approved(call, numora):
    numora.processing_result = 409
    document_id = (await call("POST", "/v1/documents", SUBMISSION))[1]["id"]
    path = f"/v1/documents/{document_id}"
    assert (await call("GET", f"{path}/result"))[0] == 409
    assert (await call("POST", f"{path}/actions/approve", {}))[0] == 409
    assert (await call("POST", f"{path}/actions/reject", {}))[0] == 409

    numora.workspace().extract(document_id, fields={"invoice_number": "INV-1"})

    assert (await call("GET", f"{path}/result"))[1]["status"] == "review_required"
    assert (await call("POST", f"{path}/actions/approve", {}))[1]["status"] == "reviewed"


async def test_rejecting_what_waits_for_review_changes_nothing(call, numora, document):
    before = numora.workspace().send_back("doc_1").updated_at

    assert (await call("POST", "/v1/documents/doc_1/actions/reject", {}))[0] == 200
    assert document.updated_at == before


@pytest.mark.parametrize("outcome", ["succeeded", "failed"])
async def test_a_workflow_ends_after_as_many_reads_as_it_is_told(call, numora, document, outcome):
    numora.workspace().route = DeliveryRoute(outcome=outcome, after_reads=2)

    _, queued = await dispatch(call)

    assert await statuses(call, 4) == ["push_pending", "push_pending", f"push_{outcome}", f"push_{outcome}"]
    _, run = await call("GET", f"/v1/runs/{queued['run_id']}")
    assert (run["document_id"], run["status"], run["outcome"]) == ("doc_1", "completed", outcome)
    _, logs = await call("GET", f"/v1/runs/{queued['run_id']}/logs")
    assert [entry["status"] for entry in logs["data"]] == ["queued", outcome]


async def test_a_workflow_may_never_end_and_is_not_begun_twice(call, numora, document):
    await dispatch(call)

    assert await statuses(call, 5) == ["push_pending"] * 5
    assert (await dispatch(call))[0] == 409
    status, _ = await call("POST", "/v1/workflows/wf_push/dispatch", {"document_id": "doc_1"})
    assert status == 409
    assert [run.status for run in numora.workspace().catalogue.runs.values()] == ["queued"]


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/workflows/wf_none/dispatch", {"document_id": "doc_1"}, 404),
        ("/v1/workflows/wf_push/dispatch", {"document_id": "doc_none"}, 404),
        ("/v1/workflows/wf_push/dispatch", {"document_id": "doc_1", "execution_mode": "inline"}, 422),
        ("/v1/workflows/wf_push/dispatch", {}, 400),
        ("/v1/destinations", {"provider": "salesforce", "display_name": "x"}, 422),
        ("/v1/destinations", {"provider": "dynamics365"}, 400),
        ("/v1/destinations/dst_none/test", {}, 404),
    ],
)
async def test_a_resource_asked_wrongly_is_refused(call, document, path, body, status):
    assert (await call("POST", path, body))[0] == status


async def test_a_destination_without_credentials_fails_its_test(call):
    _, made = await call("POST", "/v1/destinations", {"provider": "dynamics365", "display_name": "x"})

    assert (await call("POST", f"/v1/destinations/{made['id']}/test"))[1]["status"] == "failed"
    assert (await call("GET", f"/v1/mappings/invoice_v9/{made['id']}"))[0] == 404
    assert (await call("GET", "/v1/mappings/invoice_v2/dst_none"))[0] == 404


@pytest.mark.parametrize(
    ("reported", "status", "event"),
    [
        ("succeeded", "push_succeeded", "push.succeeded"),
        ("failed", "push_failed", "push.failed"),
        ("skipped", "reviewed", None),
    ],
)
async def test_the_executor_is_told_of_a_dispatched_document_and_ends_it_by_the_callback(
    call, numora, document, receiver, reported, status, event
):
    numora.workspace().route = DeliveryRoute(kind="executor")
    numora.workspace().executor = ExecutorTarget("s", receiver.url)

    answered, _ = await dispatch(call)
    await numora.calls.settled()

    assert answered == 202
    ((headers, body),) = receiver.calls
    assert (headers["X-Numora-Secret"], json.loads(body)["document_id"]) == ("s", "doc_1")
    assert await statuses(call, 3) == ["push_pending"] * 3
    numora.workspace().webhooks = WebhookTarget(["w"], receiver.url)
    told = {"provider": "dynamics365", "status": reported, "execution_id": "e-1", "attempted_at": AT}
    await call("POST", "/v1/documents/doc_1/delivery", {**told, "external_record_id": "r-1"})
    await numora.calls.settled()
    assert await statuses(call, 1) == [status]
    assert [json.loads(body)["type"] for _, body in receiver.calls[1:]] == ([event] if event else [])


async def test_every_change_of_a_document_is_told_by_a_webhook_that_is_signed(call, numora, receiver):
    workspace = numora.workspace()
    workspace.webhooks = WebhookTarget(["one", "two"], receiver.url)
    document_id = (await call("POST", "/v1/documents", SUBMISSION))[1]["id"]
    workspace.extract(document_id)
    await call("POST", f"/v1/documents/{document_id}/actions/approve", {})
    workspace.settle(document_id, "push_succeeded")
    await call("POST", f"/v1/documents/{document_id}/actions/reject", {})
    await numora.calls.settled()

    assert sorted(receiver.types()) == [
        "document.processing",
        "document.review_required",
        "document.review_required",
        "document.reviewed",
        "push.succeeded",
    ]
    for headers, body in receiver.calls:
        at = headers["X-Numora-Webhook-Timestamp"]
        macs = [hmac.digest(key, f"{at}.".encode() + body, "sha256").hex() for key in (b"one", b"two")]
        assert headers["X-Numora-Webhook-Signature"] == f"t={at},v1={macs[0]},v1={macs[1]}"
        assert headers["X-Numora-Webhook-Id"] == json.loads(body)["id"]


async def test_a_call_that_is_not_taken_is_repeated_under_the_same_id(numora, document, receiver):
    numora.calls.pauses = (0.0, 0.0, 0.0)
    receiver.failures = 2
    numora.workspace().webhooks = WebhookTarget(["w"], receiver.url)

    sending = numora.calls.send_webhook(numora.workspace(), "document.reviewed", document)
    await numora.calls.settled()

    assert sending.answers == [503, 503, 202]
    assert {json.loads(body)["id"] for _, body in receiver.calls} == {sending.id}


async def test_a_call_that_nobody_answers_is_given_up(numora, document, receiver):
    numora.calls.pauses = (0.0, 0.0)
    numora.workspace().executor = ExecutorTarget("s", receiver.url)
    await receiver.server.close()

    sending = numora.calls.notify(numora.workspace(), document)
    await numora.calls.settled()

    assert sending.answers == [None, None]


async def test_a_stopped_sandbox_calls_nobody_any_more(numora, document, receiver):
    numora.calls.pauses = (3600.0,)
    numora.workspace().executor = ExecutorTarget("s", receiver.url)
    numora.calls.notify(numora.workspace(), document)

    await numora.stop()

    await asyncio.wait_for(numora.calls.settled(), 5)
    assert receiver.calls == []


async def test_everything_can_be_set_from_another_process(call, numora, document, receiver):
    assert (await call("PUT", "/_sandbox/route", {"kind": "executor"}))[0] == 204
    assert (await call("PUT", "/_sandbox/executor", {"secret": "s", "auth": "bearer", "url": receiver.url}))[0] == 204
    assert (await call("PUT", "/_sandbox/webhooks", {"secrets": ["w"], "url": receiver.url}))[0] == 204

    await dispatch(call)
    status, sent = await call("POST", "/_sandbox/documents/doc_1/webhook", {"type": "run.failed"})
    _, shown = await call("POST", "/_sandbox/documents/doc_1/webhook", {"type": "document.reviewed", "send": False})
    _, notice = await call("POST", "/_sandbox/documents/doc_1/notify", {"send": False})
    await numora.calls.settled()

    assert (status, len(receiver.calls)) == (202, 2)
    assert json.loads(shown["body"])["type"] == "document.reviewed"
    assert "v1=" in shown["headers"]["X-Numora-Webhook-Signature"]
    assert notice["headers"]["Authorization"] == "Bearer s"
    _, calls = await call("GET", "/_sandbox/calls")
    assert sent["id"] in {one["id"] for one in calls["calls"]}
    assert all(one["answers"] == [202] for one in calls["calls"])


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("PUT", "/_sandbox/route", {"kind": "pigeon"}, 400),
        ("PUT", "/_sandbox/webhooks", {}, 400),
        ("POST", "/_sandbox/documents/doc_1/webhook", {}, 400),
        ("POST", "/_sandbox/documents/doc_1/notify", {}, 400),
        ("POST", "/_sandbox/documents/doc_1/notify", {"kind": "x"}, 400),
        ("POST", "/_sandbox/documents/doc_none/notify", {}, 404),
    ],
)
async def test_a_control_call_that_cannot_be_done_says_so(call, document, method, path, body, status):
    found, told = await call(method, path, body)

    assert found == status
    assert told["error"]
