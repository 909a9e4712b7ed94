"""Documents that Numora delivers by its own means: dispatched once, watched to their end, and never called back."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from pipeline_stage import Stage, managed, staged, states

from bridge.actions.asked import UnsupportedError
from bridge.delivery.model import State, Step
from bridge.sandbox import SandboxWorld
from connectors.numora.sandbox import DeliveryRoute, SandboxDocument
from connectors.outcome import UnknownOutcomeError

DISPATCH = r"/dispatch$"


@pytest.fixture
async def stage(world: SandboxWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Stage]:
    """A bridge with the managed tenant ``acme``; an effect that comes late comes within a fifth of a second."""
    monkeypatch.setattr("bridge.pipeline.managed.LATE_EFFECT", 200)
    async with staged(world, tmp_path, edit=managed()) as stage:
        yield stage


def route(stage: Stage, outcome: str, after_reads: int = 2) -> None:
    """Decide how Numora's own deliveries end from now on."""
    stage.world.workspace("acme").route = DeliveryRoute("workflow", outcome, after_reads)  # type: ignore[arg-type]


def dispatches(stage: Stage, document: SandboxDocument) -> int:
    """Count how often Numora took a document for delivery."""
    runs = stage.world.workspace("acme").catalogue.runs.values()
    return sum(run.document_id == document.id for run in runs)


async def test_a_reviewed_document_is_dispatched_once_and_followed_to_its_end(stage: Stage) -> None:
    """No row is written and nothing is called back; the ledger tells what became of it."""
    route(stage, "succeeded", after_reads=3)
    document = stage.invoice()

    delivery = await stage.delivered(document)

    assert (delivery.state, delivery.step, delivery.attempts) == (State.SUCCEEDED, None, 1)
    assert (delivery.record_id, delivery.external_url, delivery.operation, delivery.execution_id) == (None,) * 4
    assert dispatches(stage, document) == 1
    assert (stage.rows(), document.callbacks) == ([], [])
    assert document.status == "push_succeeded"
    assert (await stage.service.detail("acme", delivery.id)).attempts[0].outcome == "done"


async def test_a_delivery_of_numoras_own_that_fails_is_told_with_a_code(stage: Stage) -> None:
    """Numora knows the reason, and the sentence says so."""
    route(stage, "failed")

    delivery = await stage.delivered(stage.invoice())

    assert delivery.error is not None
    assert (delivery.state, delivery.error.code) == (State.FAILED, "managed_push_failed")


async def test_a_failed_document_that_is_listed_again_is_left_alone_until_a_person_asks(stage: Stage) -> None:
    """However often the outbox lists it, also though the dispatch moved its time of change."""
    route(stage, "failed")
    document = stage.invoice()
    failed = await stage.delivered(document)
    assert document.status == "push_failed"

    for _ in range(3):
        assert (await stage.delivered(document)).state is State.FAILED
    assert dispatches(stage, document) == 1

    route(stage, "succeeded")
    await stage.service.retry("acme", failed.id, pinned=False)
    await stage.at_rest()

    assert states(await stage.deliveries(document)) == [State.SUCCEEDED]
    assert dispatches(stage, document) == 2


async def test_a_corrected_document_is_dispatched_anew(stage: Stage) -> None:
    """A new revision has a delivery of its own."""
    route(stage, "succeeded")
    document = stage.invoice()
    await stage.delivered(document)
    stage.world.workspace("acme").amend(
        document.id, fields={"invoice_number": {"value": "INV-CORRECTED", "confidence": 1}}
    )

    await stage.delivered(document)

    assert states(await stage.deliveries(document)) == [State.SUCCEEDED, State.SUCCEEDED]
    assert dispatches(stage, document) == 2


async def test_a_delivered_document_that_is_reviewed_again_unchanged_is_not_dispatched_again(stage: Stage) -> None:
    """The content decides, and it has not changed."""
    route(stage, "succeeded")
    document = stage.invoice()
    await stage.delivered(document)
    stage.world.workspace("acme").amend(document.id)

    await stage.delivered(document)

    assert states(await stage.deliveries(document)) == [State.SUCCEEDED]
    assert dispatches(stage, document) == 1


async def test_a_document_that_is_on_its_way_already_is_only_watched(stage: Stage) -> None:
    """Somebody dispatched it in Numora."""
    document = stage.invoice()
    stage.world.workspace("acme").queue(document)
    asked = asyncio.create_task(stage.service.deliver("acme", document.id, wait=20))
    await stage.until(lambda found: bool(found) and found[0].step is Step.WATCH and found[0].state is State.QUEUED)

    stage.world.workspace("acme").settle(document.id, "push_succeeded")

    assert (await asked).state is State.SUCCEEDED
    assert dispatches(stage, document) == 0


