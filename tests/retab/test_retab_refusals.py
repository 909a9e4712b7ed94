"""Whatever shape an error of Retab has, its words reach the person who reads ours."""

import json

import pytest

from connectors.retab.refusals import Words, version_ids_in, words_of

INNER = {"code": "production_required_but_unpublished", "message": "Publish it first."}


def usual(error: object) -> dict[str, object]:
    return {"detail": {"code": "HTTP_EXCEPTION", "message": "An HTTP exception occurred.", "details": {"error": error}}}


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (
            {
                "detail": {
                    "code": "HTTP_EXCEPTION",
                    "message": "An HTTP exception occurred.",
                    "details": {"error": "No."},
                }
            },
            Words(None, "No."),
        ),
        (
            {
                "detail": {
                    "code": "HTTP_EXCEPTION",
                    "message": "An HTTP exception occurred.",
                    "details": {"error": INNER},
                }
            },
            Words("production_required_but_unpublished", "Publish it first."),
        ),
        (
            {"detail": {"code": "parent_conflict", "message": "Other parent.", "details": {}}},
            Words("parent_conflict", "Other parent."),
        ),
        ({"detail": {"code": "x", "message": "y", "details": None}}, Words("x", "y")),
        ({"detail": "Plain text."}, Words(None, "Plain text.")),
        (
            {"detail": [{"loc": ["body", "version_id"], "msg": "bad", "type": "t"}, {"msg": "worse"}, "odd"]},
            Words("validation_error", "body.version_id: bad; worse"),
        ),
        ({"code": "x", "message": "y", "details": {}}, Words("x", "y")),
        ({"detail": {"code": 1, "message": ["y"]}}, Words()),
        ({}, Words()),
        ([], Words()),
        (None, Words()),
    ],
)
def test_code_and_sentence_are_found_in_every_shape(body, words):
    assert words_of(json.dumps(body).encode()) == words


@pytest.mark.parametrize("body", [b"", b"<html>502</html>", b"\xff\xfe", b'{"detail":', b"[" * 100_000])
def test_what_is_no_json_says_nothing(body):
    assert words_of(body) == Words()


def test_a_long_sentence_is_cut():
    said = words_of(json.dumps({"detail": "x" * 10_000}).encode()).message
    assert said is not None
    assert len(said) == 300


def test_version_ids_are_found_anywhere_each_once():
    first, second = "rvr_" + "A" * 26, "rvr_" + "Z7" * 13
    body = json.dumps({"detail": {"a": [first, {"b": f"see {second}, {first}"}], "c": "rvr_" + "A" * 30, "d": "rvr_x"}})
    assert version_ids_in(body.encode()) == (first, second)
