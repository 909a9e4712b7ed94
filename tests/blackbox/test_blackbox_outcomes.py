"""What becomes of a document that cannot simply be written: rejected, skipped, blocked, in conflict, corrected."""

import signal
from decimal import Decimal
from typing import Any

import pytest

from tests.blackbox.files import DESIGN_MAPPING
from tests.blackbox.imitations.dataverse import RefusedError
from tests.blackbox.imitations.numora import Doc
from tests.blackbox.imitations.tables import INVOICE, Column, Key, decimal, money
from tests.blackbox.imitations.wire import Faults
from tests.blackbox.world import World, invoice, plain_lines


def add(made: World, number: int = 1, **more: Any) -> Doc:
    return plain_lines(made.numora.add(made.acme.numora_key, invoice(number, **more)))


async def until_state(made: World, doc: Doc, *states: str) -> dict[str, Any]:
    found: dict[str, Any] = {}

    async def there() -> bool:
        found.update(await made.bridge.delivery(doc.id))
        return found.get("state") in states

    await made.until_told(there)
    return found


async def polls(made: World, count: int) -> None:
    """Wait until the outbox was read so many times more."""
    before = len(made.numora.sent("GET", "/outbox"))
    await made.until(lambda: len(made.numora.sent("GET", "/outbox")) >= before + count)


REJECTED: dict[str, tuple[dict[str, Any], str]] = {
    "a required field is missing": ({"fields": {"invoice_date": None}}, "invoice_date"),
    "a date cannot be read": ({"fields": {"invoice_date": "31/01/2026"}}, "invoice_date"),
    "an amount cannot be read": ({"fields": {"total_amount": "1.234,50"}}, "total_amount"),
    "the confidence is low": ({"fields": {"total_amount": {"value": "1.00", "confidence": 0.5}}}, "total_amount"),
    "the vendor is ambiguous": ({"metadata": {}, "fields": {"vendor_name": "Twins"}}, "vendor_name"),
    "the text is too long": ({"fields": {"invoice_number": "x" * 101}}, "invoice_number"),
    "the amount is out of range": ({"fields": {"total_amount": "999999999999999999.00"}}, "total_amount"),
    "the amount would be rounded": ({"fields": {"total_amount": "1.005"}}, "total_amount"),
}


async def test_a_rejection_names_the_field_and_is_told_once(made: World) -> None:
    """However often the outbox lists it, a rejected document is reported once, and nothing is written."""
    acme = await made.add_tenant()
    for _ in range(2):
        acme.dataverse.seed("account", name="Twins")
    docs = {case: add(made, number, **more) for number, (case, (more, _)) in enumerate(REJECTED.items())}
    await made.start()
    deliveries = {case: await until_state(made, doc, "failed") for case, doc in docs.items()}
    await polls(made, 4)
    for case, (_, named) in REJECTED.items():
        (callback,) = docs[case].callbacks
        assert callback["status"] == "failed"
        assert callback["error_code"] == deliveries[case]["error"]["code"]
        assert named in callback["error_message"]
        assert [problem["field"] for problem in deliveries[case]["problems"]] == [named], case
    assert len(made.numora.posted) == len(docs)
    assert not acme.dataverse.effects
    assert len(await made.bridge.deliveries()) == len(docs)


async def test_all_problems_of_a_document_are_told_at_once(made: World) -> None:
    await made.add_tenant()
    doc = add(made, fields={"invoice_date": "yesterday", "total_amount": {"value": "much", "confidence": 0.2}})
    await made.start()
    delivery = await until_state(made, doc, "failed")
    fields = [problem["field"] for problem in delivery["problems"]]
    assert {"invoice_date", "total_amount"} <= set(fields)
    assert all(set(problem) >= {"field", "column", "code", "message"} for problem in delivery["problems"])
    assert "invoice_date" in doc.callbacks[0]["error_message"]
    assert "total_amount" in doc.callbacks[0]["error_message"]


