"""The route table: what there is at which path, and which entry a request means.

Segments are matched before they are decoded, so that an id may hold an encoded slash; whatever is in it arrives as it
was meant.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote_to_bytes

from pydantic import BaseModel

from bridge.events.subscriptions import Subscriptions
from bridge.http.codes import BAD_PATH, METHOD_NOT_ALLOWED, NO_SUCH_ROUTE, Code
from bridge.http.keys import Caller
from bridge.http.problems import RefusedError
from bridge.http.readiness import Readiness
from bridge.http.statuses import Statuses
from bridge.http.use_cases import UseCases
from bridge.metrics import Metrics
from bridge.runtime import NotFoundError
from bridge.service import Service

if TYPE_CHECKING:
    from bridge.http.openapi.document import Description

LONGEST_ID: Final = 512
"""Characters that an id in a path may have."""

_CONTROL: Final = re.compile("[\x00-\x1f\x7f]")
_DOTS: Final = frozenset({".", ".."})


class Access(Enum):
    """Who may use a route. A route with ``{tenant}`` in its path is for keys that are good for that tenant."""

    PUBLIC = "public"
    ANY_KEY = "any_key"
    OPERATOR = "operator"


@dataclass(frozen=True, slots=True)
class Back:
    """What stands behind the routes. ``stopping`` is set when the bridge is about to stop: waits end then.

    ``description`` is that of the API.
    """

    use_cases: UseCases
    metrics: Metrics
    readiness: Readiness
    statuses: Statuses
    stopping: asyncio.Event
    description: "Description"

    @property
    def service(self) -> Service:
        """What is asked about deliveries and tenants."""
        return self.use_cases.service

    @property
    def subscriptions(self) -> Subscriptions:
        """What is asked about who is told."""
        return self.use_cases.outbound.subscriptions


@dataclass(frozen=True, slots=True)
class Call:
    """One request as its handler sees it.

    ``body`` and ``query`` are what the route's models made of it; ``body`` is bytes where the route takes it raw.
    ``headers`` are looked up regardless of case. ``key`` is the ``Idempotency-Key`` where the route heeds it.
    """

    back: Back
    caller: Caller
    route: "Route"
    path: Mapping[str, str]
    headers: Mapping[str, str]
    query: Any
    body: Any
    key: str | None = None

    @property
    def tenant(self) -> str:
        """The tenant that the path names; the caller may act for it."""
        return self.path["tenant"]

    def require_tenant(self) -> None:
        """Raise ``NotFoundError`` if the tenant was taken away meanwhile."""
        if not self.back.service.has_tenant(self.tenant):
            raise NotFoundError(self.tenant)


@dataclass(frozen=True, slots=True)
class Answer:
    """What a handler answers: a shape to be written as JSON, or bytes with their own content type. 204 has neither."""

    shape: Any
    status: int = 200
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)


Handler = Callable[[Call], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Route:
    """One entry of the table.

    ``path`` names its parameters in braces. The handler's name is the operation's, its docstring what the API's
    description says of it. ``answers`` leads from status to the type of the shape, None where there is no body.
    ``codes`` are the errors beyond those that every route of this kind has. ``raw`` tells that the body is taken as
    bytes, whatever it is; ``idempotent`` that an ``Idempotency-Key`` is heeded; ``described`` that it stands in the
    API's description.
    """

    method: str
    path: str
    summary: str
    handler: Handler
    answers: Mapping[int, Any]
    access: Access = Access.ANY_KEY
    body: type[BaseModel] | None = None
    query: type[BaseModel] | None = None
    codes: tuple[Code, ...] = ()
    raw: bool = False
    idempotent: bool = False
    described: bool = True

    @property
    def parameters(self) -> tuple[str, ...]:
        """The names of the path's parameters."""
        return tuple(part[1:-1] for part in self.segments if part.startswith("{"))

    @property
    def segments(self) -> tuple[str, ...]:
        """The parts of the path between its slashes."""
        return tuple(self.path.removeprefix("/").split("/"))


@dataclass(frozen=True, slots=True)
class Match:
    """The route that a request means, and the decoded parameters of its path."""

    route: Route
    path: Mapping[str, str]


class RouteTable:
    """Finds the route of a request. An entry with a fixed segment goes before one with a parameter at that place."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = [
            (route.segments, route)
            for route in sorted(routes, key=lambda route: [s[:1] == "{" for s in route.segments])
        ]

    def match(self, method: str, raw_path: str) -> Match:
        """Return the match for a path as it came in; HEAD counts as GET. Raises ``RefusedError`` without one."""
        segments = raw_path.removeprefix("/").split("/")
        fitting = [route for pattern, route in self._routes if _fits(pattern, segments)]
        # A fixed segment is never read as an id, whatever the method.
        found = [route for route in fitting if route.path == fitting[0].path]
        if not found:
            raise RefusedError(NO_SUCH_ROUTE, "There is nothing at this path. Check it against the API's description.")
        wanted = "GET" if method == "HEAD" else method
        route = next((route for route in found if route.method == wanted), None)
        if route is None:
            methods = {route.method for route in found}
            allowed = ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))
            message = f"This path takes {allowed}."
            raise RefusedError(METHOD_NOT_ALLOWED, message, headers={"Allow": allowed})
        parameters = {
            part[1:-1]: _decoded(segment)
            for part, segment in zip(route.segments, segments, strict=True)
            if part.startswith("{")
        }
        return Match(route, parameters)


def _fits(pattern: Sequence[str], segments: Sequence[str]) -> bool:
    if len(pattern) != len(segments):
        return False
    return all(
        bool(segment) if part.startswith("{") else part == segment
        for part, segment in zip(pattern, segments, strict=True)
    )


def _decoded(segment: str) -> str:
    try:
        value = unquote_to_bytes(segment).decode("utf-8")
    except UnicodeError:
        raise RefusedError(BAD_PATH, "An id in the path is not UTF-8. Percent-encode its UTF-8 bytes.") from None
    if _CONTROL.search(value):
        raise RefusedError(BAD_PATH, "An id in the path holds a control character; no id has one.")
    if value in _DOTS:
        # Encoded dots are dots to whoever tidies paths up: they would lead to another resource of the source.
        raise RefusedError(BAD_PATH, "An id in the path is dots alone; no id is. Send the id itself.")
    if len(value) > LONGEST_ID:
        raise RefusedError(BAD_PATH, f"An id in the path is longer than {LONGEST_ID} characters.")
    return value
