"""Every ledger: storing a step, whole or not at all, and never over what came in meanwhile."""

import asyncio

import pytest
from ledger_samples import LEASE, NOW, Driver, T, attempt, end, release, request

from bridge.delivery.model import DeliveryError, MappingRef, State, Step
from bridge.ledger.protocol import LeaseLostError, LedgerError, Save
from connectors.ports import Listing
from mappings.plan import Problem

LATER = NOW + 1_000


async def test_everything_that_a_delivery_holds_comes_back_as_it_was_saved(driver: Driver):
    held = await driver.claimed()
    full = held.evolve(
        updated_at=LATER,
        step=Step.REPORT,
        due_at=NOW + 3,
        lease_until=NOW + 4,
        attempts=5,
        tries=6,
        schema="contract_v1",
        revision="r" * 64,
        mapping=MappingRef("contract.yaml", "d" * 64),
        pinned=True,
        force=True,
        may_exist=True,
        line_ids=frozenset({"b", "a", "ä"}),
        record_id="row",
        external_url="https://x.example/row",
        operation="updated",
        execution_id="nb-1",
        callback=b'{"a": 1.10}\x00\xff',
        outcome=State.SKIPPED,
        error=DeliveryError("code", "Sätze."),
        problems=(Problem("a", "b", "c", "d"), Problem(None, None, "e", "f")),
    )
    await driver.ledger.save(Save(full))
    assert await driver.stored(held) == full
    bare = full.evolve(
        mapping=None, line_ids=frozenset(), callback=None, outcome=None, error=None, problems=(), operation=None
    )
    await driver.ledger.save(Save(bare))
    assert await driver.stored(held) == bare


async def test_a_save_under_an_older_token_changes_nothing(driver: Driver):
    stale = await driver.claimed()
    [current] = await driver.claim(NOW + LEASE)
    following = release(stale, NOW).evolve(id="dlv_next")
    with pytest.raises(LeaseLostError) as lost:
        await driver.ledger.save(Save(end(stale), [request(stale, "r-1")], attempt(stale), following))
    assert lost.value.code == "lease_lost"
    assert await driver.stored(stale) == current
    assert await driver.ledger.requests(stale.id) == ()
    assert await driver.ledger.attempts(stale.id) == ()
    assert len(await driver.all()) == 1


async def test_a_save_of_a_delivery_that_is_not_there_is_refused(driver: Driver):
    held = await driver.claimed()
    with pytest.raises(LeaseLostError):
        await driver.ledger.save(Save(held.evolve(id="dlv_none")))


async def test_requests_are_kept_in_the_order_they_were_opened_and_closed_by_id(driver: Driver):
    held = await driver.claimed()
    first, second = request(held, "z", NOW), request(held, "a", NOW)
    await driver.ledger.save(Save(held, [first]))
    closed = first.evolve(status=412, elapsed_ms=7, peer_request_id="p", error="e", excerpt="x")
    await driver.ledger.save(Save(held, [closed, second]))
    assert await driver.ledger.requests(held.id) == (closed, second)


async def test_attempts_are_kept_in_order_even_when_their_numbers_repeat(driver: Driver):
    held = await driver.claimed()
    made = [attempt(held, number) for number in (1, 2, 1)]
    for each in made:
        await driver.ledger.save(Save(held, attempt=each))
    assert await driver.ledger.attempts(held.id) == tuple(made)


async def test_a_listing_that_came_in_meanwhile_survives_the_save_of_an_older_copy(driver: Driver):
    held = await driver.claimed()
    await driver.bring(Listing("doc-1", "invoice_v2", updated_at="later"), now=LATER)
    await driver.ledger.save(Save(held.evolve(step=Step.WRITE)))
    stored = await driver.stored(held)
    assert (stored.step, stored.again) == (Step.WRITE, True)
    assert (stored.listing.updated_at, stored.seen_at) == ("later", LATER)


@pytest.mark.parametrize("state", [state for state in State if state.ended])
async def test_a_delivery_that_ends_after_it_was_listed_again_is_rechecked(driver: Driver, state: State):
    held = await driver.claimed()
    await driver.bring("doc-1", now=LATER)
    await driver.ledger.save(Save(end(held, state)))
    stored = await driver.stored(held)
    assert (stored.state, stored.step, stored.due_at, stored.again) == (state, Step.RECHECK, LATER, False)
    assert stored.lease_until is None
    assert [each.id for each in await driver.claim(LATER)] == [held.id]


async def test_again_waits_while_a_delivery_waits(driver: Driver):
    held = await driver.claimed()
    await driver.bring("doc-1")
    await driver.ledger.save(Save(release(held, LATER).evolve(step=Step.REPORT)))
    assert (await driver.stored(held)).again
    [later] = await driver.claim(LATER)
    await driver.ledger.save(Save(end(later.evolve(again=False))))
    assert (await driver.stored(held)).step is Step.RECHECK


async def test_an_ended_delivery_rests_when_nothing_came_in(driver: Driver):
    ended = await driver.ended()
    stored = await driver.stored(ended)
    assert (stored.step, stored.due_at, stored.again) == (None, None, False)
    assert await driver.claim(NOW + 10 * LEASE) == []


@pytest.mark.parametrize("state", [State.QUEUED, State.SUCCEEDED])
async def test_a_lease_is_given_up_when_the_work_is_over_whatever_the_copy_says(driver: Driver, state: State):
    held = await driver.claimed()
    over = held.evolve(state=state, due_at=LATER if state is State.QUEUED else None)
    await driver.ledger.save(Save(over))
    assert (await driver.stored(held)).lease_until is None
    assert len(await driver.claim(LATER)) == (state is State.QUEUED)


