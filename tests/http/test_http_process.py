"""Liveness, readiness and metrics, and what a caller gets while the bridge starts, changes or breaks."""

import asyncio
import re
from pathlib import Path

import aiohttp
import pytest
from http_bridge import ACME, OPERATOR, Bridge, Caller, running_bridge

from bridge.http.keys import Keys
from bridge.http.server import HttpServer
from bridge.metrics import Metrics
from bridge.pipeline.gates import Side
from bridge.sandbox import OPERATOR_KEY, SandboxWorld
from connectors.outcome import BlockedError
from mappings.findings import Finding

DELIVERIES = "/v1/tenants/acme/deliveries"
DELIVER = "/v1/tenants/acme/documents/d1/deliver"
SAMPLE = re.compile(r"^(\w+)(\{[^}]*\})? ([0-9.e+-]+)$", re.MULTILINE)


async def test_liveness_is_known_before_there_is_anything_to_serve() -> None:
    """A server without a service answers /healthz with 200, and everything else with the reason why not yet."""
    server = HttpServer("127.0.0.1", 0, Metrics(), patience=0)
    await server.start()
    async with aiohttp.ClientSession() as session:
        call = Caller(session, server.url)
        assert (await call("GET", "/healthz")).json == {"status": "ok"}
        readiness = await call("GET", "/readyz")
        assert (readiness.status, readiness.json) == (503, {"status": "starting", "parts": {}})
        for path in ("/v1/me", "/metrics", "/nothing"):
            answer = await call("GET", path, OPERATOR)
            assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "starting", "1")
        server.detach()
        assert (await call("GET", "/healthz")).status == 200
        assert (await call("GET", "/readyz")).json["status"] == "stopping"
    await server.stop()
    await server.stop()


async def test_an_address_that_is_taken_is_told_at_once() -> None:
    server, other = HttpServer("127.0.0.1", 0, Metrics()), None
    await server.start()
    other = HttpServer("127.0.0.1", server.port, Metrics())
    with pytest.raises(OSError, match="in use"):
        await other.start()
    await other.stop()
    await server.stop()


async def test_readiness_names_every_part_and_no_tenant(bridge: Bridge) -> None:
    """Anyone may ask, so it counts and gives codes; GET /v1/tenants says which tenant and why."""
    answer = await bridge.call("GET", "/readyz")
    assert (answer.status, answer.json["status"]) == (200, "ready")
    assert set(answer.json["parts"]) == {"ledger", "configuration", "tenants", "sources", "destinations", "mappings"}
    gates = bridge.runtime.lines["acme"].lane.gates
    gates.block(Side.DESTINATION, BlockedError("login_refused", "acme's secret has expired"))
    bridge.runtime.reload_findings = (Finding("unknown_key", "acme has no such key", "tenants/acme.yaml"),)
    answer = await bridge.call("GET", "/readyz")
    assert (answer.status, answer.json["status"]) == (200, "degraded")
    parts = answer.json["parts"]
    assert parts["destinations"]["codes"] == {"login_refused": 1}
    assert parts["configuration"]["codes"] == {"unknown_key": 1}
    assert parts["sources"]["status"] == "ok"
    assert b"acme" not in answer.body
    told = (await bridge.call("GET", "/v1/tenants", OPERATOR)).json
    assert [finding["file"] for finding in told["configuration"]] == ["acme.yaml"]
    told = (await bridge.call("GET", "/v1/tenants", ACME)).json
    assert told["configuration"] is None
    (shown,) = told["data"]
    assert shown["healthy"] is False
    assert shown["blocked"][0]["side"] == "destination"
    assert shown["blocked"][0]["message"] == "acme's secret has expired"


async def test_a_ledger_that_cannot_be_used_is_a_503_that_says_when_to_come_back(bridge: Bridge) -> None:
    await bridge.ledger.close()
    for method, path in (
        ("GET", DELIVERIES),
        ("POST", DELIVER),
        ("GET", "/v1/tenants"),
        ("POST", f"{DELIVERIES}/retry"),
    ):
        answer = await bridge.call(method, path, ACME)
        assert (answer.status, answer.code) == (503, "ledger_unavailable")
        assert int(answer.headers["Retry-After"]) > 0
    readiness = await bridge.call("GET", "/readyz")
    assert (readiness.status, readiness.json["status"]) == (503, "not_ready")
    assert readiness.json["parts"]["ledger"]["codes"] == {"ledger_closed": 1}
    assert (await bridge.call("GET", "/healthz")).status == 200


