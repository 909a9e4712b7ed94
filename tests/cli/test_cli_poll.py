"""``poll``: one poll for cron, alone or beside a running service."""

from collections.abc import Callable
from pathlib import Path

from bridge.sandbox import SandboxWorld
from connectors.numora.sandbox import sample_documents
from tests.cli.cli_process import command, serving

Configured = Callable[..., Path]


def add_documents(world: SandboxWorld, count: int, seed: int = 0) -> list[str]:
    documents = sample_documents(count, seed=seed)
    for document in documents:
        world.workspace("acme").add(document)
    return [document.id for document in documents]


def rows(world: SandboxWorld) -> int:
    return sum(len(world.dataverse.rows(f"numora_{table}")) for table in ("invoice", "receipt", "contract"))


async def test_one_poll_delivers_what_is_there_and_the_next_finds_nothing(
    world: SandboxWorld, configured: Configured
) -> None:
    documents = add_documents(world, 4)
    config = str(configured())
    first = await command("poll", "--config", config, "--tenant", "acme")
    assert first.code == 0, first.everything
    assert "ok: acme: 4 documents in the outbox, 4 new" in first.out
    assert all(f"ok: {document}: created, row " in first.out for document in documents)
    assert first.out.endswith("acme: 4 succeeded\n")
    assert rows(world) == 4
    second = await command("poll", "--config", config, "--tenant", "acme")
    assert second.code == 0
    assert second.out.endswith("acme: nothing was due\n")


async def test_a_rejected_document_is_exit_code_1_once(world: SandboxWorld, configured: Configured) -> None:
    """Every problem is told. Listed again unchanged, as Numora does with failed ones, it is no failure of that poll."""
    (document,) = add_documents(world, 1)
    bad = {"invoice_date": {"value": "soon"}, "total_amount": {"value": "much"}}
    world.workspace("acme").amend(document, fields=bad)
    config = str(configured())
    polled = await command("poll", "--config", config, "--tenant", "acme")
    assert polled.code == 1
    assert f"failed: {document}: failed, 2 problems" in polled.out
    assert "[not_a_date]" in polled.out
    assert "[not_an_amount]" in polled.out
    again = await command("poll", "--config", config, "--tenant", "acme")
    assert again.code == 0, again.everything
    assert "1 document in the outbox, 0 new" in again.out


async def test_trouble_with_either_side_is_exit_code_1_and_the_deliveries_wait(
    world: SandboxWorld, configured: Configured
) -> None:
    add_documents(world, 2)
    config = str(configured(schedule=("0s", "1h")))
    world.entra.remove_client(world.tenant("acme").client_id)
    refused = await command("poll", "--config", config, "--tenant", "acme")
    assert refused.code == 1
    assert "failed: acme: its destination is blocked: " in refused.out
    assert "2 deliveries wait in the queue" in refused.out
    await world.numora.stop()
    unreachable = await command("poll", "--config", config, "--tenant", "acme")
    assert unreachable.code == 1
    assert "failed: acme: the outbox cannot be read: " in unreachable.out


async def test_a_tenant_that_is_not_there_is_wrong_usage(configured: Configured) -> None:
    polled = await command("poll", "--config", str(configured()), "--tenant", "acne")
    assert polled.code == 2
    assert "There is no tenant 'acne' in this configuration. Did you mean 'acme'?" in polled.err


async def test_beside_a_running_service_the_poll_is_passed_on(world: SandboxWorld, configured: Configured) -> None:
    """The service polls and delivers; the command follows until everything has come to rest, and says so."""
    config = configured()
    async with serving(config):
        nothing = await command("poll", "--config", str(config), "--tenant", "acme")
        documents = add_documents(world, 5)
        polled = await command("poll", "--config", str(config), "--tenant", "acme")
    assert nothing.code == 0, nothing.everything
    assert nothing.out.endswith("acme: nothing was due\n")
    assert polled.code == 0, polled.everything
    assert "the poll is passed on to the running service" in polled.out
    assert all(f"ok: {document}: created, row " in polled.out for document in documents)
    assert rows(world) == 5


async def test_beside_a_running_service_a_correction_is_followed_to_its_end(
    world: SandboxWorld, configured: Configured
) -> None:
    """It is found by reading the document once more; the command does not say that nothing was due before that."""
    (document,) = add_documents(world, 1)
    config = configured()
    async with serving(config):
        assert (await command("poll", "--config", str(config), "--tenant", "acme")).code == 0
        world.workspace("acme").amend(document, fields={"invoice_date": {"value": "soon"}})
        world.numora.latency = 0.3
        polled = await command("poll", "--config", str(config), "--tenant", "acme")
    assert polled.code == 1, polled.everything
    assert f"failed: {document}: failed: invoice_date: " in polled.out


async def test_beside_a_running_service_a_key_is_needed_to_pass_it_on(
    world: SandboxWorld, configured: Configured
) -> None:
    config = configured(api_keys=())
    tenant_file = config / "tenants" / "acme.yaml"
    tenant_file.write_text(tenant_file.read_text().replace("api_keys: [", "# api_keys: ["))
    async with serving(config):
        polled = await command("poll", "--config", str(config), "--tenant", "acme")
    assert polled.code == 1
    assert "no key for it is configured" in polled.err
