"""What goes on for long: documents listed for ever or reviewed again, and neighbours whose target is dead."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bridge.delivery.model import DeliveryFilter, State
from bridge.sandbox import SHIPPED_MAPPINGS, SandboxWorld
from connectors.dataverse.sandbox.columns import DecimalColumn
from connectors.dataverse.sandbox.shipped import numora_tables
from connectors.dataverse.sandbox.tables import TableSchema
from connectors.numora.sandbox import OutboxRules
from connectors.numora.sandbox.documents import SandboxDocument
from connectors.numora.sandbox.samples import sample_document, sample_documents
from tests.reliability.flow import Flow
from tests.reliability.in_process import RunningBridge, running_bridge, until_all_is_well
from tests.reliability.invariants import Expected, LedgerFacts, content_of, violations

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

LIBRARY = Path(__file__).parents[2] / "mappings" / "library"


def an_invoice(number: int = 1, **fields: str) -> SandboxDocument:
    document = sample_document("invoice_v2", number, Random(number))
    for name, value in fields.items():
        document.fields[name] = {"value": value, "confidence": 1}
    return document


async def polled(world: SandboxWorld, bridge: RunningBridge, tenant: str, times: int) -> None:
    """Poll so many times, and wait each time until everything that came of it is at rest."""
    line = bridge.runtime.lines[tenant]
    for _ in range(times):
        await line.schedule.poll_now()
        while line.worker.in_progress or await bridge.ledger.next_due(tenant, 0) is not None:  # noqa: ASYNC110
            await asyncio.sleep(0)


async def test_a_rejected_document_is_reported_once_however_often_it_is_listed(tmp_path: Path) -> None:
    """Our own callback moves its time of change, and the outbox lists it for ever: still the same revision."""
    async with SandboxWorld(tmp_path / "authority") as world:
        document = world.workspace("acme").add(an_invoice(invoice_date="soon"))
        config = world.write_config(tmp_path / "config", poll_every="1h")
        async with running_bridge(config) as bridge:
            await polled(world, bridge, "acme", 25)
            page = await bridge.ledger.deliveries(DeliveryFilter("acme"), limit=10)
            requests = await bridge.ledger.requests(page.deliveries[0].id)
        assert [(one.state, one.attempts) for one in page.deliveries] == [("failed", 1)]
        assert Counter(one.purpose for one in requests)["callback"] == 1
        assert [one.verdict for one in document.callbacks] == ["accepted"]
        assert world.dataverse.effects == []


async def test_a_delivered_document_that_is_listed_on_is_not_written_again(tmp_path: Path) -> None:
    """The outbox lags behind: each listing is answered with the very callback that was sent before."""
    async with SandboxWorld(tmp_path / "authority", outbox=OutboxRules(stale_polls=10)) as world:
        document = world.workspace("acme").add(an_invoice())
        config = world.write_config(tmp_path / "config", poll_every="1h")
        async with running_bridge(config) as bridge:
            await polled(world, bridge, "acme", 15)
        facts = LedgerFacts.read(bridge.ledger_file)
        expected = Expected("acme", document.id, "succeeded", content_of(document), callbacks=1)
        assert violations(world, facts, [expected]) == []
        assert Counter(one.verdict for one in document.callbacks) == {"accepted": 1, "replayed": 10}


async def test_a_document_corrected_after_re_review_updates_its_one_row(tmp_path: Path) -> None:
    """Sent back and forth ten times, it is one row that holds the latest content."""
    async with SandboxWorld(tmp_path / "authority") as world:
        workspace = world.workspace("acme")
        document = workspace.add(an_invoice())
        config = world.write_config(tmp_path / "config", poll_every="1h")
        async with running_bridge(config) as bridge:
            await polled(world, bridge, "acme", 1)
            for number in range(10):
                workspace.send_back(document.id)
                await polled(world, bridge, "acme", 1)
                workspace.amend(document.id, fields={"total_amount": {"value": f"{number}.25", "confidence": 1}})
                await polled(world, bridge, "acme", 1)
        expected = Expected("acme", document.id, "succeeded", content_of(document), revisions=11, callbacks=11)
        assert violations(world, LedgerFacts.read(bridge.ledger_file), [expected]) == []
        header = world.dataverse.effects_of("numora_invoice")
        assert [(one.kind, one.columns) for one in header[1:]] == [("update", ("numora_total",))] * 10
        assert {one.kind for one in world.dataverse.effects_of("numora_invoiceline")} == {"create"}


async def test_a_correction_that_comes_while_the_report_waits_is_not_lost(tmp_path: Path) -> None:
    """Numora takes the late report for the correction's and lists it no more; the bridge looks by itself."""
    async with SandboxWorld(tmp_path / "authority") as world:
        workspace = world.workspace("acme")
        document = workspace.add(an_invoice())
        fault = world.numora.faults.add("status_before", times=1, method="POST", path="/delivery$")
        config = world.write_config(tmp_path / "config", poll_every="1h", schedule=["0s"] * 5)
        async with running_bridge(config) as bridge:

            def amended_in_between() -> bool:
                if fault.struck and "total_amount" not in amended:
                    workspace.amend(document.id, fields={"total_amount": {"value": "8.75", "confidence": 1}})
                    amended.add("total_amount")
                return len(document.accepted) == 2

            amended: set[str] = set()
            await bridge.until(amended_in_between)
            await polled(world, bridge, "acme", 1)
        expected = Expected("acme", document.id, "succeeded", content_of(document), revisions=2, callbacks=2)
        assert violations(world, LedgerFacts.read(bridge.ledger_file), [expected]) == []


