"""Whoever subscribed is told every end of a delivery, once, from the same ledger that holds the delivery."""

import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from event_receiver import SECRET, Receiver

from bridge.delivery.model import State
from bridge.ledger.protocol import LedgerFullError, Save
from bridge.sandbox import SandboxWorld
from bridge.shapes.deliveries import delivery_shape
from bridge.shapes.encoding import encode
from tests.pipeline.pipeline_stage import staged


@pytest.fixture
async def world() -> AsyncIterator[SandboxWorld]:
    async with SandboxWorld() as world:
        yield world


def configured(
    receiver: Receiver, *types: str, secret: str = f"'{SECRET}'", path: str = "/hook"
) -> Callable[[Path], None]:
    """Return an edit that has the tenant's events sent to the receiver."""

    def edit(folder: Path) -> None:
        with (folder / "bridge.yaml").open("a") as file:
            file.write("allow_hosts: [127.0.0.1]\n")
        listed = ", ".join(f'"{type}"' for type in types or ("*",))
        with (folder / "tenants" / "acme.yaml").open("a") as file:
            file.write(f"events: [{{url: '{receiver.url}{path}', secret: {secret}, types: [{listed}]}}]\n")

    return edit


@asynccontextmanager
async def telling(world: SandboxWorld, folder: Path, receiver: Receiver, *types: str, **config: Any) -> Any:
    async with staged(world, folder, edit=configured(receiver, *types), **config) as stage:
        yield stage


def told(receiver: Receiver, path: str = "/hook") -> list[tuple[str, str]]:
    """Return type and document of what arrived, a message that came twice counted once."""
    unique = {one.id: one for one in receiver.at(path)}
    return [(one.json["type"], one.json["data"].get("document_id", "")) for one in unique.values()]


async def test_an_end_is_told_with_the_delivery_as_the_api_shows_it(world, tmp_path, receiver):
    async with telling(world, tmp_path, receiver) as stage:
        delivery = await stage.delivered(stage.invoice())
        await receiver.until(lambda: receiver.received)

    [received] = receiver.received
    assert received.json["type"] == "delivery.succeeded"
    assert received.json["data"] == msgspec.json.decode(encode(delivery_shape(delivery)))
    assert received.json["timestamp"] == received.json["data"]["updated_at"]
    assert (received.json["data"]["state"], received.json["data"]["next_attempt_at"]) == ("succeeded", None)
    assert received.is_signed_with(SECRET)
    assert received.is_plainly_signed_with(SECRET)


async def test_a_rejection_and_its_correction_are_two_ends(world, tmp_path, receiver):
    async with telling(world, tmp_path, receiver) as stage:
        document = stage.invoice()
        fields = dict(document.fields)
        stage.world.workspace("acme").amend(document.id, fields={**fields, "invoice_date": None})
        await stage.delivered(document)
        stage.world.workspace("acme").amend(document.id, fields=fields)
        await stage.delivered(document)
        await receiver.until(lambda: len(told(receiver)) == 2)

    assert sorted(told(receiver)) == [("delivery.failed", document.id), ("delivery.succeeded", document.id)]
    [failed] = [one for one in receiver.received if one.json["type"] == "delivery.failed"]
    assert failed.json["data"]["problems"]


async def test_a_delivered_document_that_is_listed_again_is_not_told_again(world, tmp_path, receiver):
    async with telling(world, tmp_path, receiver) as stage:
        document = stage.invoice()
        await stage.delivered(document)
        for _ in range(3):
            await stage.service.deliver("acme", document.id, wait=10)
        other = stage.invoice(seed=2)
        await stage.delivered(other)
        await receiver.until(lambda: len(told(receiver)) == 2)

    assert sorted(told(receiver)) == sorted([("delivery.succeeded", document.id), ("delivery.succeeded", other.id)])


async def test_only_the_types_that_were_asked_for_are_told(world, tmp_path, receiver):
    async with telling(world, tmp_path, receiver, "delivery.failed") as stage:
        await stage.delivered(stage.invoice())
        rejected = stage.invoice(seed=2)
        stage.world.workspace("acme").amend(rejected.id, fields={**rejected.fields, "invoice_date": None})
        await stage.delivered(rejected)
        await receiver.until(lambda: receiver.received)

    assert told(receiver) == [("delivery.failed", rejected.id)]


