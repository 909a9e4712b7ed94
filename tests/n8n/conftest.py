"""One n8n for each test process, with our package in it; the bridge and the sandboxes are made anew for each test."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from uuid import uuid4

import pytest
from n8n_installation import Installation, NotHereError, built_package, installed
from n8n_process import N8n
from n8n_side import Side, running_side

HERE = Path(__file__).parent
INSTALLING = 1800.0
"""Seconds that a test may take whose turn it is to install."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark what needs the n8n, and put it last: by then it may have been installed beside the other tests."""
    for item in items:
        if HERE in item.path.parents and "installation" in getattr(item, "fixturenames", ()):
            item.add_marker(pytest.mark.n8n)
            item.add_marker(pytest.mark.xdist_group("n8n"))
            item.add_marker(pytest.mark.timeout(INSTALLING))
    items.sort(key=lambda item: item.get_closest_marker("n8n") is not None)


@pytest.fixture(scope="session")
def installation() -> Installation:
    """Return a real n8n and what it runs on, installed now if it is not there yet."""
    try:
        return installed()
    except NotHereError as lacking:
        pytest.skip(str(lacking))


@pytest.fixture(scope="session")
def package(installation: Installation, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a folder with our node package, built."""
    return built_package(installation, tmp_path_factory.mktemp("package"))


@pytest.fixture(scope="session")
def tarball(installation: Installation, package: Path) -> Path:
    """Return our node package as it would be published."""
    installation.run_npm("pack", "--loglevel=error", folder=package)
    return next(package.glob("*.tgz"))


@pytest.fixture(scope="session")
def n8n(installation: Installation, tarball: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[N8n]:
    """Return a running n8n with our package in it."""
    made = N8n(installation, tmp_path_factory.mktemp("n8n"))
    made.add_package(tarball)
    try:
        asyncio.run(made.start())
        yield made
    finally:
        made.stop()


@pytest.fixture
async def side(n8n: N8n, tmp_path: Path) -> AsyncIterator[Side]:
    """Return a bridge on the sandboxes beside the n8n, and n8n's credential for it."""
    async with running_side(n8n, tmp_path) as started:
        yield started


@pytest.fixture
def path() -> str:
    """Return a path for a webhook that no other workflow has."""
    return uuid4().hex
