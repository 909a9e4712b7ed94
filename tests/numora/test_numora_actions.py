"""What people do with documents at Numora: done once, told exactly, and read back when no answer came."""

import pytest

from connectors.capabilities import ActionConflictError, ActionRefusedError, DocumentActions
from connectors.http import decode_json
from connectors.numora.sandbox import NumoraSandbox, SandboxDocument
from connectors.outcome import BlockedError, ThrottledError, TransientError, UnknownOutcomeError

STATE = {"version": 1, "confirmed_general_field_names": ["invoice_number"], "confirmed_line_item_ids": ["li_1"]}
APPROVE = r"/actions/approve$"
REJECT = r"/actions/reject$"
AFTER = ["reset_after", "status_after", "html_502_after", "truncated"]
BEFORE = ["reset_before", "status_before", "html_502"]


@pytest.fixture
def actions(source) -> DocumentActions:
    return source.capabilities.actions


@pytest.fixture
def document(numora) -> SandboxDocument:
    """A document that waits for its review."""
    made = SandboxDocument(
        "doc_1", "invoice_v2", {"invoice_number": "INV-1"}, status="review_required", finalized=False, external_id="e-1"
    )
    return numora.workspace().add(made)


def sent(numora: NumoraSandbox, path: str) -> list[dict]:
    return [
        decode_json(one.body or b"{}") for one in numora.requests if one.method == "POST" and one.path.endswith(path)
    ]


# Seeing a document


async def test_a_document_is_shown_with_its_result_in_plain_values(actions, log, document):
    view = await actions.view("doc_1", log)

    assert view.document == {
        "id": "doc_1",
        "schema": "invoice_v2",
        "status": "review_required",
        "external_id": "e-1",
        "metadata": {},
        "created_at": document.created_at,
        "updated_at": document.updated_at,
        "review_state": None,
        "duplicate_of": None,
    }
    assert view.result["fields"] == {"invoice_number": "INV-1"}


async def test_a_document_that_is_not_there_is_shown_as_none(actions, log):
    assert await actions.view("doc_none", log) is None


async def test_a_document_that_is_still_processed_has_no_result_and_is_not_asked_for_one(numora, actions, log):
    numora.workspace().add(SandboxDocument("doc_2", "invoice_v2", {}, status="processing"))

    assert (await actions.view("doc_2", log)).result is None
    assert [one.purpose for one in log.opened] == ["document"]


@pytest.mark.parametrize("status", [404, 409, 410, 425])
async def test_a_result_that_numora_does_not_have_yet_is_none(numora, actions, log, document, status):
    numora.faults.add("status_before", status=status, path="/result$")

    assert (await actions.view("doc_1", log)).result is None


@pytest.mark.parametrize(
    ("status", "kind"), [(401, BlockedError), (403, BlockedError), (503, TransientError), (429, ThrottledError)]
)
async def test_a_result_that_cannot_be_read_is_not_taken_for_none(numora, actions, log, document, status, kind):
    numora.faults.add("throttle" if status == 429 else "status_before", status=status, path="/result$")

    with pytest.raises(kind):
        await actions.view("doc_1", log)


async def test_another_documents_result_is_not_shown(numora, actions, log, document):
    numora.workspace().documents["doc_2"] = document

    with pytest.raises(TransientError) as refused:
        await actions.view("doc_2", log)
    assert refused.value.code == "wrong_document"


# Approving


async def test_an_approval_passes_on_the_expected_time_exactly_as_given(numora, actions, log, document):
    expected = document.updated_at

    result = await actions.approve("doc_1", log, expected_updated_at=expected, review_state=STATE)

    assert sent(numora, "/approve") == [{"expected_updated_at": expected, "review_state": STATE}]
    assert (result.document_id, result.status, result.updated_at) == ("doc_1", "reviewed", document.updated_at)
    assert result.review_state == STATE
    assert [(one.purpose, one.mutating) for one in log.opened] == [("approve", True)]


async def test_an_approval_without_a_time_is_of_the_document_as_it_is_then(numora, actions, log, document):
    current = document.updated_at

    result = await actions.approve("doc_1", log, expected_updated_at=None, review_state=None)

    assert sent(numora, "/approve") == [{"expected_updated_at": current, "review_state": None}]
    assert result.status == "reviewed"


