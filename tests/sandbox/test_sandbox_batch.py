"""``$batch`` of the imitated Dataverse: change sets are atomic, references work, the answer looks like the real one."""

import re
from uuid import uuid4

import pytest

CRLF = "\r\n"
BATCH = {"Content-Type": 'multipart/mixed; boundary="batch_x"'}


def request_part(method: str, url: str, body: str = "", content_id: int | None = None, headers: str = "") -> str:
    lines = ["Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    if content_id is not None:
        lines.append(f"Content-ID: {content_id}")
    lines += ["", f"{method} {url} HTTP/1.1", "Content-Type: application/json; type=entry"]
    lines += [headers] if headers else []
    return CRLF.join([*lines, "", body, ""])


def change_set(*parts: str) -> str:
    inner = "".join(f"--changeset_x{CRLF}{part}" for part in parts) + f"--changeset_x--{CRLF}"
    return f'Content-Type: multipart/mixed; boundary="changeset_x"{CRLF}{CRLF}{inner}'


async def batch(call, *parts: str, prefer: str = ""):
    body = "".join(f"--batch_x{CRLF}{part}" for part in parts) + f"--batch_x--{CRLF}"
    return await call("POST", "$batch", body.encode(), {**BATCH, **({"Prefer": prefer} if prefer else {})})


def statuses(answer) -> list[int]:
    return [int(status) for status in re.findall(rb"HTTP/1\.1 (\d{3})", answer.body)]


async def test_a_change_set_writes_header_and_lines_with_references(call, dataverse):
    answer = await batch(
        call,
        change_set(
            request_part("POST", "/api/data/v9.2/numora_invoices", '{"numora_name":"INV-1"}', 1),
            request_part("POST", "numora_invoicelines", '{"numora_Invoice@odata.bind":"$1"}', 2),
            request_part("PATCH", "$1", '{"numora_source":"numora"}', 3),
            request_part("PATCH", f"{dataverse.api_url}/$2", '{"numora_position":7}', 4),
        ),
    )
    assert answer.status == 200
    assert answer.headers["Content-Type"].startswith("multipart/mixed; boundary=batchresponse_")
    assert b"boundary=changesetresponse_" in answer.body
    assert statuses(answer) == [204] * 4
    assert re.findall(rb"Content-ID: (\d)", answer.body) == [b"1", b"2", b"3", b"4"]
    [invoice] = dataverse.rows("numora_invoice")
    [line] = dataverse.rows("numora_invoiceline")
    assert (invoice["numora_source"], line["numora_invoice"], line["numora_position"]) == (
        "numora",
        invoice["numora_invoiceid"],
        7,
    )


async def test_a_failing_change_set_leaves_nothing_and_is_the_outer_status(call, dataverse):
    row_id = dataverse.seed("numora_invoice", [{"numora_name": "before"}])[0]
    version = dataverse.store.get("numora_invoice", row_id).version
    answer = await batch(
        call,
        change_set(
            request_part("PATCH", f"numora_invoices({row_id})", '{"numora_name":"after"}', 1),
            request_part(
                "POST", "numora_invoicelines", f'{{"numora_Invoice@odata.bind":"/numora_invoices({row_id})"}}', 2
            ),
            request_part("PATCH", f"numora_invoices({row_id})", "{}", 3, 'If-Match: W/"1"'),
        ),
    )
    assert answer.status == 412
    assert answer.headers["Content-Type"].startswith("multipart/mixed")
    assert statuses(answer) == [412]
    assert b"0x80060882" in answer.body
    assert b"changesetresponse_" not in answer.body
    assert dataverse.rows("numora_invoice")[0]["numora_name"] == "before"
    assert dataverse.store.get("numora_invoice", row_id).version == version
    assert (dataverse.rows("numora_invoiceline"), dataverse.effects) == ([], [])


async def test_a_deleted_row_comes_back_when_the_change_set_fails(call, dataverse):
    row_id = dataverse.seed("numora_invoice", [{"numora_externalkey": "k"}])[0]
    dataverse.seed("numora_invoiceline", [{"numora_Invoice@odata.bind": f"/numora_invoices({row_id})"}])
    answer = await batch(
        call,
        change_set(
            request_part("DELETE", f"numora_invoices({row_id})", content_id=1),
            request_part("PATCH", f"numora_invoices({uuid4()})", "{}", 2, "If-Match: *"),
        ),
    )
    assert answer.status == 404
    kept = await call("GET", "numora_invoices(numora_externalkey='k')?$expand=numora_invoice_numora_invoiceline")
    assert len(kept.json["numora_invoice_numora_invoiceline"]) == 1


async def test_without_continue_on_error_the_first_failure_ends_the_batch(call, dataverse):
    parts = [
        request_part("POST", "numora_invoices", "{}"),
        request_part("GET", f"numora_invoices({uuid4()})"),
        request_part("POST", "numora_invoices", "{}"),
    ]
    stopped = await batch(call, *parts)
    assert (stopped.status, statuses(stopped)) == (404, [204, 404])
    assert len(dataverse.rows("numora_invoice")) == 1
    went_on = await batch(call, *parts, prefer="odata.continue-on-error")
    assert (went_on.status, statuses(went_on)) == (200, [204, 404, 204])
    assert len(dataverse.rows("numora_invoice")) == 3


async def test_a_forward_reference_does_not_exist(call, dataverse):
    answer = await batch(
        call,
        change_set(
            request_part("POST", "numora_invoicelines", '{"numora_Invoice@odata.bind":"$2"}', 1),
            request_part("POST", "numora_invoices", "{}", 2),
        ),
    )
    assert answer.status == 400
    assert b"Content-ID Reference: '$2' does not exist in the batch context." in answer.body
    assert dataverse.effects == []


@pytest.mark.parametrize(
    "parts",
    [
        [change_set(request_part("GET", "numora_invoices", content_id=1))],
        [change_set(request_part("POST", "numora_invoices", "{}"))],
        [
            change_set(
                request_part("POST", "numora_invoices", "{}", 1), request_part("POST", "numora_invoices", "{}", 1)
            )
        ],
        [request_part("POST", "$batch", "{}")],
        [request_part("FETCH", "numora_invoices")],
        [f"Content-Type: text/plain{CRLF}{CRLF}x{CRLF}"],
        [f"Content-Type: application/http{CRLF}POST numora_invoices HTTP/1.1{CRLF}"],
        [request_part("POST", "numora_invoices", "{}")] * 1001,
    ],
)
async def test_a_malformed_batch_is_refused_as_a_whole(call, dataverse, parts):
    answer = await batch(call, *parts)
    assert answer.status == 400
    assert answer.json["error"]["message"]
    assert dataverse.effects == []


async def test_a_batch_has_a_closing_boundary(call):
    open_ended = f"--batch_x{CRLF}{request_part('POST', 'numora_invoices', '{}')}".encode()
    assert (await call("POST", "$batch", open_ended, BATCH)).status == 400
    assert (await call("POST", "$batch", b"{}", {"Content-Type": "application/json"})).status == 400


async def test_a_query_in_a_batch_answers_its_rows(call, dataverse):
    dataverse.seed("account", [{"name": "Acme"}])
    answer = await batch(call, request_part("GET", "accounts?$select=name&$filter=name%20eq%20'Acme'"))
    assert (answer.status, statuses(answer)) == (200, [200])
    assert b'"name":"Acme"' in answer.body
