"""Whatever the other side says, the answers of the bridge keep their shape, their digits and their secrets."""

from typing import Any

from tests.blackbox.asking import Asking
from tests.blackbox.imitations.receiver import verify
from tests.blackbox.imitations.wire import Seen, answer
from tests.blackbox.world import World, invoice, plain_lines

HOURLY = {"every": "1h", "limit": 100}
DOCUMENT = "/v1/tenants/acme/documents/doc_acme_0001"

ODD: dict[str, bytes] = {
    "nothing": b"",
    "null": b"null",
    "a list": b"[]",
    "an empty object": b"{}",
    "other types": b'{"id":7,"schema":[],"status":{},"external_id":{},"metadata":[],"created_at":1,"updated_at":2.5,'
    b'"review_state":"x","duplicate_of":{"id":1}}',
    "another document": b'{"id":"doc_other","status":"reviewed","updated_at":"2026-01-01T00:00:00.000Z"}',
    "unknown status and keys": b'{"id":"doc_acme_0001","status":"of_next_year","new":{"a":[1]},"updated_at":null}',
    "digits": b'{"id":"doc_acme_0001","status":"reviewed","metadata":{"n":12345678901234567890.123456789,"e":1e400}}',
    "numbers that none can hold": b'{"id":"doc_acme_0001","status":"reviewed","metadata":{"n":1e999999999999}}',
    "half": b'{"id":"doc_acme_0001","sta',
    "a surrogate": b'{"id":"doc_acme_0001","status":"\\ud800"}',
    "not UTF-8": b'{"id":"doc_acme_0001","status":"\xff"}',
    "deep": b'{"id":"doc_acme_0001","metadata":' + b"[" * 3000 + b"]" * 3000 + b"}",
    "HTML": b"<html>no</html>",
    "a quoted key": b'{"error":{"code":"x","message":"your key sk_live_acme is not good for this","request_id":"r"}}',
}


class Saying:
    """Answers of Numora that are whatever the test says."""

    def __init__(self, made: World) -> None:
        self.body, self.status = b"", 200
        self._behind = made.numora.handle
        made.numora.handle = self  # type: ignore[method-assign]

    async def __call__(self, seen: Seen) -> Any:
        if "/documents" not in seen.path and "/numora" not in seen.path and "/schemas" not in seen.path:
            return await self._behind(seen)
        response = answer(self.status, {})
        response.body = self.body
        return response


async def test_odd_answers_of_numora_are_no_5xx_of_the_bridges_own_and_keep_the_shape(made: World) -> None:
    """Each is an answer as described, or a 502 that names the other side; a key that Numora quotes is not passed on."""
    await made.add_tenant(poll=HOURLY)
    await made.start()
    saying = Saying(made)
    wrong: list[str] = []
    async with Asking(made.bridge) as api:
        for status in (200, 301, 400, 403, 404, 409, 422, 429, 500):
            for case, body in ODD.items() if status in {200, 409} else [("a quoted key", ODD["a quoted key"])]:
                saying.status, saying.body = status, body
                for method, path, sent in (
                    ("GET", DOCUMENT, None),
                    ("POST", f"{DOCUMENT}/approve", {"expected_updated_at": "2026-01-01T00:00:00.000Z"}),
                    ("POST", f"{DOCUMENT}/reject", {}),
                    ("POST", f"{DOCUMENT}/dispatch", {}),
                    ("POST", f"{DOCUMENT}/preview", {}),
                    (
                        "POST",
                        "/v1/tenants/acme/documents",
                        {"schema": "x", "file_url": "https://x.example", "external_id": "1"},
                    ),
                    ("GET", "/v1/tenants/acme/numora/schemas", None),
                ):
                    try:
                        reply = await api.ask(method, path, sent)
                    except AssertionError as untrue:
                        wrong.append(f"{status} {case}: {untrue}"[:700])
                        continue
                    assert reply.status != 500, (status, case, method, path, reply)
                    assert status < 300 or "sk_live_" not in reply.raw.decode(), (status, case, path)
        assert not wrong, "\n".join(wrong)
        assert "Traceback" not in made.bridge.log.read_text()
    assert "sk_live_" not in made.bridge.log.read_text()


async def test_digits_of_numora_are_kept_in_what_is_shown(made: World) -> None:
    await made.add_tenant(poll=HOURLY)
    await made.start()
    made.numora.add(made.acme.numora_key, invoice(1, listed=False, metadata={"vendor_code": "V-1", "ä": "\u2028"}))
    saying = Saying(made)
    saying.body = b'{"id":"doc_acme_0001","status":"reviewed","metadata":{"n":12345678901234567890.1234567890}}'
    async with Asking(made.bridge) as api:
        shown = await api.ask("GET", DOCUMENT)
        assert shown.status == 200
        assert b"12345678901234567890.1234567890" in shown.raw


async def test_a_blocked_tenant_is_told_once_and_so_is_its_recovery(made: World) -> None:
    """tenant.blocked when Numora refuses the key, tenant.recovered when it takes it again; the key is in neither."""
    acme = await made.add_tenant(poll={"every": "300ms", "limit": 100})
    acme.more["events"] = [{"url": made.receiver.url("/ops"), "secret": "${OPS}", "types": ["tenant.*"]}]
    acme.variables["OPS"] = "the secret of operations"
    made.settings["allow_hosts"] = ["127.0.0.1"]
    await made.start()
    doc = plain_lines(made.numora.add(acme.numora_key, invoice(1)))
    await made.until(lambda: doc.status == "push_succeeded")
    kept = made.numora.customers.pop(acme.numora_key)
    await made.until(lambda: made.receiver.types("/ops") == {"tenant.blocked": 1})
    made.numora.customers[acme.numora_key] = kept
    await made.until(lambda: made.receiver.types("/ops") == {"tenant.blocked": 1, "tenant.recovered": 1})
    for seen in made.receiver.at("/ops"):
        verify(seen, "the secret of operations")
        assert set(seen.json["data"]) == {"tenant", "side", "schema", "code", "message", "since"}
        assert seen.json["data"]["side"] == "source"
    made.no_secret_was_written()


async def test_without_events_in_the_file_a_resume_call_is_signed_with_the_callers_key(made: World) -> None:
    """The key signs, and is never sent."""
    acme = await made.add_tenant(poll=HOURLY)
    made.settings["allow_hosts"] = ["127.0.0.1"]
    await made.start()
    doc = made.numora.add(acme.numora_key, invoice(1, listed=False))
    async with Asking(made.bridge) as api:
        body = {"resume_url": made.receiver.url("/wait"), "wait": 30}
        reply = await api.ask("POST", f"/v1/tenants/acme/documents/{doc.id}/deliver", body, key=acme.api_key)
        assert reply.status == 200
        await made.until(lambda: bool(made.receiver.at("/wait")))
    (seen,) = made.receiver.at("/wait")
    verify(seen, acme.api_key)
    assert acme.api_key not in f"{seen.headers}{seen.body.decode()}"
    made.no_secret_was_written()