async def test_under_faults_on_every_side_each_end_is_told_exactly_once(world, tmp_path, receiver):
    """Lost answers at Numora, at Dataverse and at the receiver: what arrives twice has one id."""
    receiver.answers["/hook"] = [500, 503, 500, 200, 500, 500, 200, 500, 200]
    async with telling(world, tmp_path, receiver, schedule=("0s", *["20ms"] * 40)) as stage:
        documents = stage.documents(12)
        world.numora.faults.add("reset_after", rate=0.3)
        world.dataverse.faults.add("reset_after", rate=0.2)
        await stage.service.deliver("acme", documents[0].id, wait=20)
        for document in documents:
            await stage.service.deliver("acme", document.id)
        await stage.at_rest()
        ended = [(f"delivery.{one.state.value}", one.document_id) for one in await stage.deliveries()]
        await receiver.until(lambda: len(told(receiver)) >= len(ended))

    assert sorted(told(receiver)) == sorted(ended)


async def test_an_end_that_the_ledger_refused_at_first_is_told_once_it_is_stored(
    world, tmp_path, receiver, monkeypatch
):
    """A full disk keeps the end waiting, and its message with it."""
    monkeypatch.setattr("bridge.claim_loop.LEDGER_PAUSE", 0.01)
    async with telling(world, tmp_path, receiver) as stage:
        save = stage.ledger.save
        refused: list[Save] = []

        async def full_once(one: Save) -> None:
            if one.delivery.state is State.SUCCEEDED and not refused:
                refused.append(one)
                raise LedgerFullError("no room")
            await save(one)

        monkeypatch.setattr(stage.ledger, "save", full_once)
        document = stage.invoice()
        await stage.delivered(document)
        await receiver.until(lambda: receiver.received)
        await stage.at_rest()

    assert len(refused) == 1
    assert told(receiver) == [("delivery.succeeded", document.id)]


async def test_a_block_and_its_end_are_told(world, tmp_path, receiver):
    async with telling(world, tmp_path, receiver, "tenant.*") as stage:
        world.numora.faults.add("unauthorized", rate=1.0, path=r"/result$")
        stage.invoice()
        await stage.poll()
        await receiver.until(lambda: receiver.received)
        world.numora.faults.clear()
        await receiver.until(lambda: len(told(receiver)) == 2)

    blocked, recovered = (one.json for one in receiver.received)
    assert (blocked["type"], recovered["type"]) == ("tenant.blocked", "tenant.recovered")
    assert blocked["data"].keys() == {"tenant", "side", "schema", "code", "message", "since"}
    assert (blocked["data"]["tenant"], blocked["data"]["side"]) == ("acme", "source")
    assert recovered["data"]["since"] == blocked["data"]["since"]


async def test_a_failure_to_store_the_news_of_a_block_is_logged_and_stops_nothing(
    world, tmp_path, receiver, monkeypatch, caplog
):
    async with telling(world, tmp_path, receiver) as stage:

        async def full(*_: Any, **__: Any) -> int:
            raise LedgerFullError("no room")

        monkeypatch.setattr(stage.ledger, "announce", full)
        world.numora.faults.add("unauthorized", times=1, path=r"/result$")
        with caplog.at_level(logging.ERROR):
            document = stage.invoice()
            delivery = await stage.delivered(document)

    assert delivery.state is State.SUCCEEDED
    assert "nobody was told of tenant.blocked" in caplog.text


async def test_a_resume_url_is_called_once_whole_and_signed(world, tmp_path, receiver):
    async with telling(world, tmp_path, receiver) as stage:
        document = stage.invoice()
        url = f"{receiver.url}/webhook-waiting/231?signature=0af1%2B9"
        for _ in range(3):  # a flow's node that is tried again sends the same address again
            endpoint = stage.runtime.outbound.resume_endpoint("acme", document.id, url, "key-of-the-caller")
            await stage.service.deliver("acme", document.id, wait=10, resume=endpoint)
        await receiver.until(lambda: receiver.at("/webhook-waiting/231"))
        await receiver.until(lambda: receiver.at("/hook"))
        other = stage.invoice(seed=3)
        await stage.delivered(other)
        await receiver.until(lambda: len(receiver.at("/hook")) == 2)

    [called] = receiver.at("/webhook-waiting/231")
    assert called.query == "signature=0af1%2B9"
    assert called.json["type"] == "delivery.succeeded"
    assert called.json["data"]["document_id"] == document.id
    assert called.is_signed_with(SECRET)
    assert called.is_plainly_signed_with(SECRET)


