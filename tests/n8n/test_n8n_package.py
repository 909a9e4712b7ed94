"""The node package as it would be published: it is clean to n8n's own linter, and carries nothing that it need not."""

import json
import re
import shutil
import tarfile
from pathlib import Path

import pytest
from n8n_installation import PACKAGE, Installation

MANIFEST = json.loads((PACKAGE / "package.json").read_text())


def lint(installation: Installation, package: Path) -> str:
    return installation.run_npm("run", "lint", folder=package)


def test_n8ns_own_linter_has_nothing_to_say(installation: Installation, package: Path) -> None:
    """The rules for community nodes hold, in strict mode, warnings included."""
    assert MANIFEST["n8n"]["strict"] is True
    shown = lint(installation, package)
    assert "n8n-node lint" in shown
    assert not re.search(r"\b(error|warning)\b", shown, re.IGNORECASE)


@pytest.mark.parametrize(
    ("file", "was", "now", "rule"),
    [
        (
            "nodes/NumoraBridgeTrigger/NumoraBridgeTrigger.node.ts",
            "async delete(",
            "async remove(",
            "webhook-lifecycle",
        ),
        ("nodes/shared/transport.ts", "const PATIENCE = 60;", "const PATIENCE = Number(process.pid);", "restricted-gl"),
    ],
)
def test_the_linter_would_have_said_something(
    installation: Installation, package: Path, tmp_path: Path, file: str, was: str, now: str, rule: str
) -> None:
    """A planted fault is found, so silence means something."""
    copy = tmp_path / "n8n"
    shutil.copytree(package, copy, symlinks=True)
    text = (copy / file).read_text()
    assert was in text
    (copy / file).write_text(text.replace(was, now))

    with pytest.raises(RuntimeError, match=rule):
        lint(installation, copy)


def test_its_own_tests_pass(installation: Installation, package: Path) -> None:
    """Signatures are verified as Standard Webhooks has it; forgeries are refused."""
    shown = installation.run_npm("test", folder=package)
    assert "fail 0" in shown
    assert not re.search(r"pass 0\b", shown)


def test_what_is_published_is_what_n8n_needs_and_no_more(tarball: Path) -> None:
    """Nodes, credentials and icons as the manifest names them, licence and README; neither sources nor tests."""
    with tarfile.open(tarball) as packed:
        names = {name.removeprefix("package/") for name in packed.getnames()}
    named = {*MANIFEST["n8n"]["nodes"], *MANIFEST["n8n"]["credentials"]}
    assert names >= {"package.json", "README.md", "LICENSE.md", *named}
    assert names >= {"dist/icons/numoraBridge.svg", "dist/icons/numoraBridge.dark.svg"}
    assert {name for name in names if not name.startswith("dist/")} == {"package.json", "README.md", "LICENSE.md"}


def test_it_brings_nothing_along() -> None:
    """No run-time dependencies, n8n's own library as the only peer, no scripts that run when it is installed."""
    assert not MANIFEST.get("dependencies")
    assert set(MANIFEST["peerDependencies"]) == {"n8n-workflow"}
    assert not {"preinstall", "install", "postinstall", "prepare"} & set(MANIFEST["scripts"])


@pytest.mark.parametrize("lock", [PACKAGE / "package-lock.json", Path(__file__).parent / "host" / "package-lock.json"])
def test_a_lock_names_versions_and_digests_and_no_addresses(lock: Path) -> None:
    """Where packages come from is the machine's own business."""
    entries = json.loads(lock.read_text())["packages"]
    assert len(entries) > 100
    assert [name for name, entry in entries.items() if "resolved" in entry] == []
    assert [
        name for name, entry in entries.items() if name and not entry.get("link") and "integrity" not in entry
    ] == []
