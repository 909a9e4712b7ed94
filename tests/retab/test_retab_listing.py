"""Finding approved reviews: by looking back, page by page, and never by a cursor as a mark of what was seen."""

from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from connectors.outcome import BlockedError, CursorRefusedError, ThrottledError, TransientError
from connectors.ports import Listing
from connectors.retab.listing import Selection, to_listings
from connectors.retab.models import Review
from connectors.retab.sandbox import SandboxReview, decide

LONG_AGO = datetime.min.replace(tzinfo=UTC)


def ago(**time: float) -> str:
    return (datetime.now(UTC) - timedelta(**time)).isoformat()


def approve(environment, review: SandboxReview) -> None:
    decide(environment, review, "approved", {"version_id": review.versions[-1].id})


async def window(source) -> list[Listing]:
    """Read from the window's start to its end."""
    cursor, seen = None, []
    while True:
        page = await source.list_outbox(cursor)
        seen += page.listings
        if page.next_cursor is None:
            return seen
        cursor = page.next_cursor


def queries(retab) -> list[dict[str, list[str]]]:
    return [parse_qs(urlsplit(record.path).query) for record in retab.requests]


async def test_a_window_holds_every_approved_review_once_the_newest_first(retab, environment, connect):
    reviews = [environment.open_review({"n": number}) for number in range(7)]
    for review in reviews:
        approve(environment, review)

    seen = await window(connect(poll={"limit": 3}))

    assert [listing.document_id for listing in seen] == [review.id for review in reversed(reviews)]
    assert [query.get("after") for query in queries(retab)] == [None, [reviews[4].id], [reviews[1].id]]
    assert all(
        (query["decision_status"], query["order"], query["limit"]) == (["approved"], ["desc"], ["3"])
        for query in queries(retab)
    )


async def test_a_review_approved_after_newer_ones_is_found_by_the_next_window(environment, source):
    """The order is that of opening: whatever was read last, the next window begins at the newest again."""
    early, late = (environment.open_review({"n": number}) for number in range(2))
    approve(environment, late)
    assert [listing.document_id for listing in await window(source)] == [late.id]
    approve(environment, early)
    assert [listing.document_id for listing in await window(source)] == [late.id, early.id]


async def test_a_window_ends_where_reviews_are_older_than_the_lookback(retab, environment, connect):
    """What lies further back is not even asked for."""
    for days in range(10):
        approve(environment, environment.open_review({}, review_id=f"rev_{days}", created_at=ago(days=days, hours=1)))

    seen = await window(connect(poll={"limit": 2, "lookback": "3d"}))

    assert [listing.document_id for listing in seen] == ["rev_0", "rev_1", "rev_2"]
    assert len(retab.requests) == 2


async def test_a_listing_is_final_and_known_by_review_and_decision(environment, source):
    review = environment.open_review({}, workflow_id="wf_9")
    approve(environment, review)
    (listing,) = await window(source)
    assert review.decision is not None
    assert listing == Listing(review.id, "invoice_v2", "approved", updated_at=review.decision["created_at"], final=True)


async def test_pending_rejected_and_cancelled_reviews_are_not_listed(environment, source):
    environment.open_review({"n": 1})
    rejected = environment.open_review({"n": 2})
    decide(environment, rejected, "rejected", {"version_id": rejected.versions[0].id, "reason": "no"})
    environment.cancel(environment.runs[environment.open_review({"n": 3}).run_id])
    assert await window(source) == []


async def test_only_the_configured_workflow_is_asked_for(retab, environment, connect):
    ours, theirs = (environment.open_review({}, workflow_id=name) for name in ("wf_ours", "wf_theirs"))
    approve(environment, ours)
    approve(environment, theirs)
    assert [listing.document_id for listing in await window(connect(workflow_id="wf_ours"))] == [ours.id]
    assert queries(retab)[0]["workflow_id"] == ["wf_ours"]


