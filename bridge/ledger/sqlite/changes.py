"""What changes endpoints, messages, calls that came in and actions: the further parts of ``SqliteLedger``."""

from collections.abc import Callable, Sequence
from functools import partial

from bridge.delivery.model import DeliveryError, Millis, Trigger
from bridge.events.model import Endpoint, EndpointState, Event, Message, MessageState, Origin
from bridge.ledger.actions import Action
from bridge.ledger.inbox import HookTaken, StoredHook, TellsOf, Withdrawal
from bridge.ledger.messages import SUBSCRIBERS, ClaimedMessage
from bridge.ledger.sqlite import actions, hooks, messages, sending, withdrawing
from bridge.ledger.sqlite import endpoints as subscribers
from bridge.ledger.sqlite.reads import Reads
from bridge.ledger.sqlite.sweeps import CHUNK
from bridge.ledger.sqlite.writer import GroupWriter


class Changes(Reads):
    """What every part of the ledger needs that changes something."""

    _writer: GroupWriter


class MessageChanges(Changes):
    """Implements ``MessageLedger``."""

    async def put_endpoint(self, endpoint: Endpoint) -> tuple[Endpoint, bool]:
        """See ``MessageLedger.put_endpoint``."""
        _require_subscriber(endpoint, endpoint.tenant, SUBSCRIBERS)
        return await self._writer.run(partial(subscribers.put, endpoint=endpoint))

    async def sync_endpoints(self, tenant: str, endpoints: Sequence[Endpoint], now: Millis) -> None:
        """See ``MessageLedger.sync_endpoints``."""
        for endpoint in endpoints:
            _require_subscriber(endpoint, tenant, frozenset({Origin.CONFIG}))
        unwanted = await self._writer.run(partial(subscribers.sync, tenant=tenant, endpoints=endpoints, now=now))
        for endpoint_id in unwanted:
            await self._drop(endpoint_id, now)

    async def remove_endpoint(self, tenant: str, endpoint_id: str, now: Millis) -> bool:
        """See ``MessageLedger.remove_endpoint``."""
        removed, more = await self._writer.run(
            partial(messages.remove, tenant=tenant, endpoint_id=endpoint_id, now=now)
        )
        if more:
            await self._drop(endpoint_id, now)
        return removed

    async def resume_endpoint(self, tenant: str, endpoint_id: str, now: Millis) -> Endpoint | None:
        """See ``MessageLedger.resume_endpoint``."""
        endpoint, after = await self._writer.run(
            partial(messages.resume, tenant=tenant, endpoint_id=endpoint_id, now=now)
        )
        while after is not None:
            after = await self._writer.run(partial(messages.hurry, endpoint_id=endpoint_id, now=now, after=after))
        return None if endpoint is None or endpoint.state is EndpointState.GONE else endpoint

    async def announce(self, tenant: str, event: Event, now: Millis, *, endpoint_id: str | None = None) -> int:
        """See ``MessageLedger.announce``."""
        return await self._writer.run(
            partial(messages.announce, tenant=tenant, event=event, now=now, endpoint_id=endpoint_id)
        )

    async def claim_messages(
        self,
        now: Millis,
        *,
        limit: int,
        lease_until: Millis,
        per_endpoint: int,
        except_ids: frozenset[str] = frozenset(),
    ) -> list[ClaimedMessage]:
        """See ``MessageLedger.claim_messages``."""
        return await self._writer.run(
            partial(
                sending.claim,
                now=now,
                limit=limit,
                lease_until=lease_until,
                per_endpoint=per_endpoint,
                except_ids=except_ids,
            )
        )

    async def save_message(self, message: Message, *, endpoint: Endpoint | None = None) -> None:
        """See ``MessageLedger.save_message``."""
        if message.state is MessageState.QUEUED and message.due_at is None:
            raise ValueError(f"{message.id} is queued, so it has to be due at some time")
        if message.state is not MessageState.QUEUED and message.ended_at is None:
            raise ValueError(f"{message.id} is {message.state}, so it has to have ended at some time")
        if endpoint is not None and (endpoint.tenant, endpoint.id) != (message.tenant, message.endpoint_id):
            raise ValueError(f"{message.id} does not go to {endpoint.id}")
        more = await self._writer.run(partial(messages.save, message=message, endpoint=endpoint))
        if more and endpoint is not None:
            await self._drop(endpoint.id, endpoint.updated_at)

    async def _drop(self, endpoint_id: str, now: Millis) -> None:
        while await self._writer.run(partial(messages.drop, endpoint_id=endpoint_id, now=now)):
            pass


class HookChanges(Changes):
    """Implements ``HookLedger``."""

    async def take_hook(
        self,
        hook: StoredHook,
        *,
        new_id: Callable[[], str],
        trigger: Trigger | None = None,
        withdraw: bool = False,
        code: str | None = None,
        message: str | None = None,
        event: TellsOf | None = None,
    ) -> HookTaken:
        """See ``HookLedger.take_hook``."""
        taking_back = None
        if withdraw:
            if trigger is not None or code is None or message is None:
                raise ValueError("a withdrawal needs a code and a message, and takes nothing in")
            taking_back = withdrawing.Withdrawing(DeliveryError(code, message), event)
        if hook.document_id is None and (withdraw or trigger is not None):
            raise ValueError(f"the call {hook.event_id} names no document that something could be done with")
        return await self._writer.run(
            partial(hooks.take, hook=hook, new_id=new_id(), trigger=trigger, withdrawing=taking_back)
        )

    async def withdraw(
        self, tenant: str, document_id: str, now: Millis, *, code: str, message: str, event: TellsOf | None = None
    ) -> Withdrawal:
        """See ``HookLedger.withdraw``."""
        taking_back = withdrawing.Withdrawing(DeliveryError(code, message), event)
        return await self._writer.run(
            partial(withdrawing.withdraw, tenant=tenant, document_id=document_id, now=now, withdrawing=taking_back)
        )

    async def sweep(self, tenant: str, now: Millis, *, seen_after: Millis, quiet_since: Millis, limit: int) -> int:
        """See ``HookLedger.sweep``."""
        quiet = withdrawing.Quiet(seen_after, quiet_since)
        changed = after = 0
        while changed < limit:
            found = await self._read(withdrawing.find_taken_back, tenant, quiet, after, min(CHUNK, limit - changed))
            if not found:
                break
            ids = [delivery_id for _, delivery_id in found]
            changed += await self._writer.run(partial(withdrawing.look_again, ids=ids, now=now, quiet=quiet))
            after = found[-1][0]
        return changed


class ActionChanges(Changes):
    """Implements ``ActionLedger``."""

    async def begin_action(self, action: Action) -> Action:
        """See ``ActionLedger.begin_action``."""
        return await self._writer.run(partial(actions.begin, action=action))

    async def save_action(self, action: Action) -> None:
        """See ``ActionLedger.save_action``."""
        if not await self._writer.run(partial(actions.save, action=action)):
            raise ValueError(f"{action.tenant} has no action {action.id}")


def _require_subscriber(endpoint: Endpoint, tenant: str, origins: frozenset[Origin]) -> None:
    if endpoint.tenant != tenant or endpoint.origin not in origins or endpoint.document_id is not None:
        raise ValueError(
            f"{endpoint.id} of {endpoint.tenant}, from {endpoint.origin}, is no such subscriber of {tenant}"
        )
