"""Numora's webhooks: what is forged, stale or repeated has no effect; what is genuine has one."""

import base64
import hashlib
import hmac
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from tests.blackbox.asking import Asking, Reply, spoken
from tests.blackbox.imitations.numora import Doc
from tests.blackbox.world import World, invoice, plain_lines

SECRET = "whsec of acme, with ünicode"
PATH = "/hooks/acme/numora"


async def start(made: World, **more: Any) -> None:
    acme = await made.add_tenant(
        trigger="route", webhook_secret="${ACME_WEBHOOK_SECRET}", sweep={"every": "1s", "lookback": "1h"}, **more
    )
    acme.variables["ACME_WEBHOOK_SECRET"] = SECRET
    await made.start()


def add(made: World, number: int = 1, **more: Any) -> Doc:
    return plain_lines(made.numora.add(made.acme.numora_key, invoice(number, **more)))


def event(document: str, type_: str = "document.reviewed", id: str = "evt_1", **more: Any) -> bytes:
    data = {"document_id": document, "schema": "invoice_v2", "status": "reviewed"}
    told = {"id": id, "type": type_, "created_at": "2026-03-21T14:24:11Z", "data": data, **more}
    return msgspec.json.encode(told)


def iso(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%SZ}"


def mac(secret: str, text: bytes) -> str:
    return hmac.new(secret.encode(), text, hashlib.sha256).hexdigest()


def signed(body: bytes, *, secret: str = SECRET, at: float | None = None, id: str = "evt_1") -> dict[str, str]:
    t = iso(time.time() if at is None else at)
    return {
        "Content-Type": "application/json",
        "X-Numora-Webhook-Id": id,
        "X-Numora-Webhook-Timestamp": t,
        "X-Numora-Webhook-Signature": f"t={t},v1={mac(secret, f'{t}.'.encode() + body)}",
    }


async def send(api: Asking, body: bytes, headers: Mapping[str, str] | None = None) -> Reply:
    return await api.ask("POST", PATH, key=None, raw=body, headers=signed(body) if headers is None else headers)


async def test_what_is_genuine_is_taken_once_and_delivered(made: World) -> None:
    """202 when it is in the ledger; the same event again is a repeat, and so are a hundred at once."""
    await start(made)
    doc = add(made)
    body = event(doc.id)
    async with Asking(made.bridge) as api:
        first = await send(api, body)
        assert (first.status, first.json) == (202, {"accepted": True, "repeated": False})
        again = await api.all(*(send(api, body) for _ in range(100)))
        assert {(one.status, one.json["repeated"]) for one in again} == {(202, True)}
        await made.until(lambda: doc.status == "push_succeeded")
        late = await send(api, body)
        assert (late.status, late.json["repeated"]) == (202, True)
    made.written_once(made.acme, [doc])
    assert len(await made.bridge.deliveries()) == 1
    assert await made.bridge.stop() == 0
    made.holds()
    made.no_secret_was_written()


async def test_a_repeat_with_other_bytes_has_no_effect(made: World) -> None:
    """An event's id is taken once: another document under the same id is not delivered."""
    await start(made)
    doc, other = add(made, 1), add(made, 2)
    async with Asking(made.bridge) as api:
        assert (await send(api, event(doc.id))).status == 202
        reply = await send(api, event(other.id))
        assert reply.status in {202, 409, 422}
        if reply.status == 202:
            assert reply.json["repeated"] is True
        await made.until(lambda: doc.status == "push_succeeded")
        assert (await made.bridge.delivery(other.id)) == {}


def changed(headers: Mapping[str, str], **more: str) -> dict[str, str]:
    names = {"id": "X-Numora-Webhook-Id", "t": "X-Numora-Webhook-Timestamp", "signature": "X-Numora-Webhook-Signature"}
    return {**headers, **{names[name]: value for name, value in more.items()}}


