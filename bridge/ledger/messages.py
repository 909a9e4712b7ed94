"""The ledger's part for telling others: who listens, and the messages to them.

A message is made in the transaction of what it tells, and once for each endpoint. From then on it is claimed, sent and
saved like a delivery: under a lease, and fenced by a token. Messages of one endpoint may overtake each other.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

from bridge.delivery.model import Millis
from bridge.events.model import Endpoint, EndpointState, Event, Message, Origin

SUBSCRIBERS: Final = frozenset({Origin.CONFIG, Origin.API})
"""The origins of those who listen to a tenant's events for good."""

LISTENING: Final = frozenset({EndpointState.ACTIVE, EndpointState.PAUSED})
"""The states in which an endpoint gets new messages."""


@dataclass(frozen=True, slots=True)
class EndpointPage:
    """Newest first; ``next_cursor`` is opaque and None on the last page."""

    endpoints: tuple[Endpoint, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class ClaimedMessage:
    """A message to be sent now, and where to."""

    message: Message
    endpoint: Endpoint


class MessageReader(Protocol):
    """What can be read of endpoints and messages."""

    async def endpoints(
        self,
        tenant: str,
        *,
        limit: int,
        cursor: str | None = None,
        origins: frozenset[Origin] = SUBSCRIBERS,
        states: frozenset[EndpointState] = LISTENING,
    ) -> EndpointPage:
        """Return a tenant's endpoints of these origins and states, newest first, by pages of at most ``MAX_PAGE``.

        Raises ``ValueError`` for a cursor it never gave.
        """

    async def endpoint(self, tenant: str, endpoint_id: str) -> Endpoint | None:
        """Return one endpoint of the tenant, of any origin and in any state."""

    async def listens(self, tenant: str) -> bool:
        """Tell whether the tenant has a subscriber, active or paused, that events could go to."""

    async def next_message_due(self, now: Millis) -> Millis | None:
        """When a message becomes claimable that is not so now, of any tenant; None when none waits.

        Always later than now: what was left by a claim, because its endpoint has enough in flight, becomes claimable
        by a save and not by waiting. A message that is being sent counts with the end of its lease. What a paused
        endpoint holds does not count.
        """

    async def messages(self, tenant: str, endpoint_id: str, limit: int) -> tuple[Message, ...]:
        """Return the messages to one endpoint of the tenant, newest first, at most ``MAX_PAGE``."""


class MessageLedger(Protocol):
    """What changes endpoints and messages.

    Every method is one transaction, except that ``sync_endpoints``, ``remove_endpoint``, ``resume_endpoint`` and a
    ``save_message`` that ends an endpoint change its waiting messages in bounded ones that follow. The endpoint itself
    changes with the first, so none of the messages that are still to be dropped is sent.
    """

    async def put_endpoint(self, endpoint: Endpoint) -> tuple[Endpoint, bool]:
        """Store a subscriber; return it as it stands now, and whether it is new.

        If the tenant has one of that origin and digest that is not gone, its address, label, types, secrets and
        ``updated_at`` are replaced; its id, ``created_at``, state and ``failing_since`` stay. Otherwise it is inserted
        as it is given. Raises ``ValueError`` for one of origin ``RESUME``: those come in by ``deliver_now`` alone.
        """

    async def sync_endpoints(self, tenant: str, endpoints: Sequence[Endpoint], now: Millis) -> None:
        """Let the tenant's endpoints of origin ``CONFIG`` be exactly these, each stored as by ``put_endpoint``.

        Those that are not among them become gone at ``now``, as by ``remove_endpoint``. Raises ``ValueError`` for one
        of another tenant or origin.
        """

    async def remove_endpoint(self, tenant: str, endpoint_id: str, now: Millis) -> bool:
        """Let an endpoint be gone and drop its queued messages; tell whether there was one that was not gone.

        One that is being sent is dropped as well, and the save of its outcome is void. A ``RESUME`` endpoint that has
        its message already is gone, so its message stays.
        """

    async def resume_endpoint(self, tenant: str, endpoint_id: str, now: Millis) -> Endpoint | None:
        """Let a paused endpoint be active again: return it, or None when there is none or it is gone.

        ``failing_since`` is cleared. What it held is due now, with ``tries`` 0. One that is active is returned as it
        is, and its messages keep their due times.
        """

    async def announce(self, tenant: str, event: Event, now: Millis, *, endpoint_id: str | None = None) -> int:
        """Make a message for every subscriber whose types match; return how many were made.

        With ``endpoint_id`` it is made for that one alone, whatever its types and its origin, unless it is gone. The
        messages are queued and due now; a paused endpoint holds its own. ``event.ended`` is not looked at.
        """

    async def claim_messages(
        self,
        now: Millis,
        *,
        limit: int,
        lease_until: Millis,
        per_endpoint: int,
        except_ids: frozenset[str] = frozenset(),
    ) -> list[ClaimedMessage]:
        """Claim up to ``limit`` due messages of all tenants: their token is raised and their lease set.

        Due: queued, ``due_at`` ≤ now, and no live lease. Only those of active endpoints, and those of ``RESUME``
        endpoints. ``except_ids`` names messages that this process still holds.
        Of one subscriber at most ``per_endpoint`` are in flight, those under a live lease included. Those who have the
        fewest in flight come first, and chance decides between equals, so however many wait for one that does not
        answer, the others get their turn; the ``RESUME`` endpoints of one tenant share one turn. Within one, the
        oldest due comes first.
        """

    async def save_message(self, message: Message, *, endpoint: Endpoint | None = None) -> None:
        """Store what became of a claimed message.

        Raises ``LeaseLostError`` when its token is no longer the current one, or when it has ended meanwhile.

        Stored are ``due_at``, ``tries``, ``state``, ``status``, ``error`` and ``ended_at``; the lease is given up,
        whatever the copy says; an ended one has no ``due_at``, a queued one no ``ended_at``. With ``endpoint`` its
        ``state``, ``failing_since`` and ``updated_at`` are stored as well, in the same transaction, unless it is gone:
        gone it stays. One that becomes gone by it drops its other queued messages, as by ``remove_endpoint``.

        Raises ``ValueError`` for a queued one without ``due_at``, an ended one without ``ended_at``, and an endpoint
        that is not the message's.
        """
