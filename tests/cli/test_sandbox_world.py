"""The world of sandboxes that tests, bench and demo are made with."""

from pathlib import Path

from bridge.config.load import load_config
from bridge.sandbox import OPERATOR_KEY, SandboxWorld


async def test_its_configuration_can_be_loaded_and_holds_no_secret_in_clear(
    world: SandboxWorld, tmp_path: Path
) -> None:
    folder = world.write_config(tmp_path / "config", ("acme", "beta"), poll_every="2s", concurrency=3)
    config = load_config(folder, {})
    assert not config.warnings
    assert set(config.tenants) == {"acme", "beta"}
    assert {key.get_secret_value() for key in config.bridge.api_keys} == {OPERATOR_KEY}
    assert set(config.tenants["acme"].mappings) == {"invoice_v2", "receipt_v1", "contract_v1"}
    written = "".join(file.read_text() for file in folder.rglob("*.yaml"))
    assert not any(secret in written for secret in config.secrets())
    assert all(file.stat().st_mode & 0o077 == 0 for file in (folder / "secrets").iterdir())


async def test_its_configuration_may_have_retab_tenants(world: SandboxWorld, tmp_path: Path) -> None:
    config = load_config(world.write_config(tmp_path / "config", ("acme", "beta"), retab=("beta",)), {})
    assert not config.warnings
    assert {name: tenant.config.source.kind for name, tenant in config.tenants.items()} == {
        "acme": "numora",
        "beta": "retab",
    }
    assert world.environment("acme") is not world.environment("beta")


async def test_each_tenant_has_a_workspace_and_an_application_of_its_own(world: SandboxWorld) -> None:
    acme, beta = world.tenant("acme"), world.tenant("beta")
    assert world.workspace("acme") is not world.workspace("beta")
    assert acme.client_id != beta.client_id
    assert world.tenant("acme") == acme


async def test_a_temporary_folder_goes_with_the_world() -> None:
    async with SandboxWorld() as world:
        folder = world.folder
        assert world.ca_file.exists()
    assert not folder.exists()
