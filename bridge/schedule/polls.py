"""When a tenant's outbox is read."""

import asyncio
import logging
from collections.abc import Callable

from bridge.delivery.model import Millis
from bridge.ledger.protocol import Ledger, LedgerError
from bridge.pipeline.lane import Lane
from bridge.pipeline.poller import Poller, PollReport, PollRunningError
from bridge.pipeline.runner import RunnerPolicy
from bridge.schedule.ticker import Ticker
from connectors.outcome import OutboxAbsentError, OutcomeError, TransientError

log = logging.getLogger(__name__)

FIRST_REPEAT: Millis = 5_000
"""Milliseconds after which a poll that failed is made again; doubles with each failure, up to the regular interval."""

JITTER = 0.1
"""A poll comes up to this part of the interval later, so that tenants do not poll in step."""


class PollSchedule:
    """Polls one tenant at its interval ``every``, sooner after a failure, and on request."""

    def __init__(
        self,
        lane: Lane,
        poller: Poller,
        ledger: Ledger,
        policy: RunnerPolicy,
        ticker: Ticker,
        on_work: Callable[[], None],
        *,
        every: Millis,
    ) -> None:
        self._lane = lane
        self._poller = poller
        self._ledger = ledger
        self._policy = policy
        self._ticker = ticker
        self._on_work = on_work
        self._every = every
        self._failures = 0
        self._polling: asyncio.Task[PollReport] | None = None
        self._stopped = False
        self.problem: OutcomeError | None = None
        """Why the last poll did not go well; None when it did."""

    @property
    def _key(self) -> str:
        return f"poll {self._lane.tenant}"

    async def start(self) -> None:
        """Make the first appointment: at once if a poll was due while nobody was there, or was never made."""
        now = self._policy.clock()
        finished_at = (await self._ledger.poll_state(self._lane.tenant)).finished_at
        due = now if finished_at is None else max(now, min(finished_at + self._every, now + self._every))
        self._ticker.at(self._key, due, self._tick)

    async def stop(self) -> None:
        """Make no more appointments, and break off a poll that is under way: its pages are safe."""
        self._stopped = True
        self._ticker.cancel(self._key)
        if self._polling is not None:
            self._polling.cancel()
            await asyncio.gather(self._polling, return_exceptions=True)

    async def poll_now(self) -> PollReport:
        """Poll, or join the poll that is under way. Raises what ``Poller.poll`` raises."""
        if self._polling is None or self._polling.done():
            self._polling = asyncio.create_task(self._poll(), name=self._key)
        return await asyncio.shield(self._polling)

    async def _tick(self) -> None:
        try:
            await self.poll_now()
        except PollRunningError:
            log.info("tenant %s is being polled by another process", self._lane.tenant)
        except (OutcomeError, LedgerError):
            pass  # told once where it was met
        except asyncio.CancelledError:
            if not self._stopped:
                raise

    async def _poll(self) -> PollReport:
        wait = self._every
        try:
            report = await self._poller.poll(self._lane, self._on_work)
        except OutcomeError as error:
            wait = self._note_failure(error)
            raise
        except LedgerError as error:
            log.error("tenant %s was not polled: the ledger cannot be used: %s", self._lane.tenant, error)  # noqa: TRY400
            wait = FIRST_REPEAT
            raise
        else:
            self._note_success()
            if not report.complete:
                wait = min(FIRST_REPEAT, self._every)
            return report
        finally:
            if not self._stopped:
                spread = self._policy.rng.uniform(1, 1 + JITTER)
                self._ticker.at(self._key, self._policy.clock() + round(wait * spread), self._tick)

    def _note_failure(self, error: OutcomeError) -> Millis:
        """Log the first failure of a row, and return how long to wait."""
        if self.problem is None or self.problem.code != error.code:
            log.warning("tenant %s cannot be polled: %s [%s]", self._lane.tenant, error, error.code)
        self.problem = error
        every = self._every
        if isinstance(error, OutboxAbsentError):
            return every
        wait: Millis = min(FIRST_REPEAT << self._failures, every)
        self._failures = min(self._failures + 1, 16)
        if isinstance(error, TransientError) and error.retry_after is not None:
            return max(wait, round(error.retry_after * 1000))
        return wait

    def _note_success(self) -> None:
        if self.problem is not None:
            log.info("tenant %s can be polled again", self._lane.tenant)
        self.problem = None
        self._failures = 0
