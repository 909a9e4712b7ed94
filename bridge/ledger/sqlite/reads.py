"""What can be read of endpoints, messages, calls that came in and actions: the further parts of ``SqliteReader``."""

import sqlite3
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Concatenate, ParamSpec, TypeVar

from bridge.delivery.model import Millis
from bridge.events.model import Endpoint, EndpointState, Message, Origin
from bridge.ledger.actions import Action
from bridge.ledger.messages import LISTENING, SUBSCRIBERS, EndpointPage
from bridge.ledger.sqlite import actions, endpoints, hooks, messages, sending

P = ParamSpec("P")
T = TypeVar("T")


class Reads(ABC):
    """What every part of the reader needs."""

    @abstractmethod
    async def _read(
        self, query: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """Run a query on the least busy reader."""


class MessageReads(Reads):
    """Implements ``MessageReader``."""

    async def endpoints(
        self,
        tenant: str,
        *,
        limit: int,
        cursor: str | None = None,
        origins: frozenset[Origin] = SUBSCRIBERS,
        states: frozenset[EndpointState] = LISTENING,
    ) -> EndpointPage:
        """See ``MessageReader.endpoints``."""
        return await self._read(endpoints.select_page, tenant, origins, states, limit, cursor)

    async def endpoint(self, tenant: str, endpoint_id: str) -> Endpoint | None:
        """See ``MessageReader.endpoint``."""
        return await self._read(endpoints.select_endpoint, tenant, endpoint_id)

    async def listens(self, tenant: str) -> bool:
        """See ``MessageReader.listens``."""
        return await self._read(endpoints.listens, tenant)

    async def next_message_due(self, now: Millis) -> Millis | None:
        """See ``MessageReader.next_message_due``."""
        return await self._read(sending.next_due, now)

    async def messages(self, tenant: str, endpoint_id: str, limit: int) -> tuple[Message, ...]:
        """See ``MessageReader.messages``."""
        return await self._read(messages.select_messages, tenant, endpoint_id, limit)


class HookReads(Reads):
    """Implements ``HookReader``."""

    async def hook_counts(self, tenant: str) -> Mapping[tuple[str, str], int]:
        """See ``HookReader.hook_counts``."""
        return await self._read(hooks.select_counts, tenant)


class ActionReads(Reads):
    """Implements ``ActionReader``."""

    async def actions(self, tenant: str, subject: str, limit: int) -> tuple[Action, ...]:
        """See ``ActionReader.actions``."""
        return await self._read(actions.select_of_subject, tenant, subject, limit)
