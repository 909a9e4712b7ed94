"""Disturbed in every way: no document lost, no row twice, no effect twice, no pause broken."""

import asyncio
import random
from typing import Any

import pytest

from tests.blackbox.imitations.numora import Doc
from tests.blackbox.imitations.wire import KINDS, Faults
from tests.blackbox.world import World, invoice, plain_lines


def add_invoices(made: World, count: int) -> list[Doc]:
    return [plain_lines(made.numora.add(made.acme.numora_key, invoice(number))) for number in range(count)]


@pytest.mark.parametrize("kind", KINDS)
async def test_every_kind_of_fault_leaves_one_row_and_one_callback(made: World, kind: str) -> None:
    """One request in ten meets the fault, at Numora and at Dynamics alike."""
    acme = await made.add_tenant()
    docs = add_invoices(made, 12)
    for server in (made.numora, acme.dataverse):
        server.faults = Faults(0.1, (kind,), seed=3, retry_after=0.2 if "date" in kind else 1, hang=0.5)
    await made.start()
    await made.until(lambda: made.finished(acme))
    made.written_once(acme, docs)
    assert any(seen.fault for seen in [*made.numora.requests, *acme.dataverse.requests])
    assert await made.bridge.stop() == 0
    made.holds()
    made.no_secret_was_written()


@pytest.mark.soak
@pytest.mark.timeout(240)
@pytest.mark.parametrize("rate", [0.05, 0.1])
async def test_all_faults_together_leave_one_row_and_one_callback(made: World, rate: float) -> None:
    acme = await made.add_tenant()
    docs = add_invoices(made, 200)
    for seed, server in enumerate((made.numora, acme.dataverse, made.entra)):
        server.faults = Faults(rate, seed=seed, retry_after=1, hang=1)
    await made.start()
    await made.until(lambda: made.finished(acme), 200)
    made.written_once(acme, docs)
    assert await made.bridge.stop() == 0
    made.holds()
    made.no_secret_was_written()


@pytest.mark.soak
@pytest.mark.timeout(240)
async def test_sporadic_faults_do_not_stall_a_tenant_under_the_default_schedule(made: World) -> None:
    """With nothing set but the defaults, 100 documents with faults at 5 % are through within two minutes or so."""
    acme = await made.add_tenant()
    made.settings = {
        "retry": {"schedule": ["0s", "5s", "1m", "5m", "30m", "2h", "5h", "10h", "10h", "24h", "24h"]},
        "blocked": {"probe": "30s"},
    }
    docs = add_invoices(made, 100)
    for seed, server in enumerate((made.numora, acme.dataverse)):
        server.faults = Faults(0.05, seed=seed, retry_after=1, hang=1)
    await made.start()
    await made.until(lambda: made.finished(acme), 200)
    made.written_once(acme, docs)
    made.holds()


