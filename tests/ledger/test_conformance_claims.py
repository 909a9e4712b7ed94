"""Every ledger: who works on what, and until when."""

import asyncio
from decimal import Decimal

import pytest
from ledger_samples import ANY, LEASE, NOW, Driver, T, end, release

from bridge.delivery.model import DeliveryError, MappingRef, State, Step, Watch
from bridge.ledger.protocol import ClaimFilter, LeaseLostError, Save
from connectors.ports import Listing
from mappings.plan import Problem


async def test_a_claim_raises_the_token_and_sets_the_lease(driver: Driver):
    await driver.bring("doc-1")
    [delivery] = await driver.claim(NOW + 5)
    assert (delivery.state, delivery.token, delivery.lease_until) == (State.WORKING, 1, NOW + 5 + LEASE)
    assert (delivery.step, delivery.due_at, delivery.updated_at) == (Step.FETCH, NOW, NOW + 5)
    assert delivery == await driver.stored(delivery)


AWKWARD = "a\x00b \"quoted\" back\\slash \n\x1f\x7f 'single' \u2028 \U0001f9fe ß"


async def test_a_claim_gives_everything_as_it_was_stored(driver: Driver):
    listing = Listing(
        f"doc {AWKWARD}", AWKWARD, external_id=AWKWARD, metadata={AWKWARD: [Decimal("1.10"), 10**30, None, AWKWARD]}
    )
    await driver.bring(listing)
    [delivery] = await driver.claim()
    full = release(delivery, NOW + 1).evolve(
        step=Step.REPORT,
        attempts=2**40,
        tries=3,
        schema=AWKWARD,
        revision=AWKWARD,
        mapping=MappingRef(AWKWARD, "d"),
        pinned=True,
        force=True,
        may_exist=True,
        line_ids=frozenset({AWKWARD, "l2"}),
        record_id=AWKWARD,
        external_url=AWKWARD,
        operation="updated",
        execution_id=AWKWARD,
        callback=bytes(range(256)),
        outcome=State.FAILED,
        error=DeliveryError("code", AWKWARD),
        problems=(Problem(AWKWARD, None, "code", AWKWARD),),
        watch=Watch(NOW, AWKWARD, None, taken=True, looks=2),
    )
    await driver.ledger.save(Save(full))
    stored = await driver.stored(delivery)
    [again] = await driver.claim(NOW + 1)
    held = {"state": State.WORKING, "token": 2, "lease_until": NOW + 1 + LEASE, "updated_at": NOW + 1}
    assert again == stored.evolve(**held)
    assert (again.listing, again.callback, again.watch) == (listing, full.callback, full.watch)
    assert again == await driver.stored(delivery)


async def test_nothing_is_claimed_before_it_is_due(driver: Driver):
    await driver.ledger.save(Save(release(await driver.claimed(), NOW + 100)))
    assert await driver.claim(NOW + 99) == []
    assert len(await driver.claim(NOW + 100)) == 1


async def test_nothing_is_claimed_twice_while_a_lease_lives(driver: Driver):
    await driver.claimed()
    assert await driver.claim(NOW + LEASE - 1) == []
    [again] = await driver.claim(NOW + LEASE)
    assert (again.state, again.token) == (State.WORKING, 2)


async def test_two_claimers_at_once_never_get_the_same_delivery(driver: Driver):
    await driver.bring(*(f"doc-{number}" for number in range(60)))
    claims = await asyncio.gather(*(driver.claim(limit=7) for _ in range(12)))
    claimed = [delivery.id for claim in claims for delivery in claim]
    assert len(claimed) == len(set(claimed)) == 60


async def test_the_oldest_due_comes_first_whatever_its_step(driver: Driver):
    dues = {"doc-1": 30, "doc-2": 10, "doc-3": 20, "doc-4": 40}
    steps = {"doc-1": Step.FETCH, "doc-2": Step.REPORT, "doc-3": Step.WRITE, "doc-4": Step.FETCH}
    await driver.bring(*dues)
    for held in await driver.claim():
        waiting = release(held, NOW + dues[held.document_id]).evolve(step=steps[held.document_id])
        await driver.ledger.save(Save(waiting))
    first = await driver.claim(NOW + LEASE, limit=3)
    assert [delivery.document_id for delivery in first] == ["doc-2", "doc-3", "doc-1"]
    assert [delivery.document_id for delivery in await driver.claim(NOW + LEASE)] == ["doc-4"]


async def test_a_recheck_is_claimed_with_its_state_and_its_update_time_untouched(driver: Driver):
    await driver.ended(State.FAILED)
    await driver.bring("doc-1")
    [delivery] = await driver.claim(NOW + 5)
    assert (delivery.state, delivery.step, delivery.updated_at) == (State.FAILED, Step.RECHECK, NOW)
    assert delivery.lease_until == NOW + 5 + LEASE
    assert await driver.claim(NOW + 6) == []
    assert len(await driver.claim(NOW + 5 + LEASE)) == 1


async def test_only_the_tenants_own_deliveries_are_claimed(driver: Driver):
    await driver.bring("doc-1", tenant="other")
    assert await driver.claim() == []


