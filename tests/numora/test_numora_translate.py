"""From Numora's shapes to the plain document: nothing is lost, nothing made up, nothing but an outcome raised."""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.http import decode_json, encode_json
from connectors.numora.listing import to_history, to_page
from connectors.numora.models import DocumentState, Result, understand
from connectors.numora.translate import to_document
from connectors.outcome import OutcomeError, TransientError
from connectors.ports import Listing
from mappings.document import Document

LISTED = Listing("doc_1", "invoice_v2", "reviewed", "ext-1", {"vendor_code": "V-1"}, "2026-03-01T00:00:00.000Z")

scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(codec="utf-8"), max_size=8)
)
words = st.sampled_from(
    [
        "id",
        "document_id",
        "schema",
        "status",
        "metadata",
        "fields",
        "line_items",
        "value",
        "confidence",
        "key",
        "cells",
        "duplicate_of",
        "review_state",
        "line_id",
        "values",
        "external_id",
        "updated_at",
        "data",
        "meta",
        "next_cursor",
    ]
)
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words | st.text(max_size=3), inner, max_size=6)
)
cells = scalars | st.fixed_dictionaries({"value": json_values}, optional={"confidence": json_values, "x": json_values})
results = st.fixed_dictionaries(
    {"id": st.just("doc_1") | json_values, "fields": st.dictionaries(words | st.text(max_size=4), cells, max_size=5)},
    optional={
        "line_items": st.lists(st.dictionaries(words, cells | json_values, max_size=5), max_size=4) | json_values,
        "confidence": json_values,
        "duplicate_of": json_values,
        "review_state": json_values,
        "schema": json_values,
        "status": json_values,
        "metadata": json_values,
        "external_id": json_values,
        "updated_at": json_values,
    },
)


def over_the_wire(value: Any) -> Any:
    return decode_json(encode_json(value))


def translated(body: dict[str, Any], listing: Listing = LISTED, state: dict[str, Any] | None = None) -> Document:
    known = None if state is None else understand(DocumentState, over_the_wire(state), "document")
    return to_document(listing, understand(Result, over_the_wire(body), "result"), known)


def ended(read: Callable[..., Any], *arguments: Any) -> Any:
    """Return what was read, or the outcome that it ended with. Anything else that is raised is a defect."""
    try:
        return read(*arguments)
    except OutcomeError as outcome:
        return outcome


@given(results | json_values)
def test_any_json_becomes_a_document_or_an_outcome(body):
    document = ended(translated, body)
    if isinstance(document, OutcomeError):
        assert document.code in {"bad_answer", "wrong_document"}
        return
    assert document.id == "doc_1"
    assert document.revision() == translated(body).revision()
    encode_json(document.view())
    rows = body.get("line_items") or ()
    assert len(document.line_items) == len(rows)
    assert set(document.fields) == set(body["fields"] or ())
    known = [*document.confidences.values(), document.confidence]
    assert all(number is None or number.is_finite() for number in known)


@given(json_values)
def test_any_json_is_a_page_of_the_outbox_or_an_outcome(body):
    page = ended(to_page, over_the_wire(body), None)
    if isinstance(page, OutcomeError):
        assert page.code == "bad_answer"
        return
    assert all(isinstance(listing.document_id, str) and listing.document_id for listing in page.listings)
    assert page.next_cursor != ""


@given(json_values)
def test_any_json_is_a_delivery_history_or_an_outcome(body):
    history = ended(to_history, over_the_wire(body))
    if isinstance(history, OutcomeError):
        assert history.code == "bad_answer"
        return
    assert all(isinstance(record, dict) for record in history)


@pytest.mark.parametrize(
    "digits", ["1234567890123456789", "1234567890.1234567890", "0.10", "-12.00", "1E+3", "99999999999999999999999999"]
)
def test_numbers_keep_their_digits(digits):
    raw = decode_json(f'{{"id": "doc_1", "fields": {{"total_amount": {{"value": {digits}}}}}}}'.encode())

    value = to_document(LISTED, understand(Result, raw, "result")).fields["total_amount"]

    assert type(value) in {int, Decimal}
    assert str(value) == digits


def test_a_cell_may_be_bare_or_hold_a_value_or_hold_none():
    document = translated(
        {
            "fields": {
                "a": {"value": "x", "confidence": Decimal("0.9"), "page": 2},
                "b": "y",
                "c": {"value": None, "confidence": 0},
                "d": {"confidence": "0.25"},
                "e": {"street": "Main", "city": "Ghent"},
                "f": {"value": "z", "confidence": "high"},
                "g": {"value": "z", "confidence": True},
                "h": ["p", "q"],
            }
        }
    )

    assert document.fields == {
        "a": "x",
        "b": "y",
        "c": None,
        "d": None,
        "e": {"street": "Main", "city": "Ghent"},
        "f": "z",
        "g": "z",
        "h": ["p", "q"],
    }
    assert document.confidences == {"a": Decimal("0.9"), "c": Decimal(0), "d": Decimal("0.25")}


