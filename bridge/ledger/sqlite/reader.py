"""The reading half of the SQLite ledger: a few connections that can neither write nor checkpoint."""

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from typing import Concatenate, ParamSpec, TypeVar

from bridge.delivery.model import (
    Attempt,
    Delivery,
    DeliveryFilter,
    DeliveryPage,
    Millis,
    RequestRecord,
    State,
    TenantCounts,
)
from bridge.ledger.protocol import LedgerClosedError, LedgerError, Pause, PollState
from bridge.ledger.sqlite.claims import next_due
from bridge.ledger.sqlite.connection import LedgerConnection
from bridge.ledger.sqlite.intake import select_delivery
from bridge.ledger.sqlite.pages import select_page
from bridge.ledger.sqlite.pausing import select_pauses
from bridge.ledger.sqlite.polls import select_poll
from bridge.ledger.sqlite.reads import ActionReads, HookReads, MessageReads
from bridge.ledger.sqlite.rows import (
    ATTEMPT_COLUMNS,
    REQUEST_COLUMNS,
    to_attempt,
    to_request,
)

P = ParamSpec("P")
T = TypeVar("T")

SELECT_ATTEMPTS = f"""
SELECT {", ".join(f"attempts.{column}" for column in ATTEMPT_COLUMNS)}
FROM deliveries JOIN attempts ON attempts.delivery = deliveries.seq WHERE deliveries.id = ? ORDER BY attempts.seq
"""

SELECT_REQUESTS = f"""
SELECT {", ".join(f"requests.{column}" for column in REQUEST_COLUMNS)}
FROM deliveries JOIN requests ON requests.delivery = deliveries.seq WHERE deliveries.id = ? ORDER BY requests.seq
"""

COUNT_BY_STATE = "SELECT state, count(*) FROM deliveries WHERE tenant = ? GROUP BY state"

SELECT_OLDEST_QUEUED = """
SELECT created_at FROM deliveries WHERE tenant = ? AND state = 'queued' ORDER BY seq LIMIT 1
"""

SELECT_MAPPING = "SELECT text FROM mappings WHERE digest = ?"


class SqliteReader(MessageReads, HookReads, ActionReads):
    """Implements ``LedgerReader``. Takes over the connections and closes them."""

    def __init__(self, connections: Sequence[LedgerConnection]) -> None:
        self._readers = tuple(connections)
        self._reading = [0] * len(self._readers)
        self._closing: asyncio.Task[None] | None = None

    async def next_due(self, tenant: str, now: Millis) -> Millis | None:
        """See ``LedgerReader.next_due``."""
        return await self._read(next_due, tenant, now)

    async def poll_state(self, tenant: str) -> PollState:
        """See ``LedgerReader.poll_state``."""
        return await self._read(select_poll, tenant)

    async def delivery(self, delivery_id: str) -> Delivery | None:
        """See ``LedgerReader.delivery``."""
        return await self._read(select_delivery, delivery_id)

    async def deliveries(self, wanted: DeliveryFilter, *, limit: int, cursor: str | None = None) -> DeliveryPage:
        """See ``LedgerReader.deliveries``."""
        return await self._read(select_page, wanted, limit, cursor)

    async def attempts(self, delivery_id: str) -> tuple[Attempt, ...]:
        """See ``LedgerReader.attempts``."""
        return await self._read(_attempts, delivery_id)

    async def requests(self, delivery_id: str) -> tuple[RequestRecord, ...]:
        """See ``LedgerReader.requests``."""
        return await self._read(_requests, delivery_id)

    async def counts(self, tenant: str) -> TenantCounts:
        """See ``LedgerReader.counts``."""
        return await self._read(_counts, tenant)

    async def pauses(self) -> tuple[Pause, ...]:
        """See ``LedgerReader.pauses``."""
        return await self._read(select_pauses)

    async def mapping_text(self, digest: str) -> str | None:
        """See ``LedgerReader.mapping_text``."""
        return await self._read(_mapping_text, digest)

    async def close(self) -> None:
        """See ``LedgerReader.close``."""
        if self._closing is None:
            self._closing = asyncio.create_task(self._close(), name="ledger close")
        # Whoever is cancelled while waiting leaves the closing to go on.
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        for connection in self._readers:
            await connection.close()

    async def _read(
        self, query: Callable[Concatenate[sqlite3.Connection, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        if self._closing is not None:
            raise LedgerClosedError("The ledger is closed.")
        least_busy = self._reading.index(min(self._reading))
        self._reading[least_busy] += 1
        try:
            return await self._readers[least_busy].run(query, *args, **kwargs)
        except sqlite3.Error as error:
            raise LedgerError(f"The ledger could not be read: {error}.") from error
        finally:
            self._reading[least_busy] -= 1


def _attempts(connection: sqlite3.Connection, delivery_id: str) -> tuple[Attempt, ...]:
    return tuple(to_attempt(delivery_id, row) for row in connection.execute(SELECT_ATTEMPTS, (delivery_id,)))


def _requests(connection: sqlite3.Connection, delivery_id: str) -> tuple[RequestRecord, ...]:
    return tuple(to_request(delivery_id, row) for row in connection.execute(SELECT_REQUESTS, (delivery_id,)))


def _counts(connection: sqlite3.Connection, tenant: str) -> TenantCounts:
    # One snapshot for both queries.
    connection.execute("BEGIN")
    try:
        counted = dict(connection.execute(COUNT_BY_STATE, (tenant,)).fetchall())
        oldest = connection.execute(SELECT_OLDEST_QUEUED, (tenant,)).fetchone()
    finally:
        connection.execute("ROLLBACK")
    return TenantCounts({state: counted.get(state.value, 0) for state in State}, oldest and oldest[0])


def _mapping_text(connection: sqlite3.Connection, digest: str) -> str | None:
    row = connection.execute(SELECT_MAPPING, (digest,)).fetchone()
    return row and str(row[0])
