"""Everything that goes out to subscribers, as one part of the process: who listens, what is told, how it is sent."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

from bridge.config.loaded import LoadedConfig, Tenant
from bridge.delivery.model import Millis
from bridge.delivery.retry import RetrySchedule
from bridge.events.announcing import Announcer, block_event
from bridge.events.endpoints import EndpointMaker
from bridge.events.model import Endpoint, Event
from bridge.events.sender import MessageSender, SenderPolicy, SendObserver
from bridge.events.subscriptions import Subscriptions
from bridge.ledger.protocol import Ledger, LedgerError
from bridge.pipeline.gates import Block
from bridge.sealing import Sealer
from connectors.egress import GuardedSessions

log = logging.getLogger(__name__)

_LAST_WORDS: Final = 2.0
"""Seconds that events which are just being stored have at the end."""


@dataclass(frozen=True, slots=True)
class OutboundPolicy:
    """What decides about time and chance. ``clock`` gives milliseconds since the epoch."""

    clock: Callable[[], Millis]
    rng: Random


class Outbound:
    """Events out. ``take_up`` follows the configuration, ``start`` begins to send, ``stop`` ends it.

    ``announcer`` makes the events of deliveries, ``subscriptions`` are the use cases of the API.
    """

    def __init__(
        self,
        config: LoadedConfig,
        ledger: Ledger,
        sealer: Sealer,
        sessions: GuardedSessions,
        policy: OutboundPolicy,
        observe: SendObserver,
    ) -> None:
        self._config = config
        self._ledger = ledger
        self._sessions = sessions
        self._clock = policy.clock
        self._telling: set[asyncio.Task[None]] = set()
        self._maker = EndpointMaker(sealer, sessions, policy.clock)
        schedule = RetrySchedule.of(config.bridge.retry.schedule)
        self.sender = MessageSender(
            ledger, self._maker, sessions, SenderPolicy(policy.clock, policy.rng, schedule), observe
        )
        self.announcer = Announcer(ledger, self.sender.wake)
        self.subscriptions = Subscriptions(ledger, self._maker, self.announcer, policy.clock)

    async def take_up(self) -> None:
        """Store the endpoints of the configuration, and learn who listens."""
        for tenant in self._config.tenants.values():
            await self._sync(tenant)
        await self.announcer.learn(self._config.tenants)

    def start(self) -> None:
        """Begin to send."""
        self.sender.start()

    async def stop(self, grace: float) -> None:
        """Store what is being told, and end sending within ``grace`` seconds; the rest is sent by the next process."""
        if self._telling:
            await asyncio.wait(self._telling, timeout=min(grace, _LAST_WORDS))
        await self.sender.stop(grace)

    async def reconfigure(self, config: LoadedConfig) -> None:
        """Follow a newer configuration: its endpoints, its schedule, and whom it allows to be reached."""
        previous, self._config = self._config, config
        self._sessions.allow(config.bridge.allow_hosts)
        self.sender.schedule = RetrySchedule.of(config.bridge.retry.schedule)
        for tenant_id in previous.tenants.keys() - config.tenants.keys():
            await self._ledger.sync_endpoints(tenant_id, (), self._clock())
        for tenant in config.tenants.values():
            await self._sync(tenant)
        await self.announcer.learn(config.tenants)
        self.sender.wake()

    def resume_endpoint(self, tenant: str, document_id: str, url: str, api_key: str) -> Endpoint:
        """Return the endpoint of a caller's ``resume_url``, for ``Ledger.deliver_now``.

        It is signed with the secrets of the tenant's first configured endpoint that has any, else with the caller's own
        ``api_key``. Raises ``EndpointRefusedError``.
        """
        known = self._config.tenants.get(tenant)
        signing = [api_key]
        for event in known.config.events if known is not None else ():
            if event.secret:
                signing = [secret.get_secret_value() for secret in event.secret]
                break
        endpoint = self._maker.resuming(tenant, document_id, url, signing)
        self.announcer.expect_resume(tenant)
        return endpoint

    def blocked(self, tenant: str, block: Block, *, begins: bool) -> None:
        """Tell the tenant's subscribers that a side is blocked, or open again. Returns at once."""
        if not self.announcer.listens(tenant):
            return
        event = block_event(tenant, block, self._clock(), begins=begins)
        task = asyncio.get_running_loop().create_task(self._announce(tenant, event), name=f"tell of {tenant}")
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _announce(self, tenant: str, event: Event) -> None:
        try:
            if await self._ledger.announce(tenant, event, self._clock()):
                self.announcer.told()
        except LedgerError as error:
            log.error("tenant %s: nobody was told of %s: %s", tenant, event.type, error)  # noqa: TRY400

    async def _sync(self, tenant: Tenant) -> None:
        endpoints = [self._maker.configured(tenant.id, event) for event in tenant.config.events]
        unique = {endpoint.digest: endpoint for endpoint in reversed(endpoints)}
        await self._ledger.sync_endpoints(tenant.id, tuple(unique.values()), self._clock())
