"""A caller subscribes, subscribes again, changes the secret, tests, and leaves; each may be repeated."""

import asyncio
import base64

import msgspec
import pytest
from event_receiver import DAY, MINUTE, SECRET, Post, Receiver, posting
from standardwebhooks import Webhook

from bridge.config.models import EventConfig
from bridge.events.endpoints import EndpointRefusedError
from bridge.events.model import EndpointState, Origin
from bridge.events.subscriptions import MOST_SUBSCRIPTIONS, SubscriptionNotFoundError

NEW = "the-secret-that-follows-it"
NEWEST = "the-secret-after-that-one"


async def test_a_new_subscription_gets_a_secret_that_is_shown_once(post: Post, receiver: Receiver):
    url = f"{receiver.url}/hook?key=1"
    view, new = await post.subscriptions.create("acme", url)
    again, newer = await post.subscriptions.create("acme", url)
    [listed] = (await post.subscriptions.page("acme", limit=10)).subscriptions

    assert (new, newer) == (True, False)
    assert view.secret is not None
    assert len(base64.b64decode(view.secret.removeprefix("whsec_"))) == 32
    assert (again.id, again.secret, listed.secret) == (view.id, None, None)
    assert (listed.url, listed.types, listed.origin, listed.state) == (url, ("*",), Origin.API, EndpointState.ACTIVE)
    await post.tell()
    await post.sent()
    assert receiver.received[0].is_plainly_signed_with(view.secret)
    assert receiver.received[0].is_signed_with("", base64.b64decode(view.secret.removeprefix("whsec_")))
    # At the time that the test has set the library would refuse any message as too new.
    headers = {**receiver.received[0].headers}
    assert (
        Webhook(view.secret).sign(headers["webhook-id"], _moment(headers), receiver.received[0].body.decode())
        in (headers["webhook-signature"])
    )


def _moment(headers: dict[str, str]):
    from datetime import UTC, datetime  # noqa: PLC0415

    return datetime.fromtimestamp(int(headers["webhook-timestamp"]), UTC)


async def test_the_same_url_again_takes_other_types_and_keeps_what_is_not_given(post: Post, receiver: Receiver):
    url = f"{receiver.url}/hook"
    await post.subscriptions.create("acme", url, ["delivery.failed"], SECRET)
    kept, _ = await post.subscriptions.create("acme", url)
    changed, _ = await post.subscriptions.create("acme", url, ["tenant.*"])
    await post.tell("tenant.blocked")
    await post.sent()

    assert (kept.types, changed.types) == (("delivery.failed",), ("tenant.*",))
    assert receiver.received[0].is_signed_with(SECRET)


async def test_tenants_have_subscriptions_of_their_own(post: Post, receiver: Receiver):
    url = f"{receiver.url}/hook"
    ours, _ = await post.subscriptions.create("acme", url)
    theirs, new = await post.subscriptions.create("globex", url)

    assert new
    assert ours.id != theirs.id
    with pytest.raises(SubscriptionNotFoundError):
        await post.subscriptions.test("globex", ours.id)
    with pytest.raises(SubscriptionNotFoundError):
        await post.subscriptions.resume("globex", ours.id)
    await post.subscriptions.remove("globex", ours.id)
    assert (await post.endpoint(ours.id)).state is EndpointState.ACTIVE


async def test_while_a_secret_is_changed_both_sign_for_a_day(post: Post, receiver: Receiver):
    url = f"{receiver.url}/hook"
    await post.subscribe(url, SECRET)
    await post.subscribe(url, NEW)
    for wait in (0, DAY - MINUTE, 2 * MINUTE):
        await post.later(wait)
        await post.tell()
        await post.sent()

    first, second, third = receiver.received
    for received in (first, second):
        assert received.is_signed_with(SECRET)
        assert received.is_signed_with(NEW)
        assert received.is_plainly_signed_with(NEW)
    assert third.is_signed_with(NEW)
    assert not third.is_signed_with(SECRET)


async def test_changing_a_secret_in_quick_succession_loses_none_of_them(post: Post, receiver: Receiver):
    url = f"{receiver.url}/hook"
    for secret in (SECRET, NEW, NEW, NEWEST):
        await post.subscribe(url, secret)
    await post.tell()
    await post.sent()
    await post.subscribe(url, SECRET)
    await post.tell()
    await post.sent()

    last, back = receiver.received
    assert all(last.is_signed_with(secret) for secret in (SECRET, NEW, NEWEST))
    assert last.is_plainly_signed_with(NEWEST)
    assert back.is_plainly_signed_with(SECRET)


@pytest.mark.parametrize(
    "secret",
    ["", "x" * 513, " blanks around it ", "whsec_=", "whsec_not/base64!!!!!!!!!!!", "line\nbreaks-in-a-secret"],
)
async def test_a_secret_that_cannot_sign_is_refused_and_not_shown(post: Post, secret: str):
    with pytest.raises(EndpointRefusedError) as caught:
        await post.subscribe("http://127.0.0.1:1/hook", secret)

    assert caught.value.code == "bad_secret"
    assert not secret or secret not in str(caught.value)
    assert (await post.subscriptions.page("acme", limit=10)).subscriptions == ()


