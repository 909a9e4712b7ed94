"""Addresses that documents name are not to be trusted.

Doubles: a plain aiohttp server on loopback that counts what reaches it. It plays a host inside the operator's network.
"""

import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.test_utils import TestServer
from hypothesis import given
from hypothesis import strategies as st

from connectors.addresses import AllowedHosts, ForbiddenUrlError, checked_url
from connectors.egress import GuardedSessions, is_public
from connectors.files import LARGEST_FILE, FileFetcher
from connectors.outcome import RejectedError, TransientError


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_may_be_reached(address: str) -> None:
    """The guard keeps the inside in, and nothing else."""
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.9.9.9",
        "0.0.0.0",  # noqa: S104 - an address to be refused
        "10.0.0.1",
        "172.16.5.4",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "168.63.129.16",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "::127.0.0.1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "64:ff9b::808:808",
        "2002:7f00:1::",
        "fe80::1",
        "fe80::1%eth0",
        "fc00::1",
        "ff02::1",
        "2001:db8::1",
        "not an address",
        "2130706433",
        "0x7f.1",
        "192.0.0.9",
        "192.88.99.1",
        "198.18.0.1",
        "240.0.0.1",
        "::ffff:0:8.8.8.8",
        "64:ff9b:1::808:808",
        "2001::1",
        "3fff::1",
        "5f00::1",
        "fec0::1",
        "100::1",
    ],
)
def test_every_other_address_is_refused_in_whatever_notation(address: str) -> None:
    """Mapped, translated and link-local spellings of the inside are the inside."""
    assert not is_public(address)


