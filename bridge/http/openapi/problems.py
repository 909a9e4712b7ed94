"""Which errors a route may answer, by status, and how the API's description shows them."""

import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from bridge.http.codes import (
    BAD_BODY,
    BAD_IDEMPOTENCY_KEY,
    BAD_JSON,
    BAD_PATH,
    BAD_QUERY,
    BAD_REQUEST,
    CODES,
    IDEMPOTENCY_IN_PROGRESS,
    IDEMPOTENCY_KEY_REUSED,
    INTERNAL_ERROR,
    NO_SUCH_ROUTE,
    RECONFIGURED,
    SLOW_BODY,
    STARTING,
    STOPPING,
    TENANT_NOT_FOUND,
    TOO_LARGE,
    UNAUTHORIZED,
    UNSUPPORTED_MEDIA,
    Code,
)
from bridge.http.problems import CONTENT_TYPE, problem_type
from bridge.http.routing import Access, Route
from bridge.remedies import REQUEST_REMEDIES

ALWAYS_ANSWERED: Final = frozenset({"/healthz", "/readyz"})
"""Paths that are answered whatever state the bridge is in."""

_MARKS: Final = re.compile(r"\[([^]]+)\]\([^)]*\)|`")

_REASON: Final = {
    "type": "object",
    "properties": {"code": {"type": "string"}, "message": {"type": "string"}},
    "required": ["code", "message"],
}

PROBLEM_DETAILS: Final = "ProblemDetails"
"""The name of an error's schema; `Problem` is that of what keeps a document from being delivered."""

PROBLEM_SCHEMA: Final[Mapping[str, Any]] = {
    "type": "object",
    "description": "An error, RFC 9457. Branch on `code`, which is stable; `detail` says what to do next.",
    "properties": {
        "type": {"type": "string", "description": "A URN that ends in the code."},
        "title": {"type": "string", "description": "What the code means."},
        "status": {"type": "integer", "description": "The HTTP status."},
        "detail": {"type": "string", "description": "What happened in this case, and what to do next."},
        "code": {"type": "string", "description": "The stable code."},
        "request_id": {"type": "string", "description": "Under this id the log says more."},
        "errors": {
            "type": "array",
            "description": "Everything that is wrong with the request.",
            "items": {
                "type": "object",
                "properties": {
                    "in": {"enum": ["body", "query"]},
                    "name": {"type": "string"},
                    "code": {"type": "string"},
                    "message": {"type": "string"},
                },
                "required": ["in", "name", "code", "message"],
            },
        },
        "reason": {**_REASON, "description": "An outside system's code and sentence, where it is the reason."},
        "newest": {"type": "string", "description": "With `not_newest`: the document's newest delivery."},
        "updated_at": {
            "type": ["string", "null"],
            "description": "With `conflict`: when the document was changed last, to be sent as `expected_updated_at`.",
        },
        "document": {
            "anyOf": [{"$ref": "#/components/schemas/Document"}, {"type": "null"}],
            "description": "With `conflict`: the document as it is now.",
        },
        "review": {"type": "object", "description": "With `decided_otherwise`: the review with the decision it has."},
        "superseded_version_ids": {
            "type": "array",
            "items": {"type": "string"},
            "description": "With `superseded_versions`: the versions that a decision would discard.",
        },
    },
    "required": ["type", "title", "status", "detail", "code", "request_id"],
}


def codes_of(route: Route) -> tuple[Code, ...]:
    """Return every error that a route may answer, those that all routes of its kind have among them."""
    codes = [BAD_REQUEST, BAD_QUERY, *route.codes]
    if route.path not in ALWAYS_ANSWERED:
        codes += [INTERNAL_ERROR, STARTING, STOPPING]
    if route.access is not Access.PUBLIC:
        codes.append(UNAUTHORIZED)
    if route.parameters:
        codes += [BAD_PATH, NO_SUCH_ROUTE]
    if "tenant" in route.parameters and route.access is not Access.PUBLIC:
        codes += [TENANT_NOT_FOUND, RECONFIGURED]
    if route.raw:
        codes += [SLOW_BODY, TOO_LARGE]
    if route.body is not None:
        codes += [BAD_JSON, BAD_BODY, SLOW_BODY, TOO_LARGE, UNSUPPORTED_MEDIA]
    if route.idempotent:
        codes += [BAD_IDEMPOTENCY_KEY, IDEMPOTENCY_KEY_REUSED, IDEMPOTENCY_IN_PROGRESS]
    return tuple(sorted(set(codes), key=lambda code: (code.status, code.name)))


def problem_answers(codes: Iterable[Code]) -> dict[str, Any]:
    """Return the description of the errors by status; each tells its codes, and shows an example of each."""
    by_status: dict[int, list[Code]] = {}
    for code in codes:
        by_status.setdefault(code.status, []).append(code)
    return {str(status): problem_answer(found) for status, found in by_status.items()}


def problem_answer(codes: list[Code]) -> dict[str, Any]:
    """Return the description of the errors that share a status."""
    headers = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
    if codes[0].status in {409, 502, 503}:
        headers["Retry-After"] = {"$ref": "#/components/headers/Retry-After"}
    return {
        "description": "\n".join(f"- `{code.name}`: {code.meaning}." for code in codes),
        "headers": headers,
        "content": {
            CONTENT_TYPE: {
                "schema": {
                    "allOf": [
                        {"$ref": f"#/components/schemas/{PROBLEM_DETAILS}"},
                        {"properties": {"code": {"enum": [code.name for code in codes]}}},
                    ]
                },
                "examples": {code.name: {"$ref": f"#/components/examples/{code.name}"} for code in codes},
            }
        },
    }


def problem_examples() -> dict[str, Any]:
    """Return an example of each error by its code; its detail is the general remedy."""
    return {
        code.name: {
            "summary": code.meaning,
            "value": {
                "type": problem_type(code),
                "title": code.meaning,
                "status": code.status,
                "detail": _MARKS.sub(r"\1", REQUEST_REMEDIES[code.name]),
                "code": code.name,
                "request_id": "req_5d8f6c1c6c0f4b7fb2a4f1a1a0c2a7d3",
            },
        }
        for code in CODES.values()
    }
