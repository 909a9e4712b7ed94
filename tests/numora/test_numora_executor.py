"""The calls of Numora's n8n executor: proven by one of three ways, and read by the paths in the tenant's file."""

import base64
import hmac
import json
from datetime import UTC, datetime
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict

from connectors.codes import HOOK_CODES
from connectors.hooks import HookCall, HookEffect, HookRefusedError
from connectors.numora.notify import ExecutorHook
from connectors.numora.sandbox import ExecutorTarget, NumoraSandbox, SandboxDocument
from connectors.numora.settings import NotifySettings

SECRET = "executor secret of numora"
NOW = datetime(2026, 3, 21, 14, 24, 11, tzinfo=UTC)
BODY = b'{"document_id":"doc_1","provider":"dynamics365"}'
MAC = hmac.new(SECRET.encode(), BODY, sha256)
AUTHS = {
    "header": {"kind": "header", "header": "X-Numora-Secret", "secret": SECRET},
    "bearer": {"kind": "bearer", "secret": SECRET},
    "hmac": {"kind": "hmac", "header": "X-Numora-Signature", "secret": SECRET},
}


def hook(auth: str = "header", **keys) -> ExecutorHook:
    return ExecutorHook(NotifySettings.model_validate({"auth": AUTHS[auth], **keys}))


def outcome(body: bytes) -> tuple[HookCall | None, HookRefusedError | None]:
    try:
        return hook().read({"X-Numora-Secret": SECRET}, body, NOW), None
    except HookRefusedError as refused:
        return None, refused


def refusal(reader: ExecutorHook, headers, body: bytes = BODY) -> tuple[str, bool]:
    with pytest.raises(HookRefusedError) as refused:
        reader.read(headers, body, NOW)
    assert SECRET not in refused.value.message
    assert MAC.hexdigest() not in refused.value.message
    return refused.value.code, refused.value.authentic


@pytest.mark.parametrize(
    ("auth", "headers"),
    [
        ("header", {"x-numora-secret": SECRET}),
        ("bearer", {"Authorization": f"Bearer {SECRET}"}),
        ("bearer", {"authorization": f"bearer  {SECRET}"}),
        ("hmac", {"X-Numora-Signature": MAC.hexdigest()}),
        ("hmac", {"X-Numora-Signature": MAC.hexdigest().upper()}),
        ("hmac", {"X-Numora-Signature": f"sha256={MAC.hexdigest()}"}),
        ("hmac", {"X-Numora-Signature": base64.b64encode(MAC.digest()).decode()}),
        ("hmac", {"X-Numora-Signature": "sha256=" + base64.urlsafe_b64encode(MAC.digest()).decode().rstrip("=")}),
    ],
)
def test_a_call_that_proves_its_caller_has_its_document_delivered(auth, headers):
    call = hook(auth).read(headers, BODY, NOW)

    assert (call.type, call.effect, call.document_id) == ("executor.notify", HookEffect.DELIVER, "doc_1")


@pytest.mark.parametrize(
    ("auth", "headers", "code"),
    [
        ("header", {}, "hook_unsigned"),
        ("header", {"X-Numora-Secret": ""}, "hook_unsigned"),
        ("header", {"X-Numora-Secret": SECRET + "x"}, "hook_bad_signature"),
        ("header", {"X-Numora-Secret": SECRET[:-1]}, "hook_bad_signature"),
        ("header", {"X-Numora-Secret": "\udcff\ud800"}, "hook_bad_signature"),
        ("header", CIMultiDict([("X-Numora-Secret", SECRET), ("X-Numora-Secret", SECRET)]), "hook_bad_signature"),
        ("header", {"Authorization": f"Bearer {SECRET}"}, "hook_unsigned"),
        ("bearer", {"Authorization": SECRET}, "hook_bad_signature"),
        ("bearer", {"Authorization": f"Basic {SECRET}"}, "hook_bad_signature"),
        ("bearer", {"Authorization": "Bearer"}, "hook_bad_signature"),
        ("hmac", {"X-Numora-Signature": SECRET}, "hook_bad_signature"),
        ("hmac", {"X-Numora-Signature": "0" * 64}, "hook_bad_signature"),
        ("hmac", {"X-Numora-Signature": "sha512=" + MAC.hexdigest()}, "hook_bad_signature"),
        ("hmac", {"X-Numora-Signature": MAC.hexdigest()[:-2]}, "hook_bad_signature"),
        ("hmac", {"X-Numora-Signature": "A" * 43}, "hook_bad_signature"),
    ],
)
def test_a_call_that_does_not_is_refused_before_its_body_is_read(auth, headers, code):
    assert refusal(hook(auth), headers) == (code, False)
    assert refusal(hook(auth), headers, b"{") == (code, False)


