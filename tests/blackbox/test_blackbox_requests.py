"""Broken, hostile and merely odd requests: none is a 5xx, each is told what to do, and the bridge goes on."""

import asyncio
import contextlib
from typing import Any

import msgspec

from tests.blackbox.asking import KEY, Asking, spoken
from tests.blackbox.process import Bridge
from tests.blackbox.world import World, invoice

HOURLY = {"every": "1h", "limit": 100}
ODD_IDS = (
    "...", "a%2Fb", "%2F%2F", "a%5Cb", "a%3Fb", "a%23b", "a%25b", "%E4%B8%96", "%F0%9F%98%80", "a%20b", "%20",
    "'%20OR%201=1--", "%3Cscript%3E", "a;b", "a:b@c", "a&b=c", "{id}", "$%7Bx%7D", "x" * 512, "retry", "null", "0",
)  # fmt: skip
IMPOSSIBLE_IDS = (
    "..",
    ".",
    "%2e%2e",
    "%2E",
    ".%2e",
    "%00",
    "a%0Ab",
    "%FF",
    "%C3%28",
    "%ED%A0%80",
    "x" * 513,
    "x" * 7000,
    "%7F",
)

HANDED_ON = {"createDestination", "putSourceMapping"}
"""What takes any object."""

STRANGE: dict[str, bytes] = {
    "nothing of JSON": b"wait=1",
    "half": b'{"wait": 1',
    "a list": b"[]",
    "a text": b'"x"',
    "null": b"null",
    "true": b"true",
    "a number": b"1",
    "NaN": b'{"wait": NaN}',
    "Infinity": b'{"wait": Infinity}',
    "minus Infinity": b'{"wait": -Infinity}',
    "1e400": b'{"wait": 1e400}',
    "1e999999999": b'{"wait": 1e999999999}',
    "minus 1e400": b'{"wait": -1e400}',
    "a huge integer": b'{"wait": ' + b"9" * 5000 + b"}",
    "a huger integer": b'{"wait": ' + b"9" * 900_000 + b"}",
    "negative": b'{"wait": -1}',
    "too long": b'{"wait": 60.0001}',
    "a word": b'{"wait": "1"}',
    "a boolean": b'{"wait": true}',
    "nothing": b'{"wait": null}',
    "an unknown key": b'{"wiat": 1}',
    "a prototype": b'{"__proto__": {"a": 1}}',
    "a lone surrogate": b'{"resume_url": "\\ud800"}',
    "a lone surrogate as a key": b'{"\\udfff": 1}',
    "NUL": b'{"resume_url": "https://x.example/\\u0000"}',
    "NUL as it is": b'{"resume_url": "\x00"}',
    "NUL as a key": b'{"\\u0000": 1}',
    "not UTF-8": b'{"resume_url": "\xff"}',
    "UTF-16": '{"wait": 1}'.encode("utf-16"),
    "a mark of order": b"\xef\xbb\xbf{}",
    "deep lists": b"[" * 100_000 + b"]" * 100_000,
    "deep objects": b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
    "deep inside": b'{"wait": ' + b"[" * 2000 + b"]" * 2000 + b"}",
    "ten thousand keys": b"{" + b",".join(b'"k%d":1' % n for n in range(10_000)) + b"}",
    "a key of a megabyte": b'{"' + b"k" * 1_000_000 + b'": 1}',
    "two documents": b"{}{}",
    "comments": b"{} // x",
}


