"""How deliveries, attempts and requests become rows of the SQLite ledger, and rows become them again."""

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import msgspec

from bridge.delivery.model import (
    Attempt,
    Delivery,
    DeliveryError,
    MappingRef,
    RequestRecord,
    State,
    Step,
    Trigger,
    Watch,
)
from connectors.ports import Listing
from mappings.plan import Problem

Row = tuple[Any, ...]

IDENTITY_COLUMNS = ("id", "tenant", "document_id", "listing", '"trigger"', "created_at", "seen_at", "token")
"""What a save leaves as it is stored: it belongs to intake and claim."""

STATE_COLUMNS = (
    "updated_at",
    "state",
    "step",
    "due_at",
    "lease_until",
    "again",
    "attempts",
    "tries",
    "schema",
    "revision",
    "mapping_name",
    "mapping_digest",
    "pinned",
    "force",
    "may_exist",
    "line_ids",
    "record_id",
    "external_url",
    "operation",
    "execution_id",
    "callback",
    "outcome",
    "error_code",
    "error_message",
    "problems",
    "ended_at",
    "watch",
)
"""What a step changes."""

DELIVERY_COLUMNS = IDENTITY_COLUMNS + STATE_COLUMNS
ATTEMPT_COLUMNS = ("number", "started_at", "ended_at", "outcome", "code", "message", "execution_id")
REQUEST_COLUMNS = (
    "id",
    "attempt",
    "peer",
    "purpose",
    "method",
    "url",
    "sent_at",
    "status",
    "elapsed_ms",
    "peer_request_id",
    "error",
    "excerpt",
)

_STATES = {state.value: state for state in State}
_STEPS: dict[str | None, Step | None] = {None: None, **{step.value: step for step in Step}}
_TRIGGERS = {trigger.value: trigger for trigger in Trigger}

_encode = msgspec.json.Encoder(decimal_format="number").encode
_listing = msgspec.json.Decoder(Listing, float_hook=Decimal).decode
_problems = msgspec.json.Decoder(tuple[Problem, ...]).decode
_line_ids = msgspec.json.Decoder(frozenset[str]).decode
_watch = msgspec.json.Decoder(Watch).decode


def encode_listing(listing: Listing) -> str:
    """Return a listing as JSON; the digits of its numbers stay as they came."""
    return _encode(listing).decode()


def decode_listing(text: str) -> Listing:
    """Return the listing that was encoded."""
    return _listing(text)


def identity_values(delivery: Delivery) -> Row:
    """Return the values of ``IDENTITY_COLUMNS``."""
    return (
        delivery.id,
        delivery.tenant,
        delivery.document_id,
        encode_listing(delivery.listing),
        delivery.trigger.value,
        delivery.created_at,
        delivery.seen_at,
        delivery.token,
    )


def state_values(delivery: Delivery) -> Row:
    """Return the values of ``STATE_COLUMNS``.

    Only exact builtin types, since sqlite3 looks for an adapter for every other, bool and enums among them.
    """
    mapping, error, step, outcome = delivery.mapping, delivery.error, delivery.step, delivery.outcome
    return (
        delivery.updated_at,
        delivery.state.value,
        None if step is None else step.value,
        delivery.due_at,
        delivery.lease_until,
        1 if delivery.again else 0,
        delivery.attempts,
        delivery.tries,
        delivery.schema,
        delivery.revision,
        None if mapping is None else mapping.name,
        None if mapping is None else mapping.digest,
        1 if delivery.pinned else 0,
        1 if delivery.force else 0,
        1 if delivery.may_exist else 0,
        _encode(sorted(delivery.line_ids)).decode() if delivery.line_ids else None,
        delivery.record_id,
        delivery.external_url,
        delivery.operation,
        delivery.execution_id,
        delivery.callback,
        None if outcome is None else outcome.value,
        None if error is None else error.code,
        None if error is None else error.message,
        _encode(delivery.problems).decode() if delivery.problems else None,
        delivery.ended_at,
        None if delivery.watch is None else _encode(delivery.watch).decode(),
    )


def to_delivery(row: Sequence[Any]) -> Delivery:
    """Return the delivery of a row of ``DELIVERY_COLUMNS``."""
    (
        id_,
        tenant,
        document_id,
        listing,
        trigger,
        created_at,
        seen_at,
        token,
        updated_at,
        state,
        step,
        due_at,
        lease_until,
        again,
        attempts,
        tries,
        schema,
        revision,
        mapping_name,
        mapping_digest,
        pinned,
        force,
        may_exist,
        line_ids,
        record_id,
        external_url,
        operation,
        execution_id,
        callback,
        outcome,
        error_code,
        error_message,
        problems,
        ended_at,
        watch,
    ) = row
    return Delivery(
        id=id_,
        tenant=tenant,
        document_id=document_id,
        listing=_listing(listing),
        trigger=_TRIGGERS[trigger],
        created_at=created_at,
        updated_at=updated_at,
        seen_at=seen_at,
        state=_STATES[state],
        step=_STEPS[step],
        due_at=due_at,
        lease_until=lease_until,
        token=token,
        attempts=attempts,
        tries=tries,
        schema=schema,
        revision=revision,
        mapping=None if mapping_digest is None else MappingRef(mapping_name, mapping_digest),
        pinned=bool(pinned),
        force=bool(force),
        again=bool(again),
        may_exist=bool(may_exist),
        line_ids=frozenset() if line_ids is None else _line_ids(line_ids),
        record_id=record_id,
        external_url=external_url,
        operation=operation,
        execution_id=execution_id,
        callback=callback,
        outcome=None if outcome is None else _STATES[outcome],
        error=None if error_code is None else DeliveryError(error_code, error_message),
        problems=() if problems is None else _problems(problems),
        ended_at=ended_at,
        watch=None if watch is None else _watch(watch),
    )


def attempt_values(attempt: Attempt) -> Row:
    """Return the values of ``ATTEMPT_COLUMNS``."""
    return (
        attempt.number,
        attempt.started_at,
        attempt.ended_at,
        attempt.outcome,
        attempt.code,
        attempt.message,
        attempt.execution_id,
    )


def to_attempt(delivery_id: str, row: Row) -> Attempt:
    """Return the attempt of a row of ``ATTEMPT_COLUMNS``."""
    return Attempt(delivery_id, *row)


def request_values(request: RequestRecord) -> Row:
    """Return the values of ``REQUEST_COLUMNS``."""
    return (
        request.id,
        request.attempt,
        request.peer,
        request.purpose,
        request.method,
        request.url,
        request.sent_at,
        request.status,
        request.elapsed_ms,
        request.peer_request_id,
        request.error,
        request.excerpt,
    )


def to_request(delivery_id: str, row: Row) -> RequestRecord:
    """Return the request of a row of ``REQUEST_COLUMNS``."""
    id_, *rest = row
    return RequestRecord(id_, delivery_id, *rest)
