"""A process that dies at a suspension of our choice, and stays dead.

Everything that runs on behalf of one process is a *life*: every task that is created within it, directly or by a
library, is driven through a wrapper that counts each time the task is suspended. At the suspension that was chosen the
life ends as SIGKILL would end it:

- None of its tasks ever runs again: no ``finally``, no ``except CancelledError``, no callback of a future resumes it.
- What it had handed to the kernel for a socket still arrives; what it had not, does not. Its connections are closed.
- A transaction of its ledger is either committed or was never begun. The ledger's statements run on the loop's own
  thread here, each transaction between two steps of the tasks, so that the same crash finds the same ledger every time.
- Its ledger is left as the files are at that instant, the write-ahead log included. They are copied, since a dead
  process holds no locks, and the connections of this one do; the next life opens the copy and recovers the log.

So what dies is the process, not the machine: ``synchronous`` plays no part, and the ledger is opened without it.
"""

import asyncio
from collections.abc import Callable, Coroutine, Generator
from contextlib import suppress
from contextvars import Context, ContextVar, copy_context
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from bridge.ledger.sqlite.connection import LedgerConnection
from bridge.ledger.sqlite.lock import ProcessLock

_CURRENT: ContextVar["Life | None"] = ContextVar("life", default=None)

LEDGER_FILES = ("bridge.db", "bridge.db-wal")

Files = dict[str, bytes]
"""The ledger of a process as it left it: the bytes of each of its files, by name."""


