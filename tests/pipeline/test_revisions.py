"""What becomes of documents that are listed again: replayed, left alone, corrected or superseded."""

from decimal import Decimal
from pathlib import Path

import pytest
from pipeline_stage import Stage, staged, states

from bridge.delivery.model import State
from bridge.sandbox import SandboxWorld
from connectors.numora.sandbox import OutboxRules
from connectors.sandbox.faults import FaultKind


def bodies(stage: Stage) -> list[bytes]:
    """Return the reports that Numora received, in order."""
    return [callback.body for callback in stage.world.workspace("acme").callbacks]


async def test_a_reviewed_document_becomes_one_row_and_is_reported(stage: Stage) -> None:
    """The main job."""
    document = stage.invoice(lines=3)

    delivery = await stage.delivered(document)

    [row] = stage.rows()
    assert (delivery.state, delivery.operation, delivery.attempts) == (State.SUCCEEDED, "created", 1)
    assert row["numora_invoiceid"] == delivery.record_id
    assert row["numora_total"] == Decimal(str(document.fields["total_amount"]["value"]).replace(",", ""))
    assert len(stage.rows("numora_invoiceline")) == 3
    assert document.status == "push_succeeded"
    assert len(bodies(stage)) == 1


async def test_a_delivered_document_that_is_listed_again_gets_the_same_bytes_and_no_write(stage: Stage) -> None:
    """The report may not have arrived; the row has."""
    stage.world.numora.outbox = OutboxRules(stale_polls=3)
    document = stage.invoice()
    await stage.delivered(document)
    effects = len(stage.world.dataverse.effects)

    await stage.delivered(document)

    first, second = bodies(stage)
    assert first == second
    assert len(stage.world.dataverse.effects) == effects
    assert len(await stage.deliveries(document)) == 1


@pytest.mark.parametrize("outcome", [State.SUCCEEDED, State.FAILED])
async def test_an_outcome_that_numora_could_not_be_told_is_told_once_it_lists_the_document_again(
    stage: Stage, outcome: State
) -> None:
    """The same bytes, and no write: nobody has to find the parked delivery after an outage longer than the schedule."""
    document = stage.invoice()
    if outcome is State.FAILED:
        stage.world.workspace("acme").amend(document.id, fields={**document.fields, "invoice_date": None})
    stage.world.numora.faults.add("status_after", rate=1.0, path=r"/delivery$", status=503)
    stage.world.numora.outbox = OutboxRules(stale_polls=3)
    parked = await stage.delivered(document)
    assert parked.error is not None
    assert (parked.state, parked.error.code) == (State.PARKED, "report_undeliverable")
    effects = len(stage.world.dataverse.effects)

    stage.world.numora.faults.clear()
    delivery = await stage.delivered(document)

    assert (delivery.id, delivery.state, delivery.attempts) == (parked.id, outcome, 1)
    assert (delivery.error and delivery.error.code) == (None if outcome is State.SUCCEEDED else "required_missing")
    assert len(set(bodies(stage))) == 1
    assert len(stage.world.dataverse.effects) == effects


@pytest.mark.parametrize(
    ("fault", "parameters"),
    [("reset_after", {}), ("status_after", {"status": 503}), ("status_before", {"status": 503})],
)
async def test_a_correction_whose_answer_was_lost_is_told_as_a_correction(
    stage: Stage, fault: FaultKind, parameters: dict[str, int]
) -> None:
    """The row is as it should be when it is read again, and it was the bridge that made it so."""
    document = stage.invoice()
    await stage.delivered(document)
    done = len(stage.world.dataverse.effects)
    fields = {**document.fields, "invoice_number": "INV-CORRECTED"}
    stage.world.workspace("acme").amend(document.id, fields=fields)
    lost = stage.world.dataverse.faults.add(fault, times=1, path=r"\$batch$", **parameters)

    delivery = await stage.delivered(document)

    assert lost.struck == 1
    assert (delivery.state, delivery.operation) == (State.SUCCEEDED, "updated")
    assert len(stage.world.dataverse.effects) == done + 1


