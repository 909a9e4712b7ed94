"""The closed list behind ``as``."""

from decimal import Decimal
from uuid import UUID

import pytest

from mappings.amounts import amount_format
from mappings.transforms import converter
from mappings.values import ValueProblemError

PLAIN = amount_format("en_US")


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (" as it is ", " as it is "),
        (4711, "4711"),
        (Decimal("1234567890123456789.10"), "1234567890123456789.10"),
        (Decimal("1E+3"), "1000"),
        (True, "true"),
    ],
)
def test_text_keeps_what_came(value, expected):
    assert converter("text", amounts=PLAIN)(value) == expected


@pytest.mark.parametrize(
    ("value", "code"),
    [(["a"], "not_a_single_value"), ({"a": 1}, "not_a_single_value"), (Decimal("1E+999999"), "number_out_of_range")],
)
def test_a_list_or_an_endless_number_is_no_text(value, code):
    with pytest.raises(ValueProblemError) as refused:
        converter("text", amounts=PLAIN)(value)
    assert refused.value.code == code


@pytest.mark.parametrize(
    ("value", "expected"), [("1,234", 1234), ("12.00", 12), (Decimal("12.0"), 12), (10**18, 10**18)]
)
def test_an_integer_is_whole(value, expected):
    got = converter("integer", amounts=PLAIN)(value)
    assert got == expected
    assert type(got) is int


@pytest.mark.parametrize("value", ["12.50", "twelve", True, Decimal("0.5")])
def test_what_is_not_whole_is_not_an_integer(value):
    with pytest.raises(ValueProblemError) as refused:
        converter("integer", amounts=PLAIN)(value)
    assert refused.value.code == "not_an_integer"


def test_an_integer_is_rounded_when_the_mapping_says_so():
    assert converter("integer", amounts=PLAIN, rounding="half_up")("12.50") == 13


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (True, True),
        ("YES", True),
        (" true ", True),
        (1, True),
        ("0", False),
        ("no", False),
        ("Ja", True),
        ("nein", False),
    ],
)
def test_a_boolean_is_a_yes_or_a_no(value, expected):
    assert converter("boolean", amounts=PLAIN, options={"ja": True, "nein": False})(value) is expected


@pytest.mark.parametrize("value", ["perhaps", "2", Decimal("0.5")])
def test_anything_else_is_no_boolean(value):
    with pytest.raises(ValueProblemError) as refused:
        converter("boolean", amounts=PLAIN)(value)
    assert refused.value.code == "not_a_boolean"


def test_a_choice_goes_by_name_and_letter_case_does_not_matter():
    choose = converter("choice", amounts=PLAIN, options={"invoice": 1, "Invoice": 2, "7": 3})
    assert choose("invoice") == 1
    assert choose("Invoice") == 2
    assert choose("INVOICE ") == 1
    assert choose(7) == 3


def test_an_unknown_choice_is_told_with_those_that_are_allowed():
    with pytest.raises(ValueProblemError) as refused:
        converter("choice", amounts=PLAIN, options={"invoice": 1, "credit_note": 2})("receipt")
    assert refused.value.code == "unknown_option"
    assert "invoice, credit_note" in refused.value.message


def test_a_guid_may_have_braces_and_nothing_else():
    guid = "0F8FAD5B-D9CB-469F-A165-70867728950E"
    read = converter("guid", amounts=PLAIN)
    assert read(guid) == read(f" {{{guid}}} ") == UUID(guid)
    for wrong in (guid[:-1], guid.replace("-", ""), f"urn:uuid:{guid}", "vendor", 7):
        with pytest.raises(ValueProblemError) as refused:
            read(wrong)
        assert refused.value.code == "not_a_guid"
