"""Deciding and correcting: who was first wins, nobody's version is discarded unseen, and what is repeated is known."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from connectors.retab.sandbox.errors import invalid, refused, superseded
from connectors.retab.sandbox.state import (
    KEY_HOLDER,
    REVIEWER,
    Actor,
    Environment,
    SandboxReview,
    SandboxRun,
    SandboxVersion,
)

_VERSION_ID: Final = re.compile(r"rvr_[A-Z2-7]{26}")
_DECISION_KEYS: Final = {
    "approved": {"version_id", "acknowledged_superseded_version_ids"},
    "rejected": {"version_id", "reason"},
}


def decide(
    environment: Environment, review: SandboxReview, verdict: str, body: Any, author: Actor = KEY_HOLDER
) -> dict[str, Any]:
    """Record a decision and resume the run. Raises ``RefusedError``."""
    if not isinstance(body, dict):
        raise invalid(["body"], "Input should be a valid dictionary", "dict_type")
    version_id = _version_id(body, "version_id")
    for key in body.keys() - _DECISION_KEYS[verdict]:
        raise invalid(["body", key], "Extra inputs are not permitted", "extra_forbidden")
    reason = body.get("reason")
    if verdict == "rejected" and (not isinstance(reason, str) or not reason.strip()):
        raise invalid(["body", "reason"], "String should have at least 1 character", "string_too_short", reason)
    if all(version.id != version_id for version in review.versions):
        raise refused(404, "Review version not found.")
    decision = review.decision
    if decision is not None:
        applied = decision["verdict"] == verdict and decision["version_id"] == version_id
        return _answer(environment, review, "already_applied" if applied else "conflict")
    if review.cancelled_at is not None:
        raise refused(environment.rules.cancelled_refusal, "The review was cancelled with its run.")
    _require_only_leaf(environment, review, version_id, body.get("acknowledged_superseded_version_ids"))
    review.decision = {
        "verdict": verdict,
        "version_id": version_id,
        "author": author,
        "created_at": environment.now(),
        "reason": reason,
    }
    _resume(environment, environment.runs[review.run_id], verdict)
    return _answer(environment, review, "accepted")


def create_version(environment: Environment, body: Any) -> SandboxVersion:
    """Store a corrected version. Raises ``RefusedError``; a repeat is the version that is there."""
    if not isinstance(body, dict):
        raise invalid(["body"], "Input should be a valid dictionary", "dict_type")
    parent_id = _version_id(body, "parent_id")
    snapshot = body.get("snapshot")
    if not isinstance(snapshot, dict):
        raise invalid(["body", "snapshot"], "Input should be a valid dictionary", "dict_type", snapshot)
    review = environment.reviews.get(str(body.get("review_id")))
    if review is None:
        raise refused(404, "Review not found.")
    if all(version.id != parent_id for version in review.versions):
        raise refused(404, "Parent version not found.")
    _require_shape(review, snapshot)
    for version in review.versions:
        if version.snapshot == snapshot:
            if version.parent_id == parent_id:
                return version
            raise refused(409, {"code": "parent_conflict", "message": "The same content has another parent."})
    _require_only_leaf(environment, review, parent_id, body.get("acknowledged_superseded_version_ids"))
    return environment.add_version(review, parent_id, snapshot, REVIEWER, body.get("note"))


def read_run(environment: Environment, run: SandboxRun) -> dict[str, Any]:
    """Return a run as it is served; being read is what makes time pass for a resume that is pending."""
    body = run.body(environment.waiting_for(run))
    if run.left_reads is not None and run.next_status is not None:
        run.left_reads -= 1
        if run.left_reads <= 0:
            _end(environment, run, run.next_status)
    return body


def _answer(environment: Environment, review: SandboxReview, submission: str) -> dict[str, Any]:
    rules = environment.rules
    conflict = submission == "conflict"
    return {
        "submission_status": submission,
        "resume_status": "skipped" if conflict else rules.resume_status,
        "resume_error": None if conflict else rules.resume_error,
        "review": review.body(),
    }


def _resume(environment: Environment, run: SandboxRun, verdict: str) -> None:
    rules = environment.rules
    if environment.waiting_for(run) or run.status != "awaiting_review":
        return
    following = "completed" if verdict == "approved" else rules.after_rejection
    if rules.resume_status == "resumed":
        _end(environment, run, following)
    elif rules.resume_status == "pending" and rules.pending_reads is not None:
        run.left_reads, run.next_status = rules.pending_reads, following


def _end(environment: Environment, run: SandboxRun, status: str) -> None:
    run.status, run.completed_at, run.left_reads, run.next_status = status, environment.now(), None, None


def _version_id(body: Mapping[str, Any], key: str) -> str:
    given = body.get(key)
    if key not in body:
        raise invalid(["body", key], "Field required", "missing")
    if not isinstance(given, str) or not _VERSION_ID.fullmatch(given):
        message = "String should match pattern '^rvr_[A-Z2-7]{26}$'"
        raise invalid(["body", key], message, "string_pattern_mismatch", given)
    return given


def _require_only_leaf(environment: Environment, review: SandboxReview, version_id: str, acknowledged: Any) -> None:
    known: Sequence[Any] = acknowledged if isinstance(acknowledged, list) else ()
    discarded = [leaf for leaf in review.leaves if leaf != version_id and leaf not in known]
    if discarded:
        raise superseded(discarded, environment.rules.superseded_shape)


def _require_shape(review: SandboxReview, snapshot: Mapping[str, Any]) -> None:
    key = {"classifier": "category", "split": "documents", "for_each": "partitions"}.get(review.block_type)
    wanted = str if key == "category" else list
    if key is not None and not isinstance(snapshot.get(key), wanted):
        raise invalid(["body", "snapshot", key], "The snapshot does not have the shape of this block", "value_error")
