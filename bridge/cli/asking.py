"""One tenant's two sides, for commands that ask them something and deliver nothing."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from bridge.config.loaded import LoadedConfig, Tenant
from bridge.ids import now_millis
from bridge.ledger.open import open_reader
from bridge.ledger.protocol import LedgerError, Pause
from bridge.pauses import KnownPauses
from bridge.pipeline.gates import Gates
from bridge.pipeline.lane import Lane
from bridge.serving import connections
from bridge.wiring import build_destination, build_source, watch_rules
from connectors.pacing import Paces

_NO_PROBES = 30_000


@asynccontextmanager
async def lanes(config: LoadedConfig) -> AsyncIterator[Callable[[Tenant], Lane]]:
    """Give a function that puts a tenant's lane together; all of them are closed at the end.

    A pause that a service on the same ledger was asked for holds for these questions as well.
    """
    opened: list[Lane] = []
    paces = Paces(KnownPauses(now_millis, await _pauses(config)))
    async with connections(config, lambda *_: None, paces=paces) as surroundings:

        def lane(tenant: Tenant) -> Lane:
            source = build_source(tenant, surroundings)
            destination = build_destination(tenant, surroundings)
            gates = Gates(now_millis, _NO_PROBES, lambda *_: None)
            opened.append(Lane(tenant.id, source, destination, tenant.mappings, gates, watch=watch_rules(tenant)))
            return opened[-1]

        try:
            yield lane
        finally:
            for each in opened:
                await each.close()


async def _pauses(config: LoadedConfig) -> tuple[Pause, ...]:
    """Return what the ledger knows of pauses; nothing when it cannot be read."""
    try:
        reader = await open_reader(config.bridge.store, folder=config.folder)
    except LedgerError:
        return ()
    try:
        return await reader.pauses()
    finally:
        await reader.close()
