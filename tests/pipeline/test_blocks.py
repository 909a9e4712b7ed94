"""A side that refuses us is paused and probed; documents wait, and whoever looks sees why."""

import asyncio
from importlib.resources import files
from itertools import pairwise
from pathlib import Path

import pytest
from pipeline_stage import Stage, staged, states

from bridge.delivery.model import State, Step
from bridge.pipeline.gates import Gates, Side
from bridge.sandbox import SandboxWorld
from connectors.dataverse.sandbox import DataverseSandbox
from connectors.outcome import BlockedError

LIBRARY = Path(str(files("mappings"))) / "library"


def shipped_mapping(schema: str) -> str:
    """Return the text of a shipped mapping file, without its tests."""
    return (LIBRARY / f"{schema}.dataverse.yaml").read_text().partition("\ntests:")[0]


class Hand:
    """A clock's hand, in milliseconds."""

    def __init__(self) -> None:
        self.now = 0

    def __call__(self) -> int:
        """Return the time."""
        return self.now


def test_a_block_is_told_once_when_it_begins_and_once_when_it_ends() -> None:
    """However many deliveries run into it."""
    told: list[tuple[str, bool]] = []
    gates = Gates(Hand(), 30_000, lambda block, begins: told.append((block.code, begins)))

    for _ in range(3):
        gates.block(Side.SOURCE, BlockedError("unauthorized", "no"))
    gates.clear(Side.SOURCE)
    gates.clear(Side.SOURCE)

    assert told == [("unauthorized", True), ("unauthorized", False)]


def test_probes_begin_soon_and_slow_down_to_the_configured_interval() -> None:
    """One refusal out of many holds a tenant up for a second; an expired key does not hammer the other side."""
    hand = Hand()
    gates = Gates(hand, 10_000, lambda *_: None)
    gates.block(Side.DESTINATION, BlockedError("forbidden", "no"))
    probes = []

    for _ in range(60):
        hand.now += 1000
        if gates.take_probe() is not None:
            probes.append(hand.now)

    assert probes[:5] == [1000, 2000, 4000, 8000, 16000]
    assert {later - earlier for earlier, later in pairwise(probes[5:])} == {10_000}


def test_a_clock_that_goes_back_keeps_no_side_closed() -> None:
    """What was mended meanwhile would wait for as long as the clock went back."""
    hand = Hand()
    hand.now = 86_400_000
    gates = Gates(hand, 10_000, lambda *_: None)
    gates.block(Side.SOURCE, BlockedError("unauthorized", "no"))
    assert gates.take_probe() is None

    hand.now -= 3_600_000
    assert gates.take_probe() is not None
    assert gates.take_probe() is None
    hand.now += 1000
    assert gates.take_probe() is not None


async def test_a_refused_key_at_the_source_pauses_the_tenant_and_its_documents_wait(stage: Stage) -> None:
    """No report, no failed delivery; once the key is good again everything is delivered."""
    document = stage.invoice()
    stage.world.numora.faults.add("unauthorized", rate=1.0, path=r"/result$")
    await stage.poll()
    await stage.until(lambda deliveries: deliveries[0].error is not None)

    [waiting] = await stage.deliveries(document)
    assert (waiting.state, waiting.attempts) == (State.QUEUED, 0)
    status = await stage.service.status("acme")
    assert [(block.side, block.code) for block in status.blocks] == [(Side.SOURCE, "numora_unauthorized")]
    assert not status.healthy

    stage.world.numora.faults.clear()
    await stage.at_rest()

    assert states(await stage.deliveries(document)) == [State.SUCCEEDED]
    assert (await stage.service.status("acme")).blocks == ()
    assert [event.begins for event in stage.blocks] == [True, False]


async def test_a_destination_that_refuses_us_is_told_before_there_is_a_document_for_it(
    world: SandboxWorld, tmp_path: Path
) -> None:
    """Health says why as soon as the mappings are checked at the start, and not only once somebody waits."""
    world.dataverse.faults.add("unauthorized", rate=1.0)
    async with staged(world, tmp_path, probe="10s") as stage:
        await stage.until(lambda _: bool(stage.service.health("acme").blocks))

        [block] = (await stage.service.status("acme")).blocks
        assert (block.side, block.code) == (Side.DESTINATION, "unauthorized")

        world.dataverse.faults.clear()
        document = stage.invoice()
        await stage.poll()
        await stage.at_rest()
        assert states(await stage.deliveries(document)) == [State.SUCCEEDED]
        assert [event.begins for event in stage.blocks] == [True, False]


