"""Retab's refusals, in the envelopes that its own clients are written to accept."""

from collections.abc import Sequence
from typing import Any, Literal

SupersededShape = Literal["details", "error", "message", "text"]
"""Where a 409 names the versions that would be discarded; which of them is the real one is not published."""


class RefusedError(Exception):
    """A request is not taken: the HTTP status, and the body that says why."""

    def __init__(self, status: int, body: Any) -> None:
        super().__init__(str(body))
        self.status = status
        self.body = body


def envelope(error: str | dict[str, Any]) -> dict[str, Any]:
    """Return the usual body: what is said stands innermost."""
    return {
        "detail": {
            "code": "HTTP_EXCEPTION",
            "message": "An HTTP exception occurred.",
            "details": {"error": error},
        }
    }


def refused(status: int, error: str | dict[str, Any]) -> RefusedError:
    """Return a refusal in the usual envelope."""
    return RefusedError(status, envelope(error))


def invalid(place: Sequence[str | int], message: str, kind: str = "value_error", given: Any = None) -> RefusedError:
    """Return a 422 about one part of a request."""
    return RefusedError(422, {"detail": [{"loc": list(place), "msg": message, "type": kind, "input": given}]})


def superseded(ids: Sequence[str], shape: SupersededShape) -> RefusedError:
    """Return the 409 for a version that is not the only latest one."""
    named = ", ".join(ids)
    message = f"This would discard other latest versions: {named}. Acknowledge them to go on."
    if shape == "details":
        error: Any = {
            "code": "superseded_versions_not_acknowledged",
            "message": "Other latest versions would be discarded.",
            "details": {"superseded_version_ids": list(ids)},
        }
        return RefusedError(409, {"detail": error})
    if shape == "error":
        error = {"code": "superseded_versions", "message": message, "version_ids": list(ids)}
        return refused(409, error)
    if shape == "message":
        return refused(409, message)
    return RefusedError(409, {"detail": message})
