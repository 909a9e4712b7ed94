"""Documents that calls bring in: taken once, read anew, delivered, reported; and found again if called too early."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from dataclasses import replace
from datetime import datetime
from itertools import count
from pathlib import Path

import pytest
from pipeline_stage import Stage, source_keys, staged, states

from bridge.actions.asked import Asked
from bridge.delivery.model import Delivery, State, Trigger
from bridge.runtime import NotFoundError
from bridge.sandbox import SandboxWorld
from connectors.hooks import HookCall, HookEffect, HookRefusedError
from connectors.numora.sandbox import DeliveryRoute, ExecutorTarget, SandboxDocument, SignedCall, WebhookTarget
from connectors.outcome import OutboxAbsentError

EXECUTOR_SECRET = "the-executors-shared-secret"
WEBHOOK_SECRET = "the-secret-of-the-webhooks"

NOTIFY = (
    "notify: {document_id: document_id, event_id: attempt_id, "
    f"auth: {{kind: header, header: X-Numora-Secret, secret: {EXECUTOR_SECRET}}}}}"
)
WEBHOOKS = f"webhook_secret: {WEBHOOK_SECRET}"


@pytest.fixture
async def stage(world: SandboxWorld, tmp_path: Path) -> AsyncIterator[Stage]:
    """A bridge with the tenant ``acme``, whose documents come by calls."""
    edit = source_keys("trigger: route", NOTIFY, WEBHOOKS)
    async with staged(world, tmp_path, edit=edit) as stage:
        workspace = world.workspace("acme")
        workspace.route = DeliveryRoute("executor")
        workspace.executor = ExecutorTarget(EXECUTOR_SECRET)
        workspace.webhooks = WebhookTarget([WEBHOOK_SECRET])
        yield stage


def notification(stage: Stage, document: SandboxDocument, call_id: str | None = None) -> SignedCall:
    """Return the executor's call about a document."""
    return stage.world.numora.calls.notification(stage.world.workspace("acme"), document, call_id)


def webhook(stage: Stage, type_: str, document: SandboxDocument, event_id: str | None = None) -> SignedCall:
    """Return a webhook about a document."""
    return stage.world.numora.calls.webhook(stage.world.workspace("acme"), type_, document, event_id=event_id)


async def notified(stage: Stage, document: SandboxDocument) -> Delivery:
    """Let the executor tell of a document, and wait until nothing is under way."""
    call = notification(stage, document)
    await stage.hooks.take("acme", "executor", call.headers, call.body)
    await stage.at_rest()
    return (await stage.deliveries(document))[0]


async def told(stage: Stage, type_: str, document: SandboxDocument) -> None:
    """Let a webhook tell of a document, and wait until nothing is under way."""
    call = webhook(stage, type_, document)
    await stage.hooks.take("acme", "numora", call.headers, call.body)
    await stage.at_rest()


async def sweep(stage: Stage, quiet_for: int) -> int:
    """Sweep now, as if sweeps came so many milliseconds apart: less than none has time pass without waiting for it."""
    sweeps = stage.runtime.lines["acme"].sweeps
    assert sweeps is not None
    sweeps._every = quiet_for
    return await sweeps.sweep()


async def test_a_dispatched_document_is_delivered_and_reported_when_the_executor_is_told(stage: Stage) -> None:
    """Dispatch, call, read anew, write, call back."""
    document = stage.invoice()
    await stage.actions.dispatch("acme", document.id, Asked("fingerprint"))
    assert document.status == "push_pending"

    delivery = await notified(stage, document)

    assert (delivery.state, delivery.trigger) == (State.SUCCEEDED, Trigger.NOTIFY)
    assert [row["numora_invoiceid"] for row in stage.rows()] == [delivery.record_id]
    assert document.status == "push_succeeded"


async def test_a_call_is_stored_before_it_is_answered_and_a_repeat_changes_nothing(stage: Stage) -> None:
    """Numora repeats until it has heard that the call was taken."""
    document = stage.invoice()
    call = notification(stage, document, "att_1")

    first = await stage.hooks.take("acme", "executor", call.headers, call.body)
    assert [d.document_id for d in await stage.deliveries()] == [document.id]
    await stage.at_rest()
    again = await stage.hooks.take("acme", "executor", call.headers, call.body)

    assert (first.repeated, again.repeated) == (False, True)
    assert all(delivery.at_rest for delivery in await stage.deliveries())
    assert await stage.ledger.hook_counts("acme") == {("executor", "executor.notify"): 1}


