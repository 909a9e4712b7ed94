"""``make`` as a stranger meets it: every target is explained, and a machine that lacks something is told what."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
MAKEFILE = (ROOT / "Makefile").read_text()

pytestmark = pytest.mark.skipif(shutil.which("make") is None, reason="needs make")


def make(*arguments: str, folder: Path = ROOT, path: str | None = None) -> subprocess.CompletedProcess[str]:
    program = shutil.which("make")
    assert program
    environment = {"PATH": path} if path else None
    return subprocess.run(
        [program, *arguments], cwd=folder, env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def phony() -> set[str]:
    line = re.search(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)
    assert line
    return set(line[1].split())


def test_every_target_is_explained_by_make_help() -> None:
    """What can be made is listed with what it does, and nothing is left out of the list."""
    listed = dict(re.findall(r"^  make ([a-z0-9-]+) +(\S.*)$", make("help").stdout, re.MULTILINE))
    assert set(listed) == phony()


def test_make_alone_changes_nothing() -> None:
    """Without a target, ``make`` explains itself."""
    assert make().stdout == make("help").stdout


@pytest.mark.parametrize("target", ["demo", "test"])
def test_without_a_suitable_python_the_reader_is_told_what_to_install(target: str, tmp_path: Path) -> None:
    """A machine with only an old Python, or none, gets a sentence and no traceback; nothing half-made stays behind."""
    tools = tmp_path / "bin"
    tools.mkdir()
    for tool in ("sh", "touch"):
        found = shutil.which(tool)
        assert found
        (tools / tool).symlink_to(found)
    (tools / "python3").write_text("#!/bin/sh\nexit 1\n")
    (tools / "python3").chmod(0o755)
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copy(ROOT / "pyproject.toml", tmp_path)
    shutil.copytree(ROOT / "requirements", tmp_path / "requirements")

    done = make(target, folder=tmp_path, path=str(tools))

    assert done.returncode != 0
    assert "No Python 3.11 or newer" in done.stderr
    assert "make PYTHON=/path/to/python3" in done.stderr
    assert not (tmp_path / ".venv").exists()


@pytest.mark.parametrize(("arguments", "kept"), [(("demo",), False), (("demo", "KEEP=1"), True)])
def test_the_demo_stays_only_when_asked_to(arguments: tuple[str, ...], kept: bool) -> None:
    """``make demo`` ends by itself; ``make demo KEEP=1`` leaves everything running."""
    commands = make("--dry-run", *arguments).stdout
    assert "numora-bridge demo" in commands
    assert ("--keep" in commands) is kept


def test_every_set_is_installed_from_its_lock() -> None:
    """Nothing is installed that is not pinned."""
    installs = re.findall(r"^\t@\$\(PIP\) install (.*)$", MAKEFILE, re.MULTILINE)
    assert installs
    for install in installs:
        sources = re.findall(r"-r (\S+)", install)
        assert sources or install == "--no-deps --no-build-isolation --editable ."
        assert all(source.endswith(".txt") and (ROOT / source).exists() for source in sources)
