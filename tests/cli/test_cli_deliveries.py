"""``deliveries``: list, show and retry, alone and beside a running service."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.sandbox import SandboxWorld
from connectors.numora.sandbox import sample_documents
from tests.cli.cli_process import command, serving

Configured = Callable[..., Path]


@pytest.fixture
async def config(world: SandboxWorld, configured: Configured) -> Path:
    """Give a ledger with three deliveries, the first document's one rejected."""
    documents = sample_documents(3)
    documents[0].fields["invoice_date"] = {"value": "soon"}
    for document in documents:
        world.workspace("acme").add(document)
    folder = configured()
    polled = await command("poll", "--config", str(folder), "--tenant", "acme")
    assert polled.out.endswith("acme: 2 succeeded, 1 failed\n"), polled.everything
    return folder


async def failed_one(config: Path) -> str:
    listed = await command("deliveries", "list", "--config", str(config), "--state", "failed", "--json")
    (delivery,) = json.loads(listed.out)["data"]
    return str(delivery["id"])


async def test_deliveries_are_listed_by_what_is_asked_for(config: Path) -> None:
    listed = await command("deliveries", "list", "--config", str(config))
    assert listed.code == 0
    assert [line.split()[4] for line in listed.out.splitlines()[1:]].count("succeeded") == 2
    wanted = ("--tenant", "acme", "--state", "failed,parked", "--error-code", "not_a_date")
    failed = await command("deliveries", "list", "--config", str(config), *wanted)
    assert len(failed.out.splitlines()) == 2
    assert "[not_a_date]" in failed.out
    nothing = await command("deliveries", "list", "--config", str(config), "--document-id", "no-such")
    assert (nothing.code, nothing.out) == (0, "There is no such delivery.\n")
    one = await command("deliveries", "list", "--config", str(config), "--limit", "1", "--json")
    assert len(json.loads(one.out)["data"]) == 1


async def test_a_delivery_is_shown_with_its_attempts_and_requests(config: Path) -> None:
    delivery = await failed_one(config)
    shown = await command("deliveries", "show", "--config", str(config), delivery)
    assert shown.code == 0
    assert f"{delivery}: failed" in shown.out
    assert "rejected" in shown.out
    assert "callback" in shown.out
    detail = json.loads((await command("deliveries", "show", "--config", str(config), delivery, "--json")).out)
    assert [attempt["outcome"] for attempt in detail["attempt_log"]] == ["rejected"]
    assert [request["purpose"] for request in detail["requests"]] == ["result", "lookup in account", "callback"]


async def test_a_retry_queues_again_and_the_next_poll_delivers(config: Path, world: SandboxWorld) -> None:
    delivery = await failed_one(config)
    looked = await command("deliveries", "retry", "--config", str(config), "--tenant", "acme", "--dry-run")
    assert looked.out == f"acme: 1 would be made once more\n  {delivery}\n"
    retried = await command("deliveries", "retry", "--config", str(config), delivery)
    assert retried.code == 0, retried.everything
    assert retried.out == f"{delivery} is queued: `serve` or `poll` delivers it.\n"
    listed = await command("deliveries", "list", "--config", str(config), "--state", "queued")
    assert delivery in listed.out
    polled = await command("poll", "--config", str(config), "--tenant", "acme")
    assert polled.out.endswith("acme: 1 failed\n")
    conflicts = [callback for callback in world.workspace("acme").callbacks if callback.verdict == "conflict"]
    assert not conflicts


async def test_beside_a_running_service_a_retry_is_passed_on(config: Path) -> None:
    delivery = await failed_one(config)
    async with serving(config):
        one = await command("deliveries", "retry", "--config", str(config), delivery)
        shown = await command("deliveries", "show", "--config", str(config), delivery)
        many = await command(
            "deliveries", "retry", "--config", str(config), "--error-code", "not_a_date", "--mapping", "same"
        )
    assert one.code == 0, one.everything
    assert "passed on to the running service" in one.out
    assert "the service delivers it now" in one.out
    assert shown.code == 0
    assert many.code == 0, many.everything


async def test_what_is_not_there_and_what_makes_no_sense_is_told(config: Path) -> None:
    unknown = await command("deliveries", "show", "--config", str(config), "dlv_unknown")
    assert unknown.code == 1
    assert "There is no delivery 'dlv_unknown' in the ledger." in unknown.err
    misspelt = await command("deliveries", "list", "--config", str(config), "--state", "faild")
    assert misspelt.code == 2
    assert "Did you mean 'failed'?" in misspelt.err
    assert (await command("deliveries", "retry", "--config", str(config))).code == 2
    assert (await command("deliveries", "retry", "--config", str(config), "dlv_1", "--state", "failed")).code == 2


async def test_without_a_ledger_it_is_said_that_there_is_none_yet(configured: Configured) -> None:
    listed = await command("deliveries", "list", "--config", str(configured()))
    assert listed.code == 1
    assert "There is no ledger at " in listed.err
