"""One way out for every request to an outside system: bounded, paced, journalled, and never sent twice by itself."""

import asyncio
import ssl
import time
from asyncio import Semaphore
from collections.abc import Callable, Mapping
from contextlib import AbstractAsyncContextManager, nullcontext
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from email.utils import parsedate_to_datetime
from functools import lru_cache
from itertools import count
from math import isfinite
from pathlib import Path
from typing import Any
from uuid import uuid4

import aiohttp
import msgspec
from yarl import URL

from connectors.deadlines import Deadline, Deadlines
from connectors.outcome import BlockedError, ThrottledError, TransientError, UnknownOutcomeError
from connectors.pacing import LONGEST_PAUSE, Pace
from connectors.ports import OutgoingRequest, RequestLog, RequestOutcome

LARGEST_ANSWER = 64 * 1024 * 1024
"""Bytes; a longer answer is cut off and counts as incomplete."""

EXCERPT_LENGTH = 2000
"""Characters of a refusal's body that are kept for a person to read."""

_CONNECT_TIMEOUT = 15.0

_OPENING_HOLDS = 60.0
"""Seconds after which a request that still waits for its place is journalled anew; that fails if it is ours no more."""

_TOO_MANY_DIGITS = 10
_TOO_MANY_REQUESTS = 429
_NO_SUCCESS = 300
_REFUSALS = 400

decode_json = msgspec.json.Decoder(float_hook=Decimal).decode
"""Parse JSON: whole numbers as ``int`` of any size, others as ``Decimal`` with the digits that came in."""

encode_json = msgspec.json.Encoder(decimal_format="number").encode
"""Write JSON: a ``Decimal`` as a number with its own digits."""


