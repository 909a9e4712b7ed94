"""Every operation of our node, in one workflow of a real n8n."""

import flows
from n8n_process import N8n, items_of
from n8n_side import Side

from connectors.retab.sandbox.samples import open_samples


async def test_every_operation_on_documents_and_deliveries_answers(side: Side, path: str) -> None:
    """From poll to dispatch: each node of the chain gets its answer from the bridge and hands an item on."""
    first, second, third = side.add(), side.add(), side.add()
    credential = side.credential
    newest = "={{ $('Deliver').item.json.id }}"
    chain = [
        flows.bridge("Poll", credential, "tenant", "poll"),
        flows.bridge("Tenants", credential, "tenant", "getAll"),
        flows.once(flows.bridge("Deliver", credential, "document", "deliver", documentId=first.id, wait=60)),
        flows.bridge("Preview", credential, "document", "preview", documentId=first.id),
        flows.bridge("Get document", credential, "document", "get", documentId=first.id),
        flows.bridge("Get delivery", credential, "delivery", "get", deliveryId=newest),
        flows.bridge("Retry", credential, "delivery", "retry", deliveryId=newest),
        flows.bridge(
            "Retry many", credential, "delivery", "retryMany", dryRun=True, filters={"state": ["failed", "succeeded"]}
        ),
        flows.bridge("Reject", credential, "document", "reject", documentId=second.id),
        flows.bridge("Approve", credential, "document", "approve", documentId=second.id, reviewState="{}"),
        flows.bridge("Retry push", credential, "document", "retryPush", documentId=third.id),
        flows.bridge("Dispatch", credential, "document", "dispatch", documentId=third.id),
        flows.bridge(
            "Submit",
            credential,
            "document",
            "submit",
            schema="invoice_v2",
            fileUrl="https://files.example.com/invoice.pdf",
            externalId="ours-1",
            metadata='{"vendor_code": "V-1001"}',
        ),
    ]
    workflow = await side.n8n.add_workflow(flows.workflow(flows.webhook(path, "onReceived"), *chain))

    await side.n8n.call_webhook(path, {})
    (ended,) = await side.n8n.ended_executions(workflow)

    assert ended["status"] == "success", ended["data"]["resultData"].get("error")
    answers = {one["name"]: items_of(ended, one["name"]) for one in chain}
    assert answers["Poll"][0].keys() == {"seen", "queued", "cursor_reset"}
    assert {one["id"] for one in answers["Tenants"]} == {"acme", "globex", "initech"}
    assert answers["Deliver"][0]["state"] == "succeeded"
    assert answers["Preview"][0]["expected"]
    assert answers["Get document"][0]["document"]["id"] == first.id
    assert answers["Get delivery"][0]["attempt_log"]
    assert answers["Retry"][0]["document_id"] == first.id
    assert answers["Retry many"][0]["dry_run"] is True
    assert answers["Reject"][0]["status"] == "review_required"
    assert answers["Approve"][0]["status"] == "reviewed"
    assert answers["Retry push"][0]["status"] == "push_pending"
    assert answers["Dispatch"][0]["repeated"] is True
    assert answers["Submit"][0]["external_id"] == "ours-1"


async def test_all_pages_of_a_list_come_and_a_limit_holds(side: Side, path: str) -> None:
    """Return All follows the cursor to the end; a limit beyond one page is met exactly."""
    for _ in range(205):
        side.add()
    await side.ask("POST", "/poll")
    chain = [
        flows.bridge("All", side.credential, "delivery", "getAll", returnAll=True),
        flows.once(flows.bridge("Some", side.credential, "delivery", "getAll", returnAll=False, limit=203)),
        flows.once(
            flows.bridge("None", side.credential, "delivery", "getAll", returnAll=True, filters={"document_id": "no"})
        ),
    ]
    workflow = await side.n8n.add_workflow(flows.workflow(flows.webhook(path, "onReceived"), *chain))

    await side.n8n.call_webhook(path, {})
    (ended,) = await side.n8n.ended_executions(workflow)

    assert len({one["id"] for one in items_of(ended, "All")}) == 205
    assert len({one["id"] for one in items_of(ended, "Some")}) == 203
    assert items_of(ended, "None") == []


