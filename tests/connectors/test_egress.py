"""Addresses that documents name are not to be trusted.

Doubles: a plain aiohttp server on loopback that counts what reaches it. It plays a host inside the operator's network.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

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
async def host_and_fetcher(*allow_hosts: str) -> AsyncIterator[tuple[Host, FileFetcher]]:
    """Run the host, and a fetcher for which these hosts are allowed."""
    host = Host()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", host.answer)
    sessions = GuardedSessions(allow_hosts, None)
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
    ],
)
async def test_a_host_inside_is_never_asked_by_whatever_name(spelling: str) -> None:
    """The address is looked at when the connection is made, so a name leads nowhere else."""
    async with host_and_fetcher() as (host, fetch):
        with pytest.raises(RejectedError, match="not at a public address"):
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