def paths(name: str) -> list[tuple[str, str]]:
    root = "/v1/tenants/acme"
    return [
        ("GET", f"{root}/deliveries/{name}"),
        ("GET", f"{root}/deliveries?document_id={name}"),
        ("GET", f"{root}/deliveries?cursor={name}"),
        ("POST", f"{root}/deliveries/{name}/retry"),
        ("GET", f"{root}/documents/{name}"),
        ("POST", f"{root}/documents/{name}/deliver"),
        ("POST", f"{root}/documents/{name}/preview"),
        ("POST", f"{root}/documents/{name}/approve"),
        ("POST", f"{root}/documents/{name}/reject"),
        ("POST", f"{root}/documents/{name}/retry-push"),
        ("POST", f"{root}/documents/{name}/dispatch"),
        ("GET", f"{root}/reviews/{name}"),
        ("DELETE", f"{root}/subscriptions/{name}"),
        ("POST", f"{root}/subscriptions/{name}/test"),
        ("POST", f"{root}/numora/destinations/{name}/test"),
        ("GET", f"{root}/numora/mappings/{name}/{name}"),
        ("GET", f"{root}/numora/runs/{name}"),
        ("GET", f"{root}/numora/runs/{name}/logs"),
        ("GET", f"/v1/tenants/{name}/deliveries"),
        ("GET", f"/docs/{name}"),
        ("GET", f"/{name}"),
    ]


async def test_no_id_is_a_5xx_and_none_leads_to_another_path_at_numora(made: World) -> None:
    """Encoded slashes, dots, control characters, endless ids: told as 4xx, or asked for as the one id that they are."""
    await made.add_tenant(poll=HOURLY)
    await made.start()
    async with Asking(made.bridge) as api:
        for name in ODD_IDS:
            for reply in await api.all(*(api.ask(method, path) for method, path in paths(name))):
                assert reply.status < 500, (name, reply)
        for name in IMPOSSIBLE_IDS:
            for (method, path), reply in zip(
                paths(name), await api.all(*(api.ask(method, path) for method, path in paths(name))), strict=True
            ):
                assert 400 <= reply.status < 500 or ("?" in path and reply.json["data"] == []), (
                    method,
                    path[:80],
                    reply,
                )
    known = {"documents", "schemas", "destinations", "mappings", "workflows", "runs", "delivery"}
    for seen in made.numora.requests:
        parts = seen.raw_path.split("/")
        assert parts[1] == "v1", seen
        assert parts[2] in known, seen
        assert len(parts) <= 6, seen
        assert not {".", "..", "%2e", "%2e%2e", ""} & {part.lower() for part in parts[1:]}, seen
        assert "\x00" not in seen.path


async def test_every_method_on_every_path_is_answered(made: World) -> None:
    """What a path does not take is 405 with Allow; HEAD goes where GET goes, without a body."""
    await made.add_tenant(poll=HOURLY)
    await made.start()
    async with Asking(made.bridge) as api:
        assert api.contract is not None
        for template, operations in api.contract.description["paths"].items():
            path = api.contract.filled(template, tenant="acme", hook="numora")
            methods = ("HEAD", "OPTIONS", "PUT", "PATCH", "DELETE", "GET", "POST", "TRACE", "PROPFIND", "get", "X" * 30)
            for method in methods:
                if method.lower() in operations or (method == "HEAD" and "get" in operations):
                    continue
                reply = await api.ask(method, path)
                assert reply.status in {404, 405, 400}, (method, path, reply)
                if reply.status == 405:
                    assert {one.strip().lower() for one in reply.headers["Allow"].split(",")} >= set(operations)
            if "get" in operations:
                head, get = await api.ask("HEAD", path), await api.ask("GET", path)
                assert (head.status, head.raw) == (get.status, b""), path


