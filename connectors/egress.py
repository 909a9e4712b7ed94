"""Which addresses may be reached when somebody else named them: a document or a caller, not the operator."""

import socket
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from pathlib import Path
from typing import Any

import aiohttp

from connectors.http import tls_context

# `is_global` is true for these all the same: translations of other addresses, and Azure's host agent.
_NEVER = tuple(
    ip_network(network)
    for network in (
        "64:ff9b::/96",
        "64:ff9b:1::/48",
        "2002::/16",
        "2001::/32",
        "::/96",
        "168.63.129.16/32",
        "fec0::/10",
    )
)


class ForbiddenAddressError(OSError):
    """The address is not one that may be reached on behalf of somebody else."""


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the public internet, by whatever notation it is wrapped in."""
    try:
        parsed: IPv4Address | IPv6Address = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    if not parsed.is_global or parsed.is_multicast:
        return False
    return not any(parsed in network for network in _NEVER if network.version == parsed.version)


class GuardedSessions:
    """Connection pools for addresses that somebody else named.

    ``allow_hosts`` may be reached wherever they are; every other host only at a public address, which is looked
    at when the connection is made: a name that changes its address in between gains nothing.
    """

    def __init__(self, allow_hosts: Iterable[str], ca_file: Path | None) -> None:
        self._allow_hosts = frozenset(host.lower().strip("[]") for host in allow_hosts)
        self._ca_file = ca_file
        self._guarded: aiohttp.ClientSession | None = None
        self._trusted: aiohttp.ClientSession | None = None

    def allows_anywhere(self, host: str) -> bool:
        """Tell whether the operator lets this host be reached wherever it is."""
        return host.lower().strip("[]") in self._allow_hosts

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
            ssl=tls_context(self._ca_file), force_close=True, socket_factory=_guarded_socket if guarded else None
        )
        return aiohttp.ClientSession(connector=connector, cookie_jar=aiohttp.DummyCookieJar(), trust_env=False)


def _guarded_socket(address_info: tuple[Any, ...]) -> socket.socket:
    """Make the socket for a connection, once its final address is known to be public."""
    family, kind, protocol, _, address = address_info
    if not is_public(str(address[0])):
        raise ForbiddenAddressError(f"{address[0]} is not a public address")
    made = socket.socket(family=family, type=kind, proto=protocol)
    made.setblocking(False)
    return made
