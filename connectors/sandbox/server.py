"""The base of every sandbox: a loopback server that journals, throttles and fails on request."""

import asyncio
import time
from collections.abc import Iterable
from hashlib import sha256
from typing import Any, ClassVar, Self, cast

from aiohttp import web
from aiohttp.typedefs import Handler

from connectors.sandbox.authority import SandboxAuthority
from connectors.sandbox.control import CONTROL_PREFIX, control_routes, json_answer
from connectors.sandbox.faults import AFTER_THE_EFFECT, Fault, FaultPlan
from connectors.sandbox.injection import html_502, reset, truncate
from connectors.sandbox.journal import RequestJournal, RequestRecord
from connectors.sandbox.throttling import RetryAfterWindows
from connectors.sandbox.tls_listener import TlsListener

_MAX_BODY_BYTES = 128 * 1024 * 1024
_MAX_LINE_BYTES = 64 * 1024
_STOP_SECONDS = 1.0
_BACKLOG = 1024
_UNAUTHORIZED = 401
_TOO_MANY = 429
_DEFAULT_RETRY_AFTER = 1


class SandboxServer:
    """A sandbox: subclasses give ``routes`` and the shapes of their errors, and inherit the rest.

    It serves http, or https when given an ``authority``. ``port`` 0 lets the kernel choose; after a stop the same port
    is taken again, so that a restart keeps the address. ``latency`` is seconds waited before each request takes effect.
    ``journal_limit`` is how many requests are kept; 0 keeps none.
    """

    name: ClassVar[str]
    journal_bodies: ClassVar[bool] = True

    def __init__(
        self,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        authority: SandboxAuthority | None = None,
        latency: float = 0.0,
        seed: int = 0,
        journal_limit: int = 10_000,
    ) -> None:
        self.host = host
        self.port = port
        self.latency = latency
        self.faults = FaultPlan(seed)
        self.windows = RetryAfterWindows()
        self.requests = RequestJournal(journal_limit)
        self.in_flight = 0
        self.most_in_flight = 0
        self._authority = authority
        self._journal_limit = journal_limit
        self._runner: web.AppRunner | None = None
        self._listener: TlsListener | None = None
        self._stopping = False

    # What a subclass gives

    def routes(self) -> Iterable[web.RouteDef]:
        """Return the routes of the imitated system, control routes of its own among them."""
        raise NotImplementedError

    def state(self) -> Any:
        """Return what ``GET /_sandbox/state`` shows."""
        raise NotImplementedError

    def clear(self) -> None:
        """Forget what the imitated system holds."""
        raise NotImplementedError

    def refusal(self, request: web.BaseRequest, status: int, code: str | None = None) -> web.Response:
        """Return a refusal with this status in the imitated system's own shape; ``code`` None lets it choose."""
        code = code or "sandbox_fault"
        return json_answer({"error": {"code": code, "message": f"The sandbox was told to answer {status}."}}, status)

    def identity_of(self, request: web.BaseRequest) -> str:
        """Name who sends the request, without giving away its secret: windows and limits are per identity."""
        secret = request.headers.get("Authorization") or request.headers.get("X-API-Key") or ""
        return sha256(secret.encode()).hexdigest()[:12] if secret else "anonymous"

    async def pause(self, request: web.BaseRequest) -> None:
        """Wait the latency that this request costs."""
        del request
        if self.latency > 0:
            await asyncio.sleep(self.latency)

    # Life

    @property
    def url(self) -> str:
        """The base address, without a slash at its end. Known once started, or with a fixed port."""
        scheme = "https" if self._authority else "http"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{host}:{self.port}"

    async def start(self) -> None:
        """Listen. Raises ``OSError`` when the port is taken."""
        app = web.Application(middlewares=[self._serve], client_max_size=_MAX_BODY_BYTES)
        app.add_routes([*control_routes(self), *self.routes()])
        self._stopping = False
        runner = web.AppRunner(
            app,
            access_log=None,
            handle_signals=False,
            shutdown_timeout=_STOP_SECONDS,
            max_line_size=_MAX_LINE_BYTES,
            max_field_size=_MAX_LINE_BYTES,
        )
        await runner.setup()
        try:
            self.port = await self._listen(runner)
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner

    async def stop(self) -> None:
        """Stop listening and cut off the requests that hang. What the sandbox holds stays."""
        self._stopping = True
        self.faults.release()
        listener, self._listener = self._listener, None
        if listener is not None:
            await listener.stop()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _listen(self, runner: web.AppRunner) -> int:
        if self._authority is None:
            await web.TCPSite(runner, self.host, self.port, backlog=_BACKLOG).start()
            return int(runner.addresses[0][1])
        self._listener = TlsListener(cast("web.Server", runner.server), self._authority.server_context())
        return self._listener.start(self.host, self.port, _BACKLOG)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    def reset(self) -> None:
        """Forget faults, windows, violations, the journal and what the imitated system holds."""
        self.faults.clear()
        self.windows.clear()
        self.requests.clear()
        self.most_in_flight = 0
        self.clear()

    @property
    def violations(self) -> int:
        """How many requests came inside a Retry-After window of their identity."""
        return len(self.windows.violations)

    def throttle(
        self, request: web.BaseRequest, seconds: int, *, http_date: bool = False, grace: float = 0.0
    ) -> web.Response:
        """Answer 429 and open a Retry-After window for whoever sent this."""
        header = self.windows.open(self.identity_of(request), seconds, http_date=http_date, grace=grace)
        response = self.refusal(request, _TOO_MANY)
        response.headers["Retry-After"] = header
        return response

    # The way of a request

    @property
    def _serve(self) -> Any:
        @web.middleware
        async def serve(request: web.Request, handler: Handler) -> web.StreamResponse:
            path = request.raw_path
            if path.startswith(CONTROL_PREFIX):
                return await handler(request)
            return await self._journalled(request, path, handler)

        return serve

    async def _journalled(self, request: web.Request, path: str, handler: Handler) -> web.StreamResponse:
        body = await request.read()
        identity = self.identity_of(request)
        record = RequestRecord(
            time.time(), request.method, path, request.headers, identity, body if self.journal_bodies else None
        )
        if self._journal_limit:
            self.requests.add(record)
        else:
            self.requests.total += 1
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        try:
            response = await self._with_faults(request, record, handler)
        finally:
            self.in_flight -= 1
        transport = request.transport
        record.status = None if transport is None or transport.is_closing() else response.status
        return response

    async def _with_faults(self, request: web.Request, record: RequestRecord, handler: Handler) -> web.StreamResponse:
        if self.windows:
            waiting = self.windows.enter(record.identity, record.method, record.path)
            if waiting is not None:
                response = self.refusal(request, _TOO_MANY)
                response.headers["Retry-After"] = str(waiting)
                return response
        fault = self.faults.strike(record.method, record.path)
        if fault is None:
            await self.pause(request)
            return await handler(request)
        record.fault = fault.spec.kind
        if fault.spec.kind in AFTER_THE_EFFECT:
            await self.pause(request)
            return await self._after(request, fault, await handler(request))
        return await self._before(request, fault, handler)

    async def _before(self, request: web.Request, fault: Fault, handler: Handler) -> web.StreamResponse:
        spec = fault.spec
        match spec.kind:
            case "hang":
                await self.faults.hold(spec.delay)
                return reset(request) if self._stopping else await handler(request)
            case "reset_before":
                return reset(request)
            case "html_502":
                return html_502()
            case "throttle":
                seconds = _DEFAULT_RETRY_AFTER if spec.retry_after is None else spec.retry_after
                return self.throttle(request, seconds, http_date=spec.http_date, grace=spec.grace)
            case "unauthorized":
                return self.refusal(request, _UNAUTHORIZED)
            case _:
                return self._failing(request, fault)

    async def _after(self, request: web.Request, fault: Fault, response: web.StreamResponse) -> web.StreamResponse:
        match fault.spec.kind:
            case "hang_after":
                await self.faults.hold(fault.spec.delay)
                return reset(request) if self._stopping else response
            case "reset_after":
                return reset(request)
            case "truncated":
                return truncate(request, response) if isinstance(response, web.Response) else reset(request)
            case "html_502_after":
                return html_502()
            case _:
                return self._failing(request, fault)

    def _failing(self, request: web.Request, fault: Fault) -> web.Response:
        response = self.refusal(request, fault.spec.status, fault.spec.code)
        if fault.spec.retry_after is not None:
            response.headers["Retry-After"] = str(fault.spec.retry_after)
        return response
