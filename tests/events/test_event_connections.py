"""Where a message goes and where it never may: redirects, names that lead inside, connections that fail."""

from typing import Any

from aiohttp import web
from aiohttp.abc import AbstractResolver
from event_receiver import MINUTE, NOW, Post, Receiver, message, posting, receiving

from bridge.events.model import MessageState


async def test_a_redirect_is_not_followed(post: Post, receiver: Receiver):
    receiver.answers["/hook"] = [lambda _: web.Response(status=307, headers={"Location": f"{receiver.url}/inside"})]
    endpoint_id = await post.subscribe(f"{receiver.url}/hook")
    await post.tell()
    await post.sent()

    assert receiver.at("/inside") == []
    assert (await message(post, endpoint_id)).error == "endpoint_redirected"


class Rebinding(AbstractResolver):
    """A resolver whose answer changes: public at first, inside afterwards."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = list(addresses)
        self.asked = 0

    async def resolve(self, host: str, port: int = 0, family: Any = None) -> list[Any]:
        self.asked += 1
        address = self.addresses.pop(0) if len(self.addresses) > 1 else self.addresses[0]
        return [{"hostname": host, "host": address, "port": port, "family": 2, "proto": 0, "flags": 0}]

    async def close(self) -> None:
        """Nothing is held."""


async def test_a_name_that_leads_inside_when_the_connection_is_made_is_not_reached(ledger, receiver: Receiver):
    """However public it was when it subscribed."""
    resolver = Rebinding("127.0.0.1")
    async with posting(ledger, allow=("n8n",), resolver=resolver) as post:
        port = receiver.url.rpartition(":")[2]
        endpoint_id = await post.subscribe(f"https://rebinding.example:{port}/hook")
        await post.tell()
        await post.sent()
        refused = await message(post, endpoint_id)

    assert resolver.asked == 1
    assert receiver.received == []
    assert refused.error == "endpoint_forbidden"


async def test_a_host_is_reached_inside_as_soon_as_it_is_allowed(ledger, receiver: Receiver):
    """A reload of the configuration is enough, and takes the permission away as well."""
    async with posting(ledger, allow=("n8n",), resolver=Rebinding("127.0.0.1")) as post:
        port = receiver.url.rpartition(":")[2]
        await post.subscribe(f"http://n8n:{port}/hook")
        post.sessions.allow(())
        await post.tell()
        await post.sent()
        assert receiver.received == []
        post.sessions.allow(("n8n",))
        await post.later(MINUTE)
        assert len(receiver.received) == 1


async def test_a_long_or_endless_answer_is_not_read_to_its_end(post: Post, receiver: Receiver):
    async def drip(request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse()
        await response.prepare(request)
        for _ in range(64):
            await response.write(b"x" * 1024)
        await receiver.leaving.wait()
        return response

    receiver.answers["/hook"] = [drip]
    endpoint_id = await post.subscribe(f"{receiver.url}/hook")
    await post.tell()
    await post.sent()

    assert (await message(post, endpoint_id)).state is MessageState.SENT


async def test_nobody_listening_at_the_address_is_told_by_a_code(ledger):
    async with receiving() as gone:
        url = gone.url
    async with posting(ledger) as post:
        endpoint_id = await post.subscribe(f"{url}/hook")
        await post.tell()
        await post.sent()
        failed = await message(post, endpoint_id)

    assert (failed.error, failed.status, failed.tries) == ("endpoint_unreachable", None, 1)
    assert (await post.endpoint(endpoint_id)).failing_since == NOW


async def test_a_connection_that_breaks_off_is_told_by_a_code(post: Post, receiver: Receiver):
    def break_off(request: web.Request) -> web.Response:
        assert request.transport is not None
        request.transport.abort()
        return web.Response()

    receiver.answers["/hook"] = [break_off, 200]
    endpoint_id = await post.subscribe(f"{receiver.url}/hook")
    await post.tell()
    await post.sent()

    assert (await message(post, endpoint_id)).error == "endpoint_no_answer"
