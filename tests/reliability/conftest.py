"""What the reliability tests share: a stage for lives that end, and a place for what they count."""

import json
import os
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bridge.sandbox import SandboxWorld
from tests.reliability.counts import COUNTS_FILE
from tests.reliability.dying import make_mortal
from tests.reliability.stage import Stage, keep_tls_context, write_stage_config

_MEMORY = Path("/dev/shm")  # noqa: S108 - a folder in memory, where there is one

Counted = Callable[..., None]


@pytest.fixture
def counted(request: pytest.FixtureRequest, record_property: Callable[[str, Any], None]) -> Counted:
    """Tell what was counted under a name: shown at the end of the run, and kept for ``make reliability``."""

    def count(name: str, **numbers: int) -> None:
        told = ", ".join(f"{number:,} {what.replace('_', ' ')}" for what, number in numbers.items())
        record_property("counted", f"{name}: {told}")
        file = os.environ.get(COUNTS_FILE)
        if file:
            line = json.dumps({"name": name, **numbers}) + "\n"
            descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
            os.write(descriptor, line.encode())
            os.close(descriptor)

    return count


@pytest.fixture
def lives_folder() -> Iterator[Path]:
    """A folder for ledgers whose process dies, in memory where possible: the machine they are on lives on."""
    parent = _MEMORY if os.access(_MEMORY, os.W_OK) else None
    with tempfile.TemporaryDirectory(prefix="lives-", dir=parent) as folder:
        yield Path(folder)


@pytest.fixture
async def stage(tmp_path: Path, lives_folder: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    """Every sandbox and every tenant of the stage, and a loop on which processes can die."""
    keep_tls_context(monkeypatch)
    async with SandboxWorld(tmp_path / "authority") as world:
        stage = Stage(world, write_stage_config(world, tmp_path / "config"), lives_folder)
        make_mortal(monkeypatch)
        await stage.warm_up()
        stage.determine(monkeypatch)
        yield stage
