"""Decisions about reviews of sources that have reviews, and what they mean for deliveries."""

from collections.abc import Sequence
from typing import Final

import msgspec

from bridge.actions.asked import Answered, Asked, UnsupportedError
from bridge.actions.desk import ActionDesk, ActionJournal, Done
from bridge.ledger.protocol import Ledger
from bridge.runtime import NotFoundError, Runtime
from bridge.shapes.encoding import encode
from connectors.reviews import Decision, Reviews

DEFAULT_PAGE: Final = 50


class ReviewDecisions:
    """Reads reviews and decides about them by ``source.capabilities.reviews``.

    Every method raises ``NotFoundError`` (no such tenant or review), ``UnsupportedError`` (``no_reviews``), the
    source's ``OutcomeError``s and the ``ReviewError``s of ``connectors.reviews``. Decisions raise ``KeyReusedError``
    and ``InProgressError`` as well.
    """

    def __init__(self, runtime: Runtime, ledger: Ledger) -> None:
        self._runtime = runtime
        self._desk = ActionDesk(ledger, runtime.clock)

    async def reviews(
        self,
        tenant: str,
        *,
        decision_status: str | None = None,
        workflow_id: str | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Answered:
        """Return a page of reviews, as ``connectors.reviews.ReviewPage``."""
        page = await self._reviews(tenant).list_reviews(
            decision_status=decision_status, workflow_id=workflow_id, limit=limit or DEFAULT_PAGE, cursor=cursor
        )
        return _answered(page)

    async def review(self, tenant: str, review_id: str) -> Answered:
        """Return a review with ``versions``, oldest first, and ``latest_version_ids`` beside its own keys."""
        detail = await self._reviews(tenant).review(review_id)
        if detail is None:
            raise NotFoundError(review_id)
        beside = {"versions": detail.versions, "latest_version_ids": detail.latest_version_ids}
        return _answered({**detail.review, **beside})

    async def approve(
        self,
        tenant: str,
        review_id: str,
        asked: Asked,
        *,
        version_id: str,
        acknowledged: Sequence[str] = (),
    ) -> Answered:
        """Approve a version: 200 with a ``connectors.reviews.Decision``.

        Its delivery begins at once, by a poll, which knows which reviews are documents of this tenant.
        """
        line, reviews = self._runtime.line(tenant), self._reviews(tenant)

        async def do(journal: ActionJournal) -> Done:
            decision = await reviews.approve(review_id, version_id, acknowledged, journal)
            if decision.submission_status == "accepted":
                line.schedule.poll_soon()
            return Done(200, decision)

        return await self._desk.act(tenant, "approve_review", review_id, asked, do, repeatable=True)

    async def reject(self, tenant: str, review_id: str, asked: Asked, *, version_id: str, reason: str) -> Answered:
        """Reject a version: 200 with a ``connectors.reviews.Decision``.

        A review is decided once, and only an approved one is delivered: no delivery of it can be under way.
        """
        reviews = self._reviews(tenant)

        async def do(journal: ActionJournal) -> Done:
            decision: Decision = await reviews.reject(review_id, version_id, reason, journal)
            return Done(200, decision)

        return await self._desk.act(tenant, "reject_review", review_id, asked, do, repeatable=True)

    def _reviews(self, tenant: str) -> Reviews:
        source = self._runtime.line(tenant).lane.source
        if source.capabilities.reviews is None:
            raise UnsupportedError("no_reviews", f"A source of kind {source.kind} has no reviews.")
        return source.capabilities.reviews


def _answered(value: object) -> Answered:
    return Answered(200, msgspec.Raw(encode(value)))