@pytest.mark.parametrize(
    "line_items",
    [
        [{"id": "li_1", "amount": 1}],
        [{"line_id": "li_1", "amount": {"value": 1, "confidence": Decimal("0.5")}}],
        [{"row_id": {"value": "li_1"}, "amount": 1}],
        [{"line_item_id": "li_1", "fields": {"amount": {"value": 1}}}],
        [{"key": "li_1", "cells": {"amount": 1}}],
        [{"id": "li_1", "values": {"amount": 1, "id": "a cell of that name"}}],
        {"li_1": {"amount": {"value": 1}}},
        {"li_1": {"fields": {"amount": 1}}},
    ],
)
def test_a_line_is_known_by_its_id_wherever_it_stands(line_items):
    (line,) = translated({"fields": {}, "line_items": line_items}).line_items

    assert (line.values["id"], line.values["amount"]) == ("li_1", 1)


def test_a_line_id_is_never_made_up_and_a_number_is_kept_as_text():
    numbered, nameless = translated({"fields": {}, "line_items": [{"id": 7, "amount": 1}, {"amount": 2}]}).line_items

    assert numbered.values["id"] == "7"
    assert "id" not in nameless.values


@pytest.mark.parametrize("line", ["text", None, 3, ["a"]])
def test_a_line_that_is_not_understood_is_not_dropped_from_the_invoice(line):
    with pytest.raises(TransientError, match="Line 2") as refused:
        translated({"fields": {}, "line_items": [{"id": "li_1"}, line]})

    assert refused.value.code == "bad_answer"


@pytest.mark.parametrize(
    ("raw", "reference"),
    [
        (None, None),
        ("", None),
        (False, None),
        ("doc_0", "doc_0"),
        ({"id": "doc_0"}, "doc_0"),
        ({"document_id": "doc_0", "score": 1}, "doc_0"),
        (True, "true"),
        (["doc_0"], '["doc_0"]'),
    ],
)
def test_a_duplicate_is_seen_in_whatever_form_it_is_told(raw, reference):
    assert translated({"fields": {}, "duplicate_of": raw}).duplicate_of == reference


@pytest.mark.parametrize("raw", [None, {}, [], "confirmed", 1, True])
def test_a_review_state_that_is_no_object_confirms_nothing(raw):
    assert translated({"fields": {}, "review_state": raw}).review_state is None


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("doc_1", "doc_1"),
        ("018E4F7A-0000-7000-8000-000000000001", "018e4f7a-0000-7000-8000-000000000001"),
        ("018e4f7a-0000-7000-8000-000000000001", "doc_018e4f7a000070008000000000000001"),
        ("17", 17),
        ("doc_1", None),
    ],
)
def test_either_form_of_an_id_names_the_same_document(asked, answered):
    assert translated({"id": answered, "fields": {}}, Listing(asked, "receipt_v1")).id == asked


@pytest.mark.parametrize("name", ["id", "document_id"])
def test_a_result_or_state_of_another_document_is_refused(name):
    for body, state in (({name: "doc_2"}, None), ({}, {name: "doc_2"})):
        with pytest.raises(TransientError, match="doc_2") as refused:
            translated({"fields": {}, **body}, state=state)
        assert refused.value.code == "wrong_document"


def test_what_was_read_last_wins_and_what_it_leaves_open_is_filled_from_before():
    named = Listing("doc_1", status="reviewed")
    state = {
        "schema": "receipt_v1",
        "status": "review_required",
        "external_id": "ext-2",
        "metadata": {"a": 1},
        "updated_at": "later",
        "duplicate_of": "doc_0",
    }

    document = translated({"fields": {}, "status": "reviewed"}, named, state)

    assert (document.schema, document.status, document.external_id) == ("receipt_v1", "review_required", "ext-2")
    assert (document.metadata, document.updated_at, document.duplicate_of) == ({"a": 1}, "later", "doc_0")
    assert translated({"fields": None}).metadata == LISTED.metadata
    assert translated({"fields": {}, "metadata": {"own": 1}, "external_id": 5}).external_id == "5"


def test_a_document_whose_schema_nobody_names_is_read_again_later():
    with pytest.raises(TransientError, match="schema"):
        translated({"fields": {}}, Listing("doc_1"))
