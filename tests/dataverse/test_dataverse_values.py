"""Values on their way into Dataverse and back: digits kept, limits held, equal values recognised. Pure."""

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.dataverse.metadata import Attribute, Kind, Limits
from connectors.dataverse.values import DoesNotFitError, encode, same
from connectors.http import decode_json, encode_json


def column(kind: Kind, **limits: Any) -> Attribute:
    return Attribute("numora_x", kind, limits=Limits(**limits))


def refused(attribute: Attribute, value: Any) -> str:
    with pytest.raises(DoesNotFitError) as error:
        encode(attribute, value)
    return error.value.code


MONEY = column(
    Kind.MONEY, precision=4, min_value=Decimal("-922337203685477.5808"), max_value=Decimal("922337203685477.5807")
)


@pytest.mark.parametrize("digits", ["922337203685477.5807", "0.1", "1234.50", "-12.00", "1.10", "0.30000000000000004"])
def test_an_amount_reaches_the_wire_digit_for_digit(digits: str) -> None:
    """No amount passes through binary floating point."""
    value = encode(column(Kind.DECIMAL), Decimal(digits))
    assert encode_json({"x": value}) == b'{"x":' + digits.encode() + b"}"


@given(st.decimals(allow_nan=False, allow_infinity=False, places=4, min_value=-(10**14), max_value=10**14))
def test_an_amount_that_came_back_is_recognised_as_the_same(amount: Decimal) -> None:
    value = encode(MONEY, amount)
    assert same(value, decode_json(encode_json(value)))


def test_an_amount_the_column_would_round_is_refused() -> None:
    """Dataverse rounds silently to the column's precision."""
    assert refused(column(Kind.MONEY, precision=2), Decimal("10.005")) == "too_many_decimals"
    assert encode(column(Kind.MONEY, precision=2), Decimal("10.5000")) == Decimal("10.5")


def test_an_amount_outside_of_the_range_is_refused() -> None:
    assert refused(MONEY, Decimal("922337203685477.5808")) == "out_of_range"
    assert refused(column(Kind.INTEGER, min_value=0, max_value=10), 11) == "out_of_range"
    assert encode(column(Kind.INTEGER, min_value=0, max_value=10), 10) == 10


def test_an_amount_in_exponent_form_is_written_out() -> None:
    assert encode_json(encode(column(Kind.DECIMAL), Decimal("1.5E+3"))) == b"1500"
    assert encode_json(encode(column(Kind.BIGINT), 10**20)) == b"100000000000000000000"


def test_a_floating_point_column_takes_no_more_digits_than_it_holds() -> None:
    assert refused(column(Kind.DOUBLE), Decimal("12345678901234567.89")) == "too_many_digits"
    assert encode(column(Kind.DOUBLE), Decimal("0.1")) == Decimal("0.1")


@pytest.mark.parametrize("value", [Decimal("NaN"), Decimal("Infinity"), "12", True])
def test_what_is_no_number_is_refused_by_a_number_column(value: Any) -> None:
    assert refused(column(Kind.DECIMAL, precision=2, min_value=0, max_value=10), value) == "wrong_type"


def test_a_text_longer_than_its_column_is_refused_and_never_cut() -> None:
    assert encode(column(Kind.STRING, max_length=5), "Gräff") == "Gräff"
    assert refused(column(Kind.STRING, max_length=5), "Gräffe") == "text_too_long"


def test_characters_outside_of_the_basic_plane_count_twice_as_they_do_there() -> None:
    assert refused(column(Kind.STRING, max_length=3), "😀😀") == "text_too_long"
    assert encode(column(Kind.STRING, max_length=4), "😀😀") == "😀😀"


def test_an_unknown_choice_is_refused_before_it_is_sent() -> None:
    choice = column(Kind.PICKLIST, options=frozenset({1, 2}))
    assert encode(choice, 2) == 2
    assert refused(choice, 3) == "unknown_choice"
    assert refused(choice, "Invoice") == "wrong_type"
    assert encode(column(Kind.PICKLIST), 3) == 3


def test_a_date_never_meets_a_time_zone() -> None:
    day = date(2026, 1, 31)
    assert encode(column(Kind.DATETIME, behavior="DateOnly"), day) == "2026-01-31"
    assert encode(column(Kind.DATETIME), day) == "2026-01-31"
    assert encode(column(Kind.DATETIME, behavior="TimeZoneIndependent"), day) == "2026-01-31T00:00:00Z"
    assert refused(column(Kind.DATETIME), date(1752, 12, 31)) == "out_of_range"


def test_a_moment_is_written_in_utc() -> None:
    moment = datetime(2026, 1, 31, 0, 30, tzinfo=timezone(timedelta(hours=2)))
    assert encode(column(Kind.DATETIME, behavior="UserLocal"), moment) == "2026-01-30T22:30:00Z"
    assert refused(column(Kind.DATETIME, behavior="DateOnly"), moment) == "wrong_type"
    assert refused(column(Kind.DATETIME), moment.replace(tzinfo=None)) == "wrong_type"
    assert refused(column(Kind.DATETIME), moment.replace(year=1, month=1, day=1)) == "out_of_range"
    last = datetime(9999, 12, 31, 23, 59, tzinfo=timezone(timedelta(hours=-5)))
    assert refused(column(Kind.DATETIME), last) == "out_of_range"