async def test_a_second_dispatch_of_a_delivered_document_is_called_back_and_not_written_again(stage: Stage) -> None:
    """Otherwise it would stay pending at Numora for ever."""
    document = stage.invoice()
    first = await notified(stage, document)
    effects = len(stage.world.dataverse.effects)
    await stage.actions.dispatch("acme", document.id, Asked("another"))

    again = await notified(stage, document)

    assert (again.id, len(stage.world.dataverse.effects)) == (first.id, effects)
    assert [callback.verdict for callback in document.callbacks] == ["accepted", "replayed"]


async def test_a_reviewed_document_is_delivered_when_a_webhook_tells_of_it(stage: Stage) -> None:
    """Webhooks are the other way in."""
    document = stage.invoice()

    await told(stage, "document.reviewed", document)

    [delivery] = await stage.deliveries(document)
    assert (delivery.state, delivery.trigger) == (State.SUCCEEDED, Trigger.WEBHOOK)


async def test_unknown_types_are_kept_and_counted_and_set_nothing_going(stage: Stage) -> None:
    """A newer Numora may tell of more."""
    document = stage.invoice()
    for type_ in ("push.succeeded", "document.frobnicated"):
        call = webhook(stage, type_, document)
        await stage.hooks.take("acme", "numora", call.headers, call.body)

    assert await stage.deliveries() == ()
    assert await stage.ledger.hook_counts("acme") == {
        ("numora", "document.frobnicated"): 1,
        ("numora", "push.succeeded"): 1,
    }


async def test_a_forged_call_changes_nothing(stage: Stage) -> None:
    """It is refused before anything of it is stored."""
    document = stage.invoice()
    call = notification(stage, document)

    with pytest.raises(HookRefusedError):
        await stage.hooks.take("acme", "executor", {**call.headers, "X-Numora-Secret": "guessed"}, call.body)

    assert await stage.deliveries() == ()
    assert await stage.ledger.hook_counts("acme") == {}


@pytest.mark.parametrize(("tenant", "source"), [("acme", "retab"), ("nobody", "executor"), ("acme", "../numora")])
async def test_calls_that_no_tenant_takes_are_not_found(stage: Stage, tenant: str, source: str) -> None:
    """One that does not exist and one that takes no such calls are told alike."""
    with pytest.raises(NotFoundError):
        await stage.hooks.take(tenant, source, {}, b"{}")


async def test_a_poll_says_that_there_is_nothing_to_poll(stage: Stage) -> None:
    """And no poll was made at start."""
    with pytest.raises(OutboxAbsentError, match="route"):
        await stage.poll()

    assert [record.path for record in stage.world.numora.requests if "outbox" in record.path] == []
    assert (await stage.service.status("acme")).healthy


async def test_a_document_that_was_called_too_early_is_found_by_the_sweep(stage: Stage) -> None:
    """Its notification ended in nothing, and no other follows."""
    document = stage.invoice()
    workspace = stage.world.workspace("acme")
    workspace.send_back(document.id)
    assert (await notified(stage, document)).state is State.SUPERSEDED
    assert await sweep(stage, quiet_for=900_000) == 0

    workspace.amend(document.id)
    assert await sweep(stage, quiet_for=-1000) == 1
    await stage.until(lambda found: found[0].state is State.SUCCEEDED)

    assert states(await stage.deliveries(document)) == [State.SUCCEEDED, State.SUPERSEDED]


async def test_a_sweep_leaves_alone_what_is_still_in_review(stage: Stage) -> None:
    """It is read, and stays as it is."""
    document = stage.invoice()
    stage.world.workspace("acme").send_back(document.id)
    await notified(stage, document)

    assert await sweep(stage, quiet_for=-1000) == 1
    await stage.at_rest()

    assert states(await stage.deliveries(document)) == [State.SUPERSEDED]
    assert stage.rows() == []


