"""The other side of a measurement, in a process of its own: the sandboxes, with invoices waiting.

Prints one line of JSON with its addresses. Then each number on standard input puts so many invoices into the outbox
and is answered with a line, and once every one of them was reported back with another. Ends with its standard input.
"""

import argparse
import asyncio
import sys
import tempfile
from pathlib import Path

import msgspec
import uvloop

from bridge.sandbox import ENTRA_TENANT, OPERATOR_KEY, SandboxTenant, SandboxWorld
from connectors.numora.sandbox.samples import sample_invoices

LINES = 3


def tell(what: object) -> None:
    """Print one line of JSON."""
    sys.stdout.write(msgspec.json.encode(what).decode() + "\n")
    sys.stdout.flush()


async def follow(world: SandboxWorld, tenant: SandboxTenant) -> None:
    """Put invoices in as told by standard input, and tell when they were all reported back."""
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    workspace = world.workspace(tenant.id)
    seed = 0
    while line := await reader.readline():
        seed += 1
        reported = len(workspace.callbacks)
        world.numora.add(*sample_invoices(int(line), seed=seed, lines=LINES), key=tenant.numora_key)
        tell({"waiting": int(line)})
        while len(workspace.callbacks) < reported + int(line):
            await asyncio.sleep(0.002)
        throttled = world.dataverse.protection.refused
        tell({"reported": int(line), "throttled": throttled, "rows": len(world.dataverse.store.rows["numora_invoice"])})


async def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--numora-latency", type=float, default=0.0)
    parser.add_argument("--dataverse-latency", type=float, default=0.0)
    parser.add_argument("--concurrency", type=int, default=16)
    parser.add_argument("--tenants", type=int, default=1)
    parser.add_argument("--bridge-port", type=int, required=True)
    options = parser.parse_args()
    tenants = tuple(f"tenant{number:03d}" for number in range(options.tenants))
    with tempfile.TemporaryDirectory(prefix="bench-") as name:
        folder = Path(name)
        async with SandboxWorld(folder / "authority") as world:
            world.numora.latency = options.numora_latency
            world.dataverse.latency = options.dataverse_latency
            config = world.write_config(
                folder / "config",
                tenants,
                listen_port=options.bridge_port,
                concurrency=options.concurrency,
                poll_every="1h",
                log_level="warning",
            )
            tenant = world.tenant(tenants[0])
            tell(
                {
                    "config": str(config),
                    "tenant": tenant.id,
                    "numora": world.numora.url,
                    "numora_key": tenant.numora_key,
                    "dataverse": world.dataverse.url,
                    "dataverse_token": world.entra.issue(ENTRA_TENANT, tenant.client_id, world.dataverse.url),
                    "bridge_key": OPERATOR_KEY,
                }
            )
            await follow(world, tenant)


if __name__ == "__main__":
    uvloop.run(main())
