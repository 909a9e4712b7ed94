"""Listening with TLS in a way that can be stopped at any moment."""

import asyncio
import socket
import ssl
from contextlib import suppress

from aiohttp import web


class TlsListener:
    """Hands connections over to a server of aiohttp once their TLS handshake is done.

    A server of asyncio loses sight of the connections whose handshake is under way when it stops, and nobody ever
    closes them; here they are cut off.
    """

    def __init__(self, server: web.Server, context: ssl.SSLContext) -> None:
        self._server = server
        self._context = context
        self._socket: socket.socket | None = None
        self._accepting: asyncio.Task[None] | None = None
        self._handshakes: dict[asyncio.Task[None], socket.socket] = {}

    def start(self, host: str, port: int, backlog: int) -> int:
        """Listen, and return the port, which the kernel chooses for 0. Raises ``OSError`` when it is taken."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        listening = socket.create_server((host, port), family=family, backlog=backlog)
        listening.setblocking(False)
        self._socket = listening
        self._accepting = asyncio.create_task(self._accept(listening), name="tls listener")
        return int(listening.getsockname()[1])

    async def stop(self) -> None:
        """Stop listening and cut off the handshakes under way. Connections that the server has are left to it."""
        if self._accepting is not None:
            self._accepting.cancel()
            await asyncio.wait({self._accepting})
            self._accepting = None
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        for connection in self._handshakes.values():
            with suppress(OSError):  # the caller was quicker
                connection.shutdown(socket.SHUT_RDWR)
        if self._handshakes:
            # They are not cancelled: a handshake that is cancelled before its first turn goes on unseen.
            await asyncio.wait(self._handshakes)

    async def _accept(self, listening: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            connection, _ = await loop.sock_accept(listening)
            task = asyncio.create_task(self._shake_hands(connection), name="tls handshake")
            self._handshakes[task] = connection
            task.add_done_callback(self._handshakes.pop)

    async def _shake_hands(self, connection: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        with suppress(OSError):
            await loop.connect_accepted_socket(self._server, connection, ssl=self._context)
