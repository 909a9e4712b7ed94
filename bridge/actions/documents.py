"""What people do with documents at the source, and what it means for the documents' deliveries."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from bridge.actions.asked import Answered, Asked, NotKnownError, StaleError, UnsupportedError
from bridge.actions.desk import ActionDesk, ActionJournal, Done
from bridge.delivery.model import Delivery, DeliveryFilter, Trigger
from bridge.ledger.newest import newest_delivery
from bridge.ledger.protocol import Ledger
from bridge.pipeline.journal import NoJournal
from bridge.runtime import NotFoundError, Runtime, TenantLine
from bridge.shapes.actions import (
    DispatchShape,
    DocumentShape,
    DocumentStateShape,
    ReviewActionShape,
    SubmittedShape,
)
from bridge.shapes.deliveries import delivery_shape
from connectors.capabilities import (
    ActionConflictError,
    ActionRefusedError,
    ActionResult,
    DispatchStatus,
    DocumentActions,
    DocumentView,
)
from connectors.outcome import OutcomeError
from connectors.ports import Listing

MOST_DELIVERIES: Final = 50
"""Deliveries that are shown with a document."""

BACK_IN_REVIEW: Final = "back_in_review"

_NOT_FOUND: Final = 404
_CONFLICT: Final = 409
_LOOKS_BACK: Final = 20


class ReviewActions:
    """Approve, reject, retry the push, dispatch, look, hand in. Every method takes the tenant the caller may act for.

    Every method raises ``NotFoundError`` (no such tenant or document), ``UnsupportedError`` (``no_actions``), and the
    source's ``OutcomeError``s, ``ActionRefusedError`` (with the HTTP status) among them. Those that change something
    raise ``KeyReusedError``, ``InProgressError`` and ``NotKnownError`` as well.
    """

    def __init__(self, runtime: Runtime, ledger: Ledger) -> None:
        self._runtime = runtime
        self._ledger = ledger
        self._desk = ActionDesk(ledger, runtime.clock)

    async def view(self, tenant: str, document_id: str) -> DocumentShape:
        """Return the document with its result and its deliveries."""
        line = self._runtime.line(tenant)
        shown = await _actions_of(line).view(document_id, NoJournal())
        if shown is None:
            raise NotFoundError(document_id)
        return await self._shape(tenant, document_id, shown)

    async def submit(
        self,
        tenant: str,
        asked: Asked,
        *,
        schema: str,
        file_url: str,
        external_id: str,
        metadata: Mapping[str, Any],
    ) -> Answered:
        """Hand in a document: 202 with a ``SubmittedShape``. The same ``external_id`` again is the same document."""
        actions = _actions_of(self._runtime.line(tenant))

        async def do(journal: ActionJournal) -> Done:
            said = await actions.submit(
                journal, schema=schema, file_url=file_url, external_id=external_id, metadata=metadata
            )
            shape = SubmittedShape(
                str(said.get("id") or said.get("document_id") or ""),
                _text(said.get("status")),
                _text(said.get("schema")) or schema,
                _text(said.get("external_id")) or external_id,
                _text(said.get("status_url")),
                _text(said.get("result_url")),
            )
            return Done(202, shape)

        return await self._desk.act(tenant, "submit", external_id, asked, do, repeatable=True)

    async def approve(
        self,
        tenant: str,
        document_id: str,
        asked: Asked,
        *,
        expected_updated_at: str | None = None,
        review_state: Mapping[str, Any] | None = None,
    ) -> Answered:
        """Approve the document: 200 with a ``ReviewActionShape``. Its delivery begins at once.

        Nobody who approves a document wants to wait for the next poll. An approval that the source knew already brings
        nothing in: twice is one effect, also when it is sent again with the time that its first one made stale. Raises
        ``StaleError`` when the document was changed since ``expected_updated_at``.
        """
        line = self._runtime.line(tenant)
        actions = _actions_of(line)

        async def do(journal: ActionJournal) -> Done:
            try:
                earlier = await self._approvals(tenant, document_id, None if expected_updated_at is None else asked)
                result = await actions.approve(
                    document_id,
                    journal,
                    expected_updated_at=expected_updated_at,
                    review_state=review_state,
                    approved_at=earlier,
                )
            except OutcomeError as error:
                raise await self._told(line, document_id, error) from error
            if not await self._was_known(tenant, document_id, result):
                await self._bring_in(line, document_id)
            delivery = await newest_delivery(self._ledger, tenant, document_id)
            return Done(200, _action_shape(result, delivery, "none"))

        return await self._desk.act(tenant, "approve", document_id, asked, do, repeatable=True)

    async def reject(
        self, tenant: str, document_id: str, asked: Asked, *, expected_updated_at: str | None = None
    ) -> Answered:
        """Send the document back to review: 200 with a ``ReviewActionShape``. Raises ``StaleError`` as ``approve``.

        The source is told first. From then on nobody who reads the document delivers it; who has read it before is
        stopped by the withdrawal, unless its write has begun. The other way round, a refused rejection would have cost
        a delivery that nobody wanted to stop. A crash between the two stops every delivery by itself, and what goes on
        afterwards reads the document first.
        """
        line = self._runtime.line(tenant)
        actions = _actions_of(line)

        async def do(journal: ActionJournal) -> Done:
            try:
                result = await actions.reject(document_id, journal, expected_updated_at=expected_updated_at)
            except OutcomeError as error:
                raise await self._told(line, document_id, error) from error
            withdrawal = await self._runtime.withdraw(
                tenant, document_id, BACK_IN_REVIEW, "The document was rejected; it is delivered once reviewed again."
            )
            return Done(200, _action_shape(result, withdrawal.delivery, withdrawal.effect))

        return await self._desk.act(tenant, "reject", document_id, asked, do, repeatable=True)

    async def retry_push(self, tenant: str, document_id: str, asked: Asked) -> Answered:
        """Have the source deliver the document once more: 202, or 200 when it is on its way; a ``DispatchShape``."""
        return await self._push(tenant, document_id, asked, "retry_push")

    async def dispatch(self, tenant: str, document_id: str, asked: Asked) -> Answered:
        """Have the source deliver the document: 202, or 200 when it is on its way; a ``DispatchShape``."""
        return await self._push(tenant, document_id, asked, "dispatch")

    async def _push(self, tenant: str, document_id: str, asked: Asked, kind: str) -> Answered:
        line = self._runtime.line(tenant)
        actions = _actions_of(line)
        ask = actions.retry_push if kind == "retry_push" else actions.dispatch

        async def do(journal: ActionJournal) -> Done:
            if line.lane.managed:
                return await self._managed_push(line, document_id)
            if journal.action.state == "sent":
                await _require_undone(line, document_id, journal, kind)
            try:
                result = await ask(document_id, journal)
            except OutcomeError as error:
                raise await self._told(line, document_id, error) from error
            shape = DispatchShape(result.document_id, result.status, result.run_id, result.repeated)
            return Done(200 if result.repeated else 202, shape)

        return await self._desk.act(tenant, kind, document_id, asked, do, repeatable=True)

    async def _managed_push(self, line: TenantLine, document_id: str) -> Done:
        """Leave it to the delivery, which asks the source once and follows what becomes of it."""
        dispatcher = line.lane.source.capabilities.dispatcher
        if dispatcher is None:
            raise UnsupportedError("no_actions", "This tenant's source delivers nothing by its own means.")
        state = await dispatcher.dispatch_state(document_id, NoJournal())
        if state.dispatch is DispatchStatus.GONE:
            raise NotFoundError(document_id)
        if state.dispatch is DispatchStatus.IN_REVIEW:
            message = f"The document is {state.status} at the source. Have it reviewed; only then it can be delivered."
            raise ActionRefusedError(BACK_IN_REVIEW, message, status=_CONFLICT)
        before = await newest_delivery(self._ledger, line.tenant.id, document_id)
        repeated = state.dispatch is DispatchStatus.PENDING or (before is not None and not before.state.ended)
        await self._ledger.deliver_now(
            line.tenant.id,
            Listing(document_id),
            self._runtime.clock(),
            new_id=self._runtime.new_id,
            force=not repeated,
        )
        line.worker.wake()
        return Done(200 if repeated else 202, DispatchShape(document_id, state.status, None, repeated))

    async def _bring_in(self, line: TenantLine, document_id: str) -> None:
        await self._ledger.intake(
            line.tenant.id,
            [Listing(document_id)],
            Trigger.PERSON,
            self._runtime.clock(),
            new_id=self._runtime.new_id,
        )
        line.worker.wake()

    async def _was_known(self, tenant: str, document_id: str, result: ActionResult) -> bool:
        """Tell whether this very approval was answered before, told by the time of change that it led to."""
        return result.updated_at is not None and result.updated_at in await self._approvals(tenant, document_id)

    async def _approvals(self, tenant: str, document_id: str, like: Asked | None = None) -> frozenset[str]:
        """Return the times of change that earlier approvals led to; with ``like``, those that were asked for alike."""
        earlier = await self._ledger.actions(tenant, document_id, _LOOKS_BACK)
        answers = [
            msgspec.json.decode(action.answer)
            for action in earlier
            if action.kind == "approve"
            and action.answer is not None
            and (like is None or action.fingerprint == like.fingerprint)
        ]
        return frozenset(answer["updated_at"] for answer in answers if answer.get("updated_at") is not None)

    async def _told(self, line: TenantLine, document_id: str, error: OutcomeError) -> Exception:
        """Return what a caller is told instead: the document as it is now, where theirs is out of date."""
        match error:
            case ActionRefusedError(status=404):
                return NotFoundError(document_id)
            case ActionConflictError():
                shown = await self._as_it_is(line, document_id)
                current = error.updated_at or (shown.document.updated_at if shown else None)
                return StaleError(error.message, updated_at=current, document=shown)
            case _:
                return error

    async def _as_it_is(self, line: TenantLine, document_id: str) -> DocumentShape | None:
        try:
            shown = await _actions_of(line).view(document_id, NoJournal())
        except OutcomeError:
            return None
        return None if shown is None else await self._shape(line.tenant.id, document_id, shown)

    async def _shape(self, tenant: str, document_id: str, shown: DocumentView) -> DocumentShape:
        page = await self._ledger.deliveries(DeliveryFilter(tenant, document_id=document_id), limit=MOST_DELIVERIES)
        known = {name: shown.document[name] for name in DocumentStateShape.__struct_fields__ if name in shown.document}
        state = DocumentStateShape(**{**known, "id": known.get("id") or document_id})
        return DocumentShape(state, shown.result, tuple(map(delivery_shape, page.deliveries)))


def _actions_of(line: TenantLine) -> DocumentActions:
    actions = line.lane.source.capabilities.actions
    if actions is None:
        raise UnsupportedError(
            "no_actions",
            f"A source of kind {line.lane.source.kind} has no documents to act on. Use the routes of its own kind.",
        )
    return actions


async def _require_undone(line: TenantLine, document_id: str, journal: ActionJournal, kind: str) -> None:
    """Of a request that was sent before and got no answer: raise ``NotKnownError`` if it may have been carried out."""
    dispatcher = line.lane.source.capabilities.dispatcher
    if dispatcher is None:
        return
    state = await dispatcher.dispatch_state(document_id, journal)
    if state.dispatch in {DispatchStatus.SUCCEEDED, DispatchStatus.FAILED}:
        raise NotKnownError(
            f"The {kind.replace('_', ' ')} was sent before and got no answer, and the document is {state.status} now: "
            "whether by this request is not known. If it is to be delivered once more, send a new Idempotency-Key."
        )


def _action_shape(result: ActionResult, delivery: Delivery | None, effect: Any) -> ReviewActionShape:
    shown = None if delivery is None else delivery_shape(delivery)
    return ReviewActionShape(result.document_id, result.status, result.updated_at, result.review_state, shown, effect)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
