"""A retab tenant of a running bridge: approved reviews become rows, each once, whatever happens on the way."""

from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from bridge.delivery.model import Delivery, State
from bridge.sandbox import SandboxWorld
from connectors.retab.sandbox import SandboxReview, decide, open_samples
from tests.pipeline.pipeline_stage import Stage, staged

pytestmark = pytest.mark.timeout(120)


@pytest.fixture
async def world() -> AsyncIterator[SandboxWorld]:
    async with SandboxWorld() as world:
        yield world


@pytest.fixture
async def stage(world: SandboxWorld, tmp_path: Path) -> AsyncIterator[Stage]:
    """A bridge whose only tenant has Retab as its source."""
    async with staged(world, tmp_path, "acme", retab=("acme",)) as stage:
        yield stage


def approve(stage: Stage, review: SandboxReview) -> None:
    decide(stage.world.environment("acme"), review, "approved", {"version_id": review.versions[-1].id})


async def delivered(stage: Stage, review: SandboxReview) -> Delivery:
    await stage.poll()
    await stage.at_rest()
    return (await stage.deliveries(review))[0]  # type: ignore[arg-type]


def names(stage: Stage) -> list[str]:
    return sorted(row["numora_name"] for row in stage.rows())


async def test_what_a_person_approved_is_written_with_its_lines(stage):
    (review,) = open_samples(stage.world.environment("acme"), 1)
    stage.world.environment("acme").correct(review, total_amount=Decimal("99.90"))
    approve(stage, review)

    delivery = await delivered(stage, review)

    assert delivery.state is State.SUCCEEDED
    (row,) = stage.rows()
    assert row["numora_name"] == "RT-2026-00001"
    assert Decimal(str(row["numora_total"])) == Decimal("99.90")
    assert row["numora_sourceid"] == review.id
    assert row["numora_externalid"] == "ext-RT-2026-00001"
    assert len(stage.rows("numora_invoiceline")) == len(review.versions[0].snapshot["line_items"])


async def test_each_review_is_delivered_once_over_many_polls_in_whatever_order_they_are_approved(stage):
    """Approved later than newer ones, on another page, decided elsewhere: none is missed and none comes twice."""
    environment = stage.world.environment("acme")
    reviews = open_samples(environment, 12)
    for batch in ((11, 3), (10, 0), (1, 9, 2), (4,), (8, 7), (5, 6)):
        for place in batch:
            approve(stage, reviews[place])
        await stage.poll()
        await stage.at_rest()
    for _ in range(3):
        await stage.poll()
        await stage.at_rest()

    assert names(stage) == [f"RT-2026-{number:05d}" for number in range(1, 13)]
    deliveries = await stage.deliveries()
    assert len(deliveries) == 12
    assert all(delivery.state is State.SUCCEEDED and delivery.attempts == 1 for delivery in deliveries)


async def test_what_was_delivered_is_not_read_again(stage):
    """A decision is made once about a version that never changes: later polls read the list, and nothing else."""
    (review,) = open_samples(stage.world.environment("acme"), 1)
    approve(stage, review)
    await delivered(stage, review)
    before = stage.world.retab.requests.total
    report = await stage.poll()
    await stage.at_rest()
    assert (report.seen, report.queued) == (1, 0)
    assert stage.world.retab.requests.total == before + 1


async def test_pending_rejected_and_cancelled_reviews_are_never_written(stage):
    environment = stage.world.environment("acme")
    _, rejected, cancelled, approved = open_samples(environment, 4)
    decide(environment, rejected, "rejected", {"version_id": rejected.versions[0].id, "reason": "no"})
    environment.cancel(environment.runs[cancelled.run_id])
    approve(stage, approved)
    await delivered(stage, approved)
    assert names(stage) == ["RT-2026-00004"]


