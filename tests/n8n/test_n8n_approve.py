"""Decisions that are taken in a workflow of a real n8n, and what happens when somebody else was quicker."""

from typing import Any

import flows
import pytest
from n8n_process import error_of, items_of
from n8n_side import Side


def deciding(side: Side, path: str, operation: str, on_conflict: str) -> dict[str, Any]:
    """Return a workflow that decides about the document, as of the moment, that its caller names."""
    decide = flows.bridge(
        "Decide",
        side.credential,
        "document",
        operation,
        documentId="={{ $json.body.document }}",
        expectedUpdatedAt="={{ $json.body.seen }}",
        onConflict=on_conflict,
    )
    branches = {"Decide": {1: flows.nothing("Conflict")}} if on_conflict == "output" else None
    return flows.workflow(flows.webhook(path, "onReceived"), decide, flows.nothing("Done"), branches=branches)


@pytest.mark.parametrize("operation", ["approve", "reject"])
async def test_a_stale_decision_takes_the_conflict_branch_and_a_current_one_does_not(
    side: Side, path: str, operation: str
) -> None:
    """What was changed in between is not decided; the branch has what stands there now, enough to decide again."""
    document = side.add()
    workspace = side.world.workspace("acme")
    workspace.send_back(document.id)
    seen = document.updated_at
    workspace.touch(document)
    workflow = await side.n8n.add_workflow(deciding(side, path, operation, "output"))

    await side.n8n.call_webhook(path, {"document": document.id, "seen": seen})
    (stale,) = await side.n8n.ended_executions(workflow)

    assert stale["status"] == "success"
    assert items_of(stale, "Done") == []
    (conflict,) = items_of(stale, "Conflict")
    assert (conflict["code"], conflict["updated_at"]) == ("conflict", document.updated_at)
    assert conflict["document"]["document"]["id"] == document.id
    assert document.status == "review_required"

    await side.n8n.call_webhook(path, {"document": document.id, "seen": conflict["updated_at"]})
    _, current = await side.n8n.ended_executions(workflow, 2)

    assert items_of(current, "Conflict") == []
    (done,) = items_of(current, "Done")
    assert done["status"] == {"approve": "reviewed", "reject": "review_required"}[operation]
    assert document.finalized is (operation == "approve")


async def test_without_the_second_output_a_stale_decision_is_an_error(side: Side, path: str) -> None:
    """Whoever built no branch for it gets a failed execution that says why, and nothing is decided."""
    document = side.add()
    side.world.workspace("acme").send_back(document.id)
    workflow = await side.n8n.add_workflow(deciding(side, path, "approve", "error"))

    await side.n8n.call_webhook(path, {"document": document.id, "seen": "2020-01-01T00:00:00.000Z"})

    (ended,) = await side.n8n.ended_executions(workflow)
    assert ended["status"] == "error"
    assert "conflict" in error_of(ended)["description"]
    assert document.status == "review_required"
