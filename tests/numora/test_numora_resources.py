"""Numora's other resources: a closed list, tolerant of what is not published, and silent about credentials."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from connectors.capabilities import ActionRefusedError, SourceResources
from connectors.http import decode_json, encode_json
from connectors.numora.entries import Destination, LogEntry, Mappings, Run, Workflow, read_list, read_one
from connectors.numora.resources import OPERATIONS
from connectors.numora.sandbox import SandboxDocument
from connectors.outcome import BlockedError, ThrottledError, TransientError, UnknownOutcomeError

SECRET = "s3cr3t-of-dataverse"
NEW = {
    "provider": "dynamics365",
    "display_name": "Finance Dataverse",
    "credentials": {"client_id": "c-1", "client_secret": SECRET},
}


@pytest.fixture
def resources(source) -> SourceResources:
    return source.capabilities.resources


@pytest.fixture
async def answering(connect):
    """Return a function that starts a Numora which answers everything in one way, and gives its resources."""
    servers: list[TestServer] = []

    async def start(body: bytes, status: int = 200) -> SourceResources:
        async def handle(_: web.Request) -> web.Response:
            return web.Response(status=status, body=body, content_type="application/json")

        app = web.Application()
        app.router.add_route("*", "/{path:.*}", handle)
        servers.append(server := TestServer(app))
        await server.start_server()
        return connect(base_url=str(server.make_url("")).rstrip("/")).capabilities.resources

    yield start
    for server in servers:
        await server.close()


async def test_destinations_are_created_tested_and_listed_and_their_credentials_stay_inside(numora, resources, log):
    made = await resources.call("create_destination", log, path={}, body=NEW)
    tested = await resources.call("test_destination", log, path={"id": made.body["id"]}, body={})
    listed = await resources.call("destinations", log, path={})

    assert (made.status, made.body["display_name"], made.body["has_credentials"]) == (201, "Finance Dataverse", True)
    assert (tested.body["status"], listed.body, listed.next_cursor) == ("succeeded", [made.body], None)
    assert numora.workspace().catalogue.credentials[made.body["id"]]["client_secret"] == SECRET
    assert SECRET not in str((made, tested, listed, log.opened, log.outcomes))


async def test_lists_are_paged_by_numoras_own_cursor(resources, log):
    for number in range(3):
        await resources.call("create_destination", log, path={}, body={**NEW, "display_name": f"d-{number}"})

    first = await resources.call("destinations", log, path={}, limit=2)
    rest = await resources.call("destinations", log, path={}, limit=2, cursor=first.next_cursor)

    assert [one["display_name"] for one in (*first.body, *rest.body)] == ["d-0", "d-1", "d-2"]
    assert rest.next_cursor is None


async def test_a_mapping_is_put_and_read(resources, log):
    place = {"schema": "invoice_v2", "destination": "dynamics365"}
    with pytest.raises(ActionRefusedError) as missing:
        await resources.call("mapping", log, path=place)
    assert missing.value.status == 404

    put = await resources.call("put_mapping", log, path=place, body={"mappings": [{"api_key_field": "number"}]})

    assert put.body["mappings"] == [{"api_key_field": "number"}]
    assert (await resources.call("mapping", log, path=place)).body == put.body


async def test_a_workflow_is_dispatched_and_its_run_followed(numora, resources, log):
    document = numora.workspace().add(SandboxDocument("doc_1", "invoice_v2", {}))
    (workflow,) = (await resources.call("workflows", log, path={})).body

    queued = await resources.call("dispatch_workflow", log, path={"id": workflow["id"]}, body={"document_id": "doc_1"})
    assert (queued.status, queued.body["execution_mode"], document.status) == (202, "queued", "push_pending")
    numora.workspace().settle("doc_1", "push_succeeded")
    run = await resources.call("run", log, path={"id": queued.body["run_id"]})
    logs = await resources.call("run_logs", log, path={"id": queued.body["run_id"]})

    assert (run.body["status"], run.body["outcome"]) == ("completed", "succeeded")
    assert [entry["node"] for entry in logs.body] == ["start", "push"]


async def test_schemas_are_listed(resources, log):
    assert [one["id"] for one in (await resources.call("schemas", log, path={})).body] == [
        "invoice_v2",
        "receipt_v1",
        "contract_v1",
    ]


def test_the_operations_are_a_closed_list(resources):
    assert resources.operations == {
        "schemas",
        "destinations",
        "create_destination",
        "test_destination",
        "mapping",
        "put_mapping",
        "workflows",
        "dispatch_workflow",
        "run",
        "run_logs",
    }


@pytest.mark.parametrize(
    ("operation", "path"),
    [("documents", {}), ("run", {}), ("run", {"run": "r"}), ("schemas", {"id": "x"}), ("mapping", {"schema": "s"})],
)
async def test_what_is_not_in_the_list_reaches_nothing(resources, log, operation, path):
    with pytest.raises(ValueError, match=operation):
        await resources.call(operation, log, path=path)
    assert log.opened == []


@pytest.mark.parametrize("id_", ["..", ".", "../../v1/documents", "a/b", "a?b=c", "a#b", "%2e%2e", "ä", "x\\y"])
async def test_an_id_is_one_segment_whatever_stands_in_it(numora, resources, log, id_):
    with pytest.raises(ActionRefusedError) as refused:
        await resources.call("run", log, path={"id": id_})

    assert refused.value.status == 404
    (request,) = numora.requests
    assert request.path.startswith("/v1/runs/")
    assert request.path.count("/") == 3


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, ActionRefusedError, "numora_refused_action"),
        (401, BlockedError, "numora_unauthorized"),
        (403, BlockedError, "numora_forbidden"),
        (404, ActionRefusedError, "numora_refused_action"),
        (409, ActionRefusedError, "numora_refused_action"),
        (425, TransientError, "numora_not_ready"),
        (502, TransientError, "numora_unavailable"),
        (503, TransientError, "numora_unavailable"),
    ],
)
async def test_what_a_refused_read_means(numora, resources, log, status, kind, code):
    numora.faults.add("status_before", status=status)

    with pytest.raises(kind) as refused:
        await resources.call("workflows", log, path={})

    assert refused.value.code == code
    assert not isinstance(refused.value, UnknownOutcomeError)


async def test_a_missing_scope_here_is_not_what_a_probe_looks_at(numora, source, resources, log):
    numora.faults.add("status_before", status=403, path="/v1/workflows")
    with pytest.raises(BlockedError):
        await resources.call("workflows", log, path={})

    await source.probe()


async def test_a_pause_is_passed_on(numora, resources, log):
    numora.faults.add("throttle", retry_after=3)

    with pytest.raises(ThrottledError):
        await resources.call("schemas", log, path={})


@pytest.mark.parametrize("fault", ["reset_before", "reset_after", "html_502", "html_502_after"])
@pytest.mark.parametrize(
    ("operation", "path", "body", "sentence"),
    [
        ("create_destination", {}, NEW, "List the destinations"),
        ("put_mapping", {"schema": "invoice_v2", "destination": "dynamics365"}, {"mappings": []}, "may be sent again"),
        ("dispatch_workflow", {"id": "wf_push"}, {"document_id": "doc_1"}, "Look at the document"),
    ],
)
async def test_after_a_lost_answer_it_is_said_whether_a_repeat_is_safe(
    numora, resources, log, fault, operation, path, body, sentence
):
    numora.workspace().add(SandboxDocument("doc_1", "invoice_v2", {}))
    numora.faults.add(fault, times=1)

    with pytest.raises(UnknownOutcomeError, match=sentence) as lost:
        await resources.call(operation, log, path=path, body=body)

    assert lost.value.code == "numora_outcome_unknown"
    assert numora.requests.total == 1


async def test_a_change_that_was_answered_with_half_a_body_was_made(numora, resources, log):
    numora.faults.add("truncated", times=1)

    answer = await resources.call("create_destination", log, path={}, body=NEW)

    assert (answer.status, answer.body) == (201, {})
    assert len(numora.workspace().catalogue.destinations) == 1


async def test_a_refusal_that_quotes_the_credentials_is_neither_told_nor_kept(answering, log):
    resources = await answering(
        encode_json({"error": {"code": "invalid_payload", "message": f"cannot log in with {SECRET}"}}), 422
    )

    with pytest.raises(ActionRefusedError) as refused:
        await resources.call("create_destination", log, path={}, body=NEW)

    assert refused.value.status == 422
    assert SECRET not in refused.value.message
    assert SECRET not in str(log.outcomes)
    assert "422" in refused.value.message


async def test_a_refusal_that_quotes_nothing_is_told_in_numoras_words(answering, log):
    resources = await answering(
        encode_json({"error": {"code": "invalid_payload", "message": "display_name is too long"}}), 422
    )

    with pytest.raises(ActionRefusedError, match="display_name is too long"):
        await resources.call("create_destination", log, path={}, body=NEW)


async def test_credentials_that_numora_echoes_are_masked(answering, log):
    echoed = {"id": "dst_1", "config": [{"clientSecret": SECRET, "password": SECRET, "org": "acme"}], "token": None}
    resources = await answering(encode_json({**echoed, "credentials": NEW["credentials"]}), 201)

    body = (await resources.call("create_destination", log, path={}, body=NEW)).body

    assert SECRET not in str(body)
    assert (body["id"], body["config"][0]["org"], body["token"]) == ("dst_1", "acme", None)


@pytest.mark.parametrize("body", [b"", b"OK", b"[]", b"null", b"\xff", b"[" * 100_000])
async def test_a_change_may_be_answered_with_anything(answering, log, body):
    resources = await answering(body)

    assert (await resources.call("put_mapping", log, path={"schema": "s", "destination": "d"}, body={})).body == {}


@pytest.mark.parametrize("body", [b"", b"OK", b'"x"', b"7", b'{"data":7}', b"{}", b"[7]", b"\xff", b"[" * 100_000])
async def test_a_list_that_is_none_is_not_taken_for_an_empty_one(answering, log, body):
    resources = await answering(body)

    with pytest.raises(TransientError) as refused:
        await resources.call("destinations", log, path={})
    assert refused.value.code == "bad_answer"


@pytest.mark.parametrize(
    ("answer", "cursor"),
    [
        ({"data": [{"id": 1}], "next_cursor": "cur_2"}, "cur_2"),
        ({"data": [{"id": 1}], "meta": {"next_cursor": "cur_2"}}, "cur_2"),
        ({"data": [{"id": 1}], "meta": {"next_cursor": 2}}, "2"),
        ({"data": [{"id": 1}], "next_cursor": None, "meta": None}, None),
        ({"data": [{"id": 1}], "next_cursor": "cur_1"}, None),
        ({"data": [{"id": 1}], "next_cursor": {"a": 1}}, None),
        ({"destinations": [{"id": 1}], "next_cursor": ""}, None),
        ([{"id": 1}], None),
    ],
)
def test_a_list_is_read_in_any_of_its_forms(answer, cursor):
    assert read_list(Destination, answer, "cur_1") == ([{"id": "1"}], cursor)


def test_an_empty_list_is_empty():
    assert read_list(Destination, {"data": []}, None) == ([], None)
    assert read_list(Destination, {"data": None}, None) == ([], None)


@pytest.mark.parametrize(
    ("entry", "answer", "expected"),
    [
        (Workflow, {"id": 7, "version": 7, "new": {"a": [1]}}, {"id": "7", "version": 7, "new": {"a": [1]}}),
        (Workflow, {"id": "wf", "version": "seven"}, {"id": "wf", "version": "seven"}),
        (Run, {"status": {"phase": "done"}, "outcome": "ok"}, {"status": {"phase": "done"}, "outcome": "ok"}),
        (LogEntry, "node 1 began", {"message": "node 1 began"}),
        (LogEntry, {"headers": {"Authorization": "Bearer x"}}, {"headers": {"Authorization": "[redacted]"}}),
        (Mappings, {"fields": {"token": "numora_token"}}, {"fields": {"token": "numora_token"}}),
    ],
)
def test_what_is_published_is_typed_and_the_rest_passes_through(entry, answer, expected):
    assert read_one(entry, answer) == expected


async def test_every_operation_goes_where_the_contract_says(numora, resources, log):
    ids = {"id": "x", "schema": "invoice_v2", "destination": "dynamics365"}
    for name, operation in OPERATIONS.items():
        path = {key: value for key, value in ids.items() if f"{{{key}}}" in operation.path}
        body = None if operation.method == "GET" else {"document_id": "d", **NEW}
        try:
            await resources.call(name, log, path=path, body=body)
        except ActionRefusedError as refused:
            assert refused.status == 404, name  # noqa: PT017

    assert [(one.method, one.path) for one in numora.requests] == [
        ("GET", "/v1/schemas"),
        ("GET", "/v1/destinations"),
        ("POST", "/v1/destinations"),
        ("POST", "/v1/destinations/x/test"),
        ("GET", "/v1/mappings/invoice_v2/dynamics365"),
        ("PUT", "/v1/mappings/invoice_v2/dynamics365"),
        ("GET", "/v1/workflows"),
        ("POST", "/v1/workflows/x/dispatch"),
        ("GET", "/v1/runs/x"),
        ("GET", "/v1/runs/x/logs"),
    ]
    assert decode_json([*numora.requests][7].body) == {"execution_mode": "queued", "document_id": "d", **NEW}
    assert [one.mutating for one in log.opened] == [one.method != "GET" for one in numora.requests]
