"""Every command that the pages show exists, with these options; every call names a route that there is."""

import json
import re
from importlib.util import find_spec
from itertools import product
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
import typer
from ruamel.yaml import YAML

from bridge.cli.application import app
from bridge.http.routing import RouteTable
from bridge.http.table import ROUTES
from tests.docs.pages import ROOT, blocks, commands, text_of

BRIDGE: Any = typer.main.get_command(app)
TARGETS = set(re.findall(r"^([a-z0-9-]+):", text_of("Makefile"), re.MULTILINE))
PLACEHOLDERS = {"FILE…": "FILE"}


def shown(program: str) -> list[tuple[str, list[str]]]:
    """Return the commands of one program, from its own name on."""
    found = []
    for page, words in commands():
        names = [word.rpartition("/")[2] for word in words]
        if names[0] == program:
            found.append((page, words[1:]))
    return found


def _told(value: str | list[str]) -> str:
    return value if isinstance(value, str) else " ".join(value)


def parse(words: list[str]) -> None:
    """Parse a command line as the program does, without running anything. Raises what a user would be told."""
    command, left = BRIDGE, [PLACEHOLDERS.get(word, word) for word in words]
    while hasattr(command, "commands") and left and left[0] in command.commands:
        command = command.commands[left.pop(0)]
    if hasattr(command, "commands"):
        raise LookupError(f"there is no command {left}")
    command.make_context("numora-bridge", left)


def check_words(words: list[str]) -> None:
    """Raise for a command, an option or a value that there is not; ``a|b`` stands for each of both.

    A command that is only mentioned may leave out what it needs.
    """
    for alternative in product(*(word.split("|") for word in words)):
        try:
            parse(list(alternative))
        except Exception as error:
            if type(error).__name__ != "MissingParameter":
                raise AssertionError(f"{' '.join(alternative)}: {error}") from error


@pytest.mark.parametrize(("page", "words"), shown("numora-bridge"), ids=_told)
def test_every_command_exists_with_these_options(page: str, words: list[str]) -> None:
    check_words(words)


def test_commands_that_are_not_there_would_be_noticed() -> None:
    for words in (["deliver"], ["serve", "--port", "1"], ["schema", "tenants"], ["poll", "--tenant", "a", "now"]):
        with pytest.raises(AssertionError):
            check_words(words)


def test_every_command_is_shown_somewhere() -> None:
    mentioned = {words[0] for _, words in shown("numora-bridge") if words}
    assert set(BRIDGE.commands) - mentioned - {"demo"} == set()  # the demo is shown as `make demo`


@pytest.mark.parametrize(("page", "words"), shown("make"), ids=_told)
def test_every_target_of_make_exists(page: str, words: list[str]) -> None:
    assert {word for word in words if "=" not in word} <= TARGETS
    for variable in (word.partition("=")[0] for word in words if "=" in word):
        assert f"$({variable}" in text_of("Makefile")


@pytest.mark.parametrize(("page", "words"), shown("npm"), ids=_told)
def test_what_is_said_to_npm_fits_the_node_package(page: str, words: list[str]) -> None:
    """Its scripts are there, and a tarball has the name that ``npm pack`` gives it."""
    package = json.loads(text_of("n8n/package.json"))
    if words[0] == "run":
        assert words[1] in package["scripts"]
    tarballs = {word.rpartition("/")[2] for word in words if word.endswith(".tgz")}
    assert tarballs <= {f"{package['name']}-{package['version']}.tgz"}


@pytest.mark.parametrize(("page", "words"), shown("docker"), ids=_told)
def test_what_is_said_to_compose_fits_the_compose_file(page: str, words: list[str]) -> None:
    assert words[0] == "compose"
    services = YAML(typ="safe").load(ROOT / "compose.yaml")["services"]
    if "bridge" in words:
        assert "bridge" in services
        command = words[words.index("bridge") + 1 :]
        if words[1] == "run":
            check_words(command)  # the image's entry point is the command itself
        elif command and command[0] == "numora-bridge":
            check_words(command[1:])


@pytest.mark.parametrize(("page", "words"), shown("python"), ids=_told)
def test_every_module_that_is_run_exists(page: str, words: list[str]) -> None:
    if words[0] == "-m":
        assert find_spec(words[1]) is not None


@pytest.mark.parametrize(("page", "words"), shown("curl"), ids=_told)
def test_every_call_names_a_route_and_parameters_that_there_are(page: str, words: list[str]) -> None:
    url = urlsplit(next(word for word in words if "://" in word or word.startswith("$BRIDGE")))
    body = next((words[place + 1] for place, word in enumerate(words) if word == "-d"), None)
    method = words[words.index("-X") + 1] if "-X" in words else "GET"
    route = RouteTable(ROUTES).match(method, url.path.removeprefix("$BRIDGE")).route
    if body is not None:
        assert route.body is not None
        route.body.model_validate_json(body)
    names = {name for name, _ in parse_qsl(url.query)}
    assert names <= set(route.query.model_fields if route.query is not None else ())
    if route.path.startswith("/v1"):
        assert any("Authorization" in word or "X-API-Key" in word for word in words)


def test_shell_blocks_hold_commands_that_are_looked_at() -> None:
    """A block with a program that no test knows would go unchecked."""
    known = {"numora-bridge", "make", "docker", "python", "python3", "pip", "curl", "sqlite3"}
    known |= {"cd", "chmod", "cp", "export", "mkdir", "mv", "npm", "set", "."}
    assert {words[0].rpartition("/")[2] or words[0] for _, words in commands()} - known == set()
    assert len(blocks("sh")) >= 10
