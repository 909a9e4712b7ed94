"""What a Web API URL names: segments, row keys and literals."""

import re
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any
from urllib.parse import unquote
from uuid import UUID

from connectors.dataverse.sandbox.columns import Column, DateTimeColumn, DecimalColumn, LookupColumn
from connectors.dataverse.sandbox.errors import ApiError, refuse_query, unknown_segment
from connectors.dataverse.sandbox.tables import TableSchema

API_PATH = re.compile(r"(?:https?://[^/]+)?/api/data/v9\.[0-2](?:/|$)", re.IGNORECASE)
GUID = re.compile(r"[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{4}-[0-9a-fA-F]{12}")

_SEGMENT = re.compile(r"([A-Za-z$_][\w.$]*)(?:\((.*)\))?", re.DOTALL)
_LITERAL = re.compile(
    r"(?P<text>'(?:[^']|'')*')"
    rf"|(?P<guid>{GUID.pattern})"
    r"|(?P<moment>\d{4}-\d\d-\d\dT[\d:.]+(?:Z|[+-]\d\d:\d\d))"
    r"|(?P<date>\d{4}-\d\d-\d\d)"
    r"|(?P<number>-?\d+(?:\.\d+)?)"
    r"|(?P<word>true|false|null)\b"
)
_NEVER_IN_A_KEY = frozenset("/<>*%&:\\?+")


@dataclass(frozen=True, slots=True)
class Literal:
    """A value written in a URL. ``kind`` is text, guid, moment, date, number, boolean or null."""

    kind: str
    value: Any


@dataclass(frozen=True, slots=True)
class Segment:
    """One part of a path: ``numora_invoices(<key>)`` has the key's text as ``key``, without a key it is None."""

    name: str
    key: str | None


@dataclass(frozen=True, slots=True)
class RowKey:
    """How a URL names a row: by ``id``, or by the ``values`` of an alternate key."""

    id: str | None
    values: dict[str, Any]


def split_path(path: str) -> list[Segment]:
    """Split a service-relative path, still percent-encoded, into its segments."""
    decoded = unquote(path)
    parts, begin, depth, quoted = [], 0, 0, False
    for position, character in enumerate(decoded):
        if character == "'":
            quoted = not quoted
        elif quoted:
            continue
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
        elif character == "/" and depth == 0:
            parts.append(decoded[begin:position])
            begin = position + 1
    parts.append(decoded[begin:])
    segments = []
    for part in parts:
        matched = _SEGMENT.fullmatch(part)
        if matched is None:
            raise unknown_segment(part)
        segments.append(Segment(matched[1], matched[2]))
    return segments


def literal_at(text: str, position: int) -> tuple[Literal, int] | None:
    """Return the literal that begins there and where it ends, or None when there is none."""
    matched = _LITERAL.match(text, position)
    if matched is None:
        return None
    kind, written = str(matched.lastgroup), matched[0]
    value: Any = written
    match kind:
        case "text":
            value = written[1:-1].replace("''", "'")
        case "guid":
            value = written.lower()
        case "number":
            value = Decimal(written)
        case "word":
            kind = "null" if written == "null" else "boolean"
            value = None if written == "null" else written == "true"
        case "moment":
            value = DateTimeColumn(name="literal").accept(written, "literal")
        case _:
            value = date.fromisoformat(written).isoformat()
    return Literal(kind, value), matched.end()


def parse_row_key(table: TableSchema, text: str) -> RowKey:
    """Read what stands between the parentheses after a set name. Raises ``ApiError`` for an unusable key."""
    text = text.strip()
    if GUID.fullmatch(text):
        return RowKey(str(UUID(text)), {})
    values: dict[str, Any] = {}
    position = 0
    while position < len(text):
        name, equals, _ = text[position:].partition("=")
        name = name.strip()
        found = literal_at(text, position + text[position:].find("=") + 1) if equals else None
        column = table.by_json_name.get(name)
        if found is None or column is None or name in values:
            raise _not_valid(table)
        literal, position = found
        values[column.name] = _key_value(table, column, literal)
        position = _after_comma(table, text, position)
    if set(values) == {table.primary_id}:
        if table.name in {"systemuser", "team"}:
            raise _not_valid(table)
        return RowKey(values[table.primary_id], {})
    if table.key_of(values) is None:
        raise _not_valid(table)
    return RowKey(None, values)


def _after_comma(table: TableSchema, text: str, position: int) -> int:
    rest = text[position:].lstrip()
    if not rest:
        return len(text)
    if not rest.startswith(",") or not rest[1:].strip():
        raise _not_valid(table)
    return len(text) - len(rest) + 1


def _key_value(table: TableSchema, column: Column, literal: Literal) -> Any:
    value = literal.value
    if literal.kind == "text":
        if column.edm_type != "Edm.String":
            raise _not_valid(table)
        if _NEVER_IN_A_KEY.intersection(value):
            refuse_query("A potentially dangerous Request.Path value was detected from the client.")
        return value
    if isinstance(column, LookupColumn) or column.edm_type == "Edm.Guid":
        if literal.kind != "guid":
            raise _not_valid(table)
        return value
    if literal.kind == "number" and column.edm_type == "Edm.Int32" and value == int(value):
        return int(value)
    if literal.kind == "number" and isinstance(column, DecimalColumn):
        return value
    if isinstance(column, DateTimeColumn) and literal.kind == ("date" if column.is_date else "moment"):
        return value
    raise _not_valid(table)


def _not_valid(table: TableSchema) -> ApiError:
    return ApiError(
        400,
        "0x80060888",
        f"The key in the request URI is not valid for resource 'Microsoft.Dynamics.CRM.{table.name}'.",
    )


def service_relative(url: str) -> str:
    """Return what follows ``/api/data/v9.x/``, for an absolute URL, an absolute path or a relative one."""
    matched = API_PATH.match(url)
    if matched is not None:
        return url[matched.end() :]
    if url.startswith(("http://", "https://")):
        raise unknown_segment(url)
    return url.lstrip("/")
