"""Stopping, and a ledger that takes no entries: nothing is lost, nothing is sent that was not written down."""

from pathlib import Path

import pytest
from pipeline_stage import Stage, staged, states

from bridge.delivery.model import State, Step
from bridge.ledger.protocol import LedgerFullError, Save
from bridge.sandbox import SandboxWorld


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


async def test_nothing_is_written_to_the_destination_while_the_ledger_is_full(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once there is room again the delivery goes on by itself."""
    monkeypatch.setattr("bridge.pipeline.worker._LEDGER_PAUSE", 0.02)
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


async def test_an_error_that_nobody_foresaw_is_shown_and_tried_again(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A bug of ours costs a try, not a document."""
    destination = stage.runtime.lines["acme"].lane.destination
    write = destination.write
    failures = 2

    async def stumble(*arguments: object) -> object:
        nonlocal failures
        if failures:
            failures -= 1
            raise ZeroDivisionError("made up")
        return await write(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(destination, "write", stumble)
    document = stage.invoice()
    delivery = await stage.delivered(document)

    assert (delivery.state, delivery.attempts) == (State.SUCCEEDED, 3)
    attempts = await stage.ledger.attempts(delivery.id)
    assert [attempt.code for attempt in attempts] == ["internal_error", "internal_error", None]
