"""Retab's webhooks: verified, and then taken for no more than a hint that it is time to look.

What a webhook says of a run is not relied on: no event about reviews is published, and the reviews are read anyway.
"""

import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any, Final

import msgspec

from connectors.hooks import HookCall, HookEffect, HookRefusedError

SIGNATURE_HEADER: Final = "X-Retab-Signature"

_HEX: Final = re.compile(r"[0-9a-f]{64}")
_SECONDS: Final = re.compile(r"[0-9]{1,11}")
_LONGEST_NAME: Final = 200
_LONGEST_HEADER: Final = 4096


def verify(
    headers: Mapping[str, str], raw_body: bytes, secrets: Sequence[str], now: datetime, tolerance: timedelta
) -> str:
    """Verify a call and return its event id, the same for every repeat. Any of the ``secrets`` may have signed it.

    ``X-Retab-Signature`` is ``t=<unix seconds>,v1=<hex>`` over ``{t}.{raw body}``, several ``v1`` while a secret is
    changed, or the older bare hex over the raw body, which has no time. Both are HMAC-SHA256. Raises
    ``HookRefusedError``.
    """
    sent_at, given = _signature(headers)
    signed = raw_body if sent_at is None else f"{sent_at}.".encode() + raw_body
    expected = [hmac.new(secret.encode(), signed, sha256).hexdigest() for secret in secrets]
    if not any(hmac.compare_digest(ours, theirs) for ours in expected for theirs in given):
        raise HookRefusedError(
            "hook_bad_signature", "The signature does not fit the body. Compare webhook_secret with the one in Retab."
        )
    if sent_at is not None and abs(now - datetime.fromtimestamp(int(sent_at), UTC)) > tolerance:
        raise HookRefusedError(
            "hook_stale",
            f"The call was signed at {sent_at}, too far from now. Set the clocks right, or raise "
            "source.webhook.tolerance.",
        )
    return _text(_parsed(raw_body).get("id")) or f"sha256:{sha256(signed).hexdigest()}"


class RetabHook:
    """Reads the calls to ``/hooks/{tenant}/retab``: every verified one asks for a poll."""

    def __init__(self, secrets: Sequence[str], tolerance: timedelta) -> None:
        self._secrets = tuple(secrets)
        self._tolerance = tolerance

    def read(self, headers: Mapping[str, str], body: bytes, now: datetime) -> HookCall:
        """Return the call, verified. Raises ``HookRefusedError``."""
        event_id = verify(headers, body, self._secrets, now, self._tolerance)
        return HookCall(event_id, _text(_parsed(body).get("type")) or "unknown", HookEffect.POLL)


def _signature(headers: Mapping[str, str]) -> tuple[str | None, list[str]]:
    """Return the time of a signature as it was written, None for the older form, and the digests to choose from."""
    found = [value for name, value in headers.items() if name.lower() == SIGNATURE_HEADER.lower()]
    if not found:
        raise HookRefusedError(
            "hook_unsigned", f"{SIGNATURE_HEADER} is missing. Let Retab sign its calls with source.webhook_secret."
        )
    given = found[0].strip()
    if len(found) > 1 or len(given) > _LONGEST_HEADER:
        raise HookRefusedError("hook_bad_signature", f"{SIGNATURE_HEADER} is too long, or stands more than once.")
    if _HEX.fullmatch(given.lower()):
        return None, [given.lower()]
    parts = [part.strip().partition("=") for part in given.split(",")]
    times = [value for name, _, value in parts if name == "t" and _SECONDS.fullmatch(value)]
    digests = [value.lower() for name, _, value in parts if name == "v1" and _HEX.fullmatch(value.lower())]
    if len(times) != 1 or not digests:
        raise HookRefusedError(
            "hook_bad_signature", f"{SIGNATURE_HEADER} is neither t=<seconds>,v1=<hex> nor a hex digest."
        )
    return times[0], digests


def _parsed(body: bytes) -> Mapping[str, Any]:
    """Return the body's object; an empty one for a body that is none, for its content is not needed."""
    try:
        content = msgspec.json.decode(body)
    except (msgspec.DecodeError, RecursionError):
        return {}
    return content if isinstance(content, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and 0 < len(value) <= _LONGEST_NAME else None