async def test_what_dynamics_cannot_take_is_told_together_with_what_the_mapping_refuses(made: World) -> None:
    """One trip to the reviewer: a date, an amount out of the column's range, a vendor that stands there twice."""
    acme = await made.add_tenant()
    for _ in range(2):
        acme.dataverse.seed("account", name="Twins")
    wrong = {"invoice_date": "yesterday", "total_amount": "999999999999999999.00", "vendor_name": "Twins"}
    doc = add(made, metadata={}, fields=wrong)
    await made.start()
    delivery = await until_state(made, doc, "failed")
    told = [(problem["field"], problem["code"]) for problem in delivery["problems"]]
    assert told == [
        ("invoice_date", "not_a_date"),
        ("total_amount", "out_of_range"),
        ("vendor_name", "lookup_ambiguous"),
    ]
    assert delivery["error"]["code"] == doc.callbacks[0]["error_code"] == "not_a_date"
    assert all(name in doc.callbacks[0]["error_message"] for name in wrong)
    assert not acme.dataverse.effects


async def test_a_rejection_does_not_wait_for_a_dynamics_that_is_down(made: World) -> None:
    acme = await made.add_tenant()
    first = add(made, 1)
    await made.start()
    await until_state(made, first, "succeeded")
    acme.dataverse.faults = Faults(1.0, ("status_before",))
    doc = add(made, 2, fields={"invoice_date": "yesterday"}, metadata={"vendor_code": "V-404"})
    delivery = await until_state(made, doc, "failed")
    assert [(problem["field"], problem["code"]) for problem in delivery["problems"]] == [("invoice_date", "not_a_date")]
    assert delivery["attempts"] == len(doc.callbacks) == 1


async def test_an_unknown_choice_is_rejected_when_there_is_no_default(made: World) -> None:
    await made.add_tenant()
    made.mapping_files["design.yaml"] = DESIGN_MAPPING.replace(", default: 1", "")
    doc = add(made, fields={"document_type": "pro_forma"})
    await made.start()
    delivery = await until_state(made, doc, "failed")
    assert [problem["field"] for problem in delivery["problems"]] == ["document_type"]


async def test_a_refusal_by_dynamics_about_the_data_is_told_to_the_reviewer(made: World) -> None:
    acme = await made.add_tenant()
    acme.dataverse.before_write = RefusedError(400, "0x80040265", "The posting period is closed.")
    doc = add(made)
    await made.start()
    delivery = await until_state(made, doc, "failed")
    assert doc.callbacks[0]["status"] == "failed"
    assert "posting period" in doc.callbacks[0]["error_message"]
    assert delivery["error"]["code"] == doc.callbacks[0]["error_code"]
    await polls(made, 2)
    assert len(acme.dataverse.sent("POST")) == 1


async def test_a_skipped_document_is_told_once(made: World) -> None:
    """A lookup that finds nothing under missing: skip, and a duplicate, end as skipped, with a callback."""
    acme = await made.add_tenant()
    docs = [
        add(made, 1, metadata={"vendor_code": "V-404"}, listed=True),
        add(made, 2, metadata={}, fields={"vendor_name": "Nobody"}, listed=True),
        add(made, 3, duplicate_of="doc_0", listed=True),
    ]
    await made.start()
    for doc in docs:
        await until_state(made, doc, "skipped")
    await polls(made, 4)
    assert [[one["status"] for one in doc.callbacks] for doc in docs] == [["skipped"]] * 3
    assert len(made.numora.posted) == 3
    assert not acme.dataverse.effects


async def test_a_document_listed_again_after_success_gets_the_same_callback_again(made: World) -> None:
    acme = await made.add_tenant()
    doc = add(made)
    doc.listed = True
    await made.start()
    await made.until(lambda: len(made.numora.posted) >= 3)
    assert len({posted.body for posted in made.numora.posted}) == 1
    made.written_once(acme, [doc])
    made.holds()


async def test_a_document_that_went_back_to_review_is_superseded(made: World) -> None:
    acme = await made.add_tenant()
    doc = add(made)
    doc.status, doc.listed = "review_required", True
    await made.start()
    await until_state(made, doc, "superseded")
    assert not acme.dataverse.effects
    assert not made.numora.posted
    made.numora.review_again(doc)
    await until_state(made, doc, "succeeded")
    doc.listed = None