async def test_sweeps_are_made_by_the_clock(world: SandboxWorld, tmp_path: Path) -> None:
    """Nobody has to ask."""
    edit = source_keys("trigger: route", NOTIFY, "sweep: {every: 50ms, lookback: 1d}")
    async with staged(world, tmp_path, edit=edit) as stage:
        world.workspace("acme").executor = ExecutorTarget(EXECUTOR_SECRET)
        document = stage.invoice()
        world.workspace("acme").send_back(document.id)
        await notified(stage, document)

        world.workspace("acme").amend(document.id)

        await stage.until(lambda found: found[0].state is State.SUCCEEDED)


async def test_a_webhook_about_a_review_supersedes_what_waits_for_its_write(stage: Stage) -> None:
    """The document was read, and is on hold at the destination."""
    document = stage.invoice()
    stage.world.dataverse.faults.add("hang", times=1, method="GET", delay=30)
    call = notification(stage, document)
    await stage.hooks.take("acme", "executor", call.headers, call.body)
    await stage.world.dataverse.faults.until_struck(kind="hang")
    stage.world.workspace("acme").send_back(document.id)

    call = webhook(stage, "document.review_required", document)
    await stage.hooks.take("acme", "numora", call.headers, call.body)
    stage.world.dataverse.faults.release()
    await stage.at_rest()

    assert states(await stage.deliveries(document)) == [State.SUPERSEDED]
    assert (stage.rows(), document.callbacks) == ([], [])


async def test_a_webhook_about_a_review_that_comes_late_does_not_lose_the_document(stage: Stage) -> None:
    """Calls come in any order: the document was reviewed again since, and is delivered all the same."""
    document = stage.invoice()
    late = webhook(stage, "document.review_required", document)
    stage.world.dataverse.faults.add("hang", times=1, method="GET", delay=30)
    call = webhook(stage, "document.reviewed", document)
    await stage.hooks.take("acme", "numora", call.headers, call.body)
    await stage.world.dataverse.faults.until_struck(kind="hang")

    await stage.hooks.take("acme", "numora", late.headers, late.body)
    stage.world.dataverse.faults.release()
    await stage.at_rest()

    assert states(await stage.deliveries(document)) == [State.SUCCEEDED, State.SUPERSEDED]
    assert len(stage.rows()) == 1
    assert stage.world.dataverse.repeated_creates() == {}


async def test_calls_are_taken_beside_an_outbox(world: SandboxWorld, tmp_path: Path) -> None:
    """A webhook is quicker than the next poll."""
    async with staged(world, tmp_path, edit=source_keys(WEBHOOKS)) as stage:
        world.workspace("acme").webhooks = WebhookTarget([WEBHOOK_SECRET])
        document = stage.invoice()

        await told(stage, "document.reviewed", document)
        await stage.poll()
        await stage.at_rest()

        assert states(await stage.deliveries(document)) == [State.SUCCEEDED]


class PollOnCall:
    """Reads every call as one that asks for a poll."""

    def __init__(self) -> None:
        self._calls = count()

    def read(self, headers: Mapping[str, str], body: bytes, now: datetime) -> HookCall:
        """Return the call."""
        return HookCall(f"call_{next(self._calls)}", "something.changed", HookEffect.POLL)


async def test_a_call_that_asks_for_a_poll_is_followed_by_one_that_began_after_it(
    world: SandboxWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A poll that is under way may be past what the call is about. However many calls come, polls go one by one."""
    async with staged(world, tmp_path) as stage:
        capabilities = replace(stage.runtime.lines["acme"].lane.source.capabilities, hooks={"numora": PollOnCall()})
        monkeypatch.setattr(stage.runtime.lines["acme"].lane.source, "capabilities", capabilities)
        world.numora.faults.add("hang_after", times=1, path="outbox", delay=30)
        early = asyncio.create_task(stage.poll())
        await world.numora.faults.until_struck(kind="hang_after")
        document = stage.invoice()
        before = len(world.numora.requests)

        for _ in range(20):
            await stage.hooks.take("acme", "numora", {}, b"{}")
        world.numora.faults.release()
        assert (await early).seen == 0
        await stage.until(lambda found: bool(found) and found[0].state is State.SUCCEEDED)

        assert states(await stage.deliveries(document)) == [State.SUCCEEDED]
        polls = [one for one in list(world.numora.requests)[before:] if "outbox" in one.path]
        assert len(polls) <= 2
