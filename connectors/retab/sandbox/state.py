"""What one API key of the sandbox opens: reviews with their versions, and the runs that wait for them."""

import time
from base64 import b32encode
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any, Literal
from uuid import uuid4

from connectors.http import encode_json
from connectors.retab.sandbox.errors import SupersededShape

Actor = Mapping[str, str]

MODEL: Actor = {"kind": "model", "id": "retab-small", "display_name": "Retab"}
REVIEWER: Actor = {"kind": "human", "id": "user_1", "display_name": "Rita Reviewer"}
KEY_HOLDER: Actor = {"kind": "agent", "id": "key_1", "display_name": "API key"}

ResumeStatus = Literal["resumed", "pending", "failed", "skipped"]


@dataclass
class RetabRules:
    """How this Retab behaves where that may vary or is not published. Every rule may be changed while it runs.

    ``resume_status`` and ``resume_error`` are what a decision answers. With ``pending`` the run leaves its wait once it
    was read ``pending_reads`` times (None: never). ``after_rejection`` is how a run ends then. ``superseded_shape`` is
    how a 409 names versions, ``cancelled_refusal`` the status for deciding on a cancelled review, ``wrapped`` puts
    snapshots into ``{"output": …}``, and with ``shared_version_ids`` a version's id is made from the snapshot alone, so
    that equal data of two reviews have the same.
    """

    resume_status: ResumeStatus = "resumed"
    resume_error: str | None = None
    pending_reads: int | None = 2
    after_rejection: str = "error"
    superseded_shape: SupersededShape = "details"
    cancelled_refusal: int = 409
    wrapped: bool = False
    shared_version_ids: bool = False


@dataclass(slots=True)
class SandboxVersion:
    """One immutable version of a review's data; the seed has no parent."""

    id: str
    review_id: str
    parent_id: str | None
    author: Actor
    snapshot: dict[str, Any]
    note: str | None
    created_at: str

    def body(self, *, wrapped: bool = False) -> dict[str, Any]:
        """Return the version as it is served."""
        snapshot = {"output": self.snapshot} if wrapped else self.snapshot
        return {
            "id": self.id,
            "review_id": self.review_id,
            "parent_id": self.parent_id,
            "author": self.author,
            "snapshot": snapshot,
            "note": self.note,
            "created_at": self.created_at,
        }


@dataclass(slots=True)
class SandboxReview:
    """A review; ``versions`` are in the order in which they were made, the seed first."""

    id: str
    workflow_id: str
    run_id: str
    block_id: str
    step_id: str
    block_type: str
    created_at: str
    triggered_by: dict[str, Any] = field(default_factory=lambda: {"kind": "always"})
    iteration_key: str | None = None
    decision: dict[str, Any] | None = None
    cancelled_at: str | None = None
    versions: list[SandboxVersion] = field(default_factory=list)

    @property
    def status(self) -> str:
        """``pending``, ``approved``, ``rejected`` or ``cancelled``."""
        if self.decision is not None:
            return str(self.decision["verdict"])
        return "pending" if self.cancelled_at is None else "cancelled"

    @property
    def leaves(self) -> list[str]:
        """The versions that no other was made from."""
        parents = {version.parent_id for version in self.versions}
        return [version.id for version in self.versions if version.id not in parents]

    def body(self) -> dict[str, Any]:
        """Return the review as it is served; versions are never part of it."""
        return {
            "id": self.id,
            "workflow_id": self.workflow_id,
            "workflow_version_id": f"wfv_{self.workflow_id.removeprefix('wf_')}",
            "run_id": self.run_id,
            "block_id": self.block_id,
            "step_id": self.step_id,
            "parent_step_id": None,
            "iteration_key": self.iteration_key,
            "block_type": self.block_type,
            "triggered_by": self.triggered_by,
            "created_at": self.created_at,
            "decision": self.decision,
            "cancelled_at": self.cancelled_at,
        }


@dataclass(slots=True)
class SandboxRun:
    """A run of a workflow; ``left_reads`` counts down the reads until a resume that is pending takes effect."""

    id: str
    workflow_id: str
    created_at: str
    metadata: dict[str, str]
    file: dict[str, str]
    status: str = "awaiting_review"
    completed_at: str | None = None
    left_reads: int | None = None
    next_status: str | None = None

    def body(self, waiting_for: list[str]) -> dict[str, Any]:
        """Return the run as it is served."""
        lifecycle: dict[str, Any] = {"status": self.status}
        if self.status == "awaiting_review":
            lifecycle["waiting_for_block_ids"] = waiting_for
        elif self.status in {"error", "failed"}:
            lifecycle |= {"message": "The review was rejected.", "stage": "execution", "category": "permanent"}
        elif self.status == "cancelled":
            lifecycle["reason"] = "cancelled by a user"
        return {
            "id": self.id,
            "workflow_id": self.workflow_id,
            "workflow_version_id": f"wfv_{self.workflow_id.removeprefix('wf_')}",
            "trigger": {"type": "api"},
            "lifecycle": lifecycle,
            "timing": {
                "created_at": self.created_at,
                "started_at": self.created_at,
                "completed_at": self.completed_at,
            },
            "inputs": {"documents": {"start": self.file}, "json_data": {}},
            "metadata": self.metadata,
        }


