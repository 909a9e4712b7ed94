"""Every ledger: calls that come in count once, and a document can be taken back until its write begins."""

import asyncio

import pytest
from ledger_samples import LEASE, NOW, Driver, T, end, event, release, request, resume_call
from msgspec.structs import replace

from bridge.delivery.model import DeliveryError, State, Step, Trigger
from bridge.ledger.inbox import HookTaken, StoredHook, Withdrawal
from bridge.ledger.protocol import LeaseLostError, Save
from connectors.ports import Listing

LATER = NOW + 1_000
CALLED = StoredHook(T, "numora", "evt_1", "document.reviewed", "doc-1", NOW, b'{"raw": 1}')
DAY = 86_400_000


async def _take(driver: Driver, hook: StoredHook = CALLED, **wanted) -> HookTaken:
    return await driver.ledger.take_hook(hook, new_id=driver.new_id, **wanted)


async def _withdraw(driver: Driver, now: int = LATER, **wanted) -> Withdrawal:
    given = {"code": "rejected_in_review", "message": "A person rejected it."} | wanted
    return await driver.ledger.withdraw(T, "doc-1", now, **given)


async def test_a_call_brings_its_document_in(driver: Driver):
    taken = await _take(driver, trigger=Trigger.WEBHOOK)
    assert not taken.repeated
    assert taken.delivery is not None
    assert taken.delivery == await driver.stored(taken.delivery)
    assert (taken.delivery.document_id, taken.delivery.trigger) == ("doc-1", Trigger.WEBHOOK)
    assert (taken.delivery.state, taken.delivery.step, taken.delivery.due_at) == (State.QUEUED, Step.FETCH, NOW)


async def test_a_call_that_comes_again_changes_nothing(driver: Driver):
    taken = await _take(driver, trigger=Trigger.WEBHOOK)
    assert taken.delivery is not None
    repeated = replace(CALLED, received_at=LATER, document_id="doc-2")
    assert await _take(driver, repeated, trigger=Trigger.WEBHOOK) == HookTaken(repeated=True, delivery=None)
    assert await _take(driver, repeated, withdraw=True, code="c", message="m.") == HookTaken(True, None)
    assert await driver.all() == (taken.delivery,)
    assert await driver.ledger.hook_counts(T) == {("numora", "document.reviewed"): 1}


async def test_of_many_calls_with_one_id_at_once_one_counts(driver: Driver):
    calls = [_take(driver, trigger=Trigger.WEBHOOK) for _ in range(30)]
    taken = await asyncio.gather(*calls)
    assert sum(not each.repeated for each in taken) == 1
    assert len(await driver.all()) == 1


@pytest.mark.parametrize("changed", [{"tenant": "other"}, {"source": "executor"}, {"event_id": "evt_2"}])
async def test_an_id_is_known_by_its_tenant_and_source(driver: Driver, changed):
    await _take(driver)
    assert not (await _take(driver, replace(CALLED, **changed))).repeated


async def test_a_call_does_what_a_listing_does(driver: Driver):
    """What is known of the document is not lost for it, and an ended delivery is rechecked."""
    known = Listing("doc-1", "invoice_v2", updated_at="u1", metadata={"file_url": "/1"})
    await driver.bring(known)
    [held] = await driver.claim()
    await driver.ledger.save(Save(end(held)))
    taken = await _take(driver, replace(CALLED, received_at=LATER), trigger=Trigger.NOTIFY)
    assert taken.delivery is not None
    assert (taken.delivery.id, taken.delivery.step, taken.delivery.due_at) == (held.id, Step.RECHECK, LATER)
    assert (taken.delivery.listing, taken.delivery.trigger) == (known, Trigger.OUTBOX)


async def test_a_call_that_asks_for_nothing_is_kept_and_counted(driver: Driver):
    unknown = replace(CALLED, event_id="evt_2", type="document.new_kind", document_id=None)
    assert await _take(driver) == await _take(driver, unknown) == HookTaken(repeated=False, delivery=None)
    await _take(driver, replace(unknown, event_id="evt_3"))
    await _take(driver, replace(unknown, tenant="other"))
    assert (await _take(driver, unknown)).repeated
    assert await driver.all() == ()
    counted = {("numora", "document.reviewed"): 1, ("numora", "document.new_kind"): 2}
    assert await driver.ledger.hook_counts(T) == counted
    assert await driver.ledger.hook_counts("third") == {}


async def test_a_call_can_take_a_document_back(driver: Driver):
    endpoint = await driver.listen()
    await driver.bring("doc-1")
    hook = replace(CALLED, type="document.review_required", received_at=LATER)
    taken = await _take(driver, hook, withdraw=True, code="back_in_review", message="Review it.", event=event)
    assert taken.delivery is not None
    assert (taken.delivery.state, taken.delivery.ended_at) == (State.SUPERSEDED, LATER)
    assert taken.delivery.error == DeliveryError("back_in_review", "Review it.")
    assert [message.type for message in await driver.told(endpoint)] == ["delivery.superseded"]
    never_seen = replace(hook, event_id="evt_2", document_id="doc-2")
    assert await _take(driver, never_seen, withdraw=True, code="c", message="m.") == HookTaken(False, None)
    assert len(await driver.all()) == 1