async def test_many_items_are_delivered_in_one_run_and_come_back_in_their_order(side: Side, path: str) -> None:
    """A node that gets sixty documents at once delivers each of them once; answer and question stay paired."""
    documents = [side.add() for _ in range(60)]
    split = flows.node("Split", "n8n-nodes-base.splitOut", 1, fieldToSplitOut="body.documents", options={})
    deliver = flows.bridge(
        "Deliver", side.credential, "document", "deliver", documentId="={{ $json['body.documents'] }}", wait=60
    )
    workflow = await side.n8n.add_workflow(flows.workflow(flows.webhook(path, "onReceived"), split, deliver))

    await side.n8n.call_webhook(path, {"documents": [document.id for document in documents]})
    (ended,) = await side.n8n.ended_executions(workflow)

    delivered = items_of(ended, "Deliver")
    assert [one["document_id"] for one in delivered] == [document.id for document in documents]
    assert {one["state"] for one in delivered} == {"succeeded"}
    assert [len({callback.execution_id for callback in document.callbacks}) for document in documents] == [1] * 60


async def test_a_document_that_was_submitted_without_a_name_is_not_submitted_again_by_a_retry(
    side: Side, path: str
) -> None:
    """Retry On Fail repeats all items of the node, those that went well too: they keep the document that they made."""
    items = flows.node("Split", "n8n-nodes-base.splitOut", 1, fieldToSplitOut="body.schemas", options={})
    submit = flows.bridge(
        "Submit",
        side.credential,
        "document",
        "submit",
        schema="={{ $json['body.schemas'] }}",
        fileUrl="https://files.example.com/invoice.pdf",
    )
    submit |= {"retryOnFail": True, "maxTries": 3, "waitBetweenTries": 100}
    before = set(side.world.workspace("acme").documents)
    workflow = await side.n8n.add_workflow(flows.workflow(flows.webhook(path, "onReceived"), items, submit))

    await side.n8n.call_webhook(path, {"schemas": ["invoice_v2", "no_such_schema"]})
    (ended,) = await side.n8n.ended_executions(workflow)

    assert ended["status"] == "error"
    assert len(set(side.world.workspace("acme").documents) - before) == 1


async def test_reviews_are_listed_read_and_decided_and_a_late_decision_takes_the_conflict_branch(
    side: Side, path: str
) -> None:
    """Who was first wins; whoever comes after is shown the decision that stands."""
    (review,) = open_samples(side.world.environment("initech"), 1)
    version = review.versions[-1].id
    chosen = {"reviewId": review.id, "versionId": version, "onConflict": "output"}
    late = flows.bridge("Reject", side.credential, "review", "reject", "initech", reason="Too late", **chosen)
    chain = [
        flows.bridge("Reviews", side.credential, "review", "getAll", "initech", returnAll=True),
        flows.bridge("Review", side.credential, "review", "get", "initech", reviewId="={{ $json.id }}"),
        flows.bridge("Approve", side.credential, "review", "approve", "initech", **chosen),
        late,
        flows.nothing("Done"),
    ]
    workflow = await side.n8n.add_workflow(
        flows.workflow(flows.webhook(path, "onReceived"), *chain, branches={"Reject": {1: flows.nothing("Conflict")}})
    )

    await side.n8n.call_webhook(path, {})
    (ended,) = await side.n8n.ended_executions(workflow)

    assert ended["status"] == "success", ended["data"]["resultData"].get("error")
    assert [one["id"] for one in items_of(ended, "Reviews")] == [review.id]
    assert [one["id"] for one in items_of(ended, "Review")[0]["versions"]] == [version]
    assert items_of(ended, "Approve")[0]["submission_status"] == "accepted"
    assert items_of(ended, "Done") == []
    (conflict,) = items_of(ended, "Conflict")
    assert conflict["code"] == "decided_otherwise"
    assert conflict["review"]["id"] == review.id
    assert review.decision is not None
    assert review.decision["verdict"] == "approved"


async def test_a_credential_is_tested_against_the_bridge(side: Side) -> None:
    """The right key passes n8n's credential test, another one does not."""
    data = {"baseUrl": f"{side.bridge.base}/", "apiKey": "not the key"}
    wrong = await side.n8n.add_credential("wrong", flows.CREDENTIAL, data)

    good = await side.n8n.api("POST", f"/credentials/{side.credential}/test")
    bad = await side.n8n.api("POST", f"/credentials/{wrong}/test")

    assert good["status"] == "OK", good
    assert bad["status"] == "Error", bad


async def test_the_node_is_offered_to_ai_agents_as_a_tool(n8n: N8n) -> None:
    """n8n makes a tool of the node by itself; the trigger stays a trigger."""
    offered = {one["name"] for one in n8n.node_types()}
    assert {flows.BRIDGE, flows.TRIGGER, f"{flows.BRIDGE}Tool"} <= offered
    assert f"{flows.TRIGGER}Tool" not in offered
