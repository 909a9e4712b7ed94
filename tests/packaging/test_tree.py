"""The tree itself: what it says of where packages come from, and what its parts may import."""

import contextlib
import os
import subprocess
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PACKAGE_HOSTS = ("py" + "pi.org", "pythonhosted" + ".org", "npmjs" + ".org", "npmjs" + ".com", "yarnpkg" + ".com")
INDEX_OPTIONS = ("--index" + "-url", "--extra-index" + "-url", "--find" + "-links", "--trusted" + "-host")
MADE_BY_TOOLS = {".git", ".venv", ".hypothesis", "__pycache__", "build", "dist", "node_modules"}


def texts() -> dict[str, str]:
    """Return every text file of the tree by its path, whether or not the tree came with its history."""
    found = {}
    for folder, subfolders, files in os.walk(ROOT):
        subfolders[:] = [
            name for name in subfolders if name not in MADE_BY_TOOLS and not name.endswith(("_cache", ".egg-info"))
        ]
        for file in (Path(folder, name) for name in files):
            with contextlib.suppress(UnicodeDecodeError, FileNotFoundError):
                found[str(file.relative_to(ROOT))] = file.read_text(encoding="utf-8")
    return found


def test_no_file_names_a_package_index() -> None:
    """Where packages come from is the machine's own business: nothing here overrides it."""
    everything = texts()
    assert "pyproject.toml" in everything
    assert "Makefile" in everything
    words = (*PACKAGE_HOSTS, *INDEX_OPTIONS)
    assert [(path, word) for path, text in everything.items() for word in words if word in text] == []


def test_parts_import_only_what_they_may() -> None:
    """The pure core stays pure and the pipeline knows no vendor: the contracts in pyproject.toml hold."""
    command = [sys.executable, "-c", "from importlinter.cli import lint_imports_command; lint_imports_command()"]
    done = subprocess.run(
        [*command, "--no-cache", "--no-logo"], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "0 broken" in done.stdout


def test_no_outside_system_escapes_the_contracts() -> None:
    """A new folder in ``connectors/`` is held to the same rules from its first day."""
    vendors = {f"connectors.{folder.parent.name}" for folder in (ROOT / "connectors").glob("*/__init__.py")} - {
        "connectors.sandbox"
    }
    contracts = {contract["id"]: contract for contract in PYPROJECT["tool"]["importlinter"]["contracts"]}
    assert set(contracts["vendors"]["modules"]) == vendors
    assert set(contracts["shared"]["forbidden_modules"]) == vendors
    assert set(contracts["no-vendor"]["forbidden_modules"]) == vendors
