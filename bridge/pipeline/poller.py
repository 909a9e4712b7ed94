"""Reading a tenant's outbox into the ledger, page by page, one reader at a time."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

from bridge.delivery.model import Millis, Trigger
from bridge.ledger.protocol import Ledger, PollLease
from bridge.pipeline.gates import Side
from bridge.pipeline.lane import Lane
from connectors.outcome import BlockedError, CursorRefusedError, OutcomeError

log = logging.getLogger(__name__)

POLL_LEASE: Millis = 5 * 60 * 1000
"""Milliseconds for which a poll may go on before another may take over; renewed never, so a poll is bounded by it."""

MOST_PAGES = 10_000
_MOST_RESETS = 5
_MOST_EMPTY_PAGES = 100
"""How many empty pages in a row one poll reads; the next poll goes on behind them."""


@dataclass(frozen=True, slots=True)
class PollReport:
    """What one poll brought: entries seen, deliveries queued, and whether the window had to start anew.

    ``complete`` is False when the window's end was not reached, since the source kept refusing its own cursors.
    """

    seen: int
    queued: int
    cursor_reset: bool
    complete: bool = True


class PollRunningError(Exception):
    """Another poll of this tenant is under way."""


class Poller:
    """Polls outboxes. ``on_queued`` is called after each page that brought work."""

    def __init__(self, ledger: Ledger, clock: Callable[[], Millis], new_id: Callable[[], str]) -> None:
        self._ledger = ledger
        self._clock = clock
        self._new_id = new_id

    async def poll(self, lane: Lane, on_work: Callable[[], None]) -> PollReport:
        """Read from the stored cursor to the end of the window.

        Every page is taken in together with its cursor, so a poll that breaks off goes on where it was. Raises
        ``PollRunningError``, or what the source raises: ``OutboxAbsentError``, ``BlockedError`` and so on.
        """
        now = self._clock()
        lease = await self._ledger.acquire_poll(lane.tenant, now, lease_until=now + POLL_LEASE)
        if lease is None:
            raise PollRunningError(lane.tenant)
        report = None
        try:
            report = await self._read(lane, lease, on_work)
        except OutcomeError as error:
            if isinstance(error, BlockedError):
                lane.gates.block(Side.SOURCE, error)
            raise
        finally:
            complete = report is not None and report.complete
            reset = report is not None and not report.complete
            await self._ledger.finish_poll(lease, self._clock(), succeeded=complete, reset_cursor=reset)
        lane.gates.clear(Side.SOURCE)
        return report

    async def _read(self, lane: Lane, lease: PollLease, on_work: Callable[[], None]) -> PollReport:
        cursor = lease.state.cursor
        seen = queued = resets = empty = 0
        passed = {cursor}
        for _ in range(MOST_PAGES):
            try:
                page = await lane.source.list_outbox(cursor)
            except CursorRefusedError as error:
                resets += 1
                log.warning("tenant %s: %s The window is read again from its start.", lane.tenant, error)
                if resets > _MOST_RESETS:
                    return PollReport(seen, queued, cursor_reset=True, complete=False)
                cursor = None
                passed = {cursor}
                continue
            following = page.next_cursor
            if following is not None and following in passed:
                log.warning(
                    "tenant %s: the source led back to a page that was read already; its window ends here", lane.tenant
                )
                following = None
            intake = await self._ledger.intake(
                lane.tenant,
                page.listings,
                Trigger.OUTBOX,
                self._clock(),
                new_id=self._new_id,
                poll=lease,
                next_cursor=following,
            )
            seen += intake.seen
            queued += intake.queued
            if intake.queued or intake.rechecked:
                on_work()
            if following is None:
                break
            empty = 0 if page.listings else empty + 1
            if empty >= _MOST_EMPTY_PAGES:
                log.warning("tenant %s: %s empty pages in a row; the next poll goes on there", lane.tenant, empty)
                break
            cursor = following
            passed.add(cursor)
        return PollReport(seen, queued, cursor_reset=resets > 0)
