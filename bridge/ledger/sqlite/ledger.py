"""The ledger on SQLite: reads on readers, changes through the group writer."""

import sqlite3
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

from bridge.delivery.model import Delivery, Millis, Trigger
from bridge.events.model import Endpoint, Origin
from bridge.ledger.arrivals import by_document
from bridge.ledger.protocol import ClaimFilter, Intake, Pause, PollLease, Save
from bridge.ledger.sqlite import claims, forgetting, intake, pausing, polls, saving, sending, sweeps
from bridge.ledger.sqlite.changes import ActionChanges, HookChanges, MessageChanges
from bridge.ledger.sqlite.connection import LedgerConnection
from bridge.ledger.sqlite.lock import ProcessLock
from bridge.ledger.sqlite.reader import SqliteReader
from bridge.ledger.sqlite.writer import GroupWriter
from connectors.ports import Listing

STORE_MAPPING = "INSERT INTO mappings (digest, name, text, stored_at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING"

PING = "UPDATE pings SET count = count + 1 RETURNING count"


class SqliteLedger(MessageChanges, HookChanges, ActionChanges, SqliteReader):
    """Implements ``Ledger``. Takes over the connections and the lock, and lets go of them when it is closed.

    ``warnings`` says what an operator should know of the SQLite library in use, in sentences. ``commit_spacing`` is the
    least time between two commits, in seconds.
    """

    def __init__(
        self,
        writer: LedgerConnection,
        readers: Sequence[LedgerConnection],
        lock: ProcessLock,
        warnings: tuple[str, ...] = (),
        *,
        commit_spacing: float = 0.0,
    ) -> None:
        super().__init__(readers)
        self._connection = writer
        self._writer = GroupWriter(writer, spacing=commit_spacing)
        self._lock = lock
        self._seqs: dict[str, int] = {}  # of deliveries that this process holds, by id, so that a save need not ask
        self.warnings = warnings

    async def intake(
        self,
        tenant: str,
        listings: Sequence[Listing],
        trigger: Trigger,
        now: Millis,
        *,
        new_id: Callable[[], str],
        poll: PollLease | None = None,
        next_cursor: str | None = None,
    ) -> Intake:
        """See ``Ledger.intake``."""
        arrivals = [(new_id(), listing) for listing in by_document(listings)]
        return await self._writer.run(
            partial(
                intake.take_in,
                tenant=tenant,
                arrivals=arrivals,
                trigger=trigger,
                now=now,
                poll=poll,
                next_cursor=next_cursor,
            )
        )

    async def deliver_now(
        self,
        tenant: str,
        listing: Listing,
        now: Millis,
        *,
        new_id: Callable[[], str],
        force: bool,
        resume: Endpoint | None = None,
    ) -> Delivery:
        """See ``Ledger.deliver_now``."""
        if resume is not None and (resume.origin, resume.tenant, resume.document_id) != (
            Origin.RESUME,
            tenant,
            listing.document_id,
        ):
            raise ValueError(f"{resume.id} does not wait for {listing.document_id} of {tenant}")
        return await self._writer.run(
            partial(
                intake.deliver_now,
                tenant=tenant,
                listing=listing,
                now=now,
                new_id=new_id(),
                force=force,
                resume=resume,
            )
        )

    async def retry(self, delivery_id: str, now: Millis, *, pinned: bool) -> Delivery | None:
        """See ``Ledger.retry``."""
        return await self._writer.run(partial(intake.retry, delivery_id=delivery_id, now=now, pinned=pinned))

    async def recheck(self, tenant: str, now: Millis, *, schema: str, mapping_digest: str) -> int:
        """See ``Ledger.recheck``."""
        wanted: dict[str, object] = {"tenant": tenant, "schema": schema, "digest": mapping_digest, "after": 0}
        changed = 0
        while found := await self._read(_find, sweeps.FIND_MISMAPPED, wanted):
            ids = [delivery_id for _, delivery_id in found]
            changed += await self._writer.run(
                partial(sweeps.recheck, ids=ids, now=now, schema=schema, digest=mapping_digest)
            )
            wanted["after"] = found[-1][0]
        return changed

    async def claim(
        self, tenant: str, now: Millis, *, limit: int, lease_until: Millis, only: ClaimFilter
    ) -> list[Delivery]:
        """See ``Ledger.claim``."""
        claimed = await self._writer.run(
            partial(claims.claim, tenant=tenant, now=now, limit=limit, lease_until=lease_until, only=only)
        )
        self._seqs.update((delivery.id, seq) for seq, delivery in claimed)
        return [delivery for _, delivery in claimed]

    async def save(self, save: Save) -> None:
        """See ``Ledger.save``."""
        seq = self._seqs.pop(save.delivery.id, None)
        await self._writer.run(saving.Saving(save, seq))
        if seq is not None and save.delivery.lease_until is not None:
            self._seqs[save.delivery.id] = seq

    async def take_back(self, now: Millis) -> int:
        """See ``Ledger.take_back``."""
        for endpoint_id in await self._read(sending.gone_with_messages):
            await self._drop(endpoint_id, now)
        return await self._writer.run(partial(claims.take_back, now=now))

    async def acquire_poll(self, tenant: str, now: Millis, *, lease_until: Millis) -> PollLease | None:
        """See ``Ledger.acquire_poll``."""
        return await self._writer.run(partial(polls.acquire, tenant=tenant, now=now, until=lease_until))

    async def finish_poll(self, lease: PollLease, now: Millis, *, succeeded: bool, reset_cursor: bool = False) -> None:
        """See ``Ledger.finish_poll``."""
        await self._writer.run(
            partial(polls.finish, lease=lease, now=now, succeeded=succeeded, reset_cursor=reset_cursor)
        )

    async def store_mapping(self, digest: str, name: str, text: str, now: Millis) -> None:
        """See ``Ledger.store_mapping``."""
        await self._writer.run(partial(_execute, statement=STORE_MAPPING, values=(digest, name, text, now)))

    async def keep_pauses(self, pauses: Sequence[Pause], now: Millis) -> None:
        """See ``Ledger.keep_pauses``."""
        await self._writer.run(partial(pausing.keep, pauses=pauses, now=now))

    async def prune(self, *, deliveries_before: Millis, requests_before: Millis) -> Mapping[str, int]:
        """See ``Ledger.prune``."""
        deliveries = requests = after = 0
        while found := await self._read(_find, sweeps.FIND_OLD_REQUESTS, (after, requests_before)):
            seqs = [seq for (seq,) in found]
            requests += await self._writer.run(partial(sweeps.delete_requests, seqs=seqs))
            after = seqs[-1]
        after = 0
        while found := await self._read(_find, sweeps.FIND_OLD_DELIVERIES, (after, deliveries_before)):
            seqs = [seq for (seq,) in found]
            gone = await self._writer.run(partial(sweeps.delete_deliveries, seqs=seqs, before=deliveries_before))
            deliveries += gone[0]
            requests += gone[1]
            after = seqs[-1]
        removed = {"deliveries": deliveries, "requests": requests}
        for kind in forgetting.KINDS:
            removed[kind] = await self._forget(kind, requests_before)
        return removed

    async def ping(self) -> None:
        """See ``Ledger.ping``."""
        await self._writer.run(partial(_execute, statement=PING, values=()))

    async def _forget(self, kind: str, before: Millis) -> int:
        removed = after = 0
        while found := await self._read(_find, forgetting.FIND[kind], {"after": after, "before": before}):
            seqs = [seq for (seq,) in found]
            removed += await self._writer.run(partial(forgetting.delete, kind=kind, seqs=seqs, before=before))
            after = seqs[-1]
        return removed

    async def _close(self) -> None:
        try:
            await self._writer.drain()
            # The writer goes last: whoever closes last checkpoints, and only the writer may.
            await super()._close()
            await self._connection.close()
        finally:
            self._lock.release()


def _find(
    connection: sqlite3.Connection, statement: str, values: Sequence[object] | dict[str, object]
) -> list[tuple[Any, ...]]:
    return connection.execute(statement, values).fetchall()


def _execute(connection: sqlite3.Connection, statement: str, values: Sequence[object]) -> None:
    connection.execute(statement, values).fetchall()
