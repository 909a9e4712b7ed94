"""The command line. Every command imports what it needs when it runs, so that ``serve`` answers within a second."""

import io
import logging
import os
import sys
import threading
from contextlib import suppress


def main() -> None:
    """Run ``numora-bridge``. Ends the process: 0 all well, 1 something failed, 2 wrong usage or configuration."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a locale without ✓ is no reason to fail
    from bridge.cli.application import app

    try:
        app(prog_name="numora-bridge")
    except SystemExit as ended:
        if isinstance(ended.code, int) and _a_thread_is_left():
            _end_at_once(ended.code)
        raise


def _a_thread_is_left() -> bool:
    """Tell of a thread that nobody waits for: a login that was under way works in one."""
    return any(thread.daemon and thread is not threading.current_thread() for thread in threading.enumerate())


def _end_at_once(code: int) -> None:
    """End the process without the usual clearing up, which takes OpenSSL away from under a thread that talks TLS.

    Such a thread would crash the process after all its work was done.
    """
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError):  # whoever read it has gone
            stream.flush()
    os._exit(code)
