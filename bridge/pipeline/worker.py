"""The worker of one tenant: claims what is due and keeps a bounded number of deliveries on their way."""

import asyncio
import logging
from collections.abc import Callable, Iterable

from bridge.claim_loop import LONGEST_SLEEP, ClaimLoop
from bridge.delivery.model import Delivery, Millis, Step
from bridge.ledger.protocol import ClaimFilter, LeaseLostError, Ledger, LedgerError
from bridge.pipeline.gates import Block, Side
from bridge.pipeline.lane import Lane
from bridge.pipeline.runner import LEASE, DeliveryRunner, NotJournalledError
from connectors.outcome import BlockedError, OutcomeError

log = logging.getLogger(__name__)

_WORTH_A_CLAIM = 16
"""So many free places are filled at once: one by one costs more, and more of them at a time come through in waves."""

DeliveryListener = Callable[[Delivery], None]
"""Called with a delivery each time that its way ends or pauses."""


class LaneWorker(ClaimLoop):
    """Works one lane, with at most ``capacity`` deliveries on their way.

    How many requests they send at a time is the connectors' affair, so that waiting for the ledger keeps none back.
    """

    def __init__(
        self,
        lane: Lane,
        ledger: Ledger,
        runner: DeliveryRunner,
        clock: Callable[[], Millis],
        *,
        capacity: int,
        listener: DeliveryListener,
    ) -> None:
        super().__init__(f"deliveries of {lane.tenant}")
        self.lane = lane
        self._ledger = ledger
        self._runner = runner
        self._clock = clock
        self._capacity = capacity
        self._listener = listener
        self._probing: asyncio.Task[None] | None = None

    @property
    def _has_room(self) -> bool:
        """Tell whether so many places are free that filling them is worth a claim."""
        return self._capacity - len(self._running) >= min(_WORTH_A_CLAIM, max(1, self._capacity // 4))

    @property
    def _is_probing(self) -> bool:
        """Tell whether a probe is on its way; there is one at a time."""
        return self._probing is not None and not self._probing.done()

    def _tasks(self) -> Iterable[asyncio.Task[None]]:
        return [*self._running.values(), *([self._probing] if self._probing else [])]

    async def _turn(self) -> float:
        self._probe_if_due()
        if not self._has_room:
            return self._until_probe()  # the end of a delivery that makes room wakes the worker
        free = self._capacity - len(self._running)
        now = self._clock()
        claimed = await self._claim()
        if claimed == free or self.lane.gates.is_blocked(Side.SOURCE):
            return self._until_probe()
        due = await self._ledger.next_due(self.lane.tenant, now)
        until_due = LONGEST_SLEEP if due is None else (due - self._clock()) / 1000
        return max(0.0, min(until_due, self._until_probe()))

    def _until_probe(self) -> float:
        """Return the seconds until a blocked side is to be tried again, ``LONGEST_SLEEP`` at most."""
        probe = self.lane.gates.next_probe()
        if probe is None or self._is_probing:  # the end of a probe wakes the worker
            return LONGEST_SLEEP
        return min(LONGEST_SLEEP, max(0.0, (probe - self._clock()) / 1000))

    async def _claim(self) -> int:
        gates = self.lane.gates
        if gates.is_blocked(Side.SOURCE):
            return 0
        steps = frozenset({Step.REPORT, Step.RECHECK}) if gates.is_blocked(Side.DESTINATION) else frozenset()
        return await self._start(
            self._capacity - len(self._running), ClaimFilter(steps, gates.blocked_schemas(), frozenset(self._running))
        )

    async def _start(self, limit: int, only: ClaimFilter) -> int:
        if limit < 1 or self._stopping:
            return 0
        now = self._clock()
        claimed = await self._ledger.claim(self.lane.tenant, now, limit=limit, lease_until=now + LEASE, only=only)
        for delivery in claimed:
            self._running[delivery.id] = asyncio.create_task(self._run(delivery), name=delivery.id)
        return len(claimed)

    async def _run(self, delivery: Delivery) -> None:
        last = delivery
        try:
            last = await self._runner.run(self.lane, delivery)
        except LeaseLostError:
            log.info("delivery %s is left alone: it was withdrawn, or claimed by another holder", delivery.id)
        except NotJournalledError as error:
            log.error("delivery %s waits: the ledger takes no entries: %s", delivery.id, error)  # noqa: TRY400
            await self._hand_back_when_possible(error)
        finally:
            self._running.pop(delivery.id, None)
            if self._has_room:
                self._wakeup.set()
        self._listener(last)

    async def _hand_back_when_possible(self, staged: NotJournalledError) -> None:
        """Store what was found out and could not be stored, as soon as the ledger takes entries again."""
        while not self._stopping:
            await self._wait_for_the_ledger()
            try:
                await self._runner.hand_back_late(staged)
            except LeaseLostError:
                return
            except LedgerError:
                continue
            return

    def _probe_if_due(self) -> None:
        if self._is_probing:
            return
        block = self.lane.gates.take_probe()
        if block is not None:
            self._probing = asyncio.create_task(self._probe(block), name=f"probe {self.lane.tenant}")

    async def _probe(self, block: Block) -> None:
        """Try a blocked side again: with one waiting delivery where there is one, else with a call of its own."""
        lane = self.lane
        try:
            if block.side is Side.MAPPING:
                mapping = lane.mappings.get(block.schema or "")
                if mapping is None:
                    lane.gates.clear(block.side, block.schema)
                else:
                    await lane.verify(mapping)
            else:
                # A report or a recheck goes by without asking the destination anything.
                steps = frozenset({Step.FETCH, Step.WRITE}) if block.side is Side.DESTINATION else frozenset()
                held = ClaimFilter(steps, lane.gates.blocked_schemas(), frozenset(self._running))
                if not await self._start(1, held):
                    await (lane.source if block.side is Side.SOURCE else lane.destination).probe()
                    lane.gates.clear(block.side)
        except BlockedError as error:
            if block.side is not Side.MAPPING:  # what a check blocks, the lane has closed
                lane.gates.block(block.side, error)
        except (OutcomeError, LedgerError) as error:
            log.info("tenant %s: the probe of its %s did not get through: %s", lane.tenant, block.side, error)
        finally:
            self._wakeup.set()