async def test_a_stale_approval_is_a_conflict_with_the_current_time_and_changes_nothing(actions, log, document):
    seen = document.updated_at

    with pytest.raises(ActionConflictError) as conflict:
        await actions.approve("doc_1", log, expected_updated_at="2020-01-01T00:00:00.000Z", review_state=None)

    assert (conflict.value.code, conflict.value.updated_at) == ("numora_changed_since", seen)
    assert (document.status, document.updated_at) == ("review_required", seen)


@pytest.mark.parametrize("stale", [True, False])
async def test_a_conflict_that_names_no_time_is_told_apart_by_reading(numora, actions, log, document, stale):
    """A 409 is about the time only if the time is another one; otherwise it is about the document's state."""
    numora.faults.add("status_before", status=409, path=APPROVE)
    expected = "2020-01-01T00:00:00.000Z" if stale else document.updated_at

    with pytest.raises(ActionConflictError if stale else ActionRefusedError) as refused:
        await actions.approve("doc_1", log, expected_updated_at=expected, review_state=None)

    assert (refused.value.updated_at if stale else refused.value.status) == (document.updated_at if stale else 409)


async def test_approving_twice_is_one_effect(actions, log, document):
    expected = document.updated_at

    first = await actions.approve("doc_1", log, expected_updated_at=expected, review_state=STATE)
    second = await actions.approve("doc_1", log, expected_updated_at=expected, review_state=STATE)

    assert first == second
    assert document.updated_at == first.updated_at


async def test_approving_again_what_is_on_its_way_does_not_send_it_back(numora, actions, log, document):
    await actions.approve("doc_1", log, expected_updated_at=None, review_state=STATE)
    await actions.dispatch("doc_1", log)

    again = await actions.approve("doc_1", log, expected_updated_at=None, review_state=STATE)

    assert (again.status, again.repeated) == ("push_pending", True)
    assert len(sent(numora, "/approve")) == 1


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        (None, None),
        ({}, None),
        ({"version": 1, "confirmed_general_field_names": [], "confirmed_line_item_ids": []}, None),
        ({"confirmed_general_field_names": None}, None),
        (
            {"confirmed_line_item_ids": ["li_2"]},
            {"version": 1, "confirmed_general_field_names": [], "confirmed_line_item_ids": ["li_2"]},
        ),
        (STATE, STATE),
    ],
)
async def test_a_review_state_is_null_or_whole(numora, actions, log, document, given, expected):
    await actions.approve("doc_1", log, expected_updated_at=None, review_state=given)

    assert sent(numora, "/approve")[0]["review_state"] == expected


@pytest.mark.parametrize(
    "given",
    [
        {"version": 2, "confirmed_line_item_ids": ["li_1"]},
        {"confirmed_line_item_ids": "li_1"},
        {"confirmed_line_item_ids": [1]},
        {"confirmed": ["li_1"]},
    ],
)
async def test_a_review_state_of_another_form_is_refused_before_anything_is_sent(actions, log, document, given):
    with pytest.raises(ActionRefusedError) as refused:
        await actions.approve("doc_1", log, expected_updated_at=None, review_state=given)

    assert refused.value.status == 422
    assert log.opened == []


@pytest.mark.parametrize("fault", AFTER)
async def test_an_approval_whose_answer_was_lost_is_found_by_reading(numora, actions, log, document, fault):
    numora.faults.add(fault, path=APPROVE, times=1)

    result = await actions.approve("doc_1", log, expected_updated_at=document.updated_at, review_state=STATE)

    assert (result.status, result.updated_at, result.review_state) == ("reviewed", document.updated_at, STATE)
    assert len(sent(numora, "/approve")) == 1


@pytest.mark.parametrize("fault", BEFORE)
async def test_an_approval_that_never_arrived_is_told_and_not_sent_again(numora, actions, log, document, fault):
    numora.faults.add(fault, path=APPROVE, times=1)

    with pytest.raises(TransientError) as lost:
        await actions.approve("doc_1", log, expected_updated_at=document.updated_at, review_state=STATE)

    known = fault == "status_before"
    assert isinstance(lost.value, UnknownOutcomeError) is not known
    assert lost.value.code == ("numora_unavailable" if known else "numora_outcome_unknown")
    assert "review_required" in lost.value.message
    assert "tried again" not in lost.value.message
    assert len(sent(numora, "/approve")) == 1


