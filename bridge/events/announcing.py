"""What is told to others, and whether anybody listens, which every end of a delivery asks and hardly pays for."""

from collections.abc import Callable, Iterable
from typing import Any, Final

import msgspec

from bridge.delivery.model import Delivery, Millis, State
from bridge.events.model import Event, Origin
from bridge.ledger.messages import MessageReader
from bridge.pipeline.gates import Block
from bridge.shapes.deliveries import delivery_shape
from bridge.shapes.encoding import encode, timestamp

TRIAL: Final = "bridge.test"
"""The type of the message that is sent on request, to see whether it gets through."""

EVENT_TYPES: Final = (
    "delivery.succeeded",
    "delivery.failed",
    "delivery.skipped",
    "delivery.parked",
    "delivery.superseded",
    "tenant.blocked",
    "tenant.recovered",
    TRIAL,
)
"""Every type of message there is."""


class Envelope(msgspec.Struct, frozen=True):
    """The body of a message. ``timestamp`` is when it happened; ``data`` has the shape that its type says."""

    type: str
    timestamp: str
    data: Any


class BlockData(msgspec.Struct, frozen=True):
    """A side of a tenant that was blocked, or is open again. ``schema`` is set when it is that schema's mapping."""

    tenant: str
    side: str
    schema: str | None
    code: str
    message: str
    since: str


class TrialData(msgspec.Struct, frozen=True):
    """Whose subscription is tested."""

    tenant: str
    subscription_id: str


class Announcer:
    """Makes the events of deliveries, for tenants that somebody listens to.

    Who listens is kept in memory. It may be thought that somebody does who does not, never the other way round.
    """

    def __init__(self, ledger: MessageReader, woken: Callable[[], None]) -> None:
        self._ledger = ledger
        self._woken = woken
        self._listened: set[str] = set()
        self._awaited: set[str] = set()
        self._expected = 0

    async def learn(self, tenants: Iterable[str]) -> None:
        """Ask the ledger who listens to these tenants."""
        for tenant in tenants:
            self.expect_subscriber(tenant)
            expected = self._expected
            listened = await self._ledger.listens(tenant)
            if not listened and expected == self._expected:  # nobody subscribed while the ledger was asked
                self._listened.discard(tenant)
            waiting = await self._ledger.endpoints(tenant, limit=1, origins=frozenset({Origin.RESUME}))
            if waiting.endpoints:
                self.expect_resume(tenant)

    def expect_subscriber(self, tenant: str) -> None:
        """Note that somebody is about to listen to a tenant: called before it is stored."""
        self._expected += 1
        self._listened.add(tenant)

    def expect_resume(self, tenant: str) -> None:
        """Note that a ``resume_url`` is about to wait for a document of a tenant: called before it is stored."""
        self._awaited.add(tenant)

    def listens(self, tenant: str) -> bool:
        """Tell whether somebody may listen to a tenant."""
        return tenant in self._listened

    def told(self) -> None:
        """Messages were stored: have them sent."""
        self._woken()

    def ended(self, delivery: Delivery) -> Event | None:
        """Return the event of a delivery that has just come to an end, None when nobody would take it."""
        if delivery.tenant not in self._listened and delivery.tenant not in self._awaited:
            return None
        return self._event(delivery, ended=True)

    def of_save(self, before: State, delivery: Delivery, *, successor: bool) -> Event | None:
        """Return the event of a save, given the state that is stored; None when there is nothing to tell anybody.

        An end that is reached is told to the subscribers. A delivery that had ended and merely rests again is told to
        those alone who wait for it by ``resume_url``.
        """
        if not delivery.state.ended:
            return None
        reached = delivery.state is not before
        waited_for = delivery.tenant in self._awaited and delivery.due_at is None and not successor
        if not waited_for and not (reached and delivery.tenant in self._listened):
            return None
        return self._event(delivery, ended=reached)

    @staticmethod
    def _event(delivery: Delivery, *, ended: bool) -> Event:
        type_ = f"delivery.{delivery.state.value}"
        moment = delivery.updated_at if delivery.ended_at is None else delivery.ended_at
        body = encode(Envelope(type_, timestamp(moment), delivery_shape(delivery)))
        return Event(type_, body, delivery.id, ended)


def block_event(tenant: str, block: Block, now: Millis, *, begins: bool) -> Event:
    """Return the event of a side of a tenant that was blocked, or is open again."""
    type_ = "tenant.blocked" if begins else "tenant.recovered"
    data = BlockData(tenant, block.side.value, block.schema, block.code, block.message, timestamp(block.since))
    return Event(type_, encode(Envelope(type_, timestamp(now), data)))


def trial_event(tenant: str, subscription_id: str, now: Millis) -> Event:
    """Return the event that tests a subscription."""
    return Event(TRIAL, encode(Envelope(TRIAL, timestamp(now), TrialData(tenant, subscription_id))))
