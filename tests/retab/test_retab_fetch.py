"""Reading one review: decision, approved version, the model's own version and how sure it was."""

from decimal import Decimal

import pytest

from connectors.outcome import RejectedError, TransientError
from connectors.ports import Listing, Report
from connectors.retab.sandbox import decide, open_samples

REPORT = Report("rev_1", "succeeded", "exe_1", "2026-11-01T10:00:00.000Z", "r-1", "https://d/r-1")


def approve(environment, review) -> None:
    decide(environment, review, "approved", {"version_id": review.versions[-1].id})


def purposes(log) -> list[str]:
    return [request.purpose for request in log.opened]


async def test_the_approved_version_is_the_document(environment, source, log):
    """Not the model's, and not the one that was made last."""
    (review,) = open_samples(environment, 1)
    environment.correct(review, total_amount=Decimal("99.90"))
    approve(environment, review)

    document = await source.fetch(Listing(review.id), log)

    assert document is not None
    assert (document.id, document.schema, document.status) == (review.id, "invoice_v2", "approved")
    assert document.fields["total_amount"] == Decimal("99.90")
    assert document.fields["invoice_number"] == "RT-2026-00001"
    assert document.external_id == "ext-RT-2026-00001"
    assert document.metadata["version_id"] == review.versions[1].id
    assert document.metadata["edited_fields"] == ["total_amount"]
    assert document.metadata["file_name"] == "document.pdf"
    assert "total_amount" not in document.confidences
    assert Decimal("0.9") <= document.confidences["invoice_number"] < 1
    assert [line.values["id"] for line in document.line_items] == [
        str(place) for place in range(1, len(review.versions[0].snapshot["line_items"]) + 1)
    ]


async def test_an_uncorrected_review_needs_no_list_of_versions(environment, source, log):
    (review,) = open_samples(environment, 1)
    approve(environment, review)
    document = await source.fetch(Listing(review.id), log)
    assert document is not None
    assert document.confidences.keys() == document.fields.keys()
    assert purposes(log) == ["review", "version", "run", "step", "artifact"]
    assert log.mutating == []


async def test_a_single_reading_gives_no_confidence(environment, source, log):
    (review,) = open_samples(environment, 1, sure=False)
    approve(environment, review)
    document = await source.fetch(Listing(review.id), log)
    assert document is not None
    assert document.confidences == {}


async def test_equal_reads_have_equal_revisions(environment, source, log):
    (review,) = open_samples(environment, 1)
    approve(environment, review)
    first, second = [await source.fetch(Listing(review.id), log) for _ in range(2)]
    assert first is not None
    assert second is not None
    assert first.revision() == second.revision()


@pytest.mark.parametrize("edited", [False, True])
async def test_equal_data_of_another_review_is_never_taken_for_ours(retab, environment, source, log, edited):
    """Ids of versions are made from content: the same one may lead to another review's version."""
    retab.rules.shared_version_ids = True
    theirs = environment.open_review({"n": 1}, likelihoods={"n": 1})
    ours = environment.open_review({"n": 1}, likelihoods={"n": 1})
    if edited:
        for review in (theirs, ours):
            environment.correct(review, n=2)
    assert theirs.versions[-1].id == ours.versions[-1].id
    approve(environment, ours)

    document = await source.fetch(Listing(ours.id), log)

    assert document is not None
    assert document.metadata["review_id"] == ours.id
    assert document.fields == {"n": 2 if edited else 1}
    assert "versions" in purposes(log)


async def test_a_version_that_cannot_be_found_is_read_again_later(environment, source, log):
    review = environment.open_review({})
    approve(environment, review)
    review.versions.clear()
    with pytest.raises(TransientError) as error:
        await source.fetch(Listing(review.id), log)
    assert error.value.code == "retab_version_missing"


async def test_every_page_of_versions_is_read(retab, environment, source, log):
    review = environment.open_review({"n": 0}, likelihoods={"n": 1})
    for number in range(1, 250):
        environment.correct(review, n=number)
    environment.correct(review, n=0, note="back")
    approve(environment, review)
    document = await source.fetch(Listing(review.id), log)
    assert document is not None
    assert document.metadata["edited_fields"] == ["note"]
    assert purposes(log).count("versions") == 2


