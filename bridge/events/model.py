"""What is told to others: events, who listens, and the message to each of them. Plain values, no I/O."""

from collections.abc import Collection
from enum import StrEnum

import msgspec

from bridge.delivery.model import Millis


class Origin(StrEnum):
    """Where an endpoint comes from: a tenant's file, the API, or the ``resume_url`` of one call."""

    CONFIG = "config"
    API = "api"
    RESUME = "resume"


class EndpointState(StrEnum):
    """Whether an endpoint is sent to.

    A ``PAUSED`` one keeps what comes in for it and is sent nothing until an operator resumes it. A ``GONE`` one gets no
    new messages. What waited for it was dropped, but for a ``RESUME`` endpoint: that one is gone as soon as it has its
    one message, which is still sent.
    """

    ACTIVE = "active"
    PAUSED = "paused"
    GONE = "gone"


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A URL that events are sent to.

    ``address`` is the sealed URL and ``secrets`` the sealed secrets: the ledger never sees either in clear. ``label``
    is the URL without its query, for people. ``digest`` is the SHA-256, in hex, of the URL: the same URL again is the
    same endpoint of that tenant and origin. ``types`` are patterns as ``matches`` takes them; nobody asks a ``RESUME``
    endpoint for its types. ``failing_since`` is when the first of the failures in a row came; None while it answers.
    ``document_id`` says which document a ``RESUME`` endpoint waits for, and is None for every other.
    """

    id: str
    tenant: str
    origin: Origin
    address: bytes
    label: str
    digest: str
    types: tuple[str, ...]
    secrets: bytes
    state: EndpointState = EndpointState.ACTIVE
    failing_since: Millis | None = None
    document_id: str | None = None
    created_at: Millis
    updated_at: Millis


class MessageState(StrEnum):
    """Where a message is. ``QUEUED`` is under way, also while it is being sent; the others are ends.

    ``FAILED`` is one whose schedule ended, ``DROPPED`` one that nobody wants any more.
    """

    QUEUED = "queued"
    SENT = "sent"
    FAILED = "failed"
    DROPPED = "dropped"


class Message(msgspec.Struct, frozen=True):
    """One event on its way to one endpoint.

    ``id`` is told to the receiver and is the same on every try. ``body`` holds the exact bytes that are sent.
    ``due_at`` is when it is to be sent next, None for an ended one. ``token`` is the fencing token: it grows with
    every claim. ``status`` is the last HTTP status, ``error`` the code of the last failure.
    """

    id: str
    tenant: str
    endpoint_id: str
    type: str
    delivery_id: str | None
    body: bytes
    created_at: Millis
    due_at: Millis | None
    lease_until: Millis | None = None
    token: int = 0
    tries: int = 0
    state: MessageState = MessageState.QUEUED
    status: int | None = None
    error: str | None = None
    ended_at: Millis | None = None


class Event(msgspec.Struct, frozen=True):
    """Something that happened, with the exact bytes that tell it.

    ``ended`` says that it goes to the tenant's subscribers, those of the origins ``CONFIG`` and ``API``. One that came
    with a save also goes to the document's ``RESUME`` endpoints when that save leaves the document at rest, whatever
    ``ended`` says.
    """

    type: str
    body: bytes
    delivery_id: str | None = None
    ended: bool = True


def matches(patterns: Collection[str], type: str) -> bool:
    """Tell whether an event of this type is wanted. A pattern is a type, ``delivery.*``, or ``*`` for all."""
    return any(
        pattern in {"*", type} or (pattern.endswith(".*") and type.startswith(pattern[:-1])) for pattern in patterns
    )
