"""Routes about deliveries: list them, look at one, make one or many once more."""

from typing import Final

import msgspec

from bridge.delivery.model import DeliveryFilter, State
from bridge.http.codes import (
    BAD_BODY,
    BAD_CURSOR,
    DELIVERY_NOT_FOUND,
    GIVEN_TWICE,
    LEDGER_UNAVAILABLE,
    NOT_NEWEST,
)
from bridge.http.models import BulkRetryBody, DeliveriesQuery, Filter, RetryBody
from bridge.http.problems import ErrorEntry, RefusedError
from bridge.http.routing import Answer, Call, Route
from bridge.runtime import NotFoundError
from bridge.shapes.deliveries import DeliveryDetailShape, DeliveryShape, delivery_detail_shape, delivery_shape

RETRIED_BY_DEFAULT: Final = frozenset({State.FAILED, State.PARKED})
"""What a retry of many means when it names no state: what did not get through."""


class DeliveriesShape(msgspec.Struct, frozen=True):
    """A page of deliveries, newest first. ``next_cursor`` leads to the next page, null on the last one."""

    data: tuple[DeliveryShape, ...]
    next_cursor: str | None


class BulkRetryShape(msgspec.Struct, frozen=True):
    """How many deliveries matched, which (the first 200), and whether it was only a look."""

    matched: int
    deliveries: tuple[str, ...]
    dry_run: bool


async def list_deliveries(call: Call) -> Answer:
    """Return a page of a tenant's deliveries, newest first, by state, document and error."""
    query: DeliveriesQuery = call.query
    try:
        page = await call.back.service.deliveries(query.of(call.tenant), limit=query.limit, cursor=query.cursor)
    except ValueError:
        message = "Send next_cursor of the page before as it was given, or leave cursor out."
        raise RefusedError(BAD_CURSOR, message) from None
    return Answer(DeliveriesShape(tuple(map(delivery_shape, page.deliveries)), page.next_cursor))


async def get_delivery(call: Call) -> Answer:
    """Return one delivery with its attempts and every outgoing request, to be held against the logs of both sides."""
    try:
        detail = await call.back.service.detail(call.tenant, call.path["delivery"])
    except NotFoundError:
        raise _no_such_delivery() from None
    return Answer(delivery_detail_shape(detail.delivery, detail.attempts, detail.requests))


async def retry(call: Call) -> Answer:
    """Make an ended delivery once more.

    The document is read anew and compared with the row: what stands there already is not written again. Only the
    document's newest delivery is made again.
    """
    body: RetryBody = call.body
    try:
        queued = await call.back.service.retry(call.tenant, call.path["delivery"], pinned=body.mapping == "same")
    except NotFoundError:
        raise _no_such_delivery() from None
    return Answer(delivery_shape(queued), 200 if queued.at_rest else 202)


async def retry_many(call: Call) -> Answer:
    """Make every delivery once more that matches a filter, given in the query or in the body.

    Without a state it is the failed and the parked ones. Look with `dry_run` first.
    """
    body: BulkRetryBody = call.body
    report = await call.back.service.retry_matching(
        _filter(call.tenant, call.query, body), pinned=body.mapping == "same", dry_run=body.dry_run
    )
    return Answer(BulkRetryShape(report.matched, tuple(report.deliveries), report.dry_run))


def _filter(tenant: str, query: Filter, body: BulkRetryBody) -> DeliveryFilter:
    both = [name for name in Filter.model_fields if name in query.model_fields_set & body.model_fields_set]
    if both:
        errors = [
            ErrorEntry("body", name, GIVEN_TWICE, "This stands in the query as well. Give it once.") for name in both
        ]
        raise RefusedError(BAD_BODY, f"{both[0]}: {errors[0].message}", errors=errors)
    return DeliveryFilter(
        tenant,
        query.state or body.state or RETRIED_BY_DEFAULT,
        query.document_id or body.document_id,
        query.error_code or body.error_code,
    )


def _no_such_delivery() -> RefusedError:
    return RefusedError(
        DELIVERY_NOT_FOUND, "The tenant has no delivery with this id; it may have passed its retention."
    )


ROUTES: Final = (
    Route(
        "GET",
        "/v1/tenants/{tenant}/deliveries",
        "Deliveries, newest first",
        list_deliveries,
        {200: DeliveriesShape},
        query=DeliveriesQuery,
        codes=(BAD_CURSOR, LEDGER_UNAVAILABLE),
    ),
    Route(
        "POST",
        "/v1/tenants/{tenant}/deliveries/retry",
        "Make many deliveries once more, by a filter",
        retry_many,
        {200: BulkRetryShape},
        body=BulkRetryBody,
        query=Filter,
        codes=(LEDGER_UNAVAILABLE,),
    ),
    Route(
        "GET",
        "/v1/tenants/{tenant}/deliveries/{delivery}",
        "One delivery with its attempts and every outgoing request",
        get_delivery,
        {200: DeliveryDetailShape},
        codes=(DELIVERY_NOT_FOUND, LEDGER_UNAVAILABLE),
    ),
    Route(
        "POST",
        "/v1/tenants/{tenant}/deliveries/{delivery}/retry",
        "Make a delivery once more",
        retry,
        {200: DeliveryShape, 202: DeliveryShape},
        body=RetryBody,
        codes=(DELIVERY_NOT_FOUND, NOT_NEWEST, LEDGER_UNAVAILABLE),
    ),
)
