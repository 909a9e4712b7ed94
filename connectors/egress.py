"""Connections to addresses that somebody else named: a document or a caller, not the operator."""

import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from connectors.addresses import AllowedHosts, ForbiddenUrlError, checked_url, is_public
from connectors.http import tls_context

__all__ = ["ForbiddenAddressError", "ForbiddenUrlError", "GuardedSessions", "is_public"]


class ForbiddenAddressError(OSError):
    """The address is not one that may be reached on behalf of somebody else."""


class GuardedSessions:
    """Connection pools for addresses that somebody else named.

    ``allow_hosts`` may be reached wherever they are; every other host only at a public address, which is looked
    at when the connection is made: a name that changes its address in between gains nothing. Who sends bounds how
    many connections there are.
    """

    def __init__(
        self, allow_hosts: Iterable[str], ca_file: Path | None, *, resolver: AbstractResolver | None = None
    ) -> None:
        self._allowed = AllowedHosts(allow_hosts)
        self._ca_file = ca_file
        self._resolver = resolver
        self._guarded: aiohttp.ClientSession | None = None
        self._trusted: aiohttp.ClientSession | None = None

    def allow(self, allow_hosts: Iterable[str]) -> None:
        """Put another list of allowed hosts in force, for connections that are made from now on."""
        self._allowed = AllowedHosts(allow_hosts)

    def checked(self, url: str) -> URL:
        """Return a URL as it may be sent to, its rest as it was written. Raises ``ForbiddenUrlError``."""
        return checked_url(url, self._allowed)

    def allows_anywhere(self, host: str) -> bool:
        """Tell whether the operator lets this host be reached wherever it is."""
        return host in self._allowed

    def for_host(self, host: str) -> aiohttp.ClientSession:
        """Return the pool to use for a host."""
        if self.allows_anywhere(host):
            if self._trusted is None:
                self._trusted = self._open(guarded=False)
            return self._trusted
        if self._guarded is None:
            self._guarded = self._open(guarded=True)
        return self._guarded

    async def close(self) -> None:
        """Close both pools."""
        for session in (self._guarded, self._trusted):
            if session is not None:
                await session.close()

    def _open(self, *, guarded: bool) -> aiohttp.ClientSession:
        connector = aiohttp.TCPConnector(
            limit=0,
            ssl=tls_context(self._ca_file),
            force_close=True,
            resolver=_PublicOnly(self._resolver) if guarded else self._resolver,
            socket_factory=_guarded_socket if guarded else None,
        )
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)


class _PublicOnly(AbstractResolver):
    """Looks names up, and keeps what is public of their addresses. Addresses themselves never come by here."""

    def __init__(self, resolver: AbstractResolver | None) -> None:
        self._resolver = resolver or ThreadedResolver()

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the public addresses of a name. Raises ``ForbiddenAddressError`` when it has others alone."""
        found = await self._resolver.resolve(host, port, family)
        public = [one for one in found if is_public(one["host"])]
        if found and not public:
            raise ForbiddenAddressError(f"{host} has no public address")
        return public

    async def close(self) -> None:
        """Let go of the resolver."""
        await self._resolver.close()


def _guarded_socket(address_info: tuple[Any, ...]) -> socket.socket:
    """Make the socket for a connection, once its final address is known to be public."""
    family, kind, protocol, _, address = address_info
    if not is_public(str(address[0])):
        raise ForbiddenAddressError(f"{address[0]} is not a public address")
    made = socket.socket(family=family, type=kind, proto=protocol)
    made.setblocking(False)
    return made
