"""The sandbox of Retab keeps to what is known of the real one: envelopes, lists, versions, decisions."""

from typing import Any

import aiohttp
import pytest

from connectors.retab.sandbox import DEFAULT_KEY

AUTHORIZED = {"Authorization": f"Bearer {DEFAULT_KEY}"}
REVIEWS = "/v1/workflows/reviews"
NOBODY = "rvr_" + "A" * 26


class Call:
    def __init__(self, session: aiohttp.ClientSession, url: str) -> None:
        self._session, self._url = session, url

    async def __call__(self, method: str, path: str, *, key: bool = True, **sent: Any) -> tuple[int, Any]:
        headers = AUTHORIZED if key else {}
        async with self._session.request(method, self._url + path, headers=headers, **sent) as answer:
            assert "x-request-id" in answer.headers or path.startswith("/_sandbox")
            return answer.status, await answer.json()


@pytest.fixture
def call(session, retab):
    return Call(session, retab.url)


def said(body: Any) -> Any:
    assert body["detail"]["code"] == "HTTP_EXCEPTION"
    return body["detail"]["details"]["error"]


async def test_without_a_key_nothing_is_told(call):
    status, body = await call("GET", REVIEWS, key=False)
    assert (status, said(body)) == (401, "Invalid API Key.")


@pytest.mark.parametrize(
    "path", ["reviews/rev_1", f"reviews/versions/{NOBODY}", "runs/run_1", "steps/s", "artifacts/extr_1"]
)
async def test_what_is_not_there_is_a_404_in_the_usual_envelope(call, path):
    status, body = await call("GET", f"/v1/workflows/{path}")
    assert status == 404
    assert said(body).endswith("not found.")


async def test_another_key_sees_another_environment(retab, call):
    other = retab.add_key("rt_test_other")
    review = other.open_review({})
    assert (await call("GET", f"{REVIEWS}/{review.id}"))[0] == 404


@pytest.mark.parametrize("order", ["asc", "desc"])
async def test_pages_go_forwards_and_backwards_by_ids(environment, call, order):
    ids = [environment.open_review({"n": number}).id for number in range(5)]
    expected = ids if order == "asc" else ids[::-1]
    _, first = await call("GET", f"{REVIEWS}?limit=2&order={order}")
    _, second = await call("GET", f"{REVIEWS}?limit=2&order={order}&after={first['list_metadata']['after']}")
    _, third = await call("GET", f"{REVIEWS}?limit=2&order={order}&after={second['list_metadata']['after']}")
    _, back = await call("GET", f"{REVIEWS}?limit=2&order={order}&before={third['list_metadata']['before']}")
    pages = [first, second, third]
    assert [row["id"] for page in pages for row in page["data"]] == expected
    assert first["list_metadata"] == {"before": None, "after": expected[1]}
    assert third["list_metadata"] == {"before": expected[4], "after": None}
    assert back["data"] == second["data"]


async def test_a_cursor_holds_though_its_review_was_decided_meanwhile(environment, call):
    reviews = [environment.open_review({"n": number}) for number in range(4)]
    _, first = await call("GET", f"{REVIEWS}?limit=2")
    await call("POST", f"{REVIEWS}/{reviews[1].id}/approve", json={"version_id": reviews[1].versions[0].id})
    _, second = await call("GET", f"{REVIEWS}?limit=2&after={first['list_metadata']['after']}")
    assert [row["id"] for row in second["data"]] == [review.id for review in reviews[2:]]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ("before=a&after=b", 400),
        ("after=rev_nobody", 400),
        ("limit=0", 422),
        ("limit=201", 422),
        ("limit=x", 422),
        ("order=up", 422),
        ("decision_status=liked", 422),
    ],
)
async def test_a_list_takes_only_what_it_knows(call, query, status):
    assert (await call("GET", f"{REVIEWS}?{query}"))[0] == status


async def test_every_status_filters(environment, call):
    by_status = {
        status: environment.open_review({"s": status}) for status in ("pending", "approved", "rejected", "cancelled")
    }
    for verdict, action in (("approved", "approve"), ("rejected", "reject")):
        review = by_status[verdict]
        body = {"version_id": review.versions[0].id, **({"reason": "no"} if action == "reject" else {})}
        assert (await call("POST", f"{REVIEWS}/{review.id}/{action}", json=body))[0] == 200
    await call("POST", f"/v1/workflows/runs/{by_status['cancelled'].run_id}/cancel")
    expected = {**{name: {name} for name in by_status}, "decided": {"approved", "rejected"}, "all": set(by_status)}
    for status, wanted in expected.items():
        _, page = await call("GET", f"{REVIEWS}?decision_status={status}")
        assert {row["id"] for row in page["data"]} == {by_status[name].id for name in wanted}
    _, default = await call("GET", REVIEWS)
    assert [row["id"] for row in default["data"]] == [by_status["pending"].id]


