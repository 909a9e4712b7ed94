"""Validation errors of a model, told as findings about the file that a person wrote."""

import difflib
import re
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from mappings.findings import Finding

if TYPE_CHECKING:
    from mappings.yaml_source import YamlSource

_QUOTED = re.compile(r"'((?:[^'\\]|\\.)*)'")
_WANTED = {
    "string": "text",
    "int": "a whole number",
    "decimal": "a number",
    "float": "a number",
    "bool": "true or false",
    "dict": "a mapping of keys",
    "model": "a mapping of keys",
    "mapping": "a mapping of keys",
    "dataclass": "a mapping of keys",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "frozen_set": "a list",
    "date": "a date such as 2026-01-31",
    "none": "empty",
}
_TYPE_ENDINGS = ("_type", "_parsing", "_attributes_type", "_required", "_sub_type", "_from_float")
_KNOWN_SHOWN = 40

Path = tuple[Hashable, ...]
"""Keys and list indexes from the top of a file to a value."""


@dataclass(frozen=True, slots=True)
class Misfit:
    """A value that does not fit its model.

    ``is_needed``: its key has to be there. ``is_stray``: its key is not known. ``meant`` is the nearest known value of
    a misspelt one.
    """

    path: Path
    is_needed: bool = False
    is_stray: bool = False
    meant: str | None = None


def misfits_of(model: type[BaseModel], error: ValidationError) -> tuple[Misfit, ...]:
    """Return what does not fit, each place once."""
    found: dict[Path, Misfit] = {}
    for details in error.errors():
        kind = details["type"]
        path, schema = _walk(model, details["loc"])
        meant = None
        if kind == "literal_error":
            meant = _closest(str(details["input"]), _QUOTED.findall(str(details["ctx"]["expected"])))
        is_needed = kind == "missing" or (bool(path) and _is_needed(schema, path[-1]))
        found.setdefault(path, Misfit(path, is_needed, kind == "extra_forbidden", meant))
    return tuple(found.values())


def findings_of(model: type[BaseModel], error: ValidationError, source: "YamlSource") -> tuple[Finding, ...]:
    """Return one finding for each error, in the order of the file; only what stands in the file itself is quoted."""
    found: dict[tuple[Any, ...], Finding] = {}
    errors = error.errors()
    for details in errors:
        if _is_beside_the_point(model, details, errors):
            continue
        finding = _finding(model, details, source)
        found.setdefault((finding.line, finding.column, finding.key, finding.code), finding)
    return tuple(sorted(found.values(), key=lambda finding: (finding.line or 0, finding.column or 0)))


def nearest(name: str, known: Iterable[str]) -> str:
    """Return the end of a message about an unknown name: the nearest known one, if any, and all of them."""
    names = sorted(set(known))
    if not names:
        return "Remove it."
    close = _closest(name, names)
    shown = ", ".join(names[:_KNOWN_SHOWN]) + (", …" if len(names) > _KNOWN_SHOWN else "")
    return (f"Did you mean {close!r}? " if close is not None else "") + f"Known: {shown}."


def as_meant(model: type[BaseModel], error: ValidationError, value: Any) -> Any:
    """Return the value with what tags of unions are meant to be; None when there is none such.

    A misspelt tag is meant to be the nearest known one, and one that is missing the one that suits what stands there
    best. ``value`` is what was validated. It is left as it is.
    """
    meant = value
    for details in error.errors():
        if details["type"] not in {"union_tag_invalid", "union_tag_not_found"}:
            continue
        name, known = _tags(details.get("ctx", {}))
        path = (*_walk(model, details["loc"])[0], name)
        if details["type"] == "union_tag_invalid":
            tag = _closest(str(details["ctx"]["tag"]), known)
        else:
            known = known or _tags_of(model, details["loc"])
            tag = _best(model, meant, path, known) if isinstance(details["input"], dict) else None
        if tag is not None:
            meant = _replaced(meant, path, tag)
    return None if meant is value else meant


def _best(model: type[BaseModel], value: Any, path: Path, known: Iterable[str]) -> str | None:
    """Return the tag with which the fewest things are wrong."""
    faults = {tag: _count_errors(model, _replaced(value, path, tag)) for tag in known}
    return min(faults, key=faults.__getitem__, default=None)


def _count_errors(model: type[BaseModel], value: Any) -> int:
    try:
        model.model_validate(value)
    except ValidationError as error:
        return error.error_count()
    return 0


