"""Every ledger: what becomes of documents that are listed or asked for."""

from decimal import Decimal

import pytest
from ledger_samples import LEASE, NOW, Driver, T, end, ids, release
from msgspec.structs import replace

from bridge.delivery.model import DeliveryError, MappingRef, State, Step, Trigger
from bridge.ledger.protocol import LeaseLostError, PollState, Save
from connectors.ports import Listing
from mappings.plan import Problem

LATER = NOW + 1_000
REJECTED = {
    "outcome": State.FAILED,
    "callback": b"{}",
    "execution_id": "nb-1",
    "error": DeliveryError("field_required", "It is missing."),
    "problems": (Problem("total", "numora_total", "field_required", "It is missing."),),
    "may_exist": True,
    "record_id": "row-1",
    "line_ids": frozenset({"line-1", "line-2"}),
    "tries": 3,
    "attempts": 4,
}


async def test_a_new_document_becomes_a_delivery_that_is_queued_and_due_now(driver: Driver):
    listing = Listing("doc-1", "invoice_v2", "approved", "ext-1", {"total": Decimal("1.10"), "n": 10**25}, "u", "/r/1")
    intake = await driver.bring(listing)
    assert (intake.seen, intake.queued, intake.rechecked, intake.deliveries) == (1, 1, 0, ("dlv_0001",))
    delivery = await driver.stored("dlv_0001")
    assert delivery.listing == listing
    assert str(delivery.listing.metadata["total"]) == "1.10"
    assert (delivery.tenant, delivery.document_id, delivery.schema) == (T, "doc-1", "invoice_v2")
    assert (delivery.state, delivery.step, delivery.due_at) == (State.QUEUED, Step.FETCH, NOW)
    assert (delivery.created_at, delivery.updated_at, delivery.seen_at) == (NOW, NOW, NOW)
    assert delivery.trigger is Trigger.OUTBOX


async def test_a_queued_delivery_takes_the_new_listing_and_keeps_its_due_time(driver: Driver):
    await driver.ledger.save(Save(release(await driver.claimed(), NOW + 9_000)))
    intake = await driver.bring(Listing("doc-1", "receipt_v1", updated_at="later"), now=LATER)
    assert (intake.queued, intake.rechecked) == (0, 0)
    [delivery] = await driver.all()
    assert (delivery.listing.updated_at, delivery.seen_at, delivery.due_at) == ("later", LATER, NOW + 9_000)
    assert delivery.schema == "receipt_v1"
    assert not delivery.again


async def test_the_schema_of_a_fetched_document_is_not_the_listings_to_change(driver: Driver):
    waiting = release(await driver.claimed(), LATER).evolve(step=Step.REPORT, revision="r1")
    await driver.ledger.save(Save(waiting))
    await driver.bring(Listing("doc-1", "receipt_v1"))
    assert (await driver.stored(waiting)).schema == "invoice_v2"


async def test_a_delivery_that_is_worked_on_is_marked_to_be_looked_at_again(driver: Driver):
    delivery = await driver.claimed()
    intake = await driver.bring(Listing("doc-1", updated_at="later"), now=LATER)
    assert (intake.queued, intake.rechecked, intake.deliveries) == (0, 1, (delivery.id,))
    stored = await driver.stored(delivery)
    assert (stored.again, stored.state, stored.token) == (True, State.WORKING, delivery.token)
    assert (stored.listing.updated_at, stored.seen_at) == ("later", LATER)


@pytest.mark.parametrize("state", [state for state in State if state.ended])
async def test_an_ended_delivery_is_due_for_a_recheck_with_its_state_untouched(driver: Driver, state: State):
    ended = await driver.ended(state)
    intake = await driver.bring("doc-1", now=LATER)
    assert (intake.queued, intake.rechecked, intake.deliveries) == (0, 1, (ended.id,))
    stored = await driver.stored(ended)
    assert (stored.state, stored.step, stored.due_at, stored.updated_at) == (state, Step.RECHECK, LATER, NOW)


FINAL = Listing("doc-1", "invoice_v2", updated_at="u1", final=True)


