"""``preview``: what a delivery would do, shown and not done."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.sandbox import SandboxWorld
from connectors.numora.sandbox import sample_documents
from tests.cli.cli_process import Ended, command, serving

Configured = Callable[..., Path]


async def test_a_preview_shows_how_each_column_comes_about_and_writes_nothing(
    world: SandboxWorld, configured: Configured
) -> None:
    (document,) = sample_documents(1)
    world.workspace("acme").add(document)
    config = str(configured())
    shown = await command("preview", "--config", config, "--tenant", "acme", document.id)
    assert shown.code == 0, shown.everything
    (line,) = [line for line in shown.out.splitlines() if line.split()[:1] == ["numora_total"]]
    written = document.fields["total_amount"]["value"]
    assert line.split()[1:] == [
        "fields.total_amount",
        written,
        *["as", "decimal", "→", "scale", "2"],
        written.replace(",", ""),
    ]
    assert "numora_Vendor  account  accountnumber = V-" in shown.out
    assert "The row would be created with " in shown.out
    assert not world.dataverse.rows("numora_invoice")
    assert not world.workspace("acme").callbacks


async def test_json_keeps_the_digits_of_amounts(world: SandboxWorld, configured: Configured) -> None:
    (document,) = sample_documents(1)
    document.fields["total_amount"]["value"] = "12,345,678.90"
    world.workspace("acme").add(document)
    shown = await command("preview", "--config", str(configured()), "--tenant", "acme", document.id, "--json")
    assert json.loads(shown.out)["expected"] == {"state": "succeeded", "operation": "created"}
    assert '"numora_total":12345678.90' in shown.out


async def test_beside_a_running_service_the_difference_to_the_row_is_shown(
    world: SandboxWorld, configured: Configured
) -> None:
    (document,) = sample_documents(1)
    world.workspace("acme").add(document)
    config = configured()
    async with serving(config):
        assert (await command("poll", "--config", str(config), "--tenant", "acme")).code == 0
        world.workspace("acme").amend(document.id, fields={"purchase_order": {"value": "PO-NEW"}})
        shown = await command("preview", "--config", str(config), "--tenant", "acme", document.id)
    assert shown.code == 0, shown.everything
    (change,) = [line.split() for line in shown.out.splitlines() if line.endswith("PO-NEW") and " is " not in line][1:]
    assert change[0] == "numora_purchaseorder"
    assert "The row would be updated" in shown.out


async def test_a_document_that_would_be_rejected_is_exit_code_1(world: SandboxWorld, configured: Configured) -> None:
    (document,) = sample_documents(1)
    document.fields["invoice_date"] = {"value": "\x1b[31msoon"}
    world.workspace("acme").add(document)
    config = str(configured())
    shown = await command("preview", "--config", config, "--tenant", "acme", document.id)
    assert shown.code == 1
    assert "failed: invoice_date → numora_invoicedate: " in shown.out
    assert "\x1b" not in shown.out, "a document cannot steer the terminal"
    unknown = await command("preview", "--config", config, "--tenant", "acme", "no-such-document")
    assert unknown.code == 1
    assert "the source has no document 'no-such-document'" in unknown.err


@pytest.mark.parametrize("running", [True, False])
async def test_a_pause_that_the_service_was_asked_for_holds_for_commands_as_well(
    world: SandboxWorld, configured: Configured, *, running: bool
) -> None:
    (document,) = sample_documents(1)
    world.workspace("acme").add(document)
    config = configured()
    async with serving(config):
        world.numora.faults.add("throttle", retry_after=3600, times=1)
        assert (await command("poll", "--config", str(config), "--tenant", "acme")).code == 1
        asked = await _ask(config, document.id) if running else []
    asked = asked or await _ask(config, document.id)
    assert [each.code for each in asked] == [1, 1]
    assert all("asked for a pause" in each.everything for each in asked)
    assert world.numora.violations == 0


async def _ask(config: Path, document_id: str) -> list[Ended]:
    questions = (("preview", "--tenant", "acme", document_id), ("check",))
    return [await command(*question, "--config", str(config)) for question in questions]
