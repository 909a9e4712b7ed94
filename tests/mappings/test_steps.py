"""The closed list behind ``then``, and how steps are written."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mappings.document import Document
from mappings.findings import FindingsError
from mappings.load import compile_mapping
from mappings.plan import Rejection, WritePlan
from mappings.steps import STEP_NAMES, StepError, in_turn, parse_step
from mappings.values import is_empty

HEAD = "schema: invoice_v2\ndestination: dataverse\ntable: numora_invoice\n"
FIELDS = {"a": " Ab  c1 ", "b": "B", "empty": " ", "n": Decimal("-1234.50"), "code": "42", "list": ["x"]}


def outcome(column: str):
    plan = compile_mapping(f"{HEAD}columns: {{x: {column}}}", "m.yaml").apply(
        Document("d", "invoice_v2", fields=FIELDS)
    )
    assert isinstance(plan, WritePlan), plan
    return plan.columns["x"]


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        ("strip", "Ab  c1"),
        ("[strip]", "Ab  c1"),
        ("squeeze", "Ab c1"),
        ("[strip, upper]", "AB  C1"),
        ("[strip, lower, title]", "Ab  C1"),
        ("digits", "1"),
        ("[strip, truncate(2)]", "Ab"),
        ("[squeeze, replace(b,B)]", "AB c1"),
        ('[replace(" ", "")]', "Abc1"),
        ('[strip, replace("  ", ", ")]', "Ab, c1"),
        ("[squeeze, remove(b)]", "A c1"),
        ("[digits, pad_left(4)]", "0001"),
        ('[digits, pad_left(3, "x")]', "xx1"),
        ('[squeeze, empty_if("n/a", "AB C1")]', None),
        ('[squeeze, concat("-", fields.b)]', "Ab c1-B"),
        ("[squeeze, 'concat(fields.b, \"-\", @)']", "B-Ab c1"),
        ('[concat(fields.b, "-", fields.a, "!")]', "B- Ab  c1 !"),
        ("[digits, coalesce(fields.b)]", "1"),
        ("[concat(fields.b || 'x', '-', fields.n)]", " Ab  c1 B--1234.50"),
        ("[digits, concat(2026, '/', @)]", "2026/1"),
    ],
)
def test_a_step_does_what_the_reference_says(then, expected):
    assert outcome(f"{{from: fields.a, then: {then}}}") == expected


@pytest.mark.parametrize(
    ("then", "expected"),
    [
        ("upper", None),
        ("[coalesce(fields.missing, fields.b)]", "B"),
        ('[coalesce(fields.missing, "none")]', "none"),
        ('default("none")', "none"),
        ("default(0)", "0"),
        ("[concat(2026, '/', @)]", None),
        ('[concat("-", fields.missing)]', None),
        ('[concat("-", fields.b)]', "-B"),
        ("[pad_left(3), truncate(1)]", None),
    ],
)
def test_an_empty_value_stays_empty_unless_a_step_fills_it(then, expected):
    assert outcome(f"{{from: fields.empty, then: {then}}}") == expected


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("{from: fields.n, as: decimal, then: abs}", "1234.50"),
        ("{from: fields.n, as: decimal, then: negate}", "1234.50"),
        ("{from: fields.n, as: decimal, then: multiply(0.01), scale: 6}", "-12.345000"),
        ("{from: fields.n, as: decimal, then: [multiply(0.01)], scale: 2, round: half_up}", "-12.35"),
        ('{from: fields.n, as: decimal, then: [replace(".", ","), remove("-"), upper]}', "-1234.50"),
    ],
)
def test_steps_for_numbers_work_on_the_number_and_steps_for_text_leave_it_alone(column, expected):
    assert outcome(column) == Decimal(expected)


def test_steps_for_text_come_before_the_conversion():
    assert outcome('{from: fields.code, as: integer, then: [concat("0", "0")]}') == 4200
    assert outcome("{from: fields.b, as: choice, options: {beta: 7}, then: [lower, replace(b, beta)]}") == 7


def test_a_number_becomes_text_before_a_step_for_text():
    assert outcome("{from: fields.n, then: [pad_left(10, x)]}") == "xx-1234.50"


@pytest.mark.parametrize(
    "then",
    [
        "[strip, replace(a,b), truncate(3)]",
        '["strip", \'replace(a,b)\', "truncate(3)"]',
        '["strip", "replace(\\"a\\",\\"b\\")", "truncate(3)"]',
        "[\n    strip,  # a comment, with a comma\n    replace(a,b),\n    truncate(3)]",
        "[strip,replace( a , b ),truncate( 3 )]",
    ],
)
def test_steps_may_be_written_in_a_flow_list_with_or_without_quotes(then):
    text = f"{HEAD}columns:\n  x: {{from: fields.a, then: {then}, required: true}}\n"
    column = compile_mapping(text, "m.yaml").parts.columns[0]
    assert [step.name for step in column.before] == ["strip", "replace", "truncate"]
    assert column.required


def test_quotes_and_commas_in_a_flow_list_keep_their_meaning_and_positions_stay_right():
    text = f'{HEAD}columns: {{x: {{from: fields.a, then: [replace(",", "}}"), truncate(x)]}}}}\n'
    with pytest.raises(FindingsError) as refused:
        compile_mapping(text, "m.yaml")
    (finding,) = refused.value.findings
    line = text.splitlines()[3]
    assert (finding.line, finding.column) == (4, line.index("truncate") + 1)
    assert outcome('{from: fields.a, then: [strip, replace("  ", "#{}, ")]}') == "Ab#{}, c1"


@pytest.mark.parametrize(
    "then",
    [
        '\n  - replace(",", "#")\n  - concat("A: ", @) # told: so\n\n  # and\n  - \'truncate(9)\'',
        '\n- replace(",", "#")\n- concat("A: ", @)\n- truncate(9)',
        '   # in order\n  [replace(",", "#"), concat("A: ", @), truncate(9)]',
        '&steps [replace(",", "#"), concat("A: ", @), truncate(9)]',
    ],
)
def test_steps_keep_their_quotes_and_colons_in_every_kind_of_list(then):
    nested = ("then: " + then).replace("\n", "\n    ")
    text = f"{HEAD}columns:\n  x:\n    from: fields.a\n    {nested}\n    required: true\n"
    (column,) = compile_mapping(text, "m.yaml").parts.columns
    assert [step.text for step in column.before] == ['replace(",", "#")', 'concat("A: ", @)', "truncate(9)"]
    assert column.required


def test_steps_may_stand_under_a_key_in_quotes():
    assert outcome('{"from": "fields.a", "then": [squeeze, replace(" ", ", "), concat("(", @, ")")]}') == "(Ab, c1)"


def test_a_quote_that_is_escaped_does_not_end_a_step():
    assert outcome('{from: fields.b, then: ["concat(\\"f(\\", \\"x)\\", @)", lower]}') == "f(x)b"


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (r'replace("\n", ", ")', 'a, b\tc"d\\e'),
        (r'remove("\"")', "a\nb\tcd\\e"),
        (r'replace("\\", "\t")', 'a\nb\tc"d\te'),
        (r"""replace('\n', '"')""", 'a\nb\tc"d\\e'),
        (r"""concat(" \") ", @)""", ' ") a\nb\tc"d\\e'),
    ],
)
def test_line_ends_and_quotes_are_written_with_a_backslash_between_double_quotes(step, expected):
    """Between single quotes everything stands for itself."""
    for then in (f"[{step}, lower]", f"\n  - {step}\n"):
        text = f"{HEAD}columns:\n x:\n  from: fields.text\n  then: {then}\n"
        plan = compile_mapping(text, "m.yaml").apply(Document("d", "invoice_v2", fields={"text": 'a\nb\tc"d\\e'}))
        assert isinstance(plan, WritePlan), plan
        assert plan.columns["x"] == expected


def test_a_number_among_the_alternatives_is_none_of_the_locale():
    assert outcome("{from: fields.empty, then: coalesce(fields.missing, 1.5), as: decimal, locale: de_DE}") == (
        Decimal("1.5")
    )


@pytest.mark.parametrize(
    "step",
    ["replace(a, aaaaaaaaaa)", "concat(@, @, @, @, @, @, @, @, @, @)"],
)
def test_steps_never_put_together_more_than_a_column_could_hold(step):
    text = f"{HEAD}columns: {{x: {{from: fields.a, then: [{', '.join([step] * 7)}]}}}}"
    result = compile_mapping(text, "m.yaml").apply(Document("d", "invoice_v2", fields={"a": "a"}))
    assert isinstance(result, Rejection)
    assert [(problem.field, problem.code) for problem in result.problems] == [("a", "selection_too_large")]


@pytest.mark.parametrize(
    ("step", "code"),
    [
        ("strp", "unknown_step"),
        ("eval(1)", "unknown_step"),
        ("truncate", "bad_step"),
        ("truncate(x)", "bad_step"),
        ("truncate(0)", "bad_step"),
        ("truncate(-1)", "bad_step"),
        ("pad_left(99999999999)", "bad_step"),
        ("pad_left(5, ab)", "bad_step"),
        ('pad_left(5, "")', "bad_step"),
        ("truncate(1, 2)", "bad_step"),
        ("replace(a)", "bad_step"),
        ("replace( , _)", "bad_step"),
        ('replace("", x)', "bad_step"),
        ('remove("")', "bad_step"),
        ("concat(05)", "bad_expression"),
        ("strip(1)", "bad_step"),
        ("concat", "bad_step"),
        ("concat()", "bad_step"),
        ("concat(", "bad_step"),
        ('concat("a)', "bad_step"),
        ("concat(fields[)", "bad_step"),
        ("concat(a..b)", "bad_expression"),
        ("concat(nope(@))", "unknown_function"),
        ("multiply(NaN)", "bad_step"),
        ("multiply(two)", "bad_step"),
        ("", "bad_step"),
        ("import os", "bad_step"),
        ("coalesce(" + ",".join("abcdefghijklmnopqr") + ")", "bad_step"),
    ],
)
def test_a_step_that_is_not_in_the_list_or_wrongly_written_is_refused(step, code):
    with pytest.raises(StepError) as refused:
        parse_step(step, None)
    assert refused.value.code == code


def test_a_step_for_numbers_has_no_place_on_a_text():
    with pytest.raises(FindingsError, match="bad_step"):
        compile_mapping(f"{HEAD}columns: {{x: {{from: fields.a, then: abs}}}}", "m.yaml")


def test_the_length_that_a_text_is_cut_to_is_known_unless_a_later_step_may_add_to_it():
    def length(then: str) -> int | None:
        text = f"{HEAD}columns: {{x: {{from: fields.a, then: {then}}}}}"
        return compile_mapping(text, "m.yaml").names().columns[0].max_length

    assert length("[truncate(100), strip]") == 100
    assert length("[truncate(100), truncate(50)]") == 50
    assert length('[truncate(100), concat("x", fields.b)]') is None
    assert length("[strip]") is None


def test_every_step_of_the_list_is_known_to_the_parser():
    for name in STEP_NAMES:
        with pytest.raises(StepError) as refused:
            parse_step(f"{name}(1, 2, 3, 4, 'unbalanced)", None)
        assert refused.value.code == "bad_step"


steps_for_text = st.sampled_from(
    ["strip", "squeeze", "upper", "digits", "truncate(3)", "replace(a, b)", "remove(a)", "pad_left(4)", "empty_if(ab)"]
)
values = st.one_of(
    st.text("aAbB 1\t", max_size=8),
    st.integers(),
    st.booleans(),
    st.none(),
    st.just([]),
    st.decimals(-1000, 1000, places=2),
)


@given(st.lists(steps_for_text, min_size=1, max_size=4), values, st.booleans())
def test_steps_in_turn_come_to_what_each_of_them_does(texts, value, keeps_numbers):
    steps = [parse_step(text, None) for text in texts]
    expected = value
    for step in steps:
        if isinstance(expected, str) or not keeps_numbers:
            expected = step.apply(expected, {})
    made = in_turn(steps, keeps_numbers=keeps_numbers)(value, {})
    assert made == expected or (is_empty(made) and is_empty(expected))
