"""Numora's answers as they come in: unknown keys are ignored, unknown statuses survive, both id names are taken."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from connectors import answers
from connectors.answers import Shape


class Body(BaseModel):
    """What every answer has in common. Ids that come as numbers are kept as text, for ids are opaque."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True, frozen=True)


class OutboxRow(Body):
    """One entry of the outbox."""

    document_id: str | None = None
    id: str | None = None
    schema_id: str | None = Field(default=None, alias="schema")
    status: str | None = None
    external_id: str | None = None
    metadata: dict[str, Any] | None = None
    updated_at: str | None = None
    result_url: str | None = None


class OutboxMeta(Body):
    """What stands beside the rows of an outbox page."""

    next_cursor: str | None = None


class OutboxAnswer(Body):
    """``GET /v1/delivery/outbox``. Rows are read one by one, so that a malformed one does not lose the page."""

    data: list[Any] | None
    meta: OutboxMeta | None = None
    next_cursor: str | None = None


class DocumentState(Body):
    """``GET /v1/documents/{id}``: the state of a document, without its content."""

    id: str | None = None
    document_id: str | None = None
    schema_id: str | None = Field(default=None, alias="schema")
    status: str | None = None
    external_id: str | None = None
    metadata: dict[str, Any] | None = None
    created_at: str | None = None
    updated_at: str | None = None
    review_state: Any = None
    duplicate_of: Any = None


class Submitted(Body):
    """The answer to ``POST /v1/documents``: the document, new or known by its ``external_id``."""

    id: str | None = None
    document_id: str | None = None
    schema_id: str | None = Field(default=None, alias="schema")
    status: str | None = None
    external_id: str | None = None
    status_url: str | None = None
    result_url: str | None = None


class Result(Body):
    """``GET /v1/documents/{id}/result``: the reviewed content. Cells and rows are read by ``translate``."""

    id: str | None = None
    document_id: str | None = None
    schema_id: str | None = Field(default=None, alias="schema")
    status: str | None = None
    external_id: str | None = None
    metadata: dict[str, Any] | None = None
    updated_at: str | None = None
    confidence: Any = None
    duplicate_of: Any = None
    review_state: Any = None
    fields: dict[str, Any] | None
    line_items: list[Any] | dict[str, Any] | None = None


class ErrorDetail(Body):
    """What Numora says of a refusal."""

    code: str | None = None
    message: str | None = None
    request_id: str | None = None


class ErrorBody(Body):
    """The error envelope; ``updated_at`` stands beside the error when a review action was out of date."""

    error: ErrorDetail
    updated_at: str | None = None


def understand(shape: type[Shape], answer: object, what: str) -> Shape:
    """Read an answer of Numora as ``shape``. Raises ``TransientError`` (``bad_answer``) when it does not have it."""
    return answers.understand(shape, answer, what, "Numora")
