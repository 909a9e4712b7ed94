"""What the service raises, as the error that a caller is answered."""

import math
from typing import Any

from bridge.http.action_refusals import refusal_of_action, source_refusal
from bridge.http.codes import (
    BAD_CURSOR,
    BLOCKED,
    LEDGER_UNAVAILABLE,
    NOT_NEWEST,
    OUTBOX_ABSENT,
    OUTCOME_UNKNOWN,
    POLL_RUNNING,
    UPSTREAM_REFUSED,
    UPSTREAM_THROTTLED,
    UPSTREAM_UNAVAILABLE,
    Code,
)
from bridge.http.problems import RefusedError
from bridge.ledger.protocol import LedgerError
from bridge.pipeline.poller import PollRunningError
from bridge.service import NotNewestError
from connectors.capabilities import ActionConflictError, ActionRefusedError
from connectors.outcome import (
    BlockedError,
    CursorRefusedError,
    OutboxAbsentError,
    OutcomeError,
    RejectedError,
    ThrottledError,
    TransientError,
    UnknownOutcomeError,
)

LEDGER_RETRY_AFTER = 5
"""Seconds after which a caller may ask again when the ledger could not be used."""

THROTTLED_WITHOUT_WORD = 1.0


def refusal_of(error: Exception) -> RefusedError | None:
    """Return the refusal that an exception of the service stands for; None for an exception that nobody foresaw.

    A ``reason`` beside the usual members holds the code and the sentence of an outside system's refusal.
    """
    match error:
        case RefusedError():
            return error
        case NotNewestError(newest=newest):
            message = f"Delivery {newest} is the document's newest one; retry that one."
            return RefusedError(NOT_NEWEST, message, beside={"newest": newest})
        case PollRunningError():
            return RefusedError(POLL_RUNNING, "Another process is polling this tenant. Ask again later.")
        case LedgerError():
            message = f"The ledger cannot be used now ({error.code}). The log says more; nothing was changed."
            return RefusedError(LEDGER_UNAVAILABLE, message, headers={"Retry-After": str(LEDGER_RETRY_AFTER)})
        case ActionConflictError() | ActionRefusedError():
            return source_refusal(error)
        case OutcomeError():
            return _outcome(error)
        case _:
            return refusal_of_action(error)


def _outcome(error: OutcomeError) -> RefusedError:
    match error:
        case OutboxAbsentError():
            return _refusal(OUTBOX_ABSENT, error.message, error)
        case CursorRefusedError():
            message = "Send next_cursor of the page before as it was given, or leave cursor out."
            return _refusal(BAD_CURSOR, message, error)
        case UnknownOutcomeError():
            return _refusal(OUTCOME_UNKNOWN, error.message, error, error.retry_after)
        case BlockedError():
            return _refusal(BLOCKED, f"Mend this first: {error.message}", error)
        case ThrottledError():
            return _refusal(UPSTREAM_THROTTLED, error.message, error, error.retry_after or THROTTLED_WITHOUT_WORD)
        case TransientError():
            return _refusal(UPSTREAM_UNAVAILABLE, error.message, error, error.retry_after)
        case RejectedError():
            return _refusal(UPSTREAM_REFUSED, error.message, error)
        case _:
            return _refusal(UPSTREAM_UNAVAILABLE, error.message, error)


def _refusal(code: Code, message: str, error: OutcomeError, retry_after: float | None = None) -> RefusedError:
    reason: dict[str, Any] = {"code": error.code, "message": error.message}
    headers = {} if retry_after is None else {"Retry-After": str(max(1, math.ceil(retry_after)))}
    return RefusedError(code, message, beside={"reason": reason}, headers=headers)