@pytest.mark.parametrize(
    "url",
    [
        "http://n8n.example/hook",
        "https://localhost/hook",
        "https://10.0.0.1/hook",
        "https://2130706433/hook",
        "http://2130706433/hook",
        "https://0x7f.1/hook",
        "https://[::ffff:127.0.0.1]/hook",
        "https://[64:ff9b::7f00:1]/hook",
        "https://user:word@n8n.example/hook",
        "https://169.254.169.254/latest",
        "file:///etc/passwd",
        "not a url",
        "",
        "https://n8n.example/" + "x" * 2048,
    ],
)
async def test_a_url_that_may_not_be_sent_to_is_refused_when_it_is_given(post: Post, url: str):
    with pytest.raises(EndpointRefusedError) as caught:
        await post.subscribe(url)

    assert caught.value.code == "forbidden_url"
    assert (await post.subscriptions.page("acme", limit=10)).subscriptions == ()


async def test_a_subscription_ends_and_ending_it_again_is_no_error(post: Post, receiver: Receiver):
    endpoint_id = await post.subscribe(f"{receiver.url}/hook")
    for _ in range(2):
        await post.subscriptions.remove("acme", endpoint_id)
    await post.subscriptions.remove("acme", "sub_never_was")

    assert await post.tell() == 0
    assert not post.announcer.listens("acme")
    with pytest.raises(SubscriptionNotFoundError):
        await post.subscriptions.test("acme", endpoint_id)
    view, new = await post.subscriptions.create("acme", f"{receiver.url}/hook")
    assert new
    assert view.id != endpoint_id
    assert post.announcer.listens("acme")


async def test_a_test_message_reaches_the_one_that_is_tested_whatever_its_types(post: Post, receiver: Receiver):
    endpoint_id = await post.subscribe(f"{receiver.url}/hook", types=("delivery.failed",))
    await post.subscribe(f"{receiver.url}/other")
    message_id = await post.subscriptions.test("acme", endpoint_id)
    await post.sent()

    [received] = receiver.received
    assert (received.path, received.id) == ("/hook", message_id)
    assert received.json["type"] == "bridge.test"
    assert received.json["data"] == {"tenant": "acme", "subscription_id": endpoint_id}


async def test_calls_at_the_same_moment_make_one_subscription(post: Post, receiver: Receiver):
    """An n8n node fires all its items at once."""
    made = await asyncio.gather(*(post.subscriptions.create("acme", f"{receiver.url}/hook") for _ in range(20)))

    assert len({view.id for view, _ in made}) == 1
    assert [new for _, new in made].count(True) == 1
    assert [view.secret is not None for view, _ in made].count(True) == 1


async def test_a_tenant_cannot_have_ever_more_subscriptions(post: Post, monkeypatch):
    monkeypatch.setattr("bridge.events.subscriptions.MOST_SUBSCRIPTIONS", 3)
    for number in range(3):
        await post.subscribe(f"http://127.0.0.1:1/{number}")
    with pytest.raises(EndpointRefusedError) as caught:
        await post.subscribe("http://127.0.0.1:1/one-too-many")

    assert caught.value.code == "too_many_subscriptions"
    await post.subscribe("http://127.0.0.1:1/0")  # a known one is no further one
    assert MOST_SUBSCRIPTIONS >= 100


async def test_a_configured_one_is_listed_without_its_query_and_ended_in_its_file(post: Post):
    config = EventConfig.model_validate({"url": "https://n8n.example/hook?key=hidden", "secret": SECRET})
    endpoint = post.maker.configured("acme", config)
    await post.ledger.sync_endpoints("acme", (endpoint,), post.clock())
    [view] = (await post.subscriptions.page("acme", limit=10)).subscriptions

    assert (view.url, view.origin) == ("https://n8n.example/hook", Origin.CONFIG)
    with pytest.raises(EndpointRefusedError) as caught:
        await post.subscriptions.remove("acme", view.id)
    assert caught.value.code == "configured_subscription"


async def test_pages_hold_every_subscription_once(post: Post):
    for number in range(5):
        await post.subscribe(f"http://127.0.0.1:1/{number}")
    seen, cursor = [], None
    while True:
        page = await post.subscriptions.page("acme", limit=2, cursor=cursor)
        seen += [view.url for view in page.subscriptions]
        cursor = page.next_cursor
        if cursor is None:
            break

    assert sorted(seen) == [f"http://127.0.0.1:1/{number}" for number in range(5)]
    with pytest.raises(ValueError):
        await post.subscriptions.page("acme", limit=2, cursor="never-given")


async def test_what_is_sealed_of_one_endpoint_does_not_open_as_another(post: Post):
    """Whoever can write to the ledger's file cannot have messages signed with somebody else's secret."""
    ours = await post.endpoint(await post.subscribe("http://127.0.0.1:1/ours"))
    theirs = await post.endpoint(await post.subscribe("http://127.0.0.1:1/theirs", NEW))

    mixed = msgspec.structs.replace(ours, secrets=theirs.secrets)
    with pytest.raises(Exception, match="something else"):
        post.maker.opened(mixed)
    assert "127.0.0.1" not in repr(post.maker.opened(ours))


async def test_who_listens_is_known_after_a_restart(ledger, receiver: Receiver):
    async with posting(ledger) as post:
        await post.subscribe(f"{receiver.url}/hook")
    async with posting(ledger, sealer=post.sealer) as following:
        assert not following.announcer.listens("acme")
        await following.announcer.learn(("acme", "globex"))

        assert following.announcer.listens("acme")
        assert not following.announcer.listens("globex")


async def test_a_subscription_that_comes_while_the_ledger_is_asked_is_not_forgotten(post: Post):
    class Slow:
        async def listens(self, tenant: str) -> bool:
            post.announcer.expect_subscriber(tenant)
            return False

        async def endpoints(self, *args: object, **wanted: object) -> object:
            return await post.ledger.endpoints("acme", limit=1)

    post.announcer._ledger = Slow()  # type: ignore[assignment]
    await post.announcer.learn(("acme",))

    assert post.announcer.listens("acme")