@pytest.mark.parametrize("state", [state for state in State if state.ended])
@pytest.mark.parametrize("again", [FINAL, replace(FINAL, updated_at="u2"), replace(FINAL, final=False)])
async def test_what_never_changes_again_is_not_read_again(driver: Driver, state: State, again: Listing):
    """But for what was superseded: a review may have ended otherwise than it stood when the document was read."""
    await driver.bring(FINAL)
    [held] = await driver.claim()
    refused = (Problem("total", None, "required", "It is missing."),) if state is State.FAILED else ()
    await driver.ledger.save(Save(end(held, state).evolve(problems=refused)))
    intake = await driver.bring(again, now=LATER)
    stored = await driver.stored(held)
    unchanged = again == FINAL and state is not State.SUPERSEDED
    assert (intake.queued, intake.rechecked, intake.deliveries) == (0, 0 if unchanged else 1, (held.id,))
    assert (stored.step, stored.seen_at, stored.state) == (None if unchanged else Step.RECHECK, LATER, state)
    assert stored.listing == (FINAL if unchanged else again)


async def test_what_was_given_up_is_read_again_although_it_never_changes(driver: Driver):
    """An outage outlasted the schedule: the next listing begins it anew."""
    await driver.bring(FINAL)
    [held] = await driver.claim()
    await driver.ledger.save(Save(end(held, State.FAILED)))
    assert (await driver.bring(FINAL, now=LATER)).rechecked == 1


async def test_a_final_listing_without_a_time_says_nothing(driver: Driver):
    await driver.bring(replace(FINAL, updated_at=None))
    [held] = await driver.claim()
    await driver.ledger.save(Save(end(held)))
    assert (await driver.bring(replace(FINAL, updated_at=None))).rechecked == 1


async def test_a_final_listing_leaves_a_recheck_under_way_alone(driver: Driver):
    await driver.bring(FINAL)
    [held] = await driver.claim()
    await driver.ledger.save(Save(end(held)))
    await driver.ask("doc-1")
    [rechecking] = await driver.claim()
    await driver.bring(FINAL, now=LATER)
    assert await driver.stored(held) == rechecking.evolve(seen_at=LATER)


async def test_a_final_listing_marks_a_delivery_that_is_worked_on_as_ever(driver: Driver):
    await driver.bring(FINAL)
    [held] = await driver.claim()
    await driver.bring(FINAL, now=LATER)
    assert (await driver.stored(held)).again


async def test_a_document_listed_in_the_midst_of_a_recheck_is_rechecked_once_more(driver: Driver):
    await driver.ended()
    await driver.bring("doc-1")
    [held] = await driver.claim()
    await driver.bring("doc-1", now=LATER)
    assert (await driver.stored(held)).again
    await driver.ledger.save(Save(held.evolve(step=None, due_at=None, lease_until=None)))
    [once_more] = await driver.claim(LATER)
    assert (once_more.step, once_more.again) == (Step.RECHECK, False)


async def test_whoever_still_holds_an_older_copy_cannot_undo_a_recheck(driver: Driver):
    ended = await driver.ended()
    await driver.bring("doc-1")
    with pytest.raises(LeaseLostError):
        await driver.ledger.save(Save(ended))
    assert (await driver.stored(ended)).step is Step.RECHECK


async def test_a_document_listed_twice_in_one_page_counts_once_and_the_later_listing_wins(driver: Driver):
    intake = await driver.bring(Listing("doc-1", updated_at="a"), "doc-2", Listing("doc-1", updated_at="b"))
    assert (intake.seen, intake.queued) == (2, 2)
    assert (await driver.stored(intake.deliveries[0])).listing.updated_at == "b"


async def test_what_a_listing_does_not_say_stays_as_it_was(driver: Driver):
    known = Listing("doc-1", "invoice_v2", "approved", "ext-1", {"a": 1}, "then", "/r/1")
    await driver.bring(known)
    assert (await driver.ask(Listing("doc-1", status="reviewed"))).listing == Listing(
        "doc-1", "invoice_v2", "reviewed", "ext-1", {"a": 1}, "then", "/r/1"
    )


async def test_tenants_do_not_share_documents(driver: Driver):
    await driver.bring("doc-1")
    assert (await driver.bring("doc-1", tenant="other")).queued == 1
    assert [delivery.tenant for delivery in await driver.all("other")] == ["other"]


