"""Who is told what happens, through the API: subscribe, list, test, resume, end; and the one call of a resume_url."""

import asyncio
import hashlib
import hmac
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from http_bridge import ACME, GLOBEX, OPERATOR, Answer, Bridge, running_bridge

from bridge.sandbox import SandboxWorld

ROOT = "/v1/tenants/acme/subscriptions"
PATIENCE = 20.0


class Receiver:
    """Takes messages, and has a test wait for them."""

    def __init__(self) -> None:
        self.received: list[tuple[Any, bytes]] = []
        self.url = ""
        self._came = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        self.received.append((request.headers, await request.read()))
        self._came.set()
        return web.Response()

    async def until(self, count: int) -> None:
        async with asyncio.timeout(PATIENCE):
            while len(self.received) < count:
                self._came.clear()
                await self._came.wait()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    found = Receiver()
    app = web.Application()
    app.router.add_post("/{path:.*}", found.handle)
    server = TestServer(app)
    await server.start_server(access_log=None)
    found.url = f"http://127.0.0.1:{server.port}"
    yield found
    await server.close()


@pytest.fixture
async def bridge(world: SandboxWorld, tmp_path: Path) -> AsyncIterator[Bridge]:
    async with running_bridge(world, tmp_path / "config", allow_hosts=("127.0.0.1",)) as started:
        yield started


async def subscribe(bridge: Bridge, url: str, **body: Any) -> Answer:
    return await bridge.call("POST", ROOT, ACME, {"url": url, **body})


async def test_a_subscription_is_made_once_for_each_url(bridge: Bridge, receiver: Receiver) -> None:
    """201, then 200 with the same one; the secret that the bridge made is shown in the first answer alone."""
    url = f"{receiver.url}/hook?flow=1"
    made = await subscribe(bridge, url)
    assert made.status == 201
    assert made.json["secret"].startswith("whsec_")
    assert (made.json["url"], made.json["types"], made.json["state"], made.json["origin"]) == (
        url,
        ["*"],
        "active",
        "api",
    )
    again = await subscribe(bridge, url)
    assert (again.status, again.json["id"]) == (200, made.json["id"])
    assert "secret" not in again.json
    listed = await bridge.call("GET", ROOT, ACME)
    assert listed.json == {"data": [again.json], "next_cursor": None}
    assert made.json["secret"].encode() not in listed.body


async def test_events_reach_a_subscriber_signed(bridge: Bridge, receiver: Receiver) -> None:
    secret = "a-secret-of-sixteen-or-more"
    await subscribe(bridge, receiver.url, secret=secret, types=["delivery.succeeded"])
    (document,) = bridge.add()
    delivered = (await bridge.deliver(document.id)).json
    await receiver.until(1)
    headers, body = receiver.received[0]
    event = msgspec.json.decode(body)
    assert (event["type"], event["data"]) == ("delivery.succeeded", delivered)
    mac = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    assert headers["X-Bridge-Signature-256"] == f"sha256={mac}"


async def test_a_test_message_goes_out_under_the_id_that_was_answered(bridge: Bridge, receiver: Receiver) -> None:
    made = (await subscribe(bridge, receiver.url)).json
    tested = await bridge.call("POST", f"{ROOT}/{made['id']}/test", ACME)
    assert (tested.status, tested.json.keys()) == (202, {"message_id"})
    await receiver.until(1)
    headers, body = receiver.received[0]
    assert headers["webhook-id"] == tested.json["message_id"]
    assert msgspec.json.decode(body)["data"] == {"tenant": "acme", "subscription_id": made["id"]}


async def test_ending_a_subscription_may_be_repeated(bridge: Bridge, receiver: Receiver) -> None:
    """204 with nothing in it, also for one that is gone or never was."""
    made = (await subscribe(bridge, receiver.url)).json
    for _ in range(2):
        ended = await bridge.call("DELETE", f"{ROOT}/{made['id']}", ACME)
        assert (ended.status, ended.body) == (204, b"")
    assert (await bridge.call("DELETE", f"{ROOT}/sub_never", ACME)).status == 204
    assert (await bridge.call("GET", ROOT, ACME)).json["data"] == []
    for end in ("test", "resume"):
        answer = await bridge.call("POST", f"{ROOT}/{made['id']}/{end}", ACME)
        assert (answer.status, answer.code) == (404, "subscription_not_found")


