"""Every test has a world and a bridge of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pipeline_stage import Stage, staged

from bridge.sandbox import SandboxWorld


@pytest.fixture
async def world() -> AsyncIterator[SandboxWorld]:
    """The sandboxes, started."""
    async with SandboxWorld() as world:
        yield world


@pytest.fixture
async def stage(world: SandboxWorld, tmp_path: Path) -> AsyncIterator[Stage]:
    """A bridge with the one tenant ``acme``."""
    async with staged(world, tmp_path) as stage:
        yield stage
