"""Messages arrive: signed, once where all goes well, again where it does not, and never where they may not go."""

import asyncio
import logging
from itertools import count
from pathlib import Path

import msgspec
from aiohttp import web
from event_receiver import DAY, MINUTE, NOW, SECRET, Clock, Post, Receiver, message, posting

from bridge.events.model import EndpointState, Event, MessageState
from bridge.events.sender import AT_ONCE_TO_ONE, AT_ONCE_TO_RESUME, UNREADABLE_PAUSE
from bridge.ledger.open import open_sqlite
from bridge.sealing import Sealer
from connectors.ports import Listing

IDS = count()
NEW_SECRET = "another-secret-of-two-sides"


def stored(folder: Path) -> bytes:
    """Return everything in the ledger's folder, but for the key."""
    return b"".join(path.read_bytes() for path in folder.iterdir() if not path.name.endswith(".key"))


async def test_a_message_arrives_whole_and_signed_both_ways(post: Post, receiver: Receiver):
    await post.subscribe(f"{receiver.url}/hook?key=1")
    await post.tell()
    await post.sent()

    [received] = receiver.received
    assert (received.path, received.query) == ("/hook", "key=1")
    assert received.json["type"] == "delivery.succeeded"
    assert received.headers["Content-Type"] == "application/json"
    assert received.id.startswith("msg_")
    assert received.headers["webhook-timestamp"] == str(NOW // 1000)
    assert received.is_signed_with(SECRET)
    assert received.is_plainly_signed_with(SECRET)


async def test_nobody_is_told_of_what_they_did_not_ask_for(post: Post, receiver: Receiver):
    await post.subscribe(f"{receiver.url}/failures", types=("delivery.failed",))
    await post.subscribe(f"{receiver.url}/deliveries", types=("delivery.*",))
    await post.subscribe(f"{receiver.url}/all")
    for type in ("delivery.succeeded", "delivery.failed", "tenant.blocked"):
        await post.tell(type)
    await post.sent()

    assert [one.json["type"] for one in receiver.at("/failures")] == ["delivery.failed"]
    assert len(receiver.at("/deliveries")) == 2
    assert len(receiver.at("/all")) == 3


async def test_another_tenants_events_are_not_told(post: Post, receiver: Receiver):
    await post.subscribe(f"{receiver.url}/hook")

    assert await post.tell(tenant="globex") == 0


async def test_a_message_is_sent_again_under_its_id_with_the_time_of_the_try(post: Post, receiver: Receiver):
    receiver.answers["/hook"] = [500, 503, 200]
    endpoint_id = await post.subscribe(f"{receiver.url}/hook")
    await post.tell()
    await post.sent()
    await post.later(MINUTE)
    await post.later(5 * MINUTE)

    first, second, third = receiver.received
    assert first.id == second.id == third.id
    assert first.body == second.body == third.body
    times = [int(one.headers["webhook-timestamp"]) for one in receiver.received]
    assert times == [NOW // 1000, NOW // 1000 + 60, NOW // 1000 + 360]
    assert all(one.is_signed_with(SECRET) for one in receiver.received)
    assert (await message(post, endpoint_id)).state is MessageState.SENT
    assert [outcome for _, outcome in post.outcomes] == ["retry", "retry", "sent"]


async def test_a_message_is_given_up_when_its_schedule_is_used_up(post: Post, receiver: Receiver, caplog):
    receiver.answers["/hook"] = [500]
    endpoint_id = await post.subscribe(f"{receiver.url}/hook?key=hidden")
    await post.tell()
    with caplog.at_level(logging.INFO):
        await post.sent()
        for _ in range(5):
            await post.later(30 * MINUTE)

    assert len(receiver.received) == 4
    last = await message(post, endpoint_id)
    assert (last.state, last.status, last.error) == (MessageState.FAILED, 500, "endpoint_refused")
    assert "is given up" in caplog.text
    assert "hidden" not in caplog.text


async def test_an_endpoint_that_asks_for_a_pause_is_left_alone_for_all_its_messages(post: Post, receiver: Receiver):
    pause = web.Response(status=429, headers={"Retry-After": "90"})
    receiver.answers["/busy"] = [lambda _: pause, 200]
    endpoint_id = await post.subscribe(f"{receiver.url}/busy")
    await post.subscribe(f"{receiver.url}/other")
    await post.tell()
    await post.sent()
    await post.tell()
    await post.sent()

    assert len(receiver.at("/busy")) == 1
    assert len(receiver.at("/other")) == 2
    assert {one.tries for one in await post.ledger.messages("acme", endpoint_id, 10)} == {0}
    await post.later(90_000)
    assert len(receiver.at("/busy")) == 3


async def test_410_ends_the_subscription_and_drops_what_waits(post: Post, receiver: Receiver):
    receiver.answers["/hook"] = [500, 410]
    endpoint_id = await post.subscribe(f"{receiver.url}/hook")
    await post.tell()
    await post.sent()
    await post.later(MINUTE)

    assert (await post.endpoint(endpoint_id)).state is EndpointState.GONE
    assert await post.tell() == 0
    await post.later(DAY)
    assert len(receiver.received) == 2


async def test_an_endpoint_that_fails_for_days_is_paused_and_sends_what_it_held_once_resumed(
    post: Post, receiver: Receiver, caplog
):
    receiver.answers["/hook"] = [500]
    endpoint_id = await post.subscribe(f"{receiver.url}/hook")
    with caplog.at_level(logging.WARNING):
        for _ in range(4):
            await post.tell()
            await post.sent()
            await post.later(DAY)

    assert (await post.endpoint(endpoint_id)).state is EndpointState.PAUSED
    assert caplog.text.count("is paused") == 1
    before = len(receiver.received)
    assert await post.tell() == 1
    await post.later(DAY)
    assert len(receiver.received) == before, "nothing is sent to it, and what happens meanwhile is held"

    receiver.answers["/hook"] = [200]
    view = await post.subscriptions.resume("acme", endpoint_id)
    await post.sent()
    assert (view.state, view.failing_since) == (EndpointState.ACTIVE, None)
    assert len(receiver.received) > before
    waiting = [one for one in await post.ledger.messages("acme", endpoint_id, 50) if one.state is MessageState.QUEUED]
    assert waiting == []


async def test_one_success_in_between_keeps_an_endpoint_from_being_paused(post: Post, receiver: Receiver):
    receiver.answers["/hook"] = [500, 500, 200, 500]
    endpoint_id = await post.subscribe(f"{receiver.url}/hook")
    for _ in range(5):
        await post.tell()
        await post.sent()
        post.clock.now += DAY

    endpoint = await post.endpoint(endpoint_id)
    assert endpoint.state is EndpointState.ACTIVE
    assert endpoint.failing_since is not None


async def test_an_endpoint_that_does_not_answer_does_not_keep_the_others_waiting(post: Post, receiver: Receiver):
    receiver.answers["/dead"] = [receiver.never]
    await post.subscribe(f"{receiver.url}/dead")
    await post.subscribe(f"{receiver.url}/alive")
    for _ in range(20):
        await post.tell()
    post.sender.start()

    await receiver.until(lambda: len(receiver.at("/alive")) == 20)
    assert len(receiver.at("/dead")) <= AT_ONCE_TO_ONE


async def test_one_tenants_resume_urls_that_do_not_answer_leave_room_for_others(post: Post, receiver: Receiver):
    """However many of them there are, and whatever hosts they name."""
    receiver.answers["/waiting"] = [receiver.never]
    for number in range(AT_ONCE_TO_RESUME * 6):
        listing = Listing(f"doc_{number}")
        endpoint = post.maker.resuming("acme", listing.document_id, f"{receiver.url}/waiting?{number}", (SECRET,))
        await post.ledger.deliver_now(
            "acme", listing, post.clock(), new_id=lambda: f"dlv_{next(IDS)}", force=False, resume=endpoint
        )
        await post.ledger.announce("acme", Event("delivery.failed", b"{}"), post.clock(), endpoint_id=endpoint.id)
    post.sender.start()
    await receiver.until(lambda: len(receiver.at("/waiting")) == AT_ONCE_TO_RESUME)
    await post.subscriptions.create("globex", f"{receiver.url}/alive", None, SECRET)
    await post.tell(tenant="globex")

    await receiver.until(lambda: receiver.at("/alive"))
    assert len(receiver.at("/waiting")) == AT_ONCE_TO_RESUME


async def test_a_sender_is_woken_by_what_happens(post: Post, receiver: Receiver):
    await post.subscribe(f"{receiver.url}/hook")
    post.sender.start()
    await asyncio.sleep(0)
    await post.tell()

    await receiver.until(lambda: receiver.received)


async def test_an_error_that_nobody_foresaw_does_not_stop_the_sender(
    post: Post, receiver: Receiver, monkeypatch, caplog
):
    """Everybody would be told nothing any more, and nobody would know."""
    monkeypatch.setattr("bridge.claim_loop.LEDGER_PAUSE", 0.02)
    claim = post.ledger.claim_messages
    monkeypatch.setattr(post.ledger, "claim_messages", None)
    await post.subscribe(f"{receiver.url}/hook")
    post.sender.start()
    while not caplog.records:  # noqa: ASYNC110 - it is told by the log alone
        await asyncio.sleep(0.01)
    monkeypatch.setattr(post.ledger, "claim_messages", claim)
    await post.tell()
    await receiver.until(lambda: receiver.received)
    assert "messages wait: their worker met an unforeseen error" in caplog.text


async def test_what_is_on_its_way_when_the_bridge_stops_is_handed_back(ledger, receiver: Receiver):
    receiver.answers["/hook"] = [receiver.never]
    async with posting(ledger) as post:
        endpoint_id = await post.subscribe(f"{receiver.url}/hook")
        await post.tell()
        post.sender.start()
        await receiver.until(lambda: receiver.received)
        await post.sender.stop(0.0)
        waiting = await message(post, endpoint_id)

    assert (waiting.state, waiting.lease_until, waiting.tries) == (MessageState.QUEUED, None, 0)
    receiver.answers["/hook"] = [200]
    async with posting(ledger, sealer=post.sealer) as following:
        await following.sent()
    assert len({one.id for one in receiver.received}) == 1
    assert len(receiver.received) == 2


async def test_a_process_that_died_between_the_save_and_the_sending_loses_nothing(tmp_path: Path, receiver: Receiver):
    """The message was stored with what it tells; the next process takes the lease back and sends it."""
    file = tmp_path / "bridge.db"
    clock = Clock()
    dying = await open_sqlite(file, durable=False)
    async with posting(dying, sealer=Sealer.beside(file), clock=clock) as post:
        await post.subscribe(f"{receiver.url}/hook")
        await post.tell()
        assert await dying.claim_messages(clock(), limit=1, lease_until=clock() + MINUTE, per_endpoint=1)
    await dying.close()
    assert receiver.received == []

    ledger = await open_sqlite(file, durable=False)
    await ledger.take_back(clock())
    async with posting(ledger, sealer=Sealer.beside(file), clock=clock) as following:
        await following.sent()
    await ledger.close()
    assert len(receiver.received) == 1
    assert receiver.received[0].is_signed_with(SECRET)


async def test_a_message_of_a_removed_subscription_is_not_sent(post: Post, receiver: Receiver):
    receiver.answers["/hook"] = [500, 200]
    endpoint_id = await post.subscribe(f"{receiver.url}/hook")
    await post.tell()
    await post.sent()
    await post.subscriptions.remove("acme", endpoint_id)
    await post.later(DAY)

    assert len(receiver.received) == 1


async def test_a_subscription_that_is_removed_while_its_message_is_on_its_way_stays_removed(
    post: Post, receiver: Receiver
):
    async def remove(_: web.Request) -> web.Response:
        await post.subscriptions.remove("acme", endpoint_id)
        return web.Response(status=500)

    receiver.answers["/hook"] = [remove]
    endpoint_id = await post.subscribe(f"{receiver.url}/hook")
    await post.tell()
    await post.sent()

    assert (await post.endpoint(endpoint_id)).state is EndpointState.GONE
    assert (await message(post, endpoint_id)).state is MessageState.DROPPED


async def test_without_its_key_messages_wait_until_the_url_is_subscribed_again(ledger, receiver: Receiver, caplog):
    async with posting(ledger) as post:
        endpoint_id = await post.subscribe(f"{receiver.url}/hook?key=hidden")
        await post.tell()
    async with posting(ledger) as keyless:
        with caplog.at_level(logging.ERROR):
            await keyless.sent()
            await keyless.later(UNREADABLE_PAUSE)
        held = await message(keyless, endpoint_id)
        assert (held.state, held.tries, held.error) == (MessageState.QUEUED, 0, "endpoint_unreadable")
        assert caplog.text.count("cannot be unsealed") == 1
        [shown] = (await keyless.subscriptions.page("acme", limit=10)).subscriptions
        assert (shown.error, shown.url) == ("endpoint_unreadable", f"{receiver.url}/hook")

        view, new = await keyless.subscriptions.create("acme", f"{receiver.url}/hook?key=hidden", None, NEW_SECRET)
        await keyless.later(UNREADABLE_PAUSE)

    assert (view.id, view.error, new) == (endpoint_id, None, False)
    assert [one.is_signed_with(NEW_SECRET) for one in receiver.received] == [True]


async def test_an_error_that_nobody_foresaw_costs_a_try_and_shows_no_url(post: Post, monkeypatch, caplog):
    """The text of an error may hold the whole address."""

    async def fail(*_: object) -> None:
        raise RuntimeError("https://n8n.example/?signature=hidden")

    monkeypatch.setattr("bridge.events.sender.post", fail)
    endpoint_id = await post.subscribe("http://127.0.0.1:9/hook")
    await post.tell()
    await post.sent()

    assert (await message(post, endpoint_id)).error == "internal_error"
    assert "RuntimeError" in caplog.text
    assert "hidden" not in caplog.text


async def test_neither_secrets_nor_addresses_can_be_read_in_the_ledgers_files_or_the_log(
    tmp_path: Path, receiver: Receiver, caplog
):
    file = tmp_path / "bridge.db"
    ledger = await open_sqlite(file)
    with caplog.at_level(logging.DEBUG):
        async with posting(ledger, sealer=Sealer.beside(file)) as post:
            receiver.answers["/hook"] = [500, 410]
            view, _ = await post.subscriptions.create("acme", f"{receiver.url}/hook?signature=of-the-url")
            await post.subscribe(f"{receiver.url}/other", "chosen-by-the-caller")
            await post.subscribe(f"{receiver.url}/other", "rotated-by-the-caller")
            await post.tell()
            await post.sent()
            await post.later(MINUTE)
            written = stored(tmp_path)
    await ledger.close()
    written += stored(tmp_path)

    assert receiver.at("/hook")[-1].query == "signature=of-the-url"
    assert b"/hook" in written
    for secret in (str(view.secret), "of-the-url", "chosen-by-the-caller", "rotated-by-the-caller"):
        assert secret.encode() not in written
        assert secret not in caplog.text


async def test_the_body_is_sent_byte_for_byte(post: Post, receiver: Receiver):
    """What is signed is what arrives, umlauts and odd spacing included."""
    body = '{ "type" : "tenant.blocked",\n "data": {"message": "Zugang für „acme“ gesperrt"} }'.encode()
    await post.subscribe(f"{receiver.url}/hook")
    await post.ledger.announce("acme", Event("tenant.blocked", body), post.clock())
    await post.sent()

    assert receiver.received[0].body == body
    assert msgspec.json.decode(body)
    assert receiver.received[0].is_plainly_signed_with(SECRET)
