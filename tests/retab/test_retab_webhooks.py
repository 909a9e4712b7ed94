"""Retab's webhooks: whoever cannot sign is not heard, and what is heard only says that it is time to poll."""

import hmac
import json
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from multidict import CIMultiDict

from connectors.hooks import HookEffect, HookRefusedError
from connectors.retab.webhooks import RetabHook, verify

SECRET = "whsec-of-retab"
NOW = datetime(2026, 11, 1, 12, tzinfo=UTC)
TOLERANCE = timedelta(minutes=5)
BODY = json.dumps({"id": "evt_1", "type": "workflow.run.completed", "data": {}}).encode()


def digest(signed: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), signed, sha256).hexdigest()


def signature(body: bytes = BODY, *, at: datetime = NOW, secret: str = SECRET) -> str:
    seconds = int(at.timestamp())
    return f"t={seconds},v1={digest(f'{seconds}.'.encode() + body, secret)}"


def refusal_of(headers, body: bytes = BODY, secrets=(SECRET,)) -> str:
    with pytest.raises(HookRefusedError) as refused:
        verify(headers, body, secrets, NOW, TOLERANCE)
    assert SECRET not in refused.value.message
    assert not refused.value.authentic
    return refused.value.code


@pytest.mark.parametrize("header", ["X-Retab-Signature", "x-retab-signature"])
def test_a_signed_call_asks_for_a_poll(header):
    call = RetabHook([SECRET], TOLERANCE).read({header: signature()}, BODY, NOW)
    assert (call.event_id, call.type, call.effect, call.document_id) == (
        "evt_1",
        "workflow.run.completed",
        HookEffect.POLL,
        None,
    )


def test_the_older_bare_digest_is_taken_as_well():
    assert verify({"x-retab-signature": digest(BODY).upper()}, BODY, [SECRET], NOW, TOLERANCE) == "evt_1"


def test_any_of_several_secrets_and_digests_will_do():
    """Both sides may be in the midst of changing the secret."""
    value = f"{signature(secret='the-new-one')},v1={digest(b'')}"
    assert verify({"X-Retab-Signature": value}, BODY, [SECRET, "the-new-one"], NOW, TOLERANCE) == "evt_1"


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, "hook_unsigned"),
        ({"X-Retab-Signature": ""}, "hook_bad_signature"),
        ({"X-Retab-Signature": signature(secret="guessed")}, "hook_bad_signature"),
        ({"X-Retab-Signature": digest(BODY, "guessed")}, "hook_bad_signature"),
        ({"X-Retab-Signature": digest(BODY)[:-1]}, "hook_bad_signature"),
        ({"X-Retab-Signature": signature().replace("v1=", "v2=")}, "hook_bad_signature"),
        ({"X-Retab-Signature": signature().split(",")[1]}, "hook_bad_signature"),
        ({"X-Retab-Signature": f"t=1,{signature()}"}, "hook_bad_signature"),
        ({"X-Retab-Signature": f"t={'9' * 12},v1={digest(BODY)}"}, "hook_bad_signature"),
        ({"X-Retab-Signature": f"t=-1,v1={digest(BODY)}"}, "hook_bad_signature"),
        ({"X-Retab-Signature": f"t={int(NOW.timestamp())},v1={digest(BODY)}"}, "hook_bad_signature"),
        ({"X-Retab-Signature": f"{signature()},v1={'a' * 5000}"}, "hook_bad_signature"),
        ({"X-Retab-Signature": signature(at=NOW - timedelta(minutes=6))}, "hook_stale"),
        ({"X-Retab-Signature": signature(at=NOW + timedelta(minutes=6))}, "hook_stale"),
    ],
)
def test_a_forged_or_old_call_is_refused(headers, code):
    assert refusal_of(headers) == code


def test_a_header_that_stands_twice_is_refused():
    assert refusal_of(CIMultiDict([("X-Retab-Signature", signature())] * 2)) == "hook_bad_signature"


def test_a_changed_body_is_refused():
    assert refusal_of({"X-Retab-Signature": signature()}, BODY + b" ") == "hook_bad_signature"


@pytest.mark.parametrize("body", [b"", b"text", b"[]", b'{"id": 1}', b'{"id": ""}', b'{"type": []}'])
def test_a_signed_call_without_an_id_is_known_by_its_content(body):
    """The same call again is the same event; the same content at another time is not."""
    hook = RetabHook([SECRET], TOLERANCE)
    once, again = (hook.read({"X-Retab-Signature": signature(body)}, body, NOW) for _ in range(2))
    later = hook.read({"X-Retab-Signature": signature(body, at=NOW + timedelta(seconds=1))}, body, NOW)
    assert once == again
    assert once.event_id != later.event_id
    assert once.type == "unknown"


def test_a_source_hears_webhooks_only_with_a_secret(connect):
    assert connect().capabilities.hooks == {}
    assert set(connect(webhook_secret=SECRET).capabilities.hooks) == {"retab"}
