"""Listening with TLS in a way that can be stopped at any moment."""

import asyncio
import socket
import ssl
from contextlib import suppress
from weakref import WeakSet

from aiohttp import web

_CLOSING_SECONDS = 1.0


class TlsListener:
    """Hands connections over to a server of aiohttp once their TLS handshake is done.

    A server of asyncio loses sight of the connections whose handshake is under way when it stops, and those that it
    closes wait for their callers' good-bye. Here they are all cut off.
    """

    def __init__(self, server: web.Server, context: ssl.SSLContext) -> None:
        self._server = server
        self._context = context
        self._listening: socket.socket | None = None
        self._connections: WeakSet[socket.socket] = WeakSet()
        self._handshakes: set[asyncio.Task[None]] = set()

    def start(self, host: str, port: int, backlog: int) -> int:
        """Listen, and return the port, which the kernel chooses for 0. Raises ``OSError`` when it is taken."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=backlog)
        listening.setblocking(False)
        asyncio.get_running_loop().add_reader(listening, self._accept, listening)
        self._listening = listening
        return int(listening.getsockname()[1])

    async def stop(self) -> None:
        """Stop listening, and close every connection, whatever its caller is doing."""
        listening, self._listening = self._listening, None
        if listening is not None:
            asyncio.get_running_loop().remove_reader(listening)
            listening.close()
        for connection in self._connections:
            with suppress(OSError):  # it is closed already
                connection.shutdown(socket.SHUT_RDWR)
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSING_SECONDS):
                while self._handshakes or self._open():  # noqa: ASYNC110 - asyncio tells nobody that it closed a socket
                    await asyncio.sleep(0)

    def _open(self) -> bool:
        return any(connection.fileno() >= 0 for connection in self._connections)

    def _accept(self, listening: socket.socket) -> None:
        try:
            connection, _ = listening.accept()
        except OSError:  # the caller is gone already
            return
        connection.setblocking(False)
        self._connections.add(connection)
        task = asyncio.create_task(self._shake_hands(connection), name="tls handshake")
        self._handshakes.add(task)
        task.add_done_callback(self._handshakes.discard)

    async def _shake_hands(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            await loop.connect_accepted_socket(self._server, connection, ssl=self._context)
