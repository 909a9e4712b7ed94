"""How the process of a command ends."""

import subprocess
import sys

import pytest

STORY = """
import atexit, sys, threading
import bridge.cli, bridge.cli.application as application

def command(prog_name):
    print("told", end="")
    print("complained", end="", file=sys.stderr)
    raise SystemExit({code})

application.app = command
atexit.register(print, ", cleared up", end="")
if {left}:
    threading.Thread(target=threading.Event().wait, daemon=True).start()
bridge.cli.main()
"""


@pytest.mark.parametrize("code", [0, 1, 2])
@pytest.mark.parametrize(("left", "told"), [(True, "told"), (False, "told, cleared up")])
def test_a_login_that_is_under_way_cannot_crash_the_end_of_a_command(code: int, left: bool, told: str):
    """Python clears up OpenSSL as it ends; a thread that still talks TLS then would take the process down."""
    story = STORY.format(code=code, left=left)
    done = subprocess.run([sys.executable, "-c", story], capture_output=True, text=True, timeout=30, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (code, told, "complained")
