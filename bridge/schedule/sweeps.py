"""When documents are read again whose call came to nothing, because they were not reviewed yet."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from bridge.delivery.model import Millis
from bridge.ledger.protocol import Ledger, LedgerError
from bridge.schedule.ticker import Ticker

log = logging.getLogger(__name__)

MOST: Final = 1000
"""Documents that one sweep makes due; what it leaves is the next one's."""

FIRST: Final[Millis] = 10_000
"""Milliseconds after the start until the first sweep: calls may have come to nothing while nobody was there."""


class SweepSchedule:
    """Sweeps one tenant every so many milliseconds, and as far back as ``lookback``."""

    def __init__(
        self,
        tenant: str,
        ledger: Ledger,
        clock: Callable[[], Millis],
        ticker: Ticker,
        on_work: Callable[[], None],
        *,
        every: Millis,
        lookback: Millis,
    ) -> None:
        self._tenant = tenant
        self._ledger = ledger
        self._clock = clock
        self._ticker = ticker
        self._on_work = on_work
        self._every = every
        self._lookback = lookback
        self._sweeping: asyncio.Task[int] | None = None
        self._stopped = False

    @property
    def _key(self) -> str:
        return f"sweep {self._tenant}"

    def start(self) -> None:
        """Make the first appointment."""
        self._ticker.at(self._key, self._clock() + min(FIRST, self._every), self._tick)

    async def stop(self) -> None:
        """Make no more appointments, and wait for a sweep that is under way."""
        self._stopped = True
        self._ticker.cancel(self._key)
        if self._sweeping is not None:
            await asyncio.gather(self._sweeping, return_exceptions=True)

    async def sweep(self) -> int:
        """Make what came to nothing due to be read once more; return how many documents that are."""
        now = self._clock()
        swept = await self._ledger.sweep(
            self._tenant, now, seen_after=now - self._lookback, quiet_since=now - self._every, limit=MOST
        )
        if swept:
            log.info("tenant %s: %d documents that came before they were reviewed are read again", self._tenant, swept)
            self._on_work()
        return swept

    async def _tick(self) -> None:
        self._sweeping = asyncio.ensure_future(self.sweep())
        try:
            await asyncio.shield(self._sweeping)
        except LedgerError as error:
            log.error("tenant %s was not swept: the ledger cannot be used: %s", self._tenant, error)  # noqa: TRY400
        finally:
            if not self._stopped:
                self._ticker.at(self._key, self._clock() + self._every, self._tick)
