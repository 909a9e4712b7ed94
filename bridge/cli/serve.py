"""``serve``: run the service."""

import asyncio
import gc
import sys
from asyncio import AbstractEventLoop
from collections.abc import Callable

from bridge.cli.failures import CommandError, guarded
from bridge.cli.options import ConfigOption, config_path


@guarded
def serve(config: ConfigOption = None) -> None:
    """Run the service until SIGTERM or SIGINT."""
    import os

    from bridge.app import serve as run_service

    path = config_path(config)
    try:
        with asyncio.Runner(loop_factory=_loop_factory()) as runner:
            runner.run(run_service(path, os.environ, ready=_settle))
    except OSError as error:
        if error.filename is not None:
            raise
        raise CommandError(
            f"The bridge cannot listen: {error.strerror or error}. Stop what uses this address, or set `listen` in "
            "bridge.yaml."
        ) from error


def _loop_factory() -> Callable[[], AbstractEventLoop] | None:
    """Return uvloop's where there is one: it halves the processor time of a request."""
    try:
        import uvloop
    except ImportError:
        return None
    return uvloop.new_event_loop


def _settle(_: str) -> None:
    """Tune the process for its work, once everything that stays is loaded.

    What is loaded is left out of garbage collection, which looked through all of it over and over: an eighth of the
    processor time. And a thread waits longer for the interpreter while another one is busy, since the ledger's thread
    would take it from the event loop with every statement.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(10_000, 20, 20)
    sys.setswitchinterval(0.02)
