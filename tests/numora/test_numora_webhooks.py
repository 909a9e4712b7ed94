"""Numora's webhooks: what is signed as agreed is read; everything else ends in a refusal with a stable code."""

import hmac
import json
from base64 import b64encode
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import CIMultiDict, CIMultiDictProxy

from connectors.codes import HOOK_CODES
from connectors.hooks import HookCall, HookEffect, HookRefusedError
from connectors.numora.moments import same_moment, to_moment
from connectors.numora.sandbox import NumoraSandbox, SandboxDocument, WebhookTarget
from connectors.numora.settings import NumoraSettings
from connectors.numora.webhooks import WebhookHook

SECRET = "whsec_numora"
NOW = datetime(2026, 3, 21, 14, 24, 11, tzinfo=UTC)
AT = "2026-03-21T14:24:11Z"
EVENT = {"id": "evt_1", "type": "document.reviewed", "created_at": AT, "data": {"document_id": "doc_1"}}


def hook(secret=SECRET, **webhook) -> WebhookHook:
    given = {"kind": "numora", "base_url": "https://n.example", "api_key": "k", "webhook_secret": secret}
    read = NumoraSettings.model_validate({**given, "webhook": webhook})
    return WebhookHook(read.webhook_secret, read.webhook)


def signature(body: bytes, at: str = AT, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), f"{at}.".encode() + body, sha256).hexdigest()


def headers(body: bytes, at: str = AT, **changes: str | None) -> dict[str, str]:
    made = {
        "X-Numora-Webhook-Id": "evt_1",
        "X-Numora-Webhook-Timestamp": at,
        "X-Numora-Webhook-Signature": f"t={at},v1={signature(body, at)}",
    }
    made |= {f"X-Numora-Webhook-{name.capitalize()}": value for name, value in changes.items() if value is not None}
    return {name: value for name, value in made.items() if changes.get(name.rpartition("-")[2].lower(), "") is not None}


def event(**changes) -> bytes:
    return json.dumps({**EVENT, **changes}).encode()


def outcome(sent: dict[str, str], body: bytes) -> tuple[HookCall | None, HookRefusedError | None]:
    try:
        return hook().read(sent, body, NOW), None
    except HookRefusedError as refused:
        return None, refused


def refusal(sent: dict[str, str], body: bytes, reader: WebhookHook | None = None, now: datetime = NOW):
    with pytest.raises(HookRefusedError) as refused:
        (reader or hook()).read(sent, body, now)
    assert SECRET not in refused.value.message
    assert signature(body) not in refused.value.message
    return refused.value.code, refused.value.authentic


@pytest.mark.parametrize(
    ("type_", "effect"),
    [
        ("document.reviewed", HookEffect.DELIVER),
        ("document.review_required", HookEffect.WITHDRAW),
        ("document.processing", HookEffect.KEEP),
        ("push.succeeded", HookEffect.KEEP),
        ("push.failed", HookEffect.KEEP),
        ("run.failed", HookEffect.KEEP),
        ("document.renamed", HookEffect.KEEP),
    ],
)
def test_an_event_asks_for_what_its_type_says(type_, effect):
    body = event(type=type_)

    assert hook().read(headers(body), body, NOW) == HookCall("evt_1", type_, effect, "doc_1")


@pytest.mark.parametrize("data", [None, {}, [], "doc_1", {"document_id": 7}, {"document_id": "a\nb"}])
def test_an_event_that_asks_for_nothing_may_name_no_document(data):
    body = event(type="run.failed", data=data)

    assert hook().read(headers(body), body, NOW).document_id is None


def test_headers_are_found_whatever_their_case():
    body = event()
    lower = {name.lower(): value for name, value in headers(body).items()}

    assert hook().read(lower, body, NOW).event_id == "evt_1"
    assert hook().read(CIMultiDictProxy(CIMultiDict(headers(body))), body, NOW).event_id == "evt_1"


def test_either_secret_is_good_while_one_takes_the_place_of_another():
    body = event()
    both = hook(["whsec_new", SECRET])

    assert both.read(headers(body), body, NOW).event_id == "evt_1"
    assert both.read(headers(body, signature=f"t={AT},v1={signature(body, AT, 'whsec_new')}"), body, NOW)
    assert refusal(headers(body), body, hook("whsec_new")) == ("hook_bad_signature", False)


def test_one_good_signature_among_several_is_enough():
    body = event()
    several = f"t={AT}, v0=whatever, v1={'0' * 64}, v1={signature(body)}"

    assert hook().read(headers(body, signature=several), body, NOW).event_id == "evt_1"