@pytest.mark.parametrize(
    ("schemas", "workflow", "block", "block_type", "schema"),
    [
        ({}, "wf_1", "b", "extract", "wf_1"),
        ({"*": "any"}, "wf_1", "b", "extract", "any"),
        ({"wf_1": "one", "*": "any"}, "wf_1", "b", "extract", "one"),
        ({"wf_1": "one", "wf_1/b": "block"}, "wf_1", "b", "extract", "block"),
        ({"wf_1": "one"}, "wf_2", "b", "extract", None),
        ({"*": "any"}, "wf_1", "b", "a_new_type", "any"),
        ({"*": "any"}, "wf_1", "b", "split", None),
        ({"*": "any"}, "wf_1", "b", "classifier", None),
        ({}, "wf_1", "b", "for_each", None),
        ({"wf_1/b": "kind_of_document"}, "wf_1", "b", "classifier", "kind_of_document"),
    ],
)
def test_the_schema_follows_from_workflow_and_block(schemas, workflow, block, block_type, schema):
    """Reviews of how a file is cut or sorted are no documents, unless their block is named."""
    review = Review(id="rev_1", workflow_id=workflow, block_id=block, block_type=block_type)
    assert Selection(schemas).schema_of(review) == schema


def test_a_malformed_row_costs_neither_the_page_nor_the_review():
    """Known by its id alone, the review is read in full before it is delivered."""
    rows = [{"id": "rev_1", "decision": "approved"}, {"decision": None}, "text"]
    listings, ended = to_listings(rows, Selection({}), LONG_AGO)
    assert (listings, ended) == ((Listing("rev_1"),), False)


def test_a_page_in_which_no_row_has_an_id_is_not_understood():
    with pytest.raises(TransientError) as error:
        to_listings([{}, "text"], Selection({}), LONG_AGO)
    assert error.value.code == "bad_answer"


def test_unknown_words_and_keys_survive():
    row = {
        "id": "rev_1",
        "workflow_id": "wf_1",
        "block_type": "extract",
        "triggered_by": {"kind": "moon_phase", "phase": 3},
        "created_at": "2026-11-01T10:00:00",
        "decision": {"verdict": "approved", "version_id": "rvr_1", "decided_at": "2026-11-01T11:00:00Z", "new": 1},
    }
    ((listing,), _) = to_listings([row], Selection({}), LONG_AGO)
    assert (listing.updated_at, listing.final) == ("2026-11-01T11:00:00Z", True)


async def test_a_refused_cursor_is_told_apart_from_a_refused_list(source):
    with pytest.raises(CursorRefusedError) as refused:
        await source.list_outbox("rev_nobody")
    assert refused.value.code == "retab_cursor_refused"


@pytest.mark.parametrize(
    ("status", "outcome", "code"),
    [
        (401, BlockedError, "retab_unauthorized"),
        (403, BlockedError, "retab_forbidden"),
        (404, BlockedError, "retab_refused"),
        (422, BlockedError, "retab_refused"),
        (409, TransientError, "retab_not_ready"),
        (500, TransientError, "retab_unavailable"),
        (503, TransientError, "retab_unavailable"),
    ],
)
async def test_a_refused_list_says_what_to_do(retab, source, status, outcome, code):
    retab.faults.add("status_before", status=status, times=1)
    with pytest.raises(outcome) as error:
        await source.list_outbox(None)
    assert error.value.code == code


async def test_a_pause_that_retab_asks_for_is_kept(retab, source):
    retab.faults.add("throttle", retry_after=30, times=1)
    with pytest.raises(ThrottledError) as error:
        await source.list_outbox(None)
    assert error.value.retry_after == 30
    with pytest.raises(ThrottledError):
        await source.list_outbox(None)
    assert retab.violations == 0


async def test_a_probe_tries_again_what_was_refused(retab, environment, source, log):
    """A key that may list but not read is found out by reading."""
    review = environment.open_review({})
    refusing = retab.faults.add("status_before", status=403, path=f"/reviews/{review.id}$")
    for call in (source.fetch(Listing(review.id), log), source.probe()):
        with pytest.raises(BlockedError):
            await call
    assert refusing.struck == 2
    retab.faults.clear()
    await source.probe()
    await source.probe()
    assert list(retab.requests)[-1].path.startswith("/v1/workflows/reviews?decision_status=approved")


async def test_a_key_that_is_not_valid_blocks(connect):
    with pytest.raises(BlockedError) as error:
        await connect(api_key="rt_test_nobody").probe()
    assert error.value.code == "retab_unauthorized"
    assert "Invalid API Key." in error.value.message
