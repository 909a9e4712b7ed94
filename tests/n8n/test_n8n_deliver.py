"""A workflow of a real n8n delivers documents through the bridge, and is called back when that takes longer."""

import flows
import pytest
from n8n_process import error_of, items_of
from n8n_side import Side


async def test_a_webhook_delivers_waits_and_responds_with_the_outcome(side: Side, path: str) -> None:
    """Webhook → deliver with wait → respond: the caller is told how the delivery ended, and the row is there."""
    document = side.add()
    await side.n8n.add_workflow(
        flows.workflow(
            flows.webhook(path),
            flows.bridge("Deliver", side.credential, "document", "deliver", documentId=document.id, wait=60),
        )
    )

    status, delivery = await side.n8n.call_webhook(path, {})

    assert status == 200
    assert (delivery["state"], delivery["operation"], delivery["document_id"]) == ("succeeded", "created", document.id)
    assert {callback.status for callback in document.callbacks} == {"succeeded"}
    assert len({callback.execution_id for callback in document.callbacks}) == 1


@pytest.mark.parametrize("late", [False, True], ids=["waits already", "comes to its Wait node late"])
async def test_a_wait_node_is_resumed_by_the_bridge(side: Side, path: str, late: bool) -> None:
    """The flow goes on with the delivery once that has ended, even when it was not waiting yet at that moment.

    n8n refuses the call then, with the status that it has for a flow that was resumed before.
    """
    document = side.add()
    options = {"resumeUrl": "={{ $execution.resumeUrl }}"}
    deliver = flows.bridge(
        "Deliver", side.credential, "document", "deliver", documentId=document.id, wait=0, deliverOptions=options
    )
    between = [flows.pause("Pause", seconds=1)] if late else []
    workflow = await side.n8n.add_workflow(
        flows.workflow(
            flows.webhook(path, "onReceived"), deliver, *between, flows.waiting("Wait"), flows.nothing("After")
        )
    )

    await side.n8n.call_webhook(path, {})

    (ended,) = await side.n8n.ended_executions(workflow)
    assert ended["status"] == "success"
    (told,) = items_of(ended, "After")
    assert told["body"]["type"] == "delivery.succeeded"
    assert told["body"]["data"]["document_id"] == document.id
    assert told["headers"]["webhook-signature"].startswith("v1,")


async def test_a_flow_that_waits_is_resumed_after_n8n_was_down(side: Side, path: str) -> None:
    """n8n is killed while a flow waits and back after the delivery ended: the call comes again until it is taken."""
    document = side.add()
    side.world.numora.faults.add("status_before", path=f"/{document.id}/result")
    options = {"resumeUrl": "={{ $execution.resumeUrl }}"}
    deliver = flows.bridge(
        "Deliver", side.credential, "document", "deliver", documentId=document.id, wait=0, deliverOptions=options
    )
    workflow = await side.n8n.add_workflow(
        flows.workflow(flows.webhook(path, "onReceived"), deliver, flows.waiting("Wait"), flows.nothing("After"))
    )
    await side.n8n.call_webhook(path, {})
    await side.n8n.until_waiting(workflow)

    side.n8n.kill()
    side.world.numora.faults.clear()
    await side.until(lambda: side.delivery(document.id), lambda now: now["state"] == "succeeded")
    await side.n8n.start()

    (ended,) = await side.n8n.ended_executions(workflow)
    assert items_of(ended, "After")[0]["body"]["data"]["document_id"] == document.id


async def test_a_refusal_is_shown_in_the_bridges_own_words(side: Side, path: str) -> None:
    """The failed execution shows the sentence that says what to do, and the code to look up."""
    workflow = await side.n8n.add_workflow(
        flows.workflow(
            flows.webhook(path, "onReceived"),
            flows.bridge("Get", side.credential, "delivery", "get", deliveryId="dlv_019c1234abc0011223344556677"),
        )
    )

    await side.n8n.call_webhook(path, {})

    (ended,) = await side.n8n.ended_executions(workflow)
    assert ended["status"] == "error"
    error = error_of(ended)
    assert error["message"] == "The tenant has no delivery with this id; it may have passed its retention."
    assert "delivery_not_found" in error["description"]
    assert str(error["httpCode"]) == "404"
