"""Amounts as people write them, read exactly: by one locale, strictly, or not at all.

``1,234`` is 1.234 in de_DE and 1234 in en_US; ``1.234,50`` in en_US is neither and is refused. Groups must be complete.
A sign may stand before or after, as parentheses, and as any of the typographic minus signs; a currency code or symbol
may stand before or after. Babel gives each locale's separators, grouping and currency symbols.
"""

import re
import unicodedata
from dataclasses import dataclass
from decimal import ROUND_DOWN, ROUND_HALF_EVEN, ROUND_HALF_UP, Context, Decimal, Inexact
from functools import lru_cache
from typing import Any, Final, Literal

from babel import Locale
from babel.core import UnknownLocaleError, get_global
from babel.numbers import UnsupportedNumberingSystemError, get_decimal_symbol, get_group_symbol

from mappings import codes
from mappings.values import OUT_OF_RANGE, ValueProblemError, is_plain, shown

Rounding = Literal["half_up", "half_even", "down"]

MAX_AMOUNT_CHARACTERS: Final = 100

_ROUNDINGS: Final[dict[str, str]] = {"half_up": ROUND_HALF_UP, "half_even": ROUND_HALF_EVEN, "down": ROUND_DOWN}
_WIDE: Final = Context(prec=4 * OUT_OF_RANGE)
_WIDE_EXACT: Final = Context(prec=4 * OUT_OF_RANGE, traps=[Inexact])
_MINUS: Final = frozenset("-\u2212\u2010\u2011\u2012\u2013\ufe63\uff0d")
_PLUS: Final = frozenset("+\uff0b")
_SPACES: Final = frozenset(" \t\u00a0\u2007\u2009\u202f\u2002\u2003\u2005\u2006\u200a")
_PLAIN: Final[dict[int, str | None]] = {
    **dict.fromkeys(map(ord, _SPACES - {"\t"}), " "),
    **dict.fromkeys(map(ord, "\u200b\u200e\u200f\u061c\u2066\u2067\u2068\u2069\ufeff"), None),
}
"""Makes every space the plain one, and takes marks out that nobody sees."""
_APOSTROPHES: Final = frozenset("'\u2019")
_LOCAL_SYMBOLS: Final = (
    "US$",
    "A$",
    "C$",
    "CA$",
    "AU$",
    "NZ$",
    "HK$",
    "S$",
    "R$",
    "MX$",
    "Fr.",
    "SFr.",
    "kr.",
    "kr",
    "zł",
    "Kč",
    "Ft",
    "lei",
    "лв.",
    "Rs.",
    "Rs",
)


@dataclass(frozen=True, slots=True)
class AmountFormat:
    """How one locale writes amounts. ``currencies`` are the codes and symbols that may stand beside one."""

    locale: str
    example: str
    currencies: frozenset[str]
    longest_currency: int
    patterns: tuple[tuple[re.Pattern[str], str, str], ...]
    """For each set of digits: what an unsigned number looks like, the group separators, the decimal separator."""

    def parse(self, text: str) -> Decimal:
        """Return the amount. Raises ``ValueProblemError``, ``not_an_amount``, for what this locale does not write."""
        core = text.strip()
        if len(core) > MAX_AMOUNT_CHARACTERS:
            raise self._refusal(text)
        number = self._number(core)
        if number is not None:
            return number
        peeled = self._peel(core.translate(_PLAIN))
        if peeled is None:
            raise self._refusal(text)
        negative, core = peeled
        number = self._number(core)
        if number is None:
            raise self._refusal(text)
        return number.copy_negate() if negative and number else number

    def _number(self, core: str) -> Decimal | None:
        for pattern, groups, point in self.patterns:
            if pattern.fullmatch(core):
                digits = core
                for group in groups:
                    digits = digits.replace(group, "")
                return Decimal(digits.replace(point, ".")) if point != "." else Decimal(digits)
        return None

    def _peel(self, text: str) -> tuple[bool, str] | None:
        """Take sign, parentheses and currency off, each at most once; None when nothing is left."""
        core, sign, currency = text, "", False
        while core:
            before = core
            core = core.strip()
            if not sign and core[0] in _MINUS | _PLUS:
                sign, core = ("-" if core[0] in _MINUS else "+"), core[1:]
            elif not sign and core[-1] in _MINUS | _PLUS:
                sign, core = ("-" if core[-1] in _MINUS else "+"), core[:-1]
            elif not sign and core[0] == "(" and core[-1] == ")":
                sign, core = "-", core[1:-1]
            elif not currency:
                core, currency = self._without_currency(core)
            if core == before:
                return sign == "-", core
        return None

    def _without_currency(self, core: str) -> tuple[str, bool]:
        for length in range(min(self.longest_currency, len(core)), 0, -1):
            if core[:length] in self.currencies and not core[length : length + 1].isalpha():
                return core[length:], True
            if core[-length:] in self.currencies and not core[:-length][-1:].isalpha():
                return core[:-length], True
        if unicodedata.category(core[0]) == "Sc":
            return core[1:], True
        if unicodedata.category(core[-1]) == "Sc":
            return core[:-1], True
        return core, False

    def _refusal(self, text: str) -> ValueProblemError:
        message = f"{shown(text)} is not an amount as {self.locale} writes it. Write it like {self.example}."
        return ValueProblemError(codes.NOT_AN_AMOUNT, message)


