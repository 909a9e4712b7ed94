"""A sandbox with TLS stops cleanly whatever its callers are doing."""

import asyncio
import gc
import socket
import warnings
from contextlib import suppress

import pytest

from connectors.entra.sandbox import EntraSandbox
from connectors.sandbox.authority import SandboxAuthority


@pytest.mark.parametrize("turns", range(5))
def test_connections_in_the_middle_of_their_handshake_are_closed(tmp_path, turns: int):
    callers: list[socket.socket] = []

    async def stopped_in_between() -> None:
        async with EntraSandbox(SandboxAuthority(tmp_path)) as entra:
            for _ in range(3):
                caller = socket.create_connection((entra.host, entra.port))
                caller.settimeout(5)
                callers.append(caller)
            for _ in range(turns):
                await asyncio.sleep(0)

    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            asyncio.run(stopped_in_between())
            gc.collect()
        assert [str(warning.message) for warning in told] == []
        for caller in callers:
            with suppress(ConnectionResetError):  # it was never accepted
                assert caller.recv(1) == b""
    finally:
        for caller in callers:
            caller.close()


def test_a_connection_whose_caller_never_says_good_bye_is_closed(tmp_path):
    async def stopped_with_a_caller() -> None:
        authority = SandboxAuthority(tmp_path)
        async with EntraSandbox(authority) as entra:
            trusting = authority.client_context()
            reader, writer = await asyncio.open_connection(entra.host, entra.port, ssl=trusting)
            writer.write(b"GET /_sandbox/state HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert await reader.readline() == b"HTTP/1.1 200 OK\r\n"
            writer.transport.pause_reading()
        writer.transport.abort()
        await asyncio.sleep(0)

    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        asyncio.run(stopped_with_a_caller())
        gc.collect()
    assert [str(warning.message) for warning in told] == []


async def test_a_port_that_is_taken_is_told_and_a_stop_gives_it_back(tmp_path):
    authority = SandboxAuthority(tmp_path)
    first = EntraSandbox(authority)
    await first.start()
    second = EntraSandbox(authority, port=first.port)
    with pytest.raises(OSError, match="in use"):
        await second.start()
    await second.stop()
    await first.stop()
    await second.start()
    await second.stop()