@pytest.mark.timeout(30)
@pytest.mark.parametrize("side", [Side.SOURCE, Side.DESTINATION])
async def test_a_probe_that_is_long_in_coming_back_leaves_the_bridge_at_rest(
    world: SandboxWorld, tmp_path: Path, side: Side
) -> None:
    """It may take longer than the time until the next one, and holds nobody up meanwhile."""
    system = world.numora if side is Side.SOURCE else world.dataverse
    async with staged(world, tmp_path, probe="50ms") as stage:
        verification = stage.runtime.lines["acme"].verification
        assert verification is not None
        await verification
        hanging = system.faults.add("hang", rate=1.0, delay=1.5)
        worker, turns = stage.runtime.lines["acme"].worker, 0
        turn = worker._turn

        async def counted() -> float:
            nonlocal turns
            turns += 1
            return await turn()

        worker._turn = counted
        worker.lane.gates.block(side, BlockedError("unauthorized", "no"))
        await system.faults.until_struck(kind="hang")

        await asyncio.sleep(0.5)

        assert turns < 10
        assert hanging.struck == 1
        system.faults.clear()


async def test_reports_go_on_while_the_destination_is_blocked(stage: Stage) -> None:
    """A key that the destination refuses is no reason to keep Numora in the dark about what was written."""
    written = stage.invoice(seed=1)
    stage.world.numora.faults.add("status_before", rate=1.0, path=r"/delivery$", status=503, times=3)
    await stage.poll()
    await stage.until(lambda deliveries: deliveries[0].step is Step.REPORT)
    [delivery] = await stage.deliveries(written)
    stage.world.dataverse.api.privileges.take("numora_invoice", "create")
    other = stage.invoice(seed=2)
    await stage.poll()

    await stage.until(lambda deliveries: [d.state for d in deliveries if d.id == delivery.id] == [State.SUCCEEDED])
    await stage.until(lambda deliveries: any(d.error is not None for d in deliveries if d.id != delivery.id))
    [waiting] = await stage.deliveries(other)
    assert waiting.state is not State.FAILED
    assert other.callbacks == []

    stage.world.dataverse.api.privileges.give("numora_invoice", "create")
    await stage.at_rest()
    assert len(stage.rows()) == 2


async def test_a_mapping_that_does_not_fit_holds_up_its_own_schema_and_no_other(
    world: SandboxWorld, tmp_path: Path
) -> None:
    """The message names the file, the line and the nearest column; mending the file sets the documents going."""
    shipped = shipped_mapping("invoice_v2")

    def misspell(folder: Path) -> None:
        text = shipped.replace("numora_total:", "numora_totl:")
        (folder / "mappings" / "invoice_v2.dataverse.yaml").write_text(text)

    async with staged(world, tmp_path, edit=misspell) as stage:
        documents = stage.documents(6)
        await stage.poll()
        await stage.until(lambda found: states(found).count(State.SUCCEEDED) == 4)
        await stage.until(lambda _: bool(stage.service.health("acme").blocks))

        held = [d for d in await stage.deliveries() if d.schema == "invoice_v2"]
        assert not any(d.state.ended for d in held)  # a probe may be at work on one of them
        [block] = (await stage.service.status("acme")).blocks
        assert (block.side, block.schema, block.code) == (Side.MAPPING, "invoice_v2", "mapping_mismatch")
        assert "numora_total" in block.message
        assert "invoice_v2.dataverse.yaml:" in block.message

        stage.rewrite_mapping("invoice_v2", shipped)
        await stage.reload()
        await stage.at_rest()
        assert states(await stage.deliveries()) == [State.SUCCEEDED] * len(documents)


