"""Every ledger: what can be asked of it, the polls, and what it lets go of."""

import asyncio

import pytest
from ledger_samples import LEASE, NOW, Driver, T, attempt, end, request

from bridge.delivery.model import DeliveryError, DeliveryFilter, State, Step, Trigger
from bridge.ledger.protocol import MAX_PAGE, ClaimFilter, LedgerClosedError, PollState, Save
from connectors.ports import Listing

DAY = 86_400_000


def _pruned(**kinds: int) -> dict[str, int]:
    """What retention tells when nothing else went."""
    every = ("deliveries", "requests", "messages", "hooks", "actions", "endpoints")
    return dict.fromkeys(every, 0) | kinds


async def test_a_delivery_that_is_not_there_is_none(driver: Driver):
    assert await driver.ledger.delivery("dlv_none") is None
    assert await driver.ledger.attempts("dlv_none") == ()
    assert await driver.ledger.requests("dlv_none") == ()


async def test_pages_go_from_the_newest_to_the_oldest_without_gap_or_repeat(driver: Driver):
    await driver.bring(*(f"doc-{number}" for number in range(5)))
    first = await driver.ledger.deliveries(DeliveryFilter(T), limit=2)
    await driver.bring("doc-new")
    second = await driver.ledger.deliveries(DeliveryFilter(T), limit=2, cursor=first.next_cursor)
    third = await driver.ledger.deliveries(DeliveryFilter(T), limit=2, cursor=second.next_cursor)
    pages = [[delivery.document_id for delivery in page.deliveries] for page in (first, second, third)]
    assert pages == [["doc-4", "doc-3"], ["doc-2", "doc-1"], ["doc-0"]]
    assert third.next_cursor is None


async def test_a_page_that_ends_with_the_last_delivery_is_the_last_page(driver: Driver):
    await driver.bring("doc-1", "doc-2")
    assert (await driver.ledger.deliveries(DeliveryFilter(T), limit=2)).next_cursor is None


async def test_pages_are_bounded(driver: Driver):
    await driver.bring(*(f"doc-{number}" for number in range(MAX_PAGE + 1)))
    page = await driver.ledger.deliveries(DeliveryFilter(T), limit=10**9)
    assert len(page.deliveries) == MAX_PAGE
    assert page.next_cursor is not None
    assert len((await driver.ledger.deliveries(DeliveryFilter(T), limit=0)).deliveries) == 1


@pytest.mark.parametrize("cursor", ["", "x", "c2VxOi0x", "MTA", "ä", "c2VxOjEw=", "c2VxOjAxMA"])
async def test_a_cursor_that_was_never_given_is_refused(driver: Driver, cursor: str):
    with pytest.raises(ValueError, match="cursor"):
        await driver.ledger.deliveries(DeliveryFilter(T), limit=2, cursor=cursor)


async def test_pages_are_filtered_by_tenant_state_document_and_error(driver: Driver):
    down, wrong = DeliveryError("down", "."), DeliveryError("wrong", ".")
    await driver.ended(State.FAILED, "doc-1", error=wrong)
    await driver.ended(State.FAILED, "doc-2", error=down)
    await driver.ended(State.PARKED, "doc-3", error=wrong)
    await driver.ended(State.SUCCEEDED, "doc-4")
    await driver.bring("doc-5")
    await driver.bring("doc-5", tenant="other")

    async def found(**wanted) -> list[str]:
        page = await driver.ledger.deliveries(DeliveryFilter(T, **wanted), limit=10)
        assert page.next_cursor is None
        return [delivery.document_id for delivery in page.deliveries]

    assert await found() == ["doc-5", "doc-4", "doc-3", "doc-2", "doc-1"]
    assert await found(states=frozenset({State.FAILED})) == ["doc-2", "doc-1"]
    assert await found(states=frozenset({State.FAILED, State.QUEUED})) == ["doc-5", "doc-2", "doc-1"]
    assert await found(error_code="wrong") == ["doc-3", "doc-1"]
    assert await found(error_code="wrong", states=frozenset({State.PARKED})) == ["doc-3"]
    assert await found(document_id="doc-2") == ["doc-2"]
    assert await found(document_id="doc-2", error_code="wrong") == []
    assert await found(document_id="doc-2", states=frozenset({State.SUCCEEDED})) == []
    assert await found(document_id="doc-2", states=frozenset({State.FAILED}), error_code="down") == ["doc-2"]


