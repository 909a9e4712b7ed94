"""``check`` against a live target: logins, and every mapping against the metadata."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bridge.sandbox import SandboxWorld
from connectors.dataverse.sandbox.shipped import numora_tables
from tests.cli.cli_process import command, command_on_terminal, plain

Configured = Callable[..., Path]


async def test_a_target_that_fits_is_well(configured: Configured) -> None:
    """Every login and every mapping has a line of its own, and the terminal shows marks."""
    config = configured(tenants=("acme", "beta"))
    checked = await command("check", "--config", str(config))
    assert checked.code == 0, checked.everything
    for tenant in ("acme", "beta"):
        assert f"ok: {tenant}: source numora: takes our key" in checked.out
        assert f"ok: {tenant}: destination dataverse: lets us in" in checked.out
        assert f"ok: {tenant}: mapping invoice_v2 (invoice_v2.dataverse.yaml): fits the target" in checked.out
    assert checked.out.endswith("All is well.\n")
    shown = plain((await command_on_terminal("check", "--config", str(config))).out)
    assert "✓ acme: mapping receipt_v1 (receipt_v1.dataverse.yaml): fits the target" in shown


async def test_a_misspelt_column_is_told_with_file_line_and_nearest_name(tmp_path: Path) -> None:
    """The target's maker wrote numora_duedat: the mapping's line is named, and the name that is there."""
    invoice = next(table for table in numora_tables() if table.name == "numora_invoice")
    columns = tuple(
        replace(column, name="numora_duedat") if column.name == "numora_duedate" else column
        for column in invoice.columns
    )
    async with SandboxWorld(tmp_path / "authority", tables=[replace(invoice, columns=columns)]) as world:
        config = world.write_config(tmp_path / "config")
        checked = await command("check", "--config", str(config))
    assert checked.code == 1
    text = (Path("mappings") / "library" / "invoice_v2.dataverse.yaml").read_text().splitlines()
    line = next(number for number, written in enumerate(text, 1) if written.strip().startswith("numora_duedate:"))
    assert f"invoice_v2.dataverse.yaml:{line}:3: error: columns.numora_duedate: " in checked.out
    assert "the nearest is 'numora_duedat'" in checked.out
    assert "failed: acme: mapping invoice_v2 (invoice_v2.dataverse.yaml): does not fit" in checked.out
    assert "ok: acme: mapping receipt_v1 (receipt_v1.dataverse.yaml): fits the target" in checked.out


async def test_a_broken_mapping_that_no_tenant_names_yet_is_told_as_well(configured: Configured) -> None:
    """It is written before a tenant is given it; a bridge that runs is not kept from starting by it."""
    config = configured()
    (config / "mappings" / "draft.yaml").write_text("schema: invoice_v2\ntabel: numora_invoice\n")
    checked = await command("check", "--config", str(config), "--offline")
    assert checked.code == 2
    assert "mappings/draft.yaml:2:1: error: tabel: 'tabel' is not a key here. Did you mean 'table'?" in checked.out
    polled = await command("poll", "--config", str(config), "--tenant", "acme")
    assert polled.code == 0, polled.everything


async def test_refused_logins_are_told_tenant_by_tenant(world: SandboxWorld, configured: Configured) -> None:
    """One tenant's refused key and secret leave the other's checks alone, and no secret is shown."""
    config = configured(tenants=("acme", "beta"))
    beta = world.tenant("beta")
    world.numora.revoke_key(beta.numora_key)
    (config / "secrets" / "beta_dataverse_secret").write_text("another-secret-of-beta\n")
    checked = await command("check", "--config", str(config))
    assert checked.code == 1
    assert "failed: beta: source numora: Numora does not accept the API key" in checked.out
    assert "failed: beta: destination dataverse: Entra gives application" in checked.out
    assert "failed: acme" not in checked.out
    assert "another-secret-of-beta" not in checked.everything
    assert beta.numora_key not in checked.everything


async def test_offline_asks_nobody(world: SandboxWorld, configured: Configured) -> None:
    config = configured()
    checked = await command("check", "--config", str(config / "bridge.yaml"), "--offline")
    assert checked.code == 0
    assert not world.numora.requests.total
    assert not world.entra.requests.total
    assert not world.dataverse.requests.total