async def test_a_changed_mapping_that_does_not_fit_leaves_the_version_before_in_force(stage: Stage) -> None:
    """Documents go on by the old one, health names file, line and nearest column, and a mended file is taken."""
    shipped = shipped_mapping("invoice_v2")
    before = await stage.delivered(stage.invoice(seed=1))

    stage.rewrite_mapping("invoice_v2", shipped.replace("numora_total:", "numora_totl:"))
    await stage.reload()

    meanwhile = await stage.delivered(stage.invoice(seed=2))
    assert (meanwhile.state, meanwhile.mapping) == (State.SUCCEEDED, before.mapping)
    assert stage.blocks == []
    [finding] = [found for found in stage.service.reload_findings if found.key == "columns.numora_totl"]
    assert (finding.code, finding.severity) == ("unknown_column", "error")
    assert "numora_total" in finding.message

    stage.rewrite_mapping("invoice_v2", shipped.replace("numora_total:", "numora_total: "))
    await stage.reload()
    after = await stage.delivered(stage.invoice(seed=3))
    assert after.state is State.SUCCEEDED
    assert after.mapping != before.mapping
    assert stage.service.reload_findings == ()


async def test_a_changed_mapping_comes_into_force_once_the_target_fits_it(stage: Stage) -> None:
    """Whoever changes the file first and the target afterwards need not touch the file again."""
    stage.world.dataverse.set_key_status("numora_invoice", "numora_externalkey_key", "Pending")
    before = await stage.delivered(stage.invoice(seed=1))
    by_key = "identity: {by: alternate_key, column: numora_externalkey}"
    stage.rewrite_mapping("invoice_v2", shipped_mapping("invoice_v2").replace("identity: {by: primary_key}", by_key))
    await stage.reload()
    assert "Pending" in stage.service.reload_findings[0].message

    stage.world.dataverse.set_key_status("numora_invoice", "numora_externalkey_key", "Active")
    await stage.until(lambda _: not stage.service.reload_findings)
    after = await stage.delivered(stage.invoice(seed=2))
    assert after.state is State.SUCCEEDED
    assert after.mapping != before.mapping


async def test_a_changed_tenant_file_keeps_what_fits_of_its_mappings(stage: Stage) -> None:
    """Any other change of a tenant does not let a mapping in that was refused before."""
    before = await stage.delivered(stage.invoice(seed=1))
    stage.rewrite_mapping("invoice_v2", shipped_mapping("invoice_v2").replace("numora_total:", "numora_totl:"))
    file = stage.folder / "tenants" / "acme.yaml"
    file.write_text(file.read_text().replace("delivery: {concurrency: 8}", "delivery: {concurrency: 7}"))
    assert "concurrency: 7" in file.read_text()
    await stage.reload()

    after = await stage.delivered(stage.invoice(seed=2))
    assert (after.state, after.mapping) == (State.SUCCEEDED, before.mapping)
    assert {found.code for found in stage.service.reload_findings} >= {"unknown_column"}


@pytest.mark.parametrize("dead", ["hangs", "refuses connections"])
async def test_ten_dead_destinations_do_not_hold_up_the_eleventh(
    world: SandboxWorld, tmp_path: Path, dead: str
) -> None:
    """Every tenant has its own places; those of the dead ones stay taken while the healthy one empties its outbox."""
    tenants = [f"tenant{number:02d}" for number in range(11)]
    async with DataverseSandbox() as grave:
        grave.faults.add("hang", rate=1.0)

        def bury(folder: Path) -> None:
            for name in tenants[:10]:
                file = folder / "tenants" / f"{name}.yaml"
                file.write_text(file.read_text().replace(world.dataverse.url, grave.url))

        async with staged(world, tmp_path, *tenants, edit=bury, concurrency=2, schedule=("0s", "90d")) as stage:
            if dead == "refuses connections":
                await grave.stop()
            for name in tenants:
                stage.documents(12, tenant=name)
                await stage.poll(name)

            await stage.at_rest(tenants[10])

            assert states(await stage.deliveries(tenant=tenants[10])) == [State.SUCCEEDED] * 12
            for name in tenants[:10]:
                assert not {State.SUCCEEDED, State.FAILED} & set(states(await stage.deliveries(tenant=name)))
            grave.faults.clear()
