"""How a request that cannot be taken is answered: always the same shape, always a stable code, never a 5xx."""

import asyncio
from contextlib import suppress

import aiohttp
import msgspec
import pytest
from http_bridge import ACME, OPERATOR, Bridge

from bridge.http import reading

pytestmark = pytest.mark.asyncio(loop_scope="module")

DELIVER = "/v1/tenants/acme/documents/d1/deliver"
RETRY = "/v1/tenants/acme/deliveries/retry"
DELIVERIES = "/v1/tenants/acme/deliveries"
JSON = {**ACME, "Content-Type": "application/json"}


async def raw(bridge: Bridge, request: bytes) -> bytes:
    """Send bytes as they are and return everything that comes back until the other side ends the connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", bridge.server.port)
    writer.write(request)
    await writer.drain()
    try:
        return await reader.read()
    finally:
        writer.close()
        await writer.wait_closed()


async def closed(writer: asyncio.StreamWriter) -> None:
    """End a connection, which the other side may have ended before."""
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


@pytest.mark.parametrize("path", ["/", "/nothing", "/healthz/", "//v1/me", "/V1/me", "/docs/../v1", "/favicon.ico"])
async def test_an_unknown_path_is_a_404_in_the_one_shape(shared: Bridge, path: str) -> None:
    answer = await shared.call("GET", path, OPERATOR)
    assert (answer.status, answer.code) == (404, "no_such_route")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("POST", "/healthz", "GET, HEAD"),
        ("GET", "/v1/tenants/acme/poll", "POST"),
        ("DELETE", DELIVERIES, "GET, HEAD"),
        ("OPTIONS", DELIVERIES, "GET, HEAD"),
        ("PATCH", RETRY, "POST"),
        ("GET", RETRY, "POST"),
        ("PUT", DELIVER, "POST"),
    ],
)
async def test_a_method_that_a_path_does_not_take_is_told_those_that_it_takes(
    shared: Bridge, method: str, path: str, allowed: str
) -> None:
    answer = await shared.call(method, path, ACME)
    assert (answer.status, answer.code) == (405, "method_not_allowed")
    assert answer.headers["Allow"] == allowed
    assert "Access-Control-Allow-Origin" not in answer.headers


async def test_head_is_taken_where_get_is(shared: Bridge) -> None:
    for path in ("/healthz", "/v1/me"):
        answer = await shared.call("HEAD", path, OPERATOR)
        assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    "body",
    [
        b"{",
        b"nope",
        b"\xff\xfe",
        b'{"wait": 1',
        b"[" * 100_000,
        b'{"wait": 1e999}',
        b"{}{}",
        b"\x00",
        b'{"wait": 1e400}',
        b"1" * 5000,
        rb'"\ud800"',
        b'"\xed\xa0\x80"',
        b'{"wait": NaN}',
    ],
)
async def test_a_body_that_is_no_json_is_a_400(shared: Bridge, body: bytes) -> None:
    answer = await shared.call("POST", DELIVER, JSON, data=body)
    assert (answer.status, answer.code) == (400, "bad_json")


@pytest.mark.parametrize(
    ("path", "body", "name", "code"),
    [
        (DELIVER, {"wiat": 1}, "wiat", "unknown_key"),
        (DELIVER, {"wait": "1"}, "wait", "wrong_type"),
        (DELIVER, {"wait": True}, "wait", "wrong_type"),
        (DELIVER, {"wait": None}, "wait", "wrong_type"),
        (DELIVER, {"wait": 61}, "wait", "bad_value"),
        (DELIVER, {"wait": -1}, "wait", "bad_value"),
        (DELIVER, {"force": 1}, "force", "wrong_type"),
        (RETRY, {"mapping": "newest"}, "mapping", "bad_value"),
        (RETRY, {"dry_run": "yes"}, "dry_run", "wrong_type"),
        (RETRY, {"state": "lost"}, "state", "bad_value"),
        (RETRY, {"state": [1]}, "state", "wrong_type"),
        (RETRY, {"document_id": "x" * 513}, "document_id", "bad_value"),
        ("/v1/tenants/acme/poll", {"now": True}, "now", "unknown_key"),
        ("/v1/tenants/acme/documents/d1/preview", {"wait": 1}, "wait", "unknown_key"),
    ],
)
async def test_a_wrong_body_names_each_key_and_what_is_wrong_with_it(
    shared: Bridge, path: str, body: dict[str, object], name: str, code: str
) -> None:
    answer = await shared.call("POST", path, ACME, body)
    assert (answer.status, answer.code) == (422, "bad_body")
    (error,) = answer.json["errors"]
    assert (error["in"], error["name"], error["code"]) == ("body", name, code)


async def test_an_unknown_key_is_told_the_nearest_name_and_all_errors_come_at_once(shared: Bridge) -> None:
    answer = await shared.call("POST", DELIVER, ACME, {"wiat": 1, "force": "no"})
    assert answer.code == "bad_body"
    assert {error["name"] for error in answer.json["errors"]} == {"wiat", "force"}
    assert "'wait'" in next(error["message"] for error in answer.json["errors"] if error["name"] == "wiat")


@pytest.mark.parametrize("body", [[], "text", 1, [{"wait": 1}], False])
async def test_a_body_that_is_no_object_is_a_422(shared: Bridge, body: object) -> None:
    answer = await shared.call("POST", DELIVER, JSON, data=msgspec.json.encode(body))
    assert (answer.status, answer.code) == (422, "bad_body")


async def test_an_empty_body_means_the_defaults(shared: Bridge) -> None:
    for headers, data in ((ACME, None), (JSON, b""), (JSON, b" \n"), (JSON, b"{}")):
        answer = await shared.call("POST", RETRY, headers, data=data)
        assert (answer.status, answer.json["matched"]) == (200, 0)


@pytest.mark.parametrize(
    "media", ["application/x-www-form-urlencoded", "text/plain", "multipart/form-data; boundary=x"]
)
async def test_another_media_type_is_a_415(shared: Bridge, media: str) -> None:
    answer = await shared.call("POST", DELIVER, {**ACME, "Content-Type": media}, data=b"{}")
    assert (answer.status, answer.code) == (415, "unsupported_media")


async def test_a_compressed_body_is_a_415(shared: Bridge) -> None:
    """So a small body never becomes a large one."""
    answer = await shared.call("POST", DELIVER, {**JSON, "Content-Encoding": "gzip"}, data=b"\x1f\x8b")
    assert (answer.status, answer.code) == (415, "unsupported_media")


@pytest.mark.parametrize(
    ("query", "name", "code"),
    [
        ("limit=0", "limit", "bad_value"),
        ("limit=1000000000", "limit", "wrong_type"),
        ("limit=ten", "limit", "wrong_type"),
        ("limit=-1", "limit", "wrong_type"),
        ("limit=1.0", "limit", "wrong_type"),
        ("limit=%D9%A3", "limit", "wrong_type"),
        ("limit=1&limit=2", "limit", "given_twice"),
        ("limit=&limit=", "limit", "given_twice"),
        ("state=lost", "state", "bad_value"),
        ("status=failed", "status", "unknown_key"),
        ("document_id=" + "x" * 513, "document_id", "bad_value"),
        ("document_id=%00", "document_id", "bad_value"),
        ("cursor=%00", "cursor", "bad_value"),
    ],
)
async def test_a_wrong_query_names_each_parameter(shared: Bridge, query: str, name: str, code: str) -> None:
    answer = await shared.call("GET", f"{DELIVERIES}?{query}", ACME)
    assert (answer.status, answer.code) == (400, "bad_query")
    (error,) = answer.json["errors"]
    assert (error["in"], error["name"], error["code"]) == ("query", name, code)


@pytest.mark.parametrize("cursor", ["nope", "1", "-1", "null", "eyJhIjoxfQ", "9" * 400, "%F0%9F%A7%BE"])
async def test_a_cursor_that_was_never_given_is_a_400(shared: Bridge, cursor: str) -> None:
    answer = await shared.call("GET", f"{DELIVERIES}?cursor={cursor}", ACME)
    assert (answer.status, answer.code) == (400, "bad_cursor")


async def test_a_body_of_50_megabytes_is_refused_before_it_is_read(shared: Bridge) -> None:
    """413, told while the client still sends; the bridge takes other calls meanwhile."""

    async def endless() -> object:
        for _ in range(50 * 16):
            yield b" " * 65536

    declared = {**JSON, "Content-Length": str(50 * 1024 * 1024)}
    answer = await shared.call("POST", DELIVER, declared, data=endless())
    assert (answer.status, answer.code) == (413, "too_large")
    assert answer.headers["Connection"] == "close"


async def test_a_client_that_sends_50_megabytes_before_it_reads_gets_the_refusal_too(shared: Bridge) -> None:
    """The rest is read and thrown away for a while, so that the connection is not reset under the client's hands."""
    length = 50 * 1024 * 1024
    head = f"POST {DELIVER} HTTP/1.1\r\nHost: x\r\nX-API-Key: {ACME['X-API-Key']}\r\nContent-Length: {length}\r\n\r\n"
    answer = await raw(shared, head.encode() + b" " * length)
    assert answer.startswith(b"HTTP/1.1 413")


