"""The schemas of the API's description: answers from their shapes, bodies and queries from their models."""

import inspect
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

import msgspec
from pydantic import BaseModel

REFERENCE: Final = "#/components/schemas/"

_SUFFIX: Final = "Shape"


def shape_schemas(shapes: Iterable[Any]) -> tuple[dict[Any, dict[str, Any]], dict[str, Any]]:
    """Return the schema of each shape, and the named ones that they refer to."""
    wanted = tuple(dict.fromkeys(shapes))
    schemas, named = msgspec.json.schema_components(wanted, ref_template=f"{REFERENCE}{{name}}")
    return (
        {shape: _tidy(schema) for shape, schema in zip(wanted, schemas, strict=True)},
        {_public(name): _tidy(schema) for name, schema in named.items()},
    )


def model_schemas(models: Iterable[type[BaseModel]]) -> dict[str, Any]:
    """Return the named schemas of models of bodies, and those that they refer to."""
    named: dict[str, Any] = {}
    for model in models:
        schema = model.model_json_schema(ref_template=f"{REFERENCE}{{model}}")
        named |= {name: _tidy(found) for name, found in schema.pop("$defs", {}).items()}
        named[model.__name__] = _tidy(schema)
    return named


def query_parameters(model: type[BaseModel]) -> Iterator[dict[str, Any]]:
    """Yield the parameters of a query. What has no value in a query is left out, so that null is none of them."""
    schema = model.model_json_schema(ref_template=f"{REFERENCE}{{model}}")
    for name, found in schema["properties"].items():
        described = _tidy(found)
        description = described.pop("description", "")
        options = [option for option in described.pop("anyOf", ()) if option != {"type": "null"}]
        if options:
            # What a body takes as one value or as a list is always a list in a query.
            described = next((option for option in options if option.get("type") == "array"), options[0]) | described
        if described.get("default", 0) is None:
            del described["default"]
        parameter = {"name": name, "in": "query", "required": False, "description": description, "schema": described}
        if described.get("type") == "array":
            # Several values stand with commas between them, or the parameter is given several times.
            parameter |= {"style": "form", "explode": False}
        yield parameter


def _tidy(schema: Any) -> Any:
    """Return a schema with public names, without titles that repeat them, and with descriptions as they are meant."""
    if isinstance(schema, Mapping):
        return {
            key: _tidied(key, value) for key, value in schema.items() if key != "title" or not isinstance(value, str)
        }
    if isinstance(schema, list):
        return [_tidy(item) for item in schema]
    return schema


def _tidied(key: str, value: Any) -> Any:
    if key == "$ref":
        return REFERENCE + _public(value.removeprefix(REFERENCE))
    if key == "description" and isinstance(value, str):
        return prose(value)
    if key in {"example", "examples", "default", "enum", "const"}:
        return value
    return _tidy(value)


def _public(name: str) -> str:
    return name.removesuffix(_SUFFIX)


def prose(docstring: str | None) -> str:
    """Return a docstring as Markdown: lines joined to paragraphs, names in single backticks."""
    paragraphs = inspect.cleandoc(docstring or "").replace("``", "`").split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)