async def test_counts_name_every_state_and_the_oldest_that_waits(driver: Driver):
    empty = await driver.ledger.counts(T)
    assert (set(empty.by_state), set(empty.by_state.values()), empty.oldest_queued_at) == (set(State), {0}, None)
    await driver.ended(State.FAILED, "doc-1")
    await driver.bring("doc-2", now=NOW + 1)
    await driver.bring("doc-3", now=NOW + 2)
    await driver.bring("doc-4", tenant="other")
    counts = await driver.ledger.counts(T)
    assert {state: number for state, number in counts.by_state.items() if number} == {State.FAILED: 1, State.QUEUED: 2}
    assert counts.oldest_queued_at == NOW + 1


async def test_one_poll_of_a_tenant_at_a_time(driver: Driver):
    lease = await driver.ledger.acquire_poll(T, NOW, lease_until=NOW + LEASE)
    assert lease is not None
    assert (lease.tenant, lease.until, lease.state) == (T, NOW + LEASE, PollState())
    assert await driver.ledger.acquire_poll(T, NOW + LEASE - 1, lease_until=NOW + 2 * LEASE) is None
    assert await driver.ledger.acquire_poll("other", NOW, lease_until=NOW + LEASE) is not None
    next_one = await driver.ledger.acquire_poll(T, NOW + LEASE, lease_until=NOW + 2 * LEASE)
    assert next_one is not None
    assert next_one.token > lease.token


async def test_the_end_of_a_poll_is_noted_and_the_right_given_back(driver: Driver):
    first = await driver.ledger.acquire_poll(T, NOW, lease_until=NOW + LEASE)
    assert first is not None
    await driver.ledger.finish_poll(first, NOW + 1, succeeded=True)
    second = await driver.ledger.acquire_poll(T, NOW + 2, lease_until=NOW + LEASE)
    assert second is not None
    assert second.state == PollState(finished_at=NOW + 1, succeeded_at=NOW + 1)
    await driver.ledger.finish_poll(second, NOW + 3, succeeded=False)
    assert await driver.ledger.poll_state(T) == PollState(finished_at=NOW + 3, succeeded_at=NOW + 1)


async def test_a_cursor_stays_when_a_poll_fails_and_goes_when_it_is_reset(driver: Driver):
    for reset, left in ((False, "c-2"), (True, None)):
        lease = await driver.ledger.acquire_poll(T, NOW, lease_until=NOW + LEASE)
        assert lease is not None
        await driver.ledger.intake(T, [], Trigger.OUTBOX, NOW, new_id=driver.new_id, poll=lease, next_cursor="c-2")
        await driver.ledger.finish_poll(lease, NOW, succeeded=False, reset_cursor=reset)
        assert (await driver.ledger.poll_state(T)).cursor == left


async def test_a_poll_that_was_lost_ends_nothing(driver: Driver):
    lost = await driver.ledger.acquire_poll(T, NOW, lease_until=NOW + 1)
    assert lost is not None
    current = await driver.ledger.acquire_poll(T, NOW + 1, lease_until=NOW + LEASE)
    assert current is not None
    await driver.ledger.finish_poll(lost, NOW + 2, succeeded=True, reset_cursor=True)
    assert await driver.ledger.poll_state(T) == PollState()
    assert await driver.ledger.acquire_poll(T, NOW + 3, lease_until=NOW + LEASE) is None


