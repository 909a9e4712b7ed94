"""The query options of a URL: what to select, expand, filter, order, and which page of it."""

from dataclasses import dataclass
from urllib.parse import unquote_plus

from connectors.dataverse.sandbox.errors import refuse_query

_KNOWN = frozenset({"$select", "$expand", "$filter", "$orderby", "$top", "$count", "$skiptoken"})


@dataclass(frozen=True, slots=True)
class Expansion:
    """A navigation property to follow, with the options that stand in its parentheses."""

    name: str
    options: "QueryOptions"


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """What a URL or an expansion asks for. ``select`` is None when everything is wanted."""

    select: tuple[str, ...] | None = None
    expand: tuple[Expansion, ...] = ()
    filter: str | None = None
    order: tuple[tuple[str, bool], ...] = ()
    top: int | None = None
    count: bool = False
    skip: int = 0


NO_OPTIONS = QueryOptions()


def parse_query(query: str) -> QueryOptions:
    """Read a raw query string. Parameters without a dollar sign are left to whoever knows them."""
    if not query:
        return NO_OPTIONS
    found: dict[str, str] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        name = unquote_plus(name)
        if name.startswith("$"):
            if name not in _KNOWN:
                refuse_query(f"The query parameter '{name}' is not supported.")
            if name in found:
                refuse_query(f"The query parameter '{name}' is given more than once.")
            found[name] = unquote_plus(value)
    return _options(found)


def plain_parameters(query: str) -> dict[str, str]:
    """Return the parameters without a dollar sign, such as ``x-ms-file-name``."""
    pairs = (part.partition("=") for part in query.split("&") if part)
    return {unquote_plus(name): unquote_plus(value) for name, _, value in pairs if not name.startswith(("$", "%24"))}


def _options(found: dict[str, str]) -> QueryOptions:
    select = found.get("$select")
    return QueryOptions(
        select=None if not select else tuple(name.strip() for name in select.split(",")),
        expand=tuple(_expansion(part) for part in _split(found.get("$expand", ""), ",")),
        filter=found.get("$filter"),
        order=tuple(_order(part) for part in _split(found.get("$orderby", ""), ",")),
        top=_number("$top", found["$top"]) if "$top" in found else None,
        count=found.get("$count", "").lower() == "true",
        skip=_number("$skiptoken", found["$skiptoken"]) if "$skiptoken" in found else 0,
    )


def _expansion(text: str) -> Expansion:
    name, parenthesis, rest = text.strip().partition("(")
    if not parenthesis:
        return Expansion(name, NO_OPTIONS)
    if not rest.endswith(")"):
        refuse_query(f"The expansion '{text}' is not closed.")
    found = {}
    for part in _split(rest[:-1], ";"):
        option, _, value = part.strip().partition("=")
        if option not in _KNOWN:
            refuse_query(f"The query parameter '{option}' is not supported.")
        found[option] = value
    return Expansion(name.strip(), _options(found))


def _order(text: str) -> tuple[str, bool]:
    name, _, direction = text.strip().partition(" ")
    if direction not in {"", "asc", "desc"}:
        refuse_query(f"Syntax error in the ordering '{text}'.")
    return name, direction == "desc"


def _number(name: str, text: str) -> int:
    if not text.isdigit():
        refuse_query(f"The value '{text}' of {name} is not a number.")
    return int(text)


def _split(text: str, separator: str) -> list[str]:
    """Split outside parentheses and quotes; empty text has no parts."""
    parts, begin, depth, quoted = [], 0, 0, False
    for position, character in enumerate(text):
        if character == "'":
            quoted = not quoted
        elif quoted:
            continue
        elif character == "(":
            depth += 1
        elif character == ")":
            depth -= 1
        elif character == separator and depth == 0:
            parts.append(text[begin:position])
            begin = position + 1
    if text:
        parts.append(text[begin:])
    return parts
