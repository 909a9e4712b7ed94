"""When a tenant's outbox is read."""

import asyncio
import logging
from collections.abc import Callable
from typing import Final

from bridge.delivery.model import Millis
from bridge.ledger.protocol import Ledger, LedgerError
from bridge.pipeline.gates import Side
from bridge.pipeline.lane import Lane
from bridge.pipeline.policy import RunnerPolicy
from bridge.pipeline.poller import Poller, PollReport, PollRunningError
from bridge.schedule.ticker import Ticker
from connectors.outcome import OutboxAbsentError, OutcomeError, TransientError

log = logging.getLogger(__name__)

FIRST_REPEAT: Millis = 5_000
"""Milliseconds after which a poll that failed is made again; doubles with each failure, up to the regular interval."""

OUTBOX_ABSENT: Final = "outbox_absent"
NOT_POLLED: Final = (
    "Nothing is polled with `trigger: route`: the source calls when there is something to deliver. To have one "
    "document delivered, ask for it by its id."
)

JITTER = 0.1
"""A poll comes up to this part of the interval later, so that tenants do not poll in step."""


class PollSchedule:
    """Polls one tenant at its interval ``every``, sooner after a failure, and on request.

    A poll that is due while the source is blocked is held back until that is over: the probes ask often enough.

    With ``every`` None its documents come by calls: there is nothing to poll, and a request says so.
    """

    def __init__(
        self,
        lane: Lane,
        poller: Poller,
        ledger: Ledger,
        policy: RunnerPolicy,
        ticker: Ticker,
        on_work: Callable[[], None],
        *,
        every: Millis | None,
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
        self._soon: asyncio.Task[None] | None = None
        self._wanted = False
        self._held = False
        self._stopped = False
        self.problem: OutcomeError | None = None
        """Why the last poll did not go well; None when it did."""

    @property
    def _key(self) -> str:
        return f"poll {self._lane.tenant}"

    async def start(self) -> None:
        """Make the first appointment: at once if a poll was due while nobody was there, or was never made."""
        if self._every is None:
            return
        now = self._policy.clock()
        finished_at = (await self._ledger.poll_state(self._lane.tenant)).finished_at
        due = now if finished_at is None else max(now, min(finished_at + self._every, now + self._every))
        self._ticker.at(self._key, due, self._tick)

    async def stop(self) -> None:
        """Make no more appointments, and break off a poll that is under way: its pages are safe."""
        self._stopped = True
        self._wanted = False
        self._ticker.cancel(self._key)
        tasks = [task for task in (self._polling, self._soon) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def poll_now(self) -> PollReport:
        """Poll, or join the poll that is under way.

        Raises what ``Poller.poll`` raises, and ``OutboxAbsentError`` for a tenant that is not polled.
        """
        if self._every is None:
            raise OutboxAbsentError(OUTBOX_ABSENT, NOT_POLLED)
        if self._polling is None or self._polling.done():
            self._polling = asyncio.create_task(self._poll(self._every), name=self._key)
        return await asyncio.shield(self._polling)

    def poll_soon(self) -> None:
        """Poll in the background, after the poll under way if there is one: that one may be past what is new.

        However often this is asked for, polls go one by one. A failure is told where it is met.
        """
        if self._every is None or self._stopped:
            return
        self._wanted = True
        if self._soon is None or self._soon.done():
            self._soon = asyncio.create_task(self._poll_while_wanted(), name=f"{self._key} soon")

    def opened(self) -> None:
        """The source is no longer blocked: make the poll that was held back."""
        if self._held:
            self.poll_soon()

    async def _poll_while_wanted(self) -> None:
        while self._wanted:
            if self._polling is not None:
                await asyncio.wait({self._polling})
            self._wanted = False
            await self._tick()

    async def _tick(self) -> None:
        if self._lane.gates.is_blocked(Side.SOURCE):
            self._held = True
            return
        try:
            await self.poll_now()
        except PollRunningError:
            log.info("tenant %s is being polled by another process", self._lane.tenant)
        except (OutcomeError, LedgerError):
            pass  # told once where it was met
        except asyncio.CancelledError:
            if not self._stopped:
                raise

    async def _poll(self, every: Millis) -> PollReport:
        wait = every
        self._held = False
        try:
            report = await self._poller.poll(self._lane, self._on_work)
        except OutcomeError as error:
            wait = self._note_failure(error, every)
            raise
        except PollRunningError:
            wait = min(FIRST_REPEAT, every)  # whoever polls may be about to be cut off, as before a change of files
            raise
        except LedgerError as error:
            log.error("tenant %s was not polled: the ledger cannot be used: %s", self._lane.tenant, error)  # noqa: TRY400
            wait = FIRST_REPEAT
            raise
        else:
            self._note_success()
            if not report.complete:
                wait = min(FIRST_REPEAT, every)
            return report
        finally:
            if not self._stopped:
                spread = self._policy.rng.uniform(1, 1 + JITTER)
                self._ticker.at(self._key, self._policy.clock() + round(wait * spread), self._tick)

    def _note_failure(self, error: OutcomeError, every: Millis) -> Millis:
        """Log the first failure of a row, and return how long to wait."""
        if self.problem is None or self.problem.code != error.code:
            log.warning("tenant %s cannot be polled: %s [%s]", self._lane.tenant, error, error.code)
        self.problem = error
        if isinstance(error, OutboxAbsentError):
            return every
        wait: Millis = min(FIRST_REPEAT << self._failures, every)
        self._failures = min(self._failures + 1, 16)
        if isinstance(error, TransientError) and error.retry_after:
            return round(error.retry_after * 1000)
        return wait

    def _note_success(self) -> None:
        if self.problem is not None:
            log.info("tenant %s can be polled again", self._lane.tenant)
        self.problem = None
        self._failures = 0
