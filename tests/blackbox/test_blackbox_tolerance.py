"""Surroundings that are a little different: still every document becomes one row, and no key goes astray."""

from typing import Any

import pytest

from tests.blackbox.files import DESIGN_MAPPING
from tests.blackbox.imitations.numora import Doc
from tests.blackbox.world import World, invoice, plain_lines


def add(made: World, number: int = 1, **more: Any) -> Doc:
    return plain_lines(made.numora.add(made.acme.numora_key, invoice(number, **more)))


async def test_the_extra_certificates_are_good_for_every_call(made: World) -> None:
    """Numora, Entra and Dynamics all behind https with a private authority."""
    await made.numora.stop()
    await made.numora.start(made.tls)
    acme = await made.add_tenant()
    await acme.dataverse.stop()
    await acme.dataverse.start(made.tls)
    acme.app = made.entra.apps[acme.app.client_id] = type(acme.app)(
        acme.app.directory, acme.app.client_id, acme.app.secret, acme.dataverse.base
    )
    docs = [add(made, number) for number in range(3)]
    await made.start()
    await made.until(lambda: made.finished(acme))
    made.written_once(acme, docs)
    made.holds()


@pytest.mark.parametrize("trait", ["bare_cells", "sparse_outbox"])
async def test_numora_may_say_less_or_more(made: World, trait: str) -> None:
    acme = await made.add_tenant()
    setattr(made.numora, trait, True)
    docs = [add(made, number) for number in range(3)]
    await made.start()
    await made.until(lambda: made.finished(acme))
    made.written_once(acme, docs)


async def test_dynamics_may_answer_with_the_row(made: World) -> None:
    """201 with the row instead of 204 with its address."""
    acme = await made.add_tenant()
    acme.dataverse.always_represents = True
    docs = [add(made, number) for number in range(3)]
    await made.start()
    await made.until(lambda: made.finished(acme))
    made.written_once(acme, docs)


async def test_document_ids_may_be_anything(made: World) -> None:
    """Ids are opaque: they are encoded in addresses, and two tenants may have the same."""
    acme = await made.add_tenant()
    globex = await made.add_tenant("globex")
    ids = ["0b7f7c0e-6d0a-4a4e-9a57-0d8a3f6b1c2d", "doc 7/ü?#%2F&='", "doc_01jp"]
    docs = [add(made, number, id=id) for number, id in enumerate(ids)]
    others = [
        plain_lines(made.numora.add(globex.numora_key, invoice(number, "globex", id=id)))
        for number, id in enumerate(ids)
    ]
    await made.start()
    await made.until(lambda: made.finished(acme) and made.finished(globex))
    made.written_once(acme, docs)
    made.written_once(globex, others)
    rows = [set(tenant.dataverse.rows["numora_invoice"]) for tenant in (acme, globex)]
    assert not rows[0] & rows[1]


async def test_a_redirect_never_carries_the_key_away(made: World) -> None:
    await made.add_tenant()
    stranger = await made.add_tenant("stranger")
    del made.tenants["stranger"]
    made.numora.redirect_results = stranger.dataverse.base
    add(made)
    await made.start()
    await made.until(lambda: bool(made.numora.sent("GET", "/result")))
    await made.bridge.call("POST", "/v1/tenants/acme/documents/doc_acme_0001/deliver", {"wait": 2})
    assert not [seen for seen in stranger.dataverse.requests if "sk_live_" in str(seen.headers)]
    await stranger.dataverse.stop()


async def test_a_missing_vendor_is_created_once_for_all_who_need_it(made: World) -> None:
    """missing: create, with answers lost, and many documents that ask at the same moment."""
    acme = await made.add_tenant()
    made.mapping_files["design.yaml"] = DESIGN_MAPPING.replace("missing: skip  ", "missing: create").split("tests:")[0]
    for number in range(12):
        add(made, number, metadata={"vendor_code": f"V-{7 + number % 2}"})
    acme.dataverse.faults.only = lambda seen: seen.method == "POST" and seen.path.endswith("/accounts")
    acme.dataverse.faults.queue = ["reset_after", "status_after", "reset_before"]
    await made.start()
    await made.until(lambda: made.finished(acme))
    made_accounts = [row for row in acme.dataverse.rows["account"].values() if row["accountnumber"] != "V-1"]
    assert sorted(row["accountnumber"] for row in made_accounts) == ["V-7", "V-8"]
    assert len(acme.dataverse.rows["numora_invoice"]) == 12
    made.holds()


async def test_after_a_lost_answer_the_row_is_read_before_anything_is_sent_again(made: World) -> None:
    acme = await made.add_tenant()
    doc = add(made)
    acme.dataverse.faults.only = lambda seen: seen.method == "POST"
    acme.dataverse.faults.queue = ["reset_after"]
    await made.start()
    await made.until(lambda: made.finished(acme))
    requests = acme.dataverse.requests
    after = requests[requests.index(acme.dataverse.sent("POST", "numora_invoices")[0]) + 1 :]
    assert after[0].method == "GET"
    assert "numora_invoices(" in after[0].path
    assert len(acme.dataverse.sent("POST", "numora_invoices")) == 1
    made.written_once(acme, [doc])


@pytest.mark.soak
async def test_killed_at_random_with_an_alternate_key_and_corrections(made: World) -> None:
    """Documents are corrected while the process is killed again and again: each correction has its effect once."""
    acme = await made.add_tenant()
    made.mapping_files["design.yaml"] = DESIGN_MAPPING.replace(
        "{by: primary_key}", "{by: alternate_key, column: numora_externalkey}"
    )
    acme.dataverse.latency = made.numora.latency = 0.02
    docs = [add(made, number) for number in range(40)]
    await made.start()
    await made.until(lambda: made.finished(acme))
    acme.dataverse.effects.clear()
    for doc in docs:
        lines = [{"id": "li_9", "description": "New", "amount": "1.00"}]
        made.numora.review_again(doc, fields={**doc.fields, "total_amount": "2.00"}, line_items=lines)
    for kill in range(12):
        seen = len(acme.dataverse.requests)
        await made.until(lambda seen=seen, kill=kill: len(acme.dataverse.requests) > seen + kill or made.finished(acme))  # type: ignore[misc]
        await made.bridge.kill()
        await made.bridge.start(wait=False)
    await made.until(lambda: made.finished(acme))
    kinds = [(effect.kind, effect.table) for effect in acme.dataverse.effects]
    assert kinds.count(("update", "numora_invoice")) == 40
    assert kinds.count(("create", "numora_invoiceline")) == 40
    assert kinds.count(("delete", "numora_invoiceline")) == 80
    assert all([one["status"] for one in doc.callbacks] == ["succeeded", "succeeded"] for doc in docs)
    made.holds()
