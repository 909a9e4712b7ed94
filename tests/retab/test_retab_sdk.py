"""Retab's official SDK as an independent peer: it works with the sandbox, and asks for the same as our own client."""

import asyncio
import json
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from connectors.ports import Listing
from connectors.retab.sandbox import DEFAULT_KEY, open_samples
from connectors.retab.sandbox.state import SandboxReview

pytestmark = pytest.mark.skipif(find_spec("retab") is None, reason="needs the Retab SDK: make test installs it")

PEER = Path(__file__).parent / "retab_sdk_peer.py"


async def peer(kind: str, url: str, plan: dict[str, Any]) -> dict[str, Any]:
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(PEER),
        kind,
        url,
        DEFAULT_KEY,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate(json.dumps(plan).encode())
    assert process.returncode == 0, err.decode()
    answer: dict[str, Any] = json.loads(out)
    return answer


async def test_the_blocking_client_lists_reads_corrects_and_decides(retab, environment):
    reviews = open_samples(environment, 5)
    approved, rejected = reviews[1], reviews[3]

    seen = await peer("sync", retab.url, {"approve": approved.id, "reject": rejected.id})

    seed, made = approved.versions
    assert seen["pending"] == [review.id for review in reviews]
    assert seen["review"]["id"] == approved.id
    assert (seen["made"]["id"], seen["made"]["parent_id"], seen["made"]["note"]) == (made.id, seed.id, "seen")
    assert (seen["stale"]["error"], made.id in seen["stale"]["body"]) == ("ConflictError", True)
    assert [seen[name]["submission_status"] for name in ("approved", "again", "conflict", "rejected")] == [
        "accepted",
        "already_applied",
        "conflict",
        "accepted",
    ]
    assert seen["conflict"]["review"]["decision"]["verdict"] == "approved"
    assert seen["run"]["lifecycle"]["status"] == "completed"
    assert seen["step"]["artifact"]["id"] == seen["artifact"]["id"]
    assert seen["artifact"]["consensus"]["likelihoods"].keys() == seed.snapshot.keys()
    assert seen["steps"] == [approved.step_id]
    assert seen["decided"] == [rejected.id, approved.id]
    assert [seen[name]["error"] for name in ("missing", "malformed", "stranger")] == [
        "NotFoundError",
        "ValidationError",
        "AuthenticationError",
    ]
    assert all(seen[name]["request_id"] for name in ("stale", "missing", "malformed", "stranger"))


async def test_the_asynchronous_client_lists_reads_and_decides(retab, environment):
    reviews = open_samples(environment, 5, sure=False)
    seen = await peer("async", retab.url, {"approve": reviews[0].id, "reject": reviews[4].id})
    assert seen["pending"] == [review.id for review in reviews]
    assert [answer["submission_status"] for answer in seen["decided"]] == ["accepted", "accepted"]
    assert [review.status for review in (reviews[0], reviews[4])] == ["approved", "rejected"]
    assert seen["run"]["lifecycle"]["status"] == "completed"


async def ours(source, review: SandboxReview, other: str, log) -> None:
    """Make every kind of request that our client makes."""
    await source.list_outbox(None)
    await source.reviews.review(review.id)
    await source.reviews.approve(review.id, review.versions[1].id, [other], log)
    await source.fetch(Listing(review.id), log)
    await source.reviews.approve(review.id, review.versions[1].id, (), log)
    with pytest.raises(Exception, match="Another decision"):
        await source.reviews.reject(review.id, review.versions[1].id, "no", log)


async def test_our_requests_are_those_of_the_sdk(retab, environment, source, log):
    """Method, path, query and body agree, so that what Retab understands of one it understands of the other."""
    (review,) = open_samples(environment, 1)
    environment.correct(review, total_amount=1)
    other = "rvr_" + "A" * 26
    step = environment.steps[review.step_id]
    await ours(source, review, other, log)

    expected = await peer(
        "prepared",
        retab.url,
        {
            "list": {"decision_status": "approved", "order": "desc", "limit": 50},
            "review": review.id,
            "version": review.versions[1].id,
            "other": other,
            "run": review.run_id,
            "step": review.step_id,
            "artifact": step.extraction_id,
        },
    )

    sent = [
        {
            "method": record.method,
            "path": urlsplit(record.path).path,
            "query": dict(parse_qsl(urlsplit(record.path).query)),
            "body": json.loads(record.body) if record.body else None,
        }
        for record in retab.requests
    ]
    for name, request in expected.items():
        request["query"] = {key: str(value) for key, value in request["query"].items()}
        assert request in sent, name
    assert all(request in expected.values() for request in sent)
