"""What people do with documents at Numora: done once, and what it means for a delivery is told."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pipeline_stage import Stage, managed, staged, states

from bridge.actions.asked import (
    Answered,
    Asked,
    InProgressError,
    KeyReusedError,
    NotKnownError,
    StaleError,
)
from bridge.delivery.model import State
from bridge.ledger.actions import Action
from bridge.runtime import NotFoundError
from bridge.sandbox import SandboxWorld
from connectors.capabilities import ActionRefusedError
from connectors.numora.sandbox import DeliveryRoute, SandboxDocument
from connectors.outcome import TransientError, UnknownOutcomeError

CREATE = r"/numora_invoices$"


def asked(what: str = "request", key: str | None = None) -> Asked:
    """Return how something was asked for."""
    return Asked(what, key)


def said(answered: Answered) -> dict[str, Any]:
    """Return the body of an answer."""
    return msgspec.json.decode(answered.body)  # type: ignore[no-any-return]


def posts(stage: Stage, path: str) -> int:
    """Count the requests that changed something at Numora, by the end of their path."""
    return sum(one.method == "POST" and one.path.endswith(path) for one in stage.world.numora.requests)


def in_review(stage: Stage) -> SandboxDocument:
    """Put an invoice in that waits for its review."""
    document = stage.invoice()
    stage.world.workspace("acme").send_back(document.id)
    return document


async def test_a_document_is_shown_with_its_result_and_its_deliveries(stage: Stage) -> None:
    """What Numora has and what we did, in one answer."""
    document = stage.invoice()
    delivery = await stage.delivered(document)

    shown = await stage.actions.view("acme", document.id)

    assert (shown.document.id, shown.document.status) == (document.id, "push_succeeded")
    assert shown.result is not None
    assert shown.result["fields"]["invoice_number"]["value"] == document.fields["invoice_number"]["value"]
    assert [one.id for one in shown.deliveries] == [delivery.id]


@pytest.mark.parametrize(("tenant", "id_"), [("acme", "no-such-document"), ("nobody", "whatever")])
async def test_what_is_not_there_is_not_found(stage: Stage, tenant: str, id_: str) -> None:
    """Neither to be looked at nor to be acted on."""
    with pytest.raises(NotFoundError):
        await stage.actions.view(tenant, id_)
    with pytest.raises(NotFoundError):
        await stage.actions.approve(tenant, id_, asked())
    with pytest.raises(NotFoundError):
        await stage.actions.dispatch(tenant, id_, asked())


async def test_an_approved_document_is_delivered_at_once(stage: Stage) -> None:
    """Nobody waits for the next poll."""
    document = in_review(stage)

    answered = await stage.actions.approve("acme", document.id, asked(), expected_updated_at=document.updated_at)
    await stage.at_rest()

    assert (answered.status, said(answered)["status"], said(answered)["delivery_effect"]) == (200, "reviewed", "none")
    assert said(answered)["delivery"]["document_id"] == document.id
    assert states(await stage.deliveries(document)) == [State.SUCCEEDED]


async def test_approving_twice_is_one_effect(stage: Stage) -> None:
    """The row is written once, the outcome is reported once."""
    document = in_review(stage)
    expected = document.updated_at
    first = await stage.actions.approve("acme", document.id, asked(), expected_updated_at=expected)
    await stage.at_rest()

    second = await stage.actions.approve("acme", document.id, asked(), expected_updated_at=expected)
    await stage.at_rest()

    assert said(first)["updated_at"] == said(second)["updated_at"]
    assert len(document.callbacks) == 1
    assert [effect.kind for effect in stage.world.dataverse.effects_of("numora_invoice")] == ["create"]


async def test_a_stale_approval_is_told_with_the_document_as_it_is(stage: Stage) -> None:
    """So a workflow can show it and ask again."""
    document = in_review(stage)
    stale = document.updated_at
    stage.world.workspace("acme").send_back(document.id)

    with pytest.raises(StaleError) as refused:
        await stage.actions.approve("acme", document.id, asked(key="one"), expected_updated_at=stale)

    assert refused.value.updated_at == document.updated_at
    assert refused.value.document is not None
    assert refused.value.document.document.updated_at == document.updated_at
    assert await stage.deliveries() == ()


async def test_a_key_is_free_again_when_the_request_had_no_effect(stage: Stage) -> None:
    """The same request may succeed later, under the same key."""
    document = in_review(stage)
    stage.world.numora.faults.add("status_before", times=1, method="POST", path="approve", status=425)

    with pytest.raises(TransientError):
        await stage.actions.approve("acme", document.id, asked(key="one"))
    answered = await stage.actions.approve("acme", document.id, asked(key="one"))

    assert (answered.status, answered.replayed, document.status) == (200, False, "reviewed")
    await stage.at_rest()


async def test_the_same_key_answers_what_it_answered_before(stage: Stage) -> None:
    """Byte for byte, and nothing is sent."""
    document = in_review(stage)
    first = await stage.actions.reject("acme", document.id, asked(key="one"))

    second = await stage.actions.reject("acme", document.id, asked(key="one"))

    assert (bytes(second.body), second.status, second.replayed) == (bytes(first.body), first.status, True)
    assert posts(stage, "/reject") == 1


async def test_a_key_that_was_used_for_something_else_is_refused(stage: Stage) -> None:
    """Also for another document, and another action."""
    document = in_review(stage)
    await stage.actions.reject("acme", document.id, asked("a rejection", key="one"))

    with pytest.raises(KeyReusedError):
        await stage.actions.approve("acme", document.id, asked("an approval", key="one"))

    assert document.status == "review_required"


async def test_a_key_whose_first_request_is_under_way_is_told_to_wait(stage: Stage) -> None:
    """The two do not run beside each other."""
    document = in_review(stage)
    stage.world.numora.faults.add("hang", times=1, method="POST", path="approve", delay=30)
    first = asyncio.create_task(stage.actions.approve("acme", document.id, asked(key="one")))
    await stage.world.numora.faults.until_struck(kind="hang")

    with pytest.raises(InProgressError):
        await stage.actions.approve("acme", document.id, asked(key="one"))

    stage.world.numora.faults.release()
    assert (await first).status == 200
    assert posts(stage, "/approve") == 1
    await stage.at_rest()


async def test_an_action_goes_on_when_its_caller_goes_away(stage: Stage) -> None:
    """A rejection that Numora took is carried through to the delivery as well."""
    document = in_review(stage)
    stage.world.numora.faults.add("hang_after", times=1, method="POST", path="approve", delay=30)
    caller = asyncio.create_task(stage.actions.approve("acme", document.id, asked(key="one")))
    await stage.world.numora.faults.until_struck(kind="hang_after")
    caller.cancel()
    await asyncio.gather(caller, return_exceptions=True)

    stage.world.numora.faults.release()
    await stage.until(lambda found: bool(found) and found[0].state is State.SUCCEEDED)

    answered = await stage.actions.approve("acme", document.id, asked(key="one"))
    assert answered.replayed


async def test_a_rejection_before_the_write_supersedes_the_delivery(stage: Stage) -> None:
    """It has read the document and looks up the vendor: nothing is written and nothing reported."""
    document = stage.invoice()
    stage.world.dataverse.faults.add("hang", times=1, method="GET", delay=30)
    await stage.poll()
    await stage.world.dataverse.faults.until_struck(kind="hang")

    answered = await stage.actions.reject("acme", document.id, asked())
    stage.world.dataverse.faults.release()
    await stage.at_rest()

    assert said(answered)["delivery_effect"] == "superseded"
    assert said(answered)["delivery"]["error"]["code"] == "back_in_review"
    assert states(await stage.deliveries(document)) == [State.SUPERSEDED]
    assert (stage.rows(), document.callbacks) == ([], [])


async def test_a_rejection_after_the_write_has_begun_is_told_and_corrected_by_the_next_approval(stage: Stage) -> None:
    """The row stands for a while, and is updated when the document is approved with other content."""
    document = stage.invoice()
    stage.world.dataverse.faults.add("hang_after", times=1, method="POST", path=CREATE, delay=30)
    await stage.poll()
    await stage.world.dataverse.faults.until_struck(kind="hang_after")

    answered = await stage.actions.reject("acme", document.id, asked())
    stage.world.dataverse.faults.release()
    await stage.at_rest()
    assert said(answered)["delivery_effect"] == "written"
    assert len(stage.rows()) == 1

    document.fields["invoice_number"] = {"value": "INV-CORRECTED", "confidence": 1}
    document.forget_encoded()
    await stage.actions.approve("acme", document.id, asked())
    await stage.at_rest()

    [row] = stage.rows()
    assert row["numora_name"] == "INV-CORRECTED"
    assert [effect.kind for effect in stage.world.dataverse.effects_of("numora_invoice")] == ["create", "update"]


async def test_a_rejection_while_nothing_is_under_way_has_no_effect_on_deliveries(stage: Stage) -> None:
    """What was delivered before stays delivered."""
    document = stage.invoice()
    assert said(await stage.actions.reject("acme", document.id, asked()))["delivery"] is None
    stage.world.workspace("acme").amend(document.id)
    await stage.delivered(document)

    answered = await stage.actions.reject("acme", document.id, asked("again"))

    assert said(answered)["delivery_effect"] == "none"
    assert said(answered)["delivery"]["state"] == "succeeded"


async def test_a_rejection_that_is_refused_stops_no_delivery(stage: Stage) -> None:
    """Numora decides first."""
    document = stage.invoice()
    stage.world.dataverse.faults.add("hang", times=1, method="GET", delay=30)
    await stage.poll()
    await stage.world.dataverse.faults.until_struck(kind="hang")

    with pytest.raises(StaleError):
        await stage.actions.reject("acme", document.id, asked(), expected_updated_at="2020-01-01T00:00:00.000Z")
    stage.world.dataverse.faults.release()
    await stage.at_rest()

    assert states(await stage.deliveries(document)) == [State.SUCCEEDED]


async def test_a_waiting_caller_is_told_when_a_rejection_ends_the_delivery(stage: Stage) -> None:
    """``wait`` does not run out."""
    document = stage.invoice()
    stage.world.dataverse.faults.add("hang", times=1, method="GET", delay=30)
    waiting = asyncio.create_task(stage.service.deliver("acme", document.id, wait=60))
    await stage.world.dataverse.faults.until_struck(kind="hang")

    await stage.actions.reject("acme", document.id, asked())

    assert (await waiting).state is State.SUPERSEDED
    stage.world.dataverse.faults.release()


async def test_a_burst_of_dispatches_is_one(stage: Stage) -> None:
    """n8n fires all its items at once: one is sent, the others are told that it is on its way."""
    document = stage.invoice()

    answers = await asyncio.gather(
        *(stage.actions.dispatch("acme", document.id, asked(f"{number}")) for number in range(50))
    )

    assert sorted((answer.status, said(answer)["repeated"]) for answer in answers) == [(200, True)] * 49 + [
        (202, False)
    ]
    assert len(stage.world.workspace("acme").catalogue.runs) == 1
    assert said(answers[0])["status"] == "push_pending"


@pytest.mark.parametrize("action", ["dispatch", "retry_push"])
async def test_a_lost_answer_to_a_dispatch_is_found_out_by_reading(stage: Stage, action: str) -> None:
    """The document tells that it is on its way."""
    document = stage.invoice()
    stage.world.numora.faults.add("reset_after", times=1, method="POST", path=action.replace("_", "-"))

    answered = await getattr(stage.actions, action)("acme", document.id, asked(key="one"))

    assert said(answered)["status"] == "push_pending"
    assert len(stage.world.workspace("acme").catalogue.runs) == 1


async def _left_behind(stage: Stage, kind: str, subject: str) -> None:
    """Store an action as a process leaves it that died after it was sent."""
    action = Action("act_dead", "acme", kind, subject, "one", "request", stage.runtime.clock())
    await stage.ledger.begin_action(action)
    await stage.ledger.save_action(msgspec.structs.replace(action, state="sent", request_id="req_dead"))


async def test_a_dispatch_that_died_with_its_process_is_looked_into_before_it_is_sent_again(stage: Stage) -> None:
    """Still as it was: sent. On its way: told so. Ended: a person has to say what is wanted."""
    document = stage.invoice()
    await _left_behind(stage, "dispatch", document.id)

    answered = await stage.actions.dispatch("acme", document.id, asked(key="one"))
    assert (answered.status, len(stage.world.workspace("acme").catalogue.runs)) == (202, 1)


async def test_a_dispatch_that_died_with_its_process_and_ended_meanwhile_is_not_sent_again(stage: Stage) -> None:
    """Whether it was this one cannot be known."""
    document = stage.invoice()
    await _left_behind(stage, "dispatch", document.id)
    stage.world.workspace("acme").settle(document.id, "push_failed")

    with pytest.raises(NotKnownError):
        await stage.actions.dispatch("acme", document.id, asked(key="one"))

    assert stage.world.workspace("acme").catalogue.runs == {}


async def test_an_approval_that_died_with_its_process_is_sent_again(stage: Stage) -> None:
    """A second one is no second effect."""
    document = in_review(stage)
    await _left_behind(stage, "approve", document.id)

    answered = await stage.actions.approve("acme", document.id, asked(key="one"))

    assert (answered.status, document.status) == (200, "reviewed")
    await stage.at_rest()


async def test_an_action_is_written_down_before_it_is_sent(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """With the id of the request that carries it, for whoever looks into it later."""
    document = in_review(stage)
    seen: list[tuple[str, str | None]] = []
    save = stage.ledger.save_action

    async def watched(action: Action) -> None:
        await save(action)
        seen.append((action.state, document.status))

    monkeypatch.setattr(stage.ledger, "save_action", watched)
    await stage.actions.approve("acme", document.id, asked())
    await stage.at_rest()

    assert seen == [("sent", "review_required"), ("ended", "reviewed")]
    [action] = await stage.ledger.actions("acme", document.id, 10)
    [sent] = [one for one in stage.world.numora.requests if one.path.endswith("/approve")]
    assert action.request_id == sent.headers["x-request-id"]


async def test_a_dispatch_of_a_document_in_review_is_refused(stage: Stage) -> None:
    """By Numora, and told as such."""
    document = in_review(stage)

    with pytest.raises(ActionRefusedError) as refused:
        await stage.actions.dispatch("acme", document.id, asked())

    assert refused.value.status == 409


async def test_a_document_that_is_handed_in_twice_is_one(stage: Stage) -> None:
    """By its external id."""
    handed = {"schema": "invoice_v2", "file_url": "https://files.example/1.pdf", "external_id": "ext-1", "metadata": {}}

    first = await stage.actions.submit("acme", asked(), **handed)  # type: ignore[arg-type]
    second = await stage.actions.submit("acme", asked(), **handed)  # type: ignore[arg-type]

    assert (first.status, second.status) == (202, 202)
    assert said(first)["id"] == said(second)["id"]
    assert (said(first)["external_id"], said(first)["schema"]) == ("ext-1", "invoice_v2")


class TestManaged:
    """A tenant whose documents Numora delivers by its own means."""

    @pytest.fixture
    async def stage(self, world: SandboxWorld, tmp_path: Path) -> AsyncIterator[Stage]:
        """A bridge with the managed tenant ``acme``."""
        async with staged(world, tmp_path, edit=managed()) as stage:
            yield stage

    async def test_a_dispatch_is_the_deliverys_own(self, stage: Stage) -> None:
        """It is asked for once, however many ask, and followed to its end."""
        document = stage.invoice()

        answers = await asyncio.gather(
            *(stage.actions.dispatch("acme", document.id, asked(f"{number}")) for number in range(20))
        )
        await stage.until(lambda found: bool(found) and found[0].watch is not None and found[0].watch.taken)
        stage.world.workspace("acme").settle(document.id, "push_succeeded")
        await stage.at_rest()

        assert sorted(answer.status for answer in answers) == [200] * 19 + [202]
        assert len(stage.world.workspace("acme").catalogue.runs) == 1
        assert states(await stage.deliveries(document)) == [State.SUCCEEDED]

    async def test_a_delivered_document_is_delivered_once_more_when_a_person_asks(self, stage: Stage) -> None:
        """``retry-push`` is the same as ``dispatch`` here."""
        stage.world.workspace("acme").route = DeliveryRoute(outcome="succeeded")
        document = stage.invoice()
        await stage.delivered(document)

        answered = await stage.actions.retry_push("acme", document.id, asked())
        await stage.at_rest()

        assert (answered.status, said(answered)["repeated"]) == (202, False)
        assert len(stage.world.workspace("acme").catalogue.runs) == 2

    async def test_a_dispatch_of_a_document_in_review_is_refused(self, stage: Stage) -> None:
        """Nothing is queued for it."""
        document = in_review(stage)

        with pytest.raises(ActionRefusedError) as refused:
            await stage.actions.dispatch("acme", document.id, asked())

        assert (refused.value.status, refused.value.code) == (409, "back_in_review")
        assert await stage.deliveries() == ()


async def test_an_unknown_outcome_is_told_as_such(stage: Stage) -> None:
    """Nothing tells whether it was done: neither the answer nor the document."""
    document = in_review(stage)
    stage.world.numora.faults.add("reset_before", times=1, method="POST", path="approve")

    with pytest.raises(UnknownOutcomeError):
        await stage.actions.approve("acme", document.id, asked(key="one"))

    answered = await stage.actions.approve("acme", document.id, asked(key="one"))
    assert (answered.status, document.status) == (200, "reviewed")
    await stage.at_rest()
