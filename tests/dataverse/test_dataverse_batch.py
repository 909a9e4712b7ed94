"""The multipart form of change sets: what is written can be read by others, what others write can be read. Pure."""

from email import message_from_bytes
from email.policy import HTTP

import pytest

from connectors.dataverse.batch import Operation, read_change_set, write_change_set

BOUNDARY = "batchresponse_6f7c"
CONTENT_TYPE = f'multipart/mixed; boundary="{BOUNDARY}"'


def crlf(text: str) -> bytes:
    return text.replace("\n", "\r\n").encode()


GOOD = crlf(
    f"""--{BOUNDARY}
Content-Type: multipart/mixed; boundary=changesetresponse_1

--changesetresponse_1
Content-Type: application/http
Content-Transfer-Encoding: binary
Content-ID: 1

HTTP/1.1 204 No Content
OData-Version: 4.0
OData-EntityId: https://org/api/data/v9.2/numora_invoices(0000000a-0000-0000-0000-000000000001)


--changesetresponse_1
Content-Type: application/http
Content-Transfer-Encoding: binary
Content-ID: 2

HTTP/1.1 204 No Content


--changesetresponse_1--
--{BOUNDARY}--
"""
)

FAILED = crlf(
    f"""--{BOUNDARY}
Content-Type: application/http
Content-Transfer-Encoding: binary
Content-ID: 2

HTTP/1.1 412 Precondition Failed
Content-Type: application/json; odata.metadata=minimal

{{"error":{{"code":"0x80060892","message":"A record with matching key values already exists."}}}}
--{BOUNDARY}--
"""
)


def test_a_change_set_is_well_formed_for_an_independent_reader() -> None:
    content_type, body = write_change_set(
        [
            Operation("POST", "/api/data/v9.2/numora_invoices", b'{"numora_name":"x"}'),
            Operation("PATCH", "/api/data/v9.2/numora_invoices(1)", b"{}", 'W/"7"'),
            Operation("DELETE", "/api/data/v9.2/numora_invoicelines(2)"),
        ]
    )
    batch = message_from_bytes(b"Content-Type: " + content_type.encode() + b"\r\n\r\n" + body, policy=HTTP)
    (change_set,) = batch.get_payload()
    parts = change_set.get_payload()
    assert [part["Content-ID"] for part in parts] == ["1", "2", "3"]
    assert {part.get_content_type() for part in parts} == {"application/http"}
    requests = [part.get_payload(decode=True) for part in parts]
    assert requests[0].startswith(b"POST /api/data/v9.2/numora_invoices HTTP/1.1\r\nContent-Type: application/json")
    assert requests[0].endswith(b'\r\n\r\n{"numora_name":"x"}')
    assert b'If-Match: W/"7"\r\n' in requests[1]
    assert requests[2].startswith(b"DELETE /api/data/v9.2/numora_invoicelines(2) HTTP/1.1\r\n\r\n")
    assert b"\n" not in body.replace(b"\r\n", b"")


def test_the_answer_to_a_change_set_tells_of_each_operation() -> None:
    answer = read_change_set(CONTENT_TYPE, GOOD)
    assert answer is not None
    assert answer.whole
    assert answer.failure is None
    assert [(part.status, part.content_id) for part in answer.parts] == [(204, 1), (204, 2)]
    assert (
        answer.parts[0].entity_id == "https://org/api/data/v9.2/numora_invoices(0000000a-0000-0000-0000-000000000001)"
    )


def test_a_change_set_that_failed_is_recognised_by_its_single_part() -> None:
    """Whatever the status of the whole answer, which is documented to be the failing one and sometimes is 200."""
    answer = read_change_set(CONTENT_TYPE, FAILED)
    assert answer is not None
    assert answer.failure is not None
    assert answer.failure.status == 412
    assert answer.failure.content_id == 2
    assert b"0x80060892" in answer.failure.body


def test_bare_line_feeds_are_read_too() -> None:
    answer = read_change_set(CONTENT_TYPE, GOOD.replace(b"\r\n", b"\n"))
    assert answer is not None
    assert [part.status for part in answer.parts] == [204, 204]


@pytest.mark.parametrize("cut", range(1, len(GOOD) - len(f"--{BOUNDARY}--\r\n") - 2, 37))
def test_an_answer_that_broke_off_is_never_taken_for_whole(cut: int) -> None:
    """Otherwise a change set whose end is unknown would be taken for done."""
    answer = read_change_set(CONTENT_TYPE, GOOD[:cut])
    assert answer is not None
    assert not answer.whole


@pytest.mark.parametrize("content_type", ["application/json", "", "multipart/mixed", "text/html; boundary=x"])
def test_what_is_no_multipart_answer_is_not_read_as_one(content_type: str) -> None:
    assert read_change_set(content_type, GOOD) is None
