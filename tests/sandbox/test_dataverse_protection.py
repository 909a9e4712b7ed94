"""Limits, privileges, faults and the journal of effects of the imitated Dataverse."""

import asyncio
from uuid import uuid4

import aiohttp
import pytest


async def test_more_at_once_than_allowed_is_429_with_its_code(call, control, dataverse):
    await control("PUT", "settings", {"max_concurrent": 2, "write_latency": 0.05, "retry_after": 60, "grace": 30})
    answers = await asyncio.gather(*(call("POST", "numora_invoices", {}) for _ in range(3)))
    assert sorted(answer.status for answer in answers) == [204, 204, 429]
    [refused] = [answer for answer in answers if answer.status == 429]
    assert (refused.code, refused.headers["Retry-After"]) == ("0x80072326", "60")
    assert "limit of 2" in refused.message
    assert (len(dataverse.effects), dataverse.violations) == (2, 0)
    assert (await control("GET", "state")).json["throttled"] == 1


async def test_a_window_takes_so_many_requests_and_no_more(call, control, dataverse):
    await control("PUT", "settings", {"requests_per_window": 2, "retry_after": 60})
    first = await call("GET", "WhoAmI")
    assert first.headers["x-ms-ratelimit-burst-remaining-xrm-requests"] == "1"
    await call("GET", "WhoAmI")
    refused = await call("GET", "WhoAmI")
    assert (refused.status, refused.code) == (429, "0x80072322")
    assert (await call("GET", "WhoAmI")).status == 429
    assert dataverse.violations == 1


async def test_the_hint_of_parallelism_is_set_or_left_out(call, control):
    await control("PUT", "settings", {"dop_hint": 8})
    assert (await call("GET", "WhoAmI")).headers["x-ms-dop-hint"] == "8"
    await control("PUT", "settings", {"dop_hint": None})
    assert "x-ms-dop-hint" not in (await call("GET", "WhoAmI")).headers


@pytest.mark.parametrize(
    ("operation", "method", "body"),
    [("create", "POST", {}), ("read", "GET", None), ("write", "PATCH", {}), ("delete", "DELETE", None)],
)
async def test_a_missing_privilege_is_403_and_who_am_i_still_works(call, control, dataverse, operation, method, body):
    [row_id] = dataverse.seed("numora_invoice", [{}])
    path = "numora_invoices" if method == "POST" else f"numora_invoices({row_id})"
    taken = {"table": "numora_invoice", "operation": operation, "granted": False}
    assert (await control("PUT", "privileges", taken)).status == 204
    refused = await call(method, path, body)
    assert (refused.status, refused.code) == (403, "0x80040220")
    assert dataverse.effects == []
    assert (await call("GET", "WhoAmI")).status == 200
    await control("PUT", "privileges", {**taken, "granted": True})
    assert (await call(method, path, body)).status < 300


async def test_every_effect_is_counted_with_columns_and_request(call, control):
    row_id = str(uuid4())
    await call("POST", "numora_invoices", {"numora_invoiceid": row_id}, {"x-ms-client-request-id": "r1"})
    await call("PATCH", f"numora_invoices({row_id})", {"numora_name": "x"}, {"x-ms-client-request-id": "r2"})
    await call("POST", "numora_invoices", {"numora_invoiceid": row_id}, {"x-ms-client-request-id": "r3"})
    await call("DELETE", f"numora_invoices({row_id})")
    effects = (await control("GET", f"effects?table=numora_invoice&id={row_id}")).json["effects"]
    assert [(effect["kind"], effect["columns"], effect["request_id"]) for effect in effects] == [
        ("create", ["numora_invoiceid"], "r1"),
        ("update", ["numora_name"], "r2"),
        ("delete", [], None),
    ]


async def test_a_row_created_twice_is_reported(call, dataverse):
    address = f"numora_invoices({uuid4()})"
    for method in ("PATCH", "DELETE", "PATCH"):
        await call(method, address, {})
    assert list(dataverse.repeated_creates().values()) == [2]


async def test_a_reset_after_the_effect_is_an_effect_that_nobody_heard_of(call, dataverse):
    row_id = str(uuid4())
    dataverse.faults.add("reset_after", times=1, method="POST", path="numora_invoices")
    with pytest.raises(aiohttp.ClientError):
        await call("POST", "numora_invoices", {"numora_invoiceid": row_id})
    assert (await call("GET", f"numora_invoices({row_id})")).status == 200
    assert (await call("POST", "numora_invoices", {"numora_invoiceid": row_id})).status == 412
    assert len(dataverse.effects_of("numora_invoice", row_id, "create")) == 1


async def test_a_truncated_create_has_no_whole_answer_but_its_effect(call, dataverse):
    dataverse.faults.add("truncated", times=1)
    with pytest.raises(aiohttp.ClientError):
        await call("POST", "numora_invoices", {})
    assert len(dataverse.effects) == 1


async def test_a_fault_can_carry_an_error_code_of_the_database(call, control):
    deadlock = {"kind": "status_before", "status": 500, "code": "0x80044150", "times": 1}
    assert (await control("POST", "faults", deadlock)).status == 201
    answer = await call("POST", "numora_invoices", {})
    assert (answer.status, answer.code) == (500, "0x80044150")


async def test_rows_are_seeded_and_read_by_control_without_effects(call, control, dataverse):
    seeded = await control("POST", "rows", {"table": "account", "rows": [{"name": "Acme"}, {"name": "Zebra"}]})
    assert (seeded.status, len(seeded.json["ids"])) == (201, 2)
    assert [row["name"] for row in (await control("GET", "rows/account")).json["rows"]] == ["Acme", "Zebra"]
    assert dataverse.effects == []
    assert (await control("POST", "rows", {"table": "nobody", "rows": [{}]})).status == 404
    assert (await control("GET", "rows/nobody")).status == 404
    bad = await control("POST", "rows", {"table": "account", "rows": [{"nonsense": 1}]})
    assert (bad.status, bad.json["code"]) == (400, "0x80048d19")


async def test_reset_leaves_the_first_rows_and_the_settings(call, control, dataverse):
    await control("PUT", "settings", {"dop_hint": 9})
    await call("POST", "numora_invoices", {})
    assert (await control("POST", "reset")).status == 204
    state = (await control("GET", "state")).json
    assert (state["rows"]["numora_invoice"], state["rows"]["systemuser"], state["effects"]) == (0, 1, {})
    assert state["settings"]["dop_hint"] == 9


async def test_a_setting_that_does_not_exist_is_refused(control, dataverse):
    assert (await control("PUT", "settings", {"nonsense": 1})).status == 400
    assert (await control("PUT", "settings", {"primary_key_conflict_code": "0x1"})).status == 400
    assert dataverse.settings.primary_key_conflict_code == "0x80060892"
