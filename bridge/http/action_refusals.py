"""What actions and decisions raise, as the error that a caller is answered."""

from collections.abc import Mapping
from typing import Any, Final

from bridge.actions.asked import (
    ActionError,
    InProgressError,
    KeyReusedError,
    NotKnownError,
    StaleError,
    UnsupportedError,
)
from bridge.events.endpoints import EndpointRefusedError
from bridge.http.codes import (
    CODES,
    CONFLICT,
    DECIDED_OTHERWISE,
    FORBIDDEN_URL,
    HOOK_REFUSED,
    HOOK_UNREADABLE,
    IDEMPOTENCY_IN_PROGRESS,
    IDEMPOTENCY_KEY_REUSED,
    NO_ACTIONS,
    NO_REVIEWS,
    OUTCOME_UNKNOWN,
    REVIEW_CONFLICT,
    REVIEW_INVALID,
    REVIEW_NOT_FOUND,
    SUPERSEDED_VERSIONS,
    UPSTREAM_CONFLICT,
    UPSTREAM_NOT_FOUND,
    UPSTREAM_REFUSED,
    Code,
)
from bridge.http.problems import RefusedError
from connectors.capabilities import ActionConflictError, ActionRefusedError
from connectors.hooks import HookRefusedError
from connectors.reviews import DecidedOtherwiseError, ReviewError, ReviewRefusedError, SupersededVersionsError

SOON: Final = {"Retry-After": "1"}

_BY_STATUS: Final[Mapping[int, Code]] = {404: UPSTREAM_NOT_FOUND, 409: UPSTREAM_CONFLICT}
_REVIEWS_BY_STATUS: Final[Mapping[int, Code]] = {404: REVIEW_NOT_FOUND, 409: REVIEW_CONFLICT}


def refusal_of_action(error: Exception) -> RefusedError | None:
    """Return the refusal that an error of an action, decision, subscription or hook stands for; None for others."""
    match error:
        case ActionError():
            return _action(error)
        case ReviewError():
            return _review(error)
        case EndpointRefusedError():
            # An address that is not sent to, or a change that a subscription does not take.
            return RefusedError(CODES.get(error.code, FORBIDDEN_URL), str(error))
        case HookRefusedError():
            return _hook(error)
        case _:
            return None


def _action(error: ActionError) -> RefusedError:
    match error:
        case StaleError():
            beside = {"updated_at": error.updated_at, "document": error.document}
            return RefusedError(CONFLICT, error.message, beside=beside)
        case KeyReusedError():
            return RefusedError(IDEMPOTENCY_KEY_REUSED, error.message)
        case InProgressError():
            return RefusedError(IDEMPOTENCY_IN_PROGRESS, error.message, headers=SOON)
        case UnsupportedError():
            return RefusedError(CODES.get(error.code, NO_ACTIONS), error.message)
        case NotKnownError():
            return RefusedError(OUTCOME_UNKNOWN, error.message)
        case _:
            return RefusedError(CODES.get(error.code, UPSTREAM_REFUSED), error.message)


def source_refusal(error: ActionConflictError | ActionRefusedError) -> RefusedError:
    """Return the refusal for what the source itself does not take."""
    reason = _reason(error.code, error.message)
    if isinstance(error, ActionConflictError):
        return RefusedError(CONFLICT, error.message, beside={"updated_at": error.updated_at, "reason": reason})
    return RefusedError(_BY_STATUS.get(error.status, UPSTREAM_REFUSED), error.message, beside={"reason": reason})


def _review(error: ReviewError) -> RefusedError:
    match error:
        case DecidedOtherwiseError():
            return RefusedError(DECIDED_OTHERWISE, error.message, beside={"review": error.review})
        case SupersededVersionsError():
            beside = {"superseded_version_ids": error.superseded_version_ids}
            return RefusedError(SUPERSEDED_VERSIONS, error.message, beside=beside)
        case ReviewRefusedError():
            code = CODES.get(error.code) or _REVIEWS_BY_STATUS.get(error.status, REVIEW_INVALID)
            return RefusedError(code, error.message)
        case _:
            return RefusedError(CODES.get(error.code, NO_REVIEWS), error.message)


def _hook(error: HookRefusedError) -> RefusedError:
    code = HOOK_UNREADABLE if error.authentic else HOOK_REFUSED
    headers = {} if error.authentic else {"WWW-Authenticate": "Signature"}
    return RefusedError(code, error.message, beside={"reason": _reason(error.code, error.message)}, headers=headers)


def _reason(code: str, message: str) -> dict[str, Any]:
    return {"code": code, "message": message}
