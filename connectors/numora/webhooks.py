"""Numora's webhooks: verified over the raw body before anything of it is read."""

import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Final

from pydantic import SecretStr

from connectors.hooks import HookCall, HookEffect, HookRefusedError
from connectors.numora.moments import same_moment, to_moment
from connectors.numora.settings import WebhookSettings
from connectors.numora.signing import (
    LONGEST_EVENT_ID,
    as_id,
    body_of,
    header_of,
    mac_of,
    to_mac,
    unreadable,
    unsigned,
)

ID_HEADER: Final = "X-Numora-Webhook-Id"
TIMESTAMP_HEADER: Final = "X-Numora-Webhook-Timestamp"
SIGNATURE_HEADER: Final = "X-Numora-Webhook-Signature"

_EFFECTS: Final = {"document.reviewed": HookEffect.DELIVER, "document.review_required": HookEffect.WITHDRAW}
_MOST_SIGNATURES: Final = 16
_LONGEST_TYPE: Final = 128
_PARTS: Final = re.compile(r"(\{(?:t|id|raw)\})")


class WebhookHook:
    """``HookReader`` for Numora's webhooks. Any of the ``secrets`` may have signed a call."""

    def __init__(self, secrets: Sequence[SecretStr], settings: WebhookSettings) -> None:
        self._secrets = tuple(secret.get_secret_value() for secret in secrets)
        self._template = tuple(part for part in _PARTS.split(settings.template) if part)
        self._tolerance = settings.tolerance

    def read(self, headers: Mapping[str, str], body: bytes, now: datetime) -> HookCall:
        """Return what a call says. Raises ``HookRefusedError``.

        The time in the signature has to be that of the timestamp's header and near ``now``; the id of the header that
        of the body, where both are there. An unknown type is kept.
        """
        sent_id = header_of(headers, ID_HEADER)
        timestamp = header_of(headers, TIMESTAMP_HEADER)
        signature = header_of(headers, SIGNATURE_HEADER)
        if signature is None:
            raise unsigned(SIGNATURE_HEADER)
        if timestamp is None:
            raise unsigned(TIMESTAMP_HEADER)
        signed_at, macs = _signature(signature)
        moment = to_moment(signed_at)
        if moment is None or not same_moment(signed_at, timestamp):
            raise _bad_signature(f"The time in {SIGNATURE_HEADER} is none, or not that of {TIMESTAMP_HEADER}.")
        self._verify(signed_at, sent_id, body, macs)
        if abs(moment - now) > self._tolerance:
            raise HookRefusedError(
                "hook_stale",
                f"The call was signed at {signed_at}, too far from now. Set the clocks right, or raise "
                "source.webhook.tolerance.",
            )
        return _call(body, sent_id)

    def _verify(self, signed_at: str, sent_id: str | None, body: bytes, macs: Sequence[bytes]) -> None:
        values = {"{t}": signed_at, "{id}": sent_id or ""}
        parts = [
            body if part == "{raw}" else values.get(part, part).encode("utf-8", "surrogatepass")
            for part in self._template
        ]
        # Every pair is compared, so that the time taken tells nothing of which one fits.
        fits = [hmac.compare_digest(mac_of(secret, parts), mac) for secret in self._secrets for mac in macs]
        if not any(fits):
            raise _bad_signature("No signature fits. Check source.webhook_secret and source.webhook.template.")


def _signature(header: str) -> tuple[str, list[bytes]]:
    """Split ``t=...,v1=...`` into its time and its signatures; versions that are not known are left aside."""
    moments: list[str] = []
    macs: list[bytes] = []
    for part in header.split(","):
        name, separator, value = part.strip().partition("=")
        if not separator:
            raise _bad_signature(f"{SIGNATURE_HEADER} is not of the form t=...,v1=...")
        if name == "t":
            moments.append(value)
        elif name == "v1" and (mac := to_mac(value)) is not None:
            macs.append(mac)
    if len(moments) != 1 or not 1 <= len(macs) <= _MOST_SIGNATURES:
        raise _bad_signature(
            f"{SIGNATURE_HEADER} holds one time t and one to {_MOST_SIGNATURES} signatures v1 of SHA-256, in hex."
        )
    return moments[0], macs


def _call(body: bytes, sent_id: str | None) -> HookCall:
    content = body_of(body)
    if not isinstance(content, dict):
        raise unreadable("The body is not an object.")
    type_ = as_id(content.get("type"), _LONGEST_TYPE)
    if type_ is None:
        raise unreadable("The body has no usable type.")
    own_id = content.get("id")
    event_id = as_id(own_id if own_id is not None else sent_id, LONGEST_EVENT_ID)
    if event_id is None:
        raise unreadable("The call has no usable id.")
    if sent_id is not None and sent_id != event_id:
        # The header is not signed: whoever changed it may want a repeat to pass for a new call.
        raise _bad_signature(f"{ID_HEADER} is not the id in the body.")
    data = content.get("data")
    document_id = as_id(data.get("document_id")) if isinstance(data, dict) else None
    effect = _EFFECTS.get(type_, HookEffect.KEEP)
    if effect is not HookEffect.KEEP and document_id is None:
        raise unreadable("data.document_id is no usable document id.")
    return HookCall(event_id, type_, effect, document_id)


def _bad_signature(message: str) -> HookRefusedError:
    return HookRefusedError("hook_bad_signature", message)