def test_a_signature_in_base64_is_the_same_signature():
    body = event()
    mac = b64encode(bytes.fromhex(signature(body))).decode()

    assert hook().read(headers(body, signature=f"t={AT},v1={mac}"), body, NOW).event_id == "evt_1"


@pytest.mark.parametrize(
    ("template", "signed"),
    [("{raw}", "{raw}"), ("{id}.{t}.{raw}", "evt_1.{t}.{raw}"), ("v1:{t}:{raw}:end", "v1:{t}:{raw}:end")],
)
def test_the_text_that_is_signed_can_be_configured(template, signed):
    body = event()
    text = signed.replace("{t}", AT).encode().replace(b"{raw}", body)
    mac = hmac.new(SECRET.encode(), text, sha256).hexdigest()
    sent = headers(body, signature=f"t={AT},v1={mac}")

    assert hook(template=template).read(sent, body, NOW).event_id == "evt_1"
    assert refusal(sent, body) == ("hook_bad_signature", False)


@pytest.mark.parametrize(
    "at",
    ["2026-03-21T14:24:11Z", "2026-03-21T14:24:11.000Z", "2026-03-21T15:24:11+01:00", "1774103051", "1774103051000"],
)
def test_times_are_read_in_any_spelling_that_has_one_meaning(at):
    body = event()

    assert hook().read(headers(body, at), body, NOW).event_id == "evt_1"
    assert hook().read({**headers(body, at), "X-Numora-Webhook-Timestamp": AT}, body, NOW).event_id == "evt_1"


@pytest.mark.parametrize("away", [timedelta(minutes=5), timedelta(minutes=-5)])
def test_a_call_may_be_as_far_from_now_as_the_tolerance_and_no_further(away):
    body = event()
    sent = headers(body)

    assert hook().read(sent, body, NOW + away).event_id == "evt_1"
    further = NOW + away * 1.01
    assert refusal(sent, body, now=further) == ("hook_stale", False)
    assert hook(tolerance="10m").read(sent, body, further).event_id == "evt_1"


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"signature": None}, "hook_unsigned"),
        ({"signature": ""}, "hook_unsigned"),
        ({"signature": "  "}, "hook_unsigned"),
        ({"timestamp": None}, "hook_unsigned"),
        ({"signature": "v1=" + "0" * 64}, "hook_bad_signature"),
        ({"signature": f"t={AT}"}, "hook_bad_signature"),
        ({"signature": f"t={AT},v1=" + "0" * 64}, "hook_bad_signature"),
        ({"signature": f"t={AT},v1=abcdef123456"}, "hook_bad_signature"),
        ({"signature": f"t={AT},v1=" + "g" * 64}, "hook_bad_signature"),
        ({"signature": f"t={AT},v1=" + "٣" * 64}, "hook_bad_signature"),
        ({"signature": "0" * 64}, "hook_bad_signature"),
        ({"signature": "," * 500}, "hook_bad_signature"),
        ({"signature": f"t={AT}," + f"v1={'0' * 64}," * 17 + "v1="}, "hook_bad_signature"),
        ({"signature": "x" * 100_000}, "hook_bad_signature"),
        ({"timestamp": "2026-03-21T14:24:12Z"}, "hook_bad_signature"),
        ({"timestamp": "yesterday"}, "hook_bad_signature"),
        ({"id": "evt_2"}, "hook_bad_signature"),
    ],
)
def test_a_header_that_does_not_fit_is_refused(changes, code):
    body = event()

    assert refusal(headers(body, **changes), body) == (code, False)


@pytest.mark.parametrize(
    "at",
    [
        "NaN",
        "inf",
        "-1",
        "1e9",
        "9" * 13,
        "9" * 400,
        "2026-03-21T14:24:11",
        "2026-03-21",
        "9999-12-31T23:59:59-23:59",
        "0001-01-01T00:00:00+23:59",
        "2026-13-45T99:99:99Z",
        "٢٠٢٦",
        "",
    ],
)
def test_a_time_that_is_none_or_far_away_is_refused_however_well_it_is_signed(at):
    body = event()

    assert refusal(headers(body, at), body)[0] in {"hook_bad_signature", "hook_stale", "hook_unsigned"}


def test_two_times_in_a_signature_are_refused():
    body = event()
    old = "2020-01-01T00:00:00Z"
    doubled = f"t={old},t={AT},v1={signature(body)}"

    assert refusal(headers(body, signature=doubled), body) == ("hook_bad_signature", False)


@pytest.mark.parametrize("name", ["Id", "Timestamp", "Signature"])
def test_a_header_that_stands_twice_is_refused(name):
    body = event()
    doubled = CIMultiDict(headers(body))
    doubled.add(f"x-numora-webhook-{name.lower()}", doubled[f"X-Numora-Webhook-{name}"])

    assert refusal(doubled, body) == ("hook_bad_signature", False)


