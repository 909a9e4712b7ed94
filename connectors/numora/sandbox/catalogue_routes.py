"""The routes of Numora's other resources."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from aiohttp import web

from connectors.numora.sandbox.actions import dispatch_workflow
from connectors.numora.sandbox.catalogue import SCHEMAS
from connectors.numora.sandbox.documents import Workspace

if TYPE_CHECKING:
    from connectors.numora.sandbox.server import NumoraSandbox

Answering = Callable[[Workspace, web.Request, bytes], Any]
_PAGE = 100


def catalogue_routes(sandbox: "NumoraSandbox") -> Iterable[web.RouteDef]:
    """Return the routes for schemas, destinations, mappings, workflows and runs."""

    def answers(make: Answering, status: int = 200) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        return sandbox.in_workspace(
            lambda request, workspace, body: sandbox.answer_json(make(workspace, request, body), status)
        )

    def part(request: web.Request, name: str) -> str:
        return request.match_info[name]

    mapping = "/v1/mappings/{schema}/{destination}"
    return (
        web.get("/v1/schemas", answers(lambda _, __, ___: {"data": SCHEMAS})),
        web.get("/v1/destinations", answers(lambda w, r, _: _page(list(w.catalogue.destinations.values()), r))),
        web.post("/v1/destinations", answers(lambda w, _, body: w.catalogue.create_destination(body), 201)),
        web.post("/v1/destinations/{id}/test", answers(lambda w, r, _: w.catalogue.test_destination(part(r, "id")))),
        web.get(mapping, answers(lambda w, r, _: w.catalogue.mapping(part(r, "schema"), part(r, "destination")))),
        web.put(
            mapping,
            answers(lambda w, r, body: w.catalogue.put_mapping(part(r, "schema"), part(r, "destination"), body)),
        ),
        web.get("/v1/workflows", answers(lambda w, _, __: {"data": list(w.catalogue.workflows.values())})),
        web.post(
            "/v1/workflows/{id}/dispatch", answers(lambda w, r, body: dispatch_workflow(w, part(r, "id"), body), 202)
        ),
        web.get("/v1/runs/{id}", answers(lambda w, r, _: w.catalogue.run(part(r, "id")).resource())),
        web.get("/v1/runs/{id}/logs", answers(lambda w, r, _: {"data": w.catalogue.run(part(r, "id")).logs})),
    )


def _page(entries: list[Any], request: web.Request) -> dict[str, Any]:
    """Return a page; a cursor is a place in the list."""
    limit, cursor = request.query.get("limit", ""), request.query.get("cursor", "").removeprefix("cur_")
    size = int(limit) if limit.isdecimal() else _PAGE
    begin = int(cursor) if cursor.isdecimal() else 0
    end = begin + size
    return {"data": entries[begin:end], "next_cursor": f"cur_{end}" if end < len(entries) else None}
