"""The ledger's part for what people have the bridge do at a source: each is written down before it is sent."""

from typing import Literal, Protocol

import msgspec

from bridge.delivery.model import Millis

ActionState = Literal["begun", "sent", "ended"]
"""``begun``: nothing has gone out. ``sent``: the request may have had its effect. ``ended``: the answer is known."""


class Action(msgspec.Struct, frozen=True):
    """One thing that a person, or a workflow, had the bridge do at a source.

    ``kind`` is what it is, e.g. ``approve``; ``subject`` whom it concerns: a document, a review, a workflow. ``key`` is
    the caller's idempotency key. ``fingerprint`` is the SHA-256, in hex, of what was asked: method, path and body.
    ``request_id`` is the id of the outgoing request, once that is written down. ``status`` and ``answer`` are what the
    caller was answered, so a repeat is answered the same.
    """

    id: str
    tenant: str
    kind: str
    subject: str | None
    key: str | None
    fingerprint: str
    requested_at: Millis
    request_id: str | None = None
    state: ActionState = "begun"
    status: int | None = None
    answer: bytes | None = None
    ended_at: Millis | None = None


class ActionReader(Protocol):
    """What can be read of actions."""

    async def actions(self, tenant: str, subject: str, limit: int) -> tuple[Action, ...]:
        """Return the actions that concern a subject of the tenant, newest first, at most ``MAX_PAGE``."""


class ActionLedger(Protocol):
    """What changes actions."""

    async def begin_action(self, action: Action) -> Action:
        """Store an action, and return it; or return the stored one, unchanged, that has the tenant's ``key`` already.

        One without a key is always new. Of two that come at the same time with one key, one is stored and both get it:
        compare ``id`` to learn whose it is.
        """

    async def save_action(self, action: Action) -> None:
        """Store ``request_id``, ``state``, ``status``, ``answer`` and ``ended_at`` of an action that was begun.

        Raises ``ValueError`` when the tenant has no such action.
        """