@pytest.mark.parametrize(
    ("hook", "wanted"),
    [
        (replace(CALLED, document_id=None), {"trigger": Trigger.WEBHOOK}),
        (replace(CALLED, document_id=None), {"withdraw": True, "code": "c", "message": "m."}),
        (CALLED, {"withdraw": True, "code": "c", "message": "m.", "trigger": Trigger.WEBHOOK}),
        (CALLED, {"withdraw": True, "message": "m."}),
        (CALLED, {"withdraw": True, "code": "c"}),
    ],
)
async def test_a_call_that_cannot_be_done_is_not_stored_either(driver: Driver, hook, wanted):
    with pytest.raises(ValueError):
        await _take(driver, hook, **wanted)
    assert not (await _take(driver)).repeated


async def test_calls_are_forgotten_by_age_and_their_number_is_not(driver: Driver):
    await _take(driver)
    assert (await driver.ledger.prune(deliveries_before=0, requests_before=NOW))["hooks"] == 0
    assert (await driver.ledger.prune(deliveries_before=0, requests_before=NOW + 1))["hooks"] == 1
    assert await driver.ledger.hook_counts(T) == {("numora", "document.reviewed"): 1}
    assert not (await _take(driver)).repeated


@pytest.mark.parametrize("place", ["queued", "waiting", "working"])
async def test_a_delivery_that_has_not_begun_to_write_is_taken_back(driver: Driver, place: str):
    await driver.bring("doc-1")
    held = None
    if place != "queued":
        [held] = await driver.claim()
    if place == "waiting" and held is not None:
        await driver.ledger.save(Save(release(held, NOW + 9_000).evolve(tries=2, force=True)))
    withdrawal = await _withdraw(driver)
    [delivery] = await driver.all()
    assert withdrawal == Withdrawal("superseded", delivery)
    assert (delivery.state, delivery.step, delivery.due_at, delivery.lease_until) == (
        State.SUPERSEDED,
        None,
        None,
        None,
    )
    assert delivery.error == DeliveryError("rejected_in_review", "A person rejected it.")
    assert (delivery.ended_at, delivery.updated_at, delivery.tries, delivery.force) == (LATER, LATER, 0, False)
    assert await driver.claim(NOW + 10 * LEASE) == []
    if held is not None:
        writes = Save(held.evolve(step=Step.WRITE, may_exist=True), [request(held, "r")])
        with pytest.raises(LeaseLostError):
            await driver.ledger.save(writes)
        assert await driver.ledger.requests(held.id) == ()


@pytest.mark.parametrize("step", [Step.WRITE, Step.REPORT, Step.WATCH])
@pytest.mark.parametrize("waits", [True, False])
async def test_a_delivery_whose_write_has_begun_goes_on(driver: Driver, step: Step, waits: bool):
    held = (await driver.claimed()).evolve(step=step)
    await driver.ledger.save(Save(release(held, LATER) if waits else held))
    before = await driver.stored(held)
    assert await _withdraw(driver) == Withdrawal("written", before)
    assert await driver.stored(held) == before


@pytest.mark.parametrize("place", ["ended", "due for a recheck", "being rechecked", "unknown"])
async def test_where_nothing_is_under_way_nothing_is_taken_back(driver: Driver, place: str):
    if place != "unknown":
        await driver.ended()
    if place in {"due for a recheck", "being rechecked"}:
        await driver.bring("doc-1")
    if place == "being rechecked":
        await driver.claim()
    before = await driver.all()
    assert await _withdraw(driver) == Withdrawal("none", before[0] if before else None)
    assert await driver.all() == before


async def test_either_the_write_or_the_withdrawal_comes_first(driver: Driver):
    """Asked for at the same moment, and whoever comes second learns it."""
    for number, withdraw_first in enumerate((True, False)):
        held = await driver.claimed(f"doc-{number}")
        writes = driver.ledger.save(Save(held.evolve(step=Step.WRITE), [request(held, "r")]))
        takes_back = driver.ledger.withdraw(T, held.document_id, LATER, code="c", message="m.")
        order = [takes_back, writes] if withdraw_first else [writes, takes_back]
        results = await asyncio.gather(*order, return_exceptions=True)
        if withdraw_first:
            assert isinstance(results[0], Withdrawal)
            assert isinstance(results[1], LeaseLostError)
            assert results[0].effect == "superseded"
        else:
            assert isinstance(results[1], Withdrawal)
            assert results[1].effect == "written"
            assert (await driver.stored(held)).state is State.WORKING


