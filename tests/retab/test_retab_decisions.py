"""Reviews read and decided by a person through the bridge: once each, and never over somebody else's word."""

import asyncio

import pytest

from connectors.outcome import BlockedError, CursorRefusedError, OutcomeError, UnknownOutcomeError
from connectors.retab.reviews import RetabReviews
from connectors.retab.sandbox import decide
from connectors.reviews import DecidedOtherwiseError, ReviewRefusedError, SupersededVersionsError

LOST = ["reset_after", "truncated", "html_502_after", "status_after"]


@pytest.fixture
def review(environment):
    return environment.open_review({"total": 1})


@pytest.fixture
def version_id(review):
    return review.versions[0].id


def posts(retab) -> int:
    return sum(record.method == "POST" for record in retab.requests)


async def list_all(reviews, **asked):
    query = {"decision_status": None, "workflow_id": None, "limit": 2, "cursor": None, **asked}
    found = []
    while True:
        page = await reviews.list_reviews(**query)
        found += [row["id"] for row in page.data]
        if page.next_cursor is None:
            return found
        query["cursor"] = page.next_cursor


async def test_reviews_are_listed_page_by_page_the_oldest_first(environment, source):
    opened = [environment.open_review({"n": number}).id for number in range(5)]
    assert await list_all(source.reviews) == opened


async def test_a_list_can_be_narrowed_down(environment, source):
    pending = environment.open_review({"n": 1}, workflow_id="wf_a")
    approved = environment.open_review({"n": 2}, workflow_id="wf_b")
    decide(environment, approved, "approved", {"version_id": approved.versions[0].id})
    assert await list_all(source.reviews) == [pending.id]
    assert await list_all(source.reviews, decision_status="approved") == [approved.id]
    assert await list_all(source.reviews, decision_status="all", workflow_id="wf_b") == [approved.id]


async def test_rows_are_given_on_as_retab_gave_them(environment, source, review):
    review.triggered_by = {"kind": "moon_phase", "phase": "full"}
    page = await source.reviews.list_reviews(decision_status="pending", workflow_id=None, limit=10, cursor=None)
    assert page.data == (review.body(),)


async def test_a_filter_that_is_none_is_told_and_blocks_nothing(retab, source):
    with pytest.raises(ReviewRefusedError) as refused:
        await source.reviews.list_reviews(decision_status="liked", workflow_id=None, limit=10, cursor=None)
    assert (refused.value.status, refused.value.code) == (422, "review_invalid")
    await source.probe()
    assert "liked" not in list(retab.requests)[-1].path


async def test_an_unknown_cursor_is_told(source):
    with pytest.raises(CursorRefusedError):
        await source.reviews.list_reviews(decision_status=None, workflow_id=None, limit=10, cursor="rev_nobody")


async def test_a_review_comes_with_its_versions_oldest_first_and_its_leaves(environment, source, review, version_id):
    left = environment.correct(review, total=2)
    right = environment.correct(review, parent_id=version_id, total=3)
    last = environment.correct(review, total=4)
    review.versions.reverse()

    detail = await source.reviews.review(review.id)

    assert detail.review == review.body()
    assert [version["id"] for version in detail.versions] == [version_id, left.id, right.id, last.id]
    assert detail.latest_version_ids == (left.id, last.id)


async def test_no_such_review_is_none(source):
    assert await source.reviews.review("rev_nobody") is None


async def test_an_approval_is_recorded_and_resumes_the_run(retab, environment, source, review, version_id, log):
    decision = await source.reviews.approve(review.id, version_id, (), log)
    assert (decision.submission_status, decision.resume_status, decision.resume_error) == ("accepted", "resumed", None)
    assert decision.run_status == "completed"
    assert decision.review == review.body()
    assert environment.reviews[review.id].decision["verdict"] == "approved"
    assert log.mutating == ["approve"]


async def test_a_rejection_is_recorded_with_its_reason(environment, source, review, version_id, log):
    decision = await source.reviews.reject(review.id, version_id, "unreadable", log)
    assert decision.submission_status == "accepted"
    assert decision.run_status == "error"
    assert review.decision["reason"] == "unreadable"


async def test_the_same_decision_again_is_a_success(source, review, version_id, log):
    await source.reviews.approve(review.id, version_id, (), log)
    again = await source.reviews.approve(review.id, version_id, (), log)
    assert again.submission_status == "already_applied"


async def test_another_decision_stands_and_is_shown(source, review, version_id, log):
    """Retab answers 200 with ``conflict``: the first of two people wins."""
    await source.reviews.reject(review.id, version_id, "no", log)
    with pytest.raises(DecidedOtherwiseError) as conflict:
        await source.reviews.approve(review.id, version_id, (), log)
    assert conflict.value.review["decision"]["verdict"] == "rejected"
    assert review.decision["verdict"] == "rejected"


async def test_two_people_at_once_make_one_decision(source, review, version_id, log):
    outcomes = await asyncio.gather(
        source.reviews.approve(review.id, version_id, (), log),
        source.reviews.reject(review.id, version_id, "no", log),
        return_exceptions=True,
    )
    assert sorted(isinstance(outcome, DecidedOtherwiseError) for outcome in outcomes) == [False, True]


