"""Every ledger: who listens, who waits, and who is gone."""

import pytest
from ledger_samples import LEASE, NOW, Driver, T, end, event, resume_call, subscriber
from msgspec.structs import replace

from bridge.events.model import EndpointState, Event, MessageState, Origin, matches
from bridge.ledger.protocol import MAX_PAGE, LeaseLostError, LedgerClosedError, Save

LATER = NOW + 1_000
HAPPENED = Event("tenant.blocked", b"{}")
SENT = {"state": MessageState.SENT, "ended_at": NOW}


@pytest.mark.parametrize(
    ("patterns", "type_", "wanted"),
    [
        (("*",), "tenant.blocked", True),
        (("delivery.*",), "delivery.failed", True),
        (("delivery.*",), "deliveryX.failed", False),
        (("delivery.*",), "delivery", False),
        (("delivery.failed",), "delivery.failed", True),
        (("delivery.failed",), "delivery.failed.again", False),
        (("tenant.*", "delivery.parked"), "delivery.parked", True),
        ((), "delivery.parked", False),
    ],
)
def test_a_pattern_is_a_type_or_a_family_of_types_or_all(patterns, type_, wanted):
    assert matches(patterns, type_) is wanted


async def test_everything_that_an_endpoint_holds_comes_back(driver: Driver):
    given = replace(
        subscriber("a", "delivery.*", "tenant.blocked"),
        address=b"\x00\xff",
        secrets=b"\xfe",
        state=EndpointState.PAUSED,
        failing_since=NOW - 5,
    )
    assert await driver.ledger.put_endpoint(given) == (given, True)
    assert await driver.ledger.endpoint(T, given.id) == given
    assert await driver.ledger.endpoint("other", given.id) is None
    assert await driver.ledger.endpoint(T, "sub_none") is None


async def test_the_same_url_again_is_the_same_subscription_with_what_is_new_of_it(driver: Driver):
    first = await driver.listen("a", "delivery.*")
    again = replace(subscriber("a", "*", now=LATER, id="sub_again"), secrets=b"rotated", address=b"sealed anew")
    stored, new = await driver.ledger.put_endpoint(again)
    assert not new
    assert stored == replace(again, id=first.id, created_at=NOW)
    assert await driver.ledger.endpoint(T, first.id) == stored


async def test_a_subscription_keeps_its_state_when_it_comes_again(driver: Driver):
    """Subscribing once more is not how a paused endpoint is resumed."""
    paused = replace(subscriber(), state=EndpointState.PAUSED, failing_since=NOW)
    await driver.ledger.put_endpoint(paused)
    stored, _ = await driver.ledger.put_endpoint(subscriber(now=LATER))
    assert (stored.state, stored.failing_since) == (EndpointState.PAUSED, NOW)


async def test_the_same_url_of_another_tenant_or_origin_is_another_subscription(driver: Driver):
    for other in (subscriber(), subscriber(tenant="other"), subscriber(origin=Origin.CONFIG)):
        assert await driver.ledger.put_endpoint(other) == (other, True)


async def test_a_subscription_that_was_removed_and_comes_again_is_a_new_one(driver: Driver):
    first = await driver.listen()
    assert await driver.ledger.remove_endpoint(T, first.id, LATER)
    again = subscriber(id="sub_again", now=LATER)
    assert await driver.ledger.put_endpoint(again) == (again, True)
    gone = await driver.ledger.endpoint(T, first.id)
    assert gone == replace(first, state=EndpointState.GONE, updated_at=LATER)


async def test_a_resume_url_does_not_subscribe(driver: Driver):
    with pytest.raises(ValueError, match="res_doc-1_n8n"):
        await driver.ledger.put_endpoint(resume_call())


async def test_endpoints_are_listed_by_pages_newest_first(driver: Driver):
    made = [await driver.listen(f"e{number}") for number in range(5)]
    await driver.listen("foreign", tenant="other")
    await driver.ask("doc-1", resume=resume_call())
    first = await driver.ledger.endpoints(T, limit=3)
    second = await driver.ledger.endpoints(T, limit=3, cursor=first.next_cursor)
    assert [*first.endpoints, *second.endpoints] == made[::-1]
    assert second.next_cursor is None
    assert (await driver.ledger.endpoints(T, limit=5)).next_cursor is None
    assert len((await driver.ledger.endpoints(T, limit=0)).endpoints) == 1
    with pytest.raises(ValueError, match="cursor"):
        await driver.ledger.endpoints(T, limit=3, cursor="x")


