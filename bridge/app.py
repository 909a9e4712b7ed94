"""The service as a process: what is started in which order, what stops it, and what is let go of at the end."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path
from random import Random

from bridge.config.load import load_config
from bridge.config.loaded import LoadedConfig
from bridge.config.watch import ConfigWatcher
from bridge.delivery.retry import RetrySchedule
from bridge.http.keys import keys_of
from bridge.http.server import HttpServer
from bridge.ids import new_delivery_id, now_millis
from bridge.ledger.open import open_ledger
from bridge.ledger.protocol import Ledger
from bridge.log import configure, redaction
from bridge.metrics import Metrics
from bridge.pipeline.runner import RunnerPolicy
from bridge.runtime import Observers, Runtime
from bridge.schedule.retention import Retention
from bridge.service import Service
from connectors.building import Surroundings
from connectors.http import close_session, open_session
from connectors.pacing import Paces
from mappings.findings import Finding

log = logging.getLogger(__name__)

STOP_GRACE = 8.0
"""Seconds that deliveries on their way have to end after a SIGTERM; what remains of ten seconds is for letting go."""


def runner_policy(config: LoadedConfig) -> RunnerPolicy:
    """Return what decides about time and chance in a real process."""
    return RunnerPolicy(now_millis, new_delivery_id, Random(), RetrySchedule.of(config.bridge.retry.schedule))


@asynccontextmanager
async def running(config: LoadedConfig, ledger: Ledger, metrics: Metrics) -> AsyncIterator[Runtime]:
    """Put the tenants together on an open ledger; nothing is started. Closes the connections at the end."""
    session = open_session(config.ca_path)
    try:
        surroundings = Surroundings(session, Paces(), config.ca_path, metrics.observe_request)
        observers = Observers(metrics.delivery_moved_on, metrics.blocked)
        yield Runtime(config, ledger, surroundings, runner_policy(config), observers)
    finally:
        await close_session(session)


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
    configure(config.bridge.log.format, config.bridge.log.level)
    redaction.learn(config.secrets())
    for warning in config.warnings:
        log.warning("configuration: %s", warning)
    stopped = stopped or _stop_signal()
    async with AsyncExitStack() as stack:
        metrics = Metrics()
        server = HttpServer(config.bridge.listen.host, config.bridge.listen.port, metrics)
        await server.start()
        stack.push_async_callback(server.stop)
        ledger = await open_ledger(config.bridge.store, folder=config.folder)
        stack.push_async_callback(ledger.close)
        runtime = await stack.enter_async_context(running(config, ledger, metrics))
        server.attach(Service(runtime, ledger), keys_of(config))
        await runtime.start()
        stack.push_async_callback(runtime.stop, STOP_GRACE)
        retention = Retention(ledger, now_millis, lambda: runtime.config.bridge.retention)
        retention.start()
        stack.push_async_callback(retention.stop)

        async def reconfigure(newer: LoadedConfig, findings: tuple[Finding, ...]) -> None:
            redaction.learn(newer.secrets())
            await runtime.reconfigure(newer, findings)
            server.set_keys(keys_of(newer))

        watcher = ConfigWatcher(config, path, environ, reconfigure)
        watcher.start()
        stack.push_async_callback(watcher.close)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, watcher.trigger)
        log.info("numora-bridge serves %d tenants at %s", len(runtime.lines), server.url)
        if ready is not None:
            ready(server.url)
        await stopped.wait()
        log.info("numora-bridge stops; deliveries on their way have %s to end", timedelta(seconds=STOP_GRACE))
        server.detach()


def _stop_signal() -> asyncio.Event:
    """Return an event that a SIGTERM or SIGINT sets."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    return stopped
