"""How soon the bridge answers, how little it uses when idle, and how much memory it takes beside a large ledger."""

import asyncio
import statistics
import time
from pathlib import Path

from bench.process import Bridge, Talking, cpu_seconds, peak_memory_mib
from bench.throughput import free_port
from bridge.delivery.model import Delivery, Millis, State, Trigger
from bridge.ids import new_delivery_id, now_millis
from bridge.ledger.open import open_sqlite
from bridge.ledger.protocol import ClaimFilter, Ledger, Save
from connectors.ports import Listing

STARTS = 5
IDLE_TENANTS = 100
IDLE_SECONDS = 30.0
DELIVERIES = 100_000
CHUNK = 500
DOCUMENTS = 500


def show_footprint() -> None:
    """Measure and print."""
    print(f"from the start of the process to /healthz: {seconds_to_liveness():.2f} s (median of {STARTS})", flush=True)
    idle = idle_share()
    print(f"idle with {IDLE_TENANTS} tenants: {idle:.2%} of a core, over {IDLE_SECONDS:.0f} s", flush=True)
    memory = memory_with_ledger()
    print(
        f"peak resident memory with {DELIVERIES:,} deliveries in the ledger, delivering {DOCUMENTS}: {memory:.0f} MiB"
    )


def seconds_to_liveness() -> float:
    """Return the median time until ``/healthz`` answers."""
    seconds = []
    for _ in range(STARTS):
        world, addresses, port = open_world(tenants=1)
        bridge = Bridge(Path(addresses["config"]), addresses["bridge_key"], port)
        try:
            seconds.append(bridge.wait_for("/healthz"))
        finally:
            bridge.end()
            world.end()
    return statistics.median(seconds)


def idle_share() -> float:
    """Return the share of a core that the bridge uses when none of its tenants has anything to deliver."""
    world, addresses, port = open_world(tenants=IDLE_TENANTS)
    bridge = Bridge(Path(addresses["config"]), addresses["bridge_key"], port)
    try:
        bridge.wait_for("/readyz")
        time.sleep(10)  # the polls of the start, and the checks of the mappings
        before = cpu_seconds(bridge.pid)
        time.sleep(IDLE_SECONDS)
        return (cpu_seconds(bridge.pid) - before) / IDLE_SECONDS
    finally:
        bridge.end()
        world.end()


def memory_with_ledger() -> float:
    """Return the peak of resident memory, in MiB, of a bridge that delivers beside a large ledger."""
    world, addresses, port = open_world(tenants=1)
    config = Path(addresses["config"])
    asyncio.run(fill(config / "data" / "bridge.db", addresses["tenant"]))
    bridge = Bridge(config, addresses["bridge_key"], port)
    try:
        bridge.wait_for("/readyz")
        world.say(str(DOCUMENTS))
        world.hear()
        bridge.call("POST", f"/v1/tenants/{addresses['tenant']}/poll")
        world.hear()
        bridge.call("GET", f"/v1/tenants/{addresses['tenant']}/deliveries?limit=200")
        bridge.call("GET", "/v1/tenants")
        return peak_memory_mib(bridge.pid)
    finally:
        bridge.end()
        world.end()


async def fill(path: Path, tenant: str) -> None:
    """Put so many ended deliveries into a ledger."""
    ledger = await open_sqlite(path, durable=False)
    try:
        for begin in range(0, DELIVERIES, CHUNK):
            await add_ended(ledger, tenant, range(begin, begin + CHUNK))
    finally:
        await ledger.close()


async def add_ended(ledger: Ledger, tenant: str, numbers: range) -> None:
    """Take documents in and end their deliveries."""
    now = now_millis()
    listings = [
        Listing(f"old-{number:08d}", schema="invoice_v2", updated_at="2026-03-21T14:24:11Z") for number in numbers
    ]
    await ledger.intake(tenant, listings, Trigger.OUTBOX, now, new_id=new_delivery_id)
    claimed = await ledger.claim(tenant, now, limit=len(numbers), lease_until=now + 60_000, only=ClaimFilter())
    await asyncio.gather(*(ledger.save(Save(ended(delivery, now))) for delivery in claimed))


def ended(delivery: Delivery, now: Millis) -> Delivery:
    """Return the delivery as it would have ended."""
    return delivery.evolve(
        state=State.SUCCEEDED,
        step=None,
        due_at=None,
        lease_until=None,
        attempts=1,
        revision="0" * 64,
        record_id="6c8cf4b5-a241-5dee-869b-058fb1aadab2",
        operation="created",
        may_exist=True,
        execution_id=f"nb-{delivery.document_id}-1",
        callback=b'{"provider":"dynamics365","status":"succeeded"}',
        outcome=State.SUCCEEDED,
        ended_at=now,
    )


def open_world(tenants: int) -> tuple[Talking, dict[str, str], int]:
    """Start the sandboxes; return them, their addresses, and the port that the bridge is to listen on."""
    port = free_port()
    world = Talking("bench.world", "--tenants", str(tenants), "--bridge-port", str(port))
    return world, world.hear(), port
