"""The README's first tenant, step by step as it is written there, with sandboxes in place of the outside systems."""

import asyncio
import os
import re
import sqlite3
import stat
import sys
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from bridge.ledger.open import open_sqlite
from bridge.sandbox import ENTRA_TENANT, SandboxWorld
from connectors.numora.sandbox import sample_documents
from tests.docs.pages import ROOT, blocks, commands_in, section, text_of

PATIENCE = 60.0
STEPS = re.findall(
    r"^```(?:sh|yaml)\n(.*?)^```",
    section(text_of("README.md"), "## A first tenant in five minutes"),
    re.MULTILINE | re.DOTALL,
)
INIT, TENANT, CHECK, PREVIEW, SERVE, CALLS = STEPS


def shell_here(folder: Path) -> dict[str, str]:
    """Lay out a folder in which the README's commands find the program, and return the environment."""
    programs = folder / ".venv/bin"
    programs.mkdir(parents=True)
    program = programs / "numora-bridge"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m bridge "$@"\n')
    program.chmod(0o755)
    (programs / "activate").write_text(f'PATH="{programs}:$PATH"\n')
    kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    return {**kept, "PATH": f"{programs}:{os.environ['PATH']}", "PYTHONPATH": str(ROOT)}


async def run(script: str, folder: Path, environ: dict[str, str]) -> str:
    """Run a block to its end; return what it printed."""
    process = await asyncio.create_subprocess_exec(
        "sh",
        "-e",
        "-c",
        script,
        cwd=folder,
        env=environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    out, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode == 0, out.decode()
    return out.decode()


def fill_in(folder: Path, world: SandboxWorld) -> None:
    """Do what the README tells a person to do in an editor."""
    tenant = world.tenant("acme")
    text = TENANT.replace("https://api.numora.example", world.numora.url)
    text = text.replace("https://acme.crm4.dynamics.com", world.dataverse.url)
    text = text.replace(
        "tenant_id: 00000000-0000-0000-0000-000000000000",
        f"tenant_id: {ENTRA_TENANT}\n    authority: {world.entra.authority_of(ENTRA_TENANT)}",
    )
    text = text.replace("client_id: 00000000-0000-0000-0000-000000000000", f"client_id: {tenant.client_id}")
    (folder / "config/tenants/acme.yaml").write_text(text)
    bridge = folder / "config/bridge.yaml"
    bridge.write_text(f"{bridge.read_text()}\nca_file: {world.ca_file}\nlisten: {{port: 0}}\n")
    secrets = {
        "EXAMPLE_NUMORA_KEY": tenant.numora_key,
        "EXAMPLE_DATAVERSE_SECRET": tenant.client_secret,
        "EXAMPLE_API_KEY": "a-key-of-acme-0123456789",
        "BRIDGE_API_KEY": "an-operator-key-0123456789",
    }
    env = folder / "config/.env"
    lines = [
        f"{line}{secrets.pop(line[:-1])}" if re.match(r"[A-Z_]+=$", line) else line
        for line in env.read_text().splitlines()
    ]
    env.write_text("\n".join(lines) + "\n")
    assert not secrets


async def test_the_readmes_first_tenant_works_as_it_is_written(tmp_path: Path) -> None:
    """Whoever follows the README, command by command, ends with documents delivered."""
    environ = shell_here(tmp_path)
    async with SandboxWorld(tmp_path / "authority") as world:
        documents = [document for document in sample_documents(6) if document.schema == "invoice_v2"]
        for document in documents:
            world.workspace("acme").add(document)
        await run(INIT, tmp_path, environ)
        assert stat.S_IMODE((tmp_path / "config/.env").stat().st_mode) == 0o600
        fill_in(tmp_path, world)
        assert "All is well." in await run(CHECK, tmp_path, environ)
        with_secrets = f"{CHECK.splitlines()[0]}\n"
        shown = await run(with_secrets + PREVIEW.replace("DOCUMENT_ID", documents[0].id), tmp_path, environ)
        assert "The row would be created" in shown
        await deliver(tmp_path, environ, with_secrets, len(documents))
        assert len(world.dataverse.rows("numora_invoice")) == len(documents)


async def deliver(folder: Path, environ: dict[str, str], with_secrets: str, expected: int) -> None:
    """Run the service, make the README's calls, and wait until everything is delivered."""
    process = await asyncio.create_subprocess_exec(
        "sh",
        "-e",
        "-c",
        f"{with_secrets}exec {SERVE}",
        cwd=folder,
        env=environ,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stderr is not None
        async with asyncio.timeout(PATIENCE):
            url = ""
            while not url:
                line = (await process.stderr.readline()).decode()
                assert line, "the service ended"
                found = re.search(r"serves 1 tenants at (http://[\w.:]+)", line)
                url = found[1] if found else ""
            await _calls(url, expected)
            listed = await run(with_secrets + CALLS.splitlines()[-1], folder, environ)
            assert listed.count("succeeded") == expected
    finally:
        with suppress(ProcessLookupError):
            process.terminate()
        assert await process.wait() == 0


async def _calls(url: str, expected: int) -> None:
    curls = [words for words in commands_in(CALLS) if words[0] == "curl"]
    assert len(curls) == 2
    async with aiohttp.ClientSession() as session:
        while True:
            answers = []
            for words in curls:
                header = words[words.index("-H") + 1] if "-H" in words else ""
                name, _, value = header.replace("$BRIDGE_API_KEY", "an-operator-key-0123456789").partition(": ")
                address = words[-1].replace("http://127.0.0.1:8484", url)
                async with session.get(address, headers={name: value} if name else {}) as answer:
                    assert answer.status == 200, address
                    answers.append(await answer.json())
            if answers[1]["data"][0]["deliveries"]["succeeded"] == expected:
                assert answers[0]["status"] == "ready"
                return
            await asyncio.sleep(0.05)


@pytest.mark.parametrize(
    "command",
    [
        words
        for block in blocks("sh")
        if block.page == "docs/operations.md"
        for words in commands_in(block.text)
        if "VACUUM" in words[-1]
    ],
    ids=lambda words: words[0],
)
async def test_a_backup_beside_a_running_bridge_is_whole(tmp_path: Path, command: list[str]) -> None:
    """Both commands give SQLite the same statement, and the copy has what was committed a moment before."""
    (tmp_path / "data").mkdir()
    ledger = await open_sqlite(tmp_path / "data/bridge.db")
    try:
        await ledger.store_mapping("digest", "invoice.yaml", "the text", 1)
        script = command[-1]
        if command[0] == "sqlite3":
            assert command[1:3] == ["-readonly", "data/bridge.db"]
            script = f"import sqlite3; sqlite3.connect('file:data/bridge.db?mode=ro', uri=True).execute({script!r})"
        process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, cwd=tmp_path)
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 0
    finally:
        await ledger.close()
    copy = sqlite3.connect(tmp_path / "backup.db")
    try:
        assert copy.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert copy.execute("SELECT text FROM mappings").fetchall() == [("the text",)]
    finally:
        copy.close()