async def test_the_cursor_moves_with_the_page(driver: Driver):
    lease = await driver.ledger.acquire_poll(T, NOW, lease_until=NOW + LEASE)
    page = [Listing("doc-1")]
    await driver.ledger.intake(T, page, Trigger.OUTBOX, NOW, new_id=driver.new_id, poll=lease, next_cursor="c-2")
    assert await driver.ledger.poll_state(T) == PollState(cursor="c-2")
    await driver.ledger.intake(T, [], Trigger.OUTBOX, NOW, new_id=driver.new_id, poll=lease, next_cursor=None)
    assert await driver.ledger.poll_state(T) == PollState()


@pytest.mark.parametrize("lost", ["taken by another", "given back"])
async def test_a_page_of_a_poll_that_was_lost_brings_nothing_in(driver: Driver, lost: str):
    lease = await driver.ledger.acquire_poll(T, NOW, lease_until=NOW + 1)
    assert lease is not None
    if lost == "given back":
        await driver.ledger.finish_poll(lease, NOW, succeeded=True)
    else:
        await driver.ledger.acquire_poll(T, NOW + 1, lease_until=NOW + LEASE)
    with pytest.raises(LeaseLostError):
        await driver.ledger.intake(
            T, [Listing("doc-1")], Trigger.OUTBOX, NOW, new_id=driver.new_id, poll=lease, next_cursor="c-2"
        )
    assert await driver.all() == ()
    assert (await driver.ledger.poll_state(T)).cursor is None


async def test_ids_are_asked_for_on_the_callers_thread_once_for_each_document(driver: Driver):
    given = []
    new_id = ids("own_")
    page = [Listing("doc-1"), Listing("doc-1"), Listing("doc-2")]
    await driver.ledger.intake(T, page, Trigger.OUTBOX, NOW, new_id=lambda: given.append(new_id()) or given[-1])
    assert given == ["own_0001", "own_0002"]


async def test_a_person_brings_in_a_document_that_was_never_listed(driver: Driver):
    delivery = await driver.ask("doc-1", force=True)
    assert delivery == await driver.stored(delivery)
    assert (delivery.state, delivery.due_at, delivery.trigger) == (State.QUEUED, NOW, Trigger.PERSON)
    assert delivery.force


@pytest.mark.parametrize("state", [State.FAILED, State.SKIPPED, State.PARKED, State.SUPERSEDED])
async def test_a_document_that_ended_other_than_well_starts_over_when_a_person_asks(driver: Driver, state: State):
    ended = await driver.ended(state, **REJECTED)
    delivery = await driver.ask("doc-1", LATER)
    assert delivery.id == ended.id
    assert (delivery.state, delivery.step, delivery.due_at, delivery.tries) == (State.QUEUED, Step.FETCH, LATER, 0)
    assert (delivery.outcome, delivery.callback, delivery.force) == (None, None, False)
    assert delivery == await driver.stored(delivery)


async def test_a_delivered_document_is_only_rechecked_when_a_person_asks(driver: Driver):
    await driver.ended()
    delivery = await driver.ask("doc-1", LATER)
    assert (delivery.state, delivery.step, delivery.due_at) == (State.SUCCEEDED, Step.RECHECK, LATER)


async def test_a_delivered_document_starts_over_when_a_person_insists(driver: Driver):
    await driver.ended()
    delivery = await driver.ask("doc-1", LATER, force=True)
    assert (delivery.state, delivery.step, delivery.due_at, delivery.force) == (State.QUEUED, Step.FETCH, LATER, True)


async def test_a_waiting_document_is_due_at_once_when_a_person_asks(driver: Driver):
    await driver.ledger.save(Save(release(await driver.claimed(), NOW + 9_000).evolve(tries=2)))
    delivery = await driver.ask("doc-1", LATER, force=True)
    assert (delivery.state, delivery.due_at, delivery.tries, delivery.force) == (State.QUEUED, LATER, 2, True)
    assert [each.id for each in await driver.claim(LATER)] == [delivery.id]


async def test_a_document_that_is_worked_on_is_looked_at_again_when_a_person_asks(driver: Driver):
    held = await driver.claimed()
    delivery = await driver.ask("doc-1", LATER, force=True)
    assert (delivery.state, delivery.again, delivery.token, delivery.force) == (State.WORKING, True, held.token, False)