@dataclass(slots=True)
class SandboxStep:
    """The step that a review gates, with what it extracted; ``likelihoods`` is None for a single reading."""

    step_id: str
    block_id: str
    block_type: str
    run_id: str
    created_at: str
    extraction_id: str | None
    output: dict[str, Any]
    likelihoods: dict[str, Any] | None
    file: dict[str, str]


class Environment:
    """What one key opens. ``clock`` gives seconds since the epoch."""

    def __init__(self, name: str, rules: RetabRules, clock: Callable[[], float] = time.time) -> None:
        self.name = name
        self.rules = rules
        self.reviews: dict[str, SandboxReview] = {}
        self.runs: dict[str, SandboxRun] = {}
        self.steps: dict[str, SandboxStep] = {}
        self._clock = clock
        self._last_us = 0

    def open_review(
        self,
        snapshot: dict[str, Any],
        *,
        workflow_id: str = "wf_invoices",
        block_id: str = "extract_1",
        block_type: str = "extract",
        run_id: str | None = None,
        review_id: str | None = None,
        iteration_key: str | None = None,
        triggered_by: dict[str, Any] | None = None,
        likelihoods: dict[str, Any] | None = None,
        metadata: dict[str, str] | None = None,
        created_at: str | None = None,
        extracted: bool = True,
    ) -> SandboxReview:
        """Let a run reach a gated block: a review opens, with what the model extracted as its first version.

        With ``run_id`` of a run that is there already, it waits for one review more. Without ``extracted`` the step
        has no artifact. Raises ``ValueError`` when the id is taken.
        """
        made_at = created_at or self.now()
        run = self.runs.get(run_id or "")
        if run is None:
            file = {"id": f"file_{uuid4().hex[:20]}", "filename": "document.pdf", "mime_type": "application/pdf"}
            run = SandboxRun(run_id or f"run_{uuid4().hex[:20]}", workflow_id, made_at, metadata or {}, file)
            self.runs[run.id] = run
        run.status = "awaiting_review"
        review = SandboxReview(
            review_id or f"rev_{uuid4().hex[:24]}",
            run.workflow_id,
            run.id,
            block_id,
            f"{run.id}_{block_id}" + (f"_{iteration_key}" if iteration_key else ""),
            block_type,
            made_at,
            triggered_by or {"kind": "always"},
            iteration_key,
        )
        if review.id in self.reviews:
            raise ValueError(f"review {review.id} is there already")
        extraction_id = f"extr_{uuid4().hex[:20]}" if extracted and block_type == "extract" else None
        self.steps[review.step_id] = SandboxStep(
            review.step_id, block_id, block_type, run.id, made_at, extraction_id, snapshot, likelihoods, run.file
        )
        self.reviews[review.id] = review
        self.add_version(review, None, snapshot, MODEL)
        return review

    def add_version(
        self,
        review: SandboxReview,
        parent_id: str | None,
        snapshot: dict[str, Any],
        author: Actor,
        note: str | None = None,
    ) -> SandboxVersion:
        """Store a version of a review; the same one again is the one that is there."""
        content: tuple[Any, ...] = (snapshot,)
        if not self.rules.shared_version_ids:
            content = (review.id, parent_id, snapshot)
        digest = sha256(encode_json(content)).digest()[:16]
        version_id = f"rvr_{b32encode(digest).decode().rstrip('=')}"
        for known in review.versions:
            if known.id == version_id:
                return known
        version = SandboxVersion(version_id, review.id, parent_id, author, snapshot, note, self.now())
        review.versions.append(version)
        return version

    def correct(self, review: SandboxReview, *, parent_id: str | None = None, **changes: Any) -> SandboxVersion:
        """Let a reviewer change top-level values, by default of the version made last."""
        parent = next(version for version in reversed(review.versions) if parent_id is None or version.id == parent_id)
        return self.add_version(review, parent.id, {**parent.snapshot, **changes}, REVIEWER)

    def cancel(self, run: SandboxRun) -> None:
        """Cancel a run; its undecided reviews are cancelled with it."""
        run.status, run.completed_at, run.left_reads = "cancelled", self.now(), None
        for review in self.reviews.values():
            if review.run_id == run.id and review.status == "pending":
                review.cancelled_at = self.now()

    def version(self, version_id: str) -> SandboxVersion | None:
        """Return the first version that has this id, whichever review it belongs to."""
        return next((version for version in self.versions() if version.id == version_id), None)

    def versions(self) -> Iterator[SandboxVersion]:
        """Walk through every version."""
        return (version for review in self.reviews.values() for version in review.versions)

    def waiting_for(self, run: SandboxRun) -> list[str]:
        """Return the blocks that a run still waits for."""
        reviews = self.reviews.values()
        return [review.block_id for review in reviews if review.run_id == run.id and review.status == "pending"]

    def now(self) -> str:
        """Return the time, ISO 8601 with microseconds and Z; no moment is given twice."""
        self._last_us = max(self._last_us + 1, int(self._clock() * 1_000_000))
        moment = datetime.fromtimestamp(self._last_us / 1_000_000, UTC)
        return moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
