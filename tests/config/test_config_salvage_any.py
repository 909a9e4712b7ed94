"""Whatever stands in a file, every finding of it is told and nothing breaks."""

from collections.abc import Callable
from copy import deepcopy
from importlib.resources import files
from pathlib import Path
from typing import Any

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_config_salvage import ENVIRON, TENANT

from bridge.config.load import load_config
from mappings.findings import Finding, FindingsError
from mappings.load import compile_mapping
from mappings.yaml_source import parse_yaml

ODD = st.sampled_from([None, True, 7, -1, "", "x", "${", "fields.[", [], {}, [1], [None], {"x": 1}, {"kind": "numra"}])
MAPPING = parse_yaml(
    (files("mappings") / "library" / "invoice_v2.dataverse.yaml").read_text(encoding="utf-8"), "invoice.yaml"
).value
CONFIG = {
    "bridge": parse_yaml(
        "listen: {host: 127.0.0.1, port: 0}\nallow_hosts: [n8n]\napi_keys: ['${OPERATOR}']\n"
        "retry: {schedule: [0s, 5s]}\n"
        "retention: {deliveries: 9d}\nlog: {level: info, format: json}\ntenants: tenants\n",
        "bridge.yaml",
    ).value,
    "acme": parse_yaml(
        TENANT
        + "events: [{url: 'https://n8n.example/x', types: ['*']}]\napi_keys: ['${KEY}']\ndelivery: {mode: external}\n",
        "acme.yaml",
    ).value,
}

LONG_SECRETS = [value for value in ENVIRON.values() if len(value) > 16]


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Return the paths of every value below the top."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, item in items for place in ((*path, key), *places(item, (*path, key)))]


@st.composite
def spoilt(draw: st.DrawFn, value: Any) -> Any:
    """Return the value with some of its parts replaced, renamed or taken out."""
    value = deepcopy(value)
    for _ in range(draw(st.integers(1, 4))):
        known = places(value)
        if not known:
            return value
        *above, key = draw(st.sampled_from(known))
        holder = value
        for part in above:
            holder = holder[part]
        how = draw(st.sampled_from(["replace", "rename", "remove"])) if isinstance(holder, dict) else "replace"
        if how == "replace":
            holder[key] = deepcopy(draw(ODD))
        else:
            item = holder.pop(key)
            if how == "rename":
                holder[f"{key}x"] = item
    return value


def text_of(value: Any) -> str:
    """Return a value as YAML: JSON is that too."""
    return msgspec.json.encode(value, enc_hook=str).decode()


def found_by(load: Callable[[], object]) -> tuple[Finding, ...]:
    """Return the findings because of which a file is not taken, none when it is."""
    try:
        load()
    except FindingsError as error:
        return error.findings
    return ()


def is_told(found: tuple[Finding, ...]) -> bool:
    """Tell whether a file that is not taken has an error, each with its place."""
    errors = [finding for finding in found if finding.severity == "error"]
    return bool(errors) == bool(found) and all(finding.line and finding.column for finding in errors)


@given(spoilt(MAPPING))
@settings(deadline=None, max_examples=150)
def test_any_mapping_file_is_taken_or_told_of(value: Any) -> None:
    assert is_told(found_by(lambda: compile_mapping(text_of(value), "m.yaml")))


@given(spoilt(CONFIG))
@settings(deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_any_configuration_is_taken_or_told_of(tmp_path: Path, value: Any) -> None:
    (tmp_path / "tenants").mkdir(exist_ok=True)
    (tmp_path / "bridge.yaml").write_text(text_of(value.get("bridge", {})))
    (tmp_path / "tenants" / "acme.yaml").write_text(text_of(value.get("acme", {})))
    found = found_by(lambda: load_config(tmp_path, ENVIRON))
    assert is_told(found)
    assert not [finding for finding in found if any(secret in str(finding) for secret in LONG_SECRETS)]