@pytest.mark.parametrize("shape", ["details", "error", "message", "text"])
@pytest.mark.parametrize("action", ["approve", "reject"])
async def test_versions_that_would_be_discarded_are_named_and_never_acknowledged_by_us(
    retab, environment, source, review, version_id, log, shape, action
):
    retab.rules.superseded_shape = shape
    left = environment.correct(review, total=2)
    right = environment.correct(review, parent_id=version_id, total=3)
    deciding = (
        source.reviews.approve(review.id, version_id, (), log)
        if action == "approve"
        else source.reviews.reject(review.id, version_id, "no", log)
    )
    with pytest.raises(SupersededVersionsError) as superseded:
        await deciding
    assert superseded.value.superseded_version_ids == (left.id, right.id)
    assert review.decision is None
    assert all(b"acknowledged" not in (record.body or b"") for record in retab.requests)


async def test_a_person_may_let_versions_go(environment, source, review, version_id, log):
    later = environment.correct(review, total=2)
    decision = await source.reviews.approve(review.id, version_id, [later.id], log)
    assert decision.review["decision"]["version_id"] == version_id


async def test_the_two_conflicts_are_told_apart(environment, source, review, version_id, log):
    """A stale version of a review that somebody decided otherwise: the decision is what matters."""
    later = environment.correct(review, total=2)
    decide(environment, review, "approved", {"version_id": later.id})
    with pytest.raises(DecidedOtherwiseError):
        await source.reviews.approve(review.id, version_id, (), log)


async def test_a_409_about_a_decided_review_is_a_decision_otherwise(
    retab, environment, source, review, version_id, log
):
    """Should Retab answer 409 there one day: the review says which of the conflicts it is."""
    decide(environment, review, "rejected", {"version_id": version_id, "reason": "no"})
    retab.faults.add("status_before", status=409, method="POST", times=1)
    with pytest.raises(DecidedOtherwiseError):
        await source.reviews.approve(review.id, version_id, (), log)


@pytest.mark.parametrize("status", [409, 404, 422])
async def test_a_cancelled_review_cannot_be_decided(retab, environment, source, review, version_id, log, status):
    retab.rules.cancelled_refusal = status
    environment.cancel(environment.runs[review.run_id])
    with pytest.raises(ReviewRefusedError) as refused:
        await source.reviews.approve(review.id, version_id, (), log)
    assert refused.value.status == status
    assert (refused.value.code == "review_cancelled") == (status == 409)


@pytest.mark.parametrize(
    ("status", "code"),
    [(404, "review_not_found"), (410, "review_not_found"), (409, "review_conflict"), (422, "review_invalid")],
)
async def test_refusals_have_codes_of_their_own(retab, source, review, version_id, log, status, code):
    retab.faults.add("status_before", status=status, method="POST", times=1)
    with pytest.raises(ReviewRefusedError) as refused:
        await source.reviews.approve(review.id, version_id, (), log)
    assert refused.value.code == code


async def test_an_id_that_is_none_is_told_in_retabs_words(source, review, log):
    with pytest.raises(ReviewRefusedError) as refused:
        await source.reviews.approve(review.id, "rvr_short", (), log)
    assert "body.version_id" in refused.value.message


async def test_a_key_that_is_refused_is_no_refusal_of_the_review(retab, source, review, version_id, log):
    retab.faults.add("unauthorized", method="POST")
    with pytest.raises(BlockedError):
        await source.reviews.approve(review.id, version_id, (), log)


@pytest.mark.parametrize("kind", LOST)
@pytest.mark.parametrize("action", ["approve", "reject"])
async def test_after_a_lost_answer_the_review_is_read_and_nothing_is_sent_twice(
    retab, source, review, version_id, log, kind, action
):
    retab.faults.add(kind, method="POST", times=1)
    deciding = (
        source.reviews.approve(review.id, version_id, (), log)
        if action == "approve"
        else source.reviews.reject(review.id, version_id, "no", log)
    )
    decision = await deciding
    assert decision.submission_status == "already_applied"
    assert decision.review["decision"]["version_id"] == version_id
    assert posts(retab) == 1


@pytest.mark.parametrize("kind", ["reset_before", "html_502", "status_before"])
async def test_a_decision_that_was_not_recorded_is_sent_once_more(retab, source, review, version_id, log, kind):
    retab.faults.add(kind, method="POST", times=1)
    decision = await source.reviews.approve(review.id, version_id, (), log)
    assert decision.submission_status == "accepted"
    assert posts(retab) == 2


async def test_a_timeout_is_looked_into_as_well(retab, connect, review, version_id, log):
    retab.faults.add("hang_after", method="POST", times=1)
    decision = await connect(timeout="300ms").reviews.approve(review.id, version_id, (), log)
    assert decision.submission_status == "already_applied"


