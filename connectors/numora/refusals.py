"""What follows from a status that is not a success: one place for what Numora's refusals mean to a delivery."""

from typing import Final

from connectors.capabilities import ActionConflictError, ActionRefusedError
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

_UNREADABLE: Final = (ArithmeticError, RecursionError, ValueError)
"""What reading an error's body may raise: JSON, UTF-8 and shape at fault are all ``ValueError``s."""

_ABOUT_THE_DOCUMENT: Final = frozenset({400, 414, 422})
_LATER: Final = frozenset({408, 409, 423, 425})
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_CONFLICT: Final = 409
_GATEWAY_TIMEOUT: Final = 504
_GATEWAY: Final = frozenset({502, 504})


def is_success(answer: Answer) -> bool:
    """Tell whether Numora did what it was asked."""
    return 200 <= answer.status < 300


def read_failure(answer: Answer, purpose: str) -> OutcomeError:
    """Return what a refused read means. 404 and 410 are the caller's to judge, and do not come here as gone."""
    said = said_of(answer)
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
    said = said_of(answer)
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


def action_failure(answer: Answer, action: str, *, said: str | None = None) -> OutcomeError:
    """Return what a refused action means, where ``action`` is its name for people.

    A 5xx is an ``UnknownOutcomeError`` for a gateway that may have given up too early, else a ``TransientError``: the
    caller reads what became of it before either is told. ``said`` replaces what Numora said where that is secret.
    """
    said = said or said_of(answer)
    if answer.status in _GATEWAY:
        return UnknownOutcomeError(
            "gateway_timeout", f"Whether Numora did the {action} is not known ({said}).", retry_after=answer.retry_after
        )
    if (failure := _access_or_server(answer, said, action, later="It is not sent again by itself.")) is not None:
        return failure
    if answer.status in _LATER - {_CONFLICT}:
        return TransientError(
            "numora_not_ready",
            f"Numora cannot do the {action} yet ({said}). Nothing was done: ask again later.",
            retry_after=answer.retry_after,
        )
    return ActionRefusedError(
        "numora_refused_action",
        f"Numora refuses the {action} ({said}). Nothing was done. Open the document in Numora, and mend what it says.",
        status=404 if answer.status in GONE else answer.status,
    )


def conflicting_time(answer: Answer) -> str | None:
    """Return the time of change that stands beside the error of a 409; None when none does."""
    try:
        return ErrorBody.model_validate(decode_json(answer.body)).updated_at or None
    except _UNREADABLE:
        return None


def out_of_date(action: str, document_id: str, updated_at: str | None) -> ActionConflictError:
    """Return what is told when a document was changed since the caller saw it."""
    return ActionConflictError(
        "numora_changed_since",
        f"Document {document_id} was changed since; the {action} was not done. Read it again, and decide again with "
        "its current updated_at.",
        updated_at=updated_at,
    )


def _access_or_server(
    answer: Answer, said: str, purpose: str, *, later: str = "It is tried again later."
) -> OutcomeError | None:
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
            f"Numora has trouble ({said}). {later}",
            retry_after=answer.retry_after,
        )
    return None


def said_of(answer: Answer) -> str:
    """Return the status with Numora's own code and sentence, as far as it gave them."""
    try:
        detail = ErrorBody.model_validate(decode_json(answer.body)).error
    except _UNREADABLE:
        return str(answer.status)
    return ", ".join(str(part)[:300] for part in (answer.status, detail.code, detail.message) if part)
