"""Every test of this folder gets surroundings of its own."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.blackbox.world import World, world


@pytest.fixture
async def made(tmp_path: Path) -> AsyncIterator[World]:
    async with world(tmp_path) as one:
        yield one
