"""The service around the deliveries: its API, its config as it changes, its end and its next start."""

import asyncio
import signal
from typing import Any

from aiohttp import web

from tests.blackbox.files import DESIGN_MAPPING
from tests.blackbox.imitations.numora import Doc
from tests.blackbox.imitations.wire import Seen, Server
from tests.blackbox.process import run
from tests.blackbox.world import World, invoice, plain_lines

DELIVERY = {
    "id", "tenant", "document_id", "schema", "state", "step", "attempts", "execution_id", "external_record_id",
    "external_url", "operation", "error", "problems", "mapping", "next_attempt_at", "created_at", "updated_at",
}  # fmt: skip
HOURLY = {"every": "1h", "limit": 100}


def add(made: World, number: int = 1, **more: Any) -> Doc:
    return plain_lines(made.numora.add(made.acme.numora_key, invoice(number, **more)))


async def state(made: World, doc: Doc) -> str:
    return str((await made.bridge.delivery(doc.id)).get("state"))


async def until_state(made: World, doc: Doc, wanted: str) -> dict[str, Any]:
    async def there() -> bool:
        return await state(made, doc) == wanted

    await made.until_told(there)
    return await made.bridge.delivery(doc.id)


async def test_keys_open_what_they_should_and_nothing_else(made: World) -> None:
    """Operator keys see every tenant, a tenant's key its own; another's tenant and none look alike."""
    acme = await made.add_tenant()
    await made.add_tenant("globex")
    await made.start()
    call = made.bridge.call
    assert (await call("GET", "/healthz", key=None))[0] == 200
    assert (await call("GET", "/readyz", key=None))[0] in {200, 503}
    assert (await call("GET", "/v1/tenants", key=None))[0] == 401
    assert (await call("GET", "/v1/tenants", key="wrong"))[0] == 401
    assert [one["id"] for one in (await call("GET", "/v1/tenants"))[1]["data"]] == ["acme", "globex"]
    assert [one["id"] for one in (await call("GET", "/v1/tenants", key=acme.api_key))[1]["data"]] == ["acme"]
    status, problem = await call("GET", "/v1/tenants/globex/deliveries", key=acme.api_key)
    other = await call("GET", "/v1/tenants/nobody/deliveries", key=acme.api_key)
    assert (status, problem["code"]) == (404, other[1]["code"])
    assert other[0] == 404
    assert problem["request_id"]
    assert (await call("GET", "/v1/me", key=acme.api_key))[0] == 200
    status, metrics = await call("GET", "/metrics")
    assert status == 200
    assert b"# TYPE" in metrics
    status, page = await call("GET", "/v1/tenants/acme/deliveries/dlv_none")
    assert (status, page["status"]) == (404, 404)


async def test_calls_right_after_the_start_are_answered(made: World) -> None:
    """Whoever saw /healthz may go on at once: calls wait for the start, and a SIGHUP does not end the process."""
    await made.add_tenant()
    made.write()
    await made.bridge.start()
    made.bridge.signal(signal.SIGHUP)
    answers = await asyncio.gather(
        made.bridge.call("GET", "/v1/me"),
        made.bridge.call("GET", "/v1/tenants"),
        made.bridge.call("GET", "/v1/tenants/acme/deliveries"),
    )
    assert [status for status, _ in answers] == [200, 200, 200]
    assert [one["id"] for one in answers[1][1]["data"]] == ["acme"]


