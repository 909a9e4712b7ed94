"""A bridge that is killed again and again, by SIGKILL, while documents flow in and one request in twenty fails.

The processes are real, as are their deaths; ``fork_server.py`` makes them start quickly. The sandboxes live in this
process and keep journals; ``invariants.py`` is the oracle.
"""

import asyncio
import json
import os
import signal
import sys
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bridge.sandbox import SandboxWorld
from connectors.numora.sandbox import OutboxRules
from connectors.sandbox.faults import FaultKind
from tests.reliability.conftest import Counted
from tests.reliability.flow import Flow
from tests.reliability.in_process import PATIENCE, until_all_is_well
from tests.reliability.invariants import LedgerFacts, leaks, secrets_of, violations

ROOT = Path(__file__).parents[2]

KILLS = int(os.environ.get("RELIABILITY_KILLS", "1000"))

TENANTS = ("acme", "bolt")

FAULTS: tuple[tuple[FaultKind, dict[str, Any]], ...] = (
    ("status_before", {}),
    ("status_after", {"status": 500}),
    ("reset_before", {}),
    ("reset_after", {}),
    ("truncated", {}),
    ("html_502", {}),
    ("html_502_after", {}),
    ("hang", {"delay": 0.03}),
    ("hang_after", {"delay": 0.03}),
)

RATE = 0.05 / len(FAULTS)

STARTING = 0.25
"""The share of children that are killed before their first request; the others are killed by what they have sent."""

MOST_REQUESTS = {"warm": 40, "cold": 80}
"""So many requests may a child send before it is killed, by its kind; a cold one logs in and reads the tables first."""

BACKLOG = 40
"""Outcomes that may be outstanding when a child is killed: documents are to be killed on their way, not in a queue."""

BETWEEN = 0.01
"""Seconds within which a kill follows on the request that it was drawn by, so that it falls between requests too."""


class Forks:
    """The process that forks the children, spoken to over its pipes."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self._process = process
        self._log = log

    async def ask(self, **order: Any) -> dict[str, Any]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(json.dumps(order).encode() + b"\n")
        answer: dict[str, Any] = json.loads(await self._process.stdout.readline())
        return answer

    async def fork(self, kind: str) -> int:
        return int((await self.ask(fork=kind, log=str(self._log)))["pid"])

    async def end(self, pid: int, number: signal.Signals) -> int:
        os.kill(pid, number)
        return int((await self.ask(reap=pid))["status"])


class Executioner:
    """Draws how far each child comes by what is seen of its progress, so that on a slow machine it lives longer."""

    def __init__(self, world: SandboxWorld, flow: Flow, random: Random, log: Path) -> None:
        self._sandboxes = (world.numora, world.dataverse, world.entra)
        self._flow = flow
        self._random = random
        self._log = log
        self._start_up = {"warm": 0.05, "cold": 0.1}
        """Seconds that a child of a kind last took to its first request."""

    def requests(self) -> int:
        """Count the requests that were ever sent."""
        return sum(sandbox.requests.total for sandbox in self._sandboxes)

    async def moment(self, kind: str) -> None:
        """Return when the child of this kind that was just forked is to be killed.

        Raises ``AssertionError`` when it comes to a standstill before that.
        """
        if self._random.random() < STARTING:
            await asyncio.sleep(self._random.uniform(0, self._start_up[kind]))
            return
        forked, sent = time.monotonic(), self.requests()
        await self._until(lambda: self.requests() > sent)
        self._start_up[kind] = time.monotonic() - forked
        enough = sent + self._random.randint(1, MOST_REQUESTS[kind])
        await self._until(lambda: self.requests() >= enough and self._flow.outstanding() <= BACKLOG)
        await asyncio.sleep(self._random.uniform(0, BETWEEN))

    async def _until(self, reached: Callable[[], bool]) -> None:
        seen, since = self.requests(), time.monotonic()
        while not reached():
            if self.requests() > seen:
                seen, since = self.requests(), time.monotonic()
            assert time.monotonic() - since < PATIENCE, f"It sends no more requests. {self._log.read_text()[-2000:]}"
            await asyncio.sleep(0.001)  # the sandboxes have no event for it


@asynccontextmanager
async def forks(config: Path, log: Path) -> AsyncIterator[Forks]:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.reliability.fork_server", str(config), stdin=pipe, stdout=pipe, cwd=ROOT
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        assert json.loads(await process.stdout.readline()) == {"ready": True}
        yield Forks(process, log)
    finally:
        process.stdin.close()
        await process.wait()


def ledger_of(config: Path) -> Path:
    return config / "data" / "bridge.db"


@pytest.mark.kill
@pytest.mark.timeout(3600)
async def test_a_thousand_kills_lose_nothing_and_repeat_nothing(lives_folder: Path, counted: Counted) -> None:
    """New, amended, rejected and mended documents of two tenants come through, each once."""
    random = Random(2026)
    outbox = OutboxRules(stale_polls=1)
    async with SandboxWorld(lives_folder / "authority", outbox=outbox, journal_limit=0) as world:
        config = world.write_config(
            lives_folder / "config",
            TENANTS,
            schedule=["0s", *["50ms"] * 30],
            probe="200ms",
            poll_every="100ms",
            poll_limit=20,
        )
        log = lives_folder / "log"
        flow = Flow(world, TENANTS, seed=7)
        async with forks(config, log) as parent:
            for sandbox in (world.numora, world.dataverse, world.entra):
                for kind, more in FAULTS:
                    sandbox.faults.add(kind, rate=RATE, **more)
                sandbox.faults.add("unauthorized", rate=0.001)
            flow.add(20)
            executioner = Executioner(world, flow, random, log)
            for _ in range(KILLS):
                flow.add()
                if random.random() < 0.3:
                    flow.amend_one()
                child = "cold" if random.random() < 0.1 else "warm"
                pid = await parent.fork(child)
                await executioner.moment(child)
                assert await parent.end(pid, signal.SIGKILL) == signal.SIGKILL, log.read_text()[-2000:]
            pid = await parent.fork("cold")
            await until_all_is_well(world, TENANTS, flow, ledger_of(config))
            assert await parent.end(pid, signal.SIGTERM) == 0, log.read_text()[-2000:]
        facts = LedgerFacts.read(ledger_of(config))
        assert violations(world, facts, flow.expected()) == []
        assert leaks(secrets_of(world, TENANTS), ledger_of(config).parent, log) == []
        struck = sum(sandbox.faults.struck() for sandbox in (world.numora, world.dataverse, world.entra))
        assert flow.amended
        assert flow.mended
        counted(
            "SIGKILL",
            kills=KILLS,
            documents=len(flow),
            corrections=flow.amended + flow.mended,
            requests=executioner.requests(),
            faults=struck,
        )
