"""Holding the ledger for the length of one command, in place of the service."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from bridge.config.loaded import LoadedConfig
from bridge.delivery.model import Delivery
from bridge.ledger.open import open_ledger
from bridge.ledger.protocol import Ledger
from bridge.runtime import Observers, Runtime
from bridge.sealing import Sealer
from bridge.serving import STOP_GRACE, running


@asynccontextmanager
async def held_ledger(config: LoadedConfig) -> AsyncIterator[Ledger]:
    """Give the ledger, for this process alone. Raises ``LedgerInUseError`` beside a running service."""
    ledger = await open_ledger(config.bridge.store, folder=config.folder)
    try:
        yield ledger
    finally:
        await ledger.close()


@asynccontextmanager
async def taken_up(
    config: LoadedConfig, ledger: Ledger, moved_on: Callable[[Delivery], None]
) -> AsyncIterator[Runtime]:
    """Give the tenants' lines, with what a previous process left taken back and nothing started.

    ``moved_on`` is called with a delivery each time that its way ends or pauses.
    """
    observers = Observers(moved_on, lambda _: None)
    sealer = Sealer.beside(config.ledger_path)
    async with running(config, ledger, observers, lambda *_: None, sealer=sealer) as runtime:
        try:
            await runtime.take_up()
            yield runtime
        finally:
            await runtime.stop(STOP_GRACE)
