"""The package that is built: it holds everything the service reads while running, and nothing that is ours alone."""

from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("bridge", "connectors", "mappings")


@pytest.fixture(scope="module")
def wheel(wheel_file: Path) -> Iterator[ZipFile]:
    with ZipFile(wheel_file) as archive:
        yield archive


def metadata(wheel: ZipFile, name: str) -> str:
    return next(wheel.read(path).decode() for path in wheel.namelist() if path.endswith(f".dist-info/{name}"))


def test_everything_in_the_packages_is_in_the_wheel(wheel: ZipFile) -> None:
    """Code, SQL, shipped mappings, templates: whatever stands in the packages' folders is installed."""
    wanted = {
        str(PurePosixPath(file.relative_to(ROOT)))
        for package in PACKAGES
        for file in (ROOT / package).rglob("*")
        if file.is_file() and "__pycache__" not in file.parts and not any("_cache" in part for part in file.parts)
    }
    assert wanted - set(wheel.namelist()) == set()


def test_nothing_else_is_in_the_wheel(wheel: ZipFile) -> None:
    """No tests, no build files: installing the bridge puts three packages and their description in place."""
    tops = {path.partition("/")[0] for path in wheel.namelist()}
    assert {top for top in tops if not top.endswith(".dist-info")} == set(PACKAGES)


def test_types_are_shipped(wheel: ZipFile) -> None:
    """Whoever imports a package gets its types."""
    assert {f"{package}/py.typed" for package in PACKAGES} <= set(wheel.namelist())


def test_it_says_what_it_needs_and_what_it_is(wheel: ZipFile) -> None:
    """The description names licence, oldest Python, the direct dependencies and the command."""
    described = Parser().parsestr(metadata(wheel, "METADATA"))
    assert described["Name"] == "numora-bridge"
    assert described["License-Expression"] == "MIT"
    assert described["Requires-Python"] == ">=3.11"
    assert any(line.startswith("aiohttp") for line in described.get_all("Requires-Dist", []))
    assert "numora-bridge = bridge.cli:main" in metadata(wheel, "entry_points.txt")
