"""Every ledger: what a step tells others is stored with it, and then sent in turn."""

import asyncio

import pytest
from ledger_samples import LEASE, NOW, Driver, T, end, event, release, resume_call, subscriber
from msgspec.structs import replace

from bridge.delivery.model import State, Step
from bridge.events.model import EndpointState, Event, MessageState
from bridge.ledger.protocol import LeaseLostError, LedgerError, Save

LATER = NOW + 1_000
HAPPENED = Event("tenant.blocked", b'{"a": 1.10}\x00\xff')
SENT = {"state": MessageState.SENT, "status": 200, "ended_at": LATER}


async def test_a_save_and_what_it_tells_are_one(driver: Driver):
    endpoint = await driver.listen()
    held = await driver.claimed()
    ended = end(held, now=LATER)
    await driver.ledger.save(Save(ended, event=event(ended, body=b"\x00told")))
    [message] = await driver.told(endpoint)
    assert (message.tenant, message.endpoint_id, message.delivery_id) == (T, endpoint.id, held.id)
    assert (message.type, message.body, message.state) == ("delivery.succeeded", b"\x00told", MessageState.QUEUED)
    assert (message.created_at, message.due_at, message.tries, message.token) == (LATER, LATER, 0, 0)
    assert message.id.startswith("msg_")


async def test_a_save_that_is_refused_tells_nothing(driver: Driver):
    endpoint = await driver.listen()
    held = await driver.claimed()
    await driver.claim(NOW + LEASE)
    with pytest.raises(LeaseLostError):
        await driver.ledger.save(Save(end(held), event=event(held)))
    assert await driver.told(endpoint) == ()


async def test_a_save_that_fails_halfway_tells_nothing_and_its_neighbours_tell_all(driver: Driver):
    endpoint = await driver.listen()
    await driver.bring("doc-1", "doc-2", "doc-3")
    held = await driver.claim()
    saves = [Save(end(each), event=event(each)) for each in held]
    taken = held[1].evolve(id=held[2].id, state=State.QUEUED)
    saves[1] = Save(end(held[1]), successor=taken, event=event(held[1]))
    results = await asyncio.gather(*map(driver.ledger.save, saves), return_exceptions=True)
    assert isinstance(results[1], LedgerError)
    assert {message.delivery_id for message in await driver.told(endpoint)} == {held[0].id, held[2].id}


async def test_every_subscriber_gets_its_own_message(driver: Driver):
    wanting = [await driver.listen("all"), await driver.listen("ends", "delivery.*")]
    paused = replace(subscriber("paused"), state=EndpointState.PAUSED)
    await driver.ledger.put_endpoint(paused)
    others = [await driver.listen("failures", "delivery.failed"), await driver.listen("foreign", tenant="other")]
    gone = await driver.listen("gone")
    await driver.ledger.remove_endpoint(T, gone.id, NOW)
    held = await driver.claimed()
    await driver.ledger.save(Save(end(held), event=event(end(held))))
    told = [message for endpoint in (*wanting, paused) for message in await driver.told(endpoint)]
    assert len({message.id for message in told}) == len(told) == 3
    for endpoint in (*others, gone):
        assert await driver.told(endpoint) == ()


async def test_an_event_that_is_no_end_goes_to_no_subscriber(driver: Driver):
    endpoint = await driver.listen()
    held = await driver.claimed()
    await driver.ledger.save(Save(end(held), event=event(held, ended=False)))
    assert await driver.told(endpoint) == ()


async def test_whoever_waits_for_a_document_is_called_once_when_it_rests(driver: Driver):
    resume = resume_call()
    await driver.ask("doc-1", resume=resume)
    [held] = await driver.claim()
    await driver.ledger.save(Save(release(held, NOW), event=event(held)))
    assert await driver.told(resume) == ()
    [held] = await driver.claim()
    await driver.ledger.save(Save(end(held), event=event(held, ended=False)))
    [message] = await driver.told(resume)
    assert message.state is MessageState.QUEUED
    stored = await driver.ledger.endpoint(T, resume.id)
    assert stored is not None
    assert stored.state is EndpointState.GONE

    await driver.bring("doc-1")
    [again] = await driver.claim()
    settled = again.evolve(step=None, due_at=None, lease_until=None)
    await driver.ledger.save(Save(settled, event=event(settled, ended=False)))
    assert await driver.told(resume) == (message,)