async def test_rows_are_whole_reviews_and_hold_no_version(environment, call):
    review = environment.open_review(
        {"n": 1}, iteration_key="2", triggered_by={"kind": "confidence_lt", "threshold": 0.8}
    )
    _, page = await call("GET", f"{REVIEWS}?iteration_key=2&block_id={review.block_id}")
    _, single = await call("GET", f"{REVIEWS}/{review.id}")
    assert page["data"] == [single]
    assert "versions" not in single
    assert single["triggered_by"]["kind"] == "confidence_lt"


async def test_a_version_is_created_once_however_often_it_is_sent(environment, call):
    review = environment.open_review({"n": 1})
    seed = review.versions[0].id
    body = {"review_id": review.id, "parent_id": seed, "snapshot": {"n": 2}, "note": "seen"}
    created = [await call("POST", f"{REVIEWS}/versions", json=body) for _ in range(2)]
    assert created[0] == created[1]
    assert created[0][0] == 200
    assert len(review.versions) == 2
    _, listed = await call("GET", f"{REVIEWS}/versions?review_id={review.id}")
    assert [version["parent_id"] for version in listed["data"]] == [None, seed]
    assert listed["data"][1]["id"] == created[0][1]["id"]


async def test_the_same_content_under_another_parent_is_a_conflict(environment, call):
    review = environment.open_review({"n": 1})
    second = environment.correct(review, n=2)
    status, body = await call(
        "POST", f"{REVIEWS}/versions", json={"review_id": review.id, "parent_id": second.id, "snapshot": {"n": 2}}
    )
    assert (status, said(body)["code"]) == (409, "parent_conflict")


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"snapshot": []}, 422),
        ({"parent_id": "rvr_x"}, 422),
        ({"parent_id": None}, 422),
        ({"parent_id": NOBODY}, 404),
        ({"review_id": "rev_nobody"}, 404),
    ],
)
async def test_a_version_that_cannot_be_is_refused(environment, call, change, status):
    review = environment.open_review({"n": 1})
    body = {"review_id": review.id, "parent_id": review.versions[0].id, "snapshot": {"n": 2}, **change}
    assert (await call("POST", f"{REVIEWS}/versions", json=body))[0] == status


async def test_a_snapshot_has_the_shape_of_its_block(environment, call):
    review = environment.open_review({"category": "a"}, block_type="classifier")
    body = {"review_id": review.id, "parent_id": review.versions[0].id, "snapshot": {"kind": "b"}}
    assert (await call("POST", f"{REVIEWS}/versions", json=body))[0] == 422


async def test_ids_of_versions_have_the_published_form(environment):
    review = environment.open_review({"n": 1})
    prefix, _, rest = review.versions[0].id.partition("_")
    assert (prefix, len(rest)) == ("rvr", 26)
    assert set(rest) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567")


@pytest.mark.parametrize(
    ("action", "body", "place"),
    [
        ("approve", {}, ["body", "version_id"]),
        ("approve", {"version_id": "rvr_lower"}, ["body", "version_id"]),
        ("approve", {"version_id": NOBODY, "note": "x"}, ["body", "note"]),
        ("reject", {"version_id": NOBODY}, ["body", "reason"]),
        ("reject", {"version_id": NOBODY, "reason": ""}, ["body", "reason"]),
    ],
)
async def test_a_malformed_decision_is_a_422_in_fastapis_shape(environment, call, action, body, place):
    review = environment.open_review({})
    status, answer = await call("POST", f"{REVIEWS}/{review.id}/{action}", json=body)
    assert status == 422
    assert answer["detail"][0]["loc"] == place


async def test_who_decides_first_wins(environment, call):
    review = environment.open_review({})
    body = {"version_id": review.versions[0].id}
    answers = [
        await call("POST", f"{REVIEWS}/{review.id}/approve", json=body),
        await call("POST", f"{REVIEWS}/{review.id}/approve", json=body),
        await call("POST", f"{REVIEWS}/{review.id}/reject", json={**body, "reason": "no"}),
    ]
    assert [(status, answer["submission_status"]) for status, answer in answers] == [
        (200, "accepted"),
        (200, "already_applied"),
        (200, "conflict"),
    ]
    assert all(answer["review"]["decision"]["verdict"] == "approved" for _, answer in answers)


async def test_only_the_sole_latest_version_is_decided_unless_the_others_are_acknowledged(environment, call):
    review = environment.open_review({"n": 1})
    seed = review.versions[0].id
    leaves = [environment.correct(review, parent_id=seed, n=number).id for number in (2, 3)]
    status, answer = await call("POST", f"{REVIEWS}/{review.id}/approve", json={"version_id": leaves[0]})
    assert status == 409
    assert leaves[1] in str(answer["detail"])
    some = {"version_id": seed, "acknowledged_superseded_version_ids": leaves[:1]}
    assert (await call("POST", f"{REVIEWS}/{review.id}/approve", json=some))[0] == 409
    both = {"version_id": seed, "acknowledged_superseded_version_ids": leaves}
    assert (await call("POST", f"{REVIEWS}/{review.id}/approve", json=both))[0] == 200


