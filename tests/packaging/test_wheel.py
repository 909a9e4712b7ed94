"""The package that is built: it holds everything the service reads while running, and nothing that is ours alone."""

import shutil
import subprocess
import sys
from collections.abc import Iterator
from email.parser import Parser
from pathlib import Path, PurePosixPath
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("bridge", "connectors", "mappings")
LEFT_OUT = shutil.ignore_patterns("__pycache__", "*.pyc", "*_cache")


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ZipFile]:
    """Build from a copy, so that nothing is left in the tree."""
    folder = tmp_path_factory.mktemp("wheel")
    for name in (*PACKAGES, "requirements"):
        shutil.copytree(ROOT / name, folder / name, ignore=LEFT_OUT)
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, folder)
    build = "from setuptools.build_meta import build_wheel; print(build_wheel('dist'))"
    done = subprocess.run(
        [sys.executable, "-c", build], cwd=folder, capture_output=True, text=True, check=False, timeout=110
    )
    assert done.returncode == 0, done.stderr
    with ZipFile(folder / "dist" / done.stdout.splitlines()[-1]) as archive:
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
