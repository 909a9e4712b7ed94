"""A session of the official Retab SDK, in a process of its own: constructing a client changes TLS for the whole one.

``python retab_sdk_peer.py sync|async|prepared URL KEY`` reads what to do as JSON from standard input, and prints JSON.
"""

import asyncio
import json
import sys
from typing import Any

from retab import AsyncRetab, Retab
from retab.exceptions import APIError


def told(error: APIError) -> dict[str, Any]:
    return {
        "error": type(error).__name__,
        "status": error.status_code,
        "request_id": error.request_id,
        "body": error.body,
    }


def plain(value: Any) -> Any:
    return value.model_dump(mode="json")


def session(url: str, key: str, plan: dict[str, Any]) -> dict[str, Any]:
    """List, read, correct and decide with the blocking client."""
    seen: dict[str, Any] = {}
    with Retab(api_key=key, base_url=url, timeout=20, max_retries=0) as client:
        reviews, workflows = client.workflows.reviews, client.workflows
        seen["pending"] = [review.id for review in reviews.list(limit=2)]
        seen["review"] = plain(reviews.get(plan["approve"]))
        (seed,) = reviews.versions.list(plan["approve"])
        made = reviews.versions.create(plan["approve"], seed.id, {**seed.snapshot, "total_amount": 1}, note="seen")
        seen["made"] = plain(reviews.versions.get(made.id))
        try:
            reviews.approve(plan["approve"], seed.id)
        except APIError as error:
            seen["stale"] = told(error)
        seen["approved"] = plain(reviews.approve(plan["approve"], made.id))
        seen["again"] = plain(reviews.approve(plan["approve"], made.id))
        seen["conflict"] = plain(reviews.reject(plan["approve"], made.id, "no"))
        (other,) = reviews.versions.list(plan["reject"])
        seen["rejected"] = plain(reviews.reject(plan["reject"], other.id, "unreadable"))
        seen["run"] = plain(workflows.runs.get(seen["review"]["run_id"]))
        step = workflows.steps.get(seen["review"]["step_id"], run_id=seen["review"]["run_id"])
        seen["step"] = plain(step)
        seen["artifact"] = plain(workflows.artifacts.get(step.artifact.id)) if step.artifact else None
        seen["steps"] = [found.step_id for found in workflows.steps.list(run_id=seen["review"]["run_id"])]
        seen["decided"] = [review.id for review in reviews.list(decision_status="decided", order="desc")]
        for name, call in (
            ("missing", lambda: reviews.get("rev_nobody")),
            ("malformed", lambda: reviews.approve(plan["reject"], "rvr_short")),
        ):
            try:
                call()
            except APIError as error:
                seen[name] = told(error)
    try:
        with Retab(api_key="rt_test_nobody", base_url=url, timeout=20, max_retries=0) as stranger:
            stranger.workflows.reviews.list()
    except APIError as error:
        seen["stranger"] = told(error)
    return seen


async def async_session(url: str, key: str, plan: dict[str, Any]) -> dict[str, Any]:
    """List, read and decide with the asynchronous client."""
    seen: dict[str, Any] = {}
    async with AsyncRetab(api_key=key, base_url=url, timeout=20, max_retries=0) as client:
        reviews = client.workflows.reviews
        seen["pending"] = [review.id async for review in await reviews.list(limit=2)]
        seen["review"] = plain(await reviews.get(plan["approve"]))
        [seed] = [version async for version in await reviews.versions.list(plan["approve"])]
        [other] = [version async for version in await reviews.versions.list(plan["reject"])]
        outcomes = await asyncio.gather(
            reviews.approve(plan["approve"], seed.id), reviews.reject(plan["reject"], other.id, "unreadable")
        )
        seen["decided"] = [plain(outcome) for outcome in outcomes]
        seen["run"] = plain(await client.workflows.runs.get(seen["review"]["run_id"]))
    return seen


def prepared(url: str, key: str, plan: dict[str, Any]) -> dict[str, Any]:
    """Return the requests that the SDK would send, without sending them."""
    client = Retab(api_key=key, base_url=url)
    reviews, workflows = client.workflows.reviews, client.workflows
    requests = {
        "list": reviews.prepare_list(**plan["list"]),
        "review": reviews.prepare_get(plan["review"]),
        "version": reviews.versions.prepare_get(plan["version"]),
        "versions": reviews.versions.prepare_list(plan["review"], limit=200),
        "approve": reviews.prepare_approve(plan["review"], plan["version"]),
        "acknowledge": reviews.prepare_approve(plan["review"], plan["version"], [plan["other"]]),
        "reject": reviews.prepare_reject(plan["review"], plan["version"], "no"),
        "run": workflows.runs.prepare_get(plan["run"]),
        "step": workflows.steps.prepare_get(plan["step"], run_id=plan["run"], include_download_urls=None),
        "artifact": workflows.artifacts.prepare_get(plan["artifact"]),
    }
    return {
        name: {"method": request.method, "path": request.url, "query": request.params or {}, "body": request.data}
        for name, request in requests.items()
    }


if __name__ == "__main__":
    kind, address, secret = sys.argv[1:]
    wanted = json.load(sys.stdin)
    if kind == "async":
        result = asyncio.run(async_session(address, secret, wanted))
    else:
        result = {"sync": session, "prepared": prepared}[kind](address, secret, wanted)
    json.dump(result, sys.stdout)