class Answer(msgspec.Struct, frozen=True):
    """What came back. ``complete`` is False when the body broke off; ``retry_after`` is in seconds."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    complete: bool
    retry_after: float | None
    request_id: str
    peer_request_id: str | None

    def json(self) -> Any:
        """Return the parsed body. Raises ``TransientError`` (``bad_answer``) when it is not whole, or not JSON."""
        if not self.complete:
            raise TransientError("bad_answer", f"The answer ({self.status}) broke off.", retry_after=self.retry_after)
        try:
            return decode_json(self.body)
        except (ValueError, RecursionError, ArithmeticError) as error:
            kind = self.headers.get("Content-Type", "no content type")
            raise TransientError(
                "bad_answer", f"The answer ({self.status}, {kind}) is not JSON.", retry_after=self.retry_after
            ) from error

    def text(self) -> str:
        """Return the beginning of the body as text, for messages."""
        return self.body[: EXCERPT_LENGTH * 4].decode("utf-8", "replace")[:EXCERPT_LENGTH]


@dataclass(frozen=True, slots=True)
class Wire:
    """What is particular to one outside system: its name, its fixed headers, and where ids stand in headers."""

    name: str
    headers: Mapping[str, str]
    request_id_header: str
    peer_request_id_headers: tuple[str, ...]
    parallelism_header: str | None = None


Observer = Callable[[str, str, int | None, float], None]
"""Called after each request with peer, purpose, status (None: no answer) and seconds."""


def _ignore(peer: str, purpose: str, status: int | None, seconds: float) -> None:
    """Observe nothing."""


class RequestIds:
    """Gives request ids in the form of UUIDs: random in their first ten bytes, which are drawn once, then counted.

    Drawing every id anew would ask the system for randomness with each request.
    """

    def __init__(self) -> None:
        drawn = uuid4()
        self._prefix = str(drawn)[:24]
        self._next = count(drawn.node >> 8).__next__

    def __call__(self) -> str:
        """Return an id that was not given before."""
        return f"{self._prefix}{self._next():012x}"


class HttpPeer:
    """One outside system, used with one identity by one tenant.

    ``pace`` is shared by all who use that identity; ``slots`` bounds what this tenant has in flight.
    """

    def __init__(
        self,
        wire: Wire,
        session: aiohttp.ClientSession,
        pace: Pace,
        slots: Semaphore | None = None,
        *,
        observe: Observer = _ignore,
    ) -> None:
        self._wire = wire
        self._session = session
        self._pace = pace
        self._slots: AbstractAsyncContextManager[Any] = slots if slots is not None else nullcontext()
        self._observe = observe
        self._new_id = RequestIds()
        self._deadlines = Deadlines()

    async def send(
        self,
        method: str,
        url: str,
        *,
        purpose: str,
        mutating: bool = False,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        timeout: float,
        log: RequestLog | None = None,
    ) -> Answer:
        """Send one request, once. ``url`` is percent-encoded already; ``timeout`` in seconds is for the whole exchange.

        Raises ``ThrottledError`` on 429, ``TransientError`` when there was no effect, ``UnknownOutcomeError`` when a
        mutating request was sent and no answer came, or only a page in place of one (``bad_answer``), ``BlockedError``
        when the other side cannot be trusted. Any other status is the caller's to judge.
        """
        if self._pace.pause_left:
            await self._pace.unpaused()
        request = OutgoingRequest(self._new_id(), self._wire.name, purpose, method, url, mutating)
        if log is not None:
            # Before there is a place: the places, of which the other side grants few, are not for waiting on a disk.
            await log.opening(request)
        opened = time.monotonic()
        async with self._slots:
            try:
                await self._place(request, opened, log)
            except ThrottledError as error:
                if log is not None:
                    log.closed(RequestOutcome(request.id, None, 0, error=error.code))
                raise
            try:
                return await self._exchange(request, headers, body, timeout, log)
            finally:
                self._pace.release()

    async def _place(self, request: OutgoingRequest, opened: float, log: RequestLog | None) -> None:
        """Wait for a place, and journal the request anew when that took long; a pause may begin meanwhile as well."""
        await self._pace.acquire()
        if log is None or time.monotonic() - opened <= _OPENING_HOLDS:
            return
        try:
            await log.opening(request)
            await self._pace.unpaused()
        except BaseException:
            self._pace.release()
            raise

    def hold(self, seconds: float | None) -> float:
        """Let nothing more out for this long, as for a 429: a pause was asked for in the body of an answer.

        None when the other side named no time. Returns the seconds.
        """
        return self._pace.refused(seconds)

    async def unpaused(self) -> None:
        """Wait for a pause to end. Raises ``ThrottledError`` when it lasts longer than is waited in place."""
        await self._pace.unpaused()

    async def _exchange(
        self,
        request: OutgoingRequest,
        headers: Mapping[str, str] | None,
        body: bytes | None,
        timeout: float,
        log: RequestLog | None,
    ) -> Answer:
        wire = self._wire
        sent_headers = {**wire.headers, wire.request_id_header: request.id}
        if headers:
            sent_headers.update(headers)
        started = time.perf_counter()
        deadline = self._deadlines.after(timeout)
        try:
            with deadline:
                response = await self._session.request(
                    request.method,
                    URL(request.url, encoded=True),
                    headers=sent_headers,
                    data=body,
                    timeout=_timeout(timeout),
                    allow_redirects=False,
                )
            try:
                retry_after = self._heed(response)
                answer = await self._read(response, request.id, retry_after, deadline)
            finally:
                response.release()
            answer = _without_credential(answer, sent_headers)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            elapsed = time.perf_counter() - started
            self._observe(wire.name, request.purpose, None, elapsed)
            failure = _failure(error, request, timeout)
            if log is not None:
                log.closed(RequestOutcome(request.id, None, round(elapsed * 1000), error=failure.code))
            raise failure from error
        elapsed = time.perf_counter() - started
        self._observe(wire.name, request.purpose, answer.status, elapsed)
        if log is not None:
            excerpt = answer.text() if answer.status >= _REFUSALS else None
            log.closed(
                RequestOutcome(request.id, answer.status, round(elapsed * 1000), answer.peer_request_id, None, excerpt)
            )
        if answer.status == _TOO_MANY_REQUESTS:
            pause = retry_after or 0.0
            raise ThrottledError("throttled", f"{wire.name} asked for a pause of {pause:.0f} s.", retry_after=pause)
        self._pace.went_well()
        if request.mutating and answer.status < _NO_SUCCESS and answer.body.lstrip().startswith(b"<"):
            message = f"{request.purpose} was answered with {answer.status} by something that is not {wire.name}."
            raise UnknownOutcomeError("bad_answer", message, retry_after=retry_after)
        return answer

    def _heed(self, response: aiohttp.ClientResponse) -> float | None:
        """Do what the head of an answer asks for, since its body may be long in coming. Returns ``retry_after``."""
        if self._wire.parallelism_header is not None:
            hint = response.headers.get(self._wire.parallelism_header, "")
            if hint.isascii() and hint.isdigit() and len(hint) < _TOO_MANY_DIGITS:
                self._pace.hint(int(hint))
        told = response.headers.get("Retry-After")
        retry_after = None if told is None else parse_retry_after(told, datetime.now(UTC))
        if response.status == _TOO_MANY_REQUESTS:
            return self.hold(retry_after)
        if retry_after is not None:
            self._pace.pause(retry_after)
        return retry_after

    async def _read(
        self, response: aiohttp.ClientResponse, request_id: str, retry_after: float | None, deadline: Deadline
    ) -> Answer:
        complete = True
        body = b""
        try:
            with deadline:
                length = response.content_length
                if length is not None and length <= LARGEST_ANSWER:
                    body = await response.read()
                else:
                    body, complete = await _read_bounded(response)
        except (aiohttp.ClientError, TimeoutError, OSError):
            complete = False
        headers = response.headers
        peer_request_id = None
        for name in self._wire.peer_request_id_headers:
            peer_request_id = headers.get(name)
            if peer_request_id is not None:
                break
        return Answer(
            response.status,
            headers,
            body,
            complete,
            retry_after,
            request_id,
            peer_request_id,
        )


async def _read_bounded(response: aiohttp.ClientResponse) -> tuple[bytes, bool]:
    chunks: list[bytes] = []
    size = 0
    async for chunk in response.content.iter_any():
        size += len(chunk)
        if size > LARGEST_ANSWER:
            response.close()
            return b"".join(chunks), False
        chunks.append(chunk)
    return b"".join(chunks), True


def _failure(error: Exception, request: OutgoingRequest, timeout: float) -> BlockedError | TransientError:
    """Tell apart what never left from what may have had its effect."""
    peer = request.peer
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return BlockedError(
            "tls_untrusted", f"{peer}'s certificate is not trusted. If it is a private one, set ca_file."
        )
    if isinstance(error, aiohttp.InvalidURL | ValueError):
        return BlockedError("bad_url", f"{peer}: {request.url!r} is not a usable address.")
    if isinstance(error, aiohttp.ClientConnectorError):
        return TransientError("unreachable", f"{peer} cannot be reached: {error}.")
    if isinstance(error, aiohttp.ConnectionTimeoutError):
        return TransientError("unreachable", f"{peer} did not accept a connection in time.")
    kind = UnknownOutcomeError if request.mutating else TransientError
    if isinstance(error, TimeoutError):
        return kind("timeout", f"{peer} did not answer {request.purpose} within {timeout:g} s.")
    return kind("connection_lost", f"{peer} closed the connection before it answered {request.purpose}.")


def _without_credential(answer: Answer, headers: Mapping[str, str]) -> Answer:
    """Take what we authenticated with out of an answer that is no success, should the other side have echoed it."""
    credential = headers.get("Authorization", "").partition(" ")[2].encode()
    if answer.status < _NO_SUCCESS or not credential or credential not in answer.body:
        return answer
    return msgspec.structs.replace(answer, body=answer.body.replace(credential, b"[redacted]"))


def parse_retry_after(value: str, now: datetime) -> float | None:
    """Return the seconds that a ``Retry-After`` header asks for: a number of seconds or an HTTP date; None if neither.

    A date has whole seconds only, so that up to one second more is waited. More than ``LONGEST_PAUSE`` is not believed.
    """
    value = value.strip()
    try:
        seconds = float(value)
    except ValueError:
        try:
            moment = parsedate_to_datetime(value)
        except ValueError:
            return None
        if moment.tzinfo is None:
            moment = moment.replace(tzinfo=UTC)
        seconds = (moment - now).total_seconds() + 1
    return min(max(0.0, seconds), LONGEST_PAUSE) if isfinite(seconds) else None


@lru_cache(maxsize=32)
def _timeout(seconds: float) -> aiohttp.ClientTimeout:
    """Return aiohttp's own limits: those for a new connection. The whole exchange has its ``Deadline``."""
    return aiohttp.ClientTimeout(total=None, sock_connect=min(_CONNECT_TIMEOUT, seconds))


def tls_context(ca_file: Path | None) -> ssl.SSLContext:
    """Return the TLS settings for outgoing calls: the system's certificates and those of ``ca_file``."""
    context = ssl.create_default_context()
    if ca_file is not None:
        context.load_verify_locations(cafile=ca_file)
    return context


def open_session(ca_file: Path | None = None) -> aiohttp.ClientSession:
    """Open the connection pool for calls to systems that the operator configured.

    No cookies (Dataverse limits each of its servers by itself, so no stickiness), no proxies or credentials from the
    environment, no limit on connections (paces and slots are the limits).
    """
    session = aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, ssl=tls_context(ca_file)),
        cookie_jar=aiohttp.DummyCookieJar(),
        trust_env=False,
        auto_decompress=True,
    )
    # aiohttp sends a GET again by itself when a kept connection drops, also inside a Retry-After window. There is no
    # public switch; its own test client uses this one.
    session._retry_connection = False  # noqa: SLF001
    return session


async def close_session(session: aiohttp.ClientSession) -> None:
    """Close the pool and let its transports finish closing."""
    await session.close()
    await asyncio.sleep(0)
