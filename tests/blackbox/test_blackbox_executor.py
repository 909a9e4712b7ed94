"""Route mode: Numora's executor calls, the bridge reads, writes and reports, once for all calls about one document."""

import hashlib
import hmac
import random
from typing import Any

import msgspec
import pytest

from tests.blackbox.asking import Asking, Reply
from tests.blackbox.imitations.numora import Doc
from tests.blackbox.world import World, invoice, plain_lines

SECRET = "executor-secret-äß"
PATH = "/hooks/acme/executor"

AUTH: dict[str, dict[str, str]] = {
    "header": {"kind": "header", "header": "X-Numora-Secret", "secret": "${ACME_EXECUTOR_SECRET}"},
    "bearer": {"kind": "bearer", "secret": "${ACME_EXECUTOR_SECRET}"},
    "hmac": {"kind": "hmac", "header": "X-Numora-Signature", "secret": "${ACME_EXECUTOR_SECRET}"},
}


async def start(made: World, auth: str = "header", secret: str = SECRET, **notify: Any) -> None:
    acme = await made.add_tenant(trigger="route", notify={"document_id": "document_id", "auth": AUTH[auth], **notify})
    acme.variables["ACME_EXECUTOR_SECRET"] = secret
    await made.start()


def add(made: World, number: int = 1, **more: Any) -> Doc:
    more.setdefault("status", "push_pending")
    return plain_lines(made.numora.add(made.acme.numora_key, invoice(number, **more)))


def proof(kind: str, body: bytes, secret: str) -> list[dict[str, str]]:
    """Return every way in which the right secret may be shown."""
    digest = hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()
    return {
        "header": [{"X-Numora-Secret": secret}, {"x-numora-secret": secret}],
        "bearer": [{"Authorization": f"Bearer {secret}"}, {"authorization": f"bearer {secret}"}],
        "hmac": [{"X-Numora-Signature": digest}, {"X-Numora-Signature": f"sha256={digest.upper()}"}],
    }[kind]


async def send(api: Asking, value: Any, headers: dict[str, str] | None = None) -> Reply:
    headers = {"X-Numora-Secret": SECRET} if headers is None else headers
    raw = value if isinstance(value, bytes) else msgspec.json.encode(value)
    return await api.ask("POST", PATH, key=None, raw=raw, headers=headers)


@pytest.mark.parametrize("kind", AUTH)
async def test_only_whoever_knows_the_secret_is_let_in(made: World, kind: str) -> None:
    """By header, bearer or HMAC; an API key of the bridge is no executor's secret."""
    secret = "executor secret"
    await start(made, kind, secret)
    doc = add(made)
    body = msgspec.json.encode({"document_id": doc.id})
    wrong: list[dict[str, str]] = [
        {},
        *proof(kind, body, secret + "x"),
        *proof(kind, body, ""),
        *proof(kind, body, "${ACME_EXECUTOR_SECRET}"),
        *proof(kind, body + b" ", secret)[: 1 if kind == "hmac" else 0],
        {"Authorization": f"Bearer {made.acme.api_key}"},
        {"Authorization": "Bearer operator-key"},
        {"X-API-Key": "operator-key"},
        {"Authorization": f"Basic {secret}"},
        *[proof(other, body, secret)[0] for other in AUTH if other != kind],
    ]
    async with Asking(made.bridge) as api:
        for headers in wrong:
            refused = await send(api, body, headers)
            assert (refused.status, refused.code) == (401, "hook_refused"), headers
            assert secret not in refused.raw.decode()
        assert await made.bridge.deliveries() == []
        for headers in proof(kind, body, secret):
            assert (await send(api, body, headers)).status == 202
        await made.until(lambda: doc.status == "push_succeeded")
        other = await api.ask(
            "POST", "/hooks/globex/executor", key=None, raw=body, headers=proof(kind, body, secret)[0]
        )
        assert other.code == "hook_not_found"
    made.written_once(made.acme, [doc])
    made.no_secret_was_written(secret)


