"""Amounts are read by one locale, strictly and digit for digit.

The oracle is Babel: what it formats must come back as the same number, and what it reads strictly we read alike.
"""

from decimal import Decimal
from fractions import Fraction

import pytest
from babel.numbers import NumberFormatError, format_currency, format_decimal, parse_decimal
from hypothesis import given
from hypothesis import strategies as st

from mappings.amounts import amount_format, fit_scale, multiply_exactly, number_of
from mappings.values import ValueProblemError

LOCALES = ["en_US", "en_GB", "de_DE", "de_CH", "de_AT", "fr_FR", "es_ES", "it_IT", "sv_SE", "pl_PL", "pt_BR", "en_IN"]

amounts = st.builds(
    lambda digits, places: Decimal(digits).scaleb(-places),
    st.integers(min_value=0, max_value=10**24),
    st.integers(min_value=0, max_value=6),
)
negative_styles = st.sampled_from(["-{}", "{}-", "({})", "\u2212{}", "- {}", "{} -", "( {} )", "\u2013{}", "{}\u2212"])


@pytest.mark.parametrize(
    ("locale", "text", "expected"),
    [
        ("en_US", "1.234", "1.234"),
        ("de_DE", "1.234", "1234"),
        ("de_DE", "1,234", "1.234"),
        ("en_US", "1,234", "1234"),
        ("en_US", "1,234.50", "1234.50"),
        ("en_US", "1234.50", "1234.50"),
        ("en_US", ".50", "0.50"),
        ("de_DE", "(12,00)", "-12.00"),
        ("de_DE", "-12,00", "-12.00"),
        ("de_DE", "12,00-", "-12.00"),
        ("de_DE", "\u221212,00 €", "-12.00"),
        ("de_DE", "1.234.567,89 EUR", "1234567.89"),
        ("de_DE", "€\u00a01.234,50", "1234.50"),
        ("de_DE", "EUR 5-", "-5"),
        ("en_US", "($1,234.50)", "-1234.50"),
        ("en_US", "-$5.00", "-5.00"),
        ("en_US", "$-5.00", "-5.00"),
        ("en_US", "US$ 5", "5"),
        ("en_US", "+5", "5"),
        ("en_US", "\u200e5.00\u200f", "5.00"),
        ("fr_FR", "1 234,50 €", "1234.50"),
        ("fr_FR", "1\u202f234\u00a0567,50", "1234567.50"),
        ("de_CH", "CHF 1'234.50", "1234.50"),
        ("de_CH", "Fr. 1\u2019234.50", "1234.50"),
        ("es_ES", "1.234,50", "1234.50"),
        ("en_IN", "₹12,34,567.50", "1234567.50"),
        ("sv_SE", "-1 234,50 kr", "-1234.50"),
        ("ar_EG", "\u0661\u066c\u0662\u0663\u0664\u066b\u0665\u0660", "1234.50"),
        ("ar_EG", "\u0661\u0662\u066b\u0660\u0660 \u062c.\u0645.\u200f", "12.00"),
        ("ar_AE", "(\u061c1,234.50\u062f.\u0625.\u200f)", "-1234.50"),
        ("fr_SN", "1\u202f234\u00a0F\u202fCFA", "1234"),
        ("fr_SN", "-1 234 F CFA", "-1234"),
        ("de_DE", "1234567890123456789", "1234567890123456789"),
        ("de_DE", "1.234.567.890.123.456.789,12", "1234567890123456789.12"),
        ("en-US", "007.50", "7.50"),
    ],
)
def test_an_amount_is_read_as_its_locale_writes_it(locale, text, expected):
    got = amount_format(locale).parse(text)
    assert got == Decimal(expected)
    assert got.as_tuple().exponent == Decimal(expected).as_tuple().exponent


@pytest.mark.parametrize(
    ("locale", "text"),
    [
        ("en_US", "1.234,50"),
        ("de_DE", "1,234.50"),
        ("en_US", "0,123"),
        ("en_US", "1,23"),
        ("en_US", "1,2345"),
        ("en_US", "12,34,567"),
        ("en_US", "1,,234"),
        ("en_US", "1234,567"),
        ("en_US", "1 234.50"),
        ("de_DE", "1 234,50"),
        ("en_US", "5."),
        ("de_CH", "12.-"),
        ("en_US", "1e5"),
        ("en_US", "1_000"),
        ("en_US", "0x1F"),
        ("en_US", "--5"),
        ("en_US", "(-5)"),
        ("en_US", "-5-"),
        ("en_US", "(5"),
        ("en_US", "5 %"),
        ("en_US", "5 kg"),
        ("en_US", "$5 USD"),
        ("en_US", "5 XYZ"),
        ("en_US", "5 dollars"),
        ("en_US", "NaN"),
        ("en_US", "Infinity"),
        ("en_US", ""),
        ("en_US", "-"),
        ("en_US", "()"),
        ("en_US", "$"),
        ("en_US", "1.2.3"),
        ("fr_FR", "1\t234"),
        ("fr_FR", "1 234 F CFA F CFA"),
        ("en_US", "9" * 101),
    ],
)
def test_what_a_locale_does_not_write_is_refused_and_not_misread(locale, text):
    with pytest.raises(ValueProblemError) as refused:
        amount_format(locale).parse(text)
    assert refused.value.code == "not_an_amount"
    assert locale in refused.value.message


