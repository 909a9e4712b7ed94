"""What is made from the models: the reference, the JSON Schemas and the folder to start from, all of them current."""

import tomllib
from pathlib import Path

import msgspec
import pytest

from bridge.config.load import load_config
from bridge.config.reference import reference
from bridge.config.schema import schema_for
from bridge.config.template import TEMPLATE_FILES, write_template
from mappings.findings import FindingsError

ROOT = Path(__file__).parents[2]


def test_the_documented_reference_is_current():
    """``python -m bridge.config.reference > docs/configuration.md`` brings it up to date."""
    assert (ROOT / "docs/configuration.md").read_text() == reference()


@pytest.mark.parametrize("name", ["bridge", "tenant", "mapping"])
def test_a_schema_is_json_and_knows_no_other_keys(name):
    schema = schema_for(name)
    assert msgspec.json.encode(schema)
    assert schema["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    assert schema["additionalProperties"] is False


@pytest.mark.parametrize("name", ["bridge", "tenant"])
def test_every_key_of_a_schema_is_described(name):
    schema = schema_for(name)
    for part in (schema, *schema.get("$defs", {}).values()):
        for key, value in part.get("properties", {}).items():
            referred = schema["$defs"][value["$ref"].rsplit("/", 1)[1]] if "$ref" in value else {}
            assert value.get("description") or referred.get("description"), f"{part['title']}.{key} has no description"
        if part.get("type") == "object" and "properties" in part:
            assert part["additionalProperties"] is False


def test_a_schema_gives_durations_and_secrets_as_files_write_them():
    bridge = schema_for("bridge")
    probe = bridge["$defs"]["BlockedConfig"]["properties"]["probe"]
    assert (probe["type"], probe["default"]) == ("string", "30s")
    assert bridge["properties"]["retry"]["default"]["schedule"][:3] == ["0s", "5s", "1m"]
    numora = schema_for("tenant")["$defs"]["NumoraSettings"]["properties"]
    assert numora["api_key"]["writeOnly"]
    assert numora["poll"]["default"] == {"every": "5m", "limit": 100, "cursor_param": "cursor"}


def test_the_folder_to_start_from_loads_once_its_variables_are_set(tmp_path):
    """Someone who fills in .env has a configuration with nothing to complain of."""
    folder = tmp_path / "deep" / "config"
    written = write_template(folder)
    assert sorted(str(path.relative_to(folder)) for path in written) == sorted(TEMPLATE_FILES)
    lines = (folder / ".env.example").read_text().splitlines()
    names = [line.removesuffix("=") for line in lines if line and not line.startswith("#")]
    loaded = load_config(folder, {name: f"{name}-0123456789" for name in names})
    assert loaded.warnings == ()
    assert sorted(loaded.tenants["example"].mappings) == ["contract_v1", "invoice_v2", "receipt_v1"]
    with pytest.raises(FindingsError) as caught:
        load_config(folder, {})
    assert {finding.code for finding in caught.value.findings} == {"missing_secret"}
    assert len(caught.value.findings) == len(names)


def test_what_is_there_is_never_written_over(tmp_path):
    (tmp_path / "bridge.yaml").write_text("mine")
    with pytest.raises(FindingsError) as caught:
        write_template(tmp_path)
    assert [finding.code for finding in caught.value.findings] == ["file_exists"]
    assert (tmp_path / "bridge.yaml").read_text() == "mine"
    assert not (tmp_path / "tenants").exists()


@pytest.mark.parametrize("name", ["taken", "taken/config", "."])
def test_a_file_where_a_folder_has_to_be_is_told_and_left_alone(tmp_path, name):
    (tmp_path / "taken").write_text("mine")
    (tmp_path / "tenants").write_text("mine")
    with pytest.raises(FindingsError) as caught:
        write_template(tmp_path / name)
    blocking = "tenants" if name == "." else "taken"
    assert [(finding.code, finding.file) for finding in caught.value.findings] == [
        ("file_exists", str(tmp_path / blocking))
    ]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["taken", "tenants"]


def test_the_template_names_every_key_of_the_bridge_file(tmp_path):
    """A key behind a # stands there with its default, ready to be changed."""
    write_template(tmp_path)
    text = (tmp_path / "bridge.yaml").read_text()
    named = {"tenants", "mappings"}
    for key in schema_for("bridge")["properties"]:
        assert key in named or f"# {key}:" in text or f"\n{key}:" in text, key


def test_the_template_is_part_of_the_package():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["bridge"]
    assert "**/templates/**/*" in patterns
    assert not [name for name in TEMPLATE_FILES.values() if Path(name).name.startswith(".")], (
        "a pattern skips dot files"
    )
