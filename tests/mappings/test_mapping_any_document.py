"""Whatever a source sends, a mapping gives a result: it never raises."""

from decimal import Decimal

from hypothesis import given, settings
from hypothesis import strategies as st

from mappings.document import Document, LineItem
from mappings.load import compile_mapping
from mappings.plan import Rejection, Skip, WritePlan

MAPPING = compile_mapping(
    """
schema: invoice_v2
destination: dataverse
table: t
locale: de_DE
guards: {min_confidence: 0.5, confirmed: [a, line_items]}
columns:
  text: {from: fields.a, then: [strip, squeeze, upper, truncate(3), digits, pad_left(4)], required: true}
  amount: {from: fields.a, as: decimal, scale: 2, then: [remove(x), abs, multiply(2)]}
  money: {from: fields.a, as: money, scale: 1, round: half_even, default: 1}
  whole: {from: fields.b, as: integer, then: negate}
  yesno: {from: fields.b, as: boolean}
  day: {from: fields.a, as: date, formats: ["%Y-%m-%d", "%d/%m/%Y", "%m/%d/%Y"]}
  moment: {from: fields.b, as: datetime, timezone: Europe/Berlin}
  pick: {from: fields.a, as: choice, options: {one: 1}}
  guid: {from: fields.b, as: guid}
  joined: {from: fields.a, then: [concat(fields.b, metadata.c), coalesce(id, "x"), empty_if("-")]}
  summed: {from: "sum(line_items[].a)", as: decimal}
  compared: {from: "line_items[?a > `5`].b | [0]", as: text}
  sorted: {from: "sort_by(line_items, &a)[-1].a", as: text}
  number: {from: "to_number(fields.a)", as: decimal}
  floor: {from: "floor(to_number(fields.b))", as: integer}
  whole_view: {from: to_string(@), then: truncate(50)}
lookups: {l: {table: t, match: {x: metadata.c}, or_match: [{y: {from: fields.b, as: integer}}]}}
lines: {from: line_items || metadata.rows, key: a, table: l, columns: {a: {from: a, as: decimal}, b: "b.c[0]"}}
attachments: [metadata.c]
""",
    "any.yaml",
)

numbers = (
    st.integers()
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.sampled_from(
        [Decimal("1E+999999"), Decimal("-1E-999999"), Decimal("NaN"), Decimal("sNaN"), 10**4000, float("inf")]
    )
)
texts = st.text(max_size=12) | st.sampled_from(
    ["1.234,50", "(5,00)", "2026-01-31", "03/04/2026", "1E400", "-", "one", "2026-01-31T10:00:00", "\x00", "٣"]
)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
cells = st.dictionaries(st.sampled_from(["a", "b", "id"]), values, max_size=3)
confidences = st.dictionaries(
    st.sampled_from(["a", "b"]), st.decimals(0, 1) | st.just(Decimal("NaN")) | st.just(Decimal(-5)), max_size=2
)
documents = st.builds(
    Document,
    id=st.text(max_size=5),
    schema=st.just("invoice_v2"),
    metadata=st.dictionaries(st.sampled_from(["c", "rows"]), values, max_size=2),
    duplicate_of=st.none() | st.just("") | st.just("x"),
    fields=cells,
    confidences=confidences,
    line_items=st.lists(st.builds(LineItem, cells, confidences), max_size=4).map(tuple),
    review_state=st.none()
    | st.dictionaries(
        st.sampled_from(["confirmed_general_field_names", "confirmed_line_item_ids"]),
        values | st.just(["a"]),
        max_size=2,
    ),
)


@given(documents)
@settings(max_examples=400)
def test_every_document_gives_a_result_and_never_an_exception(document):
    result = MAPPING.apply(document)
    assert isinstance(result, (WritePlan, Rejection, Skip))
    if isinstance(result, WritePlan) and result.lines:
        keys = [row.key for row in result.lines.rows]
        assert len(keys) == len(set(keys))
    if isinstance(result, Rejection):
        assert result.problems


@given(documents)
@settings(max_examples=100)
def test_the_trace_never_gets_in_the_way(document):
    assert str(MAPPING.explain(document).result) == str(MAPPING.apply(document))


def test_a_number_too_long_even_to_be_printed_is_a_problem():
    result = MAPPING.apply(Document("d", "invoice_v2", fields={"a": 10**5000, "b": 10**5000}))
    assert isinstance(result, Rejection)
    assert {problem.code for problem in result.problems} >= {"number_out_of_range", "not_confirmed"}