@given(amounts, st.sampled_from(LOCALES))
def test_what_babel_writes_comes_back_as_the_same_number(amount, locale):
    written = format_decimal(amount, locale=locale, decimal_quantization=False)
    assert amount_format(locale).parse(written) == amount


@given(amounts.filter(bool), st.sampled_from(LOCALES), negative_styles)
def test_every_way_to_write_a_minus_gives_the_negative_number(amount, locale, style):
    written = format_decimal(amount, locale=locale, decimal_quantization=False)
    assert amount_format(locale).parse(style.format(written)) == -amount


@given(amounts, st.sampled_from(LOCALES), st.sampled_from(["EUR", "USD", "CHF", "SEK", "INR", "JPY"]), st.booleans())
def test_a_currency_beside_the_amount_changes_nothing(amount, locale, currency, negative):
    signed = -amount if negative else amount
    written = format_currency(signed, currency, locale=locale, decimal_quantization=False)
    assert amount_format(locale).parse(written) == signed


@given(st.text(alphabet="0123456789.,' -+()", max_size=14), st.sampled_from(LOCALES))
def test_where_babel_reads_strictly_too_both_read_the_same_number(text, locale):
    """Babel refuses 1.234,50 for es_ES and takes letters and exponents; where both read, they agree."""
    try:
        ours = amount_format(locale).parse(text)
        theirs = parse_decimal(text, locale=locale, strict=True)
    except (ValueProblemError, NumberFormatError):
        return
    assert ours == theirs


@given(st.text(max_size=30), st.sampled_from(LOCALES))
def test_no_text_makes_the_parser_fail_in_any_other_way(text, locale):
    got = read(text, locale)
    assert got == "not_an_amount" or (isinstance(got, Decimal) and got.is_finite())


def read(text: str, locale: str) -> Decimal | str:
    try:
        return amount_format(locale).parse(text)
    except ValueProblemError as problem:
        return problem.code


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (1234567890123456789012, "1234567890123456789012"),
        (Decimal("1234567890123456789.10"), "1234567890123456789.10"),
        (Decimal("1E+5"), "100000"),
        (Decimal("-0.0"), "0.0"),
        (0.1, "0.1"),
    ],
)
def test_a_json_number_is_taken_digit_for_digit_whatever_the_locale(value, expected):
    got = number_of(value, amount_format("de_DE"))
    assert str(got) == expected


@pytest.mark.parametrize(
    ("value", "code"),
    [
        (True, "not_an_amount"),
        (None, "not_an_amount"),
        ([1], "not_a_single_value"),
        ({"amount": 1}, "not_a_single_value"),
        (Decimal("1E+999999999"), "number_out_of_range"),
        (Decimal("1E-999999999"), "number_out_of_range"),
        (Decimal("NaN"), "number_out_of_range"),
        (float("inf"), "number_out_of_range"),
        (10**4000, "number_out_of_range"),
        (Decimal("1." + "1" * 200), "number_out_of_range"),
    ],
)
def test_what_is_no_amount_at_all_is_named(value, code):
    with pytest.raises(ValueProblemError) as refused:
        number_of(value, amount_format("en_US"))
    assert refused.value.code == code


def test_digits_beyond_the_scale_are_never_dropped_silently():
    assert fit_scale(Decimal("12.3400"), 2, None) == Decimal("12.34")
    assert fit_scale(Decimal("12.5"), 2, None) == Decimal("12.5")
    with pytest.raises(ValueProblemError) as refused:
        fit_scale(Decimal("12.345"), 2, None)
    assert refused.value.code == "too_many_decimals"


@pytest.mark.parametrize(
    ("number", "rounding", "expected"),
    [
        ("12.345", "half_up", "12.35"),
        ("12.345", "half_even", "12.34"),
        ("12.349", "down", "12.34"),
        ("-12.345", "half_up", "-12.35"),
        ("1234567890123456789.005", "half_up", "1234567890123456789.01"),
    ],
)
def test_a_number_is_rounded_only_as_the_mapping_says(number, rounding, expected):
    assert fit_scale(Decimal(number), 2, rounding) == Decimal(expected)


@given(amounts, amounts)
def test_a_product_has_all_its_digits(left, right):
    assert Fraction(multiply_exactly(left, right)) == Fraction(left) * Fraction(right)


def test_a_product_of_more_digits_than_are_kept_is_refused_and_not_rounded():
    with pytest.raises(ValueProblemError) as refused:
        multiply_exactly(Decimal("1." + "1" * 300), Decimal("1." + "1" * 300))
    assert refused.value.code == "number_out_of_range"


@pytest.mark.parametrize("locale", ["xx", "english", "", "de_XX1", "../../etc"])
def test_an_unknown_locale_is_an_error(locale):
    with pytest.raises(ValueError):
        amount_format(locale)
