"""Reviews through the API, for a tenant whose source has them: list, look, decide, and both kinds of conflict."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from http_bridge import ACME, OPERATOR, Answer, Bridge, running_bridge

from bridge.sandbox import SandboxWorld
from connectors.retab.sandbox import SandboxReview, open_samples

INITECH = {"X-API-Key": "sandbox-key-of-initech"}
ROOT = "/v1/tenants/initech/reviews"


@pytest.fixture
async def bridge(world: SandboxWorld, tmp_path: Path) -> AsyncIterator[Bridge]:
    async with running_bridge(world, tmp_path / "config", tenants=("acme", "initech"), retab=("initech",)) as started:
        yield started


def opened(bridge: Bridge, count: int = 1) -> list[SandboxReview]:
    return open_samples(bridge.world.environment("initech"), count)


async def decide(bridge: Bridge, review: str, verdict: str, key: str | None = None, **body: Any) -> Answer:
    headers = {**INITECH, "Idempotency-Key": key} if key is not None else INITECH
    return await bridge.call("POST", f"{ROOT}/{review}/{verdict}", headers, body)


async def latest(bridge: Bridge, review: str) -> str:
    detail = (await bridge.call("GET", f"{ROOT}/{review}", INITECH)).json
    return str(detail["latest_version_ids"][-1])


async def test_reviews_are_listed_by_pages(bridge: Bridge) -> None:
    """The one opened first at the top; every one of them once."""
    reviews = opened(bridge, 5)
    seen: list[str] = []
    cursor = ""
    while True:
        answer = await bridge.call("GET", f"{ROOT}?limit=2{cursor}", INITECH)
        assert answer.status == 200
        assert answer.json.keys() == {"data", "next_cursor"}
        seen += [review["id"] for review in answer.json["data"]]
        if answer.json["next_cursor"] is None:
            break
        cursor = f"&cursor={answer.json['next_cursor']}"
    assert seen == [review.id for review in reviews]


async def test_a_review_is_shown_with_its_versions(bridge: Bridge) -> None:
    (review,) = opened(bridge)
    corrected = bridge.world.environment("initech").correct(review, invoice_number="INV-CORRECTED")
    shown = (await bridge.call("GET", f"{ROOT}/{review.id}", INITECH)).json
    assert shown["id"] == review.id
    assert len(shown["versions"]) == 2
    assert shown["versions"][1]["id"] == corrected.id
    assert shown["latest_version_ids"] == [corrected.id]


async def test_an_approved_review_is_delivered_and_approving_again_changes_nothing(bridge: Bridge) -> None:
    (review,) = opened(bridge)
    version = await latest(bridge, review.id)
    first = await decide(bridge, review.id, "approve", version_id=version)
    assert first.status == 200
    assert first.json.keys() == {"submission_status", "resume_status", "resume_error", "run_status", "review"}
    assert first.json["submission_status"] == "accepted"
    assert first.json["review"]["decision"]["verdict"] == "approved"
    again = await decide(bridge, review.id, "approve", version_id=version)
    assert (again.status, again.json["submission_status"]) == (200, "already_applied")
    ended = await bridge.deliver(review.id, "initech")
    assert (ended.status, ended.json["state"]) == (200, "succeeded")


async def test_a_review_that_was_decided_otherwise_is_a_conflict_that_shows_who_won(bridge: Bridge) -> None:
    (review,) = opened(bridge)
    version = await latest(bridge, review.id)
    await decide(bridge, review.id, "approve", version_id=version)
    answer = await decide(bridge, review.id, "reject", version_id=version, reason="too late")
    assert (answer.status, answer.code) == (409, "decided_otherwise")
    assert answer.json["review"]["decision"]["verdict"] == "approved"


async def test_versions_that_would_be_discarded_are_named_and_never_acknowledged_by_us(bridge: Bridge) -> None:
    """409 with their ids; the same request with them in it is taken."""
    (review,) = opened(bridge)
    seed = await latest(bridge, review.id)
    environment = bridge.world.environment("initech")
    mine = environment.correct(review, parent_id=seed, invoice_number="INV-MINE")
    other = environment.correct(review, parent_id=seed, invoice_number="INV-OTHER")
    answer = await decide(bridge, review.id, "approve", version_id=mine.id)
    assert (answer.status, answer.code) == (409, "superseded_versions")
    assert answer.json["superseded_version_ids"] == [other.id]
    taken = await decide(
        bridge, review.id, "approve", version_id=mine.id, acknowledged_superseded_version_ids=[other.id]
    )
    assert (taken.status, taken.json["submission_status"]) == (200, "accepted")


async def test_a_rejection_needs_a_reason_and_is_a_decision(bridge: Bridge) -> None:
    (review,) = opened(bridge)
    version = await latest(bridge, review.id)
    for body in ({"version_id": version}, {"version_id": version, "reason": " "}, {"reason": "no version"}):
        answer = await decide(bridge, review.id, "reject", **body)
        assert (answer.status, answer.code) == (422, "bad_body")
    rejected = await decide(bridge, review.id, "reject", version_id=version, reason="not ours")
    assert (rejected.status, rejected.json["review"]["decision"]["verdict"]) == (200, "rejected")


async def test_a_decision_is_made_once_for_each_idempotency_key(bridge: Bridge) -> None:
    review, other = opened(bridge, 2)
    version = await latest(bridge, review.id)
    first = await decide(bridge, review.id, "approve", "k", version_id=version)
    again = await decide(bridge, review.id, "approve", "k", version_id=version)
    assert (first.status, again.status, again.body) == (200, 200, first.body)
    assert again.headers["Idempotency-Replayed"] == "true"
    reused = await decide(bridge, other.id, "approve", "k", version_id=version)
    assert (reused.status, reused.code) == (422, "idempotency_key_reused")


async def test_a_review_that_there_is_not_is_a_404(bridge: Bridge) -> None:
    assert (await bridge.call("GET", f"{ROOT}/rev_none", INITECH)).code == "review_not_found"
    for verdict, body in (("approve", {}), ("reject", {"reason": "no"})):
        answer = await decide(bridge, "rev_none", verdict, version_id="rvr_none", **body)
        assert (answer.status, answer.code) == (404, "review_not_found")


async def test_a_source_without_reviews_or_actions_says_so(bridge: Bridge) -> None:
    """404 with a code of its own: a workflow can tell a wrong tenant from a wrong id."""
    for method, path, headers, code in (
        ("GET", "/v1/tenants/acme/reviews", ACME, "no_reviews"),
        ("GET", "/v1/tenants/acme/reviews/rev_1", ACME, "no_reviews"),
        ("GET", "/v1/tenants/initech/documents/d1", INITECH, "no_actions"),
        ("POST", "/v1/tenants/initech/documents/d1/approve", INITECH, "no_actions"),
        ("POST", "/v1/tenants/initech/documents/d1/dispatch", INITECH, "no_actions"),
        ("GET", "/v1/tenants/initech/numora/schemas", INITECH, "no_resources"),
        ("GET", "/v1/tenants/initech/numora/runs/run_1", OPERATOR, "no_resources"),
    ):
        answer = await bridge.call(method, path, headers)
        assert (answer.status, answer.code) == (404, code), path


async def test_a_cursor_that_was_never_given_is_refused(bridge: Bridge) -> None:
    answer = await bridge.call("GET", f"{ROOT}?cursor=nope", INITECH)
    assert (answer.status, answer.code) == (400, "bad_cursor")


@pytest.mark.parametrize(
    ("fault", "options", "status", "code"),
    [
        ("unauthorized", {}, 409, "blocked"),
        ("html_502", {}, 502, "upstream_unavailable"),
        ("throttle", {"retry_after": 3}, 503, "upstream_throttled"),
    ],
)
async def test_what_the_source_does_is_told(
    bridge: Bridge, fault: str, options: dict[str, Any], status: int, code: str
) -> None:
    (review,) = opened(bridge)
    bridge.world.retab.faults.add(fault, times=None, **options)
    for path in (ROOT, f"{ROOT}/{review.id}"):
        answer = await bridge.call("GET", path, INITECH)
        assert (answer.status, answer.code) == (status, code)
