"""Refusals: RFC 9457 ``application/problem+json``, the one shape of every error that the HTTP API answers."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from aiohttp import web

from bridge.http.codes import Code
from bridge.shapes.encoding import encode

CONTENT_TYPE = "application/problem+json"

_NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class ErrorEntry:
    """One thing that is wrong with a request: where it stands, its name, a stable code, and what to do."""

    where: Literal["body", "query"]
    name: str
    code: str
    message: str


class RefusedError(Exception):
    """The request is answered with an error.

    ``detail`` says what to do next. ``errors`` lists everything that is wrong, ``beside`` holds further members of the
    problem, ``headers`` further headers. With ``close`` the connection ends, since the body was not read.
    """

    def __init__(
        self,
        code: Code,
        detail: str,
        *,
        errors: Sequence[ErrorEntry] = (),
        beside: Mapping[str, Any] = _NOTHING,
        headers: Mapping[str, str] = _NOTHING,
        close: bool = False,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.errors = tuple(errors)
        self.beside = beside
        self.headers = headers
        self.close = close


def problem_type(code: Code) -> str:
    """Return the ``type`` of a problem: a URN that ends in the code."""
    return f"urn:numora-bridge:problem:{code.name}"


def problem_response(refused: RefusedError, request_id: str) -> web.Response:
    """Return the answer that tells of a refusal: type, title, status, detail, code, request_id, and errors if any."""
    code = refused.code
    problem: dict[str, Any] = {
        "type": problem_type(code),
        "title": code.meaning,
        "status": code.status,
        "detail": refused.detail,
        "code": code.name,
        "request_id": request_id,
        **refused.beside,
    }
    if refused.errors:
        problem["errors"] = [
            {"in": entry.where, "name": entry.name, "code": entry.code, "message": entry.message}
            for entry in refused.errors
        ]
    response = web.Response(status=code.status, body=encode(problem), content_type=CONTENT_TYPE)
    response.headers.update(refused.headers)
    if refused.close:
        response.force_close()
    return response
