"""What follows from one try to send a message: plain functions of what came back."""

from enum import StrEnum
from random import Random
from typing import Final

import msgspec

from bridge.delivery.model import Millis
from bridge.delivery.retry import RetrySchedule
from bridge.events.codes import (
    ENDPOINT_GONE,
    ENDPOINT_NOT_WAITING,
    ENDPOINT_REDIRECTED,
    ENDPOINT_REFUSED,
    ENDPOINT_STARTING,
    ENDPOINT_THROTTLED,
    ENDPOINT_UNREACHABLE,
)
from bridge.events.model import Endpoint, EndpointState, Message, MessageState, Origin
from bridge.events.posting import Reply

FAILING_FOR: Final[Millis] = 3 * 24 * 60 * 60 * 1000
"""Milliseconds of nothing but failures after which an endpoint is paused."""

SHORTEST_PAUSE: Final[Millis] = 1000
"""Milliseconds that an endpoint is left alone at least when it asks for a pause."""

LONGEST_PAUSE: Final[Millis] = 24 * 60 * 60 * 1000
"""Milliseconds that it is left alone at most."""

_STILL_RUNNING = "is running already"
_STARTING: Final = ((200, "n8n is starting up"), (404, "Cannot POST "))
"""What n8n answers to every call before it takes any: first the one, then, for a moment, the other."""

_UNTOUCHED: Final = frozenset({None, ENDPOINT_NOT_WAITING, ENDPOINT_STARTING, ENDPOINT_THROTTLED, ENDPOINT_UNREACHABLE})
"""How an earlier try may have ended that has surely not set a flow going."""


class Outcome(StrEnum):
    """What became of one try."""

    SENT = "sent"
    RETRY = "retry"
    THROTTLED = "throttled"
    FAILED = "failed"
    GONE = "gone"


class Verdict(msgspec.Struct, frozen=True):
    """What a try makes of a message. ``pause_until`` is set when the whole endpoint asked to be left alone."""

    outcome: Outcome
    message: Message
    pause_until: Millis | None = None


def judge(
    message: Message, endpoint: Endpoint, reply: Reply, *, now: Millis, schedule: RetrySchedule, rng: Random
) -> Verdict:
    """Return what follows from the reply to a message.

    A pause that was asked for is no try. A ``resume_url`` that says it was used, or is not there, has been called.
    """
    resume = endpoint.origin is Origin.RESUME
    status = reply.status
    if (
        status is not None
        and not _is_starting(reply)
        and (200 <= status < 300 or (resume and _is_done(message, reply)))
    ):
        return Verdict(Outcome.SENT, _ended(message, MessageState.SENT, now, status, None))
    if status == 410 and not resume:
        return Verdict(Outcome.GONE, _ended(message, MessageState.FAILED, now, status, ENDPOINT_GONE))
    if status in {429, 503} and reply.retry_after is not None:
        until = now + min(max(round(reply.retry_after * 1000), SHORTEST_PAUSE), LONGEST_PAUSE)
        waiting = msgspec.structs.replace(message, due_at=until, status=status, error=ENDPOINT_THROTTLED)
        return Verdict(Outcome.THROTTLED, waiting, until)
    error = reply.error or _refusal(message, reply, resume=resume)
    tries = message.tries + 1
    wait = schedule.next_wait(tries, rng)
    if wait is None:
        failed = _ended(message, MessageState.FAILED, now, status, error)
        return Verdict(Outcome.FAILED, failed)
    again = msgspec.structs.replace(message, due_at=now + wait, tries=tries, status=status, error=error)
    return Verdict(Outcome.RETRY, again)


def health_after(endpoint: Endpoint, since: Millis | None, outcome: Outcome, now: Millis) -> Endpoint | None:
    """Return a subscriber as it is after a try, None when nothing of it changed.

    ``since`` is when the first of the failures in a row came, as far as it is known.
    """
    if outcome is Outcome.GONE:
        return msgspec.structs.replace(endpoint, state=EndpointState.GONE, updated_at=now)
    if outcome is Outcome.SENT:
        return None if since is None else msgspec.structs.replace(endpoint, failing_since=None, updated_at=now)
    if since is None:
        return msgspec.structs.replace(endpoint, failing_since=now, updated_at=now)
    if now - since >= FAILING_FOR:
        return msgspec.structs.replace(endpoint, state=EndpointState.PAUSED, failing_since=since, updated_at=now)
    return None


def _is_starting(reply: Reply) -> bool:
    """Tell whether the answer is that of an n8n on its way up, which has not taken the message."""
    return any(reply.status == status and text in reply.text for status, text in _STARTING)


def _is_done(message: Message, reply: Reply) -> bool:
    return reply.status in {404, 409, 410} and not _not_waiting(message, reply)


def _not_waiting(message: Message, reply: Reply) -> bool:
    """Tell whether a flow has not yet come to where it waits.

    n8n answers 409 for a flow that was resumed and for one on its way to its Wait node, and only the text differs. A
    flow that may have got an earlier try runs because of that one.
    """
    untouched = message.error in {
        None,
        ENDPOINT_NOT_WAITING,
        ENDPOINT_STARTING,
        ENDPOINT_UNREACHABLE,
        ENDPOINT_THROTTLED,
    }
    return reply.status == 409 and untouched and _STILL_RUNNING in reply.text


def _refusal(message: Message, reply: Reply, *, resume: bool) -> str:
    if _is_starting(reply):
        return ENDPOINT_STARTING
    if resume and _not_waiting(message, reply):
        return ENDPOINT_NOT_WAITING
    return ENDPOINT_REDIRECTED if reply.status is not None and 300 <= reply.status < 400 else ENDPOINT_REFUSED


def _ended(message: Message, state: MessageState, now: Millis, status: int | None, error: str | None) -> Message:
    return msgspec.structs.replace(
        message, state=state, due_at=None, tries=message.tries + 1, status=status, error=error, ended_at=now
    )
