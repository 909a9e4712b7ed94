"""What a reviewer or an operator does to a document: approve, reject, retry the push, dispatch."""

from typing import Any

import msgspec

from connectors.http import encode_json
from connectors.numora.sandbox.documents import SandboxDocument, Workspace


class ActionRefusedError(Exception):
    """The action is not taken; ``beside`` stands next to ``error`` in the answer."""

    def __init__(self, status: int, code: str, message: str, **beside: Any) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message
        self.beside = beside


class _Action(msgspec.Struct, frozen=True):
    expected_updated_at: str | None = None
    review_state: dict[str, Any] | None = None
    provider: str | None = None


def approve(workspace: Workspace, document: SandboxDocument, body: bytes) -> bytes:
    """Approve: reviewed and finalized. The same request again gives the same answer and does nothing."""
    if document.approval is not None and document.approval[0] == body and document.status != "review_required":
        return document.approval[1]
    action = _parse(body)
    _require_current(document, action, "approve")
    if document.status == "processing":
        raise ActionRefusedError(409, "conflict", "the document is still being processed")
    document.review_state = _normalised(action.review_state)
    workspace.amend(document.id)
    answer = encode_json(
        {
            "id": document.id,
            "status": document.status,
            "updated_at": document.updated_at,
            "review_state": document.review_state,
        }
    )
    document.approval = (body, answer)
    return answer


def reject(workspace: Workspace, document: SandboxDocument, body: bytes) -> bytes:
    """Reject: back to review, and nothing new is delivered."""
    _require_current(document, _parse(body), "reject")
    workspace.send_back(document.id)
    return _state(document)


def retry_push(workspace: Workspace, document: SandboxDocument, body: bytes) -> bytes:
    """Queue another run of Numora's own delivery."""
    _require_current(document, _parse(body), "retry-push")
    return _queued(workspace, document)


def dispatch(workspace: Workspace, document: SandboxDocument, body: bytes) -> bytes:
    """Hand the document to whatever delivers it for this provider."""
    if _parse(body).provider != "dynamics365":
        raise ActionRefusedError(422, "invalid_payload", "provider is missing or not a known one")
    return _queued(workspace, document)


def _queued(workspace: Workspace, document: SandboxDocument) -> bytes:
    if not document.finalized or document.status not in {"reviewed", "push_failed", "push_succeeded"}:
        raise ActionRefusedError(
            409, "conflict", "the document is not reviewed and finalized, or is on its way already"
        )
    workspace.queue(document)
    return _state(document)


def _state(document: SandboxDocument) -> bytes:
    return encode_json({"id": document.id, "status": document.status, "updated_at": document.updated_at})


def _parse(body: bytes) -> _Action:
    try:
        return msgspec.json.decode(body or b"{}", type=_Action)
    except msgspec.DecodeError as error:
        raise ActionRefusedError(400, "invalid_payload", str(error)) from error


def _require_current(document: SandboxDocument, action: _Action, name: str) -> None:
    if action.expected_updated_at not in {None, document.updated_at}:
        raise ActionRefusedError(409, "conflict", f"{name} conflict", updated_at=document.updated_at)


def _normalised(review_state: dict[str, Any] | None) -> dict[str, Any] | None:
    """Both lists empty is the same as no review state."""
    if review_state is None:
        return None
    confirmed = review_state.get("confirmed_general_field_names") or review_state.get("confirmed_line_item_ids")
    return review_state if confirmed else None