async def test_a_document_that_numora_delivered_before_is_not_dispatched_unless_forced(stage: Stage) -> None:
    """A ledger that is new knows nothing of it, and Numora does."""
    route(stage, "succeeded")
    document = stage.invoice()
    stage.world.workspace("acme").settle(document.id, "push_succeeded")

    assert (await stage.service.deliver("acme", document.id, wait=20)).state is State.SUCCEEDED
    assert dispatches(stage, document) == 0

    assert (await stage.service.deliver("acme", document.id, wait=20, force=True)).state is State.SUCCEEDED
    assert dispatches(stage, document) == 1


async def test_a_rejected_document_is_superseded_while_it_is_watched_and_delivered_once_reviewed(stage: Stage) -> None:
    """Reviewed again, it is dispatched again."""
    document = stage.invoice()
    await stage.poll()
    await stage.until(lambda found: bool(found) and found[0].watch is not None and found[0].watch.taken)
    stage.world.workspace("acme").send_back(document.id)
    await stage.at_rest()
    assert states(await stage.deliveries(document)) == [State.SUPERSEDED]

    route(stage, "succeeded")
    stage.world.workspace("acme").amend(document.id)
    await stage.delivered(document)

    assert states(await stage.deliveries(document)) == [State.SUCCEEDED, State.SUPERSEDED]


async def test_a_document_that_is_gone_is_superseded_while_it_is_watched(stage: Stage) -> None:
    """There is nothing left to wait for."""
    document = stage.invoice()
    await stage.poll()
    await stage.until(lambda found: bool(found) and found[0].watch is not None)
    stage.world.workspace("acme").remove(document.id)

    await stage.at_rest()

    [delivery] = await stage.deliveries(document)
    assert delivery.error is not None
    assert (delivery.state, delivery.error.code) == (State.SUPERSEDED, "document_gone")


async def test_a_document_changed_while_it_was_watched_makes_way_for_its_newer_content(stage: Stage) -> None:
    """Its newer revision does not wait for a deadline."""
    document = stage.invoice()
    await stage.poll()
    await stage.until(lambda found: bool(found) and found[0].watch is not None and found[0].watch.taken)
    route(stage, "succeeded")
    workspace = stage.world.workspace("acme")
    workspace.amend(document.id, fields={"invoice_number": {"value": "INV-NEWER", "confidence": 1}})

    await stage.at_rest()

    newer, older = await stage.deliveries(document)
    assert older.error is not None
    assert (newer.state, older.state, older.error.code) == (State.SUCCEEDED, State.SUPERSEDED, "newer_revision")
    assert dispatches(stage, document) == 2


async def test_a_deadline_parks_the_delivery_and_a_retry_watches_on(world: SandboxWorld, tmp_path: Path) -> None:
    """Nothing is dispatched a second time as long as Numora is at it."""
    async with staged(world, tmp_path, edit=managed(deadline="60ms")) as stage:
        document = stage.invoice()

        parked = await stage.delivered(document)

        assert parked.error is not None
        assert (parked.state, parked.error.code) == (State.PARKED, "managed_deadline")
        assert "push_pending" in parked.error.message

        world.workspace("acme").settle(document.id, "push_succeeded")
        await stage.service.retry("acme", parked.id, pinned=False)
        await stage.at_rest()

        assert states(await stage.deliveries(document)) == [State.SUCCEEDED]
        assert dispatches(stage, document) == 1


@pytest.mark.parametrize("kind", ["reset_after", "status_after", "truncated", "html_502_after"])
async def test_a_dispatch_whose_answer_is_lost_is_not_sent_again(stage: Stage, kind: str) -> None:
    """The document itself tells that it was taken."""
    route(stage, "succeeded", after_reads=4)
    stage.world.numora.faults.add(kind, times=1, method="POST", path=DISPATCH)  # type: ignore[arg-type]
    document = stage.invoice()

    delivery = await stage.delivered(document)

    assert (delivery.state, dispatches(stage, document)) == (State.SUCCEEDED, 1)


