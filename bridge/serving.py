"""The service behind the HTTP server: what is started in which order, and what is let go of at the end."""

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random

from bridge.config.loaded import LoadedConfig
from bridge.config.watch import ConfigWatcher, OnChange
from bridge.delivery.retry import RetrySchedule
from bridge.events.outbound import Outbound, OutboundPolicy
from bridge.http.keys import keys_of
from bridge.http.server import HttpServer
from bridge.http.use_cases import use_cases
from bridge.ids import new_delivery_id, now_millis
from bridge.ledger.open import open_ledger
from bridge.ledger.protocol import Ledger
from bridge.log import configure, redaction
from bridge.metrics import Metrics
from bridge.pauses import kept_pauses
from bridge.pipeline.policy import RunnerPolicy
from bridge.runtime import Observers, Runtime
from bridge.schedule.retention import Retention
from bridge.sealing import Sealer
from connectors.building import Surroundings
from connectors.egress import GuardedSessions
from connectors.files import FileFetcher
from connectors.http import Observer, close_session, open_session
from connectors.pacing import Paces
from mappings.findings import Finding

log = logging.getLogger(__name__)

STOP_GRACE = 7.0
"""Seconds that deliveries on their way have to end after a SIGTERM; what remains of ten seconds is for letting go."""


def runner_policy(config: LoadedConfig) -> RunnerPolicy:
    """Return what decides about time and chance in a real process."""
    return RunnerPolicy(now_millis, new_delivery_id, Random(), RetrySchedule.of(config.bridge.retry.schedule))


@asynccontextmanager
async def running(
    config: LoadedConfig,
    ledger: Ledger,
    observers: Observers,
    observe_request: Observer,
    *,
    sealer: Sealer | None = None,
) -> AsyncIterator[Runtime]:
    """Put the tenants together on an open ledger; nothing is started. Closes the connections at the end.

    Without a ``sealer`` the ledger's endpoints are sealed with a key that is gone with this process.
    """
    policy = runner_policy(config)
    async with (
        kept_pauses(ledger, policy.clock) as pauses,
        guarded_sessions(config) as guarded,
        connections(config, observe_request, guarded, Paces(pauses)) as surroundings,
    ):
        outbound = Outbound(
            config,
            ledger,
            sealer or Sealer.passing(),
            guarded,
            OutboundPolicy(policy.clock, policy.rng),
            observers.message,
        )
        yield Runtime(config, ledger, surroundings, policy, observers, outbound)


@asynccontextmanager
async def connections(
    config: LoadedConfig,
    observe_request: Observer,
    guarded: GuardedSessions | None = None,
    paces: Paces | None = None,
) -> AsyncIterator[Surroundings]:
    """Open what every connector of a process shares, and close it at the end.

    ``guarded`` is the way to addresses that others named; one of its own is opened when none is given. ``paces`` are
    those of a process that remembers the pauses of the one before; without them nothing is remembered.
    """
    async with AsyncExitStack() as stack:
        session = open_session(config.ca_path)
        stack.push_async_callback(close_session, session)
        if guarded is None:
            guarded = await stack.enter_async_context(guarded_sessions(config))
        yield Surroundings(session, paces or Paces(), config.ca_path, observe_request, FileFetcher(guarded))


@asynccontextmanager
async def guarded_sessions(config: LoadedConfig) -> AsyncIterator[GuardedSessions]:
    """Open the way to addresses that others named, and close it at the end."""
    guarded = GuardedSessions(config.bridge.allow_hosts, config.ca_path)
    try:
        yield guarded
    finally:
        await guarded.close()


@asynccontextmanager
async def serving(
    config: LoadedConfig, path: Path, environ: Mapping[str, str], server: HttpServer, metrics: Metrics
) -> AsyncIterator[Runtime]:
    """Start everything behind the server, and end it in turn: what is on its way first, the ledger last.

    Raises ``LedgerError`` for a ledger that cannot be used.
    """
    configure(config.bridge.log.format, config.bridge.log.level)
    redaction.learn(config.secrets())
    for warning in config.warnings:
        log.warning("configuration: %s", warning)
    async with AsyncExitStack() as stack:
        ledger = await open_ledger(config.bridge.store, folder=config.folder)
        stack.push_async_callback(ledger.close)
        observers = Observers(metrics.delivery_moved_on, metrics.blocked, metrics.message_tried, metrics.hook_taken)
        sealer = Sealer.beside(config.ledger_path)
        runtime = await stack.enter_async_context(
            running(config, ledger, observers, metrics.observe_request, sealer=sealer)
        )
        server.attach(use_cases(runtime, ledger), keys_of(config), opened=False)
        await runtime.start()
        server.open()
        stack.push_async_callback(runtime.stop, STOP_GRACE)
        retention = Retention(ledger, now_millis, lambda: runtime.config.bridge.retention)
        retention.start()
        stack.push_async_callback(retention.stop)
        watcher = ConfigWatcher(config, path, environ, _following(runtime, server))
        watcher.start()
        stack.push_async_callback(watcher.close)
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, watcher.trigger)
        log.info("numora-bridge serves %d tenants at %s", len(runtime.lines), server.url)
        yield runtime
        log.info("numora-bridge stops; deliveries on their way have %.0f s to end", STOP_GRACE)
        server.detach()


def _following(runtime: Runtime, server: HttpServer) -> OnChange:
    """Return what brings runtime and server in step with a newer configuration."""

    async def follow(newer: LoadedConfig, findings: tuple[Finding, ...]) -> None:
        redaction.learn(newer.secrets())
        await runtime.reconfigure(newer, findings)
        server.set_keys(keys_of(newer))

    return follow
