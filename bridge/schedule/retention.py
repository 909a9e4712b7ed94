"""Forgetting what is old enough to be forgotten."""

import asyncio
import logging
from collections.abc import Callable

from bridge.config.models import RetentionConfig
from bridge.delivery.model import Millis
from bridge.ledger.protocol import Ledger, LedgerError

log = logging.getLogger(__name__)

EVERY = 6 * 3600.0
"""Seconds between two looks."""


class Retention:
    """Removes ended deliveries and requests that are older than the configuration keeps them."""

    def __init__(self, ledger: Ledger, clock: Callable[[], Millis], keep: Callable[[], RetentionConfig]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._keep = keep
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to look, now and then."""
        self._task = asyncio.create_task(self._look(), name="retention")

    async def stop(self) -> None:
        """Stop looking."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def prune(self) -> None:
        """Remove what is too old now."""
        now, keep = self._clock(), self._keep()
        removed = await self._ledger.prune(
            deliveries_before=now - round(keep.deliveries.total_seconds() * 1000),
            requests_before=now - round(keep.requests.total_seconds() * 1000),
        )
        if any(removed.values()):
            log.info("forgotten by age: %s", ", ".join(f"{count} {kind}" for kind, count in removed.items() if count))

    async def _look(self) -> None:
        while True:
            try:
                await self.prune()
            except LedgerError as error:
                log.error("nothing was forgotten: the ledger cannot be used: %s", error)  # noqa: TRY400
            await asyncio.sleep(EVERY)