async def test_endpoints_are_listed_by_origin_and_state(driver: Driver):
    api, gone = await driver.listen("api"), await driver.listen("gone")
    config = subscriber("config", origin=Origin.CONFIG)
    await driver.ledger.put_endpoint(config)
    await driver.ledger.remove_endpoint(T, gone.id, LATER)
    await driver.ask("doc-1", resume=resume_call())

    async def listed(**wanted) -> list[str]:
        return [each.id for each in (await driver.ledger.endpoints(T, limit=10, **wanted)).endpoints]

    assert await listed() == [config.id, api.id]
    assert await listed(origins=frozenset({Origin.API})) == [api.id]
    assert await listed(origins=frozenset({Origin.RESUME})) == [resume_call().id]
    assert await listed(states=frozenset({EndpointState.GONE})) == [gone.id]
    assert await listed(origins=frozenset()) == []


async def test_pages_of_endpoints_are_bounded(driver: Driver):
    configured = [subscriber(f"e{number}", origin=Origin.CONFIG) for number in range(MAX_PAGE + 1)]
    await driver.ledger.sync_endpoints(T, configured, NOW)
    assert len((await driver.ledger.endpoints(T, limit=10**9)).endpoints) == MAX_PAGE


async def test_a_tenant_listens_while_somebody_subscribes_to_it(driver: Driver):
    assert not await driver.ledger.listens(T)
    await driver.ask("doc-1", resume=resume_call())
    assert not await driver.ledger.listens(T)
    endpoint = await driver.listen()
    assert await driver.ledger.listens(T)
    assert not await driver.ledger.listens("other")
    await driver.ledger.remove_endpoint(T, endpoint.id, NOW)
    assert not await driver.ledger.listens(T)
    await driver.ledger.put_endpoint(replace(subscriber(), id="sub_2", state=EndpointState.PAUSED))
    assert await driver.ledger.listens(T)


async def test_the_configured_endpoints_are_exactly_those_of_the_configuration(driver: Driver):
    api = await driver.listen("api")
    kept, left = subscriber("kept", origin=Origin.CONFIG), subscriber("left", origin=Origin.CONFIG)
    await driver.ledger.sync_endpoints(T, [kept, left], NOW)
    await driver.ledger.announce(T, HAPPENED, NOW)
    renewed = replace(kept, id="sub_x", types=("delivery.*",), secrets=b"new", updated_at=LATER)
    fresh = subscriber("fresh", origin=Origin.CONFIG, now=LATER)
    await driver.ledger.sync_endpoints(T, [renewed, fresh], LATER)

    assert await driver.ledger.endpoint(T, kept.id) == replace(renewed, id=kept.id)
    assert await driver.ledger.endpoint(T, fresh.id) == fresh
    assert await driver.ledger.endpoint(T, left.id) == replace(left, state=EndpointState.GONE, updated_at=LATER)
    assert await driver.ledger.endpoint(T, api.id) == api
    assert [message.state for message in await driver.told(left)] == [MessageState.DROPPED]
    assert [message.state for message in await driver.told(kept)] == [MessageState.QUEUED]
    await driver.ledger.sync_endpoints(T, [], LATER)
    assert {each.id for each in (await driver.ledger.endpoints(T, limit=10)).endpoints} == {api.id}


@pytest.mark.parametrize(
    "wrong", [subscriber(), subscriber(tenant="other", origin=Origin.CONFIG), resume_call()], ids=lambda each: each.id
)
async def test_what_is_not_the_tenants_own_configuration_is_refused(driver: Driver, wrong):
    kept = subscriber("kept", origin=Origin.CONFIG)
    await driver.ledger.sync_endpoints(T, [kept], NOW)
    with pytest.raises(ValueError, match=wrong.id):
        await driver.ledger.sync_endpoints(T, [wrong], NOW)
    assert await driver.ledger.endpoint(T, kept.id) == kept


async def test_an_endpoint_that_is_removed_drops_what_waited_for_it(driver: Driver):
    """What was sent stays in its history; what is on its way right now is void as well."""
    endpoint = await driver.listen()
    for _ in range(3):
        await driver.ledger.announce(T, HAPPENED, NOW)
    sent, flying = [each.message for each in await driver.claim_messages(limit=2)]
    await driver.ledger.save_message(replace(sent, **SENT))
    assert not await driver.ledger.remove_endpoint("other", endpoint.id, LATER)
    assert await driver.ledger.remove_endpoint(T, endpoint.id, LATER)
    assert not await driver.ledger.remove_endpoint(T, endpoint.id, LATER)
    assert not await driver.ledger.remove_endpoint(T, "sub_none", LATER)

    states = {message.id: (message.state, message.ended_at) for message in await driver.told(endpoint)}
    assert states[sent.id] == (MessageState.SENT, NOW)
    assert sorted(states.values()) == [(MessageState.DROPPED, LATER)] * 2 + [(MessageState.SENT, NOW)]
    with pytest.raises(LeaseLostError):
        await driver.ledger.save_message(replace(flying, **SENT))
    assert await driver.claim_messages(NOW + LEASE) == []
    assert await driver.ledger.announce(T, HAPPENED, LATER) == 0
    assert await driver.ledger.announce(T, HAPPENED, LATER, endpoint_id=endpoint.id) == 0


