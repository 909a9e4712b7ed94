"""Messages are signed so that Standard Webhooks libraries, and tools that know plain HMAC only, can verify them."""

import base64
import hashlib
import hmac
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from bridge.events.endpoints import new_secret
from bridge.events.signing import decoded_key, signature_headers

BODY = '{"type":"delivery.failed","data":{"message":"Betrag fehlt, über Größe"}}'.encode()


def headers(*secrets: str, body: bytes = BODY, at: int | None = None) -> dict[str, str]:
    return dict(signature_headers(secrets, "msg_1", int(time.time()) if at is None else at, body))


def test_the_library_of_standard_webhooks_verifies_a_message():
    secret = new_secret()

    assert Webhook(secret).verify(BODY, headers(secret))["type"] == "delivery.failed"


def test_a_message_that_was_changed_is_refused():
    secret = new_secret()

    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(BODY.replace(b"failed", b"passed"), headers(secret))


def test_while_a_secret_is_changed_the_holder_of_either_verifies():
    old, new = new_secret(), new_secret()

    for secret in (old, new):
        assert Webhook(secret).verify(BODY, headers(new, old))


def test_a_secret_of_words_signs_with_its_own_bytes():
    """As the contract says, whatever a library makes of such a secret."""
    signed = b"msg_1.1700000000." + BODY
    expected = base64.b64encode(hmac.new(b"a secret-of words", signed, hashlib.sha256).digest()).decode()

    assert headers("a secret-of words", at=1_700_000_000)["webhook-signature"] == f"v1,{expected}"


def test_a_secret_that_happens_to_be_base64_verifies_by_either_reading():
    secret = base64.b64encode(b"0123456789abcdef01234567").decode()
    signed = b"msg_1.1700000000." + BODY
    plain = base64.b64encode(hmac.new(secret.encode(), signed, hashlib.sha256).digest()).decode()

    assert Webhook(secret).verify(BODY, headers(secret))
    assert headers(secret, at=1_700_000_000)["webhook-signature"].startswith(f"v1,{plain} v1,")


def test_a_short_secret_is_not_taken_for_base64():
    assert headers("abcd")["webhook-signature"].count("v1,") == 1


def test_plain_hmac_is_made_with_the_first_secret_as_it_is_written():
    secret, other = new_secret(), new_secret()
    expected = hmac.new(secret.encode(), BODY, hashlib.sha256).hexdigest()

    assert headers(secret, other)["X-Bridge-Signature-256"] == f"sha256={expected}"


def test_without_a_secret_a_message_has_an_id_and_a_time_and_no_signature():
    assert headers(at=1_700_000_000) == {"webhook-id": "msg_1", "webhook-timestamp": "1700000000"}


@given(st.binary(min_size=16, max_size=64), st.binary(max_size=200))
def test_any_key_and_any_body_verify(key: bytes, body: bytes):
    text = body.decode("latin-1").encode()  # the library takes text
    secret = "whsec_" + base64.b64encode(key).decode()

    Webhook(secret).verify(text, headers(secret, body=text), json_parse=False)


@pytest.mark.parametrize("text", ["", "=", "a", "ab c", "ab-_", "äöü", "abcd===", "a=bc"])
def test_what_is_no_base64_is_not_taken_for_it(text: str):
    assert decoded_key(text) is None


@pytest.mark.parametrize("text", ["YWJj", "YWI=", "YWI", "YQ==", "YQ"])
def test_the_padding_of_base64_may_be_left_out(text: str):
    assert decoded_key(text) in {b"abc", b"ab", b"a"}