@pytest.mark.parametrize(
    ("kind", "value", "written"),
    [
        (Kind.STRING, Decimal("1E+2"), "100"),
        (Kind.STRING, 7, "7"),
        (Kind.STRING, True, "true"),
        (Kind.MEMO, date(2026, 1, 31), "2026-01-31"),
        (Kind.BOOLEAN, False, False),
        (Kind.INTEGER, Decimal("3.00"), 3),
        (Kind.UNIQUEIDENTIFIER, UUID("00000000-0000-0000-0000-00000000000A"), "00000000-0000-0000-0000-00000000000a"),
        (Kind.UNIQUEIDENTIFIER, "{00000000-0000-0000-0000-00000000000A}", "00000000-0000-0000-0000-00000000000a"),
        (Kind.MULTI_SELECT, "1,2", "1,2"),
        (Kind.MONEY, None, None),
    ],
)
def test_each_kind_of_column_gets_its_own_form(kind: Kind, value: Any, written: Any) -> None:
    assert encode(column(kind), value) == written


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        (Kind.INTEGER, Decimal("3.5")),
        (Kind.INTEGER, True),
        (Kind.BOOLEAN, 1),
        (Kind.DATETIME, "2026-01-31"),
        (Kind.UNIQUEIDENTIFIER, "V-17"),
        (Kind.MULTI_SELECT, "one"),
        (Kind.FILE, "x"),
    ],
)
def test_a_value_of_another_kind_is_refused(kind: Kind, value: Any) -> None:
    assert refused(column(kind), value) == "wrong_type"


@pytest.mark.parametrize(
    ("planned", "current"),
    [
        (Decimal("12.50"), Decimal("12.5")),
        (Decimal("12.00"), 12),
        (12, Decimal("12.0")),
        ("2026-01-31", "2026-01-31T00:00:00Z"),
        ("2026-01-31T00:00:00Z", "2026-01-31T01:00:00+01:00"),
        ("0000000a-0000-0000-0000-00000000000a", "0000000A-0000-0000-0000-00000000000A"),
        (None, None),
        ("", None),
        (False, False),
        ("1", "1"),
    ],
)
def test_an_equal_value_in_another_form_causes_no_correction(planned: Any, current: Any) -> None:
    assert same(planned, current)


@pytest.mark.parametrize(
    ("planned", "current"),
    [
        (Decimal("12.50"), Decimal("12.51")),
        (12, None),
        (None, 0),
        (None, False),
        (False, None),
        (False, 0),
        (1, True),
        ("2026-01-31", "2026-02-01T00:00:00Z"),
        ("2026-01-31", "31 January"),
        ("2026-01-31T00:00:00Z", "2026-01-31T00:00:00+01:00"),
        ("Contoso", "CONTOSO"),
        ("12", Decimal("12.5")),
    ],
)
def test_another_value_is_seen(planned: Any, current: Any) -> None:
    assert not same(planned, current)


@pytest.mark.parametrize(
    ("kind", "planned", "current"),
    [
        (Kind.MONEY, Decimal("922337203685477.5807"), "922337203685477.5807"),
        (Kind.INTEGER, 12, "12"),
        (Kind.DOUBLE, Decimal("0.1"), Decimal("0.1000000000000000055511151231257827")),
        (Kind.MULTI_SELECT, "2, 1", "1,2"),
        (Kind.STRING, " Contoso ", "Contoso"),
        (Kind.STRING, "  ", None),
        (Kind.MEMO, "one\r\ntwo", "one\ntwo"),
        (Kind.UNIQUEIDENTIFIER, "0000000a-0000-0000-0000-00000000000a", "0000000A-0000-0000-0000-00000000000A"),
        (Kind.DATETIME, "2026-01-31T00:00:00Z", "2026-01-31"),
    ],
)
def test_a_column_that_keeps_a_value_in_its_own_form_causes_no_correction(
    kind: Kind, planned: Any, current: Any
) -> None:
    """An update that changes nothing would run the customer's logic and stand in the audit log."""
    assert same(planned, current, kind)


@pytest.mark.parametrize(
    ("kind", "planned", "current"),
    [
        (Kind.STRING, "2026-01-31", "20260131"),
        (Kind.STRING, "2026-01-31", "2026-01-31T10:00:00Z"),
        (Kind.STRING, "0000000a-0000-0000-0000-00000000000a", "0000000A-0000-0000-0000-00000000000A"),
        (Kind.STRING, "Contoso", " Contoso "),
        (Kind.MEMO, "one two", "one\ntwo"),
        (Kind.STRING, "0", None),
        (Kind.DECIMAL, Decimal(12), "twelve"),
        (Kind.DECIMAL, Decimal("0.1"), Decimal("0.1000000000000000055511151231257827")),
        (Kind.BOOLEAN, True, "true"),
    ],
)
def test_a_text_that_was_corrected_is_not_taken_for_another_way_to_write_the_same(
    kind: Kind, planned: Any, current: Any
) -> None:
    """A reviewer who puts an invoice number right from 20260131 to 2026-01-31 means it."""
    assert not same(planned, current, kind)


def test_a_moment_is_compared_by_the_second() -> None:
    """Dataverse keeps no fractions of a second."""
    moment = datetime(2026, 1, 31, 8, 0, 0, 750_000, tzinfo=UTC)
    assert same(encode(column(Kind.DATETIME), moment), "2026-01-31T08:00:00Z")


@pytest.mark.parametrize(
    ("value", "written"),
    [
        ("text", "text"),
        (Decimal("1.10"), Decimal("1.10")),
        (7, 7),
        (True, True),
        (date(2026, 1, 31), "2026-01-31"),
        (UUID(int=10), "00000000-0000-0000-0000-00000000000a"),
    ],
)
def test_a_column_of_untold_kind_takes_a_value_in_its_own_form(value: Any, written: Any) -> None:
    """A target that tells little of its columns is the judge of them itself."""
    assert encode(column(Kind.UNTOLD), value) == written
