"""What Dataverse says when it refuses, and what follows from it: the table in docs/dataverse.md as code.

The ``error.code`` decides wherever there is one, since a status such as 412 stands for several things.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgspec
from pydantic import BaseModel, ConfigDict, ValidationError, field_validator

from connectors.http import Answer, decode_json
from connectors.outcome import (
    BlockedError,
    OutcomeError,
    RejectedError,
    ThrottledError,
    TransientError,
    UnknownOutcomeError,
)
from mappings.plan import Problem

_KEY_TAKEN = frozenset({"0x80060892", "0x80040237", "0x80073002"})
_VERSION_MISMATCH = "0x80060882"
_NOT_FOUND = frozenset({"0x80060891", "0x80040217"})
_ROLLED_BACK = frozenset({"0x80044150", "0x80044151", "0x80040255"})
_THROTTLED = frozenset({"0x80072321", "0x80072322", "0x80072326"})
_NO_RIGHTS = frozenset({"0x80040220", "0x80048306"})
_BAD_SEGMENT = frozenset({"0x80060888", "0x8006088a"})
_ABOUT_THE_DATA = {
    "0x80044331": "text_too_long",
    "0x80040265": "business_rule",
    "0x80040333": "duplicate_rule",
    "0x80048d19": "refused_by_target",
    "0x80040203": "refused_by_target",
}
_UNDECLARED = re.compile(
    r"undeclared property|invalid property '|could not find a property named|does not exist on type|"
    r"doesn't contain attribute",
    re.IGNORECASE,
)
_UNTOLD_PAUSE = 5.0

Namer = Callable[[str], tuple[str | None, str | None]]
"""Finds in a message of the server the source field and the column that it is about."""


class _Error(BaseModel):
    model_config = ConfigDict(extra="ignore")

    code: str = ""
    message: str = ""

    @field_validator("code", "message", mode="before")
    @classmethod
    def _as_text(cls, value: Any) -> str:
        return "" if value is None else str(value)


class _ErrorBody(BaseModel):
    model_config = ConfigDict(extra="ignore")

    error: _Error


@dataclass(frozen=True, slots=True)
class Refusal:
    """A status of 300 or more, with what the body said. ``code`` is lower-case, empty when there was none.

    ``told`` is False when the body was no Dataverse error: something else answered, or the answer broke off.
    """

    status: int
    code: str
    message: str
    told: bool
    retry_after: float | None = None

    @property
    def taken(self) -> bool:
        """Tell whether a row with this key exists already."""
        return self.code in _KEY_TAKEN or self.bare_conflict

    @property
    def bare_conflict(self) -> bool:
        """Tell whether a code is missing that says which: a taken key, or another version where one was asked for."""
        return self.status in {409, 412} and self.told and not self.code

    @property
    def row_changed(self) -> bool:
        """Tell whether the row is no longer the version that was read."""
        return self.code == _VERSION_MISMATCH

    @property
    def not_found(self) -> bool:
        """Tell whether a row that the request names is not there."""
        return self.code in _NOT_FOUND or (self.status == 404 and self.told and not self.code)

    @property
    def undeclared(self) -> bool:
        """Tell whether a name in the request is not one of the table's: what we know of the table is out of date."""
        return self.status in {400, 404} and (self.code in _BAD_SEGMENT or _UNDECLARED.search(self.message) is not None)


def refusal_of(answer: Answer) -> Refusal:
    """Read a refusal out of an answer."""
    return read_refusal(answer.status, answer.body, retry_after=answer.retry_after)


def read_refusal(status: int, body: bytes, *, retry_after: float | None = None) -> Refusal:
    """Read a refusal out of a status and a body, of an answer or of one part of a batch."""
    try:
        error = _ErrorBody.model_validate(decode_json(body)).error
    except (msgspec.DecodeError, ValidationError, RecursionError):
        return Refusal(status, "", "", told=False, retry_after=retry_after)
    return Refusal(status, error.code.strip().lower(), error.message.strip(), told=True, retry_after=retry_after)


def nobody(_: str) -> tuple[None, None]:
    """Find nothing."""
    return None, None


def outcome_of(refusal: Refusal, purpose: str, *, mutating: bool, name: Namer = nobody) -> OutcomeError:
    """Return what follows from a refusal, ready to be raised.

    ``name`` finds the field that a refusal of the data is about. For a request that reads, a refusal is never the
    document's fault, and blocks instead of rejecting.
    """
    told = refusal.message or f"status {refusal.status} and no reason"
    code, status = refusal.code, refusal.status
    passing = _passing(refusal, told, purpose)
    if passing is not None:
        return passing
    if code in _NO_RIGHTS or status in {401, 403}:
        return BlockedError(
            "forbidden",
            f"Dataverse does not allow {purpose}: {told}. Give the application user a security role with rights to it.",
        )
    if code in _ABOUT_THE_DATA:
        return _rejected(refusal, told, name)
    if status >= 500 or status == 408:
        kind = UnknownOutcomeError if mutating else TransientError
        return kind(
            "server_error", f"Dataverse answered {purpose} with {status}: {told}", retry_after=refusal.retry_after
        )
    if status < 400:
        return BlockedError("redirected", f"Dataverse answered {purpose} with a redirect. Check the environment's url.")
    if not refusal.told:
        return TransientError("bad_answer", f"{purpose} was answered with {status} by something that is not Dataverse.")
    if not mutating:
        return BlockedError("read_refused", f"Dataverse refused {purpose} ({status} {code}): {told}")
    return _rejected(refusal, told, name)


def _passing(refusal: Refusal, told: str, purpose: str) -> TransientError | None:
    """Return what had no effect and may go well later; None when it is something else."""
    if refusal.code in _ROLLED_BACK:
        return TransientError(
            "rolled_back", f"Dataverse rolled {purpose} back: {told}", retry_after=refusal.retry_after
        )
    if refusal.code in _THROTTLED or refusal.status == 429:
        pause = _UNTOLD_PAUSE if refusal.retry_after is None else refusal.retry_after
        return ThrottledError("throttled", f"Dataverse asked for a pause: {told}", retry_after=pause)
    if refusal.row_changed or (refusal.status == 412 and not refusal.taken and refusal.code not in _ABOUT_THE_DATA):
        return TransientError("row_changed", f"Someone else changed the row during {purpose}; it is read again.")
    return None


def _rejected(refusal: Refusal, told: str, name: Namer) -> RejectedError:
    field, column = name(refusal.message)
    code = _ABOUT_THE_DATA.get(refusal.code, "refused_by_target")
    suffix = f" ({refusal.code})" if refusal.code else ""
    return RejectedError((Problem(field, column, code, f"Dynamics refused the data: {told}{suffix}"),))
