"""The journal of one claimed delivery: nothing that changes an outside system is sent before it is written down."""

from collections.abc import Callable

from bridge.delivery.model import Attempt, Delivery, Millis, RequestRecord
from bridge.events.announcing import Announcer
from bridge.events.model import Event
from bridge.ledger.protocol import Ledger, Save
from connectors.ports import OutgoingRequest, RequestOutcome


class DeliveryJournal:
    """Keeps a delivery's state and requests, and commits them together. Implements ``connectors.ports.RequestLog``.

    ``stage`` takes the next state; it becomes durable with the next mutating request's ``opening`` or with ``commit``.
    So one transaction holds what a step found out and the request that the next one sends. ``submitted`` is the state
    that was given to the ledger last. An end goes into the ledger together with the event that tells it.
    """

    def __init__(
        self,
        ledger: Ledger,
        delivery: Delivery,
        clock: Callable[[], Millis],
        lease: Millis,
        announcer: Announcer | None = None,
    ) -> None:
        self._ledger = ledger
        self._announcer = announcer
        self._stored = delivery.state
        self._clock = clock
        self._lease = lease
        self._attempt: Attempt | None = None
        self._open: dict[str, RequestRecord] = {}
        self._unsaved: dict[str, RequestRecord] = {}
        self.delivery = delivery
        self.submitted = delivery

    def stage(self, delivery: Delivery, attempt: Attempt | None = None) -> None:
        """Take the next state of the delivery, and the attempt that led to it."""
        self.delivery = delivery
        if attempt is not None:
            self._attempt = attempt

    async def commit(self, delivery: Delivery | None = None, *, successor: Delivery | None = None) -> None:
        """Make everything staged durable. Raises ``LeaseLostError`` when the delivery is no longer ours."""
        if delivery is not None:
            self.delivery = delivery
        requests, self._unsaved = tuple(self._unsaved.values()), {}
        attempt, self._attempt = self._attempt, None
        self.submitted = self.delivery
        event = self.event(successor=successor is not None)
        await self._ledger.save(Save(self.delivery, requests, attempt, successor, event))
        self._stored = self.submitted.state
        if event is not None and self._announcer is not None:
            self._announcer.told()

    def event(self, *, successor: bool = False) -> Event | None:
        """Return what the delivery, as it is now, is to others once it is stored."""
        if self._announcer is None:
            return None
        return self._announcer.of_save(self._stored, self.delivery, successor=successor)

    async def opening(self, request: OutgoingRequest) -> None:
        """Write a request down; durable on return when it is a mutating one."""
        now = self._clock()
        record = RequestRecord(
            request.id,
            self.delivery.id,
            self.delivery.attempts + 1 if self.delivery.execution_id is None else self.delivery.attempts,
            request.peer,
            request.purpose,
            request.method,
            request.url,
            now,
        )
        self._open[request.id] = self._unsaved[request.id] = record
        if request.mutating:
            await self.commit(self.delivery.evolve(lease_until=now + self._lease))

    def closed(self, outcome: RequestOutcome) -> None:
        """Note what became of a request; durable with the next commit."""
        record = self._open.pop(outcome.id)
        self._unsaved[outcome.id] = record.evolve(
            status=outcome.status,
            elapsed_ms=outcome.elapsed_ms,
            peer_request_id=outcome.peer_request_id,
            error=outcome.error,
            excerpt=outcome.excerpt,
        )


class NoJournal:
    """For calls that change nothing and belong to no delivery, such as a preview. Refuses mutating requests."""

    async def opening(self, request: OutgoingRequest) -> None:
        """Let a reading request pass. Raises ``AssertionError`` for one that would change something."""
        if request.mutating:
            raise AssertionError(f"{request.purpose} would change {request.peer} outside a delivery")

    def closed(self, outcome: RequestOutcome) -> None:
        """Keep nothing."""
