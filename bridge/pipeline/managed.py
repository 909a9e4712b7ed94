"""The way of a claimed delivery that the source makes by its own means: asked once, then watched until it has ended.

The request is written down before it is sent, with a step that makes whoever goes on after a crash read first. It is
sent again only when the document shows that it had no effect. Between two looks a delivery waits in the ledger.
"""

import logging
from typing import Final

from bridge.delivery import managed
from bridge.delivery.managed import WatchRules
from bridge.delivery.model import Delivery, Millis, Step
from bridge.delivery.transitions import Turn, successor
from bridge.pipeline.gates import Side
from bridge.pipeline.journal import DeliveryJournal
from bridge.pipeline.lane import Lane
from bridge.pipeline.policy import RunnerPolicy
from connectors.capabilities import (
    ActionConflictError,
    ActionRefusedError,
    Dispatcher,
    DispatchState,
    DispatchStatus,
)
from connectors.outcome import BlockedError, ConflictError, OutcomeError, ThrottledError, TransientError
from connectors.ports import OutgoingRequest, RequestOutcome

log = logging.getLogger(__name__)

LATE_EFFECT: Millis = 30_000
"""Milliseconds for which a request that got no answer may still have its effect. It is not sent again before."""

LEFT_BEHIND: Final = WatchRules(60_000, 24 * 3_600_000)
"""How a delivery is watched whose tenant is no longer a managed one."""

MANAGED_NOT_TAKEN = "managed_not_taken"
NEWER_REVISION = "newer_revision"

_CONFLICT: Final = 409
_AWAY: Final = {
    DispatchStatus.GONE: ("document_gone", "The source no longer has the document."),
    DispatchStatus.IN_REVIEW: (
        "back_in_review",
        "The document went back to review at the source; it is delivered once reviewed again.",
    ),
}


