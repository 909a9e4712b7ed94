"""Delivery by Numora's own means: never set going twice, and followed by the document's status alone."""

import asyncio

import pytest

from connectors.capabilities import ActionRefusedError, DispatchStatus
from connectors.http import Answer
from connectors.numora.run_ids import run_id_of
from connectors.numora.sandbox import DeliveryRoute, SandboxDocument
from connectors.numora.statuses import dispatch_status
from connectors.outcome import TransientError, UnknownOutcomeError

DISPATCH = r"/dispatch$"
CALLS = [("dispatch", DISPATCH), ("retry_push", "/retry-push$")]


@pytest.fixture
def actions(source):
    return source.capabilities.actions


@pytest.fixture
def dispatcher(source):
    return source.capabilities.dispatcher


@pytest.fixture
def document(numora) -> SandboxDocument:
    return numora.workspace().add(SandboxDocument("doc_1", "invoice_v2", {"invoice_number": "INV-1"}))


def runs(numora) -> int:
    return len(numora.workspace().catalogue.runs)


@pytest.mark.parametrize(("call", "_"), CALLS)
@pytest.mark.parametrize("answers", ["document", "run", "empty"])
async def test_a_delivery_is_set_going_and_its_run_named_where_numora_names_one(
    numora, actions, log, document, call, answers, _
):
    numora.action_answers = answers

    result = await getattr(actions, call)("doc_1", log)

    assert (result.status, result.updated_at, result.repeated) == ("push_pending", document.updated_at, False)
    assert result.run_id == (None if answers == "empty" else "run_1")


@pytest.mark.parametrize(("call", "_"), CALLS)
async def test_a_document_on_its_way_is_not_sent_a_second_time(numora, actions, log, document, call, _):
    await actions.dispatch("doc_1", log)

    again = await getattr(actions, call)("doc_1", log)

    assert (again.status, again.repeated, again.run_id) == ("push_pending", True, None)
    assert runs(numora) == 1


async def test_a_document_that_somebody_else_sends_meanwhile_is_a_repeat(numora, actions, log, document):
    """The 409 says only that it can't be done: the document says that it is done already."""
    numora.faults.add("hang", path=DISPATCH, times=1)

    async def dispatched_by_hand():
        await numora.faults.until_struck(kind="hang")
        numora.workspace().queue(document)
        numora.faults.release()

    result, _ = await asyncio.gather(actions.dispatch("doc_1", log), dispatched_by_hand())

    assert (result.status, result.repeated) == ("push_pending", True)


async def test_a_document_in_review_is_refused(numora, actions, log, document):
    numora.workspace().send_back("doc_1")

    with pytest.raises(ActionRefusedError) as refused:
        await actions.dispatch("doc_1", log)
    assert refused.value.status == 409


@pytest.mark.parametrize(("call", "path"), CALLS)
@pytest.mark.parametrize("fault", ["reset_after", "status_after", "html_502_after", "truncated"])
async def test_a_lost_answer_is_found_by_reading(numora, actions, log, document, call, path, fault):
    numora.faults.add(fault, path=path, times=1)

    assert (await getattr(actions, call)("doc_1", log)).status == "push_pending"
    assert runs(numora) == 1


async def test_a_lost_answer_is_found_even_when_the_push_has_ended_already(numora, actions, log, document):
    numora.workspace().route = DeliveryRoute(outcome="succeeded", after_reads=0)
    numora.faults.add("reset_after", path=DISPATCH, times=1)

    assert (await actions.dispatch("doc_1", log)).status == "push_succeeded"


@pytest.mark.parametrize(("call", "path"), CALLS)
@pytest.mark.parametrize("fault", ["reset_before", "html_502", "status_before"])
async def test_what_never_arrived_is_told_and_not_sent_again(numora, actions, log, document, call, path, fault):
    numora.workspace().settle("doc_1", "push_failed")
    numora.faults.add(fault, path=path, times=1)

    with pytest.raises(TransientError) as lost:
        await getattr(actions, call)("doc_1", log)

    assert isinstance(lost.value, UnknownOutcomeError) is (fault != "status_before")
    assert runs(numora) == 0
    assert numora.faults.struck() == 1


async def test_managed_mode_follows_a_document_to_its_end(numora, dispatcher, log, document):
    numora.workspace().route = DeliveryRoute(outcome="failed", after_reads=1)
    assert (await dispatcher.dispatch_state("doc_1", log)).dispatch is DispatchStatus.READY

    assert await dispatcher.dispatch("doc_1", log) == "run_1"
    seen = [await dispatcher.dispatch_state("doc_1", log) for _ in range(2)]

    assert [state.dispatch for state in seen] == [DispatchStatus.PENDING, DispatchStatus.FAILED]
    assert (seen[1].status, seen[1].updated_at) == ("push_failed", document.updated_at)


async def test_managed_mode_does_not_dispatch_what_is_on_its_way(numora, dispatcher, log, document):
    await dispatcher.dispatch("doc_1", log)

    assert await dispatcher.dispatch("doc_1", log) is None
    assert runs(numora) == 1


async def test_a_document_that_was_removed_is_gone(dispatcher, log):
    state = await dispatcher.dispatch_state("doc_none", log)

    assert (state.dispatch, state.status) == (DispatchStatus.GONE, None)


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ("reviewed", DispatchStatus.READY),
        ("push_pending", DispatchStatus.PENDING),
        ("push_succeeded", DispatchStatus.SUCCEEDED),
        ("push_failed", DispatchStatus.FAILED),
        ("review_required", DispatchStatus.IN_REVIEW),
        ("processing", DispatchStatus.IN_REVIEW),
        ("failed", DispatchStatus.IN_REVIEW),
        ("push_queued_somewhere", DispatchStatus.PENDING),
        (None, DispatchStatus.PENDING),
    ],
)
def test_an_unknown_status_is_neither_an_end_nor_a_reason_to_dispatch(status, expected):
    assert dispatch_status(status) is expected


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b'{"run_id":"run_1"}', "run_1"),
        (b'{"id":"run_1","status":"queued"}', "run_1"),
        (b'{"id":"doc_1","status":"push_pending"}', None),
        (b'{"id":"DOC_1","run_id":7}', "7"),
        (b'{"run":{"id":"run_2"}}', "run_2"),
        (b'{"run":"run_2"}', "run_2"),
        (b'{"data":{"run":{"run_id":"run_3"}}}', "run_3"),
        (b'{"data":[{"run_id":"run_4"}]}', "run_4"),
        (b'{"data":[{"run_id":"run_4"},{"run_id":"run_5"}]}', None),
        (b'{"id":"doc_1","data":{"run_id":"run_6"}}', "run_6"),
        (b'{"run_id":"with blanks in it"}', None),
        (b'{"run_id":{"a":1}}', None),
        (b"[]", None),
        (b'"run_1"', None),
        (b"", None),
        (b"\xff\xfe", None),
        (b'{"run_id":"\xff"}', None),
        (b"[" * 100_000, None),
        (b'{"data":' * 20 + b'{"run_id":"run_9"}' + b"}" * 20, None),
    ],
)
def test_a_run_is_found_wherever_it_stands(body, expected):
    answer = Answer(202, {}, body, complete=True, retry_after=None, request_id="r", peer_request_id=None)

    assert run_id_of(answer, "doc_1") == expected
