"""The service as a process, which answers for its life before it has loaded the rest of itself."""

import asyncio
import signal
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path

from bridge.config.load import load_config
from bridge.http.server import HttpServer
from bridge.metrics import Metrics


async def serve(
    path: Path,
    environ: Mapping[str, str],
    *,
    stopped: asyncio.Event | None = None,
    ready: Callable[[str], None] | None = None,
) -> None:
    """Run the service until SIGTERM or SIGINT, or until ``stopped`` is set by whoever gives it.

    ``ready`` is called with the address once everything has started.
    Raises ``FindingsError`` for a configuration that cannot be taken, ``LedgerError`` for a ledger that cannot,
    ``OSError`` for an address that cannot be listened on.
    """
    config = load_config(path, environ)
    stopped = stopped or _stop_signal()
    # Until files are watched there is nothing to reload, but a SIGHUP must not end the process either.
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, lambda: None)
    metrics = Metrics()
    server = HttpServer(config.bridge.listen.host, config.bridge.listen.port, metrics)
    await server.start()
    try:
        # Imported only now, and beside the loop, so that /healthz answers meanwhile.
        serving = (await asyncio.to_thread(import_module, "bridge.serving")).serving
        async with serving(config, path, environ, server, metrics):
            if ready is not None:
                ready(server.url)
            await stopped.wait()
    finally:
        await server.stop()


def _stop_signal() -> asyncio.Event:
    """Return an event that a SIGTERM or SIGINT sets."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    return stopped
