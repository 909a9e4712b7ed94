"""Selecting is JMESPath with bounds, exact for decimals."""

import string
from decimal import Decimal

import jmespath
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.codes import FINDING_CODES
from mappings.interpreter import MAX_OUTPUT_NODES
from mappings.selection import MAX_CHARACTERS, ExpressionError, compile_selection
from mappings.values import ValueProblemError

VIEW = {
    "id": "doc_1",
    "metadata": {"a": {"b": "deep"}},
    "fields": {"a": "A", "empty": "", "n": Decimal("1234567890123456789.10"), "zero": 0},
    "line_items": [
        {"id": "li_1", "amount": Decimal("0.1"), "text": "1.5"},
        {"id": "li_2", "amount": Decimal("0.2"), "text": "2"},
        {"id": "li_3", "amount": 3, "text": "x"},
    ],
}


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("id", "doc_1"),
        ("fields.a", "A"),
        ('fields."a"', "A"),
        ("metadata.a.b", "deep"),
        ("metadata.missing.b", None),
        ("id.b", None),
        ("fields.empty || fields.a", "A"),
        ("fields.zero || fields.a", 0),
        ("line_items[1].id", "li_2"),
        ("line_items[-1].id", "li_3"),
        ("line_items[?amount > `0.15`].id", ["li_2", "li_3"]),
        ("sum(line_items[].amount)", Decimal("3.3")),
        ("max(line_items[].amount)", 3),
        ("sort_by(line_items, &amount)[0].id", "li_1"),
        ("avg(line_items[:2].amount)", Decimal("0.15")),
        ("line_items[].text.to_number(@)", [Decimal("1.5"), 2]),
        ("abs(fields.n)", Decimal("1234567890123456789.10")),
        ("floor(fields.n)", 1234567890123456789),
        ("to_string(fields.n)", "1234567890123456789.10"),
        ("to_string(line_items[0])", '{"id":"li_1","amount":0.1,"text":"1.5"}'),
        ("type(fields.n)", "number"),
        ("fields.n == `1234567890123456789.10`", True),
        ("join('-', line_items[].id)", "li_1-li_2-li_3"),
        ("length(line_items)", 3),
        ("not_null(fields.missing, id)", "doc_1"),
        ("`0.1`", Decimal("0.1")),
    ],
)
def test_an_expression_selects_what_jmespath_says_with_exact_numbers(expression, expected):
    assert compile_selection(expression).select(VIEW) == expected


names = st.text(alphabet=string.ascii_lowercase, min_size=1, max_size=2)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(names, inner, max_size=3),
    max_leaves=12,
)


@given(st.lists(names, min_size=1, max_size=4), json_values)
def test_the_short_way_for_a_plain_path_selects_what_the_interpreter_would(path, view):
    expression = ".".join(path)
    assert compile_selection(expression).select(view) == jmespath.search(expression, view)


@pytest.mark.parametrize(
    ("expression", "paths"),
    [
        ("fields.a", {("fields", "a")}),
        ("fields.a || metadata.b", {("fields", "a"), ("metadata", "b")}),
        ("join(' ', [fields.a, fields.b])", {("fields", "a"), ("fields", "b")}),
        ("line_items[?amount > `1`].id | [0]", {("line_items",)}),
        ("sum(line_items[].amount)", {("line_items",)}),
        ("fields.{x: a, y: b}", {("fields",)}),
        ("'constant'", set()),
        ("@", set()),
    ],
)
def test_the_places_that_an_expression_reads_are_known(expression, paths):
    assert set(compile_selection(expression).paths) == paths


def test_of_two_alternatives_only_the_one_that_gave_the_value_is_used():
    selection = compile_selection("fields.empty || fields.a || fields.n")
    assert selection.paths_used(VIEW) == (("fields", "a"),)


@pytest.mark.parametrize(
    ("expression", "code", "position"),
    [
        ("", "bad_expression", 0),
        ("   ", "bad_expression", 0),
        ("fields.", "bad_expression", 7),
        ("fields..a", "bad_expression", 7),
        ("fields.a]", "bad_expression", 8),
        ("fields[?a", "bad_expression", 9),
        ("fields.a = 'b'", "bad_expression", 9),
        ("fields.`bare`", "bad_expression", 7),
        ("`NaN`", "bad_expression", 0),
        ("'unclosed", "bad_expression", 0),
        ("fields.a b", "bad_expression", 9),
        ("fields.é", "bad_expression", 7),
        ("nope(@)", "unknown_function", 0),
        ("length()", "unknown_function", 0),
        ("join('a')", "unknown_function", 0),
        ("line_items[::0]", "bad_expression", 0),
        ("a" * (MAX_CHARACTERS + 1), "expression_too_large", 0),
        ("[" + ",".join("a" * 64) + "]", "expression_too_large", 0),
        ("!" * 16 + "a", "expression_too_large", 0),
        ("(" * 512, "expression_too_large", 0),
    ],
)
def test_what_is_not_an_expression_or_out_of_bounds_is_refused_at_its_place(expression, code, position):
    with pytest.raises(ExpressionError) as refused:
        compile_selection(expression)
    assert (refused.value.code, refused.value.position) == (code, position)


