"""The first steps: help, version, schemas, and a configuration to start from."""

import json
import re
from pathlib import Path

import pytest

from bridge.config.load import load_config
from bridge.config.models import BridgeConfig
from tests.cli.cli_process import command

VARIABLES = {
    "BRIDGE_API_KEY": "operator-key-of-a-person",
    "EXAMPLE_API_KEY": "tenant-key-of-a-person",
    "EXAMPLE_NUMORA_KEY": "numora-key-of-a-person",
    "EXAMPLE_DATAVERSE_SECRET": "dataverse-secret-of-a-person",
}
MORE_VARIABLES = {
    "EXAMPLE_NUMORA_WEBHOOK_SECRET": "webhook-secret-of-a-person",
    "EXAMPLE_EXECUTOR_SECRET": "executor-secret-of-a-person",
    "EXAMPLE_EVENTS_SECRET": "events-secret-of-a-person",
}
EXAMPLE = re.compile(r"^( *)# ( {0,2}(?:- \{|[a-z_]+:(?: |$)).*)$", re.MULTILINE)
"""A line that is used by taking its # away. Sentences begin otherwise, and alternatives stand further to the right."""


async def test_a_new_configuration_is_good_once_its_secrets_are_set(tmp_path: Path) -> None:
    """``init``, then ``check`` names every variable that is missing, then with all of them set nothing is wrong."""
    folder = tmp_path / "config"
    made = await command("init", str(folder))
    assert made.code == 0
    assert f"numora-bridge check --config {folder}" in made.out
    unset = await command("check", "--config", str(folder), "--offline")
    assert unset.code == 2
    assert all(f"The environment variable {name} is not set." in unset.out for name in VARIABLES)
    checked = await command("check", "--config", str(folder), "--offline", **VARIABLES)
    assert checked.code == 0, checked.everything
    assert f"found in the environment: {', '.join(sorted(VARIABLES))}" in checked.out
    assert not any(secret in checked.everything for secret in VARIABLES.values())


async def test_every_example_in_a_new_configuration_can_be_used_as_it_stands(tmp_path: Path) -> None:
    """Without the #, each key is known and its value is good; what bridge.yaml says is a default is one."""
    await command("init", str(tmp_path))
    for file in (tmp_path / "bridge.yaml", tmp_path / "tenants/example.yaml"):
        text = file.read_text()
        assert len(EXAMPLE.findall(text)) > 5
        file.write_text(EXAMPLE.sub(r"\1\2", text).replace("allow_hosts: []", "allow_hosts: [n8n]"))
    checked = await command("check", "--config", str(tmp_path), "--offline", **VARIABLES, **MORE_VARIABLES)
    assert checked.code == 0, checked.everything
    assert "warning" not in checked.everything.lower(), checked.everything
    assert all(name in checked.out for name in MORE_VARIABLES)
    bridge = load_config(tmp_path, {**VARIABLES, **MORE_VARIABLES}).bridge
    assert bridge.model_copy(update={"api_keys": (), "allow_hosts": ()}) == BridgeConfig()
    named = (tmp_path / ".env.example").read_text()
    assert all(f"{name}=" in named for name in (*VARIABLES, *MORE_VARIABLES, "EXAMPLE_RETAB_KEY"))


async def test_the_alternative_source_in_a_new_configuration_can_take_the_place_of_the_first(tmp_path: Path) -> None:
    """What is shown for Retab is a whole ``source``."""
    await command("init", str(tmp_path))
    file = tmp_path / "tenants/example.yaml"
    text = file.read_text()
    shown = "".join(f"{line}\n" for line in re.findall(r"^#     (.*)$", text, re.MULTILINE))
    assert shown.startswith("source:\n")
    first, rest = text.index("source:\n"), text.index("destination:\n")
    file.write_text(text[:first] + shown + text[rest:])
    variables = {**VARIABLES, "EXAMPLE_RETAB_KEY": "retab-key-of-a-person"}
    checked = await command("check", "--config", str(tmp_path), "--offline", **variables)
    assert checked.code == 0, checked.everything
    assert "EXAMPLE_RETAB_KEY" in checked.out


async def test_a_configuration_that_is_there_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "bridge.yaml").write_text("# mine\n")
    again = await command("init", str(tmp_path))
    assert again.code == 2
    assert "nothing was written" in again.err
    assert names_in(tmp_path) == ["bridge.yaml"]
    assert (tmp_path / "bridge.yaml").read_text() == "# mine\n"


@pytest.mark.parametrize("name", ["bridge", "tenant", "mapping"])
async def test_a_schema_is_printed_for_editors(name: str) -> None:
    printed = await command("schema", name)
    assert printed.code == 0
    assert json.loads(printed.out)["$schema"] == "https://json-schema.org/draft/2020-12/schema"


async def test_help_names_every_command_and_the_exit_codes() -> None:
    helped = await command("--help")
    assert helped.code == 0
    for name in ("init", "check", "serve", "poll", "preview", "deliveries", "mapping", "schema", "sandbox", "demo"):
        assert f"\n  {name} " in helped.out
    assert "0: all well" in helped.out


async def test_the_version_is_told() -> None:
    assert (await command("--version")).out.startswith("numora-bridge")


async def test_wrong_usage_is_exit_code_2() -> None:
    assert (await command("chekc")).code == 2
    assert (await command("poll", "--config", "somewhere")).code == 2
    assert (await command("schema", "brigde")).code == 2


def names_in(folder: Path) -> list[str]:
    return [file.name for file in folder.iterdir()]