async def test_another_tenants_subscription_is_not_found_and_stays(bridge: Bridge, receiver: Receiver) -> None:
    made = (await subscribe(bridge, receiver.url)).json
    elsewhere = f"/v1/tenants/globex/subscriptions/{made['id']}"
    for end in ("test", "resume"):
        assert (await bridge.call("POST", f"{elsewhere}/{end}", GLOBEX)).code == "subscription_not_found"
    assert (await bridge.call("DELETE", elsewhere, GLOBEX)).status == 204
    assert [entry["id"] for entry in (await bridge.call("GET", ROOT, ACME)).json["data"]] == [made["id"]]
    assert (await bridge.call("GET", "/v1/tenants/globex/subscriptions", OPERATOR)).json["data"] == []


async def test_a_subscription_is_resumed(bridge: Bridge, receiver: Receiver) -> None:
    made = (await subscribe(bridge, receiver.url)).json
    resumed = await bridge.call("POST", f"{ROOT}/{made['id']}/resume", ACME)
    assert (resumed.status, resumed.json["state"], resumed.json["id"]) == (200, "active", made["id"])


async def test_subscriptions_are_listed_by_pages(bridge: Bridge, receiver: Receiver) -> None:
    made = [(await subscribe(bridge, f"{receiver.url}/{number}")).json["id"] for number in range(5)]
    seen: list[str] = []
    cursor = ""
    while True:
        page = (await bridge.call("GET", f"{ROOT}?limit=2{cursor}", ACME)).json
        seen += [entry["id"] for entry in page["data"]]
        if page["next_cursor"] is None:
            break
        cursor = f"&cursor={page['next_cursor']}"
    assert sorted(seen) == sorted(made)
    assert len(seen) == 5
    refused = await bridge.call("GET", f"{ROOT}?cursor=nope", ACME)
    assert (refused.status, refused.code) == (400, "bad_cursor")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"url": "http://10.0.0.1/x"}, "forbidden_url"),
        ({"url": "https://[::ffff:10.0.0.1]/"}, "forbidden_url"),
        ({"url": "https://[64:ff9b::a00:1]/"}, "forbidden_url"),
        ({"url": "https://2130706433/"}, "forbidden_url"),
        ({"url": "https://0x7f.1/"}, "forbidden_url"),
        ({"url": "ftp://n8n.example/"}, "forbidden_url"),
        ({"url": "https://n8n.example:99999/"}, "forbidden_url"),
        ({"url": "https://ok.example/", "secret": ""}, "bad_body"),
        ({"url": "https://ok.example/", "secret": "whsec_not!base64@@@@@@"}, "bad_secret"),
        ({"url": "https://ok.example/", "secret": " with blanks around it "}, "bad_secret"),
        ({"url": "https://ok.example/", "secret": "of two\nlines"}, "bad_secret"),
        ({"url": "https://ok.example/", "types": []}, "bad_body"),
        ({"url": "https://ok.example/", "types": ["delivery."]}, "bad_body"),
        ({"url": "https://ok.example/", "types": "*"}, "bad_body"),
        ({"url": ""}, "bad_body"),
        ({"url": 5}, "bad_body"),
        ({}, "bad_body"),
    ],
)
async def test_what_cannot_be_subscribed_is_a_422(bridge: Bridge, body: dict[str, Any], code: str) -> None:
    """And neither the address nor the secret that was sent stands in the answer."""
    answer = await bridge.call("POST", ROOT, ACME, body)
    assert (answer.status, answer.code) == (422, code)
    assert not body.get("secret") or body["secret"].encode() not in answer.body
    assert (await bridge.call("GET", ROOT, ACME)).json["data"] == []


async def test_a_resume_url_is_called_once_with_the_delivery(bridge: Bridge, receiver: Receiver) -> None:
    """However often the call is repeated with it; its query, where n8n keeps a signature, stays whole."""
    (document,) = bridge.add()
    url = f"{receiver.url}/webhook-waiting/1?signature=c0ffee"
    for wait in (0, 0, 30):
        answer = await bridge.deliver(document.id, wait=wait, resume_url=url)
        assert answer.status in {200, 202}
    await receiver.until(1)
    again = await bridge.deliver(document.id, wait=0, resume_url=url)
    assert again.status in {200, 202}
    (tested,) = [(await subscribe(bridge, f"{receiver.url}/after")).json]
    await bridge.call("POST", f"{ROOT}/{tested['id']}/test", ACME)
    await receiver.until(2)
    event, after = (msgspec.json.decode(body) for _, body in receiver.received)
    assert (event["data"]["document_id"], event["data"]["state"]) == (document.id, "succeeded")
    assert after["type"] == "bridge.test"
    headers, body = receiver.received[0]
    mac = hmac.new(ACME["X-API-Key"].encode(), body, hashlib.sha256).hexdigest()
    operators = hmac.new(OPERATOR["Authorization"].removeprefix("Bearer ").encode(), body, hashlib.sha256).hexdigest()
    assert headers["X-Bridge-Signature-256"] in {f"sha256={mac}", f"sha256={operators}"}