async def test_a_correction_changes_what_changed_and_nothing_else(made: World) -> None:
    """The same row; only the changed columns; lines changed, added, removed; somebody else's line stays."""
    acme = await made.add_tenant()
    doc = add(made)
    await made.start()
    await until_state(made, doc, "succeeded")
    (row,) = acme.dataverse.rows["numora_invoice"].values()
    id = row["numora_invoiceid"]
    strange = acme.dataverse.seed(
        "numora_invoiceline", numora_description="Added by hand", numora_amount=5, _numora_invoice_value=id
    )
    row["numora_purchaseorder"] = "typed in Dynamics"
    acme.dataverse.effects.clear()
    lines = [
        {"id": "li_1", "description": "Paper 1", "amount": "13.00"},
        {"id": "li_3", "description": "Chair", "amount": "7.00"},
    ]
    made.numora.review_again(doc, fields={**doc.fields, "total_amount": "2,000.00"}, line_items=lines)
    await made.until(lambda: len(doc.callbacks) == 2)
    (after,) = acme.dataverse.rows["numora_invoice"].values()
    assert (after["numora_invoiceid"], after["numora_total"]) == (id, Decimal("2000.00"))
    assert after["numora_purchaseorder"] == "typed in Dynamics"
    found = {line["numora_description"]: line for line in acme.dataverse.rows["numora_invoiceline"].values()}
    assert set(found) == {"Paper 1", "Chair", "Added by hand"}
    assert found["Paper 1"]["numora_amount"] == 13
    assert found["Added by hand"]["numora_invoicelineid"] == strange
    header = [effect for effect in acme.dataverse.effects if effect.table == "numora_invoice"]
    assert [(effect.kind, effect.changed) for effect in header] == [("update", ("numora_total",))]
    kinds = sorted(effect.kind for effect in acme.dataverse.effects if effect.table == "numora_invoiceline")
    assert kinds == ["create", "delete", "update"]
    batch = acme.dataverse.sent("POST", "$batch")[-1]
    assert b"If-Match" in batch.body
    assert [one["status"] for one in doc.callbacks] == ["succeeded", "succeeded"]
    assert len({one["execution_id"] for one in doc.callbacks}) == 2
    assert {one["external_record_id"] for one in doc.callbacks} == {id}
    delivery = await until_state(made, doc, "succeeded")
    assert delivery["operation"] == "updated"
    made.holds()


async def test_a_correction_survives_faults_without_an_effect_twice(made: World) -> None:
    acme = await made.add_tenant()
    docs = [add(made, number) for number in range(10)]
    await made.start()
    await made.until(lambda: made.finished(acme))
    acme.dataverse.effects.clear()
    acme.dataverse.faults.only = lambda seen: seen.path.endswith("$batch")
    acme.dataverse.faults.queue = ["reset_after", "status_after", "reset_before", "html_502", "truncated"] * 2
    for doc in docs:
        lines = [{"id": "li_9", "description": "New", "amount": "1.00"}]
        made.numora.review_again(doc, fields={**doc.fields, "total_amount": "2.00"}, line_items=lines)
    await made.until(lambda: all(len(doc.callbacks) == 2 for doc in docs))
    kinds = [(effect.kind, effect.table) for effect in acme.dataverse.effects]
    assert kinds.count(("update", "numora_invoice")) == 10
    assert kinds.count(("create", "numora_invoiceline")) == 10
    assert kinds.count(("delete", "numora_invoiceline")) == 20
    assert len(kinds) == 40
    made.holds()


async def test_a_rejected_document_is_tried_again_when_it_was_corrected(made: World) -> None:
    acme = await made.add_tenant()
    doc = add(made, fields={"invoice_date": "soon"})
    await made.start()
    await until_state(made, doc, "failed")
    made.numora.review_again(doc, fields={**doc.fields, "invoice_date": "2026-01-31"})
    await made.until(lambda: doc.status == "push_succeeded")
    assert [one["status"] for one in doc.callbacks] == ["failed", "succeeded"]
    assert len(acme.dataverse.count("create", "numora_invoice")) == 1
    made.holds()


