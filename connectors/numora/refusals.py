"""What follows from a status that is not a success: one place for what Numora's refusals mean to a delivery."""

from typing import Final

import msgspec
from pydantic import ValidationError

from connectors.http import Answer, decode_json
from connectors.numora.models import ErrorBody
from connectors.outcome import (
    BlockedError,
    ConflictError,
    OutcomeError,
    RejectedError,
    TransientError,
    UnknownOutcomeError,
)
from mappings.plan import Problem

GONE: Final = frozenset({404, 410})
CURSOR_REFUSED: Final = frozenset({400, 404, 410, 422})


_ABOUT_THE_DOCUMENT: Final = frozenset({400, 414, 422})
_LATER: Final = frozenset({408, 409, 423, 425})
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_CONFLICT: Final = 409
_GATEWAY_TIMEOUT: Final = 504


def is_success(answer: Answer) -> bool:
    """Tell whether Numora did what it was asked."""
    return 200 <= answer.status < 300


def read_failure(answer: Answer, purpose: str) -> OutcomeError:
    """Return what a refused read means. 404 and 410 are the caller's to judge, and do not come here as gone."""
    said = _said(answer)
    if (failure := _access_or_server(answer, said, purpose)) is not None:
        return failure
    if answer.status in _LATER:
        return TransientError(
            "numora_not_ready",
            f"Numora cannot give the {purpose} yet ({said}). It is read again later.",
            retry_after=answer.retry_after,
        )
    if answer.status in _ABOUT_THE_DOCUMENT and purpose != "outbox":
        message = f"Numora refuses to give the {purpose} ({said}). Open the document in Numora and check its id."
        return RejectedError((Problem(None, None, "numora_refused", message),))
    return BlockedError(
        "numora_refused", f"Numora refuses the {purpose} ({said}). Check base_url and provider in the tenant's file."
    )


def callback_failure(answer: Answer, sent: bytes) -> OutcomeError:
    """Return what a refused callback means.

    A 409 is either another callback under our ``execution_id`` or a document that went elsewhere in the meantime. The
    destination is written already, so any other refusal is for a person to look at as well.
    """
    said = _said(answer)
    if answer.status == _GATEWAY_TIMEOUT:
        return UnknownOutcomeError(
            "gateway_timeout",
            f"Whether the callback arrived is not known ({said}). The same bytes are sent again.",
            retry_after=answer.retry_after,
        )
    if (failure := _access_or_server(answer, said, "callback")) is not None:
        return failure
    body, answered = sent.decode("utf-8", "replace"), answer.text()
    if answer.status == _CONFLICT:
        return ConflictError(
            "callback_conflict",
            f"Numora holds another outcome under this execution_id, or the document has moved on ({said}). Compare "
            "both bodies and the document's delivery history in Numora, then retry or leave it.",
            sent=body,
            answered=answered,
        )
    if answer.status in _LATER:
        return TransientError(
            "numora_not_ready",
            f"Numora cannot take the callback yet ({said}). The same bytes are sent again.",
            retry_after=answer.retry_after,
        )
    return ConflictError(
        "callback_refused",
        f"Numora refuses the callback ({said}). The row at the destination stands. Open the document in Numora, then "
        "retry.",
        sent=body,
        answered=answered,
    )


def _access_or_server(answer: Answer, said: str, purpose: str) -> OutcomeError | None:
    if answer.status == _UNAUTHORIZED:
        return BlockedError(
            "numora_unauthorized", f"Numora does not accept the API key ({said}). Give it a valid source.api_key."
        )
    if answer.status == _FORBIDDEN:
        return BlockedError(
            "numora_forbidden", f"The API key may not use the {purpose} ({said}). Give the key that scope in Numora."
        )
    if answer.status < 400:
        return BlockedError(
            "numora_redirected",
            f"Numora points elsewhere ({said}), and the API key does not follow. Set base_url to the final address.",
        )
    if answer.status >= 500:
        return TransientError(
            "numora_unavailable",
            f"Numora has trouble ({said}). It is tried again later.",
            retry_after=answer.retry_after,
        )
    return None


def _said(answer: Answer) -> str:
    """Return the status with Numora's own code and sentence, as far as it gave them."""
    try:
        detail = ErrorBody.model_validate(decode_json(answer.body)).error
    except (ArithmeticError, msgspec.DecodeError, RecursionError, ValidationError):
        return str(answer.status)
    return ", ".join(str(part)[:300] for part in (answer.status, detail.code, detail.message) if part)
