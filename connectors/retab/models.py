"""Retab's answers as they come in: only what is needed is required, unknown keys and unknown words survive."""

from typing import Any

from pydantic import AliasChoices, BaseModel, ConfigDict, Field

from connectors import answers
from connectors.answers import Shape


class Body(BaseModel):
    """What every answer has in common. Ids that come as numbers are kept as text, for ids are opaque."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True, frozen=True)


class Actor(Body):
    """Who did something: a model, an agent, a person."""

    kind: str | None = None
    id: str | None = None
    display_name: str | None = None


class DecisionRecord(Body):
    """The one decision of a review. Older answers name its time ``decided_at``."""

    verdict: str
    version_id: str
    author: Actor | None = None
    created_at: str | None = Field(default=None, validation_alias=AliasChoices("created_at", "decided_at"))
    reason: str | None = None


class Review(Body):
    """One review with its decision, if there is one. Versions are never embedded."""

    id: str
    workflow_id: str | None = None
    workflow_version_id: str | None = None
    run_id: str | None = None
    block_id: str | None = None
    step_id: str | None = None
    iteration_key: str | None = None
    block_type: str | None = None
    created_at: str | None = None
    decision: DecisionRecord | None = None
    cancelled_at: str | None = None

    @property
    def status(self) -> str:
        """``pending``, ``approved``, ``rejected``, ``cancelled``, or a verdict that is not known."""
        if self.decision is not None:
            return self.decision.verdict
        return "pending" if self.cancelled_at is None else "cancelled"


class Version(Body):
    """One immutable version of a review's data; without ``parent_id`` it is what the model extracted."""

    id: str
    review_id: str | None = None
    parent_id: str | None = None
    snapshot: dict[str, Any]
    created_at: str | None = None


class PageEnds(Body):
    """What stands beside the rows of a page; ``after`` is None on the last one."""

    after: str | None = None


class Page(Body):
    """A page of any list. Rows are read one by one, so that a malformed one does not lose the page."""

    data: list[Any]
    list_metadata: PageEnds | None = None

    @property
    def after(self) -> str | None:
        """The cursor of the next page; None on the last one."""
        return (self.list_metadata.after or None) if self.list_metadata is not None else None


class Lifecycle(Body):
    """Where a run is."""

    status: str | None = None


class Run(Body):
    """One run of a workflow; its ``metadata`` and ``inputs`` were given by whoever started it, so they may be anything.

    ``lifecycle`` holds the run's status, an open word.
    """

    id: str | None = None
    lifecycle: Lifecycle | None = None
    inputs: Any = None
    metadata: Any = None

    @property
    def status(self) -> str | None:
        """``awaiting_review``, ``completed`` and so on."""
        return self.lifecycle.status if self.lifecycle is not None else None


class ArtifactReference(Body):
    """What a step produced, by kind and id."""

    operation: str | None = None
    id: str | None = None


class Step(Body):
    """One step of a run."""

    artifact: ArtifactReference | None = None


class Consensus(Body):
    """How far several readings of the same document agreed; None for a single reading."""

    likelihoods: Any = None


class Extraction(Body):
    """What the model extracted."""

    file: Any = None
    consensus: Consensus | None = None


class DecisionAnswer(Body):
    """The answer to approve and reject; ``review`` carries the decision that is on record."""

    submission_status: str | None = None
    resume_status: str | None = None
    resume_error: str | None = None
    review: dict[str, Any]


def understand(shape: type[Shape], answer: object, what: str) -> Shape:
    """Read an answer of Retab as ``shape``. Raises ``TransientError`` (``bad_answer``) when it does not have it."""
    return answers.understand(shape, answer, what, "Retab")
