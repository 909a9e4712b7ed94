"""The ledgers that the conformance suite runs on: a further implementation is a further factory."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest
from ledger_samples import Driver

from bridge.ledger.open import open_ledger, open_sqlite, temporary_ledger
from bridge.ledger.protocol import Ledger

Factory = Callable[[Path], AbstractAsyncContextManager[Ledger]]


@asynccontextmanager
async def sqlite_file(folder: Path) -> AsyncIterator[Ledger]:
    ledger = await open_ledger("sqlite:///data/bridge.db", folder=folder)
    try:
        yield ledger
    finally:
        await ledger.close()


@asynccontextmanager
async def sqlite_temporary(_: Path) -> AsyncIterator[Ledger]:
    async with temporary_ledger() as ledger:
        yield ledger


FACTORIES: dict[str, Factory] = {"sqlite-file": sqlite_file, "sqlite-temporary": sqlite_temporary}


@pytest.fixture(params=FACTORIES)
async def ledger(request, tmp_path):
    async with FACTORIES[request.param](tmp_path) as opened:
        yield opened


@pytest.fixture
def driver(ledger):
    return Driver(ledger)


@pytest.fixture
async def sqlite(tmp_path):
    """The file ledger itself, for what is SQLite's alone."""
    ledger = await open_sqlite(tmp_path / "bridge.db", durable=False)
    try:
        yield ledger
    finally:
        await ledger.close()
