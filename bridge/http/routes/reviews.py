"""Routes about reviews of sources that have them: list, look, approve, reject."""

from typing import Final, NoReturn

from bridge.http.asking import asked, passed_on
from bridge.http.codes import (
    BAD_CURSOR,
    BLOCKED,
    DECIDED_OTHERWISE,
    LEDGER_UNAVAILABLE,
    NO_REVIEWS,
    OUTCOME_UNKNOWN,
    REVIEW_CANCELLED,
    REVIEW_CONFLICT,
    REVIEW_INVALID,
    REVIEW_NOT_FOUND,
    SUPERSEDED_VERSIONS,
    UPSTREAM_REFUSED,
    UPSTREAM_THROTTLED,
    UPSTREAM_UNAVAILABLE,
)
from bridge.http.models_reviews import ApproveReviewBody, RejectReviewBody, ReviewsQuery
from bridge.http.problems import RefusedError
from bridge.http.routing import Answer, Call, Route
from bridge.runtime import NotFoundError
from bridge.shapes.actions import DecisionShape
from bridge.shapes.reviews import ReviewDetailShape, ReviewsShape

_READING: Final = (NO_REVIEWS, BLOCKED, UPSTREAM_REFUSED, UPSTREAM_UNAVAILABLE, UPSTREAM_THROTTLED, LEDGER_UNAVAILABLE)
_DECIDING: Final = (
    *_READING,
    REVIEW_NOT_FOUND,
    DECIDED_OTHERWISE,
    SUPERSEDED_VERSIONS,
    REVIEW_CANCELLED,
    REVIEW_CONFLICT,
    REVIEW_INVALID,
    OUTCOME_UNKNOWN,
)


async def list_reviews(call: Call) -> Answer:
    """Return a page of reviews, the one opened first at the top, each as its source gives it.

    Without `decision_status` those that are not decided yet. For tenants with `source.kind: retab`.
    """
    query: ReviewsQuery = call.query
    answered = await call.back.use_cases.decisions.reviews(
        call.tenant,
        decision_status=query.decision_status,
        workflow_id=query.workflow_id,
        limit=query.limit,
        cursor=query.cursor,
    )
    return passed_on(answered)


async def get_review(call: Call) -> Answer:
    """Return a review with its versions, oldest first.

    `latest_version_ids` are the versions that no other was made from: more than one when several people corrected the
    same version.
    """
    try:
        return passed_on(await call.back.use_cases.decisions.review(call.tenant, call.path["review"]))
    except NotFoundError:
        _no_such_review(call)


async def approve_review(call: Call) -> Answer:
    """Approve a version.

    `already_applied` is a success: the same decision was on record before. Another decision is a 409
    `decided_otherwise` with the review that has it. Other latest versions that would be discarded are a 409
    `superseded_versions` with their ids; they are never acknowledged unless the request names them. `resume_status`
    and `run_status` tell what became of the run that waited.
    """
    body: ApproveReviewBody = call.body
    try:
        answered = await call.back.use_cases.decisions.approve(
            call.tenant,
            call.path["review"],
            asked(call),
            version_id=body.version_id,
            acknowledged=body.acknowledged_superseded_version_ids,
        )
    except NotFoundError:
        _no_such_review(call)
    return passed_on(answered)


async def reject_review(call: Call) -> Answer:
    """Reject a review, by the version that was looked at, with a reason. Conflicts are told as for an approval."""
    body: RejectReviewBody = call.body
    try:
        answered = await call.back.use_cases.decisions.reject(
            call.tenant, call.path["review"], asked(call), version_id=body.version_id, reason=body.reason
        )
    except NotFoundError:
        _no_such_review(call)
    return passed_on(answered)


def _no_such_review(call: Call) -> NoReturn:
    call.require_tenant()
    raise RefusedError(REVIEW_NOT_FOUND, "There is no review with this id, or the tenant's key does not open it.")


ROUTES: Final = (
    Route(
        "GET",
        "/v1/tenants/{tenant}/reviews",
        "Reviews, the one opened first at the top",
        list_reviews,
        {200: ReviewsShape},
        query=ReviewsQuery,
        codes=(*_READING, BAD_CURSOR),
    ),
    Route(
        "GET",
        "/v1/tenants/{tenant}/reviews/{review}",
        "One review with its versions",
        get_review,
        {200: ReviewDetailShape},
        codes=(*_READING, REVIEW_NOT_FOUND),
    ),
    Route(
        "POST",
        "/v1/tenants/{tenant}/reviews/{review}/approve",
        "Approve a version",
        approve_review,
        {200: DecisionShape},
        body=ApproveReviewBody,
        codes=_DECIDING,
        idempotent=True,
    ),
    Route(
        "POST",
        "/v1/tenants/{tenant}/reviews/{review}/reject",
        "Reject a review",
        reject_review,
        {200: DecisionShape},
        body=RejectReviewBody,
        codes=_DECIDING,
        idempotent=True,
    ),
)
