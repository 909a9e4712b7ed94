"""Reporting the outcome: exact bytes, replays without effect, conflicts for a person, unknown outcomes told as such."""

import pytest

from connectors.http import decode_json
from connectors.numora.sandbox import SandboxDocument
from connectors.outcome import BlockedError, ConflictError, ThrottledError, TransientError, UnknownOutcomeError
from connectors.ports import Listing, Report

AT = "2026-03-21T14:24:11.000Z"


def succeeded(**changes) -> Report:
    return Report(
        **{
            "document_id": "doc_1",
            "status": "succeeded",
            "execution_id": "e-doc_1-1",
            "attempted_at": AT,
            "external_record_id": "r-1",
            **changes,
        }
    )


def failed(**changes) -> Report:
    return Report(
        **{
            "document_id": "doc_1",
            "status": "failed",
            "execution_id": "e-doc_1-2",
            "attempted_at": AT,
            "error_code": "field_missing",
            "error_message": "invoice_date is missing",
            **changes,
        }
    )


@pytest.fixture(autouse=True)
def document(numora) -> SandboxDocument:
    return numora.workspace().add(SandboxDocument("doc_1", "invoice_v2", {"invoice_number": "INV-1"}))


def test_only_what_is_set_is_sent_and_always_in_the_same_bytes(source):
    body = source.encode_report(succeeded(external_url="https://acme.example/r-1"))

    assert body == (
        b'{"provider":"dynamics365","status":"succeeded","execution_id":"e-doc_1-1",'
        b'"attempted_at":"2026-03-21T14:24:11.000Z","external_record_id":"r-1","external_url":"https://acme.example/r-1"}'
    )
    assert source.encode_report(succeeded(external_url="https://acme.example/r-1")) == body
    assert decode_json(source.encode_report(failed())) == {
        "provider": "dynamics365",
        "status": "failed",
        "execution_id": "e-doc_1-2",
        "attempted_at": AT,
        "error_code": "field_missing",
        "error_message": "invoice_date is missing",
    }


def test_the_configured_provider_is_reported(connect):
    assert decode_json(connect(provider="dynamics365_eu").encode_report(failed()))["provider"] == "dynamics365_eu"


@pytest.mark.parametrize("message", ["x" * 5000, "ä☃" * 900, "\ud800 lone", "line\nbreak\x00"])
def test_an_error_message_is_bounded_and_can_always_be_written(source, message):
    sent = decode_json(source.encode_report(failed(error_message=message)))["error_message"]

    assert len(sent) == min(len(message), 1000)
    assert sent.endswith("…") == (len(message) > 1000)


async def test_a_report_is_journalled_as_mutating_and_takes_effect(numora, source, log, document):
    body = source.encode_report(succeeded())

    await source.report("doc_1", body, log)

    (request,) = log.opened
    assert (request.purpose, request.method, request.mutating) == ("callback", "POST", True)
    assert request.url == f"{numora.url}/v1/documents/doc_1/delivery"
    assert [callback.body for callback in document.callbacks] == [body]
    assert document.status == "push_succeeded"
    (record,) = numora.requests
    assert record.headers["content-type"] == "application/json"


async def test_a_replay_of_the_same_bytes_has_no_second_effect(source, log, document):
    body = source.encode_report(succeeded())
    await source.report("doc_1", body, log)
    moved = document.updated_at

    await source.report("doc_1", body, log)

    assert document.updated_at == moved
    assert [callback.verdict for callback in document.callbacks] == ["accepted", "replayed"]


async def test_another_outcome_under_the_same_execution_id_is_a_conflict_with_both_bodies(source, log):
    body = source.encode_report(succeeded())
    other = source.encode_report(failed(execution_id="e-doc_1-1"))
    await source.report("doc_1", body, log)

    with pytest.raises(ConflictError) as conflict:
        await source.report("doc_1", other, log)

    assert conflict.value.code == "callback_conflict"
    assert conflict.value.sent == other.decode()
    assert decode_json(conflict.value.answered.encode())["error"]["code"] == "conflict"


@pytest.mark.parametrize("status", [400, 404, 410, 415, 422])
async def test_any_other_refusal_of_a_callback_is_for_a_person_to_look_at(numora, source, log, status):
    numora.faults.add("status_before", status=status, times=1)

    with pytest.raises(ConflictError, match=str(status)) as refused:
        await source.report("doc_1", source.encode_report(succeeded()), log)

    assert refused.value.code == "callback_refused"
    assert "r-1" in refused.value.sent


