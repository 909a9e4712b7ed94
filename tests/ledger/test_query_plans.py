"""SQLite: nothing that is asked all the time reads a whole table, however many deliveries there are."""

import asyncio
import re
import sqlite3

from ledger_samples import LEASE, NOW, Driver, T, attempt, end, event, release, request, resume_call, subscriber
from msgspec.structs import replace

from bridge.delivery.model import DeliveryFilter, State, Step, Trigger
from bridge.events.model import EndpointState, Event, MessageState, Origin
from bridge.ledger.actions import Action
from bridge.ledger.inbox import StoredHook
from bridge.ledger.open import open_sqlite
from bridge.ledger.protocol import ClaimFilter, Save
from bridge.ledger.sqlite.ledger import SqliteLedger
from connectors.ports import Listing

WHOLE_TABLE = re.compile(
    r"^SCAN (deliveries|attempts|requests|polls|mappings|candidate|sibling|failed|newer|this|quiet|told|"
    r"endpoints|messages|hooks|hook_counts|actions|held|due|later)\b"
)
HAPPENED = Event("tenant.blocked", b"{}")


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
    await _everything_that_is_stored_together(ledger)
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
    await _everything_that_is_told(ledger)


async def _everything_that_is_stored_together(ledger: SqliteLedger) -> None:
    driver = Driver(ledger)
    driver.new_id = iter([f"dlv_together_{number:02d}" for number in range(40)]).__next__
    await driver.bring(*(f"together-{number:02d}" for number in range(21)))
    held = await driver.claim()
    await asyncio.gather(*(ledger.save(Save(each, [request(each, "r")], attempt(each))) for each in held))
    await asyncio.gather(*(ledger.save(Save(end(each))) for each in held))


async def _everything_that_is_told(ledger: SqliteLedger) -> None:
    driver = Driver(ledger)
    driver.new_id = iter([f"dlv_told_{number}" for number in range(9)]).__next__
    endpoint = await driver.listen()
    await ledger.put_endpoint(subscriber())
    await ledger.sync_endpoints(T, [subscriber("c", origin=Origin.CONFIG)], NOW)
    await ledger.sync_endpoints(T, [], NOW)
    await ledger.listens(T)
    await ledger.endpoints(T, limit=5)
    await driver.ask("doc-9", resume=resume_call("doc-9"))
    await driver.ask("doc-9", resume=resume_call("doc-9"))
    held = next(each for each in await driver.claim() if each.document_id == "doc-9")
    await ledger.save(Save(end(held), event=event(held)))
    await ledger.announce(T, HAPPENED, NOW)
    await ledger.next_message_due(NOW)
    claimed = await ledger.claim_messages(
        NOW, limit=5, lease_until=NOW + LEASE, per_endpoint=5, except_ids=frozenset({"msg_x"})
    )
    sent = next(each.message for each in claimed if each.endpoint.id == endpoint.id)
    paused = replace(endpoint, state=EndpointState.PAUSED)
    await ledger.save_message(replace(sent, state=MessageState.SENT, ended_at=NOW), endpoint=paused)
    await ledger.resume_endpoint(T, endpoint.id, NOW)
    await ledger.messages(T, endpoint.id, 5)
    await ledger.remove_endpoint(T, endpoint.id, NOW)
    hook = StoredHook(T, "numora", "evt_1", "document.reviewed", "doc-8", NOW, b"{}")
    await ledger.take_hook(hook, new_id=driver.new_id, trigger=Trigger.WEBHOOK)
    await ledger.hook_counts(T)
    await ledger.withdraw(T, "doc-8", NOW, code="c", message="m.", event=event)
    await ledger.sweep(T, NOW + 9, seen_after=0, quiet_since=NOW + 1, limit=5)
    action = await ledger.begin_action(Action("act_1", T, "approve", "doc-8", "key", "f", NOW))
    await ledger.save_action(action)
    await ledger.actions(T, "doc-8", 5)


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
    assert len(explained) > 60
    whole = {sql: plan for sql, plan in explained.items() if any(WHOLE_TABLE.match(line) for line in plan)}
    assert whole == {}
    # Going through all of a tenant's deliveries is as bad when there is one tenant; only counting does, in an index.
    tenants = [sql for sql, plan in explained.items() if any(line.endswith("(tenant=?)") for line in plan)]
    assert [sql for sql in tenants if "polls" not in sql and "count" not in sql] == []


def _explain(connection: sqlite3.Connection, statements: set[str]) -> dict[str, list[str]]:
    # SQLite traces what triggers and foreign keys do as comments.
    return {
        statement: [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}")]
        for statement in statements
        if statement.lstrip().startswith(("SELECT", "UPDATE", "DELETE", "INSERT", "WITH"))
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


async def test_a_claim_of_messages_costs_as_much_however_many_wait_for_an_endpoint_that_does_not_answer(tmp_path):
    """Counted in steps of SQLite's machine, which are the same on every computer."""
    ledger = await open_sqlite(tmp_path / "bridge.db", durable=False)
    steps: list[int] = []

    def crowd(connection: sqlite3.Connection, copies: int) -> None:
        connection.execute("BEGIN")
        for _ in range(copies):
            connection.execute(
                """
                    INSERT INTO messages
                        (id, tenant, endpoint_id, type, body, created_at, line, due_at, token, tries, state)
                    SELECT lower(hex(randomblob(16))), tenant, endpoint_id, type, body, created_at, line,
                        due_at + seq % 7, 0, 0, 'queued'
                    FROM messages WHERE state = 'queued' AND lease_until IS NULL
                """
            )
        connection.execute("COMMIT")

    def counting(connection: sqlite3.Connection) -> list[int]:
        seen = [0]

        def count() -> None:
            seen[0] += 1

        connection.set_progress_handler(count, 10)
        return seen

    try:
        driver = Driver(ledger)
        dead, alive = await driver.listen("dead"), await driver.listen("alive", tenant="other")
        for _ in range(20):
            await ledger.announce(T, HAPPENED, NOW)
        for copies in (0, 9):
            await ledger._connection.run(crowd, copies)
            await ledger.announce("other", HAPPENED, NOW)
            seen = await ledger._connection.run(counting)
            claimed = await driver.claim_messages(NOW + 9, limit=4, per_endpoint=4)
            await ledger._connection.run(lambda connection: connection.set_progress_handler(None, 0))
            steps.append(seen[0])
            assert {each.endpoint.id for each in claimed} == {dead.id, alive.id}
            await ledger.take_back(NOW)
        assert len(await ledger.messages(T, dead.id, 500)) == 500
    finally:
        await ledger.close()
    assert steps[1] < 2 * steps[0]
