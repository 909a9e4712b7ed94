"""From an approved snapshot to the document: names, lines, and what is still known of a value after a person edited."""

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from connectors.outcome import RejectedError
from connectors.retab.models import Review, Run
from connectors.retab.translate import DEEPEST, Reading, flat, to_document, unwrapped
from mappings.document import Document

REVIEW = Review.model_validate(
    {
        "id": "rev_1",
        "workflow_id": "wf_1",
        "run_id": "run_1",
        "block_id": "b",
        "step_id": "run_1_b",
        "decision": {
            "verdict": "approved",
            "version_id": "rvr_1",
            "author": {"kind": "human", "id": "u1", "display_name": "Rita"},
            "created_at": "2026-11-01T10:00:00Z",
        },
    }
)


def document_of(
    snapshot: dict[str, Any],
    *,
    seed: dict[str, Any] | None = None,
    likelihoods: Any = None,
    line_items: str = "line_items",
    full: bool = False,
    run: Run | None = None,
) -> Document:
    return to_document(REVIEW, "invoice_v2", snapshot, Reading(seed, likelihoods, line_items, full=full), run=run)


def test_values_are_fields_and_nested_ones_have_dotted_names():
    document = document_of({"number": "1", "vendor": {"name": "ACME", "address": {"city": "Bonn"}}, "tags": ["a"]})
    assert document.fields == {"number": "1", "vendor.name": "ACME", "vendor.address.city": "Bonn", "tags": ["a"]}


def test_a_value_that_nobody_changed_keeps_the_likelihood_that_it_was_read_with():
    snapshot = {"number": "1", "vendor": {"name": "ACME"}}
    tree = {"number": Decimal("0.98"), "vendor": {"name": 1}}
    document = document_of(snapshot, seed=snapshot, likelihoods=tree)
    assert document.confidences == {"number": Decimal("0.98"), "vendor.name": Decimal(1)}
    assert document.metadata["edited_fields"] == []


@pytest.mark.parametrize(("full", "known"), [(False, {}), (True, {"total": Decimal(1)})])
def test_a_changed_value_has_no_likelihood_any_more(full, known):
    """What the model was sure of is not what stands there; by policy a person's word counts as certain."""
    seed = {"total": Decimal("10.00"), "number": "1"}
    document = document_of(
        {"total": Decimal("100.00"), "number": "1"},
        seed=seed,
        likelihoods={"total": Decimal("0.99"), "number": Decimal("0.9")},
        full=full,
    )
    assert document.confidences == {"number": Decimal("0.9"), **known}
    assert document.metadata["edited_fields"] == ["total"]


def test_a_truth_value_is_not_the_number_that_it_equals():
    document = document_of({"paid": True}, seed={"paid": 1}, likelihoods={"paid": 1})
    assert document.confidences == {}


def test_what_was_added_or_removed_counts_as_edited():
    document = document_of({"a": 1, "b": 2}, seed={"a": 1, "c": 3}, likelihoods={"a": 1, "b": 1})
    assert document.metadata["edited_fields"] == ["b", "c"]
    assert document.confidences == {"a": Decimal(1)}


@pytest.mark.parametrize("likelihood", [None, "0.9", True, Decimal("1.01"), -1, Decimal("NaN"), {"x": 1}])
def test_what_is_no_likelihood_is_none(likelihood):
    assert document_of({"a": 1}, seed={"a": 1}, likelihoods={"a": likelihood}).confidences == {}


def test_without_the_models_own_version_nothing_is_known():
    document = document_of({"a": 1}, seed=None, likelihoods={"a": 1}, full=True)
    assert document.confidences == {}
    assert "edited_fields" not in document.metadata


ROWS = [{"text": "Paper", "amount": Decimal("1.10")}, {"text": "Pens", "amount": 2}]
SURE = [{"text": 1, "amount": Decimal("0.5")}, {"text": Decimal("0.7"), "amount": 1}]


def test_lines_are_known_by_their_own_id_or_by_their_place():
    rows = [{"id": "L9"}, {"line_id": 7}, {"text": "no id"}, {"id": ""}]
    document = document_of({"line_items": rows})
    assert [line.values["id"] for line in document.line_items] == ["L9", "7", "3", "4"]
    assert "line_items" not in document.fields