async def test_an_endpoint_with_many_messages_lets_go_of_all_of_them(driver: Driver):
    endpoint, other = await driver.listen("a"), await driver.listen("b")
    for _ in range(620):
        await driver.ledger.announce(T, HAPPENED, NOW, endpoint_id=endpoint.id)
    await driver.ledger.announce(T, HAPPENED, NOW, endpoint_id=other.id)
    await driver.ledger.remove_endpoint(T, endpoint.id, LATER)
    assert {message.state for message in await driver.told(endpoint)} == {MessageState.DROPPED}
    [left] = await driver.claim_messages()
    assert left.endpoint == other
    pruned = await driver.ledger.prune(deliveries_before=0, requests_before=LATER + 1)
    assert (pruned["messages"], pruned["endpoints"]) == (620, 1)


async def test_a_paused_endpoint_holds_its_messages_until_it_is_resumed(driver: Driver):
    endpoint = await driver.listen()
    await driver.ledger.announce(T, HAPPENED, NOW)
    [claimed] = await driver.claim_messages()
    waits = replace(claimed.message, due_at=NOW + 9_000, tries=7, status=500, error="endpoint_refused")
    paused = replace(endpoint, state=EndpointState.PAUSED, failing_since=NOW - 5, updated_at=LATER)
    await driver.ledger.save_message(waits, endpoint=paused)
    assert await driver.ledger.endpoint(T, endpoint.id) == paused
    await driver.ledger.announce(T, HAPPENED, LATER)
    assert await driver.claim_messages(NOW + 9_000) == []
    assert await driver.ledger.next_message_due(NOW) is None

    moment = LATER + 5
    resumed = await driver.ledger.resume_endpoint(T, endpoint.id, moment)
    assert resumed == replace(paused, state=EndpointState.ACTIVE, failing_since=None, updated_at=moment)
    assert await driver.ledger.endpoint(T, endpoint.id) == resumed
    held = await driver.claim_messages(moment)
    assert [(each.message.due_at, each.message.tries) for each in held] == [(LATER, 0), (moment, 0)]


async def test_an_endpoint_with_many_messages_resumes_all_of_them(driver: Driver):
    endpoint = await driver.listen()
    for _ in range(530):
        await driver.ledger.announce(T, HAPPENED, NOW)
    claimed = [each.message for each in await driver.claim_messages(limit=600, per_endpoint=600)]
    for message in claimed[:-1]:
        await driver.ledger.save_message(replace(message, due_at=NOW + 9_000, tries=3))
    paused = replace(endpoint, state=EndpointState.PAUSED)
    await driver.ledger.save_message(replace(claimed[-1], due_at=NOW + 9_000, tries=3), endpoint=paused)
    await driver.ledger.resume_endpoint(T, endpoint.id, LATER)
    held = await driver.claim_messages(LATER, limit=600, per_endpoint=600)
    assert (len(held), {each.message.tries for each in held}) == (530, {0})


async def test_only_a_paused_endpoint_is_resumed(driver: Driver):
    """For one that answers nothing changes: its messages keep the due times of their schedule."""
    endpoint = await driver.listen()
    await driver.ledger.announce(T, HAPPENED, NOW)
    [claimed] = await driver.claim_messages()
    await driver.ledger.save_message(replace(claimed.message, due_at=NOW + 9_000, tries=2))
    assert await driver.ledger.resume_endpoint(T, endpoint.id, LATER) == endpoint
    assert await driver.claim_messages(LATER) == []
    assert await driver.ledger.resume_endpoint("other", endpoint.id, LATER) is None
    assert await driver.ledger.resume_endpoint(T, "sub_none", LATER) is None
    await driver.ledger.remove_endpoint(T, endpoint.id, LATER)
    assert await driver.ledger.resume_endpoint(T, endpoint.id, LATER) is None


async def test_an_endpoint_that_ends_itself_drops_what_waited_for_it(driver: Driver):
    endpoint = await driver.listen()
    for _ in range(2):
        await driver.ledger.announce(T, HAPPENED, NOW)
    [claimed] = await driver.claim_messages(limit=1)
    failed = replace(claimed.message, state=MessageState.FAILED, status=410, error="endpoint_gone", ended_at=LATER)
    gone = replace(endpoint, state=EndpointState.GONE, updated_at=LATER)
    await driver.ledger.save_message(failed, endpoint=gone)
    assert await driver.ledger.endpoint(T, endpoint.id) == gone
    states = {message.id: message.state for message in await driver.told(endpoint)}
    assert states.pop(failed.id) is MessageState.FAILED
    assert list(states.values()) == [MessageState.DROPPED]