@pytest.mark.parametrize("state", [state for state in State if state.ended])
async def test_a_retry_starts_over_and_keeps_what_is_known_of_the_row(driver: Driver, state: State):
    ended = await driver.ended(state, step=Step.REPORT, **REJECTED, mapping=MappingRef("m.yaml", "d1"))
    delivery = await driver.ledger.retry(ended.id, LATER, pinned=True)
    assert delivery is not None
    assert delivery == await driver.stored(ended)
    assert (delivery.state, delivery.step, delivery.due_at, delivery.tries) == (State.QUEUED, Step.FETCH, LATER, 0)
    assert (delivery.outcome, delivery.callback, delivery.execution_id) == (None, None, None)
    assert (delivery.error, delivery.problems, delivery.ended_at) == (None, (), None)
    assert (delivery.pinned, delivery.mapping) == (True, MappingRef("m.yaml", "d1"))
    assert (delivery.may_exist, delivery.record_id, delivery.line_ids) == (True, "row-1", ended.line_ids)
    assert delivery.attempts == ended.attempts
    with pytest.raises(LeaseLostError):
        await driver.ledger.save(Save(ended))


async def test_a_retry_makes_a_waiting_delivery_due_and_leaves_one_that_is_worked_on(driver: Driver):
    held = await driver.claimed()
    assert await driver.ledger.retry(held.id, LATER, pinned=False) == held
    await driver.ledger.save(Save(release(held, NOW + 9_000)))
    waiting = await driver.ledger.retry(held.id, LATER, pinned=True)
    assert waiting is not None
    assert (waiting.state, waiting.due_at, waiting.pinned) == (State.QUEUED, LATER, True)


@pytest.mark.parametrize("by", ["retry", "insisting"])
async def test_a_person_does_not_lose_to_a_recheck_that_is_under_way(driver: Driver, by: str):
    await driver.ended(State.SUCCEEDED if by == "insisting" else State.FAILED)
    await driver.bring("doc-1", now=LATER)
    [rechecking] = await driver.claim(LATER)
    if by == "retry":
        await driver.ledger.retry(rechecking.id, LATER + 1, pinned=False)
    else:
        await driver.ask("doc-1", LATER + 1, force=True)
    with pytest.raises(LeaseLostError):
        await driver.ledger.save(Save(rechecking.evolve(step=None, due_at=None, lease_until=None)))
    delivery = await driver.stored(rechecking)
    assert (delivery.state, delivery.step, delivery.due_at) == (State.QUEUED, Step.FETCH, LATER + 1)


async def test_a_retry_of_nothing_is_nothing(driver: Driver):
    assert await driver.ledger.retry("dlv_none", NOW, pinned=False) is None


async def test_a_changed_mapping_rechecks_the_newest_failed_deliveries_of_its_schema(driver: Driver):
    async def failed(
        document: str, state: State = State.FAILED, digest: str | None = "old", schema: str = "invoice_v2"
    ):
        mapping = MappingRef("m.yaml", digest) if digest else None
        return await driver.ended(state, document, mapping=mapping, schema=schema)

    wanted = [await failed("rejected"), await failed("unmapped", digest=None)]
    left = [
        await failed("current", digest="new"),
        await failed("other schema", schema="receipt_v1"),
        await failed("delivered", State.SUCCEEDED),
        await failed("parked", State.PARKED),
    ]
    outdated = await driver.claimed("corrected since")
    following = outdated.evolve(id="dlv_next", state=State.QUEUED, due_at=NOW + LEASE, lease_until=None)
    await driver.ledger.save(Save(end(outdated, State.FAILED), successor=following))

    assert await driver.ledger.recheck(T, LATER, schema="invoice_v2", mapping_digest="new") == 2
    for delivery in wanted:
        stored = await driver.stored(delivery)
        assert (stored.state, stored.step, stored.due_at) == (State.FAILED, Step.RECHECK, LATER)
    for delivery in [*left, outdated]:
        assert (await driver.stored(delivery)).due_at is None


async def test_a_mapping_that_changes_in_the_midst_of_a_recheck_rechecks_once_more(driver: Driver):
    await driver.ended(State.FAILED)
    await driver.bring("doc-1")
    [held] = await driver.claim()
    assert await driver.ledger.recheck(T, LATER, schema="invoice_v2", mapping_digest="new") == 1
    await driver.ledger.save(Save(held.evolve(step=None, due_at=None, lease_until=None)))
    assert [each.id for each in await driver.claim(LATER)] == [held.id]