class Life:
    """One process. ``die_at`` is the number of the suspension that is its last; None lets it live to its end."""

    def __init__(self, folder: Path, *, die_at: int | None = None) -> None:
        self.folder = folder
        self.die_at = die_at
        self.suspensions = 0
        self.dead = False
        self.buried = False
        self.place = ""
        """Where it died: the functions that were waiting for one another, outermost first."""
        self.files: Files = {}
        """What it left of its ledger when it died."""
        self.sessions: list[aiohttp.ClientSession] = []
        self._tasks: list[tuple[asyncio.Task[Any], _Mortal]] = []
        self.connections: list[LedgerConnection] = []
        self.locks: list[ProcessLock] = []
        self._died = asyncio.get_running_loop().create_future()
        self._moment: tuple[int, Callable[[], None]] | None = None

    def at(self, suspension: int, happens: Callable[[], None]) -> None:
        """Have something happen in the world at a suspension."""
        self._moment = (suspension, happens)

    def kill(self) -> None:
        """Die here and now; called from outside of the process."""
        self.place = "wherever it waited"
        self._die()

    async def run(self, main: Coroutine[Any, Any, None]) -> bool:
        """Run ``main`` in this process until it is over, or the process dead. Tells whether it is alive after that.

        Raises what ``main`` raised. May be called again for further things that the process does.
        """
        context = copy_context()
        context.run(_CURRENT.set, self)
        task = asyncio.get_running_loop().create_task(main, context=context)
        await asyncio.wait({task, self._died}, return_when=asyncio.FIRST_COMPLETED)
        if self.dead:
            return False
        await task
        return True

    def adopt(self, coroutine: Coroutine[Any, Any, Any], loop: asyncio.AbstractEventLoop, **how: Any) -> Any:
        """Return a task of this process."""
        mortal = _Mortal(coroutine, self)
        task = asyncio.Task(mortal, loop=loop, **how)
        self._tasks.append((task, mortal))
        return task

    def suspended(self, coroutine: Any) -> bool:
        """Count a suspension; tell whether the process died of it."""
        self.suspensions += 1
        if self._moment is not None and self.suspensions == self._moment[0]:
            self._moment[1]()
        if self.suspensions == self.die_at:
            self.place = place_of(coroutine)
            self._die()
        return self.dead

    async def execute(self, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        """Run a function on one of this life's connections: after this step, and never once the life is over."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Any] = loop.create_future()

        def run() -> None:
            if self.dead or done.done():
                return
            try:
                done.set_result(function(*args, **kwargs))
            except Exception as error:  # noqa: BLE001 - handed over to whoever waits
                done.set_exception(error)

        loop.call_soon(run)
        return await done

    def _die(self) -> None:
        self.dead = True
        self.files = ledger_files(self.folder)
        for session in self.sessions:
            abort(session)
        self._died.set_result(None)

    async def bury(self) -> None:
        """Let go of what a life held in this process. Nothing of it can reach anything any more."""
        for session in self.sessions:
            await session.close()
        for connection in self.connections:
            if connection._connection is not None:
                connection._connection.close()
                connection._connection = None
        self.buried = True
        pending = [(task, mortal) for task, mortal in self._tasks if not task.done()]
        for task, mortal in pending:
            with suppress(BaseException):
                mortal.inner.close()
            task.cancel()
        await asyncio.gather(*(task for task, _ in pending), return_exceptions=True)
        for lock in self.locks:
            lock.release()
        self._tasks.clear()


class _Mortal(Coroutine[Any, Any, Any]):
    """A coroutine that is never resumed once its process is dead."""

    def __init__(self, inner: Coroutine[Any, Any, Any], life: Life) -> None:
        self.inner = inner
        self._life = life

    def __await__(self) -> Generator[Any, None, Any]:
        raise NotImplementedError

    def send(self, value: Any) -> Any:
        if self._life.buried:
            raise StopIteration
        if self._life.dead:
            return _never()
        waited_for = self.inner.send(value)
        return _never() if self._life.suspended(self.inner) else waited_for

    def throw(self, *error: Any) -> Any:
        if self._life.buried:
            raise StopIteration
        if self._life.dead:
            return _never()
        waited_for = self.inner.throw(*error)
        return _never() if self._life.suspended(self.inner) else waited_for

    def close(self) -> None:
        self.inner.close()


def _never() -> asyncio.Future[None]:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future._asyncio_future_blocking = True
    return future


def _task_factory(
    loop: asyncio.AbstractEventLoop, coroutine: Coroutine[Any, Any, Any], *, context: Context | None = None, **how: Any
) -> Any:
    life = _CURRENT.get() if context is None else context.get(_CURRENT)
    if context is not None:
        how["context"] = context
    if life is None:
        return asyncio.Task(coroutine, loop=loop, **how)
    return life.adopt(coroutine, loop, **how)


def make_mortal(patch: pytest.MonkeyPatch) -> None:
    """Have lives counted on the running loop, and their ledgers die with them."""
    loop = asyncio.get_running_loop()
    loop.set_task_factory(_task_factory)  # type: ignore[arg-type]
    # What is left over of a dead process complains when it is cleared away, and nobody is there to listen.
    loop.set_exception_handler(lambda _, __: None)
    execute = LedgerConnection._execute
    connect = LedgerConnection._connect
    close = LedgerConnection.close
    make_lock = ProcessLock.__init__

    async def executed(self: LedgerConnection, function: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:
        life = _CURRENT.get()
        if life is None:
            return await execute(self, function, *args, **kwargs)  # type: ignore[no-untyped-call]
        return await life.execute(function, *args, **kwargs)

    def connected(self: LedgerConnection) -> Generator[Any, None, Any]:
        life = _CURRENT.get()
        if life is None:
            self._thread.start()
            return connect(self).__await__()
        return connected_in(life, self).__await__()

    async def connected_in(life: Life, connection: LedgerConnection) -> LedgerConnection:
        connection._connection = await life.execute(connection._connector)
        life.connections.append(connection)
        return connection

    async def closed(self: LedgerConnection) -> None:
        life = _CURRENT.get()
        if life is None:
            await close(self)
        elif self._connection is not None:
            await life.execute(self._connection.close)
            self._connection = None

    def noted_lock(self: ProcessLock, ledger: Path) -> None:
        make_lock(self, ledger)
        life = _CURRENT.get()
        if life is not None:
            life.locks.append(self)

    patch.setattr(LedgerConnection, "_execute", executed)
    patch.setattr(LedgerConnection, "__await__", connected)
    patch.setattr(LedgerConnection, "close", closed)
    patch.setattr(ProcessLock, "__init__", noted_lock)


def abort(session: aiohttp.ClientSession) -> None:
    """Close a session's connections as the kernel does for a dead process: what was sent is sent."""
    connector = session.connector
    if connector is None:
        return
    idle = [protocol for connections in connector._conns.values() for protocol, _ in connections]
    for protocol in [*idle, *connector._acquired]:
        transport = getattr(protocol, "transport", None)
        if transport is not None:
            transport.abort()


def ledger_files(folder: Path) -> Files:
    """Read a ledger's files as they are."""
    return {name: (folder / name).read_bytes() for name in LEDGER_FILES if (folder / name).exists()}


def lay_down(files: Files, folder: Path) -> Path:
    """Make ``folder`` hold these files of a ledger and nothing else of one."""
    folder.mkdir(exist_ok=True)
    for old in folder.iterdir():
        old.unlink()
    for name, content in files.items():
        (folder / name).write_bytes(content)
    return folder


def place_of(coroutine: Any) -> str:
    """Tell where a coroutine is suspended: its functions, outermost first, with the innermost line."""
    names = []
    line = 0
    while coroutine is not None:
        frame = getattr(coroutine, "cr_frame", None) or getattr(coroutine, "gi_frame", None)
        if frame is None:
            break
        names.append(frame.f_code.co_name)
        line = frame.f_lineno
        coroutine = getattr(coroutine, "cr_await", None) or getattr(coroutine, "gi_yieldfrom", None)
    return f"{' > '.join(names)}:{line}"