async def test_a_row_that_a_person_made_equal_is_told_as_unchanged(stage: Stage) -> None:
    """An attempt that only failed to read has corrected nothing."""
    document = stage.invoice()
    first = await stage.delivered(document)
    fields = {**document.fields, "invoice_number": "INV-CORRECTED"}
    stage.world.workspace("acme").amend(document.id, fields=fields)
    stage.world.dataverse.store.rows["numora_invoice"][str(first.record_id)].values["numora_name"] = "INV-CORRECTED"
    stage.world.dataverse.faults.add("status_before", times=1, path=r"numora_invoices\(", status=503)

    delivery = await stage.delivered(document)

    assert (delivery.state, delivery.operation) == (State.SUCCEEDED, "unchanged")


async def test_an_outcome_that_numora_could_not_be_told_waits_for_a_listing_or_a_person(stage: Stage) -> None:
    """While Numora is away the delivery stays parked, and says why."""
    document = stage.invoice()
    stage.world.numora.faults.add("status_before", rate=1.0, path=r"/delivery$", status=503)
    await stage.delivered(document)

    delivery = await stage.delivered(document)

    assert delivery.error is not None
    assert (delivery.state, delivery.error.code) == (State.PARKED, "report_undeliverable")


async def test_a_delivered_document_that_numora_refuses_to_show_again_stays_delivered(
    stage: Stage, caplog: pytest.LogCaptureFixture
) -> None:
    """It is asked for once for each listing; that is no error of the bridge's."""
    stage.world.numora.outbox = OutboxRules(stale_polls=3)
    document = stage.invoice()
    await stage.delivered(document)
    refused = stage.world.numora.faults.add("status_before", rate=1.0, path=r"/result$", status=422)

    delivery = await stage.delivered(document)

    assert (delivery.state, delivery.error) == (State.SUCCEEDED, None)
    assert refused.struck == 1
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_a_pause_is_no_try_when_a_document_is_listed_again(world: SandboxWorld, tmp_path: Path) -> None:
    """However often Numora asks for one, the correction is found in the end."""
    async with staged(world, tmp_path, schedule=("0s",)) as stage:
        document = stage.invoice()
        await stage.delivered(document)
        fields = {**document.fields, "invoice_number": "INV-CORRECTED"}
        stage.world.workspace("acme").amend(document.id, fields=fields)
        stage.world.numora.faults.add("throttle", times=2, path=r"/result$", retry_after=1)

        await stage.delivered(document)

        assert [row["numora_name"] for row in stage.rows()] == ["INV-CORRECTED"]


async def test_a_rejected_document_is_left_alone_however_often_it_is_listed(stage: Stage) -> None:
    """Also though our own report moved its ``updated_at``."""
    document = stage.invoice()
    stage.world.workspace("acme").amend(document.id, fields={**document.fields, "invoice_date": None})
    rejected = await stage.delivered(document)
    assert rejected.state is State.FAILED

    for _ in range(3):
        assert await stage.delivered(document) == rejected.evolve(
            seen_at=(now := (await stage.deliveries(document))[0]).seen_at, token=now.token, listing=now.listing
        )

    assert len(bodies(stage)) == 1
    assert stage.rows() == []


async def test_a_corrected_document_updates_its_row_and_nothing_else(stage: Stage) -> None:
    """Lines are changed, added and removed; a line that somebody added by hand stays."""
    document = stage.invoice(lines=3)
    first = await stage.delivered(document)
    by_hand = {
        "numora_Invoice@odata.bind": f"/numora_invoices({first.record_id})",
        "numora_description": "added in Dynamics",
    }
    stage.world.dataverse.seed("numora_invoiceline", [by_hand])
    kept, changed, _ = document.line_items
    new = {**kept, "id": "li_new"}
    stage.world.workspace("acme").amend(
        document.id,
        fields={**document.fields, "invoice_number": {"value": "INV-CORRECTED", "confidence": 0.99}},
        line_items=[kept, {**changed, "description": {"value": "other", "confidence": 0.9}}, new],
    )

    second = await stage.delivered(document)

    assert states(await stage.deliveries(document)) == [State.SUCCEEDED, State.SUCCEEDED]
    assert (second.operation, second.record_id) == ("updated", first.record_id)
    assert [row["numora_name"] for row in stage.rows()] == ["INV-CORRECTED"]
    described = sorted(str(row["numora_description"]) for row in stage.rows("numora_invoiceline"))
    assert len(described) == 4
    assert "added in Dynamics" in described
    assert "other" in described
    kinds = [effect.kind for effect in stage.world.dataverse.effects_of("numora_invoice")]
    assert kinds == ["create", "update"]
    assert len({callback.execution_id for callback in stage.world.workspace("acme").callbacks}) == 2


