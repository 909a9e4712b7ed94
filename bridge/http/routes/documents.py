"""Routes about documents: deliver one now, see what a delivery would do, look at one, hand one in."""

import asyncio
from typing import Final

from bridge.delivery.model import Delivery, DeliveryFilter
from bridge.http.asking import asked, passed_on
from bridge.http.codes import (
    BAD_BODY,
    BAD_VALUE,
    BLOCKED,
    DOCUMENT_NOT_FOUND,
    FORBIDDEN_URL,
    LEDGER_UNAVAILABLE,
    MANAGED_MODE,
    NO_ACTIONS,
    OUTCOME_UNKNOWN,
    STOPPING,
    UPSTREAM_CONFLICT,
    UPSTREAM_NOT_FOUND,
    UPSTREAM_REFUSED,
    UPSTREAM_THROTTLED,
    UPSTREAM_UNAVAILABLE,
)
from bridge.http.models import DeliverBody, NoBody, SubmitBody
from bridge.http.problems import ErrorEntry, RefusedError
from bridge.http.routing import Answer, Call, Route
from bridge.runtime import NotFoundError
from bridge.shapes.actions import DocumentShape, SubmittedShape
from bridge.shapes.deliveries import DeliveryShape, delivery_shape
from bridge.shapes.previews import PreviewShape, preview_shape


async def deliver(call: Call) -> Answer:
    """Deliver a document now, and wait for it if you like; 200 when it has ended, 202 when it is under way.

    It may be repeated at will: a document has one delivery under way at most, and one that was delivered and has not
    changed is not written again. With `resume_url` one signed message with the delivery is sent there once it has
    ended; the same address for the same document again is the same call.
    """
    body: DeliverBody = call.body
    document = call.path["document"]
    resume = None
    if body.resume_url is not None:
        resume = call.back.use_cases.outbound.resume_endpoint(call.tenant, document, body.resume_url, call.caller.key)
    asking = asyncio.create_task(
        call.back.service.deliver(call.tenant, document, wait=body.wait, force=body.force, resume=resume)
    )
    stopping = asyncio.create_task(call.back.stopping.wait())
    try:
        await asyncio.wait({asking, stopping}, return_when=asyncio.FIRST_COMPLETED)
        delivery = await asking if asking.done() else await _as_it_stands(call, asking)
    except NotFoundError:
        call.require_tenant()
        raise no_such_document() from None
    finally:
        asking.cancel()
        stopping.cancel()
    return Answer(delivery_shape(delivery), 200 if delivery.at_rest else 202)


async def _as_it_stands(call: Call, asking: asyncio.Task[Delivery]) -> Delivery:
    """Give up waiting, since the bridge stops; the delivery itself goes on when it is back."""
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    wanted = DeliveryFilter(call.tenant, document_id=call.path["document"])
    page = await call.back.service.deliveries(wanted, limit=1)
    if not page.deliveries:
        raise RefusedError(STOPPING, "The bridge is stopping. Send the request again.", headers={"Retry-After": "5"})
    return page.deliveries[0]


async def preview(call: Call) -> Answer:
    """Tell what a delivery would do: the plan, every problem, and how the row as it is differs. Nothing is written."""
    try:
        shown = await call.back.service.preview(call.tenant, call.path["document"])
    except NotFoundError:
        call.require_tenant()
        raise no_such_document() from None
    return Answer(preview_shape(shown))


async def get_document(call: Call) -> Answer:
    """Return a document with its result as the source gives them, and its deliveries, newest first."""
    try:
        return Answer(await call.back.use_cases.actions.view(call.tenant, call.path["document"]))
    except NotFoundError:
        call.require_tenant()
        raise no_such_document() from None


async def submit_document(call: Call) -> Answer:
    """Hand in a document at the source. The same `external_id` again is the same document.

    Without `external_id` the `Idempotency-Key` is taken for it, so that a repeat is safe in either case.
    """
    body: SubmitBody = call.body
    external_id = body.external_id or call.key
    if external_id is None:
        message = "Send external_id, or an Idempotency-Key: without either a repeat would be another document."
        errors = [ErrorEntry("body", "external_id", BAD_VALUE, message)]
        raise RefusedError(BAD_BODY, f"external_id: {message}", errors=errors)
    answered = await call.back.use_cases.actions.submit(
        call.tenant,
        asked(call),
        schema=body.schema_,
        file_url=body.file_url,
        external_id=external_id,
        metadata=body.metadata,
    )
    return passed_on(answered)


def no_such_document() -> RefusedError:
    """Return the refusal for a document that the source does not have."""
    message = "The source has no document with this id, or does not show it to this tenant's key."
    return RefusedError(DOCUMENT_NOT_FOUND, message)


_UPSTREAM: Final = (BLOCKED, UPSTREAM_REFUSED, UPSTREAM_UNAVAILABLE, UPSTREAM_THROTTLED, LEDGER_UNAVAILABLE)

ROUTES: Final = (
    Route(
        "POST",
        "/v1/tenants/{tenant}/documents/{document}/deliver",
        "Deliver a document now",
        deliver,
        {200: DeliveryShape, 202: DeliveryShape},
        body=DeliverBody,
        codes=(DOCUMENT_NOT_FOUND, FORBIDDEN_URL, LEDGER_UNAVAILABLE),
    ),
    Route(
        "POST",
        "/v1/tenants/{tenant}/documents/{document}/preview",
        "What a delivery would do",
        preview,
        {200: PreviewShape},
        body=NoBody,
        codes=(DOCUMENT_NOT_FOUND, MANAGED_MODE, *_UPSTREAM),
    ),
    Route(
        "GET",
        "/v1/tenants/{tenant}/documents/{document}",
        "A document, its result and its deliveries",
        get_document,
        {200: DocumentShape},
        codes=(DOCUMENT_NOT_FOUND, NO_ACTIONS, *_UPSTREAM),
    ),
    Route(
        "POST",
        "/v1/tenants/{tenant}/documents",
        "Hand in a document",
        submit_document,
        {202: SubmittedShape},
        body=SubmitBody,
        codes=(NO_ACTIONS, UPSTREAM_NOT_FOUND, UPSTREAM_CONFLICT, OUTCOME_UNKNOWN, *_UPSTREAM),
        idempotent=True,
    ),
)
