"""Routes about documents: deliver one now, or see what a delivery would do."""

import asyncio
from typing import Final

from bridge.delivery.model import Delivery, DeliveryFilter
from bridge.http.codes import (
    BLOCKED,
    DOCUMENT_NOT_FOUND,
    LEDGER_UNAVAILABLE,
    RESUME_URL_UNSUPPORTED,
    STOPPING,
    UPSTREAM_REFUSED,
    UPSTREAM_THROTTLED,
    UPSTREAM_UNAVAILABLE,
)
from bridge.http.models import DeliverBody, NoBody
from bridge.http.problems import RefusedError
from bridge.http.routing import Answer, Call, Route
from bridge.preview_shapes import PreviewShape, preview_shape
from bridge.service import NotFoundError
from bridge.shapes import DeliveryShape, delivery_shape


async def deliver(call: Call) -> Answer:
    """Deliver a document because someone asked; 200 when it ended while they waited, 202 when it is under way."""
    body: DeliverBody = call.body
    if body.resume_url is not None:
        message = "Leave resume_url out; send wait, or ask for the delivery later."
        raise RefusedError(RESUME_URL_UNSUPPORTED, message)
    asked = asyncio.create_task(
        call.back.service.deliver(call.tenant, call.path["document"], wait=body.wait, force=body.force)
    )
    stopping = asyncio.create_task(call.back.stopping.wait())
    try:
        await asyncio.wait({asked, stopping}, return_when=asyncio.FIRST_COMPLETED)
        delivery = await asked if asked.done() else await _as_it_stands(call, asked)
    finally:
        asked.cancel()
        stopping.cancel()
    return Answer(delivery_shape(delivery), 200 if delivery.at_rest else 202)


async def _as_it_stands(call: Call, asked: asyncio.Task[Delivery]) -> Delivery:
    """Give up waiting, since the bridge stops; the delivery itself goes on when it is back."""
    asked.cancel()
    await asyncio.gather(asked, return_exceptions=True)
    wanted = DeliveryFilter(call.tenant, document_id=call.path["document"])
    page = await call.back.service.deliveries(wanted, limit=1)
    if not page.deliveries:
        raise RefusedError(STOPPING, "The bridge is stopping. Send the request again.", headers={"Retry-After": "5"})
    return page.deliveries[0]


async def preview(call: Call) -> Answer:
    """Tell what a delivery would do; nothing is written."""
    try:
        shown = await call.back.service.preview(call.tenant, call.path["document"])
    except NotFoundError:
        message = "The source has no document with this id, or does not show it to this tenant's key."
        raise RefusedError(DOCUMENT_NOT_FOUND, message) from None
    return Answer(preview_shape(shown))


ROUTES: Final = (
    Route(
        "POST",
        "/v1/tenants/{tenant}/documents/{document}/deliver",
        "Deliver a document now",
        deliver,
        {200: DeliveryShape, 202: DeliveryShape},
        body=DeliverBody,
        codes=(RESUME_URL_UNSUPPORTED, LEDGER_UNAVAILABLE),
    ),
    Route(
        "POST",
        "/v1/tenants/{tenant}/documents/{document}/preview",
        "What a delivery would do",
        preview,
        {200: PreviewShape},
        body=NoBody,
        codes=(
            DOCUMENT_NOT_FOUND,
            BLOCKED,
            UPSTREAM_REFUSED,
            UPSTREAM_UNAVAILABLE,
            UPSTREAM_THROTTLED,
            LEDGER_UNAVAILABLE,
        ),
    ),
)