async def test_a_document_that_went_back_to_review_is_superseded_and_delivered_once_reviewed(stage: Stage) -> None:
    """No row, no report; and after the next approval it is delivered as if nothing had been."""
    document = stage.invoice()
    faults = stage.world.numora.faults
    faults.add("hang", times=1, path=r"/result$", delay=30)
    await stage.poll()
    await faults.until_struck(kind="hang")
    stage.world.workspace("acme").send_back(document.id)
    faults.release()

    await stage.at_rest()

    assert states(await stage.deliveries(document)) == [State.SUPERSEDED]
    assert (stage.rows(), bodies(stage)) == ([], [])
    stage.world.workspace("acme").amend(document.id)
    delivery = await stage.delivered(document)
    assert states(await stage.deliveries(document)) == [State.SUCCEEDED, State.SUPERSEDED]
    assert delivery.operation == "created"


async def test_a_document_without_a_mapping_is_reported_and_delivered_once_there_is_one(stage: Stage) -> None:
    """The reviewer cannot mend it, and sees why; the operator mends it, and nobody has to ask for the document."""
    tenant_file = stage.folder / "tenants" / "acme.yaml"
    text = tenant_file.read_text()
    tenant_file.write_text(text.replace("  invoice_v2: invoice_v2.dataverse.yaml\n", ""))
    await stage.reload()
    document = stage.invoice()
    failed = await stage.delivered(document)
    assert failed.error is not None
    assert (failed.state, failed.error.code) == (State.FAILED, "no_mapping")

    tenant_file.write_text(text)
    await stage.reload()
    await stage.until(lambda deliveries: states(deliveries) == [State.SUCCEEDED])

    assert len(stage.rows()) == 1
    assert len(bodies(stage)) == 2


@pytest.mark.parametrize("pinned", [False, True])
async def test_a_retry_uses_the_newest_mapping_or_the_one_that_was_used(stage: Stage, pinned: bool) -> None:
    """A person may ask for either."""
    document = stage.invoice()
    stage.world.workspace("acme").amend(document.id, duplicate_of="doc-0")
    skipped = await stage.delivered(document)
    assert skipped.state is State.SKIPPED
    shipped = stage.config.tenants["acme"].mappings["invoice_v2"].text
    untested = shipped.partition("\ntests:")[0]
    stage.rewrite_mapping("invoice_v2", untested.replace("duplicate: skip ", "duplicate: deliver "))
    await stage.reload()

    await stage.service.retry("acme", skipped.id, pinned=pinned)
    await stage.at_rest()

    [delivery] = await stage.deliveries(document)
    assert delivery.state is (State.SKIPPED if pinned else State.SUCCEEDED)
    assert delivery.attempts == 2


async def test_a_correction_that_is_approved_during_a_slow_write_is_delivered_as_well(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Numora takes the report of the old content for the new one's, and does not list the document any more."""
    monkeypatch.setattr("bridge.pipeline.runner.RECENT", -1)
    faults = stage.world.dataverse.faults
    faults.add("hang", times=1, method="POST", path="/numora_invoices")
    document = stage.invoice()
    await stage.poll()
    await faults.until_struck()
    corrected = {**document.fields, "invoice_number": {"value": "INV-CORRECTED", "confidence": 0.99}}
    stage.world.workspace("acme").amend(document.id, fields=corrected)
    faults.release()
    await stage.until(lambda found: len(found) == 2 and all(one.at_rest for one in found))

    [row] = stage.rows()
    assert row["numora_name"] == "INV-CORRECTED"
    assert [one.operation for one in await stage.deliveries(document)] == ["updated", "created"]
    assert document.status == "push_succeeded"
