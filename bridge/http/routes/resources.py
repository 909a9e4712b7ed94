"""Routes to Numora's other resources: a closed list, with the tenant's key, under Numora's own paths."""

from typing import Any, Final

from bridge.http.asking import asked, passed_on
from bridge.http.codes import (
    BAD_CURSOR,
    BLOCKED,
    LEDGER_UNAVAILABLE,
    NO_RESOURCES,
    OUTCOME_UNKNOWN,
    UPSTREAM_CONFLICT,
    UPSTREAM_NOT_FOUND,
    UPSTREAM_REFUSED,
    UPSTREAM_THROTTLED,
    UPSTREAM_UNAVAILABLE,
)
from bridge.http.models import NoBody, PageQuery
from bridge.http.models_reviews import DestinationBody, PassedOnBody, SourceMappingBody, WorkflowDispatchBody
from bridge.http.routing import Answer, Call, Route
from bridge.shapes.actions import ResourceListShape

_ROOT: Final = "/v1/tenants/{tenant}/numora"

_READING: Final = (
    NO_RESOURCES,
    BLOCKED,
    UPSTREAM_NOT_FOUND,
    UPSTREAM_CONFLICT,
    UPSTREAM_REFUSED,
    UPSTREAM_UNAVAILABLE,
    UPSTREAM_THROTTLED,
    LEDGER_UNAVAILABLE,
)
_LISTING: Final = (*_READING, BAD_CURSOR)
_CHANGING: Final = (*_READING, OUTCOME_UNKNOWN)


async def list_schemas(call: Call) -> Answer:
    """Return the document schemas that Numora knows."""
    return await _list(call, "schemas")


async def list_destinations(call: Call) -> Answer:
    """Return the downstream systems that the workspace is connected with. Credentials are never part of it."""
    return await _list(call, "destinations")


async def create_destination(call: Call) -> Answer:
    """Connect a downstream system. Keys without a type of their own are handed on; credentials are never shown."""
    return await _change(call, "create_destination")


async def test_destination(call: Call) -> Answer:
    """Have Numora test a connection."""
    return await _change(call, "test_destination", id=call.path["destination"])


async def get_source_mapping(call: Call) -> Answer:
    """Return Numora's own mapping for a schema and a destination. The bridge's mappings are files of its own."""
    return await _read(call, "mapping", **_mapping(call))


async def put_source_mapping(call: Call) -> Answer:
    """Replace Numora's own mapping for a schema and a destination; the body is handed on as it is."""
    return await _change(call, "put_mapping", **_mapping(call))


async def list_workflows(call: Call) -> Answer:
    """Return Numora's workflows."""
    return await _list(call, "workflows")


async def dispatch_workflow(call: Call) -> Answer:
    """Run a workflow for a reviewed document. Every call is a new run, unless it repeats an `Idempotency-Key`."""
    return await _change(call, "dispatch_workflow", id=call.path["workflow"])


async def get_run(call: Call) -> Answer:
    """Return a run of a workflow."""
    return await _read(call, "run", id=call.path["run"])


async def list_run_logs(call: Call) -> Answer:
    """Return what the nodes of a run did."""
    return await _list(call, "run_logs", id=call.path["run"])


def _mapping(call: Call) -> dict[str, str]:
    return {"schema": call.path["schema"], "destination": call.path["destination"]}


async def _read(call: Call, operation: str, **path: str) -> Answer:
    return passed_on(await call.back.use_cases.resources.call(call.tenant, operation, path=path))


async def _list(call: Call, operation: str, **path: str) -> Answer:
    query: PageQuery = call.query
    # Numora documents no limit for these: its own default is better than one of ours.
    limit = query.limit if "limit" in query.model_fields_set else None
    answered = await call.back.use_cases.resources.call(
        call.tenant, operation, path=path, limit=limit, cursor=query.cursor
    )
    return passed_on(answered)


async def _change(call: Call, operation: str, **path: str) -> Answer:
    body: PassedOnBody | WorkflowDispatchBody | NoBody = call.body
    given: dict[str, Any] = body.given() if isinstance(body, PassedOnBody) else body.model_dump()
    answered = await call.back.use_cases.resources.call(call.tenant, operation, asked(call), path=path, body=given)
    return passed_on(answered)


ROUTES: Final = (
    Route(
        "GET",
        f"{_ROOT}/schemas",
        "Numora's document schemas",
        list_schemas,
        {200: ResourceListShape},
        query=PageQuery,
        codes=_LISTING,
    ),
    Route(
        "GET",
        f"{_ROOT}/destinations",
        "Numora's connections to downstream systems",
        list_destinations,
        {200: ResourceListShape},
        query=PageQuery,
        codes=_LISTING,
    ),
    Route(
        "POST",
        f"{_ROOT}/destinations",
        "Connect a downstream system",
        create_destination,
        {200: dict[str, Any], 201: dict[str, Any], 202: dict[str, Any]},
        body=DestinationBody,
        codes=_CHANGING,
        idempotent=True,
    ),
    Route(
        "POST",
        f"{_ROOT}/destinations/{{destination}}/test",
        "Have a connection tested",
        test_destination,
        {200: dict[str, Any], 202: dict[str, Any]},
        body=NoBody,
        codes=_CHANGING,
        idempotent=True,
    ),
    Route(
        "GET",
        f"{_ROOT}/mappings/{{schema}}/{{destination}}",
        "Numora's own mapping",
        get_source_mapping,
        {200: dict[str, Any]},
        codes=_READING,
    ),
    Route(
        "PUT",
        f"{_ROOT}/mappings/{{schema}}/{{destination}}",
        "Replace Numora's own mapping",
        put_source_mapping,
        {200: dict[str, Any], 201: dict[str, Any], 202: dict[str, Any]},
        body=SourceMappingBody,
        codes=_CHANGING,
        idempotent=True,
    ),
    Route(
        "GET",
        f"{_ROOT}/workflows",
        "Numora's workflows",
        list_workflows,
        {200: ResourceListShape},
        query=PageQuery,
        codes=_LISTING,
    ),
    Route(
        "POST",
        f"{_ROOT}/workflows/{{workflow}}/dispatch",
        "Run a workflow for a document",
        dispatch_workflow,
        {200: dict[str, Any], 202: dict[str, Any]},
        body=WorkflowDispatchBody,
        codes=_CHANGING,
        idempotent=True,
    ),
    Route("GET", f"{_ROOT}/runs/{{run}}", "A run of a workflow", get_run, {200: dict[str, Any]}, codes=_READING),
    Route(
        "GET",
        f"{_ROOT}/runs/{{run}}/logs",
        "What the nodes of a run did",
        list_run_logs,
        {200: ResourceListShape},
        query=PageQuery,
        codes=_LISTING,
    ),
)
