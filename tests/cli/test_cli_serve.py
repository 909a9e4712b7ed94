"""``serve`` as a process: it starts, refuses to start twice, and stops when it is told to."""

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from bridge.sandbox import SandboxWorld
from connectors.numora.sandbox import sample_documents
from tests.cli.cli_process import PATIENCE, command, ended, serving
from tests.ports import free_port

Configured = Callable[..., Path]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_stop_in_the_middle_of_work_ends_well_within_ten_seconds(
    world: SandboxWorld, configured: Configured, number: signal.Signals
) -> None:
    """Documents that hang at the destination are handed back; the exit code is 0 and no secret was logged."""
    for document in sample_documents(6):
        world.workspace("acme").add(document)
    world.dataverse.faults.add("hang", method="POST")
    async with serving(configured()) as (_, process):
        async with asyncio.timeout(PATIENCE):
            while not world.dataverse.faults.struck():  # noqa: ASYNC110 - in the sandbox nothing announces it
                await asyncio.sleep(0.02)
        process.send_signal(number)
        async with asyncio.timeout(10):
            stopped = await ended(process)
    assert stopped.code == 0, stopped.err
    assert "Traceback" not in stopped.err
    tenant = world.tenant("acme")
    assert not any(secret in stopped.err for secret in (tenant.numora_key, tenant.client_secret, tenant.api_key))


async def test_an_address_that_is_taken_is_told_in_a_sentence(configured: Configured) -> None:
    config = configured()
    async with serving(config):
        second = await command("serve", "--config", str(config))
    assert second.code == 1
    assert "The bridge cannot listen: " in second.err
    assert "set `listen` in bridge.yaml" in second.err


async def test_a_ledger_that_is_held_is_told_in_a_sentence(configured: Configured) -> None:
    config = configured()
    async with serving(config) as (_, process):
        other = config / "other.yaml"
        text = (config / "bridge.yaml").read_text()
        port = text.partition("port: ")[2].partition("}")[0]
        other.write_text(text.replace(f"port: {port}", f"port: {free_port()}"))
        second = await command("serve", "--config", str(other))
    assert second.code == 1
    assert f"is in use by process {process.pid}" in second.err
