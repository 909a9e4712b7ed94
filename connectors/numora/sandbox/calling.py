"""Whom Numora calls when something happens in a workspace, and with what."""

from collections.abc import Callable
from datetime import UTC, datetime

from connectors.numora.sandbox.calls_out import (
    CallsOut,
    ExecutorTarget,
    Sending,
    SignedCall,
    WebhookTarget,
    executor_call,
    webhook_call,
)
from connectors.numora.sandbox.documents import EXECUTOR, SandboxDocument, Workspace


class Caller(CallsOut):
    """Calls the targets of workspaces, by itself when something happens, or when it is told to."""

    def __init__(self, clock: Callable[[], float]) -> None:
        super().__init__()
        self._clock = clock

    def told(self, workspace: Workspace, type_: str, document: SandboxDocument) -> None:
        """Call whoever is to know of an event."""
        if type_ == EXECUTOR:
            if workspace.executor is not None and workspace.executor.url is not None:
                self.notify(workspace, document)
        elif workspace.webhooks is not None and workspace.webhooks.url is not None:
            self.send_webhook(workspace, type_, document)

    def webhook(
        self,
        workspace: Workspace,
        type_: str,
        document: SandboxDocument,
        *,
        event_id: str | None = None,
        at: datetime | None = None,
    ) -> SignedCall:
        """Return a signed webhook without sending it. Raises ``LookupError`` when the workspace has no secrets."""
        target = _webhooks_of(workspace)
        moment = at or datetime.fromtimestamp(self._clock(), UTC)
        data = {"document_id": document.id, "schema": document.schema, "status": document.status}
        return webhook_call(target, event_id or self.next_id("evt"), type_, data, moment)

    def notification(self, workspace: Workspace, document: SandboxDocument, call_id: str | None = None) -> SignedCall:
        """Return the executor's notification without sending it. Raises ``LookupError`` when there is no executor."""
        content = {
            "attempt_id": call_id or self.next_id("att"),
            "document_id": document.id,
            "provider": "dynamics365",
            "schema": document.schema,
        }
        return executor_call(_executor_of(workspace), content)

    def send_webhook(self, workspace: Workspace, type_: str, document: SandboxDocument) -> Sending:
        """Send a webhook; every try is signed anew. Raises ``LookupError`` when it has nowhere to go."""
        url = _url_of(_webhooks_of(workspace))
        event_id = self.next_id("evt")
        return self.send(event_id, url, lambda: self.webhook(workspace, type_, document, event_id=event_id))

    def notify(self, workspace: Workspace, document: SandboxDocument) -> Sending:
        """Have the executor called. Raises ``LookupError`` when it is nowhere."""
        url = _url_of(_executor_of(workspace))
        call_id = self.next_id("att")
        return self.send(call_id, url, lambda: self.notification(workspace, document, call_id))


def _webhooks_of(workspace: Workspace) -> WebhookTarget:
    if workspace.webhooks is None:
        raise LookupError(f"{workspace.name} has no webhooks")
    return workspace.webhooks


def _executor_of(workspace: Workspace) -> ExecutorTarget:
    if workspace.executor is None:
        raise LookupError(f"{workspace.name} has no executor")
    return workspace.executor


def _url_of(target: WebhookTarget | ExecutorTarget) -> str:
    if target.url is None:
        raise LookupError("no address is set")
    return target.url
