"""The command line as a user has it: commands as real processes, and on a terminal where one matters."""

import asyncio
import fcntl
import os
import pty
import re
import struct
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import aiohttp

ROOT = Path(__file__).parents[2]
COMMAND = (sys.executable, "-m", "bridge")
PATIENCE = 60.0


@dataclass(frozen=True)
class Ended:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str

    @property
    def everything(self) -> str:
        return self.out + self.err


def environment(**more: str) -> dict[str, str]:
    """Return an environment in which nothing is configured."""
    names = ("PATH", "HOME", "LANG", "COVERAGE_PROCESS_START")
    kept = {name: os.environ[name] for name in names if name in os.environ}
    return {**kept, "PYTHONPATH": str(ROOT), **more}


async def start(*arguments: str, **variables: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *COMMAND,
        *arguments,
        env=environment(**variables),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def ended(process: asyncio.subprocess.Process) -> Ended:
    out, err = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode is not None
    return Ended(process.returncode, out.decode(), err.decode())


async def command(*arguments: str, **variables: str) -> Ended:
    """Run a command to its end."""
    result = await ended(await start(*arguments, **variables))
    assert "Traceback" not in result.everything
    return result


def _on_terminal(arguments: tuple[str, ...], variables: dict[str, str], columns: int) -> Ended:
    leader, follower = pty.openpty()
    fcntl.ioctl(follower, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    child = os.fork()
    if child == 0:
        os.login_tty(follower)
        os.execve(COMMAND[0], [*COMMAND, *arguments], environment(TERM="xterm-256color", **variables))  # noqa: S606 - our own command
    os.close(follower)
    shown = b""
    with suppress(OSError):
        while data := os.read(leader, 65_536):
            shown += data
    os.close(leader)
    _, status = os.waitpid(child, 0)
    return Ended(os.waitstatus_to_exitcode(status), shown.decode().replace("\r\n", "\n"), "")


async def command_on_terminal(*arguments: str, columns: int = 100, **variables: str) -> Ended:
    """Run a command to its end on a terminal; what it prints is in ``out``, escape sequences and all."""
    return await asyncio.to_thread(_on_terminal, arguments, variables, columns)


def plain(shown: str) -> str:
    """Return what was shown on a terminal, without escape sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)


@asynccontextmanager
async def serving(config: Path) -> AsyncIterator[tuple[str, asyncio.subprocess.Process]]:
    """Run the service; give its address once it is ready."""
    text = (config / "bridge.yaml").read_text()
    url = f"http://127.0.0.1:{text.partition('port: ')[2].partition('}')[0]}"
    process = await start("serve", "--config", str(config))
    try:
        async with asyncio.timeout(PATIENCE), aiohttp.ClientSession() as session:
            while not await _is_ready(session, url):
                assert process.returncode is None, (await ended(process)).err
                await asyncio.sleep(0.05)
        yield url, process
    finally:
        if process.returncode is None:
            process.kill()
            await process.communicate()


async def _is_ready(session: aiohttp.ClientSession, url: str) -> bool:
    with suppress(aiohttp.ClientError):
        async with session.get(f"{url}/healthz") as healthy, session.get(f"{url}/v1/me") as answer:
            return healthy.status == 200 and answer.status == 401
    return False