async def test_several_reviews_of_one_run_are_documents_of_their_own(stage):
    """A loop opens one review for each round: the review is the identity, not the run."""
    environment = stage.world.environment("acme")
    (first,) = open_samples(environment, 1)
    second = environment.open_review(
        {**first.versions[0].snapshot, "invoice_number": "RT-2"}, run_id=first.run_id, iteration_key="2"
    )
    for review in (first, second):
        approve(stage, review)
    await delivered(stage, second)
    assert names(stage) == ["RT-2", "RT-2026-00001"]


@pytest.mark.parametrize("fault", ["reset_before", "reset_after", "truncated", "html_502", "status_before", "throttle"])
async def test_a_retab_that_often_fails_delays_and_doubles_nothing(world, tmp_path, fault):
    async with staged(world, tmp_path, "acme", retab=("acme",), schedule=("0s", *["10ms"] * 12)) as stage:
        reviews = open_samples(world.environment("acme"), 6)
        for review in reviews:
            approve(stage, review)
        path = "/(reviews/|runs/|steps/|artifacts/)"
        parameters = {"retry_after": 0} if fault == "throttle" else {}
        failing = world.retab.faults.add(fault, rate=0.3, times=8, path=path, **parameters)
        await stage.poll()
        await stage.at_rest()
        assert failing.struck > 0
        assert names(stage) == [f"RT-2026-{number:05d}" for number in range(1, 7)]
        assert all(delivery.state is State.SUCCEEDED for delivery in await stage.deliveries())


async def test_a_lost_answer_of_dataverse_leaves_one_row(stage):
    (review,) = open_samples(stage.world.environment("acme"), 1)
    approve(stage, review)
    stage.world.dataverse.faults.add("reset_after", method="POST", path="numora_invoices", times=1)
    delivery = await delivered(stage, review)
    assert delivery.state is State.SUCCEEDED
    assert len(stage.rows()) == 1


async def test_a_poll_that_broke_off_goes_on_and_the_next_begins_anew(world, tmp_path):
    async with staged(world, tmp_path, "acme", retab=("acme",), poll_limit=2) as stage:
        reviews = open_samples(world.environment("acme"), 6)
        for review in reviews[1:]:
            approve(stage, review)
        world.retab.faults.add("status_before", status=503, path="after=", times=1)
        with pytest.raises(Exception, match="Retab has trouble"):
            await stage.poll()
        approve(stage, reviews[0])
        await stage.poll()
        await stage.poll()
        await stage.at_rest()
        assert names(stage) == [f"RT-2026-{number:05d}" for number in range(1, 7)]


async def test_a_refused_key_blocks_the_source_and_loses_nothing(stage):
    (review,) = open_samples(stage.world.environment("acme"), 1)
    approve(stage, review)
    refusing = stage.world.retab.faults.add("unauthorized", path=f"/reviews/{review.id}$", times=3)
    delivery = await delivered(stage, review)
    assert (delivery.state, refusing.struck) == (State.SUCCEEDED, 3)
    assert stage.blocks


async def test_two_tenants_see_their_own_environments_only(world, tmp_path):
    async with staged(world, tmp_path, "acme", "globex", retab=("acme", "globex")) as stage:
        (review,) = open_samples(world.environment("globex"), 1)
        decide(world.environment("globex"), review, "approved", {"version_id": review.versions[0].id})
        assert (await stage.poll("acme")).seen == 0
        assert (await stage.poll("globex")).seen == 1
        await stage.at_rest("globex")
        assert len(stage.rows()) == 1


async def test_a_retab_tenant_stands_beside_a_numora_tenant(world, tmp_path):
    async with staged(world, tmp_path, "acme", "globex", retab=("globex",)) as stage:
        stage.invoice()
        (review,) = open_samples(world.environment("globex"), 1)
        decide(world.environment("globex"), review, "approved", {"version_id": review.versions[0].id})
        for tenant in ("acme", "globex"):
            await stage.poll(tenant)
            await stage.at_rest(tenant)
        assert len(stage.rows()) == 2
        assert len(world.numora.callbacks) == 1
        assert not any(record.method == "POST" for record in world.retab.requests)
