"""A world of sandboxes beside each command, and configurations that fit it."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from bridge.sandbox import SandboxWorld
from tests.ports import free_port


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[SandboxWorld]:
    async with SandboxWorld(tmp_path / "authority") as sandboxes:
        yield sandboxes


@pytest.fixture
def configured(world: SandboxWorld, tmp_path: Path) -> Callable[..., Path]:
    """Return a function that writes a configuration with a fixed port; its arguments are ``write_config``'s."""

    def write(**settings: object) -> Path:
        given = {"listen_port": free_port(), "schedule": ("0s", "10ms", "1h"), **settings}
        return world.write_config(tmp_path / "config", **given)  # type: ignore[arg-type]

    return write
