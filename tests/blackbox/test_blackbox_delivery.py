"""Many documents, undisturbed: every row, every callback and every request is as it should be."""

import re

import pytest

from tests.blackbox.imitations.metadata import STYLES
from tests.blackbox.world import World, invoice, plain_lines


async def test_two_hundred_documents_of_two_tenants_become_two_hundred_rows(made: World) -> None:
    """Each tenant's documents become rows of its own Dynamics, once, and each is reported once, with its row's id."""
    acme = await made.add_tenant("acme")
    globex = await made.add_tenant("globex", mappings={"invoice_v2": "invoice_v2.dataverse.yaml"})
    docs = {
        tenant.name: [made.numora.add(tenant.numora_key, invoice(number, tenant.name)) for number in range(100)]
        for tenant in (acme, globex)
    }
    await made.start()
    await made.until(lambda: made.finished(acme) and made.finished(globex))
    for tenant in (acme, globex):
        made.written_once(tenant, [plain_lines(doc) for doc in docs[tenant.name]])
    assert all(row["_ownerid_value"] == acme.team for row in acme.dataverse.rows["numora_invoice"].values())
    assert all(row["numora_kind"] == 1 for row in acme.dataverse.rows["numora_invoice"].values())
    status, page = await made.bridge.call("GET", "/v1/tenants/acme/deliveries?state=succeeded&limit=1")
    assert status == 200
    assert page["data"][0]["operation"] == "created"

    async def told() -> bool:
        return {one["state"] for one in await made.bridge.deliveries("acme")} == {"succeeded"}

    await made.until_told(told)
    assert await made.bridge.stop() == 0
    made.holds()
    made.no_secret_was_written()
    callback = next(seen for seen in made.numora.sent("POST") if seen.path.endswith("/delivery"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", callback.json["attempted_at"])
    assert callback.json["external_url"].startswith(("http://", "https://"))


@pytest.mark.parametrize("style", STYLES)
async def test_metadata_is_understood_in_every_style(made: World, style: str) -> None:
    """Whatever a Dynamics tells about its tables, and in whichever way, is enough to write a row with its lines."""
    acme = await made.add_tenant(style=style)
    docs = [made.numora.add(acme.numora_key, invoice(number)) for number in range(3)]
    await made.start()
    await made.until(lambda: made.finished(acme))
    made.written_once(acme, [plain_lines(doc) for doc in docs])
    made.holds()


async def test_an_authority_without_its_directory_is_completed(made: World) -> None:
    """A national cloud's address alone is enough: the directory is known from tenant_id."""
    made.authority_has_directory = False
    acme = await made.add_tenant()
    doc = made.numora.add(acme.numora_key, invoice(1))
    await made.start()
    await made.until(lambda: made.finished(acme))
    made.written_once(acme, [plain_lines(doc)])


async def test_receipts_and_contracts_go_through_the_shipped_mappings(made: World) -> None:
    acme = await made.add_tenant(
        mappings={name: f"{name}.dataverse.yaml" for name in ("invoice_v2", "receipt_v1", "contract_v1")}
    )
    receipt = invoice(
        1,
        schema="receipt_v1",
        line_items=[],
        fields={"merchant_name": "Corner Café", "receipt_date": "2026-02-05", "payment_method": "Card"},
    )
    contract = invoice(
        2,
        schema="contract_v1",
        line_items=[],
        fields={
            "title": "Office lease",
            "counterparty_name": "ACME Supplies",
            "effective_date": "2026-03-01",
            "signed_at": "2026-02-14T10:30:00+01:00",
            "contract_value": "120,000.00",
            "auto_renewal": "yes",
        },
    )
    for doc in (receipt, contract):
        made.numora.add(acme.numora_key, doc)
    await made.start()
    await made.until(lambda: made.finished(acme))
    (row,) = acme.dataverse.rows["numora_receipt"].values()
    assert (row["numora_merchantname"], row["numora_receiptdate"], row["numora_paymentmethod"]) == (
        "Corner Café",
        "2026-02-05",
        2,
    )
    (row,) = acme.dataverse.rows["numora_contract"].values()
    assert row["_numora_counterparty_value"] == acme.vendor
    assert row["numora_autorenewal"] is True
    assert row["numora_value"] == 120000


async def test_an_alternate_key_identifies_rows_when_asked_for(made: World) -> None:
    acme = await made.add_tenant()
    made.mapping_files["design.yaml"] = made.mapping_files["design.yaml"].replace(
        "{by: primary_key}", "{by: alternate_key, column: numora_externalkey}"
    )
    docs = [made.numora.add(acme.numora_key, invoice(number)) for number in range(5)]
    acme.dataverse.faults.only = lambda seen: seen.method == "POST"
    acme.dataverse.faults.queue = ["reset_after", "status_after"]
    await made.start()
    await made.until(lambda: made.finished(acme))
    made.written_once(acme, [plain_lines(doc) for doc in docs])
    for row in acme.dataverse.rows["numora_invoice"].values():
        assert re.fullmatch(r"[0-9a-f]+", row["numora_externalkey"])
    made.holds()


@pytest.mark.parametrize(
    "taken", [(412, "0x80060892"), (412, "0x80040237"), (400, "0x80040237"), (500, "0x80073002"), (412, "")]
)
async def test_a_taken_key_in_any_dress_is_our_own_row(made: World, taken: tuple[int, str]) -> None:
    """The answer to the first create was lost; whatever the second one is told, there is one row and one success."""
    acme = await made.add_tenant()
    acme.dataverse.taken = taken
    doc = made.numora.add(acme.numora_key, invoice(1))
    acme.dataverse.faults.only = lambda seen: seen.method == "POST"
    acme.dataverse.faults.queue = ["status_after"]
    await made.start()
    await made.until(lambda: made.finished(acme))
    made.written_once(acme, [plain_lines(doc)])


async def test_many_lines_go_as_one_change_set(made: World) -> None:
    """Above what one nested insert takes, header and lines are still one transaction."""
    acme = await made.add_tenant()
    lines = [{"id": f"li_{number}", "description": f"Line {number}", "amount": "1.00"} for number in range(300)]
    doc = made.numora.add(acme.numora_key, invoice(1, line_items=lines))
    acme.dataverse.nested_limit = 50
    await made.start()
    await made.until(lambda: made.finished(acme))
    made.written_once(acme, [doc])
    assert any(seen.path.endswith("$batch") for seen in acme.dataverse.requests)


async def test_a_result_address_on_another_origin_never_gets_the_key(made: World) -> None:
    """Numora's key goes to Numora's origin only, whatever the outbox says."""
    acme = await made.add_tenant()
    stranger = await made.add_tenant("stranger")
    del made.tenants["stranger"]
    made.numora.foreign_result_url = stranger.dataverse.base
    made.numora.add(acme.numora_key, invoice(1))
    await made.start()
    await made.bridge.call("POST", "/v1/tenants/acme/poll")
    await made.bridge.call("POST", "/v1/tenants/acme/documents/doc_acme_0001/deliver", {"wait": 5})
    assert await made.bridge.delivery("doc_acme_0001")
    assert not [seen for seen in stranger.dataverse.requests if "authorization" in seen.headers]
    await stranger.dataverse.stop()


async def test_both_places_of_the_cursor_are_read(made: World) -> None:
    acme = await made.add_tenant(poll={"every": "1s", "limit": 10, "cursor_param": "page_token"})
    made.numora.cursor_place = "top"
    made.numora.cursor_param = "page_token"
    docs = [made.numora.add(acme.numora_key, invoice(number)) for number in range(35)]
    await made.start()
    await made.until(lambda: made.finished(acme))
    made.written_once(acme, [plain_lines(doc) for doc in docs])
    assert any("page_token" in seen.query for seen in made.numora.requests)