async def test_a_body_that_never_says_how_long_it_is_is_cut_off(shared: Bridge) -> None:
    async def chunks() -> object:
        for _ in range(64):
            yield b" " * 65536

    answer = await shared.call("POST", DELIVER, JSON, data=chunks())
    assert (answer.status, answer.code) == (413, "too_large")


async def test_a_large_body_is_refused_before_the_client_is_told_to_send_it(shared: Bridge) -> None:
    """Expect: 100-continue is answered with the refusal; a body that is small enough is asked for."""
    head = f"POST {DELIVER} HTTP/1.1\r\nHost: x\r\nX-API-Key: {ACME['X-API-Key']}\r\nContent-Type: application/json\r\n"
    reader, writer = await asyncio.open_connection("127.0.0.1", shared.server.port)
    writer.write(f"{head}Expect: 100-continue\r\nContent-Length: 52428800\r\n\r\n".encode())
    assert b"413" in await reader.readline()
    await closed(writer)
    reader, writer = await asyncio.open_connection("127.0.0.1", shared.server.port)
    writer.write(f"{head}Expect: 100-continue\r\nContent-Length: 2\r\n\r\n".encode())
    assert b"100" in await reader.readline()
    await reader.readline()
    writer.write(b"{}")
    assert b"202" in await reader.readline()
    await closed(writer)


