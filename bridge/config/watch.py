"""Picks up changed configuration files while the bridge runs."""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

from bridge.config.files import Stamp, stamps
from bridge.config.load import load_tolerant
from bridge.config.loaded import LoadedConfig
from mappings.findings import Finding

OnChange = Callable[[LoadedConfig, tuple[Finding, ...]], Awaitable[None]]

_log = logging.getLogger(__name__)


class ConfigWatcher:
    """Looks at every file and folder of the configuration each ``interval`` seconds, and loads anew after a change.

    A change is acted on once two looks in a row agree, so that a file is not read while it is being written.
    ``on_change`` gets the configuration from then on and every finding; what is bad has kept its previous version.
    When ``on_change`` raises, the watcher says so in the log, keeps the configuration in force, and goes on.
    """

    def __init__(
        self,
        loaded: LoadedConfig,
        path: Path,
        environ: Mapping[str, str],
        on_change: OnChange,
        *,
        interval: float = 2.0,
    ) -> None:
        self._loaded = loaded
        self._path = path
        self._environ = environ
        self._on_change = on_change
        self._interval = interval
        self._seen: Mapping[Path, Stamp] = loaded.stamps
        self._triggered = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    @property
    def loaded(self) -> LoadedConfig:
        """The configuration in force."""
        return self._loaded

    def trigger(self) -> None:
        """Load now, whether or not a file has changed; for SIGHUP. Call it in the loop's thread."""
        self._triggered.set()

    def start(self) -> None:
        """Begin to look, in a task of its own."""
        if self._task is None:
            self._task = asyncio.create_task(self.run(), name="config-watcher")

    async def close(self) -> None:
        """Stop looking. May be called more than once."""
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def run(self) -> None:
        """Look until cancelled."""
        last: Mapping[Path, Stamp] | None = None
        while True:
            triggered = await self._wait()
            try:
                now = await asyncio.to_thread(stamps, self._seen)
                if triggered or (now != self._seen and now == last):
                    await self._load()
                    now = dict(self._seen)
                last = now
            except Exception:  # noqa: BLE001 (whatever fails here, the next change must still be seen)
                _log.exception("the configuration could not be reloaded; the one before stays in force")
                self._seen = await asyncio.to_thread(stamps, self._seen)

    async def _wait(self) -> bool:
        try:
            await asyncio.wait_for(self._triggered.wait(), self._interval)
        except TimeoutError:
            return False
        self._triggered.clear()
        return True

    async def _load(self) -> None:
        loaded, findings = await asyncio.to_thread(load_tolerant, self._loaded, self._path, self._environ)
        self._seen = loaded.stamps
        await self._on_change(loaded, findings)
        self._loaded = loaded
