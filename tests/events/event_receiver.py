"""Doubles for the tests of messages out: a receiver on loopback that answers as told, a clock that is set by hand."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any

import msgspec
from aiohttp import web
from aiohttp.test_utils import TestServer

from bridge.delivery.retry import RetrySchedule
from bridge.events.announcing import Announcer
from bridge.events.endpoints import EndpointMaker
from bridge.events.model import Endpoint, Event
from bridge.events.sender import MessageSender, SenderPolicy
from bridge.events.subscriptions import Subscriptions
from bridge.ledger.protocol import Ledger
from bridge.sealing import Sealer
from connectors.egress import GuardedSessions

PATIENCE = 20.0
SECRET = "a-shared-secret-of-two-sides"
NOW = 1_800_000_000_000
MINUTE = 60_000
DAY = 24 * 60 * MINUTE


@dataclass(frozen=True)
class Received:
    """One message that came in."""

    path: str
    query: str
    headers: dict[str, str]
    body: bytes

    @property
    def id(self) -> str:
        return self.headers["webhook-id"]

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.body)

    def is_signed_with(self, secret: str, key: bytes | None = None) -> bool:
        """Tell whether one of the signatures of Standard Webhooks is made with this key, by plain arithmetic."""
        signed = f"{self.id}.{self.headers['webhook-timestamp']}.".encode() + self.body
        mac = hmac.new(secret.encode() if key is None else key, signed, hashlib.sha256).digest()
        return f"v1,{base64.b64encode(mac).decode()}" in self.headers["webhook-signature"].split(" ")

    def is_plainly_signed_with(self, secret: str) -> bool:
        mac = hmac.new(secret.encode(), self.body, hashlib.sha256).hexdigest()
        return self.headers.get("X-Bridge-Signature-256") == f"sha256={mac}"


Answer = Callable[[web.Request], web.StreamResponse | Any]


@dataclass
class Receiver:
    """A receiver. ``answers`` leads from path to statuses or responses, given one by one; the last one stays."""

    url: str = ""
    received: list[Received] = field(default_factory=list)
    answers: dict[str, list[Any]] = field(default_factory=dict)
    came: asyncio.Event = field(default_factory=asyncio.Event)
    leaving: asyncio.Event = field(default_factory=asyncio.Event)

    async def handle(self, request: web.Request) -> web.StreamResponse:
        headers = dict(request.headers.items())
        self.received.append(Received(request.path, request.query_string, headers, await request.read()))
        self.came.set()
        waiting = self.answers.get(request.path, [200])
        answer = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if isinstance(answer, int):
            return web.Response(status=answer)
        made = answer(request)
        return await made if asyncio.iscoroutine(made) else made

    def at(self, path: str) -> list[Received]:
        return [one for one in self.received if one.path == path]

    async def until(self, condition: Callable[[], Any]) -> None:
        """Wait until what came makes this true."""
        async with asyncio.timeout(PATIENCE):
            while not condition():
                self.came.clear()
                await self.came.wait()

    async def never(self, _: web.Request) -> web.Response:
        """Answer nothing until the test ends."""
        await self.leaving.wait()
        return web.Response()


@asynccontextmanager
async def receiving() -> AsyncIterator[Receiver]:
    """Run a receiver."""
    receiver = Receiver()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", receiver.handle)
    server = TestServer(app)
    await server.start_server(access_log=None)
    receiver.url = f"http://127.0.0.1:{server.port}"
    try:
        yield receiver
    finally:
        receiver.leaving.set()
        await server.close()


class Clock:
    """Time as the test sets it."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> int:
        return self.now


@dataclass
class Post:
    """Everything between an event and its receiver, on the real ledger, with time set by hand."""

    ledger: Ledger
    clock: Clock
    sealer: Sealer
    sessions: GuardedSessions
    maker: EndpointMaker
    sender: MessageSender
    announcer: Announcer
    subscriptions: Subscriptions
    outcomes: list[tuple[str, str]]

    async def subscribe(self, url: str, secret: str | None = SECRET, types: tuple[str, ...] | None = None) -> str:
        view, _ = await self.subscriptions.create("acme", url, types, secret)
        return view.id

    async def tell(self, type: str = "delivery.succeeded", tenant: str = "acme") -> int:
        """Have something happen."""
        body = msgspec.json.encode({"type": type, "timestamp": "2027-01-15T08:00:00.000Z", "data": {"id": "dlv_1"}})
        made = await self.ledger.announce(tenant, Event(type, body, "dlv_1"), self.clock())
        self.sender.wake()
        return made

    async def endpoint(self, endpoint_id: str) -> Endpoint:
        found = await self.ledger.endpoint("acme", endpoint_id)
        assert found is not None
        return found

    async def sent(self) -> None:
        """Send what is due now, and wait until that is done."""
        await self.sender.run_until_idle()

    async def later(self, millis: int) -> None:
        """Let time pass, then send what is due."""
        self.clock.now += millis
        await self.sent()


@asynccontextmanager
async def posting(
    ledger: Ledger,
    *,
    allow: tuple[str, ...] = ("127.0.0.1",),
    schedule: tuple[float, ...] = (0, 60, 300, 1800),
    sealer: Sealer | None = None,
    clock: Clock | None = None,
    **options: Any,
) -> AsyncIterator[Post]:
    """Put the parts together on a ledger; nothing is started."""
    clock = clock or Clock()
    sealer = sealer or Sealer.passing()
    sessions = GuardedSessions(allow, None, **options)
    maker = EndpointMaker(sealer, sessions, clock)
    outcomes: list[tuple[str, str]] = []
    policy = SenderPolicy(clock, Random(7), RetrySchedule.of([timedelta(seconds=wait) for wait in schedule]))
    sender = MessageSender(ledger, maker, sessions, policy, lambda *what: outcomes.append(what))
    announcer = Announcer(ledger, sender.wake)
    try:
        yield Post(
            ledger,
            clock,
            sealer,
            sessions,
            maker,
            sender,
            announcer,
            Subscriptions(ledger, maker, announcer, clock),
            outcomes,
        )
    finally:
        await sender.stop(0.0)
        await sessions.close()


async def message(post: Post, endpoint_id: str) -> Any:
    """Return the newest message to an endpoint."""
    return (await post.ledger.messages("acme", endpoint_id, 10))[0]
