"""From a request to its answer: who asks, what for, whether they may, and what the service says to it."""

import asyncio
import logging
from typing import Any, Final

import structlog
from aiohttp import web

from bridge.http.codes import (
    INTERNAL_ERROR,
    OPERATOR_KEY_NEEDED,
    RECONFIGURED,
    STARTING,
    TENANT_NOT_FOUND,
)
from bridge.http.keys import Caller, Keys, authenticate
from bridge.http.openapi.document import Description
from bridge.http.problems import RefusedError
from bridge.http.readiness import Readiness
from bridge.http.reading import read_body, read_key, read_query, read_raw
from bridge.http.refusals import refusal_of
from bridge.http.routing import Access, Answer, Back, Call, Match, RouteTable
from bridge.http.statuses import Statuses
from bridge.http.table import ROUTES, SECTIONS
from bridge.http.use_cases import UseCases
from bridge.metrics import Metrics
from bridge.runtime import NotFoundError
from bridge.shapes.encoding import encode

log = logging.getLogger(__name__)

_ANYONE: Final = Caller(operator=False)


class Api:
    """Answers requests on behalf of the use cases. ``keys`` may be exchanged at any time."""

    def __init__(self, cases: UseCases, metrics: Metrics, keys: Keys) -> None:
        self.keys = keys
        service = cases.service
        self._back = Back(cases, metrics, Readiness(service), Statuses(service), asyncio.Event(), Description(SECTIONS))
        self._table = RouteTable(ROUTES)

    def stop_waiting(self) -> None:
        """Let calls that wait for a delivery answer now."""
        self._back.stopping.set()

    async def answer(self, request: web.BaseRequest, request_id: str) -> web.Response:
        """Return the answer to a request. Raises ``RefusedError`` for every one that is no success.

        Every line that is logged on the way carries the request id.
        """
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            return _response(await self._answer(request))
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            # Not this call was cancelled but the work that it had joined: its tenant's line was replaced or taken away.
            message = "The tenant's configuration was changed meanwhile. Send the request again."
            raise RefusedError(RECONFIGURED, message, headers={"Retry-After": "1"}) from None
        except NotFoundError:
            raise _no_such_tenant() from None
        except Exception as error:
            refused = refusal_of(error)
            if refused is None:
                log.exception("a request met an unforeseen error")
                message = "The bridge's log says more under this request id."
                refused = RefusedError(INTERNAL_ERROR, message)
            raise refused from None

    async def _answer(self, request: web.BaseRequest) -> Answer:
        path = request.rel_url.raw_path
        caller = _ANYONE
        # Under /v1 nothing is told without a key, not even what there is.
        if path == "/v1" or path.startswith("/v1/"):
            caller = authenticate(self.keys, request.headers)
        match = self._table.match(request.method, path)
        route = match.route
        if route.access is Access.OPERATOR:
            caller = authenticate(self.keys, request.headers)
            if not caller.operator:
                raise RefusedError(
                    OPERATOR_KEY_NEEDED, "This shows every tenant. Use a key of api_keys in bridge.yaml."
                )
        if route.access is not Access.PUBLIC:
            self._check_tenant(match, caller)
        query = read_query(request, route.query)
        key = read_key(request) if route.idempotent else None
        body: Any = None
        if route.raw:
            body = await read_raw(request)
        elif route.body is not None:
            body = await read_body(request, route.body)
        return await route.handler(Call(self._back, caller, route, match.path, request.headers, query, body, key))

    def _check_tenant(self, match: Match, caller: Caller) -> None:
        tenant = match.path.get("tenant")
        if tenant is None:
            return
        service = self._back.service
        if not caller.may_see(tenant):
            raise _no_such_tenant()
        if not service.has_tenant(tenant):
            if not service.complete:
                message = "The tenants are being put to work. Send the request again."
                raise RefusedError(STARTING, message, headers={"Retry-After": "1"})
            raise _no_such_tenant()


def _no_such_tenant() -> RefusedError:
    return RefusedError(
        TENANT_NOT_FOUND, "There is no such tenant, or this key is not good for it. GET /v1/me lists yours."
    )


def _response(answer: Answer) -> web.Response:
    if answer.status == 204:
        return web.Response(status=204, headers=answer.headers)
    body = answer.shape if isinstance(answer.shape, bytes) else encode(answer.shape)
    return web.Response(
        status=answer.status, body=body, headers={**answer.headers, "Content-Type": answer.content_type}
    )
