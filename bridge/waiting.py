"""Waiting for a delivery to come to rest."""

import asyncio
from contextlib import suppress

from bridge.delivery.model import Delivery


class Waiters:
    """Those who wait for deliveries of this process."""

    def __init__(self) -> None:
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}

    def moved_on(self, delivery: Delivery) -> None:
        """Tell those who wait for this delivery when it is at rest."""
        if delivery.at_rest:
            for future in self._waiting.get(delivery.id, ()):
                if not future.done():
                    future.set_result(None)

    async def wait(self, delivery_id: str, seconds: float) -> None:
        """Return when the delivery comes to rest, or after so many seconds."""
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(delivery_id, set())
        waiting.add(future)
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await future
        finally:
            waiting.discard(future)
            if not waiting and self._waiting.get(delivery_id) is waiting:
                del self._waiting[delivery_id]
