"""Subscriptions: what a caller of the API may do with those who listen to a tenant."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import msgspec

from bridge.delivery.model import Millis
from bridge.events.announcing import TRIAL, Announcer, trial_event
from bridge.events.codes import CONFIGURED_SUBSCRIPTION, ENDPOINT_UNREADABLE, TOO_MANY_SUBSCRIPTIONS
from bridge.events.endpoints import (
    EVERYTHING,
    EndpointMaker,
    EndpointRefusedError,
    OpenEndpoint,
    SigningSecret,
    check_secret,
    new_secret,
    rotated,
)
from bridge.events.model import Endpoint, EndpointState, Origin
from bridge.ledger.protocol import MAX_PAGE, Ledger
from bridge.log import redaction
from bridge.sealing import UnsealableError

MOST_SUBSCRIPTIONS: Final = 200
"""Subscriptions that one tenant may have by the API."""

_NEWEST = 200


class SubscriptionNotFoundError(Exception):
    """The tenant has no such subscription."""


class SubscriptionView(msgspec.Struct, frozen=True, kw_only=True):
    """A subscription as its tenant sees it.

    ``url`` is whole for one of origin ``api``; of one from the tenant's file, and of one that cannot be unsealed, it is
    shown without its query. ``secret`` is set only when the bridge has just made it. ``error`` is
    ``endpoint_unreadable`` when nothing can be sent until the same URL is subscribed again.
    """

    id: str
    url: str
    types: tuple[str, ...]
    state: EndpointState
    origin: Origin
    failing_since: Millis | None
    created_at: Millis
    updated_at: Millis
    error: str | None = None
    secret: str | None = None


class SubscriptionPage(msgspec.Struct, frozen=True):
    """Newest first; ``next_cursor`` is opaque and None on the last page."""

    subscriptions: tuple[SubscriptionView, ...]
    next_cursor: str | None


class Subscriptions:
    """The use cases. Every method takes the tenant that the caller may act for."""

    def __init__(self, ledger: Ledger, maker: EndpointMaker, announcer: Announcer, clock: Callable[[], Millis]) -> None:
        self._ledger = ledger
        self._maker = maker
        self._announcer = announcer
        self._clock = clock
        self._changing = asyncio.Lock()

    async def page(self, tenant: str, *, limit: int, cursor: str | None = None) -> SubscriptionPage:
        """Return subscriptions, newest first. Raises ``ValueError`` for a cursor that was never given out."""
        page = await self._ledger.endpoints(tenant, limit=limit, cursor=cursor)
        return SubscriptionPage(tuple(self._view(endpoint) for endpoint in page.endpoints), page.next_cursor)

    async def create(
        self, tenant: str, url: str, types: Sequence[str] | None = None, secret: str | None = None
    ) -> tuple[SubscriptionView, bool]:
        """Subscribe a URL; tell whether that is new. The same URL again is the same subscription.

        For a known one, what is not given stays as it is; another secret signs from now on, and the one before it goes
        on for a day. Raises ``EndpointRefusedError``.
        """
        if secret is not None:
            check_secret(secret)
        wanted = self._maker.subscribed(tenant, url, types or EVERYTHING)
        async with self._changing:
            known = await self._known(tenant, wanted.digest)
            made = None
            opened = None if known is None else self._opened(known)
            signing = () if opened is None else opened.secrets
            if secret is not None:
                signing = rotated(signing, secret, self._clock())
            elif not signing:
                made = new_secret()
                signing = (SigningSecret(made),)
            redaction.learn(one.value for one in signing)
            kept = known.types if known is not None and types is None else tuple(types or EVERYTHING)
            self._announcer.expect_subscriber(tenant)
            stored, new = await self._ledger.put_endpoint(self._maker.subscribed(tenant, url, kept, signing))
        return msgspec.structs.replace(self._view(stored), secret=made), new

    async def remove(self, tenant: str, subscription_id: str) -> None:
        """End a subscription; what waited for it is dropped. One that is gone already, or never was, is no error.

        Raises ``EndpointRefusedError`` for one that stands in the tenant's file.
        """
        endpoint = await self._ledger.endpoint(tenant, subscription_id)
        if endpoint is None or endpoint.origin is Origin.RESUME or endpoint.state is EndpointState.GONE:
            return
        if endpoint.origin is Origin.CONFIG:
            raise EndpointRefusedError(
                CONFIGURED_SUBSCRIPTION, "This subscription stands in the tenant's file; take it out under events."
            )
        await self._ledger.remove_endpoint(tenant, subscription_id, self._clock())
        await self._announcer.learn((tenant,))

    async def test(self, tenant: str, subscription_id: str) -> str:
        """Send one a message of type ``bridge.test``; return the message's id. Raises ``SubscriptionNotFoundError``."""
        async with self._changing:
            await self._found(tenant, subscription_id)
            event = trial_event(tenant, subscription_id, self._clock())
            if not await self._ledger.announce(tenant, event, self._clock(), endpoint_id=subscription_id):
                raise SubscriptionNotFoundError(subscription_id)
            newest = await self._ledger.messages(tenant, subscription_id, _NEWEST)
        self._announcer.told()
        return next(message.id for message in newest if message.type == TRIAL)

    async def resume(self, tenant: str, subscription_id: str) -> SubscriptionView:
        """Let a paused one be sent to again, first of all what it held. Raises ``SubscriptionNotFoundError``."""
        await self._found(tenant, subscription_id)
        endpoint = await self._ledger.resume_endpoint(tenant, subscription_id, self._clock())
        if endpoint is None:
            raise SubscriptionNotFoundError(subscription_id)
        self._announcer.told()
        return self._view(endpoint)

    async def _found(self, tenant: str, subscription_id: str) -> Endpoint:
        endpoint = await self._ledger.endpoint(tenant, subscription_id)
        if endpoint is None or endpoint.origin is Origin.RESUME or endpoint.state is EndpointState.GONE:
            raise SubscriptionNotFoundError(subscription_id)
        return endpoint

    async def _known(self, tenant: str, digest: str) -> Endpoint | None:
        """Return the subscription of a URL. Raises ``EndpointRefusedError`` when there is none and no room for one."""
        cursor, count = None, 0
        while True:
            page = await self._ledger.endpoints(tenant, limit=MAX_PAGE, cursor=cursor, origins=frozenset({Origin.API}))
            for endpoint in page.endpoints:
                if endpoint.digest == digest:
                    return endpoint
            count += len(page.endpoints)
            cursor = page.next_cursor
            if cursor is None:
                break
        if count >= MOST_SUBSCRIPTIONS:
            raise EndpointRefusedError(
                TOO_MANY_SUBSCRIPTIONS, f"The tenant has {count} subscriptions; remove those that nobody needs."
            )
        return None

    def _opened(self, endpoint: Endpoint) -> OpenEndpoint | None:
        try:
            return self._maker.opened(endpoint)
        except UnsealableError:
            return None

    def _view(self, endpoint: Endpoint) -> SubscriptionView:
        opened = self._opened(endpoint)
        whole = opened is not None and endpoint.origin is Origin.API
        return SubscriptionView(
            id=endpoint.id,
            url=opened.url if opened is not None and whole else endpoint.label,
            types=endpoint.types,
            state=endpoint.state,
            origin=endpoint.origin,
            failing_since=endpoint.failing_since,
            created_at=endpoint.created_at,
            updated_at=endpoint.updated_at,
            error=None if opened is not None else ENDPOINT_UNREADABLE,
        )
