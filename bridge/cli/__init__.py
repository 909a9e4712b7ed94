"""The command line. Every command imports what it needs when it runs, so that ``serve`` answers within a second."""

import io
import sys


def main() -> None:
    """Run ``numora-bridge``. Ends the process: 0 all well, 1 something failed, 2 wrong usage or configuration."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")  # a locale without ✓ is no reason to fail
    from bridge.cli.application import app

    app(prog_name="numora-bridge")