async def test_metrics_count_what_was_delivered_and_what_was_asked_for_it(bridge: Bridge) -> None:
    """Prometheus's text format: ends by tenant and state, gauges of the ledger, and every outgoing request."""
    good, bad = bridge.add(2)
    bad.fields["total_amount"] = "a lot"
    await bridge.deliver(good.id)
    await bridge.deliver(bad.id)
    await bridge.deliver(good.id)  # looked at again, which is no second end
    answer = await bridge.call("GET", "/metrics", OPERATOR)
    assert answer.headers["Content-Type"].startswith("text/plain")
    samples = {(name, labels): float(value) for name, labels, value in SAMPLE.findall(answer.body.decode())}
    assert samples["bridge_deliveries_ended_total", '{state="succeeded",tenant="acme"}'] == 1
    assert samples["bridge_deliveries_ended_total", '{state="failed",tenant="acme"}'] == 1
    assert samples["bridge_deliveries", '{state="succeeded",tenant="acme"}'] == 1
    assert samples["bridge_deliveries", '{state="queued",tenant="globex"}'] == 0
    assert samples["bridge_queue_age_seconds", '{tenant="acme"}'] == 0
    callbacks = '{peer="numora",purpose="callback",status="2xx"}'
    assert samples["bridge_outgoing_request_seconds_count", callbacks] == 3
    assert ("process_resident_memory_bytes", "") in samples


async def test_other_keys_are_in_force_at_once(bridge: Bridge) -> None:
    """A key that was taken out of the configuration is good no longer, a new one is."""
    bridge.server.set_keys(Keys(["a-newer-operator-key"], {"acme": ["a-newer-key-of-acme"]}))
    assert (await bridge.call("GET", "/v1/me", OPERATOR)).status == 401
    assert (await bridge.call("GET", "/v1/me", ACME)).status == 401
    assert (await bridge.call("GET", "/v1/me", {"X-API-Key": "a-newer-operator-key"})).json["role"] == "operator"
    assert (await bridge.call("GET", "/v1/me", {"X-API-Key": "a-newer-key-of-acme"})).json["tenants"] == ["acme"]


async def test_without_any_keys_every_call_is_refused_and_the_log_says_why(
    bridge: Bridge, caplog: pytest.LogCaptureFixture
) -> None:
    bridge.server.set_keys(Keys())
    for headers in ({}, OPERATOR, ACME, {"X-API-Key": ""}):
        assert (await bridge.call("GET", "/v1/me", headers)).status == 401
    assert (await bridge.call("GET", "/healthz")).status == 200
    assert "set api_keys in bridge.yaml" in caplog.text


async def test_a_tenant_that_is_still_put_to_work_is_a_503_and_not_a_404(bridge: Bridge) -> None:
    """Its callers come back; a 404 would have them give up. Others learn nothing from it."""
    del bridge.runtime._lines["globex"]
    answer = await bridge.call("GET", "/v1/tenants/globex/deliveries", OPERATOR)
    assert (answer.status, answer.code) == (503, "starting")
    assert (await bridge.call("GET", "/v1/tenants/globex/deliveries", ACME)).code == "tenant_not_found"
    readiness = await bridge.call("GET", "/readyz")
    assert (readiness.status, readiness.json["status"]) == (503, "starting")


async def test_a_poll_that_is_broken_off_by_a_change_of_configuration_is_told_to_come_again(bridge: Bridge) -> None:
    bridge.world.numora.faults.add("hang")
    polling = asyncio.create_task(bridge.call("POST", "/v1/tenants/acme/poll", ACME))
    await bridge.world.numora.faults.until_struck()
    await bridge.runtime.lines["acme"].schedule.stop()
    answer = await polling
    assert (answer.status, answer.code, answer.headers["Retry-After"]) == (503, "reconfigured", "1")
    bridge.world.numora.faults.release()


async def test_no_answer_and_no_log_line_holds_a_secret(
    world: SandboxWorld, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Every route, well and badly asked, with sides that refuse their credentials."""
    caplog.set_level("DEBUG")
    async with running_bridge(world, tmp_path / "config") as bridge:
        tenants = [world.tenant("acme"), world.tenant("globex")]
        secrets = [OPERATOR_KEY]
        secrets += [secret for one in tenants for secret in (one.numora_key, one.client_secret, one.api_key)]
        (document, other) = bridge.add(2)
        answers = [await bridge.deliver(document.id)]
        world.numora.faults.add("unauthorized")
        world.entra.remove_client(tenants[0].client_id)
        for headers in (OPERATOR, ACME, {"X-API-Key": OPERATOR_KEY + "x"}):
            for method, path in (
                ("GET", "/v1/me"),
                ("GET", "/v1/tenants"),
                ("GET", "/metrics"),
                ("GET", "/readyz"),
                ("POST", "/v1/tenants/acme/poll"),
                ("GET", DELIVERIES),
                ("GET", f"{DELIVERIES}/{answers[0].json['id']}"),
                ("POST", f"{DELIVERIES}/retry"),
                ("POST", f"/v1/tenants/acme/documents/{other.id}/preview"),
                ("POST", f"/v1/tenants/acme/documents/{other.id}/deliver"),
                ("POST", f"/v1/tenants/acme/documents/{OPERATOR_KEY[:3]}/deliver?key=1"),
            ):
                answers.append(await bridge.call(method, path, headers))
    assert {answer.status for answer in answers} >= {200, 202, 401, 403, 409}
    told = [*(answer.body.decode() + str(answer.headers) for answer in answers), caplog.text]
    assert not [secret for secret in secrets if any(secret in text for text in told)]