@pytest.mark.parametrize(
    ("action", "end"),
    [("approve", "completed"), ("reject", "error"), ("reject", "cancelled")],
)
async def test_a_run_waits_for_all_its_reviews(retab, environment, call, action, end):
    retab.rules.after_rejection = end
    first = environment.open_review({"n": 1}, iteration_key="1")
    second = environment.open_review({"n": 2}, iteration_key="2", run_id=first.run_id)
    statuses = []
    for review in (first, second):
        body = {"version_id": review.versions[0].id, **({"reason": "no"} if action == "reject" else {})}
        await call("POST", f"{REVIEWS}/{review.id}/{action}", json=body)
        statuses.append((await call("GET", f"/v1/workflows/runs/{first.run_id}"))[1]["lifecycle"]["status"])
    assert statuses == ["awaiting_review", end]


async def test_steps_lead_to_artifacts_with_or_without_likelihoods(environment, call):
    sure = environment.open_review({"n": 1}, likelihoods={"n": 0.9})
    unsure = environment.open_review({"n": 1})
    for review, likelihoods in ((sure, {"n": 0.9}), (unsure, None)):
        _, step = await call("GET", f"/v1/workflows/steps/{review.step_id}?run_id={review.run_id}")
        assert step["artifact"]["operation"] == "extraction"
        _, artifact = await call("GET", f"/v1/workflows/artifacts/{step['artifact']['id']}")
        assert artifact["output"] == {"n": 1}
        assert (artifact["consensus"] or {}).get("likelihoods") == likelihoods
        _, extraction = await call("GET", f"/v1/extractions/{artifact['id']}?include_output=true")
        assert extraction == {name: value for name, value in artifact.items() if name != "operation"}


async def test_artifacts_are_listed_for_a_run_or_a_step_only(environment, call):
    review = environment.open_review({"n": 1})
    assert (await call("GET", "/v1/workflows/artifacts"))[0] == 400
    for query in (f"run_id={review.run_id}", f"step_id={review.step_id}"):
        _, page = await call("GET", f"/v1/workflows/artifacts?{query}")
        assert len(page["data"]) == 1


async def test_a_decision_is_kept_though_its_answer_is_dropped(retab, environment, call):
    review = environment.open_review({})
    retab.faults.add("reset_after", method="POST", times=1)
    with pytest.raises(aiohttp.ClientError):
        await call("POST", f"{REVIEWS}/{review.id}/approve", json={"version_id": review.versions[0].id})
    assert review.status == "approved"


async def test_a_person_at_a_terminal_opens_corrects_and_decides(environment, call):
    status, made = await call("POST", "/_sandbox/reviews", json={"snapshot": {"n": 1}, "workflow_id": "wf_x"})
    assert status == 201
    path = f"/_sandbox/reviews/{made['id']}"
    status, decided = await call("POST", f"{path}/decide", json={"changes": {"n": 2}})
    assert (status, decided["submission_status"]) == (200, "accepted")
    assert decided["review"]["decision"]["author"]["kind"] == "human"
    assert environment.reviews[made["id"]].versions[-1].snapshot == {"n": 2}
    _, state = await call("GET", "/_sandbox/state")
    assert state["environment-1"]["reviews"][made["id"]]["decision"]["verdict"] == "approved"


async def test_control_routes_say_what_is_wrong(call):
    assert (await call("POST", "/_sandbox/reviews", json={"snap": {}}))[0] == 400
    assert (await call("POST", "/_sandbox/reviews?key=nobody", json={"snapshot": {}}))[0] == 404
    assert (await call("POST", "/_sandbox/reviews/rev_nobody/decide"))[0] == 404
    assert (await call("POST", "/_sandbox/reviews/rev_nobody/cancel"))[0] == 404
    assert (await call("PUT", "/_sandbox/rules", json={"resume_status": "maybe"}))[0] == 400


async def test_rules_are_set_and_a_reset_forgets_reviews_and_keeps_keys(retab, environment, call):
    status, rules = await call("PUT", "/_sandbox/rules", json={"resume_status": "pending", "pending_reads": None})
    assert (status, rules["resume_status"], rules["pending_reads"]) == (200, "pending", None)
    review = environment.open_review({})
    assert (await call("POST", f"/_sandbox/reviews/{review.id}/cancel"))[1]["cancelled_at"]
    retab.reset()
    assert (await call("GET", f"{REVIEWS}?decision_status=all"))[1]["data"] == []
