"""URLs that somebody else named: read strictly, so that what was looked at is what is connected to."""

import re
from collections.abc import Iterable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from typing import Final
from urllib.parse import urlsplit

from yarl import URL

LONGEST_URL: Final = 2048
"""Characters."""

_UNUSABLE = re.compile(r"[\x00-\x20\x7f-\xa0\\\ud800-\udfff]")
_AUTHORITY = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9_.-]+)(?::(?P<port>[0-9]{1,5}))?")
_NUMBER = re.compile(r"[0-9]+|0[xX][0-9A-Fa-f]*")
_LONGEST_NAME = 253
_LONGEST_LABEL = 63
_LARGEST_PORT = 65_535

_INSIDE_ONLY = frozenset({"localhost", "local", "internal", "home.arpa"})
"""Domains that are kept for use inside of networks: no name below them is public."""

_PUBLIC_V6 = ip_network("2000::/3")

# `is_global` is true for some of these, or was in older versions: translations of other addresses, tunnels, samples,
# and Azure's host agent.
_NEVER_V4 = tuple(
    ip_network(network)
    for network in (
        "100.64.0.0/10",
        "168.63.129.16/32",
        "192.0.0.0/24",
        "192.88.99.0/24",
        "198.18.0.0/15",
        "240.0.0.0/4",
    )
)
_NEVER_V6 = tuple(ip_network(network) for network in ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20"))
_MAPPED = ip_network("::ffff:0:0/96")


class ForbiddenUrlError(Exception):
    """The URL is not one that may be used on behalf of somebody else; the message says why, and what to do.

    ``code`` is stable. The message holds the host at most, never the rest of the URL, which may be a secret.
    """

    code = "forbidden_url"


def is_public(address: str) -> bool:
    """Tell whether an IP address is one of the public internet, by whatever notation it is wrapped in."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address):
        if parsed in _MAPPED and parsed.ipv4_mapped is not None:
            return _is_public_v4(parsed.ipv4_mapped)
        # Everything else outside of 2000::/3 is local, or stands for an address of the older kind.
        return parsed in _PUBLIC_V6 and parsed.is_global and not any(parsed in network for network in _NEVER_V6)
    return _is_public_v4(parsed)


def _is_public_v4(address: IPv4Address) -> bool:
    if not address.is_global or address.is_multicast:
        return False
    return not any(address in network for network in _NEVER_V4)


class AllowedHosts:
    """Hosts that the operator lets be reached wherever they are, and by ``http://``.

    A host is allowed by the spelling it is listed with: 127.0.0.1 does not allow ``localhost``, nor the other way
    round. Upper and lower case, brackets and a dot at the end of a name make no difference.
    """

    def __init__(self, hosts: Iterable[str] = ()) -> None:
        self._hosts = frozenset(_canonical(host.strip("[]")) for host in hosts)

    def __contains__(self, host: str) -> bool:
        return _canonical(host.strip("[]")) in self._hosts


def checked_url(text: str, allowed: AllowedHosts) -> URL:
    """Return a URL that may be connected to, as it is written but for its host, whose spelling is made plain.

    Hosts that are addresses are looked at here; names are when the connection is made. Raises ``ForbiddenUrlError``.
    """
    if len(text) > LONGEST_URL or _UNUSABLE.search(text):
        raise ForbiddenUrlError(f"A URL has no blanks or control characters, and at most {LONGEST_URL} characters.")
    try:
        plain = text if text.isascii() else str(URL(text))
        parts = urlsplit(plain)
    except ValueError as error:
        raise ForbiddenUrlError("This is not a URL; write https:// and a host.") from error
    if parts.scheme not in {"https", "http"}:
        raise ForbiddenUrlError("A URL begins with https:// and a host.")
    if "@" in parts.netloc:
        raise ForbiddenUrlError("The URL holds a user name or password; leave them out.")
    authority = _AUTHORITY.fullmatch(parts.netloc)
    if authority is None or not 0 < int(authority["port"] or 443) <= _LARGEST_PORT:
        raise ForbiddenUrlError("The URL's host or port is not one that can be; write the host's plain name.")
    host = _host(authority["host"])
    if not text.isascii() and _is_address(host):
        raise ForbiddenUrlError(f"The host is an address in an odd spelling; write it as {host}.")
    if host not in allowed:
        _look_at(host, parts.scheme)
    shown = f"[{host}]" if ":" in host else host
    port = f":{int(authority['port'])}" if authority["port"] else ""
    rest = plain.partition("#")[0].split("//", 1)[1][len(parts.netloc) :]
    return URL(f"{parts.scheme}://{shown}{port}{rest if rest.startswith('/') else '/' + rest}", encoded=True)


def _host(written: str) -> str:
    """Return a host in the one spelling that it is compared and connected by."""
    if written.startswith("["):
        try:
            return str(IPv6Address(written.strip("[]")))
        except ValueError as error:
            raise ForbiddenUrlError(f"The host {written} is not an address.") from error
    host = written.lower()
    name = host.removesuffix(".")
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        # What ends in a number is taken for an address, in many a spelling, by whoever looks it up.
        try:
            return str(IPv4Address(host))
        except ValueError as error:
            raise ForbiddenUrlError(
                f"The host {written} is an address in an odd spelling; write it as four decimal numbers."
            ) from error
    if len(name) > _LONGEST_NAME or any(not 0 < len(label) <= _LONGEST_LABEL for label in labels):
        raise ForbiddenUrlError("The URL's host is not a name that can be.")
    return name


def _look_at(host: str, scheme: str) -> None:
    """Refuse what needs to be allowed and is not. Raises ``ForbiddenUrlError``."""
    if _is_address(host):
        inside = not is_public(host)
    else:
        inside = "." not in host or any(host == domain or host.endswith(f".{domain}") for domain in _INSIDE_ONLY)
    if inside:
        raise ForbiddenUrlError(
            f"The host {host} is not public. If it may be reached, the operator lists it under allow_hosts."
        )
    if scheme != "https":
        raise ForbiddenUrlError(f"http:// is taken for hosts under allow_hosts only, and {host} is none; use https://.")


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _canonical(host: str) -> str:
    host = host.lower()
    if _is_address(host):
        return str(ip_address(host))
    name = host.removesuffix(".")
    if name.isascii():
        return name
    try:
        return URL.build(scheme="https", host=name).raw_host or name
    except ValueError:
        return name