async def test_deliveries_are_listed_filtered_paged_and_shown_whole(made: World) -> None:
    acme = await made.add_tenant()
    good = [add(made, number) for number in range(5)]
    bad = add(made, 9, fields={"invoice_date": "soon"})
    await made.start()
    await made.until(lambda: all(doc.callbacks for doc in [*good, bad]))
    await until_state(made, bad, "failed")
    call = made.bridge.call
    everything = await made.bridge.deliveries()
    assert len(everything) == 6
    assert all(set(one) >= DELIVERY for one in everything)
    seen, cursor = [], ""
    while True:
        status, page = await call("GET", f"/v1/tenants/acme/deliveries?limit=2{cursor}")
        assert status == 200
        assert len(page["data"]) <= 2
        seen += [one["id"] for one in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert sorted(seen) == sorted(one["id"] for one in everything)
    failed = (await call("GET", "/v1/tenants/acme/deliveries?state=failed"))[1]["data"]
    assert [one["document_id"] for one in failed] == [bad.id]
    code = failed[0]["error"]["code"]
    assert len((await call("GET", f"/v1/tenants/acme/deliveries?error_code={code}"))[1]["data"]) == 1
    assert (await call("GET", "/v1/tenants/acme/deliveries?error_code=none"))[1]["data"] == []
    assert (await call("GET", "/v1/tenants/acme/deliveries?state=wrong"))[0] in {400, 422}
    done = await made.bridge.delivery(good[0].id)
    status, whole = await call("GET", f"/v1/tenants/acme/deliveries/{done['id']}", key=acme.api_key)
    assert status == 200
    text = str(whole)
    create = acme.dataverse.sent("POST", "numora_invoices")[0]
    ids = [seen.headers["x-ms-client-request-id"] for seen in acme.dataverse.sent("POST", "numora_invoices")]
    assert any(one in text for one in ids), (create.headers, whole)
    callbacks = [seen.headers["x-request-id"] for seen in made.numora.sent("POST", good[0].id)]
    assert any(one in text for one in callbacks)
    assert "204" in text


async def test_deliver_waits_or_answers_at_once(made: World) -> None:
    acme = await made.add_tenant(poll=HOURLY)
    await made.start()
    doc = add(made, listed=False)
    acme.dataverse.latency = 0.2
    path = f"/v1/tenants/acme/documents/{doc.id}/deliver"
    status, delivery = await made.bridge.call("POST", path, {"wait": 0})
    assert (status, set(delivery) >= DELIVERY) == (202, True)
    status, delivery = await made.bridge.call("POST", path, {"wait": 30})
    assert (status, delivery["state"], delivery["operation"]) == (200, "succeeded", "created")
    status, again = await made.bridge.call("POST", path, {"wait": 30})
    assert (status, again["state"]) == (200, "succeeded")
    assert len(acme.dataverse.count("create", "numora_invoice")) == 1
    assert not acme.dataverse.count("update", "numora_invoice")
    status, problem = await made.bridge.call("POST", "/v1/tenants/acme/documents/none/deliver", {"wait": 10})
    assert status in {200, 404}, problem
    assert (await made.bridge.call("POST", path, {"wait": 61}))[0] in {400, 422}
    assert (await made.bridge.call("POST", path, {"wiat": 1}))[0] in {400, 422}
    assert (await made.bridge.call("POST", path))[0] in {200, 202}


async def test_preview_writes_nothing(made: World) -> None:
    acme = await made.add_tenant(poll=HOURLY)
    await made.start()
    doc = add(made, listed=False)
    path = f"/v1/tenants/acme/documents/{doc.id}/preview"
    status, shown = await made.bridge.call("POST", path)
    assert status == 200, shown
    assert "INV-acme-0001" in str(shown)
    bad = add(made, 2, listed=False, fields={"invoice_date": "soon"})
    status, shown = await made.bridge.call("POST", f"/v1/tenants/acme/documents/{bad.id}/preview")
    assert status == 200
    assert "invoice_date" in str(shown["problems"])
    assert not acme.dataverse.effects
    assert not made.numora.posted
    assert await made.bridge.deliveries() == []


async def test_poll_tells_what_it_saw(made: World) -> None:
    await made.add_tenant(poll={"every": "1h", "limit": 2})
    await made.start()
    for number in range(5):
        add(made, number)

    async def polled() -> bool:
        status, told = await made.bridge.call("POST", "/v1/tenants/acme/poll")
        return status == 200 and told == {"seen": 5, "queued": 5, "cursor_reset": False}

    await made.until_told(polled)


async def test_a_person_may_retry_with_the_newest_mapping_or_the_same(made: World) -> None:
    acme = await made.add_tenant(poll=HOURLY)
    made.mapping_files["design.yaml"] = DESIGN_MAPPING.replace("min_confidence: 0.8", "min_confidence: 0.99")
    doc = add(made)
    await made.start()
    delivery = await until_state(made, doc, "failed")
    path = f"/v1/tenants/acme/deliveries/{delivery['id']}/retry"
    status, again = await made.bridge.call("POST", path, {"mapping": "same"})
    assert status in {200, 202}, again
    await made.until(lambda: len(doc.callbacks) == 2)
    status, dry = await made.bridge.call(
        "POST", "/v1/tenants/acme/deliveries/retry", {"state": "failed", "dry_run": True}
    )
    assert status == 200, dry
    assert len(doc.callbacks) == 2
    assert [one["status"] for one in doc.callbacks] == ["failed", "failed"]
    assert len({one["execution_id"] for one in doc.callbacks}) == 2
    made.mapping_files["design.yaml"] = DESIGN_MAPPING
    made.write()
    made.bridge.signal(signal.SIGHUP)
    await made.until(lambda: doc.status == "push_succeeded")
    made.holds()
    assert len(acme.dataverse.count("create", "numora_invoice")) == 1


async def test_a_changed_mapping_has_failed_documents_tried_again(made: World) -> None:
    """The file is saved, and what failed under the old text is delivered, with nobody asking."""
    acme = await made.add_tenant()
    doc = add(made, fields={"invoice_date": "31/01/2026"})
    await made.start()
    failed = await until_state(made, doc, "failed")
    made.mapping_files["design.yaml"] = DESIGN_MAPPING.replace('"%d.%m.%Y"]', '"%d.%m.%Y", "%d/%m/%Y"]')
    made.write()
    await made.until(lambda: doc.status == "push_succeeded")
    delivery = await until_state(made, doc, "succeeded")
    assert delivery["mapping"]["digest"] != failed["mapping"]["digest"]
    (row,) = acme.dataverse.rows["numora_invoice"].values()
    assert row["numora_invoicedate"] == "2026-01-31"
    made.holds()


async def test_a_broken_file_keeps_the_old_version_in_force(made: World) -> None:
    acme = await made.add_tenant()
    await made.start()
    (made.config / "mappings" / "design.yaml").write_text("schema: invoice_v2\ntabel: numora_invoice\n")
    made.bridge.signal(signal.SIGHUP)

    async def told() -> bool:
        return (
            "tabel" in str((await made.bridge.call("GET", "/v1/tenants"))[1]) or "tabel" in made.bridge.log.read_text()
        )

    await made.until_told(told)
    readiness = (await made.bridge.call("GET", "/readyz", key=None))[1]
    assert readiness["status"] == "degraded"
    doc = add(made)
    await made.until(lambda: doc.status == "push_succeeded")
    made.written_once(acme, [doc])
    made.write()
    made.bridge.signal(signal.SIGHUP)

    async def mended() -> bool:
        return bool((await made.bridge.call("GET", "/readyz", key=None))[1]["status"] == "ready")

    await made.until_told(mended)


async def test_tenants_come_and_go_while_it_runs(made: World) -> None:
    acme = await made.add_tenant()
    made.bridge.variables |= {
        f"GLOBEX_{name}": f"{name}-of-globex" for name in ("NUMORA_KEY", "DATAVERSE_SECRET", "API_KEY")
    }
    await made.start()
    globex = await made.add_tenant("globex")
    globex.numora_key, globex.api_key = "NUMORA_KEY-of-globex", "API_KEY-of-globex"
    secret = "DATAVERSE_SECRET-of-globex"
    globex.app = made.entra.apps[globex.app.client_id] = type(globex.app)(
        globex.app.directory, globex.app.client_id, secret, globex.app.resource
    )
    made.numora.add(globex.numora_key, invoice(1, "globex"))
    made.write_tenant(globex)
    made.bridge.signal(signal.SIGHUP)
    await made.until(lambda: made.finished(globex))
    doc = add(made)
    (made.config / "tenants" / "globex.yaml").unlink()
    made.bridge.signal(signal.SIGHUP)

    async def gone() -> bool:
        return [one["id"] for one in (await made.bridge.call("GET", "/v1/tenants"))[1]["data"]] == ["acme"]

    await made.until_told(gone)
    await made.until(lambda: doc.status == "push_succeeded")
    made.written_once(acme, [doc])
    before = len([seen for seen in made.numora.requests if globex.numora_key in seen.identity])
    await made.until(lambda: len(made.numora.sent("GET", "/outbox")) > before + 3)
    assert len([seen for seen in made.numora.requests if globex.numora_key in seen.identity]) <= before + 1


async def test_the_poll_that_was_due_while_it_was_down_runs_at_start_and_the_state_is_kept(made: World) -> None:
    """An hourly poll: what came while the process was down is fetched at its start, and what was done is known."""
    acme = await made.add_tenant(poll={"every": "2s", "limit": 100})
    first = add(made, 1)
    await made.start()
    await until_state(made, first, "succeeded")
    id = (await made.bridge.delivery(first.id))["id"]
    assert await made.bridge.stop() == 0
    second = add(made, 2)
    acme.source = {"poll": HOURLY}
    made.write()
    await made.bridge.start()
    await made.bridge.call("POST", "/v1/tenants/acme/poll")
    await made.until(lambda: second.status == "push_succeeded")
    assert (await made.bridge.delivery(first.id))["id"] == id
    made.written_once(acme, [first, second])


async def test_sigterm_ends_it_within_ten_seconds_and_hands_back_what_is_on_its_way(made: World) -> None:
    """A write that hangs does not keep the process; after the next start it is one row."""
    acme = await made.add_tenant()
    doc = add(made)
    acme.dataverse.faults.only = lambda seen: seen.method == "POST"
    acme.dataverse.faults.queue = ["hang"]
    acme.dataverse.faults.hang = 1000
    await made.start()
    await made.until(lambda: bool(acme.dataverse.sent("POST")))
    async with asyncio.timeout(10):
        assert await made.bridge.stop() == 0
    await made.bridge.start()
    await made.until(lambda: doc.status == "push_succeeded")
    made.written_once(acme, [doc])
    made.holds()


async def test_a_cursor_survives_a_restart(made: World) -> None:
    """A window that was read in part goes on at its cursor."""
    acme = await made.add_tenant(poll={"every": "400ms", "limit": 5})
    docs = [add(made, number) for number in range(12)]
    made.numora.faults.only = lambda seen: "cursor" in seen.query
    made.numora.faults.rate, made.numora.faults.kinds = 1.0, ("status_before",)
    await made.start()
    await made.until(lambda: sum(doc.status == "push_succeeded" for doc in docs) == 5)
    await made.bridge.kill()
    made.numora.faults.rate = 0
    before = len(made.numora.requests)
    await made.bridge.start()
    await made.until(lambda: made.finished(acme))
    outbox = [seen for seen in made.numora.requests[before:] if seen.path.endswith("/outbox")]
    assert "cursor" in outbox[0].query
    made.written_once(acme, docs)


class FileHost(Server):
    """A host that has one PDF."""

    content = b"%PDF-1.7 imitated"

    async def handle(self, seen: Seen) -> web.StreamResponse:
        return web.Response(body=self.content, content_type="application/pdf")


async def test_a_file_is_attached_as_a_note_once(made: World) -> None:
    """The file is fetched without any key from a host that was allowed, and becomes one note on the row."""
    acme = await made.add_tenant()
    host = FileHost()
    await host.start()
    made.settings = {"allow_hosts": ["127.0.0.1"]}
    doc = add(made, metadata={"vendor_code": "V-1", "file_url": f"{host.base}/files/scan.pdf"})
    acme.dataverse.faults.only = lambda seen: "annotation" in seen.path and seen.method != "GET"
    acme.dataverse.faults.queue = ["reset_after"]
    await made.start()
    await made.until(lambda: doc.status == "push_succeeded")
    (note,) = acme.dataverse.rows["annotation"].values()
    (row,) = acme.dataverse.rows["numora_invoice"].values()
    assert note["_objectid_value"] == row["numora_invoiceid"]
    assert note["documentbody"] == "JVBERi0xLjcgaW1pdGF0ZWQ="
    assert not any("authorization" in seen.headers for seen in host.requests)
    made.written_once(acme, [doc])
    await host.stop()


async def test_check_names_every_fault_of_a_config_at_once(made: World) -> None:
    await made.add_tenant()
    made.write()
    (made.config / "bridge.yaml").write_text("listen: {host: 127.0.0.1, prot: 1}\nstoer: x\n")
    (made.config / "tenants" / "bad.yaml").write_text("source: {kind: numora, base_url: 5, api_key: '${NOT_THERE}'}\n")
    code, out = await run("check", "--config", str(made.config), "--offline", **made.bridge.variables)
    assert code == 2
    for word in ("prot", "port", "stoer", "store", "NOT_THERE", "base_url", "bad.yaml", "bridge.yaml"):
        assert word in out, out


async def test_check_holds_the_mapping_against_the_target(made: World) -> None:
    await made.add_tenant()
    made.mapping_files["design.yaml"] = DESIGN_MAPPING
    made.write()
    code, out = await run("check", "--config", str(made.config), **made.bridge.variables)
    assert code == 0, out
    made.mapping_files["design.yaml"] = DESIGN_MAPPING.replace("numora_invoicedate:", "numora_invoicdate:")
    made.write()
    code, out = await run("check", "--config", str(made.config), **made.bridge.variables)
    assert code == 1, out
    assert "numora_invoicdate" in out
    assert "numora_invoicedate" in out
    code, out = await run("mapping", "test", str(made.config / "mappings" / "design.yaml"))
    assert code == 0, out


async def test_poll_as_a_command_delivers_what_is_due_and_ends(made: World) -> None:
    acme = await made.add_tenant()
    docs = [add(made, number) for number in range(3)]
    made.write()
    code, out = await run("poll", "--config", str(made.config), "--tenant", "acme", **made.bridge.variables)
    assert code == 0, out
    made.written_once(acme, docs)
    made.holds()