async def test_what_somebody_else_decided_meanwhile_is_found_after_a_lost_answer(
    retab, environment, source, review, version_id, log
):
    decide(environment, review, "rejected", {"version_id": version_id, "reason": "no"})
    retab.faults.add("reset_after", method="POST", times=1)
    with pytest.raises(DecidedOtherwiseError):
        await source.reviews.approve(review.id, version_id, (), log)
    assert posts(retab) == 1


async def test_twice_lost_and_not_recorded_stays_unknown(retab, source, review, version_id, log):
    retab.faults.add("reset_before", method="POST")
    with pytest.raises(UnknownOutcomeError):
        await source.reviews.approve(review.id, version_id, (), log)
    assert posts(retab) == 2
    assert review.decision is None


async def test_what_cannot_be_looked_into_stays_unknown(retab, source, review, version_id, log):
    retab.faults.add("reset_after", method="POST", times=1)
    retab.faults.add("reset_before", method="GET")
    with pytest.raises(UnknownOutcomeError):
        await source.reviews.approve(review.id, version_id, (), log)
    assert posts(retab) == 1


async def test_a_pause_means_that_nothing_was_sent(retab, source, review, version_id, log):
    retab.faults.add("throttle", retry_after=60, times=1)
    with pytest.raises(OutcomeError) as paused:
        await source.reviews.approve(review.id, version_id, (), log)
    assert paused.value.code == "throttled"
    assert not isinstance(paused.value, UnknownOutcomeError)
    assert review.decision is None


class Clock:
    """Time that passes by sleeping."""

    def __init__(self) -> None:
        self.now = 0.0
        self.slept: list[float] = []

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds

    def monotonic(self) -> float:
        return self.now


def following(source, clock: Clock, wait: float = 5.0) -> RetabReviews:
    return RetabReviews(source._client, wait, sleep=clock.sleep, monotonic=clock.monotonic)


async def test_a_run_that_is_resumed_late_is_followed_until_it_moves(retab, source, review, version_id, log):
    retab.rules.resume_status, retab.rules.pending_reads = "pending", 3
    clock = Clock()
    decision = await following(source, clock).approve(review.id, version_id, (), log)
    assert (decision.resume_status, decision.run_status) == ("pending", "completed")
    assert clock.slept == [0.25, 0.5, 1.0]


async def test_a_run_that_stays_where_it_is_is_told_as_it_is_in_the_end(retab, source, review, version_id, log):
    retab.rules.resume_status, retab.rules.pending_reads = "pending", None
    clock = Clock()
    decision = await following(source, clock, 3.0).approve(review.id, version_id, (), log)
    assert (decision.submission_status, decision.run_status) == ("accepted", "awaiting_review")
    assert sum(clock.slept) == 3.0


@pytest.mark.parametrize(
    ("status", "error"),
    [
        ("pending", "workflow execution already completed"),
        ("pending", "Workflow execution already finished."),
        ("failed", "no worker"),
        ("skipped", None),
    ],
)
async def test_a_run_that_will_not_be_resumed_is_not_waited_for(retab, source, review, version_id, log, status, error):
    retab.rules.resume_status, retab.rules.resume_error, retab.rules.pending_reads = status, error, None
    clock = Clock()
    decision = await following(source, clock).approve(review.id, version_id, (), log)
    assert (decision.resume_status, decision.resume_error) == (status, error)
    assert clock.slept == []


async def test_a_run_that_is_not_found_at_first_is_looked_at_again(retab, source, review, version_id, log):
    retab.rules.resume_status, retab.rules.pending_reads = "pending", 1
    retab.faults.add("status_before", status=404, path="/runs/", times=2)
    decision = await following(source, Clock()).approve(review.id, version_id, (), log)
    assert decision.run_status == "completed"


async def test_the_decision_stands_though_the_run_cannot_be_read(retab, source, review, version_id, log):
    retab.faults.add("status_before", status=500, path="/runs/")
    decision = await source.reviews.approve(review.id, version_id, (), log)
    assert (decision.submission_status, decision.run_status) == ("accepted", None)


@pytest.mark.parametrize("end", ["error", "failed", "cancelled", "completed"])
async def test_a_run_may_end_in_any_word_after_a_rejection(retab, source, review, version_id, log, end):
    retab.rules.after_rejection = end
    assert (await source.reviews.reject(review.id, version_id, "no", log)).run_status == end


async def test_another_workflows_reviews_can_neither_be_seen_nor_decided(retab, connect, review, version_id, log):
    """Tenants may share a key and have a workflow each."""
    reviews = connect(workflow_id="wf_ours").reviews
    assert await list_all(reviews) == []
    assert await list_all(reviews, workflow_id=review.workflow_id) == []
    assert await reviews.review(review.id) is None
    for deciding in (
        reviews.approve(review.id, version_id, (), log),
        reviews.reject(review.id, version_id, "no", log),
    ):
        with pytest.raises(ReviewRefusedError) as refused:
            await deciding
        assert refused.value.code == "review_not_found"
    assert review.decision is None
    assert posts(retab) == 0


async def test_ones_own_workflows_reviews_can_be_decided(connect, review, version_id, log):
    decision = await connect(workflow_id=review.workflow_id).reviews.approve(review.id, version_id, (), log)
    assert decision.submission_status == "accepted"
