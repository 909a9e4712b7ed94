"""The text of ``docs/configuration.md``, made from the models: ``python -m bridge.config.reference``."""

import sys
from collections.abc import Iterator
from datetime import timedelta
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec
from pydantic import BaseModel, SecretStr
from pydantic.fields import FieldInfo
from pydantic_core import PydanticUndefined

from bridge.config.codes import FINDING_CODES
from bridge.config.models import BridgeConfig, TenantConfig
from connectors.settings import NotAvailable, OneOrList, format_duration

_INTRODUCTION = """\
# Configuration

A tenant is onboarded by a file and not by code. So that a slip of the pen never costs a document, every file is
read strictly: a key that is not known, a key given twice, a value of the wrong type or a secret that is not there is
an error with file, line, column, key and, for a misspelt name, the nearest known one. All of them are told at once.

    config/
      bridge.yaml              what is the same for every tenant
      tenants/acme.yaml        one file for each tenant; the file's name is the tenant's id
      mappings/*.yaml          optional: found before the shipped mapping files

`numora-bridge init DIR` writes a folder to start from, `numora-bridge check --config DIR` says what is wrong with one,
and `numora-bridge schema bridge|tenant|mapping` prints a JSON Schema for your editor.

## How files are read

- **YAML 1.2.** `NO` is a country and `1_000` is text; numbers keep their digits. A file is UTF-8 and one document.
- **Secrets.** `${NAME}` is taken from the environment and `${file:/run/secrets/x}` from a file, without the line break
  at its end; a relative path starts at the configuration folder. Both work inside any text, `"Bearer ${TOKEN}"` too.
  `$${` stands for the characters themselves. What comes out is not looked at for references again. A secret is never
  shown; one that stands in the file in clear is warned about.
- **Durations** are a whole number with a unit: `500ms`, `5s`, `5m`, `2h`, `90d`.
- **`http://`** is taken for loopback addresses only (127.0.0.0/8, ::1, localhost), unless the host is in `allow_hosts`.
  Where messages go (`events`, subscriptions, `resume_url`), a host that is not public has to stand there too, loopback
  included: see [events.md](events.md#where-messages-may-go).
- **Tenant ids** are at most 63 of `a-z`, `0-9`, `-` and `_`, and begin with a letter or a digit.
- **Changes are picked up while running**, within a few seconds or at once on SIGHUP. A bad file keeps its old version
  in force, a bad new file is left out, and both are shown. `listen`, `store` and `ca_file` need a new start.

Keys marked *not available* are taken by the schema and refused by this version.

## Which key for what

| to have | set | more in |
|---|---|---|
| Numora's outbox polled | nothing: it is the default | [numora.md](numora.md#the-outbox) |
| Numora call when a document was reviewed | `source.webhook_secret` | [numora.md](numora.md#webhooks) |
| Numora's n8n executor call | `source.notify` | [numora.md](numora.md#the-n8n-executor) |
| no outbox read | `source.trigger: route`, with one of the two above | [numora.md](numora.md#the-outbox) |
| Retab's approved reviews delivered | `source.kind: retab`, with `schemas` | [retab.md](retab.md) |
| Numora's own dispatch write | `delivery.mode: managed` | [operations.md](operations.md#managed-mode) |
| an n8n node started by what happens | the trigger node or `events`; `allow_hosts` | [n8n.md](n8n.md) |
| keys for n8n and scripts | `api_keys` of the tenant's file | [api.md](api.md#keys) |
"""


def reference() -> str:
    """Return the whole document."""
    lines = [
        _INTRODUCTION,
        "## bridge.yaml",
        "",
        *_table(BridgeConfig, ""),
        "## tenants/NAME.yaml",
        "",
        *_table(TenantConfig, ""),
        "## Findings",
        "",
        "What can be said of a configuration, by its code. For mapping files see [errors.md](errors.md).",
        "",
        "| code | meaning |",
        "|---|---|",
        *(f"| `{code}` | {meaning} |" for code, meaning in FINDING_CODES.items()),
        "",
    ]
    return "\n".join(lines)