class Host:
    """A host in the operator's network."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.url = ""

    async def answer(self, request: web.Request) -> web.Response:
        """Answer by path."""
        self.asked.append(request.path)
        match request.path:
            case "/invoice.pdf":
                return web.Response(body=b"%PDF-1.7", content_type="application/pdf")
            case "/away":
                return web.Response(status=302, headers={"Location": f"{self.url}/invoice.pdf"})
            case "/inside":
                return web.Response(status=302, headers={"Location": "https://169.254.169.254/latest/meta-data"})
            case "/round":
                return web.Response(status=302, headers={"Location": "/round"})
            case "/busy":
                return web.Response(status=503)
            case "/large":
                return web.Response(body=b"x" * (LARGEST_FILE + 1))
        return web.Response(status=404)


@asynccontextmanager
async def host_and_fetcher(
    *allow_hosts: str, resolver: AbstractResolver | None = None
) -> AsyncIterator[tuple[Host, FileFetcher]]:
    """Run the host, and a fetcher for which these hosts are allowed."""
    host = Host()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", host.answer)
    sessions = GuardedSessions(allow_hosts, None, resolver=resolver)
    async with TestServer(app) as server:
        host.url = f"http://127.0.0.1:{server.port}"
        try:
            yield host, FileFetcher(sessions)
        finally:
            await sessions.close()


@pytest.mark.parametrize("path", ["/invoice.pdf", "/away"])
async def test_a_file_of_an_allowed_host_is_fetched(path: str) -> None:
    """Also by way of a redirect, each step of which is looked at."""
    async with host_and_fetcher("127.0.0.1") as (host, fetch):
        file = await fetch(host.url + path)

    assert (file.content, file.name, file.media_type) == (b"%PDF-1.7", "invoice.pdf", "application/pdf")


@pytest.mark.parametrize(
    "spelling",
    [
        "https://127.0.0.1:{port}/x",
        "https://localhost:{port}/x",
        "https://2130706433:{port}/x",
        "https://[::1]:{port}/x",
        "https://[::ffff:127.0.0.1]:{port}/x",
        "https://0177.0.0.1:{port}/x",
        "https://127.0.0.1.:{port}/x",
    ],
)
async def test_a_host_inside_is_never_asked_by_whatever_name(spelling: str) -> None:
    """Addresses are refused as they are read."""
    async with host_and_fetcher() as (host, fetch):
        with pytest.raises(RejectedError, match=r"not public|odd spelling"):
            await fetch(spelling.format(port=host.url.rpartition(":")[2]))

    assert host.asked == []


@pytest.mark.parametrize(
    "address",
    [
        "http://example.com/x",
        "ftp://example.com/x",
        "file:///etc/passwd",
        "https://user:word@example.com/x",
        "https:///x",
        "not a url",
        "",
    ],
)
async def test_an_address_that_may_not_be_used_is_told_to_the_reviewer(address: str) -> None:
    """The document is rejected; nothing is asked of anyone."""
    async with host_and_fetcher() as (_, fetch):
        with pytest.raises(RejectedError) as caught:
            await fetch(address)

    assert caught.value.code == "file_unavailable"


@pytest.mark.parametrize("path", ["/inside", "/round", "/missing", "/large"])
async def test_a_file_that_cannot_be_had_rejects_the_document(path: str) -> None:
    """Whether it leads inside, in a circle, to nothing, or to too much."""
    async with host_and_fetcher("127.0.0.1") as (host, fetch):
        with pytest.raises(RejectedError) as caught:
            await fetch(host.url + path)

    assert caught.value.code == "file_unavailable"


async def test_a_host_that_is_busy_is_asked_again_later() -> None:
    """A file that is not to be had now may be later."""
    async with host_and_fetcher("127.0.0.1") as (host, fetch):
        with pytest.raises(TransientError) as caught:
            await fetch(f"{host.url}/busy")

    assert caught.value.code == "file_unreachable"


class Resolver(AbstractResolver):
    """A resolver that a host inside has the answers of."""

    def __init__(self, *addresses: str) -> None:
        self.addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        """Return the addresses."""
        return [
            ResolveResult(
                hostname=host,
                host=address,
                port=port,
                family=socket.AF_INET6 if ":" in address else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for address in self.addresses
        ]

    async def close(self) -> None:
        """Hold nothing."""


@pytest.mark.parametrize(
    "addresses",
    [("127.0.0.1",), ("::1", "127.0.0.1"), ("::ffff:127.0.0.1",), ("64:ff9b::7f00:1",), ("169.254.169.254",)],
)
async def test_a_name_that_leads_inside_is_not_followed_there(addresses: tuple[str, ...]) -> None:
    """The address is looked at when the connection is made, so a name that was public before gains nothing."""
    async with host_and_fetcher("elsewhere.example", resolver=Resolver(*addresses)) as (host, fetch):
        with pytest.raises(RejectedError, match="not at a public address"):
            await fetch(f"https://files.example:{host.url.rpartition(':')[2]}/x")

    assert host.asked == []


async def test_a_name_that_is_allowed_is_followed_inside() -> None:
    """That is what the list is for."""
    async with host_and_fetcher("files.example", resolver=Resolver("127.0.0.1")) as (host, fetch):
        file = await fetch(f"http://files.example:{host.url.rpartition(':')[2]}/invoice.pdf")

    assert file.content == b"%PDF-1.7"


async def test_a_file_whose_address_has_blanks_is_fetched_all_the_same() -> None:
    """People name files as they like."""
    async with host_and_fetcher("127.0.0.1") as (host, fetch):
        with pytest.raises(RejectedError):
            await fetch(f"{host.url}/my invoice.pdf")

    assert host.asked == ["/my invoice.pdf"]


@pytest.mark.parametrize(
    ("written", "read"),
    [
        ("https://example.com", "https://example.com/"),
        ("HTTPS://EXAMPLE.com.:8443/a%2Fb%41?x=%20&y=ä#part", "https://example.com:8443/a%2FbA?x=%20&y=%C3%A4"),
        ("https://example.com/a%2Fb%41?x=%2B#part", "https://example.com/a%2Fb%41?x=%2B"),
        ("https://example.com?signature=1", "https://example.com/?signature=1"),
        ("https://münchen.example/", "https://xn--mnchen-3ya.example/"),
        ("https://8.8.8.8/x", "https://8.8.8.8/x"),
        ("https://[2606:4700:4700:0::1111]/x", "https://[2606:4700:4700::1111]/x"),
        (
            "http://127.0.0.1:5678/webhook-waiting/1?signature=a%2Bb",
            "http://127.0.0.1:5678/webhook-waiting/1?signature=a%2Bb",
        ),
        ("http://N8N:5678/x", "http://n8n:5678/x"),
        ("http://[::1]:5678/x", "http://[::1]:5678/x"),
        ("https://n8n./x", "https://n8n/x"),
    ],
)
def test_a_url_is_kept_as_it_is_written_but_for_its_host(written: str, read: str) -> None:
    """A signature in it may be over every character."""
    assert str(checked_url(written, AllowedHosts(["127.0.0.1", "n8n", "[::1]"]))) == read


@pytest.mark.parametrize(
    "written",
    [
        "http://example.com/",
        "http://localhost/",
        "https://localhost/",
        "https://LOCALHOST./",
        "https://a.localhost/",
        "https://printer.local/",
        "https://metadata.google.internal/",
        "https://n8n/",
        "https://10.0.0.1/",
        "https://172.31.255.255/",
        "https://192.168.0.1/",
        "https://169.254.169.254/",
        "https://168.63.129.16/",
        "https://0.0.0.0/",
        "https://2130706433/",
        "https://017700000001/",
        "https://0x7f000001/",
        "https://0x7f.0.0.1/",
        "https://0177.0.0.1/",
        "https://127.1/",
        "https://127.0.0.1./",
        "https://127.0.0.01/",
        "https://127.0.0.1.1/",
        "https://1.2.3.256/",
        "https://%31%32%37.0.0.1/",
        "https://127%2e0.0.1/",
        "https://①②⑦.0.0.1/",
        "https://127。0。0。1/",
        "https://[::]/",
        "https://[::1]/",
        "https://[::127.0.0.1]/",
        "https://[::ffff:127.0.0.1]/",
        "https://[::ffff:7f00:1]/",
        "https://[0:0:0:0:0:ffff:10.0.0.1]/",
        "https://[::ffff:0:127.0.0.1]/",
        "https://[64:ff9b::127.0.0.1]/",
        "https://[64:ff9b::8.8.8.8]/",
        "https://[2002:7f00:1::]/",
        "https://[fe80::1]/",
        "https://[fe80::1%25eth0]/",
        "https://[fc00::1]/",
        "https://[v1.x]/",
        "https://[127.0.0.1]/",
        "https://user@example.com/",
        "https://user:word@example.com/",
        "https://example.com@127.0.0.1/",
        "https://127.0.0.1#@example.com/",
        "https://example.com\\@127.0.0.1/",
        "https://example.com /",
        "https://example.com\t/",
        "https://example.com/\r\nX: 1",
        "https://example.com/\0",
        "https://example.com:0/",
        "https://example.com:65536/",
        "https://example.com:/",
        "https://example.com:80x/",
        "https://exa mple.com/",
        "https://a..b/",
        "https://./",
        "https:///x",
        "https:/example.com",
        "https:example.com",
        "//example.com/",
        "example.com",
        "ftp://example.com/",
        "file:///etc/passwd",
        "gopher://127.0.0.1/",
        "javascript:alert(1)",
        f"https://{'a' * 64}.example/",
        f"https://{'a.' * 130}example/",
        f"https://example.com/{'a' * 2048}",
        "",
        " ",
        "https://\ud800.example/",
    ],
)
def test_a_url_that_leads_inside_or_nowhere_is_refused_in_every_spelling(written: str) -> None:
    """As it is read, so that whoever named it is told at once."""
    with pytest.raises(ForbiddenUrlError):
        checked_url(written, AllowedHosts())


@pytest.mark.parametrize(
    "written",
    [
        "http://2130706433:5678/",
        "http://0x7f.1/",
        "http://127.1/",
        "http://localhost:5678/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::1]/",
        "http://①②⑦.0.0.1/",
        "http://127.0.0.2/",
        "http://127.0.0.1.example.com/",
        "http://example.com/?127.0.0.1",
        "http://127.0.0.1@example.com/",
    ],
)
def test_a_host_is_allowed_by_the_spelling_it_is_listed_with(written: str) -> None:
    """What else leads to the same place was not meant."""
    with pytest.raises(ForbiddenUrlError):
        checked_url(written, AllowedHosts(["127.0.0.1"]))


@given(st.text(max_size=60), st.sampled_from(["", "https://", "http://", "https://[", "https://127.0.0.1"]))
def test_no_text_is_too_odd_to_be_judged(text: str, before: str) -> None:
    """It is a URL or it is refused; and what is taken is taken in the same way again."""
    allowed = AllowedHosts(["127.0.0.1"])
    try:
        url = checked_url(before + text, allowed)
    except ForbiddenUrlError:
        return
    assert checked_url(str(url), allowed) == url