async def test_a_body_that_does_not_come_is_not_waited_for_for_ever(
    shared: Bridge, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading, "BODY_TIMEOUT", 0.05)
    reader, writer = await asyncio.open_connection("127.0.0.1", shared.server.port)
    writer.write(
        f"POST {DELIVER} HTTP/1.1\r\nHost: x\r\nX-API-Key: {ACME['X-API-Key']}\r\n"
        "Content-Type: application/json\r\nContent-Length: 10\r\n\r\n{".encode()
    )
    head = await reader.readuntil(b"\r\n\r\n")
    assert b"408" in head.splitlines()[0]
    await closed(writer)


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"nonsense\r\n\r\n",
        b"BREW /v1/me HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /v1/me HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n",
        b"GET /" + b"a" * 20_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"POST /v1/me HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
async def test_what_is_not_http_is_answered_in_the_one_shape(
    shared: Bridge, request_bytes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    """400, the connection ends, and nothing of what was sent stands in the answer or in the log."""
    answer = await raw(shared, request_bytes)
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith((b"HTTP/1.1 400", b"HTTP/1.0 400"))
    assert b"application/problem+json" in head
    assert msgspec.json.decode(body)["code"] == "bad_request"
    assert b"nonsense" not in body
    assert not [record for record in caplog.records if record.levelname in {"ERROR", "WARNING"}]


@pytest.mark.parametrize("given", ["a-sane_id.1", "x" * 128])
async def test_a_sane_request_id_is_taken_over(shared: Bridge, given: str) -> None:
    for path in ("/v1/me", "/nothing"):
        answer = await shared.call("GET", path, {**OPERATOR, "X-Request-Id": given})
        assert answer.headers["X-Request-Id"] == given


@pytest.mark.parametrize("given", ["", "x" * 129, "with blank", "quote\"'", "é", "<script>"])
async def test_any_other_request_id_is_replaced(shared: Bridge, given: str) -> None:
    answer = await shared.call("GET", "/nothing", {**OPERATOR, "X-Request-Id": given})
    assert answer.headers["X-Request-Id"] != given
    assert answer.code == "no_such_route"


async def test_an_unforeseen_error_tells_nothing_but_its_request_id(
    shared: Bridge, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """500 in the one shape; what happened is in the log."""

    async def broken(*_: object, **__: object) -> None:
        raise RuntimeError("the inner life of the bridge")

    monkeypatch.setattr(shared.service, "detail", broken)
    answer = await shared.call("GET", f"{DELIVERIES}/dlv_1", ACME)
    assert (answer.status, answer.code) == (500, "internal_error")
    assert b"inner life" not in answer.body
    assert b"RuntimeError" not in answer.body
    assert "the inner life of the bridge" in caplog.text


async def test_answers_name_no_versions_and_are_kept_by_no_cache(shared: Bridge) -> None:
    for path in ("/healthz", "/v1/me", "/nothing"):
        answer = await shared.call("GET", path, OPERATOR)
        assert answer.headers["Server"] == "numora-bridge"
        assert answer.headers["Cache-Control"] == "no-store"
        assert "aiohttp" not in str(answer.headers).lower()
        assert "Access-Control-Allow-Origin" not in answer.headers


async def test_several_hundred_calls_at_once_are_all_answered(shared: Bridge) -> None:
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:

        async def once() -> int:
            async with session.get(f"{shared.server.url}/v1/tenants", headers=OPERATOR) as response:
                await response.read()
                return response.status

        assert set(await asyncio.gather(*(once() for _ in range(400)))) == {200}