@pytest.mark.parametrize("outcome", ["succeeded", "failed"])
async def test_an_end_that_came_before_anybody_looked_counts_as_taken(
    stage: Stage, outcome: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its time of change has moved, so it was this dispatch."""
    source = stage.runtime.lines["acme"].lane.source
    dispatcher = source.capabilities.dispatcher
    assert dispatcher is not None
    dispatch = dispatcher.dispatch
    workspace = stage.world.workspace("acme")

    async def lose(document_id: str, log: object) -> None:
        await dispatch(document_id, log)  # type: ignore[arg-type]
        workspace.settle(document_id, f"push_{outcome}")
        raise UnknownOutcomeError("timeout", "no answer")

    monkeypatch.setattr(dispatcher, "dispatch", lose)
    document = stage.invoice()

    delivery = await stage.delivered(document)

    assert (delivery.state.value, dispatches(stage, document)) == (outcome, 1)


@pytest.mark.parametrize("kind", ["reset_before", "status_before", "html_502"])
async def test_a_dispatch_that_had_no_effect_is_sent_again_after_a_pause(stage: Stage, kind: str) -> None:
    """The document stands as it did before, and has had time to show an effect."""
    route(stage, "succeeded")
    stage.world.numora.faults.add(kind, times=1, method="POST", path=DISPATCH)  # type: ignore[arg-type]
    document = stage.invoice()

    delivery = await stage.delivered(document)

    assert (delivery.state, dispatches(stage, document)) == (State.SUCCEEDED, 1)
    detail = await stage.service.detail("acme", delivery.id)
    sent = [request for request in detail.requests if request.purpose == "dispatch"]
    assert len(sent) == 2
    assert sent[1].sent_at - sent[0].sent_at >= 200
    assert [attempt.code for attempt in detail.attempts] == ["managed_not_taken", None]


async def test_a_source_that_never_takes_it_ends_the_schedule(stage: Stage) -> None:
    """After the last try the delivery has failed, and the sentence tells what the source said."""
    stage.world.numora.faults.add("status_before", rate=1.0, method="POST", path=DISPATCH, status=500)
    document = stage.invoice()

    delivery = await stage.delivered(document)

    assert delivery.error is not None
    assert (delivery.state, delivery.error.code) == (State.FAILED, "managed_not_taken")
    assert dispatches(stage, document) == 0


async def test_a_dispatch_that_is_refused_for_good_fails_with_numoras_words(stage: Stage) -> None:
    """For example because no route is active."""
    stage.world.numora.faults.add("status_before", rate=1.0, method="POST", path=DISPATCH, status=422)
    document = stage.invoice()

    delivery = await stage.delivered(document)

    assert delivery.error is not None
    assert (delivery.state, delivery.error.code) == (State.FAILED, "numora_refused_action")
    assert document.callbacks == []


async def test_a_throttled_dispatch_waits_as_long_as_it_was_asked_to_and_does_not_count(stage: Stage) -> None:
    """The pause is Numora's own, and the attempt that follows is the first."""
    route(stage, "succeeded")
    stage.world.numora.faults.add("throttle", times=1, method="POST", path=DISPATCH, retry_after=1)
    document = stage.invoice()

    delivery = await stage.delivered(document)

    assert (delivery.state, delivery.attempts, dispatches(stage, document)) == (State.SUCCEEDED, 1, 1)
    assert stage.world.numora.windows.violations == []


async def test_a_refused_key_pauses_the_tenant_until_it_is_good_again(stage: Stage) -> None:
    """At the dispatch as at any other call."""
    route(stage, "succeeded")
    stage.world.numora.faults.add("unauthorized", rate=1.0, method="POST", path=DISPATCH)
    document = stage.invoice()
    await stage.poll()
    await stage.until(lambda found: bool(found) and found[0].error is not None)
    [waiting] = await stage.deliveries(document)
    assert (waiting.state.ended, waiting.attempts) == (False, 0)
    [block] = (await stage.service.status("acme")).blocks
    assert block.code == "numora_unauthorized"

    stage.world.numora.faults.clear()
    await stage.at_rest()

    assert states(await stage.deliveries(document)) == [State.SUCCEEDED]
    assert dispatches(stage, document) == 1


async def test_looks_that_fail_do_not_end_what_is_watched(stage: Stage) -> None:
    """Numora is at it, whether or not it can be asked."""
    document = stage.invoice()
    await stage.poll()
    await stage.until(lambda found: bool(found) and found[0].watch is not None and found[0].watch.taken)
    stage.world.numora.faults.add("status_before", times=6, method="GET", path=f"/documents/{document.id}$", status=503)
    await stage.until(lambda found: found[0].error is not None)
    stage.world.workspace("acme").settle(document.id, "push_succeeded")

    await stage.at_rest()

    [delivery] = await stage.deliveries(document)
    assert (delivery.state, delivery.error, delivery.attempts) == (State.SUCCEEDED, None, 1)


async def test_a_watched_document_takes_no_place_of_those_that_wait(world: SandboxWorld, tmp_path: Path) -> None:
    """More documents than places are on their way at Numora at the same time."""

    def narrow(folder: Path) -> None:
        managed()(folder)
        file = folder / "tenants" / "acme.yaml"
        file.write_text(file.read_text().replace("mode: managed", "mode: managed, concurrency: 1"))

    async with staged(world, tmp_path, edit=narrow) as stage:
        documents = stage.documents(12)
        await stage.poll()

        await stage.until(lambda found: all(d.watch is not None and d.watch.taken for d in found))

        for document in documents:
            world.workspace("acme").settle(document.id, "push_succeeded")
        await stage.at_rest()
        assert states(await stage.deliveries()) == [State.SUCCEEDED] * 12


async def test_looks_that_tell_nothing_leave_no_requests_behind(stage: Stage) -> None:
    """A delivery that takes a day does not fill the ledger."""
    document = stage.invoice()
    await stage.poll()
    await stage.until(lambda found: bool(found) and found[0].watch is not None and found[0].watch.looks >= 6)
    stage.world.workspace("acme").settle(document.id, "push_succeeded")
    await stage.at_rest()

    [delivery] = await stage.deliveries(document)
    requests = (await stage.service.detail("acme", delivery.id)).requests
    assert [request.purpose for request in requests].count("document") <= 4


async def test_a_stop_in_the_middle_of_a_dispatch_is_read_first_by_the_next_start(
    world: SandboxWorld, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answer was never heard, and there is one run at Numora."""
    monkeypatch.setattr("bridge.pipeline.managed.LATE_EFFECT", 0)
    async with staged(world, tmp_path, edit=managed()) as stage:
        route(stage, "succeeded", after_reads=2)
        document = stage.invoice()
        world.numora.faults.add("hang_after", method="POST", path=DISPATCH, times=1, delay=60)
        await stage.poll()
        await world.numora.faults.until_struck(kind="hang_after")

        await stage.runtime.stop(0.05)

        [left] = await stage.deliveries(document)
        assert (left.state, left.step, left.lease_until) == (State.QUEUED, Step.WATCH, None)
        world.numora.faults.clear()
        await stage.runtime.start()
        await stage.at_rest()

        assert states(await stage.deliveries(document)) == [State.SUCCEEDED]
        assert dispatches(stage, document) == 1


async def test_a_managed_tenant_has_no_preview(stage: Stage) -> None:
    """The bridge has nothing to show of what Numora writes, and says so."""
    document = stage.invoice()

    with pytest.raises(UnsupportedError, match="managed") as refused:
        await stage.service.preview("acme", document.id)

    assert refused.value.code == "managed_mode"


async def test_a_tenant_that_becomes_an_external_one_ends_what_it_watches(world: SandboxWorld, tmp_path: Path) -> None:
    """What Numora has begun is not written a second time by the bridge."""
    async with staged(world, tmp_path) as stage:
        file = stage.folder / "tenants" / "acme.yaml"
        external = file.read_text()
        managed()(stage.folder)
        await stage.reload()
        document = stage.invoice()
        await stage.poll()
        await stage.until(lambda found: bool(found) and found[0].watch is not None and found[0].watch.taken)

        file.write_text(external)
        await stage.reload()
        world.workspace("acme").settle(document.id, "push_succeeded")
        await stage.service.deliver("acme", document.id)
        await stage.at_rest()

        assert states(await stage.deliveries(document)) == [State.SUCCEEDED]
        assert (stage.rows(), document.callbacks) == ([], [])


async def test_an_unforeseen_error_while_watching_costs_a_look(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """What Numora has begun goes on, whatever the bridge stumbles over."""
    document = stage.invoice()
    await stage.poll()
    await stage.until(lambda found: bool(found) and found[0].watch is not None and found[0].watch.taken)
    dispatcher = stage.runtime.lines["acme"].lane.source.capabilities.dispatcher
    assert dispatcher is not None
    state_of = dispatcher.dispatch_state
    failures = iter([ZeroDivisionError("made up")] * 2)

    async def stumble(document_id: str, log: object) -> object:
        for error in failures:
            raise error
        return await state_of(document_id, log)  # type: ignore[arg-type]

    monkeypatch.setattr(dispatcher, "dispatch_state", stumble)
    await stage.until(lambda found: found[0].error is not None)
    stage.world.workspace("acme").settle(document.id, "push_succeeded")
    await stage.at_rest()

    assert states(await stage.deliveries(document)) == [State.SUCCEEDED]
    assert dispatches(stage, document) == 1