def roomy_invoices() -> TableSchema:
    """Return the invoice table with a total that holds 25 digits, two of them behind the point."""
    table = next(one for one in numora_tables() if one.name == "numora_invoice")
    bound = Decimal(10) ** 23
    roomy = DecimalColumn(
        name="numora_total", precision=2, minimum=-bound, maximum=bound, required="ApplicationRequired"
    )
    columns = tuple(roomy if one.name == "numora_total" else one for one in table.columns)
    # Columns that every table has are added by the schema itself.
    shipped = {one.name for one in columns if one.name.startswith("numora_")}
    return TableSchema(
        table.name, tuple(one for one in columns if one.name in shipped - {"numora_invoiceid"}), keys=table.keys
    )


AMOUNTS = {
    "1.234.567.890.123.456.789,12": Decimal("1234567890123456789.12"),
    "12345678901234567,89": Decimal("12345678901234567.89"),
    "(12,00)": Decimal("-12.00"),
    "-12,00": Decimal("-12.00"),
    "12,00-": Decimal("-12.00"),
    "0,01": Decimal("0.01"),
}


async def test_amounts_of_nineteen_digits_arrive_digit_for_digit_under_de_de(tmp_path: Path) -> None:
    """In the row, and on the wire as well: no digit passes through a float."""
    async with SandboxWorld(tmp_path / "authority", tables=[roomy_invoices()]) as world:
        config = german(world, tmp_path / "config")
        documents = {}
        for number, text in enumerate(AMOUNTS, 1):
            document = an_invoice(number, total_amount=text, subtotal="1,00", tax_amount="0,19")
            documents[document.id] = AMOUNTS[text]
            world.workspace("acme").add(document)
        async with running_bridge(config) as bridge:
            await polled(world, bridge, "acme", 2)
        rows = {row["numora_sourceid"]: row["numora_total"] for row in world.dataverse.rows("numora_invoice")}
        assert {id_: str(total) for id_, total in rows.items()} == {id_: str(one) for id_, one in documents.items()}
        sent = b"".join(one.body or b"" for one in world.dataverse.requests if one.method == "POST")
        assert b'"numora_total":1234567890123456789.12' in sent


