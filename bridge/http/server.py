"""The HTTP server: it listens before there is anything to serve, so that liveness is known from the first moment."""

import asyncio
import logging
import re
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from uuid import uuid4

from aiohttp import web

from bridge.http.codes import BAD_REQUEST, INTERNAL_ERROR, STARTING, STOPPING, Code
from bridge.http.problems import RefusedError, problem_response

if TYPE_CHECKING:
    from bridge.http.api import Api
    from bridge.http.keys import Keys
    from bridge.http.use_cases import UseCases
    from bridge.metrics import Metrics

log = logging.getLogger(__name__)

KEEP_ALIVE: Final = 75.0
"""Seconds that an idle connection is kept; a little longer than what proxies in front usually keep theirs."""

LINGERING: Final = 5.0
"""Seconds for which the rest of a refused body is read and thrown away, so that the refusal reaches its sender."""

BACKLOG: Final = 1024
"""Connections that may wait to be taken, for bursts."""

STOP_PATIENCE: Final = 1.0
"""Seconds that requests have to end once the server is stopped."""

START_PATIENCE: Final = 10.0
"""Seconds for which a call that came while the service starts is kept waiting, before it is told to come again."""

_HEALTH: Final = frozenset({"/healthz", "/readyz"})
"""What is answered at once, at any time."""

_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}", re.ASCII)

SERVER: Final = "numora-bridge"

_HEADERS: Final = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"}

_PHASES: Final[dict[Code, tuple[str, str]]] = {
    STARTING: ("starting", "The bridge is starting. Send the request again in a moment."),
    STOPPING: ("stopping", "The bridge is stopping. Send the request again when it is back."),
}


class HttpServer:
    """Listens on ``host`` and ``port`` (0: a free one), at first for ``/healthz`` alone; ``attach`` brings the rest.

    A call that comes while the service starts waits for it, for ``patience`` seconds at most.
    """

    def __init__(self, host: str, port: int, metrics: "Metrics", *, patience: float = START_PATIENCE) -> None:
        self._host = host
        self._port = port
        self._metrics = metrics
        self._patience = patience
        self._opened = asyncio.Event()
        self._api: Api | None = None
        self._phase = STARTING
        self._runner: web.ServerRunner | None = None

    @property
    def port(self) -> int:
        """The port; once started the one that is listened on."""
        return self._port

    @property
    def url(self) -> str:
        """The base address, without a slash at its end."""
        host = f"[{self._host}]" if ":" in self._host else self._host
        return f"http://{host}:{self._port}"

    async def start(self) -> None:
        """Listen. Raises ``OSError`` when the address cannot be taken."""
        server = _Server(
            self._handle,
            access_log=None,
            keepalive_timeout=KEEP_ALIVE,
            lingering_time=LINGERING,
            auto_decompress=False,
        )
        runner = web.ServerRunner(server, handle_signals=False, shutdown_timeout=STOP_PATIENCE)
        await runner.setup()
        try:
            await web.TCPSite(runner, self._host, self._port, backlog=BACKLOG).start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        self._port = runner.addresses[0][1]

    def attach(self, cases: "UseCases", keys: "Keys", *, opened: bool = True) -> None:
        """Serve everything from now on; when not ``opened``, readiness alone, until ``open`` is called."""
        # Loaded here, so that the server listens before the routes and their models are.
        from bridge.http.api import Api  # noqa: PLC0415

        self._api = Api(cases, self._metrics, keys)
        _warn_without_keys(keys)
        if opened:
            self.open()

    def open(self) -> None:
        """Answer the calls that waited for the start, and all others from now on."""
        self._opened.set()

    def set_keys(self, keys: "Keys") -> None:
        """Put other keys in force."""
        if self._api is not None:
            self._api.keys = keys
            _warn_without_keys(keys)

    def detach(self) -> None:
        """Take no more calls than ``/healthz``, and let those that wait for a delivery answer now."""
        self._phase = STOPPING
        self._opened.set()
        if self._api is not None:
            self._api.stop_waiting()
            self._api = None

    async def stop(self) -> None:
        """Stop listening; calls under way have a moment to end. May be called more than once."""
        self.detach()
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()

    async def _handle(self, request: web.BaseRequest) -> web.StreamResponse:
        request_id = _request_id(request)
        started = time.perf_counter()
        response: web.Response
        if not self._opened.is_set() and request.rel_url.raw_path not in _HEALTH:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._opened.wait(), self._patience)
        try:
            response = (
                await self._api.answer(request, request_id) if self._api is not None else self._answer_alone(request)
            )
        except RefusedError as refused:
            response = problem_response(refused, request_id)
        _finish(response, request_id)
        if log.isEnabledFor(logging.DEBUG):
            elapsed = (time.perf_counter() - started) * 1000
            log.debug("%s %s: %d in %.1f ms", request.method, request.rel_url.raw_path, response.status, elapsed)
        return response

    def _answer_alone(self, request: web.BaseRequest) -> web.Response:
        """Answer while there is no service: liveness, and for everything else why there is none."""
        status, message = _PHASES[self._phase]
        path = request.rel_url.raw_path
        if request.method in {"GET", "HEAD"}:
            if path == "/healthz":
                return web.json_response({"status": "ok"})
            if path == "/readyz":
                return web.json_response({"status": status, "parts": {}}, status=503)
        raise RefusedError(self._phase, message, headers={"Retry-After": "1"})


class _Connection(web.RequestHandler):
    """A connection whose errors below HTTP are told in the same shape as all others."""

    __slots__ = ()

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what could not be read as HTTP. What the client sent stays out of answer and log."""
        if request.writer.output_size > 0:
            raise ConnectionError("the answer had begun already") from exc
        request_id = _new_request_id()
        log.debug("a connection was given up: %s [request %s]", type(exc).__name__, request_id)
        if status == BAD_REQUEST.status:
            refused = RefusedError(BAD_REQUEST, "Send a valid HTTP/1.1 request.", close=True)
        else:
            refused = RefusedError(INTERNAL_ERROR, "The bridge's log says more under this request id.", close=True)
        return _finish(problem_response(refused, request_id), request_id)


class _Server(web.Server):
    def __call__(self) -> web.RequestHandler:
        return _Connection(self, loop=self._loop, **self._kwargs)


def _finish(response: web.Response, request_id: str) -> web.Response:
    response.headers["X-Request-Id"] = request_id
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers["Server"] = SERVER
    return response


def _request_id(request: web.BaseRequest) -> str:
    """Return the id that the client gave, if it is a sane one, or else a new one."""
    given: Any = request.headers.get("X-Request-Id", "")
    return given if _REQUEST_ID.fullmatch(given) else _new_request_id()


def _new_request_id() -> str:
    return f"req_{uuid4().hex}"


def _warn_without_keys(keys: "Keys") -> None:
    if not keys:
        log.warning(
            "no api_keys are configured, so that every call to /v1 is answered 401; "
            "set api_keys in bridge.yaml, or in a tenant's file for that tenant alone"
        )
