"""``demo`` and ``sandbox``: what someone sees who has nothing but this project."""

import asyncio
import re
import signal
import socket
from contextlib import ExitStack

import aiohttp

from tests.cli.cli_process import PATIENCE, command, command_on_terminal, ended, plain, start

PROMISES = (
    "25 documents, 25 deliveries: 23 succeeded, 1 skipped, 1 failed",
    "23 documents delivered, 23 rows in Dataverse: each document has its own",
    "80 lines in these documents, 80 rows in numora_invoiceline",
    "103 creates for 103 rows, 0 updates: 0 effects happened twice",
    "25 reports taken by Numora, one for each document; 0 refused",
    "2 faults struck INV-2026-00001, and it was delivered all the same",
)


async def test_the_demo_delivers_shows_and_proves() -> None:
    """A line for each document as it ends, a table of all, the stories of three of them, and every promise kept."""
    shown = await command("demo")
    assert shown.code == 0, shown.everything
    assert shown.err == ""
    assert "\x1b" not in shown.out
    assert [f"{number}/25 " in shown.out for number in range(1, 26)] == [True] * 25
    table = re.findall(
        r"^(\S+) +(?:invoice_v2|receipt_v1|contract_v1) +(created|failed|skipped) +\d +(\S.*)$", shown.out, re.MULTILINE
    )
    assert len(table) == 25
    assert sum(bool(re.fullmatch("[0-9a-f-]{36}", row)) for _, outcome, row in table if outcome == "created") == 23
    assert "total_amount was read with a confidence of 0.41" in shown.out
    assert "R-000014 was skipped: in Numora it is a duplicate of R-000011." in shown.out
    assert "no answer (connection_lost)" in shown.out
    for promise in PROMISES:
        assert f"ok: {promise}\n" in shown.out


async def test_the_demo_fits_on_a_small_terminal() -> None:
    shown = await command_on_terminal("demo", columns=80)
    assert shown.code == 0, shown.out
    lines = plain(shown.out).splitlines()
    table = [line for line in lines if re.search("invoice_v2|receipt_v1|contract_v1", line)]
    assert len(table) == 25
    assert max(map(len, (line.rstrip() for line in table))) <= 80
    assert all(f"✓ {promise}" in lines for promise in PROMISES)


async def test_a_demo_that_is_kept_runs_until_ctrl_c() -> None:
    """The addresses that it prints answer: the bridge with its key, the sandboxes' control routes."""
    process = await start("demo", "--keep")
    assert process.stdout is not None
    seen = ""
    async with asyncio.timeout(PATIENCE):
        while "until Ctrl-C." not in seen:
            seen += (await process.stdout.readline()).decode()
    url, key = re.findall(r"The bridge\n +(\S+) +key (\S+)", seen)[0]
    state = re.findall(r"curl (\S+/_sandbox/state)", seen)[0]
    async with aiohttp.ClientSession() as session:
        async with session.get(f"{url}/v1/me", headers={"Authorization": f"Bearer {key}"}) as answer:
            assert (await answer.json())["role"] == "operator"
        async with session.get(state) as answer:
            assert len((await answer.json())["acme"]["documents"]) == 25
    process.send_signal(signal.SIGINT)
    stopped = await ended(process)
    assert stopped.code == 0, stopped.err


async def test_the_sandbox_listens_where_it_is_told_and_ends_on_sigterm() -> None:
    base = four_free_ports()
    process = await start("sandbox", "--port-base", str(base), "--documents", "2")
    assert process.stdout is not None
    seen = ""
    async with asyncio.timeout(PATIENCE):
        while "Ctrl-C ends it." not in seen:
            seen += (await process.stdout.readline()).decode()
    assert f"Numora     http://127.0.0.1:{base} " in seen
    assert f"Entra      https://127.0.0.1:{base + 1} " in seen
    assert f"Dataverse  http://127.0.0.1:{base + 2}\n" in seen
    assert f"Retab      http://127.0.0.1:{base + 3} " in seen
    config = re.findall(r"numora-bridge serve --config (\S+)", seen)[0]
    polled = await command("poll", "--config", config, "--tenant", "acme")
    assert polled.code == 0, polled.everything
    assert polled.out.endswith("acme: 2 succeeded\n")
    taken = await command("sandbox", "--port-base", str(base))
    assert taken.code == 1
    assert "Choose other ports with --port-base" in taken.err
    process.terminate()
    assert (await ended(process)).code == 0


def four_free_ports() -> int:
    while True:
        with socket.create_server(("127.0.0.1", 0)) as first:
            base: int = first.getsockname()[1]
            try:
                with ExitStack() as others:
                    for port in range(base + 1, base + 4):
                        others.enter_context(socket.create_server(("127.0.0.1", port)))
                    return base
            except OSError:
                continue