@pytest.mark.parametrize(
    ("fault", "kind", "code"),
    [
        ({"kind": "unauthorized"}, BlockedError, "numora_unauthorized"),
        ({"kind": "status_before", "status": 403}, BlockedError, "numora_forbidden"),
        ({"kind": "status_before", "status": 500}, TransientError, "numora_unavailable"),
        ({"kind": "status_after", "status": 503, "retry_after": 9}, TransientError, "numora_unavailable"),
        ({"kind": "html_502_after"}, TransientError, "numora_unavailable"),
        ({"kind": "status_after", "status": 504}, UnknownOutcomeError, "gateway_timeout"),
        ({"kind": "reset_before"}, UnknownOutcomeError, "connection_lost"),
        ({"kind": "reset_after"}, UnknownOutcomeError, "connection_lost"),
        ({"kind": "throttle", "retry_after": 30}, ThrottledError, "throttled"),
        ({"kind": "status_before", "status": 408}, TransientError, "numora_not_ready"),
    ],
)
async def test_every_failure_of_a_report_has_its_consequence_and_can_be_sent_again(
    numora, connect, log, document, fault, kind, code
):
    numora.faults.add(**fault, times=1)
    source = connect()
    body = source.encode_report(succeeded())

    with pytest.raises(kind) as failure:
        await source.report("doc_1", body, log)

    assert type(failure.value) is kind
    assert failure.value.code == code
    if kind is not ThrottledError:
        await connect().report("doc_1", body, log)
        assert document.status == "push_succeeded"
        assert len(document.accepted) == 1


async def test_a_report_without_an_answer_in_time_may_have_arrived(numora, connect, log, document):
    numora.faults.add("hang_after", times=1)
    source = connect(timeout="300ms")
    body = source.encode_report(succeeded())

    with pytest.raises(UnknownOutcomeError) as failure:
        await source.report("doc_1", body, log)

    assert failure.value.code == "timeout"
    assert document.status == "push_succeeded"
    numora.faults.clear()
    await source.report("doc_1", body, log)
    assert [callback.verdict for callback in document.callbacks] == ["accepted", "replayed"]


async def test_a_success_counts_whatever_its_body_says(numora, source, log, document):
    numora.faults.add("truncated", times=1)

    await source.report("doc_1", source.encode_report(succeeded()), log)

    assert document.status == "push_succeeded"


@pytest.mark.parametrize("shape", ["data", "list", "object"])
async def test_the_delivery_history_is_read_in_any_of_its_forms(numora, source, log, shape):
    numora.history_shape = shape
    await source.report("doc_1", source.encode_report(failed()), log)
    await source.report("doc_1", source.encode_report(succeeded()), log)

    history = await source.delivery_history("doc_1")

    expected = ["e-doc_1-1"] if shape == "object" else ["e-doc_1-2", "e-doc_1-1"]
    assert [record["execution_id"] for record in history] == expected


@pytest.mark.parametrize("kind", ["unauthorized", "status_before"])
async def test_a_blocked_key_is_probed_by_the_read_that_was_refused(numora, source, log, kind):
    numora.faults.add(kind, status=403, path="/result$")
    with pytest.raises(BlockedError):
        await source.fetch(Listing("doc_1", updated_at="t"), log)
    with pytest.raises(BlockedError):
        await source.probe()

    numora.faults.clear()
    await source.probe()

    assert list(numora.requests)[-1].path.endswith("/doc_1/result")
    await source.probe()
    assert "/v1/delivery/outbox?" in list(numora.requests)[-1].path


@pytest.mark.parametrize("absent", [None, 404])
async def test_a_probe_asks_only_whether_the_key_is_accepted(numora, connect, absent):
    numora.outbox.absent = absent

    await connect().probe()
    await connect(trigger="route").probe()

    with pytest.raises(BlockedError):
        await connect(api_key="sk_live_other", trigger="route").probe()


@pytest.mark.parametrize("status", [400, 422])
async def test_a_refused_probe_document_proves_access_and_a_refused_outbox_does_not(numora, connect, status):
    numora.faults.add("status_before", status=status)

    await connect(trigger="route").probe()
    with pytest.raises(BlockedError, match="provider"):
        await connect().probe()
