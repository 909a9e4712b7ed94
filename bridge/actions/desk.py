"""How an action is done: written down before anything is sent, one at a time for its subject, once for its key."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import msgspec

from bridge.actions.asked import ActionError, Answered, Asked, InProgressError, KeyReusedError, NotKnownError
from bridge.delivery.model import Millis
from bridge.ids import new_action_id
from bridge.ledger.actions import Action
from bridge.ledger.protocol import Ledger, LedgerError
from bridge.runtime import NotFoundError
from bridge.shapes.encoding import encode
from connectors.outcome import OutcomeError, ThrottledError, TransientError, UnknownOutcomeError
from connectors.ports import OutgoingRequest, RequestOutcome
from connectors.reviews import ReviewError

log = logging.getLogger(__name__)


class ActionJournal:
    """The journal of one action. Implements ``connectors.ports.RequestLog``."""

    def __init__(self, ledger: Ledger, action: Action) -> None:
        self._ledger = ledger
        self.action = action

    async def opening(self, request: OutgoingRequest) -> None:
        """Write a request down that changes something; durable on return."""
        if request.mutating:
            await self.save(request_id=request.id, state="sent", status=None, answer=None, ended_at=None)

    def closed(self, outcome: RequestOutcome) -> None:
        """Keep nothing: what became of the action is stored when it is known."""

    async def save(self, **changes: object) -> None:
        """Store the action with these fields changed."""
        self.action = msgspec.structs.replace(self.action, **changes)
        await self._ledger.save_action(self.action)


class Done(msgspec.Struct, frozen=True):
    """What an action came to: the status and the shape that its caller is answered."""

    status: int
    shape: object


Doing = Callable[[ActionJournal], Awaitable[Done]]


class ActionDesk:
    """Has actions done. What was begun goes on when its caller goes away.

    An action that ended well is answered the same way when its key comes again. One that had no effect leaves its key
    free. Of one that got no answer it depends: a ``repeatable`` one, of which a second one is no second effect, is done
    again; of another the caller is told to look.
    """

    def __init__(self, ledger: Ledger, clock: Callable[[], Millis]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._under_way: dict[tuple[str, str], str] = {}
        self._turns: dict[tuple[str, str], tuple[asyncio.Lock, int]] = {}
        self._tasks: set[asyncio.Task[Answered]] = set()

    async def act(
        self, tenant: str, kind: str, subject: str | None, asked: Asked, do: Doing, *, repeatable: bool
    ) -> Answered:
        """Do an action, or answer what its key was answered before.

        Raises ``KeyReusedError``, ``InProgressError``, ``NotKnownError``, ``LedgerError`` and what ``do`` raises.
        """
        task = asyncio.create_task(self._act(tenant, kind, subject, asked, do, repeatable=repeatable), name=kind)
        self._tasks.add(task)
        task.add_done_callback(self._over)
        return await asyncio.shield(task)

    def _over(self, task: "asyncio.Task[Answered]") -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # whoever asked was told, unless they went away

    async def _act(
        self, tenant: str, kind: str, subject: str | None, asked: Asked, do: Doing, *, repeatable: bool
    ) -> Answered:
        place = (tenant, asked.key or new_action_id())
        if place in self._under_way:
            _require_same(self._under_way[place], asked)
            raise InProgressError(
                "The first request with this Idempotency-Key is still under way. Send it again in a moment."
            )
        self._under_way[place] = asked.fingerprint
        try:
            fresh = Action(new_action_id(), tenant, kind, subject, asked.key, asked.fingerprint, self._clock())
            action = await self._ledger.begin_action(fresh)
            _require_same(action.fingerprint, asked)
            if action.state == "ended" and action.answer is not None and action.status is not None:
                return Answered(action.status, msgspec.Raw(action.answer), replayed=True)
            if action.state == "sent" and not repeatable:
                raise NotKnownError(
                    f"The {kind.replace('_', ' ')} was sent before, and whether it had its effect is not known. Look "
                    "at the source; if it had none, send the request again with a new Idempotency-Key."
                )
            async with self._turn(tenant, subject):
                return await self._do(ActionJournal(self._ledger, action), do, repeatable=repeatable)
        finally:
            del self._under_way[place]

    async def _do(self, journal: ActionJournal, do: Doing, *, repeatable: bool) -> Answered:
        try:
            done = await do(journal)
        except (OutcomeError, ActionError, NotFoundError, ReviewError) as error:
            if not (journal.action.state == "sent" and _may_have_acted(error, repeatable=repeatable)):
                await self._ended_without_effect(journal)
            raise
        answer = encode(done.shape)
        await journal.save(state="ended", status=done.status, answer=answer, ended_at=self._clock())
        return Answered(done.status, msgspec.Raw(answer))

    async def _ended_without_effect(self, journal: ActionJournal) -> None:
        try:
            await journal.save(state="ended", status=None, answer=None, ended_at=self._clock())
        except LedgerError as error:
            log.warning("that action %s had no effect could not be noted: %s", journal.action.id, error)

    @asynccontextmanager
    async def _turn(self, tenant: str, subject: str | None) -> AsyncIterator[None]:
        """Have the actions on one subject done one after the other, so that each finds what the one before did."""
        if subject is None:
            yield
            return
        place = (tenant, subject)
        lock, waiting = self._turns.get(place, (asyncio.Lock(), 0))
        self._turns[place] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._turns[place]
            if waiting == 1:
                del self._turns[place]
            else:
                self._turns[place] = (lock, waiting - 1)


def _require_same(fingerprint: str, asked: Asked) -> None:
    if fingerprint != asked.fingerprint:
        raise KeyReusedError(
            "This Idempotency-Key was sent with another request before. Use a new key for every new request."
        )


def _may_have_acted(error: Exception, *, repeatable: bool) -> bool:
    """Tell whether what was sent may have had its effect. A server's error is no proof of the contrary."""
    if isinstance(error, UnknownOutcomeError | NotKnownError):
        return True
    return not repeatable and isinstance(error, TransientError) and not isinstance(error, ThrottledError)