async def test_the_text_of_a_mapping_is_kept_by_its_digest(driver: Driver):
    assert await driver.ledger.mapping_text("d1") is None
    await driver.ledger.store_mapping("d1", "invoice.yaml", "schema: invoice_v2\n", NOW)
    await driver.ledger.store_mapping("d1", "renamed.yaml", "schema: invoice_v2\n", NOW)
    assert await driver.ledger.mapping_text("d1") == "schema: invoice_v2\n"


async def test_retention_removes_what_ended_long_ago_with_its_attempts_and_requests(driver: Driver):
    old = await driver.claimed("old")
    await driver.ledger.save(Save(end(old), [request(old, "r-1", NOW), request(old, "r-2", NOW)], attempt(old)))
    pruned = await driver.ledger.prune(deliveries_before=NOW + 1, requests_before=NOW)
    assert pruned == _pruned(deliveries=1, requests=2)
    assert await driver.all() == ()
    assert await driver.ledger.requests(old.id) == ()
    assert await driver.ledger.attempts(old.id) == ()


async def test_retention_keeps_what_is_young_or_under_way_or_asked_for(driver: Driver):
    long_ago = NOW - DAY
    await driver.ended(document="young", now=NOW)
    await driver.ended(document="asked for", now=long_ago)
    await driver.bring("asked for", now=long_ago)
    await driver.bring("queued", "working", now=long_ago)
    await driver.claim(long_ago, only=ClaimFilter(steps=frozenset({Step.FETCH})), limit=1)
    assert await driver.ledger.prune(deliveries_before=NOW, requests_before=NOW) == _pruned()
    assert len(await driver.all()) == 4


async def test_retention_keeps_what_was_seen_lately(driver: Driver):
    await driver.ended(now=NOW - DAY)
    await driver.bring("doc-1", now=NOW)
    [held] = await driver.claim()
    await driver.ledger.save(Save(held.evolve(step=None, due_at=None, lease_until=None)))
    assert (await driver.ledger.prune(deliveries_before=NOW, requests_before=NOW))["deliveries"] == 0
    assert (await driver.ledger.prune(deliveries_before=NOW + 1, requests_before=NOW))["deliveries"] == 1


async def test_requests_go_before_their_deliveries(driver: Driver):
    held = await driver.claimed()
    sent = [request(held, f"r-{number}", NOW + number) for number in range(4)]
    await driver.ledger.save(Save(end(held), sent))
    assert await driver.ledger.prune(deliveries_before=NOW, requests_before=NOW + 2) == _pruned(requests=2)
    assert await driver.ledger.requests(held.id) == tuple(sent[2:])


async def test_retention_goes_through_more_than_one_chunk(driver: Driver):
    documents = [f"doc-{number}" for number in range(1_100)]
    await driver.bring(*documents)
    held = await driver.claim(limit=2_000)
    await asyncio.gather(*(driver.ledger.save(Save(end(each, State.FAILED), [request(each, "r")])) for each in held))
    assert await driver.ledger.recheck(T, NOW, schema="invoice_v2", mapping_digest="new") == 1_100
    held = [each.evolve(step=None, due_at=None, lease_until=None) for each in await driver.claim(limit=2_000)]
    await asyncio.gather(*(driver.ledger.save(Save(each)) for each in held))
    pruned = await driver.ledger.prune(deliveries_before=NOW + 1, requests_before=NOW + 1)
    assert pruned == _pruned(deliveries=1_100, requests=1_100)


async def test_ping_passes_on_a_ledger_that_can_be_used(driver: Driver):
    await driver.ledger.ping()


async def test_a_closed_ledger_says_so(driver: Driver):
    held = await driver.claimed()
    await driver.ledger.close()
    await driver.ledger.close()
    for asked in (
        driver.ledger.ping(),
        driver.ledger.save(Save(held)),
        driver.ledger.delivery(held.id),
        driver.ledger.recheck(T, NOW, schema="invoice_v2", mapping_digest="d"),
        driver.bring(Listing("doc-1")),
    ):
        with pytest.raises(LedgerClosedError) as closed:
            await asked
        assert closed.value.code == "ledger_closed"
