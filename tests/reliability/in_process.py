"""The whole bridge but its HTTP side, running on the test's own loop beside the sandboxes."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

from bridge.config.load import load_config
from bridge.delivery.model import Delivery
from bridge.ids import now_millis
from bridge.ledger.open import open_ledger
from bridge.ledger.protocol import Ledger
from bridge.runtime import BlockEvent, Observers, Runtime
from bridge.sandbox import SandboxWorld
from bridge.serving import running
from tests.reliability.flow import Flow
from tests.reliability.invariants import LedgerFacts, violations

PATIENCE = 120.0
"""Seconds without any progress after which something that is waited for will not come."""


class RunningBridge:
    """A bridge at work.

    ``moved`` holds every delivery as it was when its way ended or paused, ``blocks`` what was shut or opened.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.moved: list[Delivery] = []
        self.blocks: list[BlockEvent] = []
        self._happened = asyncio.Event()
        self.runtime: Runtime
        self.ledger: Ledger

    @property
    def ledger_file(self) -> Path:
        return self.folder / "data" / "bridge.db"

    def delivery(self, delivery: Delivery) -> None:
        self.moved.append(delivery)
        self._happened.set()

    def block(self, event: BlockEvent) -> None:
        self.blocks.append(event)
        self._happened.set()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until something that happened made this true. Fails when nothing happens any more."""
        while not condition():
            self._happened.clear()
            async with asyncio.timeout(PATIENCE):
                await self._happened.wait()

    async def until_moved(self, before: int) -> None:
        """Wait until more deliveries have moved than there were."""
        await self.until(lambda: len(self.moved) > before)


@asynccontextmanager
async def running_bridge(folder: Path, *, grace: float = 8.0) -> AsyncIterator[RunningBridge]:
    """Run the bridge on the configuration in this folder."""
    config = load_config(folder, {})
    bridge = RunningBridge(folder)
    bridge.ledger = await open_ledger(config.bridge.store, folder=folder)
    try:
        observers = Observers(bridge.delivery, bridge.block)
        async with running(config, bridge.ledger, observers, lambda *_: None) as runtime:
            bridge.runtime = runtime
            await runtime.start()
            try:
                yield bridge
            finally:
                await runtime.stop(grace)
    finally:
        await bridge.ledger.close()


async def until_all_is_well(world: SandboxWorld, tenants: Sequence[str], flow: Flow, ledger: Path) -> None:
    """Wait until the oracle is content and nothing more can come. Fails with what is wrong once nothing moves."""
    emptied: int | None = None
    still, seen = 0.0, -1
    while True:
        flow.let_rest()
        listed = [name for name in tenants if world.workspace(name)._listed]
        emptied = None if listed else emptied or now_millis()
        facts = LedgerFacts.read(ledger, live=True)
        wrong = violations(world, facts, flow.expected())
        # Whatever was listed before the outboxes emptied has been taken in by a poll that ended after that.
        if not wrong and emptied is not None and all(facts.polled[name] > emptied for name in tenants):
            return
        seen, still = (flow.reported(), 0.0) if flow.reported() != seen else (seen, still + 0.1)
        assert still < PATIENCE, "\n".join([*wrong[:20], f"listed still: {listed}"])
        await asyncio.sleep(0.1)
