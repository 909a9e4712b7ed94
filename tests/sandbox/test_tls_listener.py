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
