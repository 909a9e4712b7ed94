"""What a person may do with a document at Numora: approve, reject, have it delivered once more, hand one in.

Nothing is ever sent twice by itself. After a lost answer the document is read: it shows whether the action was done.
"""

import logging
from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

import msgspec

from connectors.capabilities import (
    ActionConflictError,
    ActionRefusedError,
    ActionResult,
    DispatchState,
    DispatchStatus,
    DocumentView,
)
from connectors.http import Answer, encode_json
from connectors.numora.calls import NumoraCalls
from connectors.numora.models import DocumentState
from connectors.numora.moments import same_moment
from connectors.numora.refusals import GONE, action_failure, conflicting_time, is_success, out_of_date
from connectors.numora.review_state import normalised, same_confirmations
from connectors.numora.run_ids import run_id_of
from connectors.numora.statuses import APPROVED, IN_REVIEW, KNOWN, PROCESSING, PUSH_PENDING, dispatch_status
from connectors.numora.submission import submit
from connectors.numora.translate import confirmed, is_same_document, reference, require_same
from connectors.outcome import OutcomeError, TransientError, UnknownOutcomeError
from connectors.ports import RequestLog

_NO_RESULT: Final = GONE | {409, 425}
_CONFLICT: Final = 409
_APPROVED_AND_GONE_ON: Final = frozenset({PUSH_PENDING, "push_succeeded"})

_log = logging.getLogger(__name__)

Done = Callable[[DocumentState], bool]
"""Tells from a document whether an action was done, when no answer came."""


class _Action(msgspec.Struct, frozen=True):
    """An action on its way: its name for people, for the journal, and where it goes."""

    name: str
    purpose: str
    address: str
    document_id: str


