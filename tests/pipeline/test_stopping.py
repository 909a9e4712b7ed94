"""Stopping, and a ledger that takes no entries: nothing is lost, nothing is sent that was not written down."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from pipeline_stage import Stage, staged, states

from bridge.delivery.model import State, Step
from bridge.ledger.protocol import LedgerFullError, Save
from bridge.sandbox import SandboxWorld
from connectors.numora.sandbox import OutboxRules


async def test_a_stop_hands_back_what_is_on_its_way_and_the_next_start_goes_on(
    world: SandboxWorld, tmp_path: Path
) -> None:
    """The write whose answer was never heard is read before anything is sent again."""
    async with staged(world, tmp_path) as stage:
        document = stage.invoice()
        world.dataverse.faults.add("hang_after", method="POST", path="numora_invoices", times=1, delay=60)
        await stage.poll()
        await world.dataverse.faults.until_struck(kind="hang_after")

        await stage.runtime.stop(0.05)

        [left] = await stage.deliveries(document)
        assert (left.state, left.step, left.lease_until, left.may_exist) == (State.QUEUED, Step.WRITE, None, True)
        world.dataverse.faults.clear()
        await stage.runtime.start()
        await stage.at_rest()

        [delivery] = await stage.deliveries(document)
        assert (delivery.state, delivery.operation) == (State.SUCCEEDED, "created")
        assert len(stage.rows()) == 1
        assert world.dataverse.repeated_creates() == {}


async def test_an_error_that_nobody_foresaw_does_not_stop_a_tenant(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """It is told in the log, and the worker goes on."""
    monkeypatch.setattr("bridge.claim_loop.LEDGER_PAUSE", 0.02)
    claim = stage.ledger.claim
    met = 0

    async def stumbling(*arguments: Any, **options: Any) -> Any:
        nonlocal met
        met += 1
        if met < 3:
            raise RuntimeError("a bug")
        return await claim(*arguments, **options)

    monkeypatch.setattr(stage.ledger, "claim", stumbling)
    document = stage.invoice()
    await stage.delivered(document)

    assert states(await stage.deliveries(document)) == [State.SUCCEEDED]
    assert any("their worker met an unforeseen error" in message for message in caplog.messages)


async def test_nothing_is_written_to_the_destination_while_the_ledger_is_full(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once there is room again the delivery goes on by itself."""
    monkeypatch.setattr("bridge.claim_loop.LEDGER_PAUSE", 0.02)
    document = stage.invoice()
    save = stage.ledger.save
    refused = 0

    async def full(what: Save) -> None:
        nonlocal refused
        if refused < 3:
            refused += 1
            assert stage.rows() == []
            raise LedgerFullError("The disk is full.")
        await save(what)

    monkeypatch.setattr(stage.ledger, "save", full)
    await stage.poll()
    await stage.at_rest()

    assert refused == 3
    assert states(await stage.deliveries(document)) == [State.SUCCEEDED]
    assert len(stage.rows()) == 1


class Stumbling:
    """Takes the place of a method and fails the first times that it is called, as a bug of ours would."""

    def __init__(self, method: Callable[..., Awaitable[Any]], failures: int) -> None:
        self._method = method
        self.failures = failures

    async def __call__(self, *arguments: Any) -> Any:
        """Fail, or do what the method does."""
        if self.failures:
            self.failures -= 1
            raise ZeroDivisionError("made up")
        return await self._method(*arguments)


@pytest.mark.parametrize(("side", "method"), [("destination", "write"), ("source", "fetch"), ("source", "report")])
async def test_an_error_that_nobody_foresaw_costs_a_try_and_not_the_document(
    stage: Stage, monkeypatch: pytest.MonkeyPatch, side: str, method: str
) -> None:
    """Wherever it happens, it is shown and tried again."""
    connector = getattr(stage.runtime.lines["acme"].lane, side)
    stumbling = Stumbling(getattr(connector, method), failures=2)
    monkeypatch.setattr(connector, method, stumbling)

    delivery = await stage.delivered(stage.invoice())

    assert (delivery.state, stumbling.failures) == (State.SUCCEEDED, 0)
    assert len(stage.rows()) == 1


async def test_an_error_that_nobody_foresees_for_ever_is_reported(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The schedule ends it, and the source is told."""
    destination = stage.runtime.lines["acme"].lane.destination
    monkeypatch.setattr(destination, "write", Stumbling(destination.write, failures=1000))

    document = stage.invoice()
    delivery = await stage.delivered(document)

    assert delivery.error is not None
    assert (delivery.state, delivery.error.code) == (State.FAILED, "internal_error")
    assert document.status == "push_failed"


async def test_an_error_that_nobody_foresaw_in_a_recheck_leaves_the_delivery_as_it_was(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It stays delivered, and is looked at again."""
    stage.world.numora.outbox = OutboxRules(stale_polls=3)
    document = stage.invoice()
    await stage.delivered(document)
    source = stage.runtime.lines["acme"].lane.source
    stumbling = Stumbling(source.fetch, failures=2)
    monkeypatch.setattr(source, "fetch", stumbling)

    delivery = await stage.delivered(document)

    assert (delivery.state, stumbling.failures) == (State.SUCCEEDED, 0)
