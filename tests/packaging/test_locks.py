"""What is installed is pinned, agrees with itself, and says nothing of where it was fetched from."""

import re
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REQUIREMENTS = Path(__file__).parents[2] / "requirements"
SETS = ("build", "run", "test", "quality")
WITHOUT_DEPENDENCIES = ("retab-sdk",)


def entries(file: Path) -> list[Requirement]:
    lines = (line.partition("#")[0].strip() for line in file.read_text().splitlines())
    return [Requirement(line) for line in lines if line]


def pins(name: str) -> dict[str, str]:
    return {canonicalize_name(entry.name): str(entry.specifier) for entry in entries(REQUIREMENTS / f"{name}.txt")}


@pytest.mark.parametrize("name", [*SETS, *WITHOUT_DEPENDENCIES])
def test_every_package_is_pinned_to_one_version(name: str) -> None:
    """Two installations from the same tree are the same."""
    assert pins(name)
    assert [pin for pin in pins(name).values() if not re.fullmatch(r"==[0-9][0-9a-z.]*", pin)] == []


@pytest.mark.parametrize("name", [*SETS, *WITHOUT_DEPENDENCIES])
def test_a_lock_names_no_address(name: str) -> None:
    """An operator's own package index is used, whatever it is: the files hold no URL, no option and no host."""
    text = (REQUIREMENTS / f"{name}.txt").read_text()
    assert "://" not in text
    assert "@" not in text
    assert [line for line in text.splitlines() if line.startswith("-")] == []


@pytest.mark.parametrize("name", SETS)
def test_a_lock_holds_what_was_asked_for(name: str) -> None:
    """A changed wish that was not locked again is noticed."""
    locked = pins(name)
    for wish in entries(REQUIREMENTS / f"{name}.in"):
        version = locked[canonicalize_name(wish.name)].removeprefix("==")
        assert wish.specifier.contains(version), f"{wish} is locked to {version}: run `make lock`"


@pytest.mark.parametrize("name", ["test", "quality"])
def test_the_tests_run_on_the_versions_that_the_service_runs_on(name: str) -> None:
    """Installing the test set on top of the run set replaces nothing."""
    served = pins("run") | pins("build")
    assert {package: pin for package, pin in pins(name).items() if served.get(package, pin) != pin} == {}


def test_nothing_installs_over_jmespath() -> None:
    """``jmespath-community`` takes the same import name, and selects differently."""
    assert "jmespath-community" not in pins("run") | pins("test") | pins("quality")