class NumoraActions:
    """``DocumentActions`` at Numora. A document that is not there is an ``ActionRefusedError`` with status 404."""

    def __init__(self, calls: NumoraCalls, provider: str) -> None:
        self._calls = calls
        self._provider = provider

    async def view(self, document_id: str, log: RequestLog) -> DocumentView | None:
        """Read the document and its result; the result is None as long as Numora has none to give."""
        state = await self._calls.document(document_id, log)
        if state is None:
            return None
        result = None if state.status == PROCESSING else await self._result(document_id, log)
        return DocumentView(_plain(state, document_id), result)

    async def approve(
        self,
        document_id: str,
        log: RequestLog,
        *,
        expected_updated_at: str | None,
        review_state: Mapping[str, Any] | None,
        approved_at: Collection[str] = (),
    ) -> ActionResult:
        """Approve the document as it was at ``expected_updated_at``, which is passed on exactly as given.

        Without one the document is read first and approved as it is then: an approval is never blind. A document that
        has the same approval and is on its way, delivered, or unchanged since (``approved_at``), is left alone; so is
        one whose delivery ended between the two. With a time Numora decides; when it takes a repeat for a conflict,
        ``approved_at`` tells that it is none.
        """
        confirmations = normalised(review_state)
        expected = expected_updated_at
        if expected is None:
            state = await self._required(document_id, log)
            if _has_approval(state, confirmations, approved_at):
                return _to_result(document_id, state, repeated=True)
            expected = state.updated_at
        body: dict[str, Any] = {} if expected is None else {"expected_updated_at": expected}
        body["review_state"] = confirmations

        def done(state: DocumentState) -> bool:
            return (
                state.status in APPROVED
                and same_confirmations(confirmations, state.review_state)
                and not (expected is not None and same_moment(state.updated_at, expected))
            )

        action = self._action(document_id, "approve", "approval")
        try:
            taken = await self._act(action, encode_json(body), log, done, expected=expected)
        except ActionConflictError:
            if expected_updated_at is not None and not approved_at:
                raise
            state = await self._required(document_id, log)
            anyway = expected_updated_at is None and state.updated_at is not None
            if not _has_approval(state, confirmations, [state.updated_at or ""] if anyway else approved_at):
                raise
            return _to_result(document_id, state, repeated=True)
        return await self._result_of(action, taken, log)

    async def reject(self, document_id: str, log: RequestLog, *, expected_updated_at: str | None) -> ActionResult:
        """Send the document back to review.

        Whether Numora heeds a time here is not published, so one that is given is compared with the document's own
        just before, and sent along as well.
        """
        if expected_updated_at is not None:
            state = await self._required(document_id, log)
            if not same_moment(state.updated_at, expected_updated_at):
                raise out_of_date("rejection", document_id, state.updated_at)
        body = {} if expected_updated_at is None else {"expected_updated_at": expected_updated_at}
        action = self._action(document_id, "reject", "rejection")
        taken = await self._act(
            action, encode_json(body), log, lambda state: state.status == IN_REVIEW, expected=expected_updated_at
        )
        return await self._result_of(action, taken, log)

    async def retry_push(self, document_id: str, log: RequestLog) -> ActionResult:
        """Have Numora deliver a reviewed document once more, unless it is on its way already."""
        action = self._action(document_id, "retry-push", "retry of the push")
        return await self._deliver(action, b"{}", log)

    async def dispatch(self, document_id: str, log: RequestLog) -> ActionResult:
        """Hand a reviewed document to its active route, unless it is on its way already."""
        action = _Action("dispatch", "dispatch", self._calls.addresses.dispatch(document_id), document_id)
        return await self._deliver(action, encode_json({"provider": self._provider}), log)

    async def submit(
        self, log: RequestLog, *, schema: str, file_url: str, external_id: str, metadata: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Hand in a document; see ``submission.submit``."""
        return await submit(self._calls, log, schema, file_url, external_id, metadata)

    def _action(self, document_id: str, path: str, name: str) -> _Action:
        address = self._calls.addresses.action(document_id, path)
        return _Action(name, path.replace("-", "_"), address, document_id)

    async def _deliver(self, action: _Action, body: bytes, log: RequestLog) -> ActionResult:
        """Set a delivery of Numora's own going. A second one for a document on its way might write it twice."""
        before = await self._required(action.document_id, log)
        if before.status == PUSH_PENDING:
            return _to_result(action.document_id, before, repeated=True)

        def done(state: DocumentState) -> bool:
            ended = dispatch_status(state.status) in {DispatchStatus.SUCCEEDED, DispatchStatus.FAILED}
            return state.status == PUSH_PENDING or (ended and not same_moment(state.updated_at, before.updated_at))

        try:
            taken = await self._act(action, body, log, done)
        except ActionRefusedError as refused:
            if refused.status == _CONFLICT:
                state = await self._calls.document(action.document_id, log)
                if state is not None and state.status == PUSH_PENDING:
                    return _to_result(action.document_id, state, repeated=True)
            raise
        run_id = run_id_of(taken, action.document_id) if isinstance(taken, Answer) else None
        return await self._result_of(action, taken, log, run_id)

    async def _act(
        self, action: _Action, body: bytes, log: RequestLog, done: Done, *, expected: str | None = None
    ) -> Answer | DocumentState:
        """Send an action once; return Numora's consent, or the document when only that told that it was done."""
        try:
            answer = await self._calls.change("POST", action.address, action.purpose, body, log)
        except UnknownOutcomeError as lost:
            return await self._found_out(action, log, done, lost)
        if is_success(answer):
            return answer
        if answer.status == _CONFLICT:
            await self._raise_if_changed(action, answer, log, expected)
        failure = action_failure(answer, action.name)
        if isinstance(failure, TransientError) and answer.status >= 500:
            return await self._found_out(action, log, done, failure)
        raise failure

    async def _found_out(self, action: _Action, log: RequestLog, done: Done, lost: TransientError) -> DocumentState:
        """Read whether an action was done that was not answered properly."""
        try:
            state = await self._calls.document(action.document_id, log)
        except OutcomeError as unread:
            raise UnknownOutcomeError(
                "numora_outcome_unknown",
                f"Whether the {action.name} of document {action.document_id} was done is not known: {lost.message} "
                f"Reading the document did not go well either: {unread.message} Read it before you ask again.",
                retry_after=unread.retry_after if isinstance(unread, TransientError) else lost.retry_after,
            ) from lost
        if state is not None and done(state):
            return state
        shown = "is not there any more" if state is None else f"is {state.status} since {state.updated_at}"
        if not isinstance(lost, UnknownOutcomeError):
            raise TransientError(
                lost.code,
                f"{lost.message} Document {action.document_id} {shown}: the {action.name} was not done. Ask again "
                "later.",
                retry_after=lost.retry_after,
            ) from lost
        raise UnknownOutcomeError(
            "numora_outcome_unknown",
            f"{lost.message} Document {action.document_id} {shown}, so the {action.name} was not done so far. It is "
            "not sent again by itself: read the document, and ask again if it still is so.",
            retry_after=lost.retry_after,
        ) from lost

    async def _raise_if_changed(self, action: _Action, answer: Answer, log: RequestLog, expected: str | None) -> None:
        """Raise ``ActionConflictError`` when a 409 is about the time of change and not about the document's state."""
        current = conflicting_time(answer)
        if current is not None:
            raise out_of_date(action.name, action.document_id, current)
        if expected is None:
            return
        state = await self._calls.document(action.document_id, log)
        if state is not None and state.updated_at is not None and not same_moment(state.updated_at, expected):
            raise out_of_date(action.name, action.document_id, state.updated_at)

    async def _result_of(
        self, action: _Action, taken: Answer | DocumentState, log: RequestLog, run_id: str | None = None
    ) -> ActionResult:
        """Tell how the document stands after an action that was done; what Numora didn't say of it is read."""
        state = _told(taken, action.document_id) if isinstance(taken, Answer) else taken
        if state is None:
            try:
                state = await self._calls.document(action.document_id, log)
            except OutcomeError as unread:
                _log.warning(
                    "numora did the %s of document %s, which could not be read afterwards: %s",
                    action.name,
                    action.document_id,
                    unread.message,
                )
        return _to_result(action.document_id, state, run_id)

    async def _required(self, document_id: str, log: RequestLog) -> DocumentState:
        state = await self._calls.document(document_id, log)
        if state is None:
            raise ActionRefusedError(
                "numora_refused_action",
                f"Numora has no document {document_id}. Check the id, and that the tenant's API key opens its "
                "workspace.",
                status=404,
            )
        return state

    async def _result(self, document_id: str, log: RequestLog) -> Mapping[str, Any] | None:
        address = self._calls.addresses.result(document_id)
        answer = await self._calls.get(address, "result", log)
        if answer.status in _NO_RESULT:
            return None
        self._calls.require_success(answer, "result", address)
        result = answer.json()
        if not isinstance(result, dict):
            raise TransientError(
                "bad_answer", "Numora's result is not an object. Ask again later; if it stays so, look for a proxy."
            )
        named = result.get("id") or result.get("document_id")
        require_same(document_id, str(named) if named else None)
        return result


class NumoraDispatcher:
    """``Dispatcher`` at Numora: its dispatch, and the document's status as the way to follow it."""

    def __init__(self, calls: NumoraCalls, actions: NumoraActions) -> None:
        self._calls = calls
        self._actions = actions

    async def dispatch(self, document_id: str, log: RequestLog) -> str | None:
        """Ask Numora to deliver a document, unless it is on its way already; return the run's id if it names one."""
        return (await self._actions.dispatch(document_id, log)).run_id

    async def dispatch_state(self, document_id: str, log: RequestLog) -> DispatchState:
        """Tell where the document is now."""
        state = await self._calls.document(document_id, log)
        if state is None:
            return DispatchState(DispatchStatus.GONE, None, None)
        return DispatchState(dispatch_status(state.status), state.status, state.updated_at)


def _told(answer: Answer, document_id: str) -> DocumentState | None:
    """Return the document as the answer to an action tells it; None when it leaves out what matters.

    The status of a run may stand where a document's is expected, so that only a known one is taken for it.
    """
    try:
        state = DocumentState.model_validate(answer.json())
    except (TransientError, ValueError):
        return None
    named = state.id or state.document_id
    complete = state.status in KNOWN and state.updated_at and named and is_same_document(named, document_id)
    return state if complete else None


def _has_approval(state: DocumentState, confirmations: Any, approved_at: Collection[str]) -> bool:
    """Tell whether a document has this very approval: it went on with it, or was not changed since."""
    if state.status not in APPROVED or not same_confirmations(confirmations, state.review_state):
        return False
    return state.status in _APPROVED_AND_GONE_ON or any(same_moment(state.updated_at, moment) for moment in approved_at)


def _to_result(
    document_id: str, state: DocumentState | None, run_id: str | None = None, *, repeated: bool = False
) -> ActionResult:
    if state is None:
        return ActionResult(document_id, None, None, None, run_id)
    return ActionResult(
        document_id, state.status, state.updated_at, confirmed(state.review_state), run_id, repeated=repeated
    )


def _plain(state: DocumentState, document_id: str) -> dict[str, Any]:
    return {
        "id": document_id,
        "schema": state.schema_id,
        "status": state.status,
        "external_id": state.external_id,
        "metadata": state.metadata or {},
        "created_at": state.created_at,
        "updated_at": state.updated_at,
        "review_state": confirmed(state.review_state),
        "duplicate_of": reference(state.duplicate_of),
    }
