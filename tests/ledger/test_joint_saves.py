"""SQLite: steps that are stored together become the same as steps stored one by one, with one commit for all."""

import asyncio

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ledger_samples import LEASE, NOW, Driver, T, attempt, end, event, release, request

from bridge.delivery.model import Delivery, State, Step
from bridge.ledger.open import open_sqlite
from bridge.ledger.protocol import LeaseLostError, Save
from connectors.ports import Listing

DOCUMENTS = 40
MOST_STATEMENTS = 10


@pytest.fixture
def driver(sqlite):
    return Driver(sqlite)


async def _statements(sqlite) -> list[str]:
    """Every statement from now on is noted in the list that comes back."""
    seen: list[str] = []
    await sqlite._connection.run(lambda connection: connection.set_trace_callback(seen.append))
    return seen


async def _held(driver, count: int = DOCUMENTS) -> list[Delivery]:
    await driver.bring(*(f"doc-{number:02d}" for number in range(count)))
    return await driver.claim()


async def _content(driver) -> list[object]:
    ledger = driver.ledger
    return [
        (each, await ledger.attempts(each.id), await ledger.requests(each.id))
        for each in sorted(await driver.all(), key=lambda each: each.id)
    ]


def _step(delivery: Delivery, kind: str) -> Save:
    opened = request(delivery, "get"), request(delivery, "post")
    match kind:
        case "under way":
            facts = {"step": Step.WRITE, "may_exist": True, "line_ids": frozenset({"l2", "l1"}), "revision": "r"}
            return Save(delivery.evolve(**facts), opened)
        case "answered":
            return Save(delivery.evolve(updated_at=NOW + 1), [opened[1].evolve(status=204)], attempt(delivery))
        case "waits":
            return Save(release(delivery, NOW + 5), opened, attempt(delivery))
        case "ended":
            return Save(end(delivery, callback=b'{"status":"succeeded"}', record_id="r"), opened[:1])
        case "failed, and told":
            failed = end(delivery, State.FAILED)
            return Save(failed, event=event(failed))
        case _:
            following = delivery.evolve(id=f"{delivery.id}_next", state=State.QUEUED, lease_until=None)
            return Save(end(delivery), successor=following)


KINDS = ("under way", "answered", "waits", "ended", "failed, and told", "followed")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.lists(st.sampled_from(KINDS[:3]), max_size=2), min_size=1, max_size=24), st.data())
def test_steps_stored_together_are_as_if_each_had_been_stored_alone(tmp_path_factory, leading, data):
    last = [data.draw(st.sampled_from(KINDS)) for _ in leading]
    kinds = [[kind for kind in kinds if kind != "waits"] + [end_] for kinds, end_ in zip(leading, last, strict=True)]

    async def stored(*, together: bool) -> list[object]:
        ledger = await open_sqlite(tmp_path_factory.mktemp("ledger") / "bridge.db", durable=False)
        try:
            driver = Driver(ledger)
            held = await _held(driver, len(kinds))
            for round_ in range(3):
                saves = [
                    _step(delivery, own[round_]) for delivery, own in zip(held, kinds, strict=True) if round_ < len(own)
                ]
                if together:
                    await asyncio.gather(*map(ledger.save, saves))
                else:
                    for save in saves:
                        await ledger.save(save)
            return await _content(driver)
        finally:
            await ledger.close()

    assert asyncio.run(stored(together=True)) == asyncio.run(stored(together=False))


async def test_many_steps_of_every_kind_share_one_commit(sqlite, driver):
    held = await _held(driver)
    statements = await _statements(sqlite)
    steps = [_step(delivery, KINDS[number % len(KINDS)]) for number, delivery in enumerate(held)]
    await asyncio.gather(*map(sqlite.save, steps))
    assert statements.count("COMMIT") == 1


async def test_a_claim_takes_as_few_statements_for_many_deliveries_as_for_one(sqlite, driver):
    await driver.bring(*(f"doc-{number:02d}" for number in range(DOCUMENTS)))
    statements = await _statements(sqlite)
    await driver.claim(limit=1)
    for_one = len(statements)
    statements.clear()
    assert len(await driver.claim()) == DOCUMENTS - 1
    assert len(statements) == for_one < MOST_STATEMENTS


async def test_a_page_of_new_documents_is_one_commit(sqlite, driver):
    statements = await _statements(sqlite)
    await driver.bring(*(f"doc-{number:02d}" for number in range(DOCUMENTS)))
    assert statements.count("COMMIT") == 1
    assert len(await driver.all()) == DOCUMENTS


async def test_a_lost_lease_voids_its_own_step_and_none_that_is_stored_with_it(sqlite, driver):
    held = await _held(driver)
    [taken, *_] = await driver.claim(NOW + LEASE, limit=1)
    outcomes = await asyncio.gather(*(sqlite.save(_step(each, "under way")) for each in held), return_exceptions=True)
    lost = [each.id for each, outcome in zip(held, outcomes, strict=True) if isinstance(outcome, LeaseLostError)]
    assert lost == [taken.id]
    assert await sqlite.requests(taken.id) == ()
    stored = {each.id: each for each in await driver.all()}
    assert stored[taken.id].step is Step.FETCH
    assert all(stored[each.id].step is Step.WRITE for each in held if each.id != taken.id)


async def test_two_steps_of_one_delivery_are_stored_in_the_order_they_came(sqlite, driver):
    held = await _held(driver, 5)
    first = held[0]
    await asyncio.gather(
        *(sqlite.save(_step(each, "under way")) for each in held),
        sqlite.save(Save(release(first, NOW + 7))),
    )
    stored = await driver.stored(first)
    assert (stored.state, stored.due_at) == (State.QUEUED, NOW + 7)


async def test_a_page_that_holds_known_and_new_documents_keeps_them_apart(sqlite, driver):
    await driver.bring(*(f"doc-{number}" for number in range(20)))
    seen = await driver.bring(*(Listing(f"doc-{number}", updated_at="later") for number in range(10, 45)))
    assert (seen.seen, seen.queued) == (35, 25)
    found = await driver.all()
    assert len(found) == len({each.document_id for each in found}) == 45
    assert sum(each.listing.updated_at == "later" for each in found) == 35


async def test_a_document_id_that_ends_a_text_elsewhere_is_still_one_document(sqlite, driver):
    """U+0000 ends a text for some functions of SQLite; an id that holds it is found again all the same."""
    odd = [Listing("doc\x00a"), Listing("doc\x00b"), Listing("doc")]
    await driver.bring(*odd)
    again = await driver.bring(*odd)
    assert (again.queued, again.seen) == (0, 3)
    assert sorted(each.document_id for each in await driver.all(T)) == ["doc", "doc\x00a", "doc\x00b"]