async def test_a_document_that_numora_touches_without_a_change_is_written_once(made: World) -> None:
    """A new updated_at with the same content is the same revision."""
    acme = await made.add_tenant()
    doc = add(made)
    await made.start()
    await until_state(made, doc, "succeeded")
    made.numora.review_again(doc)
    await made.until(lambda: len(made.numora.posted) >= 2)
    assert len({posted.body for posted in made.numora.posted}) == 1
    assert not acme.dataverse.count("update", "numora_invoice")
    assert len(acme.dataverse.count("create", "numora_invoice")) == 1


@pytest.mark.parametrize("side", ["dynamics_403", "entra", "numora_401"])
async def test_a_side_that_refuses_us_holds_its_deliveries_and_nothing_is_reported(made: World, side: str) -> None:
    """Blocked: deliveries wait, no callback, the reason is told; when access is back they go on by themselves."""
    acme = await made.add_tenant()
    acme.dataverse.forbidden = side == "dynamics_403"
    made.entra.refusing = side == "entra"
    doc = add(made)
    key = made.numora.customers.pop(acme.numora_key) if side == "numora_401" else {}
    await made.start()

    async def unhealthy() -> bool:
        return not (await made.bridge.tenant())["healthy"]

    await made.until_told(unhealthy)
    blocked = (await made.bridge.tenant())["blocked"]
    assert blocked
    assert blocked[0]["message"]
    assert not made.numora.posted
    assert not acme.dataverse.effects
    readiness = (await made.bridge.call("GET", "/readyz", key=None))[1]
    assert readiness["status"] == "degraded"
    acme.dataverse.forbidden = made.entra.refusing = False
    made.numora.customers |= {acme.numora_key: key} if key else {}
    await made.until(lambda: doc.status == "push_succeeded")

    async def healthy() -> bool:
        return bool((await made.bridge.tenant())["healthy"])

    await made.until_told(healthy)
    made.written_once(acme, [doc])


async def test_a_misspelt_column_blocks_and_names_the_nearest(made: World) -> None:
    await made.add_tenant()
    made.mapping_files["design.yaml"] = DESIGN_MAPPING.replace("  numora_total:", "  numora_totl:").replace(
        "numora_total: 1234.50", "numora_totl: 1234.50"
    )
    doc = add(made)
    await made.start()

    async def told() -> bool:
        return "numora_totl" in str(await made.bridge.tenant())

    await made.until_told(told)
    health = str(await made.bridge.tenant())
    assert (
        "numora_total'" in health or "numora_total " in health or "numora_total?" in health or "numora_total." in health
    )
    assert not made.numora.posted
    made.mapping_files["design.yaml"] = DESIGN_MAPPING
    made.write()
    made.bridge.signal(signal.SIGHUP)
    await made.until(lambda: doc.status == "push_succeeded")


async def test_a_key_that_is_not_active_blocks_until_it_is(made: World) -> None:
    acme = await made.add_tenant()
    made.mapping_files["design.yaml"] = DESIGN_MAPPING.replace(
        "{by: primary_key}", "{by: alternate_key, column: numora_externalkey}"
    )
    active = acme.dataverse.tables["numora_invoice"]
    pending = (Key("numora_externalkey_key", ("numora_externalkey",), "Pending"),)
    acme.dataverse.change(INVOICE.__class__(**{**INVOICE.__dict__, "keys": pending}))
    doc = add(made)
    await made.start()

    async def told() -> bool:
        return "numora_externalkey" in str((await made.bridge.tenant())["blocked"])

    await made.until_told(told)
    assert not acme.dataverse.effects
    assert not made.numora.posted
    acme.dataverse.change(active)
    await made.until(lambda: doc.status == "push_succeeded")


