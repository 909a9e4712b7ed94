"""What a reviewer or an operator does to a document: hand in, approve, reject, retry the push, dispatch."""

from typing import Any
from uuid import uuid4

import msgspec

from connectors.http import encode_json
from connectors.numora.sandbox.catalogue import SCHEMAS, WorkflowDispatch, parse
from connectors.numora.sandbox.documents import SandboxDocument, Workspace
from connectors.numora.sandbox.refusing import RefusedError
from connectors.numora.sandbox.runs import Run

_WORKFLOW = "wf_push"


class _Action(msgspec.Struct, frozen=True):
    expected_updated_at: str | None = None
    review_state: dict[str, Any] | None = None
    provider: str | None = None


class _NewDocument(msgspec.Struct, frozen=True):
    schema: str
    file_url: str
    external_id: str | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)


def submit(workspace: Workspace, body: bytes) -> tuple[int, bytes]:
    """Take a document in, or find the one that has this ``external_id`` in this schema; return status and body."""
    new = parse(body, _NewDocument)
    if new.schema not in {one["id"] for one in SCHEMAS}:
        raise RefusedError(422, "invalid_schema", "there is no such schema")
    if not new.file_url.startswith(("http://", "https://")):
        raise RefusedError(400, "invalid_payload", "file_url is an http or https address")
    known = None if new.external_id is None else workspace.by_external_id(new.schema, new.external_id)
    document = known or workspace.add(
        SandboxDocument(
            id=str(uuid4()),
            schema=new.schema,
            fields={},
            status="processing",
            finalized=False,
            external_id=new.external_id,
            metadata={**new.metadata, "file_url": new.file_url},
        )
    )
    path = f"/v1/documents/{document.id}"
    answer = {
        "id": document.id,
        "status": document.status,
        "schema": document.schema,
        "status_url": path,
        "result_url": f"{path}/result",
    }
    return (202 if known is None else 200), encode_json(answer)


def approve(workspace: Workspace, document: SandboxDocument, body: bytes) -> dict[str, Any]:
    """Approve: reviewed and finalized. The same request again gives the same answer and does nothing."""
    if document.approval is not None and document.approval[0] == body and document.status != "review_required":
        return document.approval[1]
    action = parse(body, _Action)
    _require_current(document, action, "approve")
    if document.status in {"processing", "failed"}:
        raise RefusedError(409, "conflict", f"the document is {document.status}")
    document.review_state = _normalised(action.review_state)
    workspace.amend(document.id)
    answer = {**_state(document), "review_state": document.review_state}
    document.approval = (body, answer)
    return answer


def reject(workspace: Workspace, document: SandboxDocument, body: bytes) -> dict[str, Any]:
    """Reject: back to review, and nothing new is delivered. One that waits for review already is left as it is."""
    _require_current(document, parse(body, _Action), "reject")
    if document.status in {"processing", "failed"}:
        raise RefusedError(409, "conflict", f"the document is {document.status}")
    if document.status != "review_required" or document.finalized:
        workspace.send_back(document.id)
    return _state(document)


def retry_push(workspace: Workspace, document: SandboxDocument, body: bytes) -> dict[str, Any]:
    """Queue another run of Numora's own delivery."""
    _require_current(document, parse(body, _Action), "retry-push")
    return _queued(workspace, document)


def dispatch(workspace: Workspace, document: SandboxDocument, body: bytes) -> dict[str, Any]:
    """Hand the document to whatever delivers it for this provider."""
    if parse(body, _Action).provider != "dynamics365":
        raise RefusedError(422, "invalid_payload", "provider is missing or not a known one")
    return _queued(workspace, document)


def dispatch_workflow(workspace: Workspace, workflow_id: str, body: bytes) -> dict[str, Any]:
    """Queue a run of one workflow."""
    wanted = parse(body, WorkflowDispatch)
    if workflow_id not in workspace.catalogue.workflows:
        raise RefusedError(404, "not_found", "there is no such workflow")
    if wanted.execution_mode != "queued":
        raise RefusedError(422, "invalid_payload", "execution_mode is queued")
    document = workspace.documents.get(wanted.document_id)
    if document is None:
        raise RefusedError(404, "not_found", "there is no such document")
    run = _start(workspace, document, workflow_id)
    return {"run_id": run.id, "workflow_id": workflow_id, "status": "queued", "execution_mode": "queued"}


def _queued(workspace: Workspace, document: SandboxDocument) -> dict[str, Any]:
    if workspace.route.kind == "workflow":
        run = _start(workspace, document, _WORKFLOW)
        return {**_state(document), "run_id": run.id}
    _require_deliverable(document)
    workspace.queue(document)
    workspace.notify(document)
    return _state(document)


def _start(workspace: Workspace, document: SandboxDocument, workflow_id: str) -> Run:
    _require_deliverable(document)
    workspace.queue(document)
    document.run = workspace.catalogue.start_run(workflow_id, document.id, workspace.route, document.updated_at)
    return document.run


def _require_deliverable(document: SandboxDocument) -> None:
    if not document.finalized or document.status not in {"reviewed", "push_failed", "push_succeeded"}:
        raise RefusedError(409, "conflict", "the document is not reviewed and finalized, or is on its way already")


def _state(document: SandboxDocument) -> dict[str, Any]:
    return {"id": document.id, "status": document.status, "updated_at": document.updated_at}


def _require_current(document: SandboxDocument, action: _Action, name: str) -> None:
    if action.expected_updated_at not in {None, document.updated_at}:
        raise RefusedError(409, "conflict", f"{name} conflict", updated_at=document.updated_at)


def _normalised(review_state: dict[str, Any] | None) -> dict[str, Any] | None:
    """Both lists empty is the same as no review state."""
    if review_state is None:
        return None
    confirmed = review_state.get("confirmed_general_field_names") or review_state.get("confirmed_line_item_ids")
    return review_state if confirmed else None
