"""SQLite: nothing that is asked all the time reads a whole table, however many deliveries there are."""

import re
import sqlite3

from ledger_samples import LEASE, NOW, Driver, T, attempt, end, release, request

from bridge.delivery.model import DeliveryFilter, State, Step, Trigger
from bridge.ledger.open import open_sqlite
from bridge.ledger.protocol import ClaimFilter, Save
from bridge.ledger.sqlite.ledger import SqliteLedger
from connectors.ports import Listing

WHOLE_TABLE = re.compile(r"^SCAN (deliveries|attempts|requests|polls|mappings|candidate|sibling|failed|newer|this)\b")


async def _everything_that_happens_all_the_time(ledger: SqliteLedger) -> None:
    driver = Driver(ledger)
    poll = await ledger.acquire_poll(T, NOW, lease_until=NOW + LEASE)
    assert poll is not None
    page = [Listing(f"doc-{number}") for number in range(4)]
    await ledger.intake(T, page, Trigger.OUTBOX, NOW, new_id=driver.new_id, poll=poll, next_cursor="c")
    await ledger.finish_poll(poll, NOW, succeeded=True)
    await ledger.poll_state(T)
    narrow = ClaimFilter(frozenset({Step.REPORT}), frozenset({"invoice_v2"}), frozenset({"dlv_x"}))
    await driver.claim(only=narrow)
    first, second, third, _ = await driver.claim()
    await ledger.save(Save(first, [request(first, "r")], attempt(first)))
    await ledger.save(Save(end(first), successor=release(first, NOW).evolve(id="dlv_next")))
    await ledger.save(Save(end(second, State.FAILED)))
    await ledger.save(Save(release(third, NOW)))
    await ledger.retry(second.id, NOW, pinned=False)
    await driver.ask("doc-1")
    await ledger.next_due(T, NOW)
    await ledger.attempts(first.id)
    await ledger.requests(first.id)
    await ledger.counts(T)
    for wanted in (
        DeliveryFilter(T),
        DeliveryFilter(T, states=frozenset({State.FAILED, State.PARKED})),
        DeliveryFilter(T, error_code="down"),
        DeliveryFilter(T, states=frozenset({State.FAILED}), document_id="doc-1", error_code="down"),
    ):
        await ledger.deliveries(wanted, limit=10)
    await ledger.recheck(T, NOW, schema="invoice_v2", mapping_digest="d")
    await ledger.store_mapping("d", "m.yaml", "", NOW)
    await ledger.mapping_text("d")


async def test_nothing_that_happens_all_the_time_reads_a_whole_table(tmp_path):
    ledger = await open_sqlite(tmp_path / "bridge.db", durable=False)
    statements: set[str] = set()
    try:
        for connection in (ledger._connection, *ledger._readers):
            await connection.run(lambda raw: raw.set_trace_callback(statements.add))
        await _everything_that_happens_all_the_time(ledger)
        for connection in (ledger._connection, *ledger._readers):
            await connection.run(lambda raw: raw.set_trace_callback(None))
        explained = await ledger._readers[0].run(_explain, statements)
    finally:
        await ledger.close()
    assert len(explained) > 25
    whole = {sql: plan for sql, plan in explained.items() if any(WHOLE_TABLE.match(line) for line in plan)}
    assert whole == {}
    # Going through all of a tenant's deliveries is as bad when there is one tenant; only counting does, in an index.
    tenants = [sql for sql, plan in explained.items() if any(line.endswith("(tenant=?)") for line in plan)]
    assert [sql for sql in tenants if "polls" not in sql and "count(*)" not in sql] == []


def _explain(connection: sqlite3.Connection, statements: set[str]) -> dict[str, list[str]]:
    # SQLite traces what triggers and foreign keys do as comments.
    return {
        statement: [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
        for statement in statements
        if statement.lstrip().startswith(("SELECT", "UPDATE", "DELETE", "INSERT"))
    }


async def test_a_backlog_of_one_step_is_not_read_by_those_who_look_for_another(tmp_path):
    """The order comes from the index as well, so that a claim reads as many rows as it takes."""
    ledger = await open_sqlite(tmp_path / "bridge.db", durable=False)
    seen: set[str] = set()
    try:
        await ledger._connection.run(lambda raw: raw.set_trace_callback(seen.add))
        await Driver(ledger).claim()
        await ledger._connection.run(lambda raw: raw.set_trace_callback(None))
        [(_, plan)] = (await ledger._readers[0].run(_explain, seen)).items()
    finally:
        await ledger.close()
    seeks = [line for line in plan if "candidate" in line]
    assert len(seeks) == len(Step) + 1
    assert all("deliveries_ready (tenant=? AND step=? AND ready_at<?)" in line for line in seeks)
    assert sum("TEMP B-TREE" in line for line in plan) == 1  # the merge of the few that were found