async def test_someone_elses_approval_with_other_confirmations_is_not_taken_for_ours(numora, actions, log, document):
    expected = document.updated_at
    numora.workspace().amend("doc_1", review_state=None)
    numora.faults.add("reset_before", path=APPROVE)

    with pytest.raises(UnknownOutcomeError):
        await actions.approve("doc_1", log, expected_updated_at=expected, review_state=STATE)


async def test_an_approved_document_that_has_not_moved_is_no_sign_of_a_new_approval(numora, actions, log, document):
    numora.workspace().amend("doc_1", review_state=STATE)
    numora.faults.add("reset_before", path=APPROVE)

    with pytest.raises(UnknownOutcomeError):
        await actions.approve("doc_1", log, expected_updated_at=document.updated_at, review_state=STATE)


async def test_a_lost_answer_and_a_document_that_cannot_be_read_stay_unknown(numora, actions, log, document):
    numora.faults.add("reset_after", path=APPROVE)
    numora.faults.add("status_before", status=503, method="GET")

    with pytest.raises(UnknownOutcomeError) as lost:
        await actions.approve("doc_1", log, expected_updated_at=document.updated_at, review_state=STATE)
    assert lost.value.code == "numora_outcome_unknown"


async def test_an_approval_that_was_answered_stands_even_if_the_document_cannot_be_read(numora, actions, log, document):
    numora.faults.add("truncated", path=APPROVE)
    numora.faults.add("status_before", status=401, method="GET")

    result = await actions.approve("doc_1", log, expected_updated_at=document.updated_at, review_state=STATE)

    assert (result.document_id, result.status) == ("doc_1", None)
    assert document.status == "reviewed"


# Rejecting


async def test_a_rejected_document_goes_back_to_review(numora, actions, log, document):
    numora.workspace().amend("doc_1")

    result = await actions.reject("doc_1", log, expected_updated_at=document.updated_at)

    assert (result.status, document.status, document.finalized) == ("review_required", "review_required", False)


async def test_a_stale_rejection_is_a_conflict_whether_or_not_numora_heeds_the_time(numora, actions, log, document):
    numora.workspace().amend("doc_1")

    with pytest.raises(ActionConflictError) as conflict:
        await actions.reject("doc_1", log, expected_updated_at="2020-01-01T00:00:00Z")

    assert conflict.value.updated_at == document.updated_at
    assert sent(numora, "/reject") == []


async def test_a_rejection_without_a_time_asks_nothing_first(numora, actions, log, document):
    numora.workspace().amend("doc_1")

    await actions.reject("doc_1", log, expected_updated_at=None)

    assert sent(numora, "/reject") == [{}]
    assert [one.purpose for one in log.opened] == ["reject"]


async def test_a_time_written_differently_is_the_same_time(numora, actions, log, document):
    numora.workspace().amend("doc_1")
    spelled = document.updated_at.replace("Z", "+00:00")

    with pytest.raises(ActionConflictError):
        # The sandbox compares texts, as Numora may: what was given is passed on as it is.
        await actions.reject("doc_1", log, expected_updated_at=spelled)
    assert sent(numora, "/reject") == [{"expected_updated_at": spelled}]


@pytest.mark.parametrize("fault", AFTER)
async def test_a_rejection_whose_answer_was_lost_is_found_by_reading(numora, actions, log, document, fault):
    numora.workspace().amend("doc_1")
    numora.faults.add(fault, path=REJECT, times=1)

    assert (await actions.reject("doc_1", log, expected_updated_at=None)).status == "review_required"
    assert len(sent(numora, "/reject")) == 1


@pytest.mark.parametrize("fault", BEFORE)
async def test_a_rejection_that_never_arrived_is_told(numora, actions, log, document, fault):
    numora.workspace().amend("doc_1")
    numora.faults.add(fault, path=REJECT, times=1)

    with pytest.raises(TransientError):
        await actions.reject("doc_1", log, expected_updated_at=None)
    assert document.status == "reviewed"


# What any action is answered with


async def test_an_answer_without_a_body_is_followed_by_a_read(numora, actions, log, document):
    numora.action_answers = "empty"
    numora.workspace().amend("doc_1")

    result = await actions.reject("doc_1", log, expected_updated_at=None)

    assert (result.status, result.updated_at) == ("review_required", document.updated_at)