async def test_an_older_copy_of_an_endpoint_does_not_bring_it_back(driver: Driver):
    """Two messages are on their way; the endpoint says with the first that it is gone, the second gets through."""
    endpoint = await driver.listen()
    await driver.ledger.announce(T, HAPPENED, NOW)
    [claimed] = await driver.claim_messages()
    await driver.ledger.remove_endpoint(T, endpoint.id, LATER)
    with pytest.raises(LeaseLostError):
        await driver.ledger.save_message(replace(claimed.message, **SENT), endpoint=endpoint)
    stored = await driver.ledger.endpoint(T, endpoint.id)
    assert stored is not None
    assert stored.state is EndpointState.GONE


async def test_retention_keeps_endpoints_that_have_gone_lately(driver: Driver):
    endpoint = await driver.listen()
    await driver.ledger.remove_endpoint(T, endpoint.id, LATER)
    assert (await driver.ledger.prune(deliveries_before=LATER, requests_before=LATER))["endpoints"] == 0
    assert (await driver.ledger.prune(deliveries_before=0, requests_before=LATER + 1))["endpoints"] == 1


async def test_what_is_being_sent_while_its_endpoint_is_resumed_keeps_its_tries(driver: Driver):
    endpoint = await driver.listen()
    for _ in range(2):
        await driver.ledger.announce(T, HAPPENED, NOW)
    first, second = [each.message for each in await driver.claim_messages()]
    await driver.ledger.save_message(replace(first, due_at=LATER, tries=3))
    await driver.ledger.save_message(replace(second, due_at=LATER, tries=3))
    [flying] = [each.message for each in await driver.claim_messages(LATER, limit=1)]
    held = next(each for each in (first, second) if each.id != flying.id)
    [claimed] = await driver.claim_messages(LATER)
    paused = replace(endpoint, state=EndpointState.PAUSED)
    await driver.ledger.save_message(replace(claimed.message, due_at=NOW + LEASE, tries=4), endpoint=paused)
    await driver.ledger.resume_endpoint(T, endpoint.id, LATER)
    tries = {message.id: message.tries for message in await driver.told(endpoint)}
    assert tries == {flying.id: 3, held.id: 0}


async def test_retention_removes_endpoints_that_are_gone_once_their_messages_are(driver: Driver):
    endpoint, paused = await driver.listen("a"), replace(subscriber("b"), state=EndpointState.PAUSED)
    await driver.ledger.put_endpoint(paused)
    await driver.ledger.announce(T, HAPPENED, NOW)
    [claimed] = await driver.claim_messages()
    await driver.ledger.save_message(replace(claimed.message, **SENT | {"ended_at": LATER}))
    await driver.ledger.remove_endpoint(T, endpoint.id, NOW)

    async def pruned(before: int) -> tuple[int, int]:
        removed = await driver.ledger.prune(deliveries_before=0, requests_before=before)
        return removed["messages"], removed["endpoints"]

    assert await pruned(LATER) == (0, 0)
    assert await pruned(LATER + 1) == (1, 1)
    assert await driver.ledger.endpoint(T, endpoint.id) is None
    assert len(await driver.told(paused)) == 1


async def test_retention_removes_a_resume_url_whose_document_is_forgotten(driver: Driver):
    """Nothing could ever call it; one whose document is still there waits on."""
    waiting, forgotten = resume_call("doc-1"), resume_call("doc-2")
    for resume in (waiting, forgotten):
        asked = await driver.ask(str(resume.document_id), resume=resume)
        [held] = await driver.claim()
        assert held.id == asked.id
        await driver.ledger.save(Save(end(held)))
    await driver.bring("doc-1", now=LATER)
    pruned = await driver.ledger.prune(deliveries_before=NOW + 1, requests_before=NOW + 1)
    assert (pruned["deliveries"], pruned["endpoints"]) == (1, 1)
    assert await driver.ledger.endpoint(T, waiting.id) == waiting
    assert await driver.ledger.endpoint(T, forgotten.id) is None


async def test_a_closed_ledger_takes_and_tells_nothing_of_endpoints(driver: Driver):
    held = await driver.claimed()
    await driver.ledger.close()
    for asked in (
        driver.listen(),
        driver.ledger.listens(T),
        driver.ledger.announce(T, event(held), NOW),
        driver.claim_messages(),
        driver.ledger.next_message_due(NOW),
    ):
        with pytest.raises(LedgerClosedError):
            await asked
