"""One mapped column against one column of the table: may it be written, and do its values fit."""

from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches

from connectors.dataverse.metadata import Attribute, Kind, Table
from connectors.dataverse.values import DoesNotFitError, encode
from mappings.compiled import CompiledMapping
from mappings.findings import Finding
from mappings.names import Kind as MappedKind
from mappings.names import TargetColumn

_TEXT = frozenset({Kind.STRING, Kind.MEMO})
_NUMBER = frozenset({Kind.DECIMAL, Kind.MONEY, Kind.DOUBLE})
_FITTING: Mapping[MappedKind, frozenset[Kind]] = {
    "text": _TEXT | {Kind.MULTI_SELECT, Kind.UNIQUEIDENTIFIER},
    "decimal": _TEXT | _NUMBER,
    "money": _TEXT | _NUMBER,
    "integer": _TEXT | _NUMBER | {Kind.INTEGER, Kind.BIGINT, Kind.PICKLIST, Kind.STATE, Kind.STATUS},
    "boolean": _TEXT | {Kind.BOOLEAN},
    "date": _TEXT | {Kind.DATETIME},
    "datetime": _TEXT | {Kind.DATETIME},
    "guid": _TEXT | {Kind.UNIQUEIDENTIFIER},
}
"""Which kinds of columns take what a mapping converts to. What a choice becomes is checked value by value."""


def nearest(name: str, names: Iterable[str]) -> str:
    """Return ``; did you mean 'x'?`` without the final mark, or nothing when no name is near."""
    by_lower = {one.lower(): one for one in names}
    found = get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return f"; the nearest is {by_lower[found[0]]!r}" if found else ""


def check_column(
    mapping: CompiledMapping, table: Table, attribute: Attribute, column: TargetColumn, *, written: bool = True
) -> Iterator[Finding]:
    """Yield what does not fit; ``written`` is False for a column that rows are only found by."""
    place = f"{table.name}.{attribute.name}"
    if attribute.kind.is_reference:
        names = [one.navigation for one in table.many_to_one if one.attribute == attribute.name and one.navigation]
        hint = f" as {' or '.join(names)}" if names else ""
        message = f"{place} is a reference to another row: write it under lookups{hint}."
        yield mapping.finding(column.path, "lookup_as_column", message)
        return
    if written and not (attribute.creatable or attribute.updatable):
        yield mapping.finding(column.path, "column_not_writable", f"{place} is filled by the server: remove it.")
        return
    if written and not attribute.creatable:
        message = f"{place} cannot be set when a row is created."
        yield mapping.finding(column.path, "column_not_writable", message)
    elif written and not attribute.updatable:
        message = f"{place} can be set only once: a correction that changes it will be refused."
        yield mapping.finding(column.path, "column_not_updatable", message, "warning")
    yield from _check_kind(mapping, place, attribute, column)
    values = [*column.constants, *column.options]
    for value in dict.fromkeys(values):
        try:
            encode(attribute, value)
        except DoesNotFitError as error:
            yield mapping.finding(column.path, error.code, f"{place}: a value {error.message}.")


def _check_kind(mapping: CompiledMapping, place: str, attribute: Attribute, column: TargetColumn) -> Iterator[Finding]:
    limits = attribute.limits
    as_it_is = column.kind is None or column.kind == "choice" or attribute.kind is Kind.UNTOLD
    if not as_it_is and attribute.kind not in _FITTING[column.kind or "text"]:
        message = f"{place} is of the type {attribute.kind.value}, and the mapping writes it as {column.kind}."
        yield mapping.finding(column.path, "wrong_type", message)
        return
    if attribute.kind is Kind.DATETIME and column.kind == "datetime" and limits.behavior == "DateOnly":
        message = f"{place} holds a date without a time: use as: date."
        yield mapping.finding(column.path, "wrong_type", message)
    if attribute.kind is Kind.DATETIME and column.kind == "date" and limits.behavior == "UserLocal":
        message = (
            f"{place} is shown in each user's time zone, so that a date appears as the day before west of Greenwich. "
            "Change the column's behaviour to DateOnly."
        )
        yield mapping.finding(column.path, "date_in_local_time", message, "warning")
    longest = limits.max_length
    if attribute.kind.is_text and longest is not None and column.max_length is not None and column.max_length > longest:
        message = f"{place} holds {longest} characters, and the mapping cuts to {column.max_length}."
        yield mapping.finding(column.path, "text_too_long", message, "warning")
    digits = limits.precision
    if attribute.kind is Kind.MONEY and limits.precision_elsewhere and digits is not None:
        message = (
            f"The precision of {place} is set by the currency or the organisation, which may round amounts. The bridge "
            f"holds documents to the column's own {digits} digits; fix the precision at the column to be sure."
        )
        yield mapping.finding(column.path, "precision_elsewhere", message, "warning")
    if attribute.kind in _NUMBER and digits is not None and column.scale is not None and column.scale > digits:
        message = (
            f"{place} keeps {digits} digits after the point, and the mapping writes {column.scale}: "
            "documents that use them are rejected."
        )
        yield mapping.finding(column.path, "too_many_decimals", message, "warning")
