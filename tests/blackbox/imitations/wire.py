"""One imitated server on loopback: every request is written down, faults are thrown in, pauses are watched over."""

import asyncio
import random
import ssl
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from email.utils import formatdate
from typing import Any

import msgspec
from aiohttp import web

KINDS = (
    "status_before",
    "status_after",
    "reset_before",
    "reset_after",
    "hang",
    "truncated",
    "html_502",
    "throttled_seconds",
    "throttled_date",
    "unauthorized",
)
ON_THE_WIRE = 0.6
"""Seconds after a 429 in which a request may still arrive that was sent before the 429 was read."""

encode = msgspec.json.Encoder(decimal_format="number").encode
decode = msgspec.json.Decoder(float_hook=Decimal).decode


def answer(status: int, body: Any = None, headers: Mapping[str, str] | None = None) -> web.Response:
    """Return JSON, or nothing at all."""
    if body is None:
        return web.Response(status=status, headers=headers)
    return web.Response(status=status, body=encode(body), content_type="application/json", headers=headers)


@dataclass(slots=True)
class Seen:
    """A request as it arrived, the fault that it met, and the status that was answered."""

    at: float
    method: str
    path: str
    """Decoded; ``raw_path`` is as it was sent."""
    raw_path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    identity: str
    raw_query: str = ""
    fault: str | None = None
    status: int | None = None

    @property
    def json(self) -> Any:
        return decode(self.body)


@dataclass
class Faults:
    """Which share of the requests meets a fault, and which one; ``only`` narrows it to some of them."""

    rate: float = 0.0
    kinds: tuple[str, ...] = KINDS
    seed: int = 1
    retry_after: float = 2.0
    hang: float = 2.0
    only: Callable[[Seen], bool] | None = None
    queue: list[str] = field(default_factory=list)
    """Faults for the very next requests that ``only`` takes, before any chance."""
    _random: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._random = random.Random(self.seed)

    def next(self, seen: Seen) -> str | None:
        if self.only is not None and not self.only(seen):
            return None
        if self.queue:
            return self.queue.pop(0)
        if self.rate and self._random.random() < self.rate:
            return self._random.choice(self.kinds)
        return None


class Held:
    """Requests that are kept waiting until the test lets them go."""

    def __init__(self) -> None:
        self.came, self.go = asyncio.Event(), asyncio.Event()

    async def wait(self) -> None:
        self.came.set()
        await self.go.wait()


class Server:
    """An HTTP server on a port of its own. A subclass answers in ``handle`` and says who is asking in ``identify``."""

    def __init__(self) -> None:
        self.faults = Faults()
        self.requests: list[Seen] = []
        self.too_early: list[tuple[Seen, float]] = []
        """Requests that came inside a pause that their identity had been told, with the seconds that were left."""
        self.latency = 0.0
        self.held: Held | None = None
        """Keeps requests that ``faults.only`` takes waiting before they have any effect."""
        self.base = ""
        self._pauses: dict[str, tuple[float, float]] = {}
        self._runner: web.ServerRunner | None = None
        self._port = 0

    async def handle(self, seen: Seen) -> web.StreamResponse:
        raise NotImplementedError

    def identify(self, request: web.BaseRequest) -> str:
        return request.headers.get("Authorization", "")

    def refusal(self, status: int, kind: str) -> web.Response:
        """Return what this system says along with an error status."""
        return answer(status, {"error": {"code": kind, "message": f"imitated {kind}"}})

    async def start(self, tls: ssl.SSLContext | None = None) -> None:
        self._runner = web.ServerRunner(
            web.Server(self._take, access_log=None), handle_signals=False, shutdown_timeout=0.2
        )
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._port, ssl_context=tls)
        await site.start()
        self._port = self._runner.addresses[0][1]
        self.base = f"{'https' if tls else 'http'}://127.0.0.1:{self._port}"

    async def stop(self) -> None:
        """Stop listening; a later ``start`` listens on the same port again."""
        if self._runner is not None:
            for site in self._runner.sites:
                await site.stop()
            await asyncio.sleep(
                0.01
            )  # a caller that left during its TLS handshake is noticed, as nobody else closes that
            await self._runner.cleanup()
            self._runner = None

    def pause(self, identity: str, seconds: float) -> None:
        now = time.monotonic()
        until = max(self._pauses.get(identity, (0.0, 0.0))[1], now + seconds)
        self._pauses[identity] = (now, until)

    def _watch(self, seen: Seen) -> None:
        told, until = self._pauses.get(seen.identity, (0.0, 0.0))
        if told + ON_THE_WIRE < seen.at < until - 0.05:
            self.too_early.append((seen, until - seen.at))

    async def _take(self, request: web.BaseRequest) -> web.StreamResponse:
        arrived = time.monotonic()
        body = await request.read()
        seen = Seen(
            arrived,
            request.method,
            request.path,
            request.rel_url.raw_path,
            dict(request.query),
            {name.lower(): value for name, value in request.headers.items()},
            body,
            self.identify(request),
            request.rel_url.raw_query_string,
        )
        self.requests.append(seen)
        self._watch(seen)
        seen.fault = self.faults.next(seen)
        if self.latency:
            await asyncio.sleep(self.latency)
        if self.held is not None and self.faults.only is not None and self.faults.only(seen):
            await self.held.wait()
        response = await self._respond(request, seen)
        seen.status = response.status
        return response

    async def _respond(self, request: web.BaseRequest, seen: Seen) -> web.StreamResponse:
        match seen.fault:
            case None:
                return await self.handle(seen)
            case "status_before":
                return self.refusal(503, "unavailable")
            case "status_after":
                await self.handle(seen)
                return self.refusal(500, "internal_error")
            case "reset_before":
                return self._reset(request)
            case "reset_after":
                await self.handle(seen)
                return self._reset(request)
            case "hang":
                await asyncio.sleep(self.faults.hang)
                return self._reset(request)
            case "truncated":
                whole = await self.handle(seen)
                text = whole.body if isinstance(whole, web.Response) and isinstance(whole.body, bytes) else b""
                half = text[: len(text) // 2] or b'{"value": [{"'
                return web.Response(status=200, body=half, content_type="application/json")
            case "html_502":
                page = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
                return web.Response(status=502, text=page, content_type="text/html")
            case "throttled_seconds":
                seconds = int(self.faults.retry_after)
                response = self.refusal(429, "rate_limited")
                response.headers["Retry-After"] = str(seconds)
                self.pause(seen.identity, seconds)
                return response
            case "throttled_date":
                until = int(time.time() + self.faults.retry_after) + 1
                response = self.refusal(429, "rate_limited")
                response.headers["Retry-After"] = formatdate(until, usegmt=True)
                self.pause(seen.identity, until - time.time())
                return response
            case "unauthorized":
                return self.refusal(401, "unauthorized")
            case other:
                raise AssertionError(other)

    @staticmethod
    def _reset(request: web.BaseRequest) -> web.Response:
        if request.transport is not None:
            request.transport.abort()
        return web.Response(status=499)

    def sent(self, method: str, path: str = "") -> list[Seen]:
        """Return the requests of a method whose path holds ``path``."""
        return [seen for seen in self.requests if seen.method == method and path in seen.path]


Handler = Callable[[Seen], Awaitable[web.StreamResponse]]


def first(values: Iterable[Any]) -> Any:
    return next(iter(values), None)