async def test_a_document_that_was_listed_meanwhile_does_not_rest_yet(driver: Driver):
    """It is read once more first; whoever waits is told what came of that."""
    subscribed, resume = await driver.listen(), resume_call()
    await driver.ask("doc-1", resume=resume)
    [held] = await driver.claim()
    await driver.bring("doc-1", now=LATER)
    await driver.ledger.save(Save(end(held), event=event(held)))
    assert len(await driver.told(subscribed)) == 1
    assert await driver.told(resume) == ()
    [rechecking] = await driver.claim(LATER)
    settled = rechecking.evolve(step=None, due_at=None, lease_until=None)
    await driver.ledger.save(Save(settled, event=event(settled, ended=False)))
    assert len(await driver.told(subscribed)) == 1
    assert [message.due_at for message in await driver.told(resume)] == [LATER]


async def test_whoever_waits_is_told_of_the_newest_revision(driver: Driver):
    """Neither the end that a further revision follows, nor that of an older one which a person retried, is it."""
    resume = resume_call()
    await driver.ask("doc-1", resume=resume)
    [held] = await driver.claim()
    following = release(held, NOW).evolve(id="dlv_next", error=None)
    await driver.ledger.save(Save(end(held), successor=following, event=event(held)))
    await driver.ledger.retry(held.id, NOW, pinned=False)
    [older] = await driver.claim(limit=1)
    assert older.id == held.id
    await driver.ledger.save(Save(end(older), event=event(older)))
    assert await driver.told(resume) == ()
    [newest] = await driver.claim()
    assert newest.id == "dlv_next"
    await driver.ledger.save(Save(end(newest), event=event(newest)))
    assert [message.delivery_id for message in await driver.told(resume)] == ["dlv_next"]


async def test_those_who_wait_for_another_document_wait_on(driver: Driver):
    here, there = resume_call("doc-1"), resume_call("doc-2")
    await driver.ask("doc-2", resume=there)
    await driver.ask("doc-1", resume=here)
    held = next(each for each in await driver.claim() if each.document_id == "doc-1")
    await driver.ledger.save(Save(end(held), event=event(held)))
    assert len(await driver.told(here)) == 1
    assert await driver.told(there) == ()


async def test_a_resume_url_that_is_given_twice_is_one_call(driver: Driver):
    resume = resume_call()
    await driver.ask("doc-1", resume=resume)
    await driver.ask("doc-1", resume=resume_call(id="res_repeated", now=LATER))
    assert await driver.ledger.endpoint(T, "res_repeated") is None
    other = resume_call(name="another")
    await driver.ask("doc-1", resume=other)
    [held] = await driver.claim()
    await driver.ledger.save(Save(end(held), event=event(held)))
    assert len(await driver.told(resume)) == len(await driver.told(other)) == 1


@pytest.mark.parametrize("became", [MessageState.QUEUED, MessageState.SENT])
async def test_a_resume_url_whose_call_is_under_way_or_was_made_is_not_called_again(driver: Driver, became):
    await driver.ask("doc-1", resume=resume_call())
    [held] = await driver.claim()
    await driver.ledger.save(Save(end(held), event=event(held)))
    if became is MessageState.SENT:
        [claimed] = await driver.claim_messages()
        await driver.ledger.save_message(replace(claimed.message, **SENT))
    await driver.ask("doc-1", LATER, resume=resume_call(now=LATER))
    [again] = await driver.claim(LATER)
    await driver.ledger.save(Save(end(again), event=event(again)))
    assert [message.state for message in await driver.told(resume_call())] == [became]


async def test_a_resume_url_whose_call_failed_waits_once_more_when_it_is_asked_again(driver: Driver):
    await driver.ask("doc-1", resume=resume_call())
    [held] = await driver.claim()
    await driver.ledger.save(Save(end(held), event=event(held)))
    [claimed] = await driver.claim_messages()
    failed = replace(claimed.message, state=MessageState.FAILED, error="endpoint_refused", ended_at=NOW)
    await driver.ledger.save_message(failed)
    again = replace(resume_call(id="res_again", now=LATER), address=b"sealed anew", secrets=b"new")
    await driver.ask("doc-1", LATER, resume=again)
    waiting = await driver.ledger.endpoint(T, resume_call().id)
    assert waiting == replace(again, id=resume_call().id, created_at=NOW)
    [held] = await driver.claim(LATER)
    await driver.ledger.save(Save(end(held), event=event(held)))
    assert [message.state for message in await driver.told(waiting)] == [MessageState.FAILED, MessageState.QUEUED]


