"""The way out for every request.

Doubles: a bare TCP server that answers, hangs, breaks off or resets as told, and counts what reached it.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from connectors.http import Answer, HttpPeer, Wire, close_session, encode_json, open_session, parse_retry_after
from connectors.outcome import BlockedError, ThrottledError, TransientError, UnknownOutcomeError
from connectors.pacing import Pace
from connectors.ports import OutgoingRequest, RequestOutcome

WIRE = Wire("peer", {"Accept": "application/json"}, "x-request-id", ("x-served-by",), "x-ms-dop-hint")

Script = Callable[[bytes, asyncio.StreamWriter], Awaitable[None]]


@dataclass
class BareServer:
    """Plays ``script`` for every request it reads, and keeps what it read."""

    script: Script
    heads: list[bytes] = field(default_factory=list)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection until the script closes it."""
        try:
            while not writer.is_closing():
                head = await reader.readuntil(b"\r\n\r\n")
                self.heads.append(head)
                await self.script(head, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()


@asynccontextmanager
async def bare_server(script: Script) -> AsyncIterator[BareServer]:
    """Run a server on a port of the kernel's choice."""
    played = BareServer(script)
    server = await asyncio.start_server(played.serve, "127.0.0.1", 0)
    played.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield played
    finally:
        server.close()


@asynccontextmanager
async def peer(pace: Pace | None = None, slots: asyncio.Semaphore | None = None) -> AsyncIterator[HttpPeer]:
    """Open a way out."""
    session = open_session()
    try:
        yield HttpPeer(WIRE, session, pace or Pace(), slots)
    finally:
        await close_session(session)


@dataclass
class Log:
    """Keeps what is reported to it."""

    opened: list[OutgoingRequest] = field(default_factory=list)
    ended: list[RequestOutcome] = field(default_factory=list)

    async def opening(self, request: OutgoingRequest) -> None:
        """Keep a request."""
        self.opened.append(request)

    def closed(self, outcome: RequestOutcome) -> None:
        """Keep an outcome."""
        self.ended.append(outcome)


def answering(status: str, body: bytes = b"{}", *headers: str) -> Script:
    """Answer every request the same way."""

    async def script(_head: bytes, writer: asyncio.StreamWriter) -> None:
        lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers, "", ""]
        writer.write("\r\n".join(lines).encode() + body)
        await writer.drain()

    return script


async def resetting(_head: bytes, writer: asyncio.StreamWriter) -> None:
    """Drop the connection without an answer."""
    writer.transport.abort()


async def hanging(_head: bytes, _writer: asyncio.StreamWriter) -> None:
    """Never answer."""
    await asyncio.Event().wait()


async def get(way: HttpPeer, url: str, **options: object) -> Answer:
    """Send a plain reading request."""
    return await way.send("GET", url, purpose="read", timeout=5, **options)  # type: ignore[arg-type]


async def post(way: HttpPeer, url: str, timeout: float = 5) -> Answer:
    """Send a plain mutating request."""
    return await way.send("POST", url, purpose="write", mutating=True, body=b"{}", timeout=timeout)


async def test_a_request_carries_its_id_and_the_log_learns_what_came() -> None:
    """The id that goes out is the id that is written down, with the other side's own id beside it."""
    log = Log()
    async with bare_server(answering("200 OK", b'{"a":1.50}', "x-served-by: them-1")) as server, peer() as way:
        answer = await get(way, f"{server.url}/x", log=log)

    assert answer.json() == {"a": Decimal("1.50")}
    assert f"x-request-id: {log.opened[0].id}".encode() in server.heads[0]
    assert (log.ended[0].status, log.ended[0].peer_request_id) == (200, "them-1")


async def test_a_percent_encoded_address_reaches_the_server_unchanged() -> None:
    """Keys with reserved characters are not rewritten on the way."""
    async with bare_server(answering("200 OK")) as server, peer() as way:
        await get(way, f"{server.url}/rows(key='a%27%26%2Fb%23')")

    assert b"GET /rows(key='a%27%26%2Fb%23') HTTP/1.1" in server.heads[0]