@pytest.mark.parametrize(
    ("documents", "kills"),
    [(40, 4), pytest.param(300, 25, marks=[pytest.mark.soak, pytest.mark.timeout(300)])],
)
async def test_killed_at_random_it_goes_on_where_it_was(made: World, documents: int, kills: int) -> None:
    """SIGKILL whenever it likes: no document lost, no row twice, no effect twice, no callback with other bytes."""
    acme = await made.add_tenant(poll={"every": "1s", "limit": 25})
    acme.dataverse.latency = made.numora.latency = 0.02
    docs = add_invoices(made, documents)
    chance = random.Random(documents)
    await made.start()
    for _ in range(kills):
        # Killed after so many more requests: spread over all that it does, however quick the machine is.
        seen = len(made.numora.requests) + len(acme.dataverse.requests)
        more = chance.randint(0, 4 * documents // kills)
        await made.until(
            lambda seen=seen, more=more: (
                len(made.numora.requests) + len(acme.dataverse.requests) >= seen + more  # type: ignore[misc]
                or made.finished(acme)
            )
        )
        await made.bridge.kill()
        await made.bridge.start(wait=False)
    await made.bridge.until_listening()
    await made.until(lambda: made.finished(acme))
    made.written_once(acme, docs)
    assert len(await made.bridge.deliveries()) == documents
    assert await made.bridge.stop() == 0
    made.holds()
    made.no_secret_was_written()


@pytest.mark.parametrize(
    ("style", "documents"),
    [
        ("single_use", 60),
        *[
            pytest.param(style, 1000, marks=[pytest.mark.soak, pytest.mark.timeout(240)])
            for style in ("single_use", "age", "refused")
        ],
    ],
)
async def test_cursors_that_expire_lose_no_document(made: World, style: str, documents: int) -> None:
    """A cursor that is good once, or for a while, or refused at will: the window is read again from its start."""
    acme = await made.add_tenant(poll={"every": "1s", "limit": 10 if documents < 100 else 100})
    made.numora.cursor_style = style
    docs = add_invoices(made, documents)
    made.numora.faults.only = lambda seen: seen.path.endswith("/outbox")
    made.numora.faults.rate, made.numora.faults.kinds = 0.15, ("reset_after", "status_before", "truncated")
    await made.start()
    await made.until(lambda: made.finished(acme), 200)
    made.written_once(acme, docs)
    made.holds()


async def test_a_callback_without_an_answer_is_sent_again_byte_for_byte(made: World) -> None:
    acme = await made.add_tenant()
    (doc,) = add_invoices(made, 1)
    made.numora.faults.only = lambda seen: seen.method == "POST"
    made.numora.faults.queue = ["reset_after", "status_after", "html_502", "reset_before", "truncated"]
    await made.start()
    await made.until(lambda: len(made.numora.sent("POST", "/delivery")) >= 6 or not made.numora.faults.queue)
    await made.until_told(lambda: ended(made, doc.id, "succeeded"))
    bodies = {seen.body for seen in made.numora.sent("POST", "/delivery")}
    assert len(bodies) == 1
    made.written_once(acme, [doc])


async def ended(made: World, document: str, state: str, **more: Any) -> bool:
    delivery = await made.bridge.delivery(document)
    return (
        bool(delivery) and delivery["state"] == state and all(delivery[name] == value for name, value in more.items())
    )


@pytest.mark.parametrize("status", [200, 202, 204])
async def test_any_good_answer_to_a_callback_is_enough(made: World, status: int) -> None:
    acme = await made.add_tenant()
    made.numora.callback_status = status
    (doc,) = add_invoices(made, 1)
    await made.start()
    await made.until_told(lambda: ended(made, doc.id, "succeeded"))
    made.written_once(acme, [doc])


async def test_an_expired_token_is_fetched_once_more_and_nothing_else_happens(made: World) -> None:
    """A 401 from Dynamics means one forced refresh of the token."""
    acme = await made.add_tenant()
    docs = add_invoices(made, 3)
    await made.start()
    await made.until(lambda: made.finished(acme))
    made.entra.tokens.clear()
    docs += [plain_lines(made.numora.add(acme.numora_key, invoice(number))) for number in range(3, 6)]
    await made.until(lambda: made.finished(acme))
    made.written_once(acme, docs)
    assert len(made.entra.sent("POST")) == 2
    assert (await made.bridge.tenant())["healthy"]


async def test_a_dead_destination_does_not_slow_its_neighbours(made: World) -> None:
    acme = await made.add_tenant()
    dead = await made.add_tenant("globex")
    made.numora.add(dead.numora_key, invoice(1, "globex"))
    docs = add_invoices(made, 50)
    await dead.dataverse.stop()
    await made.start()
    await made.until(lambda: made.finished(acme))
    made.written_once(acme, docs)
    await dead.dataverse.start()
    await made.until(lambda: made.finished(dead))


@pytest.mark.soak
@pytest.mark.timeout(400)
async def test_a_write_that_is_never_answered_holds_up_that_document_alone(made: World) -> None:
    """One create hangs until the client gives up; all others go on; it is one row in the end."""
    acme = await made.add_tenant()
    docs = add_invoices(made, 20)
    acme.dataverse.faults.only = lambda seen: seen.method == "POST"
    acme.dataverse.faults.queue = ["hang"]
    acme.dataverse.faults.hang = 1000
    await made.start()
    done = made.numora.customer(acme.numora_key).values()
    await made.until(lambda: sum(doc.status == "push_succeeded" for doc in done) == 19)
    await made.until(lambda: made.finished(acme), 300)
    made.written_once(acme, docs)


async def test_a_pause_that_was_asked_for_outlives_the_process(made: World) -> None:
    """Nothing is sent inside the window by the process that comes after a kill: no poll, no check, no delivery."""
    acme = await made.add_tenant()
    docs = add_invoices(made, 4)
    for server in (made.numora, acme.dataverse):
        server.faults.retry_after = 8
    made.numora.faults.only = lambda seen: seen.path.endswith("/result")
    made.numora.faults.queue = ["throttled_seconds"]
    acme.dataverse.faults.queue = ["throttled_date"]
    await made.start()
    await made.until(lambda: not made.numora.faults.queue and not acme.dataverse.faults.queue)
    await asyncio.sleep(0.7)
    await made.bridge.kill()
    await made.bridge.start()
    await made.until(lambda: made.finished(acme))
    made.holds()
    made.written_once(acme, docs)