async def test_what_is_forged_is_refused_alike(made: World) -> None:
    """Missing, wrong, stale, early, altered by a byte, signed by another secret: 401, nothing told, nothing done."""
    await start(made)
    doc = add(made)
    body = event(doc.id)
    now = time.time()
    good = signed(body)
    t = good["X-Numora-Webhook-Timestamp"]
    v1 = mac(SECRET, f"{t}.".encode() + body)
    bare = {name: value for name, value in good.items() if name == "Content-Type"}
    cases: dict[str, tuple[bytes, Mapping[str, str]]] = {
        "nothing": (body, bare),
        "no signature": (body, {k: v for k, v in good.items() if not k.endswith("Signature")}),
        "no timestamp": (body, {k: v for k, v in good.items() if not k.endswith("Timestamp")}),
        "an empty signature": (body, changed(good, signature="")),
        "only a time": (body, changed(good, signature=f"t={t}")),
        "only a mac": (body, changed(good, signature=f"v1={v1}")),
        "an empty mac": (body, changed(good, signature=f"t={t},v1=")),
        "a mac of zeroes": (body, changed(good, signature=f"t={t},v1={'0' * 64}")),
        "half a mac": (body, changed(good, signature=f"t={t},v1={v1[:32]}")),
        "a mac and more": (body, changed(good, signature=f"t={t},v1={v1}00")),
        "another version": (body, changed(good, signature=f"t={t},v0={v1}")),
        "upper-case names": (body, changed(good, signature=f"T={t},V1={v1}")),
        "two times": (body, changed(good, signature=f"t={t},t={t},v1={v1}")),
        "another secret": (body, signed(body, secret="webhook-secret")),
        "an empty secret": (body, signed(body, secret="")),
        "the name of the secret": (body, signed(body, secret="${ACME_WEBHOOK_SECRET}")),
        "old": (body, signed(body, at=now - 400)),
        "of the future": (body, signed(body, at=now + 400)),
        "of 1970": (body, signed(body, at=0)),
        "an old time under a new one": (body, changed(signed(body, at=now - 4000), t=t)),
        "a new signature time over an old mac": (
            body,
            changed(good, signature=f"t={t},v1={mac(SECRET, iso(now - 4000).encode() + b'.' + body)}"),
        ),
        "a time that is none": (body, changed(good, t="yesterday", signature=f"t=yesterday,v1={v1}")),
        "a byte more": (body + b" ", good),
        "a byte less": (body[:-1], good),
        "a bit turned": (bytes([body[0], body[1] ^ 1]) + body[2:], good),
        "another document": (body.replace(b"0001", b"0002"), good),
        "the body alone signed": (body, changed(good, signature=f"t={t},v1={mac(SECRET, body)}")),
        "sha1": (
            body,
            changed(good, signature=f"t={t},v1={hmac.new(SECRET.encode(), body, hashlib.sha1).hexdigest()}"),
        ),
        "another id in the header": (body, changed(good, id="evt_2")),
        "a thousand macs": (body, changed(good, signature=f"t={t}," + ",".join(f"v1={'0' * 64}" for _ in range(50)))),
    }
    async with Asking(made.bridge) as api:
        for case, (raw, headers) in cases.items():
            refused = await send(api, raw, headers)
            assert (refused.status, refused.code) == (401, "hook_refused"), (case, refused)
            assert SECRET not in refused.raw.decode()
            assert v1 not in refused.raw.decode()
        assert await made.bridge.deliveries() == []
        assert (await send(api, body, good)).json["repeated"] is False
        await made.until(lambda: doc.status == "push_succeeded")
    made.no_secret_was_written()


async def test_signatures_are_read_in_every_form_that_numora_may_mean(made: World) -> None:
    """One of several v1, upper-case hex, base64, other header cases, a time in seconds, blanks between the parts."""
    await start(made)
    async with Asking(made.bridge) as api:
        for number, form in enumerate(
            ("{v1}", "{upper}", "{b64}", "{bad},v1={v1}", "{v1},v1={bad}", "{v1},v2=x", "epoch")
        ):
            body = event(add(made, number).id, id=f"evt_{number}")
            t = str(int(time.time())) if form == "epoch" else iso(time.time())
            digest = mac(SECRET, f"{t}.".encode() + body)
            b64 = base64.b64encode(bytes.fromhex(digest)).decode()
            value = (form if form != "epoch" else "{v1}").format(v1=digest, upper=digest.upper(), b64=b64, bad="a" * 64)
            headers = {
                "x-numora-webhook-id": f"evt_{number}",
                "X-NUMORA-WEBHOOK-TIMESTAMP": t,
                "X-Numora-Webhook-Signature": f"t={t}, v1={value}",
            }
            reply = await send(api, body, headers)
            assert (reply.status, reply.json) == (202, {"accepted": True, "repeated": False}), (form, reply)
        await made.until(lambda: made.finished(made.acme))


async def test_genuine_calls_that_cannot_be_understood_are_told_so_and_those_of_other_types_kept(made: World) -> None:
    await start(made)
    async with Asking(made.bridge) as api:
        for number, body in enumerate(
            (
                b"",
                b"null",
                b"[]",
                b"{",
                b"\xff\xfe",
                b"[" * 100_000,
                b'{"id":"evt_1","type":"document.reviewed"}',
                b'{"id":"evt_1","type":"document.reviewed","data":null}',
                b'{"id":"evt_1","type":"document.reviewed","data":{"document_id":""}}',
                b'{"id":"evt_1","type":"document.reviewed","data":{"document_id":7}}',
                b'{"id":"evt_1","type":"document.reviewed","data":{"document_id":"a\\u0000b"}}',
                b'{"id":"evt_1","type":"document.reviewed","data":{"document_id":"\\ud800"}}',
                b'{"id":"evt_1","type":7,"data":{}}',
                b'{"id":{},"type":"x","data":{}}',
                event("x" * 5000),
            )
        ):
            reply = await send(api, body, signed(body, id="evt_1"))
            assert (reply.status, reply.code) == (422, "hook_unreadable"), (number, body[:80], reply)
        for number, type_ in enumerate(("push.failed", "run.failed", "document.processing", "of.next.year", "ünknown")):
            body = event("doc_1", type_, id=f"evt_k{number}", new={"deep": [1e5, None]})
            reply = await send(api, body, signed(body, id=f"evt_k{number}"))
            assert reply.status == 202, reply
        assert await made.bridge.deliveries() == []
        metrics = (await api.ask("GET", "/metrics")).raw.decode()
        assert "push.failed" in metrics or "hook" in metrics