async def test_a_withdrawal_is_told_to_all_who_listen_and_to_whoever_waits(driver: Driver):
    endpoint, resume = await driver.listen(), resume_call()
    await driver.ask("doc-1", resume=resume)
    told = []
    await _withdraw(driver, event=lambda delivery: told.append(delivery) or event(delivery))
    [delivery] = await driver.all()
    assert told == [delivery]
    for receiver in (endpoint, resume):
        [message] = await driver.told(receiver)
        assert (message.type, message.delivery_id, message.due_at) == ("delivery.superseded", delivery.id, LATER)


async def test_a_withdrawal_that_nobody_listens_to_tells_nothing(driver: Driver):
    endpoint = await driver.listen()
    await driver.bring("doc-1")
    assert (await _withdraw(driver, event=lambda _: None)).effect == "superseded"
    assert await driver.told(endpoint) == ()


async def test_a_document_that_was_listed_meanwhile_is_read_once_more_after_a_withdrawal(driver: Driver):
    """The withdrawal may be the older of the two and have come late; reading the document tells."""
    endpoint, resume = await driver.listen(), resume_call()
    await driver.ask("doc-1", resume=resume)
    await driver.claim()
    await driver.bring("doc-1")
    withdrawal = await _withdraw(driver, event=event)
    assert withdrawal.effect == "superseded"
    assert withdrawal.delivery is not None
    assert (withdrawal.delivery.state, withdrawal.delivery.step) == (State.SUPERSEDED, Step.RECHECK)
    assert len(await driver.told(endpoint)) == 1
    assert await driver.told(resume) == ()
    assert [each.id for each in await driver.claim(LATER)] == [withdrawal.delivery.id]


async def test_a_withdrawn_document_that_is_reviewed_again_is_read_again(driver: Driver):
    await driver.bring("doc-1")
    await _withdraw(driver)
    await driver.bring("doc-1", now=LATER)
    [held] = await driver.claim(LATER)
    assert (held.state, held.step) == (State.SUPERSEDED, Step.RECHECK)


async def _sweep(driver: Driver, now: int = NOW + DAY, limit: int = 100, seen_after: int = NOW - 1) -> int:
    return await driver.ledger.sweep(T, now, seen_after=seen_after, quiet_since=now - LEASE, limit=limit)


async def test_documents_whose_notification_came_to_nothing_are_read_again(driver: Driver):
    swept = await driver.ended(State.SUPERSEDED, "doc-1", error=DeliveryError("back_in_review", "."))
    other = await driver.ended(State.FAILED, "doc-2")
    assert await _sweep(driver) == 1
    delivery = await driver.stored(swept)
    assert (delivery.state, delivery.step, delivery.due_at) == (State.SUPERSEDED, Step.RECHECK, NOW + DAY)
    assert (delivery.error, delivery.seen_at) == (DeliveryError("back_in_review", "."), NOW)
    assert (await driver.stored(other)).due_at is None
    with pytest.raises(LeaseLostError):
        await driver.ledger.save(Save(swept))


async def test_a_sweep_passes_over_what_it_has_no_reason_to_read(driver: Driver):
    await driver.ended(State.SUPERSEDED, "seen long ago", NOW - 5)
    await driver.ended(State.SUPERSEDED, "seen just now", NOW + DAY - LEASE)
    await driver.ended(State.SUPERSEDED, "due already")
    corrected = await driver.claimed("corrected")
    following = release(corrected, NOW).evolve(id="dlv_next")
    await driver.ledger.save(Save(end(corrected, State.SUPERSEDED), successor=following))
    await driver.bring("due already")
    before = await driver.all()
    assert await _sweep(driver) == 0
    assert await driver.all() == before


async def test_a_sweep_gets_to_those_that_the_last_one_left(driver: Driver):
    """What was read a moment ago is passed over, however often it came to nothing."""
    for number in range(5):
        await driver.ended(State.SUPERSEDED, f"doc-{number}")
    swept: list[str] = []
    for turn in range(3):
        moment = NOW + DAY + turn
        assert await _sweep(driver, moment, limit=2) == (2, 2, 1)[turn]
        for held in await driver.claim(moment):
            swept.append(held.document_id)
            await driver.ledger.save(Save(held.evolve(step=None, due_at=None, lease_until=None)))
    assert sorted(swept) == [f"doc-{number}" for number in range(5)]
    assert await _sweep(driver, NOW + DAY + LEASE + 3) == 5


async def test_a_sweep_goes_through_more_than_one_chunk(driver: Driver):
    await driver.bring(*(f"doc-{number}" for number in range(620)))
    held = await driver.claim(limit=1_000)
    await asyncio.gather(*(driver.ledger.save(Save(end(each, State.SUPERSEDED))) for each in held))
    assert await _sweep(driver, limit=610) == 610
    assert len(await driver.claim(NOW + DAY, limit=1_000)) == 610
