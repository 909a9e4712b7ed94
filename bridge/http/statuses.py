"""The tenants' statuses. For the metrics the ledger is asked every few seconds at most, whoever scrapes how often."""

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final

from bridge.runtime import NotFoundError
from bridge.service import Service, TenantStatus

GOOD_FOR: Final = 5.0
"""Seconds for which a look at the ledger is good."""

_AT_ONCE: Final = 8


async def statuses_of(service: Service, tenants: Sequence[str]) -> list[TenantStatus]:
    """Return these tenants' statuses, in their order. A tenant that is taken away meanwhile is left out."""
    slots = asyncio.Semaphore(_AT_ONCE)

    async def status(tenant: str) -> TenantStatus | None:
        async with slots:
            try:
                return await service.status(tenant)
            except NotFoundError:
                return None

    return [found for found in await asyncio.gather(*map(status, tenants)) if found is not None]


class Statuses:
    """Keeps the last look. ``monotonic`` gives seconds."""

    def __init__(self, service: Service, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._service = service
        self._monotonic = monotonic
        self._looking = asyncio.Lock()
        self._looked_at: float | None = None
        self._last: Sequence[TenantStatus] = ()

    async def recent(self) -> Sequence[TenantStatus]:
        """Return every tenant's status as it was at most ``GOOD_FOR`` seconds ago. Raises ``LedgerError``."""
        async with self._looking:
            if self._looked_at is None or self._monotonic() - self._looked_at >= GOOD_FOR:
                self._last = await statuses_of(self._service, self._service.tenants)
                self._looked_at = self._monotonic()
            return self._last