def test_a_body_that_was_changed_on_the_way_is_refused():
    body = event()

    assert refusal(headers(body), body + b" ") == ("hook_bad_signature", False)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"\xff\xfe",
        b'{"id":"evt_1","type":"\xff"}',
        b"[]",
        b'"evt_1"',
        b"null",
        b"NaN",
        b'{"id":"evt_1","type":"document.reviewed","n":1e999999999999999999999}',
        b"[" * 100_000,
        b'{"a":' * 50_000,
        event(type=None),
        event(type=7),
        event(type=""),
        event(type="x" * 200),
        event(id=7),
        event(id=""),
        event(id="evt_1\x00"),
        event(id="e" * 300),
        event(data=None),
        event(data=[]),
        event(data={}),
        event(data={"document_id": 7}),
        event(data={"document_id": True}),
        event(data={"document_id": ""}),
        event(data={"document_id": " "}),
        event(data={"document_id": "d" * 513}),
        event(data={"document_id": "doc\r\n1"}),
        event(data={"document_id": ["doc_1"]}),
    ],
)
def test_a_body_that_is_signed_and_cannot_be_understood_is_told_as_such(body):
    assert refusal(headers(body, id=None), body) == ("hook_unreadable", True)


def test_the_header_names_the_event_when_the_body_does_not():
    body = event(id=None)

    assert hook().read(headers(body), body, NOW).event_id == "evt_1"
    assert refusal(headers(body, id=None), body) == ("hook_unreadable", True)


ANY_TEXT = st.text(max_size=60)
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | ANY_TEXT,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(ANY_TEXT, inner, max_size=4),
    max_leaves=12,
)
LIKELY = st.sampled_from([AT, f"t={AT},v1={'0' * 64}", "evt_1", "", "t=1,v1=", "1774103051"])


@settings(max_examples=200, deadline=None)
@given(
    sent=st.dictionaries(
        st.sampled_from(list(headers(b""))) | ANY_TEXT, LIKELY | st.text(st.characters(), max_size=80), max_size=5
    ),
    body=st.binary(max_size=200),
)
def test_no_headers_and_no_bytes_whatever_pass_or_do_more_than_be_refused(sent, body):
    with pytest.raises(HookRefusedError) as refused:
        hook().read(sent, body, NOW)
    assert refused.value.code in HOOK_CODES


@settings(max_examples=200, deadline=None)
@given(
    content=ANY_JSON
    | st.fixed_dictionaries(
        {},
        optional={
            "id": ANY_JSON | st.just("evt_1"),
            "type": ANY_JSON | st.sampled_from(["document.reviewed", "run.failed"]),
            "data": ANY_JSON | st.fixed_dictionaries({"document_id": ANY_JSON | st.just("doc_1")}),
        },
    )
)
def test_whatever_numora_signs_is_read_or_refused_as_unreadable(content):
    body = json.dumps(content).encode("utf-8", "surrogatepass")
    call, refused = outcome(headers(body, id=None), body)

    assert refused is None or (refused.code, refused.authentic) == ("hook_unreadable", True)
    if call is not None:
        assert call.event_id == content["id"]
        assert call.effect is HookEffect.KEEP or call.document_id == content["data"]["document_id"]


@settings(max_examples=300, deadline=None)
@given(ANY_TEXT | st.datetimes(timezones=st.timezones()).map(lambda at: at.isoformat()) | st.floats().map(str))
def test_any_text_is_a_time_or_none(text):
    moment = to_moment(text)

    assert moment is None or moment.tzinfo is not None
    assert same_moment(text, text)
    assert not same_moment(text, AT) or moment == NOW


@pytest.mark.parametrize("secrets", [[SECRET], ["whsec_new", SECRET], [SECRET, "whsec_old"]])
def test_what_the_sandbox_signs_is_read(secrets):
    sandbox = NumoraSandbox()
    document = sandbox.workspace().add(SandboxDocument("doc_1", "invoice_v2", {}))
    sandbox.workspace().webhooks = WebhookTarget(secrets)
    call = sandbox.calls.webhook(sandbox.workspace(), "document.reviewed", document, at=NOW)

    read = hook().read(call.headers, call.body, NOW)

    assert (read.effect, read.document_id) == (HookEffect.DELIVER, "doc_1")
    assert read.event_id == call.headers["X-Numora-Webhook-Id"]


@pytest.mark.parametrize("template", ["", "{t}", "{raw}{raw}", "{t}.{body}", "{t}.{raw", "}{raw}", "{raw}{}"])
def test_a_template_that_signs_no_body_or_names_what_is_not_there_is_refused(template):
    with pytest.raises(ValueError, match="template"):
        hook(template=template)