async def test_a_resume_url_that_was_removed_is_not_called(driver: Driver):
    await driver.ask("doc-1", resume=resume_call())
    assert await driver.ledger.remove_endpoint(T, resume_call().id, NOW)
    [held] = await driver.claim()
    await driver.ledger.save(Save(end(held), event=event(held)))
    assert await driver.told(resume_call()) == ()


async def test_a_call_that_is_to_be_made_is_made_though_its_endpoint_is_gone(driver: Driver):
    await driver.ask("doc-1", resume=resume_call())
    [held] = await driver.claim()
    await driver.ledger.save(Save(end(held), event=event(held)))
    assert not await driver.ledger.remove_endpoint(T, resume_call().id, NOW)
    assert await driver.ledger.next_message_due(NOW - 1) == NOW
    [claimed] = await driver.claim_messages(per_endpoint=1)
    assert claimed.endpoint.id == resume_call().id
    waits = replace(claimed.message, due_at=LATER, tries=1)
    await driver.ledger.save_message(waits, endpoint=replace(claimed.endpoint, state=EndpointState.ACTIVE))
    [again] = await driver.claim_messages(LATER)
    assert again.endpoint.state is EndpointState.GONE


@pytest.mark.parametrize("wrong", [subscriber(), resume_call("doc-2"), replace(resume_call(), tenant="other")])
async def test_a_resume_url_belongs_to_the_document_it_came_with(driver: Driver, wrong):
    with pytest.raises(ValueError, match="does not wait"):
        await driver.ask("doc-1", resume=wrong)
    assert await driver.all() == ()


async def test_an_announcement_goes_to_those_who_want_it_or_to_one(driver: Driver):
    wanting, other = await driver.listen("a", "tenant.*"), await driver.listen("b", "delivery.*")
    assert await driver.ledger.announce(T, HAPPENED, NOW) == 1
    assert await driver.ledger.announce(T, HAPPENED, LATER, endpoint_id=other.id) == 1
    assert await driver.ledger.announce("other", HAPPENED, NOW, endpoint_id=other.id) == 0
    assert await driver.ledger.announce(T, HAPPENED, NOW, endpoint_id="sub_none") == 0
    [told] = await driver.told(wanting)
    assert (told.type, told.body, told.delivery_id, told.due_at) == (HAPPENED.type, HAPPENED.body, None, NOW)
    assert [message.due_at for message in await driver.told(other)] == [LATER]


async def test_messages_are_shown_newest_first_to_their_tenant_alone(driver: Driver):
    endpoint = await driver.listen()
    for moment in range(5):
        await driver.ledger.announce(T, HAPPENED, NOW + moment)
    [claimed] = await driver.claim_messages(limit=1)
    await driver.ledger.save_message(replace(claimed.message, **SENT))
    newest = await driver.ledger.messages(T, endpoint.id, 2)
    assert [message.created_at for message in newest] == [NOW + 4, NOW + 3]
    every = await driver.ledger.messages(T, endpoint.id, 10**9)
    assert [message.created_at for message in every] == [NOW + 4, NOW + 3, NOW + 2, NOW + 1, NOW]
    assert every[-1] == replace(claimed.message, **SENT, due_at=None, lease_until=None)
    assert await driver.ledger.messages("other", endpoint.id, 5) == ()


async def test_a_message_is_claimed_once_while_its_lease_lives(driver: Driver):
    endpoint = await driver.listen()
    await driver.ledger.announce(T, HAPPENED, LATER)
    assert await driver.claim_messages() == []
    [claimed] = await driver.claim_messages(LATER)
    assert claimed.endpoint == endpoint
    assert (claimed.message.token, claimed.message.lease_until) == (1, LATER + LEASE)
    assert await driver.told(endpoint) == (claimed.message,)
    assert await driver.claim_messages(LATER + LEASE - 1) == []
    [again] = await driver.claim_messages(LATER + LEASE)
    assert (again.message.id, again.message.token) == (claimed.message.id, 2)
    with pytest.raises(LeaseLostError) as lost:
        await driver.ledger.save_message(replace(claimed.message, **SENT))
    assert lost.value.code == "lease_lost"