@pytest.mark.parametrize(
    ("status", "kind", "code"),
    [
        (400, ActionRefusedError, "numora_refused_action"),
        (401, BlockedError, "numora_unauthorized"),
        (403, BlockedError, "numora_forbidden"),
        (404, ActionRefusedError, "numora_refused_action"),
        (410, ActionRefusedError, "numora_refused_action"),
        (418, ActionRefusedError, "numora_refused_action"),
        (422, ActionRefusedError, "numora_refused_action"),
        (423, TransientError, "numora_not_ready"),
        (425, TransientError, "numora_not_ready"),
        (500, TransientError, "numora_unavailable"),
        (504, UnknownOutcomeError, "numora_outcome_unknown"),
    ],
)
async def test_what_a_refused_action_means(numora, actions, log, document, status, kind, code):
    numora.workspace().amend("doc_1")
    numora.faults.add("status_before", status=status, path=REJECT)

    with pytest.raises(kind) as refused:
        await actions.reject("doc_1", log, expected_updated_at=None)

    assert refused.value.code == code
    if isinstance(refused.value, ActionRefusedError):
        assert refused.value.status == (404 if status == 410 else status)


@pytest.mark.parametrize("call", ["approve", "reject", "retry_push", "dispatch"])
async def test_a_document_that_is_not_there_is_refused_with_404(actions, log, call):
    more = {
        "approve": {"expected_updated_at": None, "review_state": None},
        "reject": {"expected_updated_at": None},
    }.get(call, {})

    with pytest.raises(ActionRefusedError) as refused:
        await getattr(actions, call)("doc/none", log, **more)
    assert refused.value.status == 404


async def test_a_pause_is_passed_on_and_the_action_was_not_done(numora, actions, log, document):
    numora.faults.add("throttle", retry_after=7, path=APPROVE)

    with pytest.raises(ThrottledError) as paused:
        await actions.approve("doc_1", log, expected_updated_at=document.updated_at, review_state=None)
    assert paused.value.retry_after >= 7
    assert document.status == "review_required"


# Handing in


NEW = {"schema": "invoice_v2", "file_url": "https://files.example/i.pdf", "external_id": "po-7"}


async def test_a_document_is_handed_in_once_however_often(numora, actions, log):
    first = await actions.submit(log, **NEW, metadata={"vendor_code": "V-1"})
    second = await actions.submit(log, **NEW, metadata={"vendor_code": "V-1"})

    assert first == second
    document = numora.document(first["id"])
    assert first == {
        "id": document.id,
        "status": "processing",
        "schema": "invoice_v2",
        "external_id": "po-7",
        "status_url": f"/v1/documents/{document.id}",
        "result_url": f"/v1/documents/{document.id}/result",
    }
    assert document.metadata["vendor_code"] == "V-1"
    assert len(numora.workspace().documents) == 1


async def test_the_same_external_id_in_another_schema_is_another_document(numora, actions, log):
    await actions.submit(log, **NEW, metadata={})
    await actions.submit(log, **{**NEW, "schema": "receipt_v1"}, metadata={})

    assert len(numora.workspace().documents) == 2
    assert "metadata" not in sent(numora, "/v1/documents")[0]


@pytest.mark.parametrize("fault", [*AFTER, "reset_before", "html_502"])
async def test_a_submission_without_an_answer_says_that_a_repeat_is_safe(numora, actions, log, fault):
    numora.faults.add(fault, status=504, path="/v1/documents$", times=1)

    with pytest.raises(UnknownOutcomeError) as lost:
        await actions.submit(log, **NEW, metadata={})
    assert lost.value.code == "numora_outcome_unknown"
    assert "external_id" in lost.value.message

    await actions.submit(log, **NEW, metadata={})
    assert len(numora.workspace().documents) == 1


@pytest.mark.parametrize(
    ("change", "status"), [({"schema": "invoice_v9"}, 422), ({"file_url": "file:///etc/passwd"}, 400)]
)
async def test_a_submission_that_numora_refuses_says_why(actions, log, change, status):
    with pytest.raises(ActionRefusedError) as refused:
        await actions.submit(log, **{**NEW, **change}, metadata={})

    assert refused.value.status == status
    assert "schema" in refused.value.message or "file_url" in refused.value.message
