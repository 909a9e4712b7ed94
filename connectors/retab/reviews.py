"""Reviews read and decided through Retab.

A decision is known by its content, verdict and version: sent again it has no second effect. So after a lost answer the
review is read first; only when it holds no decision is the same one sent once more.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any, Final

import msgspec

from connectors.http import Answer
from connectors.outcome import BlockedError, OutcomeError, TransientError, UnknownOutcomeError
from connectors.ports import RequestLog
from connectors.retab.client import LARGEST_PAGE, RetabClient
from connectors.retab.listing import APPROVED, moment
from connectors.retab.models import DecisionAnswer, Review, Version, understand
from connectors.retab.refusals import access_or_server, is_success, told, version_ids_in
from connectors.reviews import (
    DecidedOtherwiseError,
    Decision,
    ReviewDetail,
    ReviewPage,
    ReviewRefusedError,
    SupersededVersionsError,
)

AWAITING_REVIEW: Final = "awaiting_review"

_REJECTED: Final = "rejected"
_ACTIONS: Final = {APPROVED: "approve", _REJECTED: "reject"}
_CONFLICT: Final = 409
_NOT_FOUND: Final = frozenset({404, 410})
_LATER: Final = frozenset({408, 423, 425})
_UNPROCESSABLE: Final = 422
_NEVER_RESUMES: Final = ("already completed", "already finished")
_FIRST_WAIT: Final = 0.25
_LONGEST_WAIT: Final = 1.0
_EARLIEST: Final = datetime.min.replace(tzinfo=UTC)

Sleep = Callable[[float], Awaitable[None]]


class _Wanted(msgspec.Struct, frozen=True):
    """A decision as it is to be: what is compared with the one on record, and the body that asks for it."""

    review_id: str
    verdict: str
    version_id: str
    body: Mapping[str, Any]

    def is_in(self, review: Review, *, absent: bool = False) -> bool:
        """Tell whether it is the one on record; ``absent`` is the answer when there is none."""
        decision = review.decision
        if decision is None:
            return absent
        return decision.verdict == self.verdict and decision.version_id == self.version_id


class RetabReviews:
    """The reviews that one tenant sees. ``resume_wait`` is in seconds: how long a run that waits is looked at."""

    def __init__(
        self,
        client: RetabClient,
        resume_wait: float,
        *,
        sleep: Sleep = asyncio.sleep,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._resume_wait = resume_wait
        self._sleep = sleep
        self._monotonic = monotonic

    async def list_reviews(
        self, *, decision_status: str | None, workflow_id: str | None, limit: int, cursor: str | None
    ) -> ReviewPage:
        """Read a page of reviews, the one opened first at the top; without ``decision_status`` those not yet decided.

        Raises ``CursorRefusedError`` besides the usual outcomes, and ``ReviewRefusedError`` for a filter that is none.
        """
        if workflow_id is not None and not self._client.may_see(workflow_id):
            return ReviewPage((), None)
        query = {
            "decision_status": decision_status or "pending",
            "order": "asc",
            "limit": str(min(limit, LARGEST_PAGE)),
        }
        if workflow_id is not None:
            query["workflow_id"] = workflow_id
        if cursor is not None:
            query["after"] = cursor
        try:
            page = await self._client.reviews(query, asked=True)
        except BlockedError as error:
            if error.code != "retab_refused":
                raise
            raise ReviewRefusedError(_UNPROCESSABLE, "review_invalid", error.message) from error
        rows = tuple(row for row in page.data if isinstance(row, dict))
        return ReviewPage(rows, None if page.after == cursor else page.after)

    async def review(self, review_id: str) -> ReviewDetail | None:
        """Read a review with all its versions; None when there is none that this tenant may see."""
        found = await self._client.review(review_id)
        if found is None:
            return None
        versions = sorted(await self._client.versions(review_id), key=lambda pair: _made_at(pair[0]))
        parents = {version.parent_id for version, _ in versions}
        latest = tuple(version.id for version, _ in versions if version.id not in parents)
        return ReviewDetail(found[1], tuple(row for _, row in versions), latest)

    async def approve(self, review_id: str, version_id: str, acknowledged: Sequence[str], log: RequestLog) -> Decision:
        """Approve a version. ``acknowledged`` are ids that a person saw and lets go; none is ever added to them."""
        body: dict[str, Any] = {"version_id": version_id}
        if acknowledged:
            body["acknowledged_superseded_version_ids"] = list(acknowledged)
        return await self._decide(_Wanted(review_id, APPROVED, version_id, body), log)

    async def reject(self, review_id: str, version_id: str, reason: str, log: RequestLog) -> Decision:
        """Reject a review, by the version that was looked at. ``reason`` is not empty."""
        body = {"version_id": version_id, "reason": reason}
        return await self._decide(_Wanted(review_id, _REJECTED, version_id, body), log)

    async def _decide(self, wanted: _Wanted, log: RequestLog) -> Decision:
        if not self._client.sees_all:
            await self._require(wanted.review_id, log)
        try:
            return await self._send(wanted, log)
        except UnknownOutcomeError as lost:
            decided = await self._recorded(lost, wanted, log)
        if decided is not None:
            return decided
        try:
            return await self._send(wanted, log)
        except UnknownOutcomeError as lost:
            decided = await self._recorded(lost, wanted, log)
            if decided is None:
                raise
            return decided

    async def _send(self, wanted: _Wanted, log: RequestLog) -> Decision:
        """Send the decision once. Raises ``UnknownOutcomeError`` when the answer does not tell what became of it."""
        action = _ACTIONS[wanted.verdict]
        answer = await self._client.decide(wanted.review_id, action, wanted.body, log)
        if not is_success(answer):
            raise await self._refusal(answer, wanted, log)
        try:
            content = understand(DecisionAnswer, answer.json(), f"answer to {action}")
            review = understand(Review, content.review, "review")
        except TransientError as error:
            raise UnknownOutcomeError(error.code, error.message, retry_after=error.retry_after) from error
        if content.submission_status == "conflict" or not wanted.is_in(review, absent=True):
            raise DecidedOtherwiseError(content.review)
        submitted = content.submission_status or "accepted"
        resumed, reason = content.resume_status, content.resume_error
        run_status = await self._run_status(review, resumed, reason, log)
        return Decision(submitted, resumed, reason, run_status, content.review)

    async def _recorded(self, lost: UnknownOutcomeError, wanted: _Wanted, log: RequestLog) -> Decision | None:
        """Look what is on record after an answer was lost; None when nothing is. Raises the loss when looking fails."""
        try:
            review, content = await self._require(wanted.review_id, log)
        except OutcomeError as error:
            raise lost from error
        if review.decision is None:
            if review.cancelled_at is not None:
                raise _cancelled()
            return None
        if not wanted.is_in(review):
            raise DecidedOtherwiseError(content)
        # Whether the run was resumed went lost with the answer, so the run itself is asked.
        run_status = await self._run_status(review, "pending", None, log)
        return Decision("already_applied", "pending", None, run_status, content)

    async def _refusal(self, answer: Answer, wanted: _Wanted, log: RequestLog) -> Exception:
        """Return what a refused decision means. A server error may come after its effect, so nothing is known then."""
        failure = access_or_server(answer, "decision")
        if isinstance(failure, TransientError):
            return UnknownOutcomeError(failure.code, failure.message, retry_after=failure.retry_after)
        if failure is not None:
            return failure
        said = told(answer)
        if answer.status in _NOT_FOUND:
            return ReviewRefusedError(404, "review_not_found", f"There is no such review, or version ({said}).")
        if answer.status == _CONFLICT:
            return await self._conflict(answer, wanted, log)
        if answer.status in _LATER:
            return TransientError(
                "retab_not_ready", f"Retab cannot take the decision yet ({said}). Send it again later."
            )
        return ReviewRefusedError(_UNPROCESSABLE, "review_invalid", f"Retab does not take the decision ({said}).")

    async def _conflict(self, answer: Answer, wanted: _Wanted, log: RequestLog) -> Exception:
        """Tell what a 409 is about. Where its ids stand is not published, and the review itself knows the rest."""
        said = told(answer)
        found = None
        with suppress(OutcomeError):
            found = await self._client.review(wanted.review_id, log)
        if found is not None:
            review, content = found
            if review.decision is not None and not wanted.is_in(review):
                return DecidedOtherwiseError(content)
            if review.cancelled_at is not None:
                return _cancelled()
        superseded = tuple(found for found in version_ids_in(answer.body) if found != wanted.version_id)
        if superseded:
            return SupersededVersionsError(superseded, said)
        return ReviewRefusedError(_CONFLICT, "review_conflict", f"The review cannot be decided now ({said}).")

    async def _require(self, review_id: str, log: RequestLog) -> tuple[Review, dict[str, Any]]:
        found = await self._client.review(review_id, log)
        if found is None:
            raise ReviewRefusedError(404, "review_not_found", "There is no such review. Check its id.")
        return found

    async def _run_status(
        self, review: Review, resume_status: str | None, resume_error: str | None, log: RequestLog
    ) -> str | None:
        """Return where the run is. One that Retab has yet to resume is looked at until it moves, for a while.

        The decision stands whatever comes of this, so that nothing is raised.
        """
        if review.run_id is None:
            return None
        waits = resume_status == "pending" and not any(word in (resume_error or "").lower() for word in _NEVER_RESUMES)
        until = self._monotonic() + (self._resume_wait if waits else 0.0)
        wait = _FIRST_WAIT
        status: str | None = None
        while True:
            # A run may not be found at first, and a server error passes: both are looked at again.
            with suppress(OutcomeError):
                run = await self._client.run(review.run_id, log)
                status = run.status if run is not None else None
            left = until - self._monotonic()
            if left <= 0 or status not in {None, AWAITING_REVIEW}:
                return status
            await self._sleep(min(wait, left))
            wait = min(wait * 2, _LONGEST_WAIT)


def _cancelled() -> ReviewRefusedError:
    return ReviewRefusedError(
        _CONFLICT, "review_cancelled", "The review's run was cancelled before anybody decided: nothing can be decided."
    )


def _made_at(version: Version) -> datetime:
    return moment(version.created_at) or _EARLIEST
