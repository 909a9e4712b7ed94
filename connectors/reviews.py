"""Reviews as a person sees and decides them, whichever system holds them."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import msgspec

from connectors.ports import RequestLog


class ReviewPage(msgspec.Struct, frozen=True):
    """One page of reviews, each as its system gave it; a ``next_cursor`` of None is the last page."""

    data: tuple[Mapping[str, Any], ...]
    next_cursor: str | None


class ReviewDetail(msgspec.Struct, frozen=True):
    """A review with its versions, oldest first, all as their system gave them.

    ``latest_version_ids`` are those that no other version was made from, oldest first: more than one when people
    corrected the same version at the same time.
    """

    review: Mapping[str, Any]
    versions: tuple[Mapping[str, Any], ...]
    latest_version_ids: tuple[str, ...]


class Decision(msgspec.Struct, frozen=True):
    """What became of a decision that stands.

    ``submission_status``: ``accepted``, or ``already_applied`` when the same one was on record before.
    ``resume_status``: ``resumed``, ``pending``, ``failed``, ``skipped`` or another word of the system's, with its
    sentence in ``resume_error``. ``run_status`` is the run's own word once it was read; None when it could not be.
    ``review`` carries the decision.
    """

    submission_status: str
    resume_status: str | None
    resume_error: str | None
    run_status: str | None
    review: Mapping[str, Any]


class ReviewError(Exception):
    """A review was not decided as asked. ``code`` is stable; ``message`` says what happened and what to do next."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class DecidedOtherwiseError(ReviewError):
    """Another decision is on record and was not changed; ``review`` carries it."""

    def __init__(self, review: Mapping[str, Any]) -> None:
        super().__init__(
            "decided_otherwise",
            "Another decision is on record for this review, and was not changed. It stands under review.decision.",
        )
        self.review = review


class SupersededVersionsError(ReviewError):
    """Deciding would discard versions that the caller did not say they knew of. ``detail`` is the system's sentence."""

    def __init__(self, superseded_version_ids: tuple[str, ...], detail: str) -> None:
        super().__init__(
            "superseded_versions",
            f"Deciding on this version would discard {len(superseded_version_ids)} other latest version(s) ({detail}). "
            "Look at them; then decide on the latest one, or approve with their ids in "
            "acknowledged_superseded_version_ids.",
        )
        self.superseded_version_ids = superseded_version_ids
        self.detail = detail


class ReviewRefusedError(ReviewError):
    """The decision is not taken. ``status`` is the HTTP status that fits, by ``code``.

    ``review_not_found`` (404), ``review_cancelled`` and ``review_conflict`` (409), ``review_invalid`` (422).
    """

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(code, message)
        self.status = status


class Reviews(Protocol):
    """What a person may do with reviews.

    Every call raises ``OutcomeError``s where the system cannot be reached or refuses the key; a decision raises
    ``ReviewError``s as well, and ``UnknownOutcomeError`` when even looking did not tell whether it was recorded.
    """

    async def list_reviews(
        self, *, decision_status: str | None, workflow_id: str | None, limit: int, cursor: str | None
    ) -> ReviewPage:
        """Read a page of reviews, the one opened first at the top; without ``decision_status`` those not yet decided.

        Raises ``CursorRefusedError`` besides the usual outcomes, and ``ReviewRefusedError`` for a filter that is none.
        """

    async def review(self, review_id: str) -> ReviewDetail | None:
        """Read a review with all its versions; None when there is none that this tenant may see."""

    async def approve(self, review_id: str, version_id: str, acknowledged: Sequence[str], log: RequestLog) -> Decision:
        """Approve a version. ``acknowledged`` are the ids of latest versions that may be discarded by it."""

    async def reject(self, review_id: str, version_id: str, reason: str, log: RequestLog) -> Decision:
        """Reject a review, by the version that was looked at. ``reason`` is not empty."""