def _tags_of(model: type[BaseModel], location: tuple[int | str, ...]) -> list[str]:
    """Return the tags of the union that a location leads to."""
    core: Any = model.__pydantic_core_schema__
    definitions = {entry["ref"]: entry for entry in core.get("definitions", ()) if "ref" in entry}
    _, holder = _walk(model, location)
    fields = (holder or {}).get("fields", {})
    entry = fields.get(location[-1]) if isinstance(fields, Mapping) else None
    union = _inner(entry["schema"], definitions) if entry else None
    return [str(tag) for tag in union["choices"]] if union and union.get("type") == "tagged-union" else []


def dotted(path: Path) -> str | None:
    """Write a path as a person would: ``events[0].url``; None for the top of the file."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in path)
    return text.removeprefix(".") or None


def _finding(model: type[BaseModel], details: ErrorDetails, source: "YamlSource") -> Finding:
    kind, context = details["type"], details.get("ctx", {})
    path, schema = _walk(model, details["loc"])
    if kind == "extra_forbidden":
        name = str(path[-1])
        return source.finding(
            path, "unknown_key", f"{name!r} is not a key here. {nearest(name, _names(schema))}", key=True
        )
    if kind in {"missing", "missing_argument"}:
        line, column = source.position(path[:-1], key=True)
        message = f"{str(path[-1])!r} is missing here. Add it."
        return Finding("missing_key", message, source.file, line, column, dotted(path))
    if kind in {"union_tag_not_found", "union_tag_invalid"}:
        return _tag_finding(path, kind, context, source)
    if kind in {"literal_error", "enum"}:
        given = source.at(path)
        message = f"{_quote(given)} is not known here. {nearest(str(given), _QUOTED.findall(str(context['expected'])))}"
        return source.finding(path, "bad_value", message)
    if kind == "invalid_key" or details["loc"][-1:] == ("[key]",):
        return source.finding(
            path, "bad_key", f"The key {_quote(path[-1])} should be text. {_key_advice(details)}", key=True
        )
    wanted = _wanted(kind)
    if wanted:
        return source.finding(path, "wrong_type", f"This should be {wanted}, and it is {_shape(source.at(path))}.")
    return source.finding(path, _code(details), _sentence(details))


def _tag_finding(path: Path, kind: str, context: Mapping[str, Any], source: "YamlSource") -> Finding:
    name, known = _tags(context)
    at = (*path, name)
    if kind == "union_tag_not_found":
        line, column = source.position(path, key=True)
        return Finding("missing_key", f"{name!r} is missing here. Add it.", source.file, line, column, dotted(at))
    given = source.at(at)
    return source.finding(at, "bad_value", f"{_quote(given)} is not known here. {nearest(str(given), known)}")


def _tags(context: Mapping[str, Any]) -> tuple[str, list[str]]:
    """Return the name of a union's tag, and its known values."""
    return str(context.get("discriminator", "")).strip("'"), _QUOTED.findall(str(context.get("expected_tags", "")))


def _closest(name: str, known: Iterable[str]) -> str | None:
    by_lower = {candidate.lower(): candidate for candidate in known}
    close = difflib.get_close_matches(name.lower(), by_lower, 1, 0.6)
    return by_lower[close[0]] if close else None


def _replaced(value: Any, path: Path, item: Any) -> Any:
    """Return a copy of a value with another item at ``path``, which leads to one."""
    if not path:
        return item
    copy = value.copy()
    copy[path[0]] = item if len(path) == 1 else _replaced(value[path[0]], path[1:], item)
    return copy


def _key_advice(details: ErrorDetails) -> str:
    return "Put it in quotes." if details["type"] in {"invalid_key", "string_type"} else _sentence(details)


def _wanted(kind: str) -> str | None:
    for ending in _TYPE_ENDINGS:
        stem = kind.removesuffix(ending)
        if stem != kind and stem.removesuffix("_attributes") in _WANTED:
            return _WANTED[stem.removesuffix("_attributes")]
    return None


def _code(details: ErrorDetails) -> str:
    """Return our own models' kind of error as it is; pydantic's, which come with a page, are all bad values."""
    return "bad_value" if "url" in details else details["type"]


