"""The pauses that outside systems ask for, kept in the ledger: a restart does not cut one short."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from hashlib import sha256

from bridge.delivery.model import Millis
from bridge.ledger.protocol import Ledger, LedgerError, Pause

log = logging.getLogger(__name__)


class KnownPauses:
    """Implements ``connectors.pacing.PauseMemory`` on pauses that were read; it keeps no further ones."""

    def __init__(self, clock: Callable[[], Millis], known: Iterable[Pause]) -> None:
        self._clock = clock
        self._known = {pause.identity: pause for pause in known}

    def left(self, identity: str) -> float:
        """See ``PauseMemory.left``. Under a clock that went back a pause is not longer than it was asked for."""
        pause = self._known.get(_digest(identity))
        if pause is None:
            return 0.0
        return max(0, pause.until - max(pause.asked_at, self._clock())) / 1000

    def told(self, identity: str, seconds: float) -> None:
        """Keep nothing."""


class Pauses(KnownPauses):
    """The same on a ledger, which also keeps what is told."""

    def __init__(self, ledger: Ledger, clock: Callable[[], Millis], known: Iterable[Pause]) -> None:
        super().__init__(clock, known)
        self._ledger = ledger
        self._unsaved: dict[str, Pause] = {}
        self._saving: asyncio.Task[None] | None = None

    def told(self, identity: str, seconds: float) -> None:
        """See ``PauseMemory.told``. It is stored in the background, together with those told meanwhile."""
        now = self._clock()
        digest = _digest(identity)
        self._unsaved[digest] = Pause(digest, now, now + round(seconds * 1000))
        if self._saving is None:
            self._saving = asyncio.create_task(self._save(), name="pauses")

    async def close(self) -> None:
        """Store what is not stored yet."""
        if self._saving is not None:
            await asyncio.wait({self._saving})

    async def _save(self) -> None:
        try:
            while self._unsaved:
                pauses, self._unsaved = tuple(self._unsaved.values()), {}
                await self._ledger.keep_pauses(pauses, self._clock())
        except LedgerError as error:
            log.warning("a pause was not kept; it ends with this process: %s", error)
        finally:
            self._saving = None


@asynccontextmanager
async def kept_pauses(ledger: Ledger, clock: Callable[[], Millis]) -> AsyncIterator[Pauses]:
    """Give the memory with what an earlier process kept, and store what is left to store at the end.

    Raises ``LedgerError``.
    """
    pauses = Pauses(ledger, clock, await ledger.pauses())
    try:
        yield pauses
    finally:
        await pauses.close()


def _digest(identity: str) -> str:
    return sha256(identity.encode()).hexdigest()