async def test_messages_that_this_process_still_holds_are_left_out(driver: Driver):
    await driver.listen()
    for _ in range(2):
        await driver.ledger.announce(T, HAPPENED, NOW)
    [held] = await driver.claim_messages(limit=1)
    claimed = await driver.ledger.claim_messages(
        NOW + LEASE,
        limit=10,
        lease_until=NOW + 2 * LEASE,
        per_endpoint=10,
        except_ids=frozenset({held.message.id}),
    )
    assert [each.message.id == held.message.id for each in claimed] == [False]


async def test_everything_that_came_of_a_message_is_stored_and_its_lease_given_up(driver: Driver):
    endpoint = await driver.listen()
    await driver.ledger.announce(T, HAPPENED, NOW)
    [claimed] = await driver.claim_messages()
    waits = replace(claimed.message, due_at=LATER, tries=1, status=503, error="endpoint_throttled")
    failing = replace(endpoint, failing_since=NOW, updated_at=LATER)
    await driver.ledger.save_message(waits, endpoint=failing)
    assert await driver.told(endpoint) == (replace(waits, lease_until=None),)
    assert await driver.ledger.endpoint(T, endpoint.id) == failing
    [again] = await driver.claim_messages(LATER)
    sent = replace(again.message, **SENT, error=None)
    await driver.ledger.save_message(sent, endpoint=replace(failing, failing_since=None))
    assert await driver.told(endpoint) == (replace(sent, lease_until=None, due_at=None),)
    assert await driver.claim_messages(NOW + 9 * LEASE) == []
    for late in (waits, replace(again.message, due_at=LATER)):
        with pytest.raises(LeaseLostError):
            await driver.ledger.save_message(late)


async def test_a_message_is_saved_whole_or_refused(driver: Driver):
    endpoint, other = await driver.listen("a"), await driver.listen("b")
    await driver.ledger.announce(T, HAPPENED, NOW, endpoint_id=endpoint.id)
    [claimed] = await driver.claim_messages()
    with pytest.raises(ValueError, match="due at some time"):
        await driver.ledger.save_message(replace(claimed.message, due_at=None))
    with pytest.raises(ValueError, match="ended at some time"):
        await driver.ledger.save_message(replace(claimed.message, state=MessageState.FAILED))
    with pytest.raises(ValueError, match=other.id):
        await driver.ledger.save_message(claimed.message, endpoint=other)
    assert await driver.told(endpoint) == (claimed.message,)


async def test_one_endpoint_has_no_more_in_flight_than_it_may(driver: Driver):
    await driver.listen()
    for _ in range(6):
        await driver.ledger.announce(T, HAPPENED, NOW)
    first = await driver.claim_messages(per_endpoint=2)
    assert len(first) == 2
    assert await driver.claim_messages(per_endpoint=2) == []
    assert len(await driver.claim_messages(per_endpoint=3)) == 1
    await driver.ledger.save_message(replace(first[0].message, **SENT))
    assert len(await driver.claim_messages(per_endpoint=3)) == 1


async def test_the_oldest_of_an_endpoint_goes_first(driver: Driver):
    await driver.listen()
    for moment in (3, 1, 2, 1):
        await driver.ledger.announce(T, replace(HAPPENED, type=f"tenant.{moment}"), NOW + moment)
    claimed = await driver.claim_messages(NOW + 9, limit=3)
    assert [each.message.type for each in claimed] == ["tenant.1", "tenant.1", "tenant.2"]


async def test_an_endpoint_that_does_not_answer_keeps_nobody_waiting(driver: Driver):
    """However many messages wait for it, and however long, another's one message is among the first."""
    dead, alive = await driver.listen("dead"), await driver.listen("alive", tenant="other")
    for _ in range(50):
        await driver.ledger.announce(T, HAPPENED, NOW)
    await driver.ledger.announce("other", HAPPENED, LATER)
    claimed = await driver.claim_messages(LATER, limit=2)
    assert {each.endpoint.id for each in claimed} == {dead.id, alive.id}