def test_the_list_that_is_configured_holds_the_lines():
    document = document_of({"invoice": {"rows": ROWS}, "line_items": ["x"]}, line_items="invoice.rows")
    assert [line.values["text"] for line in document.line_items] == ["Paper", "Pens"]
    assert document.fields == {"line_items": ["x"]}


def test_cells_keep_their_likelihoods_row_by_row():
    edited = [ROWS[0], {"text": "Pencils", "amount": 2}]
    document = document_of({"line_items": edited}, seed={"line_items": ROWS}, likelihoods={"line_items": SURE})
    assert document.line_items[0].confidences == {"text": Decimal(1), "amount": Decimal("0.5")}
    assert document.line_items[1].confidences == {"amount": Decimal(1)}


@pytest.mark.parametrize("rows", [ROWS[:1], [*ROWS, {"text": "Ink"}]])
def test_rows_that_were_added_or_removed_leave_no_likelihood_in_any_row(rows):
    """Which row is which is not known any more, so nothing is guessed."""
    document = document_of({"line_items": rows}, seed={"line_items": ROWS}, likelihoods={"line_items": SURE}, full=True)
    assert all(line.confidences == {} for line in document.line_items)


def test_nested_cells_have_dotted_names():
    document = document_of({"line_items": [{"tax": {"rate": 19}}]})
    assert document.line_items[0].values == {"tax.rate": 19, "id": "1"}


@pytest.mark.parametrize("rows", ["text", {"1": {}}, [{"a": 1}, "text"], [["a"]]])
def test_lines_that_are_none_are_refused_and_never_left_out(rows):
    with pytest.raises(RejectedError) as refused:
        document_of({"line_items": rows})
    assert refused.value.code == "retab_bad_lines"


@pytest.mark.parametrize("snapshot", [{}, {"line_items": None}, {"line_items": []}])
def test_a_document_may_have_no_lines(snapshot):
    assert document_of(snapshot).line_items == ()


def test_where_it_comes_from_and_who_decided_is_told():
    run = Run.model_validate({"metadata": {"vendor_code": "V-1", "external_id": "erp-7", "review_id": "mine"}})
    document = document_of({}, run=run)
    assert document.id == "rev_1"
    assert document.external_id == "erp-7"
    assert document.updated_at == "2026-11-01T10:00:00Z"
    assert document.metadata == {
        "vendor_code": "V-1",
        "external_id": "erp-7",
        "review_id": "rev_1",
        "workflow_id": "wf_1",
        "run_id": "run_1",
        "block_id": "b",
        "step_id": "run_1_b",
        "version_id": "rvr_1",
        "decided_at": "2026-11-01T10:00:00Z",
        "decided_by": "Rita",
        "decided_by_id": "u1",
        "decided_by_kind": "human",
    }


@pytest.mark.parametrize(
    ("snapshot", "expected"),
    [
        ({"output": {"a": 1}}, {"a": 1}),
        ({"output": {"a": 1}, "b": 2}, {"output": {"a": 1}, "b": 2}),
        ({"output": [1]}, {"output": [1]}),
        ({}, {}),
    ],
)
def test_an_older_wrapping_is_taken_off(snapshot, expected):
    assert unwrapped(snapshot) == expected


def test_an_endless_nest_stays_a_value_below_a_certain_depth():
    deep: dict[str, Any] = {"x": 1}
    for _ in range(500):
        deep = {"x": deep}
    ((name, value),) = flat(deep)
    assert name.count(".") == DEEPEST - 1
    assert isinstance(value, dict)


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(min_size=1, max_size=3), inner, max_size=3),
        max_leaves=12,
    ).map(lambda value: {"root": value})
)
def test_an_unedited_snapshot_is_never_called_edited(snapshot):
    document = document_of(snapshot, seed=snapshot, likelihoods=snapshot)
    assert document.metadata["edited_fields"] == []
    assert all(0 <= known <= 1 for known in document.confidences.values())