async def test_a_lease_is_prolonged_while_the_work_goes_on(driver: Driver):
    held = await driver.claimed()
    await driver.ledger.save(Save(held.evolve(lease_until=NOW + 5 * LEASE)))
    assert await driver.claim(NOW + 5 * LEASE - 1) == []


async def test_a_working_delivery_without_a_lease_can_be_claimed_by_anyone(driver: Driver):
    held = await driver.claimed()
    await driver.ledger.save(Save(held.evolve(lease_until=None)))
    assert [each.id for each in await driver.claim()] == [held.id]


async def test_a_recheck_keeps_its_lease_in_its_midst_and_gives_it_up_when_it_has_to_wait(driver: Driver):
    await driver.ended()
    await driver.bring("doc-1")
    [held] = await driver.claim()
    await driver.ledger.save(Save(held.evolve(lease_until=NOW + 2 * LEASE), [request(held, "r-1")]))
    assert (await driver.stored(held)).lease_until == NOW + 2 * LEASE
    assert await driver.claim(NOW + LEASE) == []
    await driver.ledger.save(Save(held.evolve(due_at=LATER)))
    stored = await driver.stored(held)
    assert (stored.lease_until, stored.due_at, stored.step) == (None, LATER, Step.RECHECK)


async def test_a_recheck_that_has_to_wait_is_not_hurried_by_a_listing(driver: Driver):
    """A pause that the source asked for stands; the recheck to come reads what was listed."""
    await driver.ended()
    await driver.bring("doc-1")
    [held] = await driver.claim()
    await driver.bring("doc-1")
    await driver.ledger.save(Save(held.evolve(due_at=LATER, lease_until=None)))
    assert (await driver.stored(held)).due_at == LATER
    [again] = await driver.claim(LATER)
    assert not again.again


async def test_a_new_revision_comes_in_with_the_end_of_the_one_before(driver: Driver):
    held = await driver.claimed()
    following = release(held, LATER).evolve(id="dlv_next", created_at=LATER, error=None)
    await driver.ledger.save(Save(end(held), successor=following))
    assert await driver.all() == (following, await driver.stored(held))
    intake = await driver.bring("doc-1")
    assert intake.deliveries == ("dlv_next",)


async def test_a_successor_takes_over_what_was_listed_meanwhile(driver: Driver):
    held = await driver.claimed()
    await driver.bring(Listing("doc-1", "invoice_v2", updated_at="later"), now=LATER)
    following = release(held, LATER).evolve(id="dlv_next")
    await driver.ledger.save(Save(end(held), successor=following))
    newest, predecessor = await driver.all()
    assert (newest.id, newest.listing.updated_at, newest.seen_at) == ("dlv_next", "later", LATER)
    assert (predecessor.step, predecessor.due_at, predecessor.again) == (None, None, False)


async def test_a_save_cannot_hold_what_belongs_to_another(driver: Driver):
    held = await driver.claimed()
    other = held.evolve(id="dlv_other")
    with pytest.raises(ValueError, match="dlv_other"):
        await driver.ledger.save(Save(held, [request(other, "r")]))
    with pytest.raises(ValueError, match="dlv_other"):
        await driver.ledger.save(Save(held, attempt=attempt(other)))
    with pytest.raises(ValueError, match="another document"):
        await driver.ledger.save(Save(held, successor=other.evolve(document_id="doc-2")))
    assert await driver.stored(held) == held


async def test_a_save_that_fails_halfway_changes_nothing_and_harms_no_neighbour(driver: Driver):
    """The successor's id is taken, so that save fails as a whole; those that share its commit do not notice."""
    await driver.bring(*(f"doc-{number}" for number in range(6)))
    held = await driver.claim()
    taken = held[5]
    saves = [Save(end(delivery), [request(delivery, "r")], attempt(delivery)) for delivery in held[:5]]
    saves[2] = Save(end(held[2]), [request(held[2], "r")], attempt(held[2]), release(held[2], NOW).evolve(id=taken.id))
    results = await asyncio.gather(*map(driver.ledger.save, saves), return_exceptions=True)
    assert isinstance(results[2], LedgerError)
    assert [result for index, result in enumerate(results) if index != 2] == [None] * 4
    assert await driver.stored(held[2]) == held[2]
    assert await driver.ledger.requests(held[2].id) == ()
    for delivery in (held[0], held[1], held[3], held[4]):
        assert (await driver.stored(delivery)).state is State.SUCCEEDED
        assert len(await driver.ledger.requests(delivery.id)) == 1


async def test_a_fenced_save_harms_no_neighbour(driver: Driver):
    await driver.bring("doc-1", "doc-2", "doc-3")
    held = await driver.claim()
    saves = [Save(end(delivery)) for delivery in held]
    saves[1] = Save(end(held[1].evolve(token=99)))
    results = await asyncio.gather(*map(driver.ledger.save, saves), return_exceptions=True)
    assert [type(result) for result in results] == [type(None), LeaseLostError, type(None)]
    counts = await driver.ledger.counts(T)
    assert (counts.by_state[State.SUCCEEDED], counts.by_state[State.WORKING]) == (2, 1)


async def test_a_caller_that_is_cancelled_takes_nothing_with_it(driver: Driver):
    await driver.bring("doc-1", "doc-2")
    first, second = await driver.claim()
    tasks = [asyncio.create_task(driver.ledger.save(Save(end(delivery)))) for delivery in (first, second)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    results = await asyncio.gather(*tasks, return_exceptions=True)
    assert [type(result) for result in results] == [asyncio.CancelledError, type(None)]
    assert (await driver.stored(second)).state is State.SUCCEEDED