async def test_older_wrapped_snapshots_are_read_as_well(retab, environment, source, log):
    retab.rules.wrapped = True
    review = environment.open_review({"a": 1}, likelihoods={"a": 1})
    approve(environment, review)
    document = await source.fetch(Listing(review.id), log)
    assert document is not None
    assert (document.fields, document.confidences) == ({"a": 1}, {"a": Decimal(1)})


@pytest.mark.parametrize("gone", ["/runs/", "/steps/", "/artifacts/"])
async def test_what_stands_beside_the_snapshot_may_be_gone(retab, environment, source, log, gone):
    """Retention takes runs before reviews: what was approved is delivered all the same."""
    (review,) = open_samples(environment, 1)
    approve(environment, review)
    retab.faults.add("status_before", status=404, path=gone)
    document = await source.fetch(Listing(review.id), log)
    assert document is not None
    assert document.fields["invoice_number"] == "RT-2026-00001"


@pytest.mark.parametrize("failing", ["/reviews/rev", "/versions/", "/runs/", "/steps/", "/artifacts/"])
async def test_a_passing_failure_delivers_nothing_by_halves(retab, environment, source, log, failing):
    (review,) = open_samples(environment, 1)
    approve(environment, review)
    retab.faults.add("status_before", status=503, path=failing, times=1)
    with pytest.raises(TransientError):
        await source.fetch(Listing(review.id), log)
    assert await source.fetch(Listing(review.id), log) is not None


async def test_a_step_without_an_artifact_is_no_hindrance(environment, source, log):
    review = environment.open_review({"a": 1}, extracted=False)
    approve(environment, review)
    document = await source.fetch(Listing(review.id), log)
    assert document is not None
    assert document.confidences == {}


@pytest.mark.parametrize("end", ["pending", "rejected", "cancelled"])
async def test_what_is_not_approved_is_not_deliverable(environment, source, log, end):
    review = environment.open_review({"a": 1})
    if end == "rejected":
        decide(environment, review, "rejected", {"version_id": review.versions[0].id, "reason": "no"})
    elif end == "cancelled":
        environment.cancel(environment.runs[review.run_id])
    document = await source.fetch(Listing(review.id), log)
    assert document is not None
    assert (document.status, document.fields) == (end, {})
    assert not source.is_deliverable(document.status)
    assert source.is_deliverable("approved")


async def test_a_review_that_is_not_there_is_gone(source, log):
    assert await source.fetch(Listing("rev_nobody"), log) is None


async def test_another_workflows_review_is_as_if_it_were_not_there(environment, connect, log):
    """Tenants may share a key and have a workflow each: neither reaches the other's reviews by their ids."""
    review = environment.open_review({}, workflow_id="wf_theirs")
    approve(environment, review)
    assert await connect(workflow_id="wf_ours").fetch(Listing(review.id), log) is None


@pytest.mark.parametrize("review_id", ["../runs", "a/b", "..", "?x=1", "%2e%2e", "ü"])
async def test_an_id_never_leads_to_another_address(retab, source, log, review_id):
    await source.fetch(Listing(review_id), log)
    (record,) = retab.requests
    path = record.path.removeprefix("/v1/workflows/reviews/")
    assert path != record.path
    assert "/" not in path
    assert "?" not in path
    assert path.strip(".")


async def test_unusable_lines_are_told_as_a_problem_of_the_document(environment, source, log):
    review = environment.open_review({"line_items": "none"})
    approve(environment, review)
    with pytest.raises(RejectedError) as refused:
        await source.fetch(Listing(review.id), log)
    assert refused.value.problems[0].field == "line_items"


async def test_a_report_is_kept_and_goes_nowhere(retab, source, log):
    """Retab takes none: the ledger has the same bytes for the same end, and nothing is sent."""
    body = source.encode_report(REPORT)
    assert body == source.encode_report(REPORT)
    assert b'"execution_id":"exe_1"' in body
    await source.report("rev_1", body, log)
    assert (len(retab.requests), log.opened) == (0, [])
