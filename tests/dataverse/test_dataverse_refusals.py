"""What follows from each answer that is not a good one: the table of docs/dataverse.md. Pure."""

import pytest

from connectors.dataverse.refusals import Refusal, outcome_of, read_refusal
from connectors.outcome import (
    BlockedError,
    OutcomeError,
    RejectedError,
    ThrottledError,
    TransientError,
    UnknownOutcomeError,
)


def refusal(status: int, code: str = "", message: str = "No.") -> Refusal:
    body = f'{{"error":{{"code":"{code}","message":"{message}"}}}}'
    return read_refusal(status, body.encode())


@pytest.mark.parametrize(
    ("status", "code", "consequence", "told"),
    [
        (400, "0x80044331", RejectedError, "text_too_long"),
        (400, "0x80040265", RejectedError, "business_rule"),
        (500, "0x80040265", RejectedError, "business_rule"),
        (412, "0x80040333", RejectedError, "duplicate_rule"),
        (500, "0x80040333", RejectedError, "duplicate_rule"),
        (400, "0x80048d19", RejectedError, "refused_by_target"),
        (413, "", RejectedError, "refused_by_target"),
        (404, "0x80060891", RejectedError, "refused_by_target"),
        (400, "0x89999999", RejectedError, "refused_by_target"),
        (412, "0x80060882", TransientError, "row_changed"),
        (412, "0x89999999", TransientError, "row_changed"),
        (500, "0x80044150", TransientError, "rolled_back"),
        (429, "0x80072322", ThrottledError, "throttled"),
        (503, "0x80072321", ThrottledError, "throttled"),
        (500, "0x80040216", UnknownOutcomeError, "server_error"),
        (503, "", UnknownOutcomeError, "server_error"),
        (504, "", UnknownOutcomeError, "server_error"),
        (408, "", UnknownOutcomeError, "server_error"),
        (401, "", BlockedError, "forbidden"),
        (403, "", BlockedError, "forbidden"),
        (400, "0x80048306", BlockedError, "forbidden"),
        (302, "", BlockedError, "redirected"),
    ],
)
def test_the_consequence_of_a_refused_write(status: int, code: str, consequence: type[OutcomeError], told: str) -> None:
    error = outcome_of(refusal(status, code), "create row", mutating=True)
    assert type(error) is consequence
    assert error.code == told


@pytest.mark.parametrize("status", [500, 503, 408])
def test_a_refused_read_is_never_unknown(status: int) -> None:
    error = outcome_of(refusal(status), "read row", mutating=False)
    assert type(error) is TransientError


def test_a_refused_read_is_never_the_documents_fault() -> None:
    assert type(outcome_of(refusal(400, "0x80060888"), "read row", mutating=False)) is BlockedError


@pytest.mark.parametrize(
    "body", [b"", b"<html>Bad Gateway</html>", b'{"error":{"code":"0x8006', b"[]", b"null", b"[" * 100_000]
)
@pytest.mark.parametrize("status", [400, 404, 409])
def test_something_else_than_dataverse_never_ends_a_delivery(status: int, body: bytes) -> None:
    """A proxy's page with a 4xx is no judgement on the document."""
    error = outcome_of(read_refusal(status, body), "create row", mutating=True)
    assert type(error) is TransientError
    assert error.code == "bad_answer"


@pytest.mark.parametrize("code", ["0x80060892", "0x80040237", "0x80073002", "0X80060892"])
@pytest.mark.parametrize("status", [400, 409, 412])
def test_a_taken_key_is_known_by_its_code_on_any_status(status: int, code: str) -> None:
    assert refusal(status, code).taken


def test_a_bare_412_is_a_taken_key_and_a_page_with_412_is_not() -> None:
    assert refusal(412).taken
    assert not read_refusal(412, b"<html>").taken
    assert not refusal(412, "0x80060882").taken


@pytest.mark.parametrize(
    "message",
    [
        "An undeclared property 'x_vendor' which only has property annotations in the payload",
        "Invalid property 'x_colour' was found in entity 'Microsoft.Dynamics.CRM.x_bill'.",
        "Could not find a property named 'x_totel' on type 'Microsoft.Dynamics.CRM.x_bill'.",
        "The property 'x_totel' does not exist on type 'Microsoft.Dynamics.CRM.x_bill'.",
    ],
)
def test_a_name_that_the_table_does_not_have_is_recognised(message: str) -> None:
    assert refusal(400, "0x80048d19", message).undeclared
    assert not refusal(500, "0x80048d19", message).undeclared