async def test_a_conflict_on_the_callback_is_parked_with_both_bodies(made: World) -> None:
    acme = await made.add_tenant()
    made.numora.callback_conflict = True
    doc = add(made)
    await made.start()
    delivery = await until_state(made, doc, "parked")
    status, whole = await made.bridge.call("GET", f"/v1/tenants/acme/deliveries/{delivery['id']}")
    assert status == 200
    assert "delivery conflict" in str(whole)
    assert delivery["execution_id"] in str(whole)
    await polls(made, 2)
    assert len(made.numora.posted) == 1
    assert len(acme.dataverse.count("create", "numora_invoice")) == 1


@pytest.mark.parametrize("status", [404, 410])
async def test_an_outbox_that_is_not_there_is_said_once_and_documents_are_delivered_on_request(
    made: World, status: int
) -> None:
    acme = await made.add_tenant()
    made.numora.outbox_status = status
    doc = add(made)
    await made.start()
    code, delivery = await made.bridge.call("POST", f"/v1/tenants/acme/documents/{doc.id}/deliver", {"wait": 20})
    assert (code, delivery["state"]) == (200, "succeeded"), delivery
    made.written_once(acme, [doc])
    code, problem = await made.bridge.call("POST", "/v1/tenants/acme/poll")
    assert code >= 400
    assert "trigger: route" in problem["detail"]
    log = made.bridge.log.read_text()
    assert log.count("trigger: route") == 1
    await made.bridge.stop()


# --- amounts


GERMAN = {
    "12.345.678.901.234.567,89": "12345678901234567.89",
    "(12,00)": "-12.00",
    "12,00-": "-12.00",
    "-12,00": "-12.00",
    "1.234,50": "1234.50",
    "0,10": "0.10",
}


async def test_german_amounts_keep_every_digit_on_the_wire(made: World) -> None:
    acme = await made.add_tenant()
    acme.dataverse.change(INVOICE.changed(decimal("numora_total", 2, "-1e20", "1e20")))
    made.mapping_files["design.yaml"] = DESIGN_MAPPING.replace("locale: en_US", "locale: de_DE").split("tests:")[0]
    for number, amount in enumerate(GERMAN):
        add(made, number, fields={"invoice_number": amount, "total_amount": amount}, line_items=[])
    await made.start()
    await made.until(lambda: made.finished(acme))
    bodies = [create.body.decode() for create in acme.dataverse.sent("POST", "numora_invoices")]
    for amount, written in GERMAN.items():
        (body,) = [body for body in bodies if f'"{amount}"' in body]
        shown = body.split('"numora_total":')[1].split(",")[0].strip("} ")
        assert shown == written


async def test_a_number_of_nineteen_digits_arrives_as_it_was_sent(made: World) -> None:
    """An amount that is already a JSON number, and larger than a float can tell apart."""
    acme = await made.add_tenant()
    acme.dataverse.change(INVOICE.changed(decimal("numora_total", 2, "-1e20", "1e20")))
    doc = add(made, fields={"total_amount": Decimal("12345678901234567.89")}, line_items=[])
    whole = add(made, 2, fields={"total_amount": 1234567890123456789}, line_items=[])
    await made.start()
    await until_state(made, doc, "succeeded")
    await until_state(made, whole, "succeeded")
    bodies = b"".join(seen.body for seen in acme.dataverse.sent("POST", "numora_invoices"))
    assert b"12345678901234567.89" in bodies
    assert b"1234567890123456789" in bodies


@pytest.mark.parametrize("column", [money("numora_total"), decimal("numora_total", 2)], ids=["money", "decimal"])
async def test_an_amount_that_the_column_cannot_hold_is_rejected_before_it_is_sent(made: World, column: Column) -> None:
    acme = await made.add_tenant()
    acme.dataverse.change(INVOICE.changed(column))
    doc = add(made, fields={"total_amount": "12,345,678,901,234,567.89"})
    await made.start()
    delivery = await until_state(made, doc, "failed")
    assert [problem["field"] for problem in delivery["problems"]] == ["total_amount"]
    assert not acme.dataverse.sent("POST")