async def test_no_body_is_a_5xx(made: World) -> None:
    """Wrong types, numbers that no one can hold, deep nesting, odd encodings and media types: 4xx that says what."""
    await made.add_tenant(poll=HOURLY)
    made.numora.add(made.acme.numora_key, invoice(1))
    await made.start()
    json = {"Content-Type": "application/json"}
    async with Asking(made.bridge) as api:
        assert api.contract is not None
        takers = [
            (method.upper(), api.contract.filled(path, tenant="acme", document="doc_acme_0001"))
            for path, operations in api.contract.description["paths"].items()
            for method, operation in operations.items()
            if "requestBody" in operation and path.startswith("/v1") and operation["operationId"] not in HANDED_ON
        ]
        assert len(takers) >= 15
        for case, raw in STRANGE.items():
            for method, path in takers if len(raw) < 10_000 else takers[:6]:
                reply = await api.ask(method, path, raw=raw, headers=json)
                assert 400 <= reply.status < 500, (case, method, path, reply)
                assert len(reply.raw) < 40_000, case
        for media in (
            "text/plain",
            "application/xml",
            "multipart/form-data; boundary=x",
            "x",
            "/",
            ";",
            "application/",
        ):
            for method, path in takers:
                reply = await api.ask(method, path, raw=b"{}", headers={"Content-Type": media})
                assert reply.status == 415, (media, path, reply)
        for headers in ({"Content-Encoding": "gzip"}, {"Content-Encoding": "br"}):
            reply = await api.ask("POST", takers[0][1], raw=b"{}", headers=json | headers)
            assert reply.status == 415
        deep: Any = "x"
        for _ in range(60):
            deep = {"a": deep}
        for value in (deep, 10**400, {"n": 2**70}, ["\u0000"], "x" * 600_000):
            submit = {
                "schema": "invoice_v2",
                "file_url": "https://x.example/a.pdf",
                "external_id": "1",
                "metadata": value,
            }
            reply = await api.ask("POST", "/v1/tenants/acme/documents", raw=_written(submit), headers=json)
            assert reply.status < 500, reply
        twice = await api.ask(
            "POST", "/v1/tenants/acme/documents/doc_acme_0001/deliver", raw=b'{"wait":0,"wait":61}', headers=json
        )
        assert twice.status in {200, 202, 400, 422}
        for key in ("", " ", "a b", "ü", "x" * 256):
            reply_ = await api.ask(
                "POST", "/v1/tenants/acme/documents/doc_acme_0001/approve", {}, headers={"Idempotency-Key": key}
            )
            assert reply_.status < 500
    assert (await made.bridge.call("GET", "/healthz"))[0] == 200
    assert "Traceback" not in made.bridge.log.read_text(), made.bridge.log.read_text()[-6000:]


def _written(value: Any) -> bytes:
    import json  # noqa: PLC0415 - integers of any size, which msgspec does not write

    return json.dumps(value).encode()


async def test_queries_are_held_like_bodies(made: World) -> None:
    await made.add_tenant(poll=HOURLY)
    await made.start()
    root = "/v1/tenants/acme"
    async with Asking(made.bridge) as api:
        for query in (
            "limit=0", "limit=-1", "limit=201", "limit=1e2", "limit=1.0", "limit=%20", "limit=٣", "limit=1&limit=2",
            "limit=" + "9" * 4000, "cursor=x", "cursor=%00", "cursor=%FF", "cursor=" + "A" * 6000, "cursor=Li4vLi4v",
            "state=nope", "state=failed,", "state=,", "state=failed&state=nope", "state[]=failed", "stat=failed",
            "document_id=%00", "document_id=" + "x" * 5000, "error_code=%ED%A0%80", "=", "&&&", "%", "%zz", "a=b=c",
        ):  # fmt: skip
            for path in (
                f"{root}/deliveries",
                f"{root}/subscriptions",
                f"{root}/numora/runs/1/logs",
                "/healthz",
                "/v1/me",
            ):
                reply = await api.ask("GET", f"{path}?{query}")
                assert reply.status < 500, (path, query[:60], reply)
        assert (await api.ask("GET", f"{root}/deliveries?limit=0")).code == "bad_query"
        assert (await api.ask("GET", f"{root}/deliveries?cursor=x")).code == "bad_cursor"
        assert (await api.ask("GET", f"{root}/deliveries?stat=failed")).json["errors"][0]["name"] == "stat"


def head(bridge: Bridge, path: str, *lines: str) -> bytes:
    more = "".join(f"{line}\r\n" for line in lines)
    return (
        f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1:{bridge.port}\r\nAuthorization: Bearer {KEY}\r\n{more}\r\n".encode()
    )


