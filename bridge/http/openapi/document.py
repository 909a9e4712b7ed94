"""The API's description, OpenAPI 3.1, made from the route table: what is not in the table is not in the API."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from importlib.metadata import PackageNotFoundError, version
from typing import Any, Final

import msgspec

from bridge.http.fields import LINE_PATTERN
from bridge.http.openapi.examples import ANSWERS, BODIES, PATHS
from bridge.http.openapi.problems import PROBLEM_DETAILS, PROBLEM_SCHEMA, codes_of, problem_answers, problem_examples
from bridge.http.openapi.schemas import REFERENCE, model_schemas, prose, query_parameters, shape_schemas
from bridge.http.reading import LARGEST_BODY
from bridge.http.routing import LONGEST_ID, Access, Route
from bridge.shapes.deliveries import DeliveryShape
from bridge.shapes.encoding import encode

DESCRIPTION: Final = """\
Deliver reviewed documents, look at deliveries, decide about documents, and be told how it went.

Send a key as `Authorization: Bearer KEY` or as `X-API-Key: KEY`. A tenant that a key may not see and one that does not
exist answer alike. Every error is `application/problem+json` (RFC 9457): branch on `code`, show `detail`. Moments are
UTC, ISO 8601 with milliseconds and `Z`. A value that is not known is null, never left out.
"""

ABOUT: Final[Mapping[str, str]] = {
    "Process": "Whether the process lives, is ready, and what it counts.",
    "Tenants": "Whose key this is, how its tenants are doing, and polling now.",
    "Deliveries": "What was delivered, what was not and why, and making it once more.",
    "Documents": "Delivering a document now, and deciding about it at the source.",
    "Reviews": "Reviews of tenants whose source has them.",
    "Subscriptions": "Who is told what happens, by signed messages.",
    "Numora": "Numora's other resources, with the tenant's key.",
    "Hooks": "Signed calls of outside systems.",
}
"""What each section of the table is about."""

PARAMETERS: Final[Mapping[str, str]] = {
    "tenant": "The tenant: the name of its file.",
    "delivery": "The delivery's id.",
    "document": "The document's id at the source, percent-encoded.",
    "review": "The review's id at the source, percent-encoded.",
    "subscription": "The subscription's id.",
    "destination": "The destination's id at Numora, percent-encoded.",
    "schema": "The schema's id at Numora, percent-encoded.",
    "workflow": "The workflow's id at Numora, percent-encoded.",
    "run": "The run's id at Numora, percent-encoded.",
    "hook": "Who calls: numora, executor or retab.",
}
"""What each parameter of a path says."""

_KEYS: Final[list[dict[str, list[str]]]] = [{"bearer": []}, {"header": []}]

_HEADERS: Final[Mapping[str, Any]] = {
    "X-Request-Id": {
        "description": "The id of this request, as it was sent or a new one. Under it the log says more.",
        "schema": {"type": "string"},
    },
    "Retry-After": {
        "description": "Seconds after which the request may be sent again.",
        "schema": {"type": "integer", "minimum": 1},
    },
    "Idempotency-Replayed": {
        "description": "Present when this is the answer that the first call with this Idempotency-Key was given.",
        "schema": {"const": "true"},
    },
}

_IDEMPOTENCY_KEY: Final[Mapping[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same key with the same request is answered as the first one was, and nothing is done again.",
    "schema": {"type": "string", "pattern": "^[!-~]{1,255}$", "minLength": 1, "maxLength": 255},
}


class Description:
    """The description of these routes as JSON: made when it is first asked for, and kept."""

    def __init__(self, sections: Mapping[str, Sequence[Route]]) -> None:
        self._sections = sections

    @cached_property
    def written(self) -> bytes:
        """The description, as bytes."""
        return encode(document(self._sections))


def document(sections: Mapping[str, Sequence[Route]]) -> dict[str, Any]:
    """Return the description of these routes, by their sections."""
    shown = {section: [route for route in routes if route.described] for section, routes in sections.items()}
    routes = [route for found in shown.values() for route in found]
    shapes = (shape for route in routes for shape in route.answers.values() if shape not in {None, bytes})
    answers, named = shape_schemas([DeliveryShape, *shapes])
    named |= model_schemas(route.body for route in routes if route.body is not None)
    paths: dict[str, dict[str, Any]] = {}
    for section, found in shown.items():
        for route in found:
            paths.setdefault(route.path, {})[route.method.lower()] = _operation(section, route, answers)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "numora-bridge",
            "summary": "Delivers reviewed documents, and lets others take part.",
            "description": DESCRIPTION,
            "license": {"name": "MIT", "identifier": "MIT"},
            "version": _version(),
        },
        "tags": [{"name": section, "description": ABOUT[section]} for section in shown],
        "paths": paths,
        "components": {
            "schemas": {**dict(sorted(named.items())), PROBLEM_DETAILS: PROBLEM_SCHEMA},
            "headers": _HEADERS,
            "examples": problem_examples(),
            "parameters": {"Idempotency-Key": _IDEMPOTENCY_KEY},
            "securitySchemes": {
                "bearer": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An operator's key or a tenant's, as `Authorization: Bearer KEY`.",
                },
                "header": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "X-API-Key",
                    "description": "The same keys, as `X-API-Key: KEY`.",
                },
            },
        },
    }


def operation_id(route: Route) -> str:
    """Return a route's name in the description: its handler's, as most languages write names."""
    first, *others = route.handler.__name__.split("_")
    return first + "".join(map(str.capitalize, others))


def _operation(section: str, route: Route, schemas: Mapping[Any, Mapping[str, Any]]) -> dict[str, Any]:
    parameters = [_path_parameter(name) for name in route.parameters]
    if route.query is not None:
        parameters += query_parameters(route.query)
    if route.idempotent:
        parameters.append({"$ref": "#/components/parameters/Idempotency-Key"})
    operation: dict[str, Any] = {
        "operationId": operation_id(route),
        "tags": [section],
        "summary": route.summary,
        "description": prose(route.handler.__doc__),
        "security": [] if route.access is Access.PUBLIC else _KEYS,
    }
    if parameters:
        operation["parameters"] = parameters
    if route.raw:
        operation["requestBody"] = _raw_body(route)
    elif route.body is not None:
        operation["requestBody"] = _body(route)
    successes = {str(status): _answer(route, status, shape, schemas) for status, shape in route.answers.items()}
    operation["responses"] = {**problem_answers(codes_of(route)), **successes}
    operation["responses"] = dict(sorted(operation["responses"].items()))
    return operation


def _path_parameter(name: str) -> dict[str, Any]:
    schema: dict[str, Any] = {
        "type": "string",
        "minLength": 1,
        "maxLength": LONGEST_ID,
        "pattern": LINE_PATTERN,
        "not": {"enum": [".", ".."]},
    }
    if name == "hook":
        schema = {"enum": ["numora", "executor", "retab"]}
    return {
        "name": name,
        "in": "path",
        "required": True,
        "description": PARAMETERS[name],
        "schema": schema,
        "example": PATHS[name],
    }


def _body(route: Route) -> dict[str, Any]:
    assert route.body is not None  # noqa: S101 - for the type checker
    needed = any(field.is_required() for field in route.body.model_fields.values())
    return {
        "required": needed,
        "description": prose(route.body.__doc__),
        "content": {
            "application/json": {
                "schema": {"$ref": REFERENCE + route.body.__name__},
                "examples": {"example": {"value": BODIES[operation_id(route)]}},
            }
        },
    }


def _raw_body(route: Route) -> dict[str, Any]:
    return {
        "required": True,
        "description": f"The call as its sender signed it, at most {LARGEST_BODY} bytes.",
        "content": {
            "application/json": {"schema": {}, "examples": {"example": {"value": BODIES[operation_id(route)]}}},
            "*/*": {"schema": {}},
        },
    }


def _answer(route: Route, status: int, shape: Any, schemas: Mapping[Any, Mapping[str, Any]]) -> dict[str, Any]:
    headers = {"X-Request-Id": {"$ref": "#/components/headers/X-Request-Id"}}
    if route.idempotent:
        headers["Idempotency-Replayed"] = {"$ref": "#/components/headers/Idempotency-Replayed"}
    answer: dict[str, Any] = {"description": _said(shape, status), "headers": headers}
    if shape is bytes:
        answer["content"] = {"text/plain": {"schema": {"type": "string"}}}
    elif shape is not None:
        example = ANSWERS[operation_id(route)][status]
        answer["content"] = {
            "application/json": {"schema": schemas[shape], "examples": {"example": {"value": example}}}
        }
    return answer


def _said(shape: Any, status: int) -> str:
    if isinstance(shape, type) and issubclass(shape, msgspec.Struct):
        return prose(shape.__doc__)
    return {204: "It is done."}.get(status, "What was asked for.")


def _version() -> str:
    try:
        return version("numora-bridge")
    except PackageNotFoundError:
        return "0.0.0+source"