async def test_whoever_has_less_in_flight_goes_first(driver: Driver):
    dead, alive = await driver.listen("dead"), await driver.listen("alive")
    for _ in range(5):
        await driver.ledger.announce(T, HAPPENED, NOW, endpoint_id=dead.id)
    assert len(await driver.claim_messages(limit=2)) == 2
    for _ in range(2):
        await driver.ledger.announce(T, HAPPENED, LATER, endpoint_id=alive.id)
    claimed = await driver.claim_messages(LATER, limit=2)
    assert {each.endpoint.id for each in claimed} == {alive.id}


async def test_many_calls_that_nobody_answers_take_no_more_turns_than_one_subscriber(driver: Driver):
    for number in range(20):
        await driver.ask(f"doc-{number}", resume=resume_call(f"doc-{number}"))
    for held in await driver.claim():
        await driver.ledger.save(Save(end(held), event=event(held)))
    alive = await driver.listen("alive")
    for _ in range(2):
        await driver.ledger.announce(T, HAPPENED, LATER)
    claimed = await driver.claim_messages(LATER, limit=4)
    assert sum(each.endpoint == alive for each in claimed) == 2
    rest = await driver.claim_messages(LATER, per_endpoint=1)
    assert len(rest) == 18


async def test_next_message_due_tells_what_waiting_brings(driver: Driver):
    assert await driver.ledger.next_message_due(NOW) is None
    endpoint = await driver.listen()
    await driver.ledger.announce(T, HAPPENED, LATER)
    assert await driver.ledger.next_message_due(NOW) == LATER
    assert await driver.ledger.next_message_due(LATER) is None
    [claimed] = await driver.claim_messages(LATER)
    assert await driver.ledger.next_message_due(LATER) == LATER + LEASE
    await driver.ledger.save_message(replace(claimed.message, due_at=LATER + 70))
    assert await driver.ledger.next_message_due(LATER) == LATER + 70
    await driver.ledger.remove_endpoint(T, endpoint.id, LATER)
    assert await driver.ledger.next_message_due(LATER) is None


async def test_a_restart_takes_back_the_messages_that_the_last_process_was_sending(driver: Driver):
    endpoint = await driver.listen()
    for _ in range(2):
        await driver.ledger.announce(T, HAPPENED, NOW)
    [held] = await driver.claim_messages(limit=1)
    assert await driver.ledger.take_back(LATER) == 1
    assert {message.lease_until for message in await driver.told(endpoint)} == {None}
    with pytest.raises(LeaseLostError):
        await driver.ledger.save_message(replace(held.message, **SENT))
    assert len(await driver.claim_messages(LATER)) == 2


async def test_retention_removes_messages_that_ended_long_ago(driver: Driver):
    endpoint = await driver.listen()
    for _ in range(2):
        await driver.ledger.announce(T, HAPPENED, NOW)
    [claimed] = await driver.claim_messages(limit=1)
    await driver.ledger.save_message(replace(claimed.message, **SENT))
    pruned = await driver.ledger.prune(deliveries_before=LATER, requests_before=LATER)
    assert (pruned["messages"], pruned["endpoints"]) == (0, 0)
    pruned = await driver.ledger.prune(deliveries_before=0, requests_before=LATER + 1)
    assert (pruned["messages"], pruned["endpoints"]) == (1, 0)
    assert [message.state for message in await driver.told(endpoint)] == [MessageState.QUEUED]


async def test_messages_outlive_the_delivery_they_tell_of(driver: Driver):
    endpoint = await driver.listen()
    held = await driver.claimed()
    await driver.ledger.save(Save(end(held), event=event(held)))
    assert (await driver.ledger.prune(deliveries_before=LATER, requests_before=LATER))["deliveries"] == 1
    assert [message.delivery_id for message in await driver.told(endpoint)] == [held.id]


async def test_a_step_under_way_may_be_told_as_well(driver: Driver):
    endpoint = await driver.listen("a", "delivery.*")
    held = await driver.claimed()
    await driver.ledger.save(Save(held.evolve(step=Step.WRITE), event=event(held)))
    assert [message.type for message in await driver.told(endpoint)] == ["delivery.working"]
