"""A process that has everything imported, and forks bridges that are to be killed.

Reads one JSON object a line from standard input and answers each with one: ``{"fork": "cold" | "warm", "log": path}``
is answered with ``{"pid": …}``, ``{"reap": pid}`` with ``{"status": …}`` once that child has ended.

A *cold* child is the service itself, from reading its configuration on. A *warm* one begins with the configuration, an
access token and the tables' definitions, as this process got them, so that it is at work within milliseconds and a kill
strikes the work; everything else in it is as in the service, the threads of its ledger included.
"""

import asyncio
import os
import signal
import sys
from functools import lru_cache
from pathlib import Path
from typing import Any

import msal  # noqa: F401 - so that no child has to import it
import msgspec

from bridge import runtime
from bridge.app import serve
from bridge.config.load import load_config
from bridge.config.loaded import LoadedConfig, Tenant
from bridge.ledger.open import open_ledger
from bridge.log import configure, redaction
from bridge.runtime import Observers
from bridge.serving import connections, running
from bridge.wiring import build_destination
from connectors import http
from connectors.building import Surroundings

Warmth = dict[str, tuple[str, float, dict[Any, Any], dict[Any, Any]]]
"""For each tenant: an access token, when it expires, the tables, and which columns' limits are known."""


async def warm_up(config: LoadedConfig) -> Warmth:
    """Log in and read the tables once, for every warm child."""
    warmth: Warmth = {}
    async with connections(config, _unobserved) as surroundings:
        for tenant in config.tenants.values():
            destination: Any = build_destination(tenant, surroundings)
            for mapping in tenant.mappings.values():
                await destination.check(mapping)
            for name in ("account", "numora_invoiceline"):
                table = await destination._catalog.table(name)
                await destination._catalog.settled(name, list(table.attributes))
            tokens, catalog = destination._client._tokens._lease.value, destination._catalog
            warmth[tenant.id] = (tokens._token, tokens._expires_at, dict(catalog._entries), dict(catalog._settled))
            await destination.close()
    return warmth


def inherit(warmth: Warmth) -> None:
    """Have destinations begin with what is known."""

    def build(tenant: Tenant, surroundings: Surroundings) -> Any:
        destination: Any = build_destination(tenant, surroundings)
        tokens, catalog = destination._client._tokens._lease.value, destination._catalog
        tokens._token, tokens._expires_at, entries, settled = warmth[tenant.id]
        tokens._refresh_from = tokens._expires_at
        catalog._entries, catalog._settled = dict(entries), dict(settled)
        return destination

    runtime.build_destination = build  # type: ignore[attr-defined]


async def work(config: LoadedConfig) -> None:
    """Be a bridge without its HTTP side until a SIGTERM."""
    configure(config.bridge.log.format, config.bridge.log.level)
    redaction.learn(config.secrets())
    stopped = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopped.set)
    ledger = await open_ledger(config.bridge.store, folder=config.folder)
    try:
        async with running(config, ledger, Observers(_unobserved, _unobserved), _unobserved) as bridge:
            await bridge.start()
            await stopped.wait()
            await bridge.stop(8.0)
    finally:
        await ledger.close()


def _unobserved(*_: object) -> None:
    """Nobody watches."""


def child(kind: str, log: str, path: Path, config: LoadedConfig, warmth: Warmth) -> None:
    """Be a bridge; does not return."""
    status = 1
    try:
        sys.stdin.close()
        descriptor = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        os.dup2(descriptor, sys.stderr.fileno())
        os.dup2(descriptor, sys.stdout.fileno())
        if kind == "cold":
            asyncio.run(serve(path, os.environ))
        else:
            inherit(warmth)
            asyncio.run(work(config))
        status = 0
    finally:
        os._exit(status)


def main() -> None:
    """Fork children until standard input ends."""
    path = Path(sys.argv[1])
    http.tls_context = lru_cache(maxsize=None)(http.tls_context)
    config = load_config(path, os.environ)
    warmth = asyncio.run(warm_up(config))
    tell({"ready": True})
    for line in sys.stdin:
        order = msgspec.json.decode(line)
        if "reap" in order:
            _, status = os.waitpid(order["reap"], 0)
            tell({"status": status})
            continue
        pid = os.fork()
        if pid == 0:
            child(order["fork"], order["log"], path, config, warmth)
        tell({"pid": pid})


def tell(what: object) -> None:
    """Answer with one line."""
    sys.stdout.write(msgspec.json.encode(what).decode() + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
