"""Dates are read by named formats; a date has no time zone and a moment always has one."""

from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.dates import DateReader, DatetimeReader, FormatError, ambiguous_pairs, check_format, zone
from mappings.values import ValueProblemError

ISO = DateReader(["%Y-%m-%d"])


@given(st.dates())
def test_every_iso_day_comes_back_as_that_day(day):
    assert ISO(day.isoformat()) == day


@given(
    st.dates(min_value=date(1000, 1, 1)), st.sampled_from(["%d.%m.%Y", "%m/%d/%Y", "%Y%m%d", "%d %B %Y", "%d-%b-%Y"])
)
def test_a_day_comes_back_from_the_format_it_was_written_in(day, pattern):
    assert DateReader([pattern])(f"  {day.strftime(pattern)} ") == day


@pytest.mark.parametrize(
    "value",
    [
        "31/01/2026",
        "2026-02-30",
        "2026-13-01",
        "20260131",
        "2026-01-31T00:00:00Z",
        "yesterday",
        "",
        20260131,
        None,
        "1" * 500,
    ],
)
def test_what_no_format_reads_is_not_a_date(value):
    with pytest.raises(ValueProblemError) as refused:
        ISO(value)
    assert refused.value.code == "not_a_date"
    assert "2026-01-31" in refused.value.message


@pytest.mark.parametrize("value", [["2026-01-31"], {"date": "2026-01-31"}])
def test_a_list_is_no_single_date(value):
    with pytest.raises(ValueProblemError) as refused:
        ISO(value)
    assert refused.value.code == "not_a_single_value"


def test_a_date_that_two_formats_read_differently_is_refused_and_not_guessed():
    reader = DateReader(["%d/%m/%Y", "%m/%d/%Y"])
    assert reader("31/01/2026") == date(2026, 1, 31)
    assert reader("04/04/2026") == date(2026, 4, 4)
    with pytest.raises(ValueProblemError) as refused:
        reader("03/04/2026")
    assert refused.value.code == "ambiguous_date"
    assert "2026-04-03" in refused.value.message
    assert "2026-03-04" in refused.value.message


def test_formats_are_told_ambiguous_only_when_some_text_is():
    assert ambiguous_pairs(["%d/%m/%Y", "%m/%d/%Y", "%Y-%m-%d"]) == [("%d/%m/%Y", "%m/%d/%Y")]
    assert ambiguous_pairs(["%Y-%m-%d", "%d.%m.%Y", "%m/%d/%Y"]) == []


@pytest.mark.parametrize("pattern", ["%Y-%m-%d", "%d.%m.%y", "%d. %B %Y", "%Y-%j", "%Y-%m-%dT%H:%M:%S"])
def test_a_format_that_gives_a_day_can_be_used(pattern):
    check_format(pattern, with_time=False)


@pytest.mark.parametrize("pattern", ["%d.%m", "%Y", "%Q", "%", "", "%x", "%c", "%Y-%m-%d %z", "no directive"])
def test_a_format_that_gives_no_day_or_depends_on_the_machine_is_refused(pattern):
    with pytest.raises(FormatError):
        check_format(pattern, with_time=False)


@pytest.mark.parametrize("pattern", ["%Y-%m-%d", "%d.%m.%Y %M:%S", "%X"])
def test_a_format_of_a_moment_needs_the_hour(pattern):
    with pytest.raises(FormatError):
        check_format(pattern, with_time=True)


@given(st.datetimes(timezones=st.just(UTC)))
def test_every_iso_moment_comes_back_as_that_moment(moment):
    assert DatetimeReader([], None)(moment.isoformat()) == moment


def test_a_moment_may_be_finer_than_we_count():
    moment = DatetimeReader([], None)("2026-01-31T10:00:00.1234567Z")
    assert moment == datetime(2026, 1, 31, 10, 0, 0, 123456, tzinfo=UTC)


def test_a_moment_without_an_offset_needs_the_mappings_time_zone():
    with pytest.raises(ValueProblemError) as refused:
        DatetimeReader([], None)("2026-01-31T10:00:00")
    assert refused.value.code == "no_time_zone"
    berlin = DatetimeReader([], "Europe/Berlin")("2026-07-31T10:00:00")
    assert berlin == datetime(2026, 7, 31, 8, tzinfo=UTC)
    assert DatetimeReader(["%d.%m.%Y %H:%M"], "+05:30")("31.01.2026 10:00").utcoffset() == timedelta(
        hours=5, minutes=30
    )


def test_an_offset_in_the_text_wins_over_the_mappings_time_zone():
    assert DatetimeReader([], "Europe/Berlin")("2026-01-31T10:00:00Z") == datetime(2026, 1, 31, 10, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-01-31", "2026-01-31T25:00:00Z", "2026-W05-6T10:00:00Z", "10:00", "", "soon"])
def test_a_day_or_anything_else_is_not_a_moment(text):
    with pytest.raises(ValueProblemError) as refused:
        DatetimeReader([], "UTC")(text)
    assert refused.value.code == "not_a_datetime"


@pytest.mark.parametrize("name", ["Europe/Berln", "+25:00", "../etc/passwd", "", "CEST+1"])
def test_an_unknown_time_zone_is_an_error(name):
    with pytest.raises(FormatError):
        zone(name)
