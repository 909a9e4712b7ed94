"""Handing a document in: the same ``external_id`` again is the same document, so that a repeat is safe."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import quote

from connectors.http import Answer, encode_json
from connectors.numora.calls import NumoraCalls
from connectors.numora.models import Submitted
from connectors.numora.refusals import action_failure, is_success
from connectors.outcome import TransientError, UnknownOutcomeError
from connectors.ports import RequestLog

_AGAIN: Final = "Send the same again: with the same external_id it is the same document."


async def submit(
    calls: NumoraCalls,
    log: RequestLog,
    schema: str,
    file_url: str,
    external_id: str,
    metadata: Mapping[str, Any],
) -> Mapping[str, Any]:
    """Hand in a document; return ``id``, ``status``, ``schema``, ``external_id``, ``status_url`` and ``result_url``.

    What Numora leaves out is what was sent, or its published paths. It is sent once; whether it arrived after a lost
    answer is told by sending it again, which the caller does.
    """
    body: dict[str, Any] = {"schema": schema, "file_url": file_url, "external_id": external_id}
    if metadata:
        body["metadata"] = metadata
    try:
        answer = await calls.change("POST", calls.addresses.documents(), "submit", encode_json(body), log)
    except UnknownOutcomeError as lost:
        raise UnknownOutcomeError(
            "numora_outcome_unknown", f"{lost.message} {_AGAIN}", retry_after=lost.retry_after
        ) from lost
    if not is_success(answer):
        failure = action_failure(answer, "submission")
        if isinstance(failure, UnknownOutcomeError):
            raise UnknownOutcomeError(
                "numora_outcome_unknown", f"{failure.message} {_AGAIN}", retry_after=failure.retry_after
            ) from failure
        raise failure
    taken = _read(answer)
    document_id = taken and (taken.id or taken.document_id)
    if taken is None or not document_id:
        raise UnknownOutcomeError(
            "numora_outcome_unknown", f"Numora took the document ({answer.status}) and did not name it. {_AGAIN}"
        )
    path = f"/v1/documents/{quote(document_id, safe='')}"
    return {
        "id": document_id,
        "status": taken.status,
        "schema": taken.schema_id or schema,
        "external_id": taken.external_id or external_id,
        "status_url": taken.status_url or path,
        "result_url": taken.result_url or f"{path}/result",
    }


def _read(answer: Answer) -> Submitted | None:
    try:
        return Submitted.model_validate(answer.json())
    except (TransientError, ValueError):
        return None
