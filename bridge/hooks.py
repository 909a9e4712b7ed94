"""Calls that outside systems make to the bridge: verified, stored, and answered for only then."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

import msgspec

from bridge.delivery.model import State, Trigger
from bridge.ledger.inbox import HookTaken, StoredHook
from bridge.ledger.protocol import Ledger
from bridge.runtime import NotFoundError, Runtime, TenantLine
from connectors.hooks import HookCall, HookEffect, HookRefusedError
from connectors.ports import Listing

EXECUTOR: Final = "executor"
"""The path of calls that notify of one document; all others are webhooks."""

REFUSED: Final = "refused"

_WITHDRAWN: Final = ("back_in_review", "The source tells that the document went back to review.")


class HookAnswer(msgspec.Struct, frozen=True):
    """A call that was taken. ``repeated`` tells that it was taken before, and that nothing followed from it now."""

    accepted: bool
    repeated: bool


class Hooks:
    """Takes calls in. Each is counted by its source, its type and what became of it."""

    def __init__(self, runtime: Runtime, ledger: Ledger) -> None:
        self._runtime = runtime
        self._ledger = ledger

    async def take(self, tenant: str, source: str, headers: Mapping[str, str], body: bytes) -> HookAnswer:
        """Verify a call, store it, and set going what it asks for; it is durable on return.

        ``source`` is the last part of the path: ``numora``, ``executor`` or ``retab``. Raises ``NotFoundError`` when
        the tenant takes no such calls, ``connectors.hooks.HookRefusedError`` for one that is not to be trusted or not
        to be understood, and ``LedgerError``.
        """
        line = self._runtime.lines.get(tenant)
        reader = None if line is None else line.lane.source.capabilities.hooks.get(source)
        if line is None or reader is None:
            raise NotFoundError(f"{tenant}/{source}")
        now = self._runtime.clock()
        try:
            call = reader.read(headers, body, datetime.fromtimestamp(now / 1000, UTC))
        except HookRefusedError as refused:
            self._runtime.observers.hook(source, REFUSED, refused.code)
            raise
        taken = await self._store(tenant, source, call, body)
        self._runtime.observers.hook(source, call.type, "repeated" if taken.repeated else call.effect.value)
        if not taken.repeated:
            await self._follow(line, call, taken)
        return HookAnswer(accepted=True, repeated=taken.repeated)

    async def _store(self, tenant: str, source: str, call: HookCall, body: bytes) -> HookTaken:
        runtime = self._runtime
        hook = StoredHook(tenant, source, call.event_id, call.type, call.document_id, runtime.clock(), body)
        if call.effect is HookEffect.WITHDRAW:
            code, message = _WITHDRAWN
            return await self._ledger.take_hook(
                hook,
                new_id=runtime.new_id,
                withdraw=True,
                code=code,
                message=message,
                event=runtime.outbound.announcer.ended,
            )
        trigger = None
        if call.effect is HookEffect.DELIVER:
            trigger = Trigger.NOTIFY if source == EXECUTOR else Trigger.WEBHOOK
        return await self._ledger.take_hook(hook, new_id=runtime.new_id, trigger=trigger)

    async def _follow(self, line: TenantLine, call: HookCall, taken: HookTaken) -> None:
        """Set going what the call asks for; it is stored already, so that nothing is lost by what goes wrong here."""
        match call.effect:
            case HookEffect.DELIVER:
                line.worker.wake()
            case HookEffect.WITHDRAW if taken.delivery is not None and taken.delivery.state is State.SUPERSEDED:
                self._runtime.withdrawn(taken.delivery)
                # Calls come in any order. If this one is older than the last review, the document is still delivered.
                await self._read_again(line, taken.delivery.document_id)
            case HookEffect.POLL:
                line.schedule.poll_soon()

    async def _read_again(self, line: TenantLine, document_id: str) -> None:
        runtime = self._runtime
        await self._ledger.intake(
            line.tenant.id, [Listing(document_id)], Trigger.WEBHOOK, runtime.clock(), new_id=runtime.new_id
        )
        line.worker.wake()
