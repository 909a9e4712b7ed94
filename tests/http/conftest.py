"""Fixtures: the sandboxes, and a bridge that runs on them."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from http_bridge import Bridge, running_bridge

from bridge.sandbox import SandboxWorld


@pytest.fixture
async def world() -> AsyncIterator[SandboxWorld]:
    async with SandboxWorld() as started:
        yield started


@pytest.fixture
async def bridge(world: SandboxWorld, tmp_path: Path) -> AsyncIterator[Bridge]:
    async with running_bridge(world, tmp_path / "config") as started:
        yield started


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bridge]:
    """One bridge for a whole module whose tests leave it as it was."""
    async with SandboxWorld() as world, running_bridge(world, tmp_path_factory.mktemp("config")) as started:
        yield started