async def test_a_read_that_is_dropped_on_a_kept_connection_is_sent_once() -> None:
    """Repeating is the ledger's affair alone: a library that repeats by itself would do so inside a pause as well."""
    requests = 0

    async def once_then_reset(head: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal requests
        requests += 1
        await (answering("200 OK")(head, writer) if requests == 1 else resetting(head, writer))

    async with bare_server(once_then_reset) as server, peer() as way:
        await get(way, server.url)
        with pytest.raises(TransientError) as caught:
            await get(way, server.url)

    assert caught.value.code == "connection_lost"
    assert len(server.heads) == 2


@pytest.mark.parametrize(("script", "timeout", "code"), [(resetting, 5, "connection_lost"), (hanging, 0.05, "timeout")])
async def test_a_write_without_an_answer_has_an_unknown_outcome(script: Script, timeout: float, code: str) -> None:
    """It was sent; whether it had its effect must be read."""
    async with bare_server(script) as server, peer() as way:
        with pytest.raises(UnknownOutcomeError) as caught:
            await post(way, server.url, timeout)

    assert caught.value.code == code


async def test_a_write_that_never_left_may_simply_be_repeated() -> None:
    """A refused connection is no unknown outcome."""
    async with bare_server(hanging) as server:
        url = server.url
    async with peer() as way:
        with pytest.raises(TransientError) as caught:
            await post(way, url)

    assert caught.value.code == "unreachable"
    assert not isinstance(caught.value, UnknownOutcomeError)


async def test_an_answer_that_breaks_off_keeps_its_status_and_is_not_parsed() -> None:
    """A success whose body broke off is still a success; half a document is none."""

    async def half(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"a"')
        writer.close()

    async with bare_server(half) as server, peer() as way:
        answer = await get(way, server.url)

    assert (answer.status, answer.complete) == (200, False)
    with pytest.raises(TransientError, match="broke off"):
        answer.json()


async def test_html_in_place_of_json_is_told_as_such() -> None:
    """A proxy's error page is an answer to try again after, not a crash."""
    page = answering("200 OK", b"<html>", "Content-Type: text/html")
    async with bare_server(page) as server, peer() as way:
        answer = await get(way, server.url)

    with pytest.raises(TransientError, match="text/html"):
        answer.json()


async def test_a_redirect_is_not_followed() -> None:
    """A key is sent to the configured address and nowhere else."""
    async with bare_server(answering("200 OK")) as other:
        redirect = answering("302 Found", b"", f"Location: {other.url}")
        async with bare_server(redirect) as server, peer() as way:
            answer = await get(way, server.url, headers={"Authorization": "Bearer secret"})

    assert answer.status == 302
    assert other.heads == []


async def test_an_echoed_credential_is_not_kept() -> None:
    """The ledger keeps the beginning of a refusal, and messages tell of it, without what we authenticated with."""
    log = Log()
    echo = answering("400 Bad Request", b'{"got":"Bearer top-secret-key"}')
    async with bare_server(echo) as server, peer() as way:
        answer = await get(way, server.url, headers={"Authorization": "Bearer top-secret-key"}, log=log)

    assert log.ended[0].excerpt == '{"got":"Bearer [redacted]"}'
    assert answer.json() == {"got": "Bearer [redacted]"}


async def test_a_pause_that_was_asked_for_holds_everything_that_shares_the_identity() -> None:
    """Nothing is sent inside the window, by whichever tenant."""
    pace = Pace(patience=0)
    throttling = answering("429 Too Many Requests", b"{}", "Retry-After: 30")
    async with bare_server(throttling) as server, peer(pace) as one, peer(pace) as other:
        with pytest.raises(ThrottledError) as first:
            await get(one, server.url)
        with pytest.raises(ThrottledError) as second:
            await get(other, server.url)

    assert first.value.retry_after == 30
    assert second.value.retry_after is not None
    assert 25 < second.value.retry_after <= 30
    assert len(server.heads) == 1


async def test_retry_after_counts_on_any_status() -> None:
    """A 503 with a Retry-After closes the window as a 429 does."""
    pace = Pace(patience=0)
    async with bare_server(answering("503 Busy", b"", "Retry-After: 30")) as server, peer(pace) as way:
        answer = await get(way, server.url)
        with pytest.raises(ThrottledError):
            await get(way, server.url)

    assert (answer.status, answer.retry_after) == (503, 30)


async def test_a_pause_begins_with_the_head_of_the_answer() -> None:
    """Its body may take its time; what is sent meanwhile would be inside the window."""
    paused, body_asked = asyncio.Event(), asyncio.Event()

    class Telling(Pace):
        def pause(self, seconds: float | None) -> float:
            paused.set()
            return super().pause(seconds)

    pace = Telling(patience=0)

    async def slowly(_head: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 429 Too Many Requests\r\nRetry-After: 30\r\nContent-Length: 2\r\n\r\n")
        await body_asked.wait()
        writer.write(b"{}")

    async with bare_server(slowly) as server, peer(pace) as way:
        first = asyncio.create_task(get(way, server.url))
        await paused.wait()
        with pytest.raises(ThrottledError):
            await get(way, server.url)
        body_asked.set()
        with pytest.raises(ThrottledError):
            await first

    assert len(server.heads) == 1


async def test_a_server_that_refuses_without_a_pause_is_not_asked_without_end() -> None:
    """A refusal costs no try, so that ``Retry-After: 0`` would have one document asked for ever, at full speed."""
    pace = Pace(patience=0)
    pauses: list[float] = []
    async with bare_server(answering("429 Too Many Requests", b"{}", "Retry-After: 0")) as server, peer(pace) as way:
        for _ in range(3):
            with pytest.raises(ThrottledError) as caught:
                await get(way, server.url)
            pauses.append(caught.value.retry_after or 0)
            await asyncio.sleep(pace.pause_left)

    assert pauses == [0.2, 0.4, 0.8]


async def test_the_hinted_parallelism_is_taken_over() -> None:
    """Dataverse says how much it likes to be asked at a time."""
    pace = Pace(ceiling=52)
    async with bare_server(answering("200 OK", b"{}", "x-ms-dop-hint: 8")) as server, peer(pace) as way:
        await get(way, server.url)

    assert pace.limit == 8


async def test_a_tenant_has_no_more_requests_in_flight_than_it_may() -> None:
    """``concurrency`` bounds the requests, however many deliveries are on their way."""
    most = now = 0

    async def slow(head: bytes, writer: asyncio.StreamWriter) -> None:
        nonlocal most, now
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.005)
        now -= 1
        await answering("200 OK")(head, writer)

    async with bare_server(slow) as server, peer(slots=asyncio.Semaphore(3)) as way:
        await asyncio.gather(*(get(way, server.url) for _ in range(12)))

    assert most == 3


async def test_waiting_for_the_journal_takes_no_place() -> None:
    """The other side grants few places; none of them stands idle while a disk is waited for."""
    written = asyncio.Event()

    class Slow(Log):
        async def opening(self, request: OutgoingRequest) -> None:
            await super().opening(request)
            await written.wait()

    async with bare_server(answering("200 OK")) as server, peer(Pace(ceiling=1), asyncio.Semaphore(1)) as way:
        waiting = asyncio.create_task(get(way, server.url, log=Slow()))
        await asyncio.sleep(0)
        await get(way, server.url)
        sent_meanwhile = len(server.heads)
        written.set()
        await waiting

    assert (sent_meanwhile, len(server.heads)) == (1, 2)


async def test_a_request_that_a_pause_overtakes_is_not_sent() -> None:
    """A pause may begin while the request is written down: then the entry says that it was held back."""
    pace = Pace(patience=0)

    class Overtaken(Log):
        async def opening(self, request: OutgoingRequest) -> None:
            await super().opening(request)
            pace.pause(30)

    log = Overtaken()
    async with bare_server(answering("200 OK")) as server, peer(pace) as way:
        with pytest.raises(ThrottledError):
            await get(way, server.url, log=log)

    assert server.heads == []
    assert log.ended == [RequestOutcome(log.opened[0].id, None, 0, error="throttled")]


async def test_a_pause_that_begins_while_a_request_is_journalled_anew_holds_it_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The second entry may have to wait for a disk as the first did."""
    monkeypatch.setattr("connectors.http._OPENING_HOLDS", -1.0)
    pace = Pace(ceiling=1, patience=0)

    class OvertakenAgain(Log):
        async def opening(self, request: OutgoingRequest) -> None:
            await super().opening(request)
            if len(self.opened) == 2:
                pace.pause(30)

    log = OvertakenAgain()
    async with bare_server(answering("200 OK")) as server, peer(pace) as way:
        with pytest.raises(ThrottledError):
            await get(way, server.url, log=log)

    assert server.heads == []
    assert log.ended == [RequestOutcome(log.opened[0].id, None, 0, error="throttled")]
    assert pace.in_flight == 0


async def test_a_request_that_waited_long_for_its_place_is_journalled_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its delivery may be in other hands by then, which the journal alone knows: what it refuses is not sent."""
    monkeypatch.setattr("connectors.http._OPENING_HOLDS", -1.0)

    class Lost(Log):
        async def opening(self, request: OutgoingRequest) -> None:
            await super().opening(request)
            if len(self.opened) > 1:
                raise LookupError("in other hands")

    log = Lost()
    pace = Pace(ceiling=1)
    async with bare_server(answering("200 OK")) as server, peer(pace) as way:
        with pytest.raises(LookupError, match="in other hands"):
            await get(way, server.url, log=log)

    assert log.opened[0] == log.opened[1]
    assert (server.heads, pace.in_flight) == ([], 0)


async def test_a_certificate_that_is_not_trusted_blocks_and_says_what_to_do() -> None:
    """No delivery is tried against a server that cannot prove who it is."""
    async with peer() as way, bare_server(hanging) as server:
        with pytest.raises((BlockedError, TransientError)) as caught:
            await get(way, "https://" + server.url.removeprefix("http://").replace("127.0.0.1", "bad host"))

    assert caught.value.code in {"bad_url", "unreachable"}


NOW = datetime(2026, 3, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("17", 17),
        (" 1.5 ", 1.5),
        ("0", 0),
        ("-3", 0),
        ("Sun, 01 Mar 2026 12:00:30 GMT", 31),
        ("Sun, 01 Mar 2026 11:00:00 GMT", 0),
        ("soon", None),
        ("nan", None),
        ("inf", None),
        ("999999999999", 86400),
        ("Fri, 31 Dec 9999 23:59:59 GMT", 86400),
        ("", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float | None) -> None:
    """A date has no fractions, so the second that it may have lost is waited as well; a year is a mistake."""
    assert parse_retry_after(value, NOW) == seconds


def test_money_is_written_with_the_digits_that_came_in() -> None:
    """No amount passes through a float."""
    assert encode_json({"total": Decimal("1234567890123456789.10")}) == b'{"total":1234567890123456789.10}'
