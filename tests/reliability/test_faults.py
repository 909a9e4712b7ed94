"""Every kind of fault, on every side, for hundreds of documents: each comes through, once.

The bridge runs on the test's own loop, against sandboxes that fail by seeded chance. The oracle is ``invariants.py``,
requests inside a Retry-After window included.
"""

from pathlib import Path
from typing import Any

import pytest

from bridge.sandbox import SandboxWorld
from connectors.numora.sandbox import OutboxRules
from tests.reliability.conftest import Counted
from tests.reliability.flow import Flow
from tests.reliability.in_process import running_bridge, until_all_is_well
from tests.reliability.invariants import LedgerFacts, leaks, secrets_of, violations

pytestmark = [pytest.mark.soak, pytest.mark.timeout(3600)]

TENANTS = ("acme", "bolt")

SCHEDULE = ["0s", *["30ms"] * 40]

ON_THEIR_WAY = 1.5
"""Seconds after a 429 in which a request may still arrive that was sent before the 429 was read."""

FAULTS: dict[str, dict[str, Any]] = {
    "status_before": {"status": 503, "rate": 0.1},
    "status_after": {"status": 500, "rate": 0.1},
    "reset_before": {"rate": 0.1},
    "reset_after": {"rate": 0.1},
    "truncated": {"rate": 0.1},
    "html_502": {"rate": 0.1},
    "html_502_after": {"rate": 0.1},
    "hang": {"rate": 0.1, "delay": 0.05},
    "hang_after": {"rate": 0.1, "delay": 0.05},
    "unauthorized": {"rate": 0.05},
    "throttle": {"rate": 0.05, "times": 4, "retry_after": 2, "grace": ON_THEIR_WAY},
}


def sandboxes(world: SandboxWorld) -> tuple[Any, ...]:
    return world.numora, world.dataverse, world.entra


async def deliver(world: SandboxWorld, folder: Path, flow: Flow, **config: Any) -> None:
    """Deliver what flows, and hold what became of it against the oracle."""
    settings = {"schedule": SCHEDULE, "probe": "50ms", "poll_every": "200ms", **config}
    world.write_config(folder, TENANTS, **settings)
    async with running_bridge(folder) as bridge:
        await until_all_is_well(world, TENANTS, flow, bridge.ledger_file)
    assert violations(world, LedgerFacts.read(folder / "data" / "bridge.db"), flow.expected()) == []
    assert leaks(secrets_of(world, TENANTS), folder / "data") == []


@pytest.mark.parametrize("kind", FAULTS)
async def test_a_fault_in_every_tenth_request_loses_nothing(kind: str, lives_folder: Path, counted: Counted) -> None:
    """Each kind of fault by itself, on Numora, Entra and Dataverse alike."""
    async with SandboxWorld(lives_folder / "authority") as world:
        flow = Flow(world, TENANTS, seed=11)
        flow.add(200)
        for sandbox in sandboxes(world):
            sandbox.faults.add(kind, **FAULTS[kind])
        await deliver(world, lives_folder / "config", flow)
        struck = sum(sandbox.faults.struck() for sandbox in sandboxes(world))
    assert struck
    counted(kind, documents=len(flow), faults=struck)


async def test_all_faults_together_lose_none_of_200_documents(lives_folder: Path, counted: Counted) -> None:
    """Two tenants, one request in ten fails, of every kind in turn, while reviewers go on working."""
    async with SandboxWorld(lives_folder / "authority", outbox=OutboxRules(stale_polls=1)) as world:
        flow = Flow(world, TENANTS, seed=12)
        flow.add(150)
        for sandbox in sandboxes(world):
            for kind, parameters in FAULTS.items():
                sandbox.faults.add(kind, **{**parameters, "rate": 0.01})
        config = world.write_config(
            lives_folder / "config", TENANTS, schedule=SCHEDULE, probe="50ms", poll_every="200ms"
        )
        async with running_bridge(config) as bridge:
            for _ in range(50):
                flow.add()
                before = len(bridge.moved)
                await bridge.until_moved(before)
                flow.amend_one()
            await until_all_is_well(world, TENANTS, flow, bridge.ledger_file)
        assert violations(world, LedgerFacts.read(config / "data" / "bridge.db"), flow.expected()) == []
        assert leaks(secrets_of(world, TENANTS), config / "data") == []
        struck = {kind: sum(one.faults.struck(kind) for one in sandboxes(world)) for kind in FAULTS}
    assert flow.amended
    assert flow.mended
    assert all(struck.values()), struck
    counted(
        "all faults together",
        documents=len(flow),
        corrections=flow.amended + flow.mended,
        faults=sum(struck.values()),
    )


@pytest.mark.parametrize(
    ("rules", "what"),
    [
        (OutboxRules(cursor_age=0.01, cursor_refusal=410), "old cursors are refused"),
        (OutboxRules(cursor_uses=0, cursor_refusal=400, cursor_place="top"), "every cursor is refused"),
        (OutboxRules(cursor_refusal=422, cursor_uses=1, cursor_place="both", stale_polls=2), "cursors are good once"),
    ],
    ids=lambda one: one if isinstance(one, str) else "",
)
async def test_a_thousand_documents_come_in_by_small_pages_with_cursors_that_expire(
    rules: OutboxRules, what: str, lives_folder: Path, counted: Counted
) -> None:
    """However a cursor is refused, the window is read again from its start, and nobody is left out."""
    async with SandboxWorld(lives_folder / "authority", outbox=rules, journal_limit=0) as world:
        flow = Flow(world, TENANTS, seed=13)
        flow.add(1000)
        await deliver(world, lives_folder / "config", flow, poll_limit=20)
        counted(what, documents=len(flow), requests=world.numora.requests.total)
