"""Signatures of outgoing messages: Standard Webhooks, and a plain HMAC for tools that know no more than that."""

import hmac
from base64 import b64decode, b64encode
from binascii import Error as NotBase64Error
from collections.abc import Mapping, Sequence
from hashlib import sha256
from typing import Final

PREFIX: Final = "whsec_"
"""What a secret begins with whose key is written in base64."""

LEAST_KEY: Final = 16
"""Bytes that text must decode to, so that it is taken for a key in base64 as well as for a password."""

ID_HEADER: Final = "webhook-id"
TIMESTAMP_HEADER: Final = "webhook-timestamp"
SIGNATURE_HEADER: Final = "webhook-signature"
PLAIN_HEADER: Final = "X-Bridge-Signature-256"


def signature_headers(secrets: Sequence[str], message_id: str, timestamp: int, body: bytes) -> Mapping[str, str]:
    """Return the headers of a message; ``timestamp`` is in seconds since the epoch.

    Every secret signs ``webhook-signature``, so that a receiver may hold the old or the new one while they are
    changed; the first one signs ``X-Bridge-Signature-256``. Without secrets there are no signatures.
    """
    headers = {ID_HEADER: message_id, TIMESTAMP_HEADER: str(timestamp)}
    if secrets:
        signed = b"%s.%d.%s" % (message_id.encode(), timestamp, body)
        keys = dict.fromkeys(key for secret in secrets for key in keys_of(secret))
        headers[SIGNATURE_HEADER] = " ".join(
            f"v1,{b64encode(hmac.digest(key, signed, sha256)).decode('ascii')}" for key in keys
        )
        headers[PLAIN_HEADER] = f"sha256={hmac.new(secrets[0].encode(), body, sha256).hexdigest()}"
    return headers


def keys_of(secret: str) -> tuple[bytes, ...]:
    """Return the keys that a secret stands for in ``webhook-signature``; the one it is by our own rule comes first.

    After ``whsec_`` the key is base64; any other secret is its UTF-8 bytes. The libraries of Standard Webhooks decode
    every secret, so one that happens to be base64 of a key's length signs with its decoded bytes as well.
    """
    if secret.startswith(PREFIX):
        decoded = decoded_key(secret.removeprefix(PREFIX))
        return (secret.encode(),) if decoded is None else (decoded,)
    decoded = decoded_key(secret)
    plain = secret.encode()
    return (plain,) if decoded is None or len(decoded) < LEAST_KEY else (plain, decoded)


def decoded_key(text: str) -> bytes | None:
    """Return the bytes of base64, whose padding may be left out; None when the text is none, or empty."""
    bare = text.rstrip("=")
    if not bare or len(text) - len(bare) > 2:
        return None
    try:
        return b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except (NotBase64Error, ValueError):
        return None
