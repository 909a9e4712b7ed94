"""Routes about what a person does with a document at the source: approve, reject, have it delivered there."""

from typing import Final

from bridge.actions.asked import Answered
from bridge.http.asking import asked, passed_on
from bridge.http.codes import (
    BLOCKED,
    CONFLICT,
    DOCUMENT_NOT_FOUND,
    LEDGER_UNAVAILABLE,
    NO_ACTIONS,
    OUTCOME_UNKNOWN,
    UPSTREAM_CONFLICT,
    UPSTREAM_REFUSED,
    UPSTREAM_THROTTLED,
    UPSTREAM_UNAVAILABLE,
)
from bridge.http.models import ApproveDocumentBody, NoBody, RejectDocumentBody
from bridge.http.routes.documents import no_such_document
from bridge.http.routing import Answer, Call, Route
from bridge.runtime import NotFoundError
from bridge.shapes.actions import DispatchShape, ReviewActionShape


async def approve_document(call: Call) -> Answer:
    """Approve a document as it was seen; its delivery begins at once.

    A document that was changed since `expected_updated_at` is a 409 `conflict`, with its current `updated_at` and the
    document as it is now, and nothing is done. Approving twice is one effect.
    """
    body: ApproveDocumentBody = call.body
    state = body.review_state.model_dump() if body.review_state is not None else None
    try:
        answered = await call.back.use_cases.actions.approve(
            call.tenant,
            call.path["document"],
            asked(call),
            expected_updated_at=body.expected_updated_at,
            review_state=state,
        )
    except NotFoundError:
        call.require_tenant()
        raise no_such_document() from None
    return passed_on(answered)


async def reject_document(call: Call) -> Answer:
    """Send a document back to review.

    `delivery_effect` says what that meant for a delivery under way: `none`, there was none; `superseded`, it ended
    before its write; `written`, its write had begun, and is corrected once the document is approved again.
    """
    body: RejectDocumentBody = call.body
    try:
        answered = await call.back.use_cases.actions.reject(
            call.tenant, call.path["document"], asked(call), expected_updated_at=body.expected_updated_at
        )
    except NotFoundError:
        call.require_tenant()
        raise no_such_document() from None
    return passed_on(answered)


async def retry_push(call: Call) -> Answer:
    """Have the source deliver a reviewed document once more; 200 with `repeated` when it is on its way already."""
    return await _deliver_there(call, again=True)


async def dispatch_document(call: Call) -> Answer:
    """Have the source deliver a reviewed document; 200 with `repeated` when it is on its way already."""
    return await _deliver_there(call, again=False)


async def _deliver_there(call: Call, *, again: bool) -> Answer:
    actions = call.back.use_cases.actions
    ask = actions.retry_push if again else actions.dispatch
    try:
        answered: Answered = await ask(call.tenant, call.path["document"], asked(call))
    except NotFoundError:
        call.require_tenant()
        raise no_such_document() from None
    return passed_on(answered)


_CODES: Final = (
    NO_ACTIONS,
    DOCUMENT_NOT_FOUND,
    BLOCKED,
    UPSTREAM_CONFLICT,
    UPSTREAM_REFUSED,
    UPSTREAM_UNAVAILABLE,
    UPSTREAM_THROTTLED,
    OUTCOME_UNKNOWN,
    LEDGER_UNAVAILABLE,
)

ROUTES: Final = (
    Route(
        "POST",
        "/v1/tenants/{tenant}/documents/{document}/approve",
        "Approve a document",
        approve_document,
        {200: ReviewActionShape},
        body=ApproveDocumentBody,
        codes=(*_CODES, CONFLICT),
        idempotent=True,
    ),
    Route(
        "POST",
        "/v1/tenants/{tenant}/documents/{document}/reject",
        "Send a document back to review",
        reject_document,
        {200: ReviewActionShape},
        body=RejectDocumentBody,
        codes=(*_CODES, CONFLICT),
        idempotent=True,
    ),
    Route(
        "POST",
        "/v1/tenants/{tenant}/documents/{document}/retry-push",
        "Have the source deliver a document once more",
        retry_push,
        {200: DispatchShape, 202: DispatchShape},
        body=NoBody,
        codes=_CODES,
        idempotent=True,
    ),
    Route(
        "POST",
        "/v1/tenants/{tenant}/documents/{document}/dispatch",
        "Have the source deliver a document",
        dispatch_document,
        {200: DispatchShape, 202: DispatchShape},
        body=NoBody,
        codes=_CODES,
        idempotent=True,
    ),
)