def _sentence(details: ErrorDetails) -> str:
    text = details["msg"].removeprefix("Value error, ").removeprefix("Assertion failed, ")
    text = re.sub(r"^(Input|String|Decimal input|Value|List|Dictionary|Tuple)\b", "This", text)
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _shape(value: object) -> str:
    if value is None:
        return "empty"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, str):
        return "text"
    if isinstance(value, int):
        return "a whole number"
    return {"dict": "a mapping of keys", "list": "a list", "Decimal": "a number", "date": "a date"}.get(
        type(value).__name__,
        "something else",
    )


def _quote(value: object) -> str:
    return repr(value) if isinstance(value, str) else str(value)


def _is_beside_the_point(model: type[BaseModel], details: ErrorDetails, errors: list[ErrorDetails]) -> bool:
    """Tell whether this is a union's wrong member speaking, while another member says something further inside."""
    location = details["loc"]
    if not location or _wanted(details["type"]) is None:
        return False
    place = location[:-1]
    others = (other["loc"] for other in errors if other["loc"][: len(place)] == place)
    if not any(len(other) > len(location) and other[len(place)] != location[-1] for other in others):
        return False
    return location[-1] != "[key]" and _walk(model, location)[0] == _walk(model, place)[0]


def _names(schema: Mapping[str, Any] | None) -> list[str]:
    fields = (schema or {}).get("fields", {})
    if not isinstance(fields, Mapping):
        return []
    return [str(entry.get("validation_alias", name)) for name, entry in fields.items()]


def _is_needed(schema: Mapping[str, Any] | None, name: Hashable) -> bool:
    """Tell whether a part's key has to be there."""
    fields = (schema or {}).get("fields", {})
    if not isinstance(fields, Mapping):
        return False
    entry = next((entry for key, entry in fields.items() if name in {key, entry.get("validation_alias")}), None)
    return entry is not None and entry["schema"]["type"] != "default"


def _walk(
    model: type[BaseModel],
    location: tuple[int | str, ...],
) -> tuple[Path, Mapping[str, Any] | None]:
    """Return the path in the file that a location stands for, and the schema of the mapping that holds its last key.

    A location also names the members of unions that were tried; these are in the model and not in the file.
    """
    core: Any = model.__pydantic_core_schema__
    definitions = {entry["ref"]: entry for entry in core.get("definitions", ()) if "ref" in entry}
    schema, holder = core, None
    path: list[Hashable] = []
    for part in location:
        schema = _inner(schema, definitions)
        kind = schema.get("type") if schema else None
        if part == "[key]":
            continue
        if kind == "tagged-union":
            schema = schema["choices"].get(part)
            continue
        if kind == "union":
            schema = _member(schema, str(part), definitions)
            continue
        holder = schema
        path.append(part)
        if kind in {"model-fields", "typed-dict", "dataclass-args"}:
            entries = schema["fields"]
            found = entries.get(part) or next((e for e in entries.values() if e.get("validation_alias") == part), None)
            schema = found["schema"] if found else None
        elif kind == "dict":
            schema = schema.get("values_schema")
        elif kind in {"list", "tuple", "set", "frozenset"}:
            items = schema.get("items_schema")
            schema = items[min(int(part), len(items) - 1)] if isinstance(items, list) and items else items
        else:
            schema = None
    return tuple(path), holder


def _inner(schema: Any, definitions: Mapping[str, Any]) -> Any:
    """Open the wrappings that add nothing to a location."""
    while schema:
        kind = schema["type"]
        if kind == "definition-ref":
            schema = definitions.get(schema["schema_ref"])
        elif kind == "json-or-python":
            schema = schema["python_schema"]
        elif kind == "lax-or-strict":
            schema = schema["strict_schema"]
        elif kind == "chain":
            schema = schema["steps"][0]
        elif "schema" in schema and kind not in {"union", "tagged-union", "dict", "list", "tuple", "model-fields"}:
            schema = schema["schema"]
        else:
            break
    return schema


def _member(schema: Mapping[str, Any], label: str, definitions: Mapping[str, Any]) -> Any:
    for choice in schema["choices"]:
        entry, known_as = choice if isinstance(choice, tuple) else (choice, None)
        opened = entry if entry["type"] != "definition-ref" else definitions.get(entry["schema_ref"], entry)
        named = getattr(opened.get("cls"), "__name__", None)
        if label in {known_as, named, opened["type"]} or label.startswith(f"{opened['type']}["):
            return entry
    return None