def _table(model: type[BaseModel], prefix: str, within: str = "") -> Iterator[str]:
    """Yield a model's table, and below it those of its parts. ``within`` says which kind it is itself a part of."""
    rows: list[str] = []
    parts: list[tuple[str, type[BaseModel], str]] = []
    for name, field in model.model_fields.items():
        key = f"{prefix}{name}"
        members = _members(field.annotation)
        rows.append(f"| `{key}` | {_type(field.annotation)} | {_default(field)} | {_meaning(field)} |")
        suffix = "[]" if get_origin(_bare(field.annotation)) is tuple else ""
        for member in members:
            kind = member.model_fields.get("kind")
            label = f", `kind: {get_args(kind.annotation)[0]}`" if kind is not None else within
            parts.append((f"{key}{suffix}", member, label))
    yield "| key | type | default | meaning |"
    yield "|---|---|---|---|"
    yield from rows
    yield ""
    for key, member, label in parts:
        yield f"### `{key}`{label}"
        yield ""
        yield from _table(member, f"{key}.", label)


def _bare(annotation: Any) -> Any:
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) in (Union, UnionType):
        members = [member for member in get_args(annotation) if member is not type(None)]
        return _bare(members[0]) if len(members) == 1 else annotation
    return annotation


def _members(annotation: Any) -> list[type[BaseModel]]:
    bare = _bare(annotation)
    if get_origin(bare) is tuple:
        return _members(get_args(bare)[0])
    if get_origin(bare) in (Union, UnionType):
        return [member for part in get_args(bare) for member in _members(part)]
    return [bare] if isinstance(bare, type) and issubclass(bare, BaseModel) else []


def _type(annotation: Any) -> str:
    bare = _bare(annotation)
    origin = get_origin(bare)
    if origin is tuple and _may_stand_alone(annotation):
        item = _type(get_args(bare)[0])
        return f"{item}, or a list of them"
    if origin is Literal:
        return " or ".join(f"`{value}`" for value in get_args(bare))
    if origin is tuple:
        return f"list of {_type(get_args(bare)[0])}"
    if origin is dict:
        return "mapping of text to text"
    if _members(bare):
        return "mapping"
    return {str: "text", int: "whole number", timedelta: "duration", SecretStr: "secret"}[bare]


def _may_stand_alone(annotation: Any) -> bool:
    """Tell whether one value may be written instead of a list of one."""
    if get_origin(annotation) is Annotated:
        return OneOrList in annotation.__metadata__ or _may_stand_alone(get_args(annotation)[0])
    return get_origin(annotation) in (Union, UnionType) and any(map(_may_stand_alone, get_args(annotation)))


def _default(field: FieldInfo) -> str:
    if field.default is PydanticUndefined:
        return "required"
    if isinstance(field.default, BaseModel):
        return "see below"
    return f"`{_literal(field.default)}`"


def _literal(value: Any) -> str:
    if isinstance(value, timedelta):
        return format_duration(value)
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_literal, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_literal(item)}" for key, item in value.items()) + "}"
    if isinstance(value, str):
        return f'"{value}"' if value.startswith(("$", "*")) else value
    return msgspec.json.encode(value).decode()


def _meaning(field: FieldInfo) -> str:
    words = [field.description or ""]
    for mark in field.metadata:
        if isinstance(mark, NotAvailable):
            which = "" if mark.values is None else "".join(f"`{value}` " for value in sorted(mark.values))
            words.append(f"*{which}not available.*" if which else "*Not available.*")
    if field.examples:
        words.append(f"Example: `{_literal(field.examples[0])}`.")
    return " ".join(words).replace("|", "\\|")


if __name__ == "__main__":
    sys.stdout.write(reference())