async def test_a_document_that_is_notified_again_and_again_is_written_and_reported_once(made: World) -> None:
    """Three hundred calls at once for twenty documents: one row, one callback each."""
    await start(made)
    docs = [add(made, number) for number in range(20)]
    async with Asking(made.bridge) as api:
        replies = await api.all(*(send(api, {"document_id": docs[n % 20].id, "attempt": n}) for n in range(300)))
        assert {one.status for one in replies} == {202}
        await made.until(lambda: made.finished(made.acme))
        replies = await api.all(*(send(api, {"document_id": doc.id}) for doc in docs))
        assert {one.status for one in replies} == {202}

        async def at_rest() -> bool:
            return {one["state"] for one in await made.bridge.deliveries()} == {"succeeded"}

        await made.until_told(at_rest)
    made.written_once(made.acme, docs)
    assert await made.bridge.stop() == 0
    made.holds()
    made.no_secret_was_written()
    assert not made.numora.sent("GET", "/outbox")


async def test_killed_again_and_again_every_document_is_written_and_reported_once(made: World) -> None:
    """Whatever was answered 202 is delivered, although the process dies and Numora calls again."""
    await start(made)
    made.acme.dataverse.latency = made.numora.latency = 0.02
    docs = [add(made, number) for number in range(24)]
    chance = random.Random(5)
    async with Asking(made.bridge) as api:
        for _ in range(4):
            await api.all(*(send(api, {"document_id": doc.id}) for doc in chance.sample(docs, 12)))
            seen = len(made.acme.dataverse.requests) + chance.randint(1, 12)
            await made.until(
                lambda seen=seen: len(made.acme.dataverse.requests) >= seen or made.finished(made.acme)  # type: ignore[misc]
            )
            await made.bridge.kill()
            await made.bridge.start()
        await api.all(*(send(api, {"document_id": doc.id}) for doc in docs))
        await made.until(lambda: made.finished(made.acme))
    made.written_once(made.acme, docs)
    assert await made.bridge.stop() == 0
    made.holds()


async def test_the_body_is_read_where_the_file_says(made: World) -> None:
    """A nested path, an event's id that tells repeats apart, and bodies in which there is no document."""
    await start(made, document_id="data.documents[0].id", event_id="attempt_id")
    doc = add(made)
    async with Asking(made.bridge) as api:
        for body in (
            b"",
            b"[]",
            b"nonsense",
            b'{"data":{"documents":[]}}',
            b'{"data":{"documents":[{"id":7}]}}',
            b'{"data":{"documents":[{"id":"a\\nb"}]}}',
            b'{"data":{"documents":[{"id":"d"}]},"attempt_id":{}}',
            b'{"a":' * 5000,
            b'{"n":1e999999999999,"data":{"documents":[{"id":""}]}}',
        ):
            reply = await send(api, body)
            assert (reply.status, reply.code) == (422, "hook_unreadable"), body[:60]
        told = {"attempt_id": 41, "data": {"documents": [{"id": doc.id}]}}
        assert (await send(api, told)).json == {"accepted": True, "repeated": False}
        assert (await send(api, told)).json == {"accepted": True, "repeated": True}
        assert (await send(api, {**told, "attempt_id": 42})).json == {"accepted": True, "repeated": False}
        await made.until(lambda: doc.status == "push_succeeded")
        unknown = {"data": {"documents": [{"id": "doc/../../../v1/schemas?x=1#y"}]}}
        assert (await send(api, unknown)).status == 202

        async def superseded() -> bool:
            return bool(await made.bridge.deliveries(query="&state=superseded"))

        await made.until_told(superseded)
    assert not [seen for seen in made.numora.requests if "schemas" in seen.raw_path and "%2F" not in seen.raw_path]
    made.written_once(made.acme, [doc])
