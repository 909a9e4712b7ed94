"""How fast the SQLite ledger stores steps, and how fast it answers, printed as plain figures.

    python bench/ledger.py [FOLDER]

FOLDER is where the ledger is made, by default a temporary one; try /dev/shm to leave the disk out.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from resource import RUSAGE_SELF, getrusage

from bridge.delivery.model import Delivery, DeliveryFilter, RequestRecord, State, Step, Trigger
from bridge.ledger.open import open_ledger
from bridge.ledger.protocol import ClaimFilter, Ledger, Save
from connectors.ports import Listing

CALLERS = 16
SAVES = 2_000
ROWS = 100_000
LEASE = 10**12


async def main() -> None:
    """Measure saves, then fill the ledger and measure what is asked of it all the time."""
    with tempfile.TemporaryDirectory(dir=sys.argv[1] if len(sys.argv) > 1 else None) as folder:
        ledger = await open_ledger("sqlite:///bridge.db", folder=Path(folder))
        try:
            await _saves(ledger)
            await _full(ledger)
        finally:
            await ledger.close()
        started = time.perf_counter()
        ledger = await open_ledger("sqlite:///bridge.db", folder=Path(folder))
        print(f"open with {ROWS} deliveries: {(time.perf_counter() - started) * 1000:.1f} ms")
        await ledger.close()


async def _saves(ledger: Ledger) -> None:
    numbers = count()
    listings = [
        Listing(f"doc-{n}", "invoice_v2", "approved", metadata={"file_url": "/files/1"}) for n in range(CALLERS)
    ]
    await ledger.intake("acme", listings, Trigger.OUTBOX, 1, new_id=lambda: f"dlv_{next(numbers):032d}")
    claimed = await ledger.claim("acme", 1, limit=CALLERS, lease_until=LEASE, only=ClaimFilter())

    async def caller(delivery: Delivery) -> None:
        delivery = delivery.evolve(
            step=Step.WRITE,
            may_exist=True,
            revision="a" * 64,
            line_ids=frozenset({"line-1", "line-2"}),
            callback=b'{"status": "succeeded"}' * 10,
        )
        sent = _request(delivery, 0)
        await ledger.save(Save(delivery, [sent]))
        for number in range(1, SAVES + 1):
            answered, sent = sent.evolve(status=204, elapsed_ms=12), _request(delivery, number)
            await ledger.save(Save(delivery.evolve(updated_at=number), [answered, sent]))

    cpu, started = _cpu(), time.perf_counter()
    await asyncio.gather(*map(caller, claimed))
    elapsed, total = time.perf_counter() - started, SAVES * CALLERS
    print(f"save, {CALLERS} callers: {total / elapsed:,.0f}/s, {(_cpu() - cpu) / total * 1e6:.1f} us of processor each")


def _request(delivery: Delivery, number: int) -> RequestRecord:
    url = "https://acme.crm4.dynamics.example/api/data/v9.2/numora_invoices"
    return RequestRecord(f"req-{number:028d}", delivery.id, 1, "dataverse", "create row", "POST", url, 1)


async def _full(ledger: Ledger) -> None:
    numbers = count()
    started = time.perf_counter()
    for first in range(0, ROWS, 500):
        page = [Listing(f"full-{n}", "invoice_v2", "approved") for n in range(first, first + 500)]
        await ledger.intake("full", page, Trigger.OUTBOX, 1, new_id=lambda: f"dlv_full_{next(numbers):028d}")
    print(f"intake of {ROWS} documents: {(time.perf_counter() - started) / ROWS * 1e6:.1f} us each")

    only = ClaimFilter(except_schemas=frozenset({"receipt_v1"}))
    failed = DeliveryFilter("full", states=frozenset({State.FAILED}))
    await _timed("claim of 8", lambda: ledger.claim("full", 2, limit=8, lease_until=LEASE, only=only))
    await _timed(
        "claim of another step",
        lambda: ledger.claim("full", 2, limit=8, lease_until=LEASE, only=ClaimFilter(frozenset({Step.REPORT}))),
    )
    await _timed("next_due", lambda: ledger.next_due("full", 2))
    await _timed("page of 100", lambda: ledger.deliveries(DeliveryFilter("full"), limit=100))
    await _timed("page of failed", lambda: ledger.deliveries(failed, limit=100))
    await _timed("counts", lambda: ledger.counts("full"))
    await _timed("recheck", lambda: ledger.recheck("full", 2, schema="invoice_v2", mapping_digest="d"))
    await _timed("prune", lambda: ledger.prune(deliveries_before=0, requests_before=0))
    await _timed("ping", ledger.ping)
    print(f"peak memory: {getrusage(RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


async def _timed(name: str, ask: Callable[[], Awaitable[object]]) -> None:
    times = []
    for _ in range(20):
        started = time.perf_counter()
        await ask()
        times.append(time.perf_counter() - started)
    print(f"{name} of {ROWS}: {sorted(times)[10] * 1000:.2f} ms")


def _cpu() -> float:
    usage = getrusage(RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


asyncio.run(main())