@lru_cache(maxsize=64)
def amount_format(locale: str) -> AmountFormat:
    """Return how a locale (``de_DE``, ``en-US``) writes amounts. Raises ``ValueError`` for an unknown locale."""
    try:
        known = Locale.parse(locale.replace("-", "_"))
    except (UnknownLocaleError, ValueError, TypeError) as error:
        raise ValueError(locale) from error
    patterns = [_pattern(known, "latn")]
    try:
        own = _pattern(known, "default")
    except UnsupportedNumberingSystemError:
        own = patterns[0]
    if own[1:] != patterns[0][1:]:
        patterns.append(own)
    group, point = get_group_symbol(known, numbering_system="latn"), get_decimal_symbol(known, numbering_system="latn")
    currencies = {*known.currencies, *get_global("all_currencies"), *known.currency_symbols.values(), *_LOCAL_SYMBOLS}
    written = {name.translate(_PLAIN).strip() for name in currencies}
    usable = {name for name in written if name and not any(map(str.isdigit, name))}
    return AmountFormat(
        str(known),
        f"1{group}234{point}50",
        frozenset(usable),
        max(map(len, usable)),
        tuple(patterns),
    )


def _pattern(locale: Locale, digits: str) -> tuple[re.Pattern[str], str, str]:
    group = get_group_symbol(locale, numbering_system=digits)
    point = get_decimal_symbol(locale, numbering_system=digits)
    groups = _alike(group)
    primary, secondary = locale.decimal_formats[None].grouping
    digit, first = (r"[0-9]", r"[1-9]") if digits == "latn" else (r"\d", r"(?!0)\d")
    whole = rf"{digit}+"
    if 0 < primary < 10 and 0 < secondary < 10:
        between = f"[{re.escape(groups)}]"
        head = rf"{first}{digit}{{0,{secondary - 1}}}"
        whole = rf"(?:{whole}|{head}{between}(?:{digit}{{{secondary}}}{between})*{digit}{{{primary}}})"
    fraction = rf"{re.escape(point)}{digit}+"
    return re.compile(rf"(?:{whole}(?:{fraction})?|{fraction})"), groups, point


def _alike(group: str) -> str:
    """Return the characters that stand for a group separator: any space for a space, any apostrophe for one."""
    if group in _SPACES:
        return "".join(sorted(_SPACES - {"\t"}))
    if group in _APOSTROPHES:
        return "".join(sorted(_APOSTROPHES))
    return group


def number_of(value: Any, amounts: AmountFormat) -> Decimal:
    """Return a selected value as a number with the digits it came with: a JSON number as it is, text by the locale.

    Raises ``ValueProblemError``: ``not_an_amount``, ``number_out_of_range``, ``not_a_single_value``.
    """
    if isinstance(value, str):
        return amounts.parse(value)
    if isinstance(value, bool) or not isinstance(value, (int, float, Decimal)):
        code = codes.NOT_A_SINGLE_VALUE if isinstance(value, (dict, list)) else codes.NOT_AN_AMOUNT
        raise ValueProblemError(code, f"This is {shown(value)} and not an amount. Write one like {amounts.example}.")
    try:
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    except ValueError:
        number = Decimal("NaN")
    if is_plain(number):
        return number or number.copy_abs()
    parts = number.as_tuple()
    if not isinstance(parts.exponent, int) or abs(number.adjusted()) > OUT_OF_RANGE or len(parts.digits) > OUT_OF_RANGE:
        message = f"{shown(value)} is out of range. Correct the amount in review."
        raise ValueProblemError(codes.NUMBER_OUT_OF_RANGE, message)
    if not number:
        number = number.copy_abs()
    return number.quantize(Decimal(1), context=_WIDE_EXACT) if parts.exponent > 0 else number


def fit_scale(number: Decimal, scale: int, rounding: Rounding | None) -> Decimal:
    """Return the number with at most ``scale`` fraction digits; trailing zeros beyond it are dropped.

    Raises ``ValueProblemError`` with ``too_many_decimals`` when digits would be lost and no rounding is given.
    """
    if is_plain(number, scale):
        return number
    exponent = number.as_tuple().exponent
    if not isinstance(exponent, int) or -exponent <= scale:
        return number
    step = Decimal(1).scaleb(-scale)
    rounded = number.quantize(step, rounding=_ROUNDINGS[rounding or "down"], context=_WIDE)
    if rounding is None and rounded != number:
        message = (
            f"{shown(number)} has more than {scale} digits after the point. Correct the amount in review, or let the "
            "mapping round it with `round: half_up`."
        )
        raise ValueProblemError(codes.TOO_MANY_DECIMALS, message)
    return rounded


def multiply_exactly(number: Decimal | int, factor: Decimal) -> Decimal:
    """Return the product with all its digits. Raises ``ValueProblemError`` with ``number_out_of_range``."""
    try:
        product = _WIDE_EXACT.multiply(Decimal(number), factor)
    except Inexact:
        product = None
    if product is None or abs(product.adjusted()) > OUT_OF_RANGE:
        raise ValueProblemError(
            codes.NUMBER_OUT_OF_RANGE, f"{shown(number)} is out of range. Correct the amount in review."
        )
    return product