async def test_an_amount_that_the_column_cannot_hold_is_rejected_and_not_rounded(tmp_path: Path) -> None:
    """The reviewer is told which field it is; nothing is written."""
    async with SandboxWorld(tmp_path / "authority") as world:
        config = german(world, tmp_path / "config")
        document = an_invoice(1, total_amount="1.234.567.890.123.456.789,12", subtotal="1,00", tax_amount="0,19")
        world.workspace("acme").add(document)
        async with running_bridge(config) as bridge:
            await polled(world, bridge, "acme", 2)
            page = await bridge.ledger.deliveries(DeliveryFilter("acme"), limit=10)
        assert [one.state for one in page.deliveries] == ["failed"]
        assert [problem.field for problem in page.deliveries[0].problems] == ["total_amount"]
        assert world.dataverse.effects == []


def german(world: SandboxWorld, folder: Path) -> Path:
    """Write a configuration whose invoices are written in the German way."""
    text = (LIBRARY / "invoice_v2.dataverse.yaml").read_text().partition("\ntests:\n")[0] + "\n"
    assert "locale: en_US" in text
    (folder / "mappings").mkdir(parents=True)
    (folder / "mappings" / "german.yaml").write_text(text.replace("locale: en_US", "locale: de_DE"))
    return world.write_config(folder, poll_every="1h", mappings={**SHIPPED_MAPPINGS, "invoice_v2": "german.yaml"})


@asynccontextmanager
async def silence() -> AsyncIterator[tuple[int, list[Any]]]:
    """Listen on a port, take every connection, and never answer. Gives the port and the connections."""
    taken: list[Any] = []

    async def take(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        taken.append(writer)

    server = await asyncio.start_server(take, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1], taken
    finally:
        for writer in taken:
            writer.transport.abort()
        server.close()
        await server.wait_closed()


async def test_ten_dead_destinations_do_not_hold_up_the_eleventh(tmp_path: Path) -> None:
    """Five never answer, five refuse the connection; all documents of the healthy tenant come through meanwhile."""
    silent, refusing, healthy = ([f"{name}{n}" for n in range(5)] for name in ("silent", "refusing", "healthy"))
    del healthy[1:]
    async with SandboxWorld(tmp_path / "authority") as world, silence() as (port, taken):
        config = world.write_config(tmp_path / "config", [*silent, *refusing, *healthy], schedule=["0s", *["2s"] * 90])
        for names, dead_port in ((silent, port), (refusing, 1)):
            for name in names:
                file = config / "tenants" / f"{name}.yaml"
                file.write_text(file.read_text().replace(world.dataverse.url, f"http://127.0.0.1:{dead_port}"))
        for name in (*silent, *refusing):
            world.workspace(name).callbacks.clear()
            for number, document in enumerate(sample_documents(40, seed=len(name))):
                document.id = f"{name}-{number}"
                world.workspace(name).add(document)
        async with running_bridge(config, grace=0) as bridge:
            await bridge.until(lambda: len({one.tenant for one in bridge.moved}) >= 5 and len(taken) >= 5)
            flow = Flow(world, healthy, seed=5)
            flow.add(60)
            await bridge.runtime.lines[healthy[0]].schedule.poll_now()
            await bridge.until(lambda: flow.reported() == flow.outcomes)
            # Nothing has ended at any dead destination by now: they were all in the way, and none was.
            for name in (*silent, *refusing):
                assert not world.workspace(name).callbacks
                counts = await bridge.ledger.counts(name)
                assert counts.by_state[State.QUEUED] + counts.by_state[State.WORKING] == 40
            await until_rest(world, bridge, flow, healthy)


async def until_rest(world: SandboxWorld, bridge: RunningBridge, flow: Flow, tenants: list[str]) -> None:
    """Wait until the tenants' documents are at rest, and hold them against the oracle."""
    for name in tenants:
        bridge.runtime.lines[name].schedule._every = 100
        await bridge.runtime.lines[name].schedule.poll_now()
    await until_all_is_well(world, tenants, flow, bridge.ledger_file)
