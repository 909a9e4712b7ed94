"""The delivery callback: what Numora takes, what it recognises as a replay, and what it refuses."""

from datetime import datetime
from typing import Any

import msgspec

from connectors.numora.sandbox.documents import Callback, SandboxDocument, Workspace
from connectors.numora.sandbox.outbox import OutboxRules
from connectors.numora.sandbox.refusing import RefusedError

_STATUS_AFTER = {"succeeded": "push_succeeded", "failed": "push_failed"}
_IN_REVIEW = frozenset({"processing", "review_required", "failed"})


class CallbackBody(msgspec.Struct, frozen=True):
    """The body of a callback, as published."""

    provider: str
    status: str
    execution_id: str
    attempted_at: str
    external_record_id: str | None = None
    external_url: str | None = None
    error_code: str | None = None
    error_message: str | None = None


def take_callback(workspace: Workspace, document: SandboxDocument, body: bytes, rules: OutboxRules) -> Callback:
    """Record a callback and let it act. Raises ``RefusedError``; a refused one is recorded as well.

    The same ``execution_id`` with the same bytes is taken and has no effect, with any other byte it is a conflict: the
    strictest reading of Numora's rule. An execution id belongs to one document.
    """
    callback = Callback(document.id, None, None, body, "refused")
    document.callbacks.append(callback)
    workspace.callbacks.append(callback)
    parsed = _parse(body)
    callback.execution_id, callback.status = parsed.execution_id, parsed.status
    known = document.accepted.get(parsed.execution_id)
    owner = workspace.executions.setdefault(parsed.execution_id, document.id)
    if owner != document.id or (known is not None and known.body != body):
        callback.verdict = "conflict"
        raise RefusedError(409, "conflict", "this execution_id was recorded with other delivery data")
    if known is not None:
        callback.verdict = "replayed"
        return callback
    callback.verdict = "accepted"
    document.accepted[parsed.execution_id] = callback
    _act(workspace, document, parsed.status, rules)
    return callback


def history(document: SandboxDocument) -> list[dict[str, Any]]:
    """Return the attempts that were recorded, oldest first."""
    return [msgspec.json.decode(callback.body) for callback in document.accepted.values()]


def _parse(body: bytes) -> CallbackBody:
    try:
        parsed = msgspec.json.decode(body, type=CallbackBody)
    except msgspec.ValidationError as error:
        raise RefusedError(400, "invalid_payload", str(error)) from error
    except msgspec.DecodeError as error:
        raise RefusedError(400, "invalid_payload", "the body is not JSON") from error
    if parsed.provider != "dynamics365":
        raise RefusedError(422, "invalid_payload", "provider is not a known one")
    if parsed.status not in {"succeeded", "failed", "skipped"}:
        raise RefusedError(422, "invalid_payload", "status is succeeded, failed or skipped")
    if not parsed.execution_id:
        raise RefusedError(422, "invalid_payload", "execution_id is empty")
    if parsed.status == "succeeded" and not parsed.external_record_id:
        raise RefusedError(422, "invalid_payload", "a succeeded delivery names its external_record_id")
    try:
        moment = datetime.fromisoformat(parsed.attempted_at)
    except ValueError as error:
        raise RefusedError(422, "invalid_payload", "attempted_at is not ISO 8601") from error
    if moment.tzinfo is None:
        raise RefusedError(422, "invalid_payload", "attempted_at has no offset")
    return parsed


def _act(workspace: Workspace, document: SandboxDocument, status: str, rules: OutboxRules) -> None:
    """Move the document. One that went back to review stays there: the attempt is only recorded."""
    if document.status in _IN_REVIEW:
        return
    if status == "failed" and rules.failed_again:
        document.status = _STATUS_AFTER[status]
        workspace.touch(document)
        if document.settled or not workspace.is_listed(document):
            workspace.list_anew(document)
        workspace.end_run(document)
        return
    # The outbox lags behind: for a while it still shows the entry that it showed before.
    stale_row = document.row()
    after_skipping = "reviewed" if document.status == "push_pending" else document.status
    document.status = _STATUS_AFTER.get(status, after_skipping)
    workspace.touch(document)
    if status in _STATUS_AFTER:
        workspace.end_run(document)
    document.settled = True
    document.stale_polls = rules.stale_polls
    if document.stale_polls > 0:
        document.keep_row(stale_row)
    else:
        workspace.unlist(document)