async def test_fifty_megabytes_are_refused_at_once_and_dripping_bodies_hold_up_nobody(made: World) -> None:
    """413 before the body is read, plain or chunked; a hundred slow senders leave the others quick."""
    await made.add_tenant(poll=HOURLY)
    await made.start()
    path = "/v1/tenants/acme/documents/d/deliver"
    huge = 50 * 1024 * 1024
    json, close = "Content-Type: application/json", "Connection: close"
    whole = b"x" * huge
    for target in (path, "/hooks/acme/numora", "/hooks/nobody/numora", "/v1/tenants/nobody/documents"):
        said = await spoken(made.bridge, head(made.bridge, target, json, close, f"Content-Length: {huge}"), whole)
        assert said.split(b" ")[1] in {b"413", b"404"}, (target, said[:200])
    said = await spoken(made.bridge, head(made.bridge, path, json, f"Content-Length: {huge}", "Expect: 100-continue"))
    assert said.split(b" ")[1] == b"413", said[:200]
    said = await spoken(made.bridge, head(made.bridge, path, json, f"Content-Length: {10**30}"), b"x")
    assert said.split(b" ")[1] in {b"413", b"400"}, said[:200]
    slow = [asyncio.create_task(_drip(made.bridge, path)) for _ in range(100)]
    try:
        async with Asking(made.bridge) as api:
            for _ in range(5):
                assert (await api.ask("GET", "/v1/tenants/acme/deliveries")).status == 200
                assert (await api.ask("GET", "/healthz", key=None)).status == 200
    finally:
        for task in slow:
            task.cancel()
        await asyncio.gather(*slow, return_exceptions=True)
    for broken in (
        b"\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00",
        b"GET / HTTP/1.1\r\nA\r\n\r\n",
        b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
        b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
        b"POST /healthz HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        head(made.bridge, path, json, "Transfer-Encoding: chunked") + b"zz\r\n",
        head(made.bridge, path, json, "Transfer-Encoding: chunked") + b"1\r\n{\r\nzz\r\n",
        head(made.bridge, "/hooks/acme/numora", "Transfer-Encoding: chunked") + b"2\r\n{}x\r\n",
        b"GET /" + b"a" * 100_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /healthz HTTP/1.1\r\nHost: x\r\nX: " + b"a" * 100_000 + b"\r\n\r\n",
        b"GET http://127.0.0.1:1/healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"CONNECT x:443 HTTP/1.1\r\nHost: x\r\n\r\n",
    ):  # fmt: skip
        with contextlib.suppress(TimeoutError):
            said = await spoken(made.bridge, broken, patience=0.2)
            assert not said or said.split(b" ")[1][:1] in {b"2", b"4"}, (broken[:60], said[:200])
    assert (await made.bridge.call("GET", "/healthz"))[0] == 200
    assert "Traceback" not in made.bridge.log.read_text(), made.bridge.log.read_text()[-6000:]


async def _drip(bridge: Bridge, path: str) -> None:
    start = head(bridge, path, "Content-Type: application/json", "Content-Length: 1000")
    await spoken(bridge, start, *[b" "] * 1000, pause=0.05)


async def test_answers_carry_nothing_of_what_was_sent_but_names(made: World) -> None:
    """A secret put into the wrong place is not thrown back, and not logged."""
    await made.add_tenant(poll=HOURLY)
    await made.start()
    async with Asking(made.bridge) as api:
        for body in (
            {"secret": 7, "url": "p4ssword-in-a-url"},
            {"url": {"p4ssword": "p4ssword"}},
            {"secret": ["p4ssword"]},
        ):
            reply = await api.ask("POST", "/v1/tenants/acme/subscriptions", body)
            assert reply.status == 422
            assert "p4ssword-in" not in reply.raw.decode()
        nothing = msgspec.json.encode({"secret": "p4ssword-of-hooks"})
        await api.ask(
            "POST", "/hooks/acme/numora", key=None, raw=nothing, headers={"X-Numora-Secret": "p4ssword-of-hooks"}
        )
    assert "p4ssword" not in made.bridge.log.read_text()