@pytest.mark.parametrize(
    ("path", "content"),
    [
        ("data.document.id", {"data": {"document": {"id": "doc_1"}}}),
        ("documentId || document_id", {"document_id": "doc_1"}),
        ("[0].json.id", [{"json": {"id": "doc_1"}}]),
        ("documents[?provider=='dynamics365'] | [0].id", {"documents": [{"provider": "dynamics365", "id": "doc_1"}]}),
    ],
)
def test_the_document_is_found_wherever_the_path_leads(path, content):
    call = hook(document_id=path).read({"X-Numora-Secret": SECRET}, json.dumps(content).encode(), NOW)

    assert call.document_id == "doc_1"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff",
        b"document_id=doc_1",
        b"[]",
        b"null",
        b'{"document_id":null}',
        b'{"document_id":7}',
        b'{"document_id":["doc_1"]}',
        b'{"document_id":"a\\u0000b"}',
        b'{"document_id":"' + b"d" * 513 + b'"}',
        b'{"document_id":' + b"[" * 50_000,
        b'{"document_id":[' + b"1," * 20_000 + b"1]}",
    ],
)
def test_a_body_without_a_usable_document_is_told_as_such(body):
    assert refusal(hook(), {"X-Numora-Secret": SECRET}, body) == ("hook_unreadable", True)


def test_a_path_that_cannot_be_worked_out_on_a_body_is_told_as_such():
    reader = hook(document_id="join('-', document_id)")

    assert refusal(reader, {"X-Numora-Secret": SECRET}) == ("hook_unreadable", True)


def test_a_call_without_an_id_of_its_own_is_always_a_new_one():
    """The same document dispatched a second time comes with the same body, and is not a repeat."""
    first, second = (hook().read({"X-Numora-Secret": SECRET}, BODY, NOW).event_id for _ in range(2))

    assert first != second


def test_a_call_with_an_id_is_known_by_it():
    sent = {"X-Numora-Secret": SECRET}
    by_path = hook(event_id="attempt.id")

    assert by_path.read(sent, b'{"document_id":"d","attempt":{"id":"att_1"}}', NOW).event_id == "att_1"
    assert by_path.read(sent, b'{"document_id":"d","attempt":{"id":7}}', NOW).event_id == "7"
    assert hook().read({**sent, "X-Numora-Webhook-Id": "evt_9"}, BODY, NOW).event_id == "evt_9"
    assert by_path.read(sent, BODY, NOW).event_id.startswith("call_")


@pytest.mark.parametrize("id_", [[], {"a": 1}, True, "", "a\nb", "x" * 300])
def test_an_id_that_cannot_be_used_is_no_reason_to_take_a_call_for_a_new_one(id_):
    body = json.dumps({"document_id": "d", "attempt_id": id_}).encode()

    assert refusal(hook(event_id="attempt_id"), {"X-Numora-Secret": SECRET}, body) == ("hook_unreadable", True)


@pytest.mark.parametrize("keys", [{"document_id": "a["}, {"document_id": "nope(a)"}, {"event_id": "x" * 513}])
def test_a_path_that_is_none_is_refused_with_the_file(keys):
    with pytest.raises(ValueError, match="_id"):
        hook(**keys)


@settings(max_examples=200, deadline=None)
@given(
    auth=st.sampled_from(sorted(AUTHS)),
    headers=st.dictionaries(
        st.sampled_from(["X-Numora-Secret", "Authorization", "X-Numora-Signature"]) | st.text(max_size=20),
        st.text(st.characters(), max_size=80) | st.sampled_from(["Bearer ", "sha256=" + "0" * 64]),
        max_size=4,
    ),
    body=st.binary(max_size=200) | st.just(BODY),
)
def test_no_call_whatever_passes_without_the_secret(auth, headers, body):
    with pytest.raises(HookRefusedError) as refused:
        hook(auth).read(headers, body, NOW)
    assert refused.value.code in HOOK_CODES
    assert not refused.value.authentic


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=100) | st.text(max_size=50).map(lambda text: json.dumps({"document_id": text}).encode()))
def test_no_body_whatever_does_more_than_be_refused(body):
    call, refused = outcome(body)

    assert refused is None or (refused.code, refused.authentic) == ("hook_unreadable", True)
    assert call is None or call.document_id == json.loads(body)["document_id"]


@pytest.mark.parametrize(
    ("auth", "header"), [("header", "X-Numora-Secret"), ("bearer", ""), ("hmac", "X-Numora-Signature")]
)
def test_what_the_sandbox_sends_is_read(auth, header):
    sandbox = NumoraSandbox()
    document = sandbox.workspace().add(SandboxDocument("doc_1", "invoice_v2", {}))
    sandbox.workspace().executor = ExecutorTarget(SECRET, auth=auth, header=header)
    sent = sandbox.calls.notification(sandbox.workspace(), document, "att_1")

    call = hook(auth, event_id="attempt_id").read(sent.headers, sent.body, NOW)

    assert (call.event_id, call.document_id) == ("att_1", "doc_1")