async def test_reviewed_and_review_required_may_come_in_any_order(made: World) -> None:
    """What counts is the document as it is at Numora: reviewed in the end, it is delivered; in review, it is not."""
    await start(made)
    last = add(made, 1)
    back = add(made, 2)
    back.status = "review_required"
    async with Asking(made.bridge) as api:
        for number, doc in enumerate((last, back)):
            bodies = [
                event(doc.id, type_, id=f"evt_{number}_{index}")
                for index, type_ in enumerate(("document.reviewed", "document.review_required") * 2)
            ]
            replies = await api.all(
                *(send(api, body, signed(body, id=msgspec.json.decode(body)["id"])) for body in reversed(bodies))
            )
            assert {one.status for one in replies} == {202}
        await made.until(lambda: last.status == "push_succeeded")

        async def at_rest() -> bool:
            return (await made.bridge.delivery(back.id)).get("state") == "superseded"

        await made.until_told(at_rest)
        made.numora.review_again(back)
        body = event(back.id, id="evt_9")
        assert (await send(api, body, signed(body, id="evt_9"))).status == 202
        await made.until(lambda: back.status == "push_succeeded")
    made.written_once(made.acme, [last, back])
    made.holds()


async def test_a_call_that_came_too_early_is_made_good_by_the_sweep(made: World) -> None:
    """Notified before it was reviewed: nothing is delivered then, and nobody has to call again."""
    await start(made)
    doc = add(made, status="review_required")
    async with Asking(made.bridge) as api:
        assert (await send(api, event(doc.id))).status == 202

        async def superseded() -> bool:
            return (await made.bridge.delivery(doc.id)).get("state") == "superseded"

        await made.until_told(superseded)
        made.numora.review_again(doc)
        await made.until(lambda: doc.status == "push_succeeded")
    made.written_once(made.acme, [doc])


async def test_large_and_doubled_calls_are_bounded(made: World) -> None:
    """A body beyond the bound is 413 before it is whole; a header that stands twice is refused."""
    await start(made)
    head = f"POST {PATH} HTTP/1.1\r\nHost: x\r\n"
    huge = 50 * 1024 * 1024
    piece = b"10000\r\n" + b"x" * 65536 + b"\r\n"
    for line, pieces in ((f"Content-Length: {huge}", [b"x" * 70_000]), ("Transfer-Encoding: chunked", [piece] * 200)):
        said = await spoken(made.bridge, f"{head}{line}\r\n\r\n".encode(), *pieces, answered=True)
        assert b" 413 " in said.partition(b"\r\n")[0], said[:300]
        assert b"too_large" in said
    body = event("doc_1")
    doubled = "".join(f"{name}: {value}\r\n" for name, value in (*signed(body).items(), *signed(body).items()))
    said = await spoken(
        made.bridge, f"{head}{doubled}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body
    )
    assert b" 401 " in said.partition(b"\r\n")[0] or b" 400 " in said.partition(b"\r\n")[0], said[:300]
    whole = event(add(made).id)
    lines = "".join(f"{name}: {value}\r\n" for name, value in signed(whole).items())
    chunks = b"".join(b"1\r\n" + whole[at : at + 1] + b"\r\n" for at in range(len(whole))) + b"0\r\n\r\n"
    said = await spoken(
        made.bridge, f"{head}{lines}Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n".encode() + chunks
    )
    assert b" 202 " in said.partition(b"\r\n")[0], said[:300]
    await made.until(lambda: made.finished(made.acme))


async def test_killed_right_after_its_202_a_call_is_not_lost(made: World) -> None:
    await start(made)
    async with Asking(made.bridge) as api:
        for number in range(3):
            doc = add(made, number)
            body = event(doc.id, id=f"evt_{number}")
            assert (await send(api, body, signed(body, id=f"evt_{number}"))).status == 202
            await made.bridge.kill()
            await made.bridge.start()
            again = await send(api, body, signed(body, id=f"evt_{number}"))
            assert (again.status, again.json["repeated"]) == (202, True)
        await made.until(lambda: made.finished(made.acme))
    made.written_once(made.acme, list(made.numora.customer(made.acme.numora_key).values()))
    made.holds()
