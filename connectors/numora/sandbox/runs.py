"""The runs of Numora's own delivery: how one begins, and when and how it ends."""

from dataclasses import dataclass, field
from typing import Any, Literal

RouteKind = Literal["workflow", "executor"]
RunOutcome = Literal["succeeded", "failed", "never"]


@dataclass(slots=True)
class DeliveryRoute:
    """How a workspace's documents are delivered once they are dispatched.

    ``workflow``: Numora does it; the document is pending for ``after_reads`` reads, then ends with ``outcome``
    (``never``: it stays pending until ``Workspace.settle``). ``executor``: the n8n executor is told, and the document
    is pending until the callback.
    """

    kind: RouteKind = "workflow"
    outcome: RunOutcome = "never"
    after_reads: int = 1


@dataclass(slots=True)
class Run:
    """One run of a workflow for a document. ``reads`` counts how often the document was shown as pending."""

    id: str
    workflow_id: str
    document_id: str
    route: DeliveryRoute
    created_at: str
    status: str = "queued"
    reads: int = 0
    logs: list[dict[str, Any]] = field(default_factory=list)

    @property
    def is_due(self) -> bool:
        """Whether the document has been shown as pending for long enough."""
        return self.status == "queued" and self.route.outcome != "never" and self.reads >= self.route.after_reads

    def end(self, status: str, at: str) -> None:
        """Note how it ended."""
        self.status = status
        self.logs.append({"node": "push", "status": status, "message": f"the push has {status}", "at": at})

    def resource(self) -> dict[str, Any]:
        """Return the run as it is served."""
        ended = self.status != "queued"
        return {
            "id": self.id,
            "workflow_id": self.workflow_id,
            "document_id": self.document_id,
            "status": "completed" if ended else "queued",
            "outcome": self.status if ended else None,
            "created_at": self.created_at,
        }