async def test_a_resume_url_for_a_document_that_was_delivered_before_is_called_and_nobody_else(
    world, tmp_path, receiver
):
    """Without a configured secret the caller's own key signs."""

    def allowed(folder: Path) -> None:
        with (folder / "bridge.yaml").open("a") as file:
            file.write("allow_hosts: [127.0.0.1]\n")

    async with staged(world, tmp_path, edit=allowed) as stage:
        document = stage.invoice()
        await stage.delivered(document)
        await stage.runtime.outbound.subscriptions.create("acme", f"{receiver.url}/hook")
        endpoint = stage.runtime.outbound.resume_endpoint(
            "acme", document.id, f"{receiver.url}/waiting", "key-of-the-caller"
        )
        await stage.service.deliver("acme", document.id, wait=10, resume=endpoint)
        await receiver.until(lambda: receiver.at("/waiting"))

    [called] = receiver.at("/waiting")
    assert called.json["type"] == "delivery.succeeded"
    assert called.is_plainly_signed_with("key-of-the-caller")
    assert receiver.at("/hook") == []


async def test_a_flow_that_comes_to_its_wait_node_late_is_still_resumed(world, tmp_path, receiver):
    """Until then n8n answers as for a flow that was resumed already, but for the words."""
    running = b'{"code":409,"message":"The execution \\"7\\" is running already."}'

    def not_yet(_: Any) -> Any:
        return web.Response(status=409, body=running)

    receiver.answers["/waiting"] = [not_yet, not_yet, 200]
    async with telling(world, tmp_path, receiver) as stage:
        document = stage.invoice()
        endpoint = stage.runtime.outbound.resume_endpoint("acme", document.id, f"{receiver.url}/waiting", "key")
        await stage.service.deliver("acme", document.id, wait=10, resume=endpoint)
        await receiver.until(lambda: len(receiver.at("/waiting")) == 3)

    assert len({one.id for one in receiver.at("/waiting")}) == 1


async def test_a_reload_brings_endpoints_and_takes_them_away(world, tmp_path, receiver):
    """Also the permission to reach them."""
    async with staged(world, tmp_path) as stage:
        first = stage.invoice(seed=1)
        await stage.delivered(first)
        configured(receiver)(tmp_path)
        await stage.reload()
        second = stage.invoice(seed=2)
        await stage.delivered(second)
        await receiver.until(lambda: receiver.received)

        tenant = tmp_path / "tenants" / "acme.yaml"
        tenant.write_text(tenant.read_text().partition("events:")[0])
        await stage.reload()
        assert not stage.runtime.outbound.announcer.listens("acme")
        await stage.delivered(stage.invoice(seed=3))

    assert told(receiver) == [("delivery.succeeded", second.id)]


async def test_a_configured_secret_may_be_a_list_while_it_is_changed(world, tmp_path, receiver):
    both = "['the-new-secret-of-two-sides', 'the-old-secret-of-two-sides']"
    async with staged(world, tmp_path, edit=configured(receiver, secret=both)) as stage:
        await stage.delivered(stage.invoice())
        await receiver.until(lambda: receiver.received)

    [received] = receiver.received
    assert received.is_signed_with("the-new-secret-of-two-sides")
    assert received.is_signed_with("the-old-secret-of-two-sides")
    assert received.is_plainly_signed_with("the-new-secret-of-two-sides")


async def test_a_subscription_made_while_the_bridge_runs_is_told_of_the_next_end(world, tmp_path, receiver):
    def allowed(folder: Path) -> None:
        with (folder / "bridge.yaml").open("a") as file:
            file.write("allow_hosts: [127.0.0.1]\n")

    async with staged(world, tmp_path, edit=allowed) as stage:
        await stage.delivered(stage.invoice(seed=1))
        view, _ = await stage.runtime.outbound.subscriptions.create("acme", f"{receiver.url}/trigger", ["delivery.*"])
        document = stage.invoice(seed=2)
        await stage.delivered(document)
        await receiver.until(lambda: receiver.received)

    assert told(receiver, "/trigger") == [("delivery.succeeded", document.id)]
    assert receiver.received[0].is_plainly_signed_with(str(view.secret))


async def test_where_nobody_listens_no_event_is_made(world, tmp_path):
    async with staged(world, tmp_path) as stage:
        delivery = await stage.delivered(stage.invoice())

        announcer = stage.runtime.outbound.announcer
        assert announcer.of_save(State.WORKING, delivery, successor=False) is None
        assert announcer.ended(delivery) is None


async def test_a_receiver_that_is_down_for_a_while_keeps_no_delivery_waiting(world, tmp_path, receiver):
    receiver.answers["/hook"] = [receiver.never]
    async with telling(world, tmp_path, receiver) as stage:
        documents = stage.documents(10)
        await stage.poll()
        await stage.at_rest()

        assert {one.state for one in await stage.deliveries()} <= {State.SUCCEEDED, State.SKIPPED, State.FAILED}
        assert len(await stage.deliveries()) == len(documents)
