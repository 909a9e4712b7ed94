"""What every worker on the ledger has in common: claim what is due, keep it on its way, sleep until there is more."""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable
from contextlib import suppress

from bridge.ledger.protocol import LedgerError

log = logging.getLogger(__name__)

LONGEST_SLEEP = 60.0
"""Seconds after which an idle worker looks at the ledger again, whatever it believes of due times."""

LEDGER_PAUSE = 2.0
"""Seconds after which a ledger that could not be used is tried again."""


class ClaimLoop(ABC):
    """Claims in turns until it is stopped. ``work`` says what waits, for the log, when the ledger cannot be used.

    A subclass says what is claimed, and puts a task for each of it into ``_running``, by id, until it is done.
    """

    def __init__(self, work: str) -> None:
        self._work = work
        self._running: dict[str, asyncio.Task[None]] = {}
        self._wakeup = asyncio.Event()
        self._stopping = False
        self._main: asyncio.Task[None] | None = None

    @property
    def in_progress(self) -> int:
        """How much is on its way."""
        return len(self._running)

    def start(self) -> None:
        """Begin to work."""
        self._main = asyncio.create_task(self._take_turns(), name=f"worker on {self._work}")

    def wake(self) -> None:
        """Look for what is due now: something came in or was opened."""
        self._wakeup.set()

    async def stop(self, grace: float) -> None:
        """Claim nothing more, give what is on its way ``grace`` seconds to end, and hand the rest back."""
        self._stopping = True
        self._wakeup.set()
        if self._main is not None:
            await self._main
        tasks = list(self._tasks())
        try:
            if tasks:
                await asyncio.wait(tasks, timeout=grace)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def run_until_idle(self) -> None:
        """Work until nothing is due and nothing is on its way; for one-off runs."""
        while True:
            claimed = await self._claim()
            if not claimed and not self._running:
                return
            if self._running:
                await asyncio.wait(self._running.values(), return_when=asyncio.FIRST_COMPLETED)

    @abstractmethod
    async def _claim(self) -> int:
        """Claim what is due and set it going; return how much it was. Raises ``LedgerError``."""

    @abstractmethod
    async def _turn(self) -> float:
        """Claim what can be claimed; return the seconds to sleep unless woken. Raises ``LedgerError``."""

    def _tasks(self) -> Iterable[asyncio.Task[None]]:
        """Return what is on its way, for ``stop`` to end."""
        return self._running.values()

    @staticmethod
    async def _wait_for_the_ledger() -> None:
        """Wait as long as a ledger that could not be used is given."""
        await asyncio.sleep(LEDGER_PAUSE)

    async def _take_turns(self) -> None:
        while not self._stopping:
            self._wakeup.clear()
            try:
                sleep = await self._turn()
            except LedgerError as error:
                log.error("%s wait: the ledger cannot be used: %s", self._work, error)  # noqa: TRY400
                sleep = LEDGER_PAUSE
            except Exception:
                # A bug of ours that ended this task would stop the work for good, and nobody would be told.
                log.exception("%s wait: their worker met an unforeseen error", self._work)
                sleep = LEDGER_PAUSE
            if sleep > 0 and not self._stopping:
                with suppress(TimeoutError):
                    async with asyncio.timeout(sleep):
                        await self._wakeup.wait()
