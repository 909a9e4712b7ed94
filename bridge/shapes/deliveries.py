"""How deliveries and what belongs to them look from outside: in answers, in events, on a terminal.

Moments are UTC, ISO 8601 with milliseconds and ``Z``. A value that is not known is null, never left out.
"""

from collections.abc import Sequence
from typing import Any

import msgspec

from bridge.delivery.model import Attempt, Delivery, RequestRecord, State
from bridge.shapes.encoding import Moment, timestamp, timestamp_or_none
from connectors.ports import Operation
from mappings.plan import Problem


class ReasonShape(msgspec.Struct, frozen=True):
    """Why something is as it is: a stable code and a sentence."""

    code: str
    message: str


class ProblemShape(msgspec.Struct, frozen=True):
    """One reason why a document cannot be delivered: the field at the source, the column at the destination."""

    field: str | None
    column: str | None
    code: str
    message: str


class MappingShape(msgspec.Struct, frozen=True):
    """The mapping that made a delivery: its file's name and the digest of its text."""

    name: str
    digest: str


class DeliveryShape(msgspec.Struct, frozen=True, kw_only=True):
    """A delivery.

    ``step`` is where a delivery under way goes on; null once it has ended. ``operation`` is what was done to the row,
    null unless the delivery wrote it. ``external_record_id`` is the row as far as it is known, whoever wrote it last.
    ``next_attempt_at`` is set for a queued delivery.
    """

    id: str
    tenant: str
    document_id: str
    schema: str | None
    state: State
    step: str | None
    attempts: int
    execution_id: str | None
    external_record_id: str | None
    external_url: str | None
    operation: Operation | None
    error: ReasonShape | None
    problems: tuple[ProblemShape, ...]
    mapping: MappingShape | None
    next_attempt_at: Moment | None
    created_at: Moment
    updated_at: Moment


class AttemptShape(msgspec.Struct, frozen=True):
    """One try of a delivery that had an outcome."""

    number: int
    started_at: Moment
    ended_at: Moment
    outcome: str
    code: str | None
    message: str | None
    execution_id: str | None


class RequestShape(msgspec.Struct, frozen=True):
    """One outgoing request. ``id`` is the one we sent, ``peer_request_id`` the one that came back.

    ``status`` and ``ms`` are null while no answer is known; ``error`` then says why none came. ``excerpt`` is the
    beginning of a refusal's body.
    """

    id: str
    attempt: int
    peer: str
    purpose: str
    method: str
    url: str
    sent_at: Moment
    status: int | None
    ms: int | None
    peer_request_id: str | None
    error: str | None
    excerpt: str | None


class DeliveryDetailShape(DeliveryShape, frozen=True, kw_only=True):
    """A delivery with its attempts and every outgoing request, oldest first."""

    attempt_log: tuple[AttemptShape, ...]
    requests: tuple[RequestShape, ...]


def delivery_shape(delivery: Delivery) -> DeliveryShape:
    """Return a delivery's shape."""
    return DeliveryShape(**_fields(delivery))


def delivery_detail_shape(
    delivery: Delivery, attempts: Sequence[Attempt], requests: Sequence[RequestRecord]
) -> DeliveryDetailShape:
    """Return a delivery's shape with everything that was done for it."""
    return DeliveryDetailShape(
        **_fields(delivery),
        attempt_log=tuple(_attempt(attempt) for attempt in attempts),
        requests=tuple(_request(request) for request in requests),
    )


def problem_shapes(problems: Sequence[Problem]) -> tuple[ProblemShape, ...]:
    """Return the shapes of a document's problems."""
    return tuple(ProblemShape(problem.field, problem.column, problem.code, problem.message) for problem in problems)


def _fields(delivery: Delivery) -> dict[str, Any]:
    return {
        "id": delivery.id,
        "tenant": delivery.tenant,
        "document_id": delivery.document_id,
        "schema": delivery.schema,
        "state": delivery.state,
        "step": None if delivery.state.ended or delivery.step is None else delivery.step.value,
        "attempts": delivery.attempts,
        "execution_id": delivery.execution_id,
        "external_record_id": delivery.record_id,
        "external_url": delivery.external_url,
        # A delivery that is made once more keeps what the time before did, until it has written again itself.
        "operation": delivery.operation if delivery.outcome is State.SUCCEEDED else None,
        "error": ReasonShape(delivery.error.code, delivery.error.message) if delivery.error else None,
        "problems": problem_shapes(delivery.problems),
        "mapping": MappingShape(delivery.mapping.name, delivery.mapping.digest) if delivery.mapping else None,
        "next_attempt_at": timestamp_or_none(delivery.due_at if delivery.state is State.QUEUED else None),
        "created_at": timestamp(delivery.created_at),
        "updated_at": timestamp(delivery.updated_at),
    }


def _attempt(attempt: Attempt) -> AttemptShape:
    return AttemptShape(
        attempt.number,
        timestamp(attempt.started_at),
        timestamp(attempt.ended_at),
        attempt.outcome,
        attempt.code,
        attempt.message,
        attempt.execution_id,
    )


def _request(request: RequestRecord) -> RequestShape:
    return RequestShape(
        request.id,
        request.attempt,
        request.peer,
        request.purpose,
        request.method,
        request.url,
        timestamp(request.sent_at),
        request.status,
        request.elapsed_ms,
        request.peer_request_id,
        request.error,
        request.excerpt,
    )