class ManagedWay:
    """Takes one delivery as far as it goes now. ``advance`` leaves it committed."""

    def __init__(self, lane: Lane, journal: DeliveryJournal, policy: RunnerPolicy) -> None:
        self._lane = lane
        self._dispatcher = _dispatcher_of(lane)
        self._rules = lane.watch or LEFT_BEHIND
        self._journal = journal
        self._policy = policy
        self._started_at = policy.clock()

    async def advance(self) -> None:
        """Ask, or look what has become of it. Raises ``LedgerError``; what the source raises is dealt with."""
        watching = self._journal.delivery.step is Step.WATCH
        try:
            await (self._look() if watching else self._begin())
        except OutcomeError as error:
            if isinstance(error, BlockedError):
                self._lane.gates.block(Side.SOURCE, error)
            await self.failed(error)
        else:
            self._lane.gates.clear(Side.SOURCE)

    async def failed(self, error: OutcomeError) -> None:
        """Commit what follows from an error: what was asked for is looked for, all else goes by the schedule."""
        journal, now = self._journal, self._policy.clock()
        delivery = journal.delivery
        if delivery.step is not Step.WATCH or isinstance(error, ThrottledError | BlockedError):
            turn = managed.failed(
                delivery,
                error,
                now=now,
                started_at=self._started_at,
                schedule=self._policy.schedule,
                rng=self._policy.rng,
            )
            await self._commit(turn)
        else:
            pause = error.retry_after if isinstance(error, TransientError) else None
            await self._look_later(None, error=error, not_before=now + round((pause or 0) * 1000))

    async def _begin(self) -> None:
        lane, journal = self._lane, self._journal
        document = await lane.source.fetch(journal.delivery.listing, journal)
        if (gone := lane.gone_back(document)) is not None or document is None:
            await self._withdraw(*(gone or ("", "")))
            return
        journal.stage(journal.delivery.evolve(schema=document.schema, revision=document.revision(), mapping=None))
        state = await self._dispatcher.dispatch_state(journal.delivery.document_id, journal)
        if (away := _AWAY.get(state.dispatch)) is not None:
            await self._withdraw(*away)
        elif state.dispatch is DispatchStatus.PENDING:
            journal.stage(managed.on_its_way(journal.delivery, self._policy.clock()))
            await self._look_later(state)
        elif state.dispatch is DispatchStatus.SUCCEEDED and not journal.delivery.force:
            await self._commit(managed.succeeded(journal.delivery, self._policy.clock(), self._started_at))
        else:
            await self._ask(state)

    async def _ask(self, state: DispatchState) -> None:
        """Have the source deliver the document. Its state before is kept with the request, to be held against later."""
        journal, now = self._journal, self._policy.clock()
        journal.stage(managed.asking(journal.delivery, state.status, state.updated_at, now))
        try:
            await self._dispatcher.dispatch(journal.delivery.document_id, journal)
        except (ThrottledError, BlockedError):
            journal.stage(managed.not_asked(journal.delivery))
            raise
        except TransientError as error:
            log.info("delivery %s: whether the source took it is read: %s", journal.delivery.id, error)
            raise
        except OutcomeError as error:
            await self._refused(error)
            return
        journal.stage(managed.on_its_way(journal.delivery, self._policy.clock()))
        await self._look_later(state)

    async def _refused(self, error: OutcomeError) -> None:
        """The source did not take the request: it may have taken another one before, or the document has changed."""
        state = await self._dispatcher.dispatch_state(self._journal.delivery.document_id, self._journal)
        delivery = self._journal.delivery
        if state.dispatch is not DispatchStatus.READY and managed.has_moved(delivery, state.status, state.updated_at):
            await self._judge(state)
            return
        self._journal.stage(managed.not_asked(self._journal.delivery))
        if _is_about_the_moment(error):
            error = TransientError(error.code, error.message)
        raise error

    async def _look(self) -> None:
        """Read where the document is. A look that tells nothing new leaves no trace but the next one's time."""
        glance = _Glance()
        try:
            state = await self._dispatcher.dispatch_state(self._journal.delivery.document_id, glance)
        except OutcomeError:
            await glance.keep(self._journal)
            raise
        if state.dispatch is not DispatchStatus.PENDING:
            await glance.keep(self._journal)
        await self._judge(state)

    async def _judge(self, state: DispatchState) -> None:
        journal, now = self._journal, self._policy.clock()
        delivery = journal.delivery
        watch = delivery.watch
        taken = watch is not None and watch.taken
        if (away := _AWAY.get(state.dispatch)) is not None:
            await self._withdraw(*away)
        elif state.dispatch is DispatchStatus.PENDING:
            journal.stage(managed.on_its_way(delivery, now))
            await self._look_later(state)
        elif state.dispatch is not DispatchStatus.READY and managed.has_moved(delivery, state.status, state.updated_at):
            done = state.dispatch is DispatchStatus.SUCCEEDED
            await self._commit(
                managed.succeeded(delivery, now, self._started_at)
                if done
                else managed.push_failed(delivery, state.status, now, self._started_at)
            )
        elif await self._is_other_content(state):
            await self._make_way()
        elif taken or watch is None or now - watch.since < LATE_EFFECT:
            await self._look_later(state)
        else:
            await self._begin_anew()

    async def _is_other_content(self, state: DispatchState) -> bool:
        """Tell whether the document was changed and reviewed anew since it was asked for."""
        journal = self._journal
        delivery = journal.delivery
        moved = managed.has_moved(delivery, state.status, state.updated_at)
        if state.dispatch is not DispatchStatus.READY or not moved:
            return False
        glance = _Glance()
        document = await self._lane.source.fetch(delivery.listing, glance)
        if document is None or document.revision() == delivery.revision:
            return False
        await glance.keep(journal)
        return True

    async def _make_way(self) -> None:
        """End in favour of the document's newer content."""
        delivery, now = self._journal.delivery, self._policy.clock()
        message = "The document was changed and reviewed anew meanwhile; its newer content is delivered instead."
        turn = managed.withdrawn(delivery, NEWER_REVISION, message, now, self._started_at)
        following = successor(delivery, self._policy.new_id(), now)
        self._journal.stage(turn.delivery, turn.attempt)
        await self._journal.commit(successor=following)

    async def _begin_anew(self) -> None:
        """The request provably had no effect: that was a try."""
        self._journal.stage(managed.not_asked(self._journal.delivery))
        known = self._journal.delivery.error
        why = f" Before that: {known.message}" if known is not None else ""
        message = f"The source did not take the request to deliver the document; it is asked again.{why}"
        await self.failed(TransientError(MANAGED_NOT_TAKEN, message))

    async def _look_later(
        self, state: DispatchState | None, *, error: OutcomeError | None = None, not_before: Millis = 0
    ) -> None:
        delivery, now = self._journal.delivery, self._policy.clock()
        if managed.is_overdue(delivery, self._rules, now):
            status = state.status if state is not None else None
            await self._commit(managed.deadline_over(delivery, self._rules, status, now, self._started_at))
        else:
            await self._journal.commit(
                managed.look_later(delivery, self._rules, now, error=error, not_before=not_before)
            )

    async def _withdraw(self, code: str, message: str) -> None:
        delivery = self._journal.delivery
        await self._commit(managed.withdrawn(delivery, code, message, self._policy.clock(), self._started_at))

    async def _commit(self, turn: Turn) -> None:
        self._journal.stage(turn.delivery, turn.attempt)
        await self._journal.commit()


class _Glance:
    """Holds the reads of one look, so that hundreds of looks that tell nothing do not fill the ledger."""

    def __init__(self) -> None:
        self._requests: list[OutgoingRequest] = []
        self._outcomes: list[RequestOutcome] = []

    async def opening(self, request: OutgoingRequest) -> None:
        if request.mutating:
            raise AssertionError(f"{request.purpose} would change {request.peer}, and is no look")
        self._requests.append(request)

    def closed(self, outcome: RequestOutcome) -> None:
        self._outcomes.append(outcome)

    async def keep(self, journal: DeliveryJournal) -> None:
        """Hand the reads on, to be stored with the next commit."""
        for request in self._requests:
            await journal.opening(request)
        for outcome in self._outcomes:
            journal.closed(outcome)


def _is_about_the_moment(error: OutcomeError) -> bool:
    """Tell a refusal that may be none later from one of the document as it is."""
    return isinstance(error, ActionConflictError | ConflictError) or (
        isinstance(error, ActionRefusedError) and error.status == _CONFLICT
    )


def is_managed(lane: Lane, delivery: Delivery) -> bool:
    """Tell whether the source makes this delivery by its own means: also one that it began before the mode changed."""
    return delivery.step is Step.WATCH or (lane.managed and delivery.step is not Step.REPORT)


def _dispatcher_of(lane: Lane) -> Dispatcher:
    dispatcher = lane.source.capabilities.dispatcher
    if dispatcher is None:
        raise AssertionError(f"{lane.tenant}: a source of kind {lane.source.kind} delivers nothing by its own means")
    return dispatcher