async def test_filters_leave_out_other_steps_blocked_schemas_and_what_is_held(driver: Driver):
    await driver.bring("doc-1", "doc-2", "doc-3")
    held = await driver.claim()
    facts = [(Step.FETCH, "invoice_v2"), (Step.REPORT, "receipt_v1"), (Step.WRITE, None)]
    for delivery, (step, schema) in zip(held, facts, strict=True):
        await driver.ledger.save(Save(release(delivery, NOW).evolve(step=step, schema=schema)))

    async def claimed(only: ClaimFilter) -> list[str]:
        found = await driver.claim(only=only)
        for delivery in found:
            await driver.ledger.save(Save(release(delivery, NOW)))
        return sorted(delivery.document_id for delivery in found)

    assert await claimed(ClaimFilter(steps=frozenset({Step.REPORT, Step.RECHECK}))) == ["doc-2"]
    assert await claimed(ClaimFilter(except_schemas=frozenset({"invoice_v2", "contract_v1"}))) == ["doc-2", "doc-3"]
    assert await claimed(ClaimFilter(except_ids=frozenset({held[0].id, held[2].id}))) == ["doc-2"]
    assert await claimed(ClaimFilter(frozenset({Step.FETCH}), frozenset({"invoice_v2"}))) == []
    assert await claimed(ANY) == ["doc-1", "doc-2", "doc-3"]


async def test_a_document_is_never_in_two_hands(driver: Driver):
    """An old delivery that a person retries waits for the one that is under way, and the other way round."""
    old = await driver.claimed()
    following = release(old, NOW).evolve(id="dlv_next", error=None)
    await driver.ledger.save(Save(end(old), successor=following))
    await driver.ledger.retry(old.id, NOW, pinned=False)
    await driver.bring("doc-2", now=NOW + 1)

    first = await driver.claim(NOW + 1, limit=2)
    assert sorted(delivery.document_id for delivery in first) == ["doc-1", "doc-2"]
    assert await driver.claim(NOW + 1) == []
    [of_the_pair] = [delivery for delivery in first if delivery.document_id == "doc-1"]
    await driver.ledger.save(Save(end(of_the_pair)))
    [other] = await driver.claim(NOW + 1)
    assert {of_the_pair.id, other.id} == {old.id, "dlv_next"}


@pytest.mark.parametrize(("step", "stays"), [(Step.FETCH, False), (Step.WRITE, True), (Step.REPORT, True)])
async def test_again_is_settled_by_a_claim_that_reads_the_document_anyway(driver: Driver, step: Step, stays: bool):
    held = await driver.claimed()
    await driver.bring("doc-1")
    await driver.ledger.save(Save(release(held, NOW).evolve(step=step)))
    [delivery] = await driver.claim()
    assert delivery.again is stays


async def test_a_restart_takes_back_what_the_last_process_held(driver: Driver):
    writing, rechecking, waiting = "doc-1", "doc-2", "doc-3"
    await driver.ended(State.FAILED, rechecking)
    await driver.bring(writing, rechecking)
    held = {delivery.document_id: delivery for delivery in await driver.claim()}
    await driver.ledger.save(Save(held[writing].evolve(step=Step.WRITE)))
    await driver.bring(waiting, now=NOW + 2)
    poll = await driver.ledger.acquire_poll(T, NOW, lease_until=NOW + LEASE)

    assert poll is not None
    assert await driver.ledger.take_back(NOW + 3) == 3
    written = await driver.stored(held[writing])
    assert (written.state, written.step, written.due_at) == (State.QUEUED, Step.WRITE, NOW + 3)
    assert written.lease_until is None
    rechecked = await driver.stored(held[rechecking])
    assert (rechecked.state, rechecked.step, rechecked.due_at) == (State.FAILED, Step.RECHECK, NOW)
    for delivery in held.values():
        with pytest.raises(LeaseLostError):
            await driver.ledger.save(Save(end(delivery)))
    assert len(await driver.claim(NOW + 3)) == 3
    assert await driver.ledger.acquire_poll(T, NOW + 3, lease_until=NOW + LEASE) is not None
    assert await driver.ledger.take_back(NOW + LEASE) == 4
    assert await driver.ledger.take_back(NOW + LEASE) == 0


async def test_next_due_tells_what_waiting_brings(driver: Driver):
    assert await driver.ledger.next_due(T, NOW) is None
    await driver.bring("doc-1", "doc-2")
    assert await driver.ledger.next_due(T, NOW - 1) == NOW
    assert await driver.ledger.next_due(T, NOW) is None
    first, second = await driver.claim()
    assert await driver.ledger.next_due(T, NOW) == NOW + LEASE
    await driver.ledger.save(Save(release(first, NOW + 70).evolve(step=Step.REPORT)))
    await driver.ledger.save(Save(release(second, NOW + 90)))
    assert await driver.ledger.next_due(T, NOW) == NOW + 70
    assert await driver.ledger.next_due(T, NOW + 70) == NOW + 90
    assert await driver.ledger.next_due("other", NOW) is None


async def test_next_due_is_none_when_everything_has_ended(driver: Driver):
    await driver.ended()
    assert await driver.ledger.next_due(T, NOW) is None


async def test_a_holder_whose_time_ran_out_does_not_come_back_beside_another(driver: Driver):
    old = await driver.claimed()
    following = release(old, NOW).evolve(id="dlv_next", error=None)
    await driver.ledger.save(Save(end(old), successor=following))
    await driver.ledger.retry(old.id, NOW + 1, pinned=False)
    [slow] = await driver.claim(limit=1)
    [other] = await driver.claim(NOW + LEASE, limit=1, only=ClaimFilter(except_ids=frozenset({slow.id})))
    with pytest.raises(LeaseLostError):
        await driver.ledger.save(Save(slow.evolve(lease_until=NOW + 2 * LEASE)))
    await driver.ledger.save(Save(end(other)))
