"""What follows from a status that is not a success, and what Retab says with it, in any of its shapes."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec

from connectors.http import Answer, decode_json
from connectors.outcome import BlockedError, OutcomeError, RejectedError, TransientError
from mappings.plan import Problem

GONE: Final = frozenset({404, 410})
CURSOR_REFUSED: Final = frozenset({400, 404, 410, 422})

_ABOUT_THE_REVIEW: Final = frozenset({400, 414, 422})
_LATER: Final = frozenset({408, 409, 423, 425})
_UNAUTHORIZED: Final = 401
_FORBIDDEN: Final = 403
_LONGEST_WORD: Final = 300
_VERSION_ID: Final = re.compile(r"rvr_[A-Z2-7]{26}(?![A-Za-z0-9])")


class Words(msgspec.Struct, frozen=True):
    """What a refusal says: Retab's own code and sentence, as far as it gave them."""

    code: str | None = None
    message: str | None = None


def is_success(answer: Answer) -> bool:
    """Tell whether Retab did what it was asked."""
    return 200 <= answer.status < 300


def read_failure(answer: Answer, purpose: str) -> OutcomeError:
    """Return what a refused read means. 404 and 410 of a single resource are the caller's to judge."""
    if (failure := access_or_server(answer, purpose)) is not None:
        return failure
    said = told(answer)
    if answer.status in _LATER:
        return TransientError(
            "retab_not_ready",
            f"Retab cannot give the {purpose} yet ({said}). It is read again later.",
            retry_after=answer.retry_after,
        )
    if answer.status in _ABOUT_THE_REVIEW and purpose != "reviews":
        message = f"Retab refuses to give the {purpose} ({said}). Open the review in Retab and check its id."
        return RejectedError((Problem(None, None, "retab_refused", message),))
    return BlockedError(
        "retab_refused", f"Retab refuses the {purpose} ({said}). Check base_url and workflow_id in the tenant's file."
    )


def access_or_server(answer: Answer, purpose: str) -> OutcomeError | None:
    """Return what a refusal means that is not about what was asked for; None when it is about that."""
    said = told(answer)
    if answer.status == _UNAUTHORIZED:
        return BlockedError(
            "retab_unauthorized", f"Retab does not accept the API key ({said}). Give it a valid source.api_key."
        )
    if answer.status == _FORBIDDEN:
        return BlockedError(
            "retab_forbidden",
            f"The API key may not use the {purpose} ({said}). Use a key of the right organisation and environment.",
        )
    if answer.status < 400:
        return BlockedError(
            "retab_redirected",
            f"Retab points elsewhere ({said}), and the API key does not follow. Set base_url to the final address.",
        )
    if answer.status >= 500:
        return TransientError(
            "retab_unavailable", f"Retab has trouble ({said}). It is tried again later.", retry_after=answer.retry_after
        )
    return None


def told(answer: Answer) -> str:
    """Return the status with Retab's own code and sentence, as far as it gave them."""
    words = words_of(answer.body)
    return ", ".join(part for part in (str(answer.status), words.code, words.message) if part)


def words_of(body: bytes) -> Words:
    """Find code and sentence in an error's body, whichever of the known shapes it has; none in one that has another.

    The useful ones stand under ``detail.details.error`` where that is given, for what is around it says nothing.
    """
    content = _parsed(body)
    if not isinstance(content, Mapping):
        return Words()
    detail = content.get("detail")
    if isinstance(detail, str):
        return Words(None, _short(detail))
    if isinstance(detail, list):
        return Words("validation_error", _short("; ".join(filter(None, map(_place, detail)))))
    said = detail if isinstance(detail, Mapping) else content
    details = said.get("details")
    inner = details.get("error") if isinstance(details, Mapping) else None
    if isinstance(inner, str) and inner:
        return Words(None, _short(inner))
    if isinstance(inner, Mapping):
        said = inner
    return Words(_short(said.get("code")), _short(said.get("message")))


def version_ids_in(body: bytes) -> tuple[str, ...]:
    """Return every version id that an error names, wherever it stands, each once and in the order given."""
    return tuple(dict.fromkeys(_VERSION_ID.findall(body.decode("utf-8", "replace"))))


def _parsed(body: bytes) -> Any:
    try:
        return decode_json(body)
    except (ArithmeticError, msgspec.DecodeError, RecursionError):
        return None


def _place(entry: Any) -> str | None:
    """Put an entry of a validation error into words: where it is, and what is wrong there."""
    if not isinstance(entry, Mapping):
        return None
    place = entry.get("loc")
    where = ".".join(map(str, place)) if isinstance(place, Sequence) and not isinstance(place, str) else ""
    return f"{where}: {entry.get('msg')}" if where else str(entry.get("msg"))


def _short(text: Any) -> str | None:
    return text[:_LONGEST_WORD] if isinstance(text, str) and text else None
