"""Faults on request: every kind, where it strikes relative to the effect, and how it is asked for.

The double is a sandbox that counts its effects; the oracle is that count next to what the client saw.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, ClassVar

import aiohttp
import pytest
from aiohttp import web

from connectors.sandbox.faults import FaultPlan
from connectors.sandbox.server import SandboxServer


class Counting(SandboxServer):
    """Every request to it is an effect."""

    name: ClassVar[str] = "counting"
    effects = 0

    def routes(self) -> Iterable[web.RouteDef]:
        async def effect(request: web.Request) -> web.Response:
            self.effects += 1
            return web.json_response({"effect": self.effects})

        return [web.route("*", "/{path:.*}", effect)]

    def state(self) -> Any:
        return {"effects": self.effects}

    def clear(self) -> None:
        self.effects = 0


@pytest.fixture
async def sandbox() -> AsyncIterator[Counting]:
    async with Counting() as running:
        yield running


async def status_of(session: aiohttp.ClientSession, sandbox: Counting, path: str = "/a") -> int:
    async with session.post(f"{sandbox.url}{path}") as response:
        await response.read()
        return response.status


@pytest.mark.parametrize(
    ("kind", "status", "effects"),
    [
        ("status_before", 503, 0),
        ("status_after", 503, 1),
        ("html_502", 502, 0),
        ("html_502_after", 502, 1),
        ("unauthorized", 401, 0),
    ],
)
async def test_a_status_fault_leaves_the_effect_or_not(session, sandbox, kind, status, effects):
    sandbox.faults.add(kind, times=1)
    assert await status_of(session, sandbox) == status
    assert sandbox.effects == effects
    assert await status_of(session, sandbox) == 200


@pytest.mark.parametrize(("kind", "effects"), [("reset_before", 0), ("reset_after", 1), ("truncated", 1)])
async def test_a_broken_connection_leaves_the_effect_or_not(session, sandbox, kind, effects):
    sandbox.faults.add(kind, times=1)
    with pytest.raises(aiohttp.ClientError):
        await status_of(session, sandbox)
    assert sandbox.effects == effects
    assert [record.status for record in sandbox.requests] == [None]


async def test_a_truncated_answer_announces_its_full_length(sandbox):
    sandbox.faults.add("truncated")
    reader, writer = await asyncio.open_connection("127.0.0.1", sandbox.port)
    writer.write(b"GET /a HTTP/1.1\r\nHost: sandbox\r\n\r\n")
    head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    assert b"Content-Length: 13" in head
    assert body == b'{"effe'


@pytest.mark.parametrize(("kind", "effects_meanwhile"), [("hang", 0), ("hang_after", 1)])
async def test_a_request_hangs_until_it_is_released(session, sandbox, kind, effects_meanwhile):
    sandbox.faults.add(kind, times=1)
    hanging = asyncio.create_task(status_of(session, sandbox))
    await sandbox.faults.until_struck(kind=kind)
    async with session.get(f"{sandbox.url}/_sandbox/state") as state:
        assert await state.json() == {"effects": effects_meanwhile}
    async with session.post(f"{sandbox.url}/_sandbox/release") as released:
        assert released.status == 204
    assert await hanging == 200
    assert sandbox.effects == 1


async def test_a_request_hangs_no_longer_than_its_delay(session, sandbox):
    sandbox.faults.add("hang", delay=0.01)
    assert await status_of(session, sandbox) == 200


async def test_a_request_takes_effect_though_its_sender_has_gone(session, sandbox):
    """The late commit: whoever looks before the release finds nothing, and finds it afterwards."""
    sandbox.faults.add("hang", times=1)
    hanging = asyncio.create_task(status_of(session, sandbox))
    await sandbox.faults.until_struck()
    hanging.cancel()
    await asyncio.wait([hanging])
    assert sandbox.effects == 0
    sandbox.faults.release()
    assert await status_of(session, sandbox) == 200
    assert sandbox.effects == 2


async def test_stopping_cuts_off_what_hangs_without_an_effect(session, sandbox):
    sandbox.faults.add("hang")
    hanging = asyncio.create_task(status_of(session, sandbox))
    await sandbox.faults.until_struck()
    await sandbox.stop()
    with pytest.raises(aiohttp.ClientError):
        await hanging
    assert sandbox.effects == 0


async def test_every_request_inside_the_window_is_a_violation(session, sandbox):
    sandbox.faults.add("throttle", times=1, retry_after=60)
    async with session.post(f"{sandbox.url}/a", headers={"X-API-Key": "one"}) as first:
        assert (first.status, first.headers["Retry-After"]) == (429, "60")
    async with session.post(f"{sandbox.url}/a", headers={"X-API-Key": "one"}) as second:
        assert second.status == 429
        assert 0 < int(second.headers["Retry-After"]) <= 60
    async with session.post(f"{sandbox.url}/a", headers={"X-API-Key": "two"}) as other:
        assert other.status == 200
    assert (sandbox.violations, sandbox.effects) == (1, 1)
    assert "one" not in sandbox.windows.violations[0].identity


async def test_a_window_that_has_passed_lets_requests_in_again(session, sandbox):
    sandbox.faults.add("throttle", times=1, retry_after=0)
    assert await status_of(session, sandbox) == 429
    assert await status_of(session, sandbox) == 200
    assert sandbox.violations == 0


async def test_a_request_that_was_on_its_way_is_refused_but_no_violation(session, sandbox):
    sandbox.faults.add("throttle", times=1, retry_after=60, grace=30)
    assert [await status_of(session, sandbox), await status_of(session, sandbox)] == [429, 429]
    assert sandbox.violations == 0


async def test_the_window_can_be_announced_as_an_http_date(session, sandbox):
    sandbox.faults.add("throttle", retry_after=90, http_date=True)
    async with session.post(f"{sandbox.url}/a") as response:
        until = parsedate_to_datetime(response.headers["Retry-After"])
    assert 60 < (until - datetime.now(UTC)).total_seconds() <= 91


async def test_a_fault_strikes_what_it_is_meant_for(session, sandbox):
    sandbox.faults.add("status_before", method="POST", path=r"^/only\?x=1$", status=418)
    assert await status_of(session, sandbox, "/only?x=1") == 418
    assert await status_of(session, sandbox, "/only?x=2") == 200
    async with session.get(f"{sandbox.url}/only?x=1") as response:
        assert response.status == 200


async def test_a_fault_can_let_the_first_requests_pass(session, sandbox):
    sandbox.faults.add("status_before", skip=2, times=1)
    assert [await status_of(session, sandbox) for _ in range(4)] == [200, 200, 503, 200]


def test_equal_seeds_strike_the_same_requests():
    def struck(seed: int) -> list[bool]:
        plan = FaultPlan(seed)
        plan.add("reset_after", rate=0.3)
        return [plan.strike("POST", "/a") is not None for _ in range(200)]

    assert struck(7) == struck(7)
    assert struck(7) != struck(8)
    assert 30 < sum(struck(7)) < 90


async def test_faults_are_added_listed_and_cleared_over_http(session, sandbox):
    faults = f"{sandbox.url}/_sandbox/faults"
    wanted = [{"kind": "status_after", "status": 500, "times": 1}, {"kind": "hang", "path": "never"}]
    async with session.post(faults, json=wanted) as added:
        assert (added.status, await added.json()) == (201, {"ids": [1, 2]})
    assert await status_of(session, sandbox) == 500
    async with session.get(faults) as listed:
        content = await listed.json()
    assert [(fault["kind"], fault["matched"], fault["struck"]) for fault in content["faults"]] == [
        ("status_after", 1, 1),
        ("hang", 0, 0),
    ]
    async with session.delete(faults) as cleared:
        assert cleared.status == 204
    assert sandbox.faults.report() == []


@pytest.mark.parametrize(
    "bad",
    [
        {"kind": "flood"},
        {"kind": "hang", "rate": 2},
        {"kind": "hang", "path": "("},
        {"kind": "hang", "colour": 1},
        {"kind": "status_after", "status": 200},
    ],
)
async def test_a_fault_that_makes_no_sense_is_refused(session, sandbox, bad):
    async with session.post(f"{sandbox.url}/_sandbox/faults", json=bad) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"]
    assert sandbox.faults.report() == []


async def test_the_journal_shows_requests_without_their_secrets(session, sandbox):
    sandbox.faults.add("status_after", times=1)
    async with session.post(
        f"{sandbox.url}/a?b=c", json={"x": 1}, headers={"Authorization": "Bearer hush", "X-Request-Id": "r1"}
    ):
        pass
    async with session.get(f"{sandbox.url}/_sandbox/requests") as answer:
        text = await answer.text()
        [entry] = (await answer.json())["requests"]
    assert "hush" not in text
    assert (entry["method"], entry["path"], entry["status"], entry["faults"]) == (
        "POST",
        "/a?b=c",
        503,
        ["status_after"],
    )
    assert (entry["headers"]["x-request-id"], entry["headers"]["authorization"]) == ("r1", "***")
    assert entry["body"] == '{"x": 1}'


async def test_reset_forgets_everything(session, sandbox):
    sandbox.faults.add("throttle", times=1, retry_after=60)
    await status_of(session, sandbox)
    await status_of(session, sandbox)
    async with session.post(f"{sandbox.url}/_sandbox/reset") as answer:
        assert answer.status == 204
    assert (sandbox.violations, sandbox.requests.total, sandbox.faults.report()) == (0, 0, [])
    assert await status_of(session, sandbox) == 200


async def test_a_restart_keeps_address_and_state(session, sandbox):
    await status_of(session, sandbox)
    address = sandbox.url
    await sandbox.stop()
    await sandbox.start()
    assert sandbox.url == address
    assert await status_of(session, sandbox) == 200
    assert sandbox.effects == 2


async def test_latency_is_set_while_running(session, sandbox):
    async with session.put(f"{sandbox.url}/_sandbox/latency", json={"seconds": 0.001}) as answer:
        assert answer.status == 204
    assert sandbox.latency == 0.001
    assert await status_of(session, sandbox) == 200
