"""Numora's other resources through the API: a closed list, with the tenant's own key and without its secrets."""

from typing import Any

import pytest
from http_bridge import ACME, Answer, Bridge

ROOT = "/v1/tenants/acme/numora"


async def call(bridge: Bridge, method: str, path: str, body: Any = None, **headers: str) -> Answer:
    return await bridge.call(method, f"{ROOT}/{path}", {**ACME, **headers}, body)


async def test_schemas_and_workflows_are_listed(bridge: Bridge) -> None:
    schemas = await call(bridge, "GET", "schemas")
    assert schemas.status == 200
    assert {"invoice_v2", "receipt_v1", "contract_v1"} <= {entry["id"] for entry in schemas.json["data"]}
    workflows = await call(bridge, "GET", "workflows")
    assert workflows.json["data"][0]["name"]
    assert workflows.json.keys() == {"data", "next_cursor"}


async def test_a_destination_is_created_once_for_each_key_tested_and_never_shows_its_credentials(
    bridge: Bridge,
) -> None:
    body = {"provider": "dynamics365", "display_name": "Finance", "credentials": {"client_secret": "very-secret"}}
    key = {"Idempotency-Key": "once"}
    made = await call(bridge, "POST", "destinations", body, **key)
    assert (made.status, made.json["has_credentials"]) == (201, True)
    again = await call(bridge, "POST", "destinations", body, **key)
    assert (again.status, again.body, again.headers["Idempotency-Replayed"]) == (201, made.body, "true")
    listed = await call(bridge, "GET", "destinations")
    assert [entry["id"] for entry in listed.json["data"]] == [made.json["id"]]
    tested = await call(bridge, "POST", f"destinations/{made.json['id']}/test")
    assert (tested.status, tested.json["status"]) == (200, "succeeded")
    assert all(b"very-secret" not in answer.body for answer in (made, again, listed, tested))


async def test_lists_go_by_pages(bridge: Bridge) -> None:
    for number in range(5):
        await call(bridge, "POST", "destinations", {"provider": "dynamics365", "display_name": f"{number}"})
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await call(bridge, "GET", f"destinations?limit=2{cursor}")).json
        seen += [entry["display_name"] for entry in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert seen == ["0", "1", "2", "3", "4"]


async def test_a_mapping_is_put_and_got(bridge: Bridge) -> None:
    content = {"mappings": [{"from": "invoice_number", "to": "name", "factor": 1.50}]}
    missing = await call(bridge, "GET", "mappings/invoice_v2/dynamics365")
    assert (missing.status, missing.code) == (404, "upstream_not_found")
    put = await call(bridge, "PUT", "mappings/invoice_v2/dynamics365", content)
    assert put.status == 200
    got = await call(bridge, "GET", "mappings/invoice_v2/dynamics365")
    assert got.json["mappings"] == content["mappings"]


async def test_a_workflow_is_run_and_its_run_can_be_followed(bridge: Bridge) -> None:
    """A new run for every call, unless it repeats a key."""
    (document,) = bridge.add()
    body = {"document_id": document.id}
    started = await call(bridge, "POST", "workflows/wf_push/dispatch", body, **{"Idempotency-Key": "run-1"})
    assert (started.status, started.json["status"]) == (202, "queued")
    again = await call(bridge, "POST", "workflows/wf_push/dispatch", body, **{"Idempotency-Key": "run-1"})
    assert (again.status, again.json["run_id"]) == (202, started.json["run_id"])
    run = await call(bridge, "GET", f"runs/{started.json['run_id']}")
    assert (run.status, run.json["id"]) == (200, started.json["run_id"])
    logs = await call(bridge, "GET", f"runs/{started.json['run_id']}/logs")
    assert (logs.status, len(logs.json["data"]) >= 1) == (200, True)
    missing = await call(bridge, "GET", "runs/run_none")
    assert (missing.status, missing.code) == (404, "upstream_not_found")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "documents"),
        ("GET", "delivery/outbox"),
        ("GET", "schemas/../documents"),
        ("GET", "workflows/wf_push"),
        ("POST", "dynamics/session"),
        ("GET", "runs/run_1/logs/more"),
        ("DELETE", "destinations/dst_1"),
        ("PUT", "schemas"),
    ],
)
async def test_there_is_nothing_beside_the_list(bridge: Bridge, method: str, path: str) -> None:
    """No open proxy: Numora hears nothing of it."""
    before = bridge.world.numora.requests.total
    answer = await call(bridge, method, path)
    assert answer.code in {"no_such_route", "method_not_allowed"}
    assert bridge.world.numora.requests.total == before


async def test_ids_stay_where_they_belong_in_the_path(bridge: Bridge) -> None:
    """Slashes of an id reach Numora encoded, below the operation's own path; an id of a path's dots is refused."""
    for path in ("runs/%2E%2E", "runs/%2e", "mappings/%2E%2E/destinations", "mappings/invoice_v2/%2E%2E"):
        answer = await call(bridge, "GET", path)
        assert (answer.status, answer.code) == (400, "bad_path")
    for path in ("runs/..%2F..%2Fdocuments", "mappings/invoice_v2/..%2F..", "runs/..."):
        answer = await call(bridge, "GET", path)
        assert (answer.status, answer.code) in {(404, "upstream_not_found"), (422, "upstream_refused")}
    asked = [
        record.path for record in bridge.world.numora.requests if "/runs/" in record.path or "mappings" in record.path
    ]
    assert len(asked) == 3
    assert all(path.startswith(("/v1/runs/", "/v1/mappings/invoice_v2/")) for path in asked)


async def test_every_tenant_is_asked_for_with_its_own_key(bridge: Bridge) -> None:
    await call(bridge, "POST", "destinations", {"provider": "dynamics365", "display_name": "acme's"})
    globex = {"X-API-Key": "sandbox-key-of-globex"}
    listed = await bridge.call("GET", "/v1/tenants/globex/numora/destinations", globex)
    assert listed.json["data"] == []


async def test_a_call_whose_outcome_is_not_known_says_whether_a_repeat_is_safe(bridge: Bridge) -> None:
    bridge.world.numora.faults.add("reset_after", path="/destinations", times=1)
    answer = await call(bridge, "POST", "destinations", {"provider": "dynamics365", "display_name": "x"})
    assert (answer.status, answer.code) == (502, "outcome_unknown")
    assert "List the destinations" in answer.json["detail"]


@pytest.mark.parametrize(
    ("path", "body", "name"),
    [
        ("destinations", {}, "provider"),
        ("destinations", {"provider": 1}, "provider"),
        ("destinations", {"provider": "p", "display_name": []}, "display_name"),
        ("workflows/wf_push/dispatch", {}, "document_id"),
        ("workflows/wf_push/dispatch", {"document_id": "d", "execution_mode": "now"}, "execution_mode"),
        ("destinations/d1/test", {"x": 1}, "x"),
    ],
)
async def test_a_wrong_body_names_the_key(bridge: Bridge, path: str, body: Any, name: str) -> None:
    answer = await call(bridge, "POST", path, body)
    assert (answer.status, answer.code) == (422, "bad_body")
    assert name in {error["name"] for error in answer.json["errors"]}
