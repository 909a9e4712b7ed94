"""The clock's hand: calls what is due. It remembers nothing; due times live in the ledger."""

from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import UTC, datetime

from apscheduler.jobstores.base import JobLookupError
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from bridge.delivery.model import Millis

_NO_LIMIT = 1_000_000


class Ticker:
    """Calls coroutine functions at given moments, however late it gets round to it. One call for each key."""

    def __init__(self) -> None:
        self._scheduler = AsyncIOScheduler(
            # A call may make its next appointment while it runs: with a limit that one would not be late but lost.
            timezone=UTC,
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": _NO_LIMIT},
        )

    def start(self) -> None:
        """Begin to call."""
        self._scheduler.start()

    def stop(self) -> None:
        """Call nothing more; what was called goes on."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def at(self, key: str, moment: Millis, call: Callable[[], Awaitable[None]]) -> None:
        """Call ``call`` once at ``moment``; an earlier appointment under the same key is dropped."""
        self._scheduler.add_job(
            call, "date", run_date=datetime.fromtimestamp(moment / 1000, UTC), id=key, replace_existing=True
        )

    def cancel(self, key: str) -> None:
        """Drop the appointment under this key, if there is one."""
        with suppress(JobLookupError):
            self._scheduler.remove_job(key)