def test_the_bounds_are_reached_before_they_are_broken():
    compile_selection("a" * MAX_CHARACTERS)
    compile_selection("(" * 100 + "a" + ")" * 100)
    compile_selection("[" + ",".join("a" * 63) + "]")
    compile_selection("!" * 15 + "a")


@pytest.mark.parametrize(
    "expression",
    ["rows", "rows[]", "rows[].a", "[rows, rows][]", "[@,@]|[@,@]|[@,@]|[@,@]", "rows[].to_array(@)[].[@,@]"],
)
def test_more_than_ten_thousand_nodes_are_never_selected(expression):
    view = {"rows": [{"a": 1}] * (MAX_OUTPUT_NODES + 1)}
    with pytest.raises(ValueProblemError) as refused:
        compile_selection(expression).select(view)
    assert refused.value.code == "selection_too_large"


def test_of_a_list_that_a_plain_path_names_the_rows_are_counted_and_not_their_cells():
    rows = [{str(number): number for number in range(20)}] * MAX_OUTPUT_NODES
    assert compile_selection("fields.rows").select({"fields": {"rows": rows}}) is rows
    with pytest.raises(ValueProblemError):
        compile_selection("fields.rows").select({"fields": {"rows": [*rows, {}]}})


def test_a_small_expression_cannot_run_for_long():
    """Six nested filters over sixty rows would look at sixty to the sixth."""
    expression = "rows[?" * 6 + "length(@) > `0`" + "]" * 6
    nested: dict[str, object] = {"rows": [{}] * 60}
    for _ in range(6):
        nested = {"rows": [nested] * 60}
    with pytest.raises(ValueProblemError) as refused:
        compile_selection(expression).select(nested)
    assert refused.value.code == "selection_too_large"


@pytest.mark.parametrize(
    "expression",
    [
        "name" + " | join('', [@, @, @, @])" * 6,
        "join(name, words)",
        "words" + " | [@, @, @, @]" * 6 + " | to_string(@)",
        "to_string([name, name])",
        "words[?sort(`[3, 1, 2, 9, 7, 8, 4, 6, 5, 0, 11, 13, 12, 14]`)]",
    ],
)
def test_a_small_expression_makes_no_large_text_and_no_long_work(expression):
    with pytest.raises(ValueProblemError) as refused:
        compile_selection(expression).select({"name": "x" * 600_000, "words": ["word"] * 9_000})
    assert refused.value.code == "selection_too_large"


@pytest.mark.parametrize(
    "expression",
    [
        "sum(fields)",
        "fields.a > `5`",
        "length(fields.n)",
        "join(',', line_items[].amount)",
        "sort_by(line_items, &text)[0] | abs(@)",
        "contains(id, `5`)",
        "floor(huge)",
        "sum(both)",
        "max(mixed)",
    ],
)
def test_what_cannot_be_worked_out_is_a_problem_and_no_crash(expression):
    view = {
        **VIEW,
        "huge": Decimal("1E+999999999"),
        "both": [Decimal("1E+999999"), Decimal("1E-999999")],
        "mixed": [1, "a"],
    }
    with pytest.raises(ValueProblemError) as refused:
        compile_selection(expression).select(view)
    assert refused.value.code == "selection_failed"


pieces = st.sampled_from(
    [
        "fields",
        "a",
        ".",
        "[",
        "]",
        "[]",
        "[?",
        "*",
        "||",
        "&&",
        "|",
        "(",
        ")",
        "length(",
        "sum(",
        "`1`",
        "'x'",
        "@",
        "&",
        ",",
    ]
)


@given(st.lists(pieces, max_size=12).map("".join), json_values)
def test_no_expression_and_no_document_make_it_fail_in_any_other_way(expression, view):
    code, position = outcome(expression, view)
    assert code in {None, "selection_failed", "selection_too_large", *FINDING_CODES}
    assert 0 <= position <= len(expression)


def outcome(expression: str, view: object) -> tuple[str | None, int]:
    try:
        compile_selection(expression).select(view)
    except ExpressionError as error:
        return error.code, error.position
    except ValueProblemError as problem:
        return problem.code, 0
    return None, 0
