"""A document goes in; a write plan, a rejection with every problem, or a skip comes out."""

from datetime import date
from decimal import Decimal

import pytest

from mappings.compiled import CompiledMapping
from mappings.document import Document, LineItem
from mappings.load import compile_mapping
from mappings.plan import AttachmentPlan, Identity, LineRow, LinesPlan, LookupPlan, Problem, Rejection, Skip, WritePlan

HEAD = "schema: invoice_v2\ndestination: dataverse\ntable: numora_invoice\n"


def mapping(body: str) -> CompiledMapping:
    return compile_mapping(HEAD + body, "config/mappings/invoice.yaml")


def document(**given) -> Document:
    return Document("doc_1", "invoice_v2", **given)


def plan(body: str, **given) -> WritePlan:
    result = mapping(body).apply(document(**given))
    assert isinstance(result, WritePlan), result
    return result


def problems(body: str, **given) -> list[tuple[str | None, str | None, str]]:
    result = mapping(body).apply(document(**given))
    assert isinstance(result, Rejection), result
    assert all(problem.message.endswith(".") for problem in result.problems)
    return [(problem.field, problem.column, problem.code) for problem in result.problems]


EXAMPLE = """
identity: {by: alternate_key, column: numora_externalkey}
locale: de_DE
columns:
  numora_name: fields.invoice_number
  numora_invoicedate: {from: fields.invoice_date, as: date, formats: ["%Y-%m-%d", "%d.%m.%Y"], required: true}
  numora_total: {from: fields.total_amount, as: decimal, scale: 2, required: true, min_confidence: 0.8}
  numora_kind: {from: fields.document_type, as: choice, options: {invoice: 1, credit_note: 2}, default: 1}
  numora_source: {value: numora}
lookups:
  numora_Vendor:
    table: account
    match: {accountnumber: metadata.vendor_code}
    or_match: [{name: fields.vendor_name}]
    missing: skip
  ownerid: {table: team, match: {name: {value: AP Team}}}
lines:
  from: line_items
  table: numora_invoiceline
  key: id
  columns:
    numora_description: description
    numora_amount: {from: amount, as: decimal}
attachments:
  - {url: metadata.file_url, as: note}
"""


def test_a_document_becomes_one_plan_with_everything_in_it():
    got = plan(
        EXAMPLE,
        fields={
            "invoice_number": "R-1",
            "invoice_date": "31.01.2026",
            "total_amount": "(12,00)",
            "vendor_name": "ACME",
        },
        confidences={"total_amount": Decimal("0.8")},
        metadata={"vendor_code": " ", "file_url": "https://files.example/1.pdf"},
        line_items=(
            LineItem({"id": "li_1", "description": "Paper", "amount": "1234567890123456789,12"}),
            LineItem({"id": "li_2", "description": None, "amount": Decimal("0.10")}),
        ),
    )
    assert got.table == "numora_invoice"
    assert got.identity == Identity("alternate_key", "numora_externalkey")
    assert got.columns == {
        "numora_name": "R-1",
        "numora_invoicedate": date(2026, 1, 31),
        "numora_total": Decimal("-12.00"),
        "numora_kind": 1,
        "numora_source": "numora",
    }
    assert got.lookups == (
        LookupPlan("numora_Vendor", "account", {"name": "ACME"}, "skip", ("vendor_name",)),
        LookupPlan("ownerid", "team", {"name": "AP Team"}, "reject"),
    )
    assert got.lines is not None
    assert got.lines.table == "numora_invoiceline"
    assert got.lines.rows == (
        LineRow("li_1", {"numora_description": "Paper", "numora_amount": Decimal("1234567890123456789.12")}),
        LineRow("li_2", {"numora_description": None, "numora_amount": Decimal("0.10")}),
    )
    assert got.attachments == (AttachmentPlan("https://files.example/1.pdf", "note"),)
    assert got.sources == {
        "numora_name": "invoice_number",
        "numora_invoicedate": "invoice_date",
        "numora_total": "total_amount",
        "numora_kind": "document_type",
        "numora_Vendor": "metadata.vendor_code, vendor_name",
        "numora_invoiceline.numora_description": "line_items.description",
        "numora_invoiceline.numora_amount": "line_items.amount",
    }


def test_a_rejection_lists_every_problem_by_the_reviewers_names():
    assert problems(
        EXAMPLE,
        fields={"invoice_number": ["R-1"], "total_amount": "1,234.50"},
        confidences={"total_amount": Decimal("0.79")},
        line_items=(LineItem({"id": "li_1", "amount": "x"}), LineItem({"amount": True})),
    ) == [
        ("invoice_number", "numora_name", "not_a_single_value"),
        ("invoice_date", "numora_invoicedate", "required_missing"),
        ("total_amount", "numora_total", "low_confidence"),
        ("total_amount", "numora_total", "not_an_amount"),
        ("line_items[li_1].amount", "numora_amount", "not_an_amount"),
        ("line_items[row-2].amount", "numora_amount", "not_an_amount"),
    ]


@pytest.mark.parametrize("empty", [None, "", " \t\u00a0 ", [], {}])
def test_null_blank_and_missing_are_all_empty(empty):
    body = "columns: {a: fields.x, b: {from: fields.x, as: decimal, default: 0.5}}"
    assert plan(body, fields={"x": empty}).columns == {"a": None, "b": Decimal("0.5")}
    assert plan(body).columns == {"a": None, "b": Decimal("0.5")}
    assert problems("columns: {a: {from: fields.x, required: true}}", fields={"x": empty}) == [
        ("x", "a", "required_missing")
    ]


def test_zero_and_false_are_values():
    body = (
        "columns: {a: {from: fields.a, as: integer, required: true}, b: {from: fields.b, as: boolean, required: true}}"
    )
    assert plan(body, fields={"a": 0, "b": False}).columns == {"a": 0, "b": False}


def test_a_default_serves_an_unknown_choice_but_no_other_mistake():
    body = "columns: {a: {from: fields.x, as: choice, options: {one: 1, two: 2}, default: two}}"
    assert plan(body, fields={"x": "three"}).columns == {"a": 2}
    assert problems("columns: {a: {from: fields.x, as: decimal, default: 1}}", fields={"x": "three"}) == [
        ("x", "a", "not_an_amount")
    ]
    assert problems("columns: {a: {from: fields.x, as: choice, options: {one: 1}}}", fields={"x": "three"}) == [
        ("x", "a", "unknown_option")
    ]


def test_a_duplicate_is_skipped_before_anything_else_is_looked_at():
    body = "columns: {a: {from: fields.x, required: true}}"
    result = mapping(body).apply(document(duplicate_of="doc_0"))
    assert isinstance(result, Skip)
    assert result.code == "duplicate"
    assert "doc_0" in result.message
    assert problems("guards: {duplicate: deliver}\n" + body, duplicate_of="doc_0") == [("x", "a", "required_missing")]


def test_the_guards_confidence_holds_for_every_mapped_field_and_a_columns_own_one_wins():
    body = """
guards: {min_confidence: 0.9}
columns:
  a: fields.a
  b: {from: fields.b, min_confidence: 0.5}
  c: "join(' ', [fields.c, fields.d])"
  unknown: fields.e
lookups: {l: {table: account, match: {name: fields.f}}}
lines: {table: lines, columns: {x: cell}}
"""
    low = Decimal("0.6")
    assert problems(
        body,
        fields=dict.fromkeys("abcdefz", "v"),
        confidences={"a": low, "b": low, "c": Decimal(1), "d": low, "f": low, "z": low},
        line_items=(LineItem({"id": "1", "cell": "v"}, {"cell": low}), LineItem({"id": "2", "cell": "v"})),
    ) == [
        ("a", "a", "low_confidence"),
        ("d", "c", "low_confidence"),
        ("f", "l", "low_confidence"),
        ("line_items[1].cell", "x", "low_confidence"),
    ]


def test_the_least_confidence_itself_is_enough():
    body = "columns: {a: {from: fields.a, min_confidence: 0.8}}"
    assert plan(body, fields={"a": "v"}, confidences={"a": Decimal("0.8")}).columns == {"a": "v"}


def test_a_fallback_that_was_not_needed_is_not_asked_for_its_confidence():
    confidences = {"a": Decimal(1), "b": Decimal("0.1")}
    for column in ("{from: fields.a || fields.b}", "{from: fields.a, then: [coalesce(fields.b)]}"):
        body = f"guards: {{min_confidence: 0.5}}\ncolumns: {{x: {column}}}"
        assert plan(body, fields={"a": "A", "b": "B"}, confidences=confidences).columns == {"x": "A"}
        assert problems(body, fields={"a": "", "b": "B"}, confidences=confidences) == [("b", "x", "low_confidence")]


def test_the_review_must_have_confirmed_what_the_mapping_names():
    body = "guards: {confirmed: [total, fields.number, line_items]}\ncolumns: {a: fields.total}"
    rows = (LineItem({"id": "li_1"}), LineItem({"id": "li_2"}), LineItem({}))
    state = {"version": 1, "confirmed_general_field_names": ["total"], "confirmed_line_item_ids": ["li_2"]}
    assert problems(body, review_state=state, line_items=rows) == [
        ("number", None, "not_confirmed"),
        ("line_items[li_1]", None, "not_confirmed"),
        ("line_items[row-3]", None, "not_confirmed"),
    ]
    assert [code for _, _, code in problems(body)] == ["not_confirmed"] * 2
    everything = {"confirmed_general_field_names": ["total", "number"], "confirmed_line_item_ids": ["li_1", "li_2"]}
    assert plan(body, review_state=everything, line_items=rows[:2]).columns == {"a": None}


def test_a_lookup_goes_by_the_first_rule_whose_values_are_all_there():
    body = """
columns: {}
lookups:
  vendor:
    table: account
    match: {accountnumber: metadata.code, country: fields.country}
    or_match:
      - taxid: {from: fields.tax, then: [upper, remove(" ")]}
      - {name: fields.name, kind: {value: 3}}
"""
    both = {"country": "DE", "tax": "de 1", "name": "ACME"}
    assert plan(body, metadata={"code": "V1"}, fields=both).lookups[0].criteria == {
        "accountnumber": "V1",
        "country": "DE",
    }
    assert plan(body, fields=both).lookups[0].criteria == {"taxid": "DE1"}
    assert plan(body, fields={"name": "ACME"}).lookups[0].criteria == {"name": "ACME", "kind": 3}


@pytest.mark.parametrize("missing", ["reject", "create"])
def test_a_lookup_that_may_not_stay_empty_needs_values(missing):
    body = f"columns: {{}}\nlookups: {{v: {{table: account, match: {{name: fields.name}}, missing: {missing}}}}}"
    assert problems(body) == [("name", "v", "lookup_without_values")]


@pytest.mark.parametrize("missing", ["skip", "empty"])
def test_a_lookup_without_values_is_left_to_the_destination_when_it_may_be_missing(missing):
    body = f"columns: {{}}\nlookups: {{v: {{table: account, match: {{name: fields.name}}, missing: {missing}}}}}"
    assert plan(body).lookups == (LookupPlan("v", "account", None, missing, ("name",)),)


def test_a_rule_with_a_value_that_cannot_be_read_is_a_problem_and_no_reason_to_try_the_next():
    body = """
columns: {}
lookups:
  v: {table: account, match: {number: {from: fields.n, as: integer}}, or_match: [{name: fields.name}], missing: skip}
"""
    assert problems(body, fields={"n": "x", "name": "ACME"}) == [("n", "v", "not_an_integer")]


def test_every_line_has_a_key_of_its_own():
    body = "columns: {}\nlines: {table: lines, columns: {x: x}}"
    given = ["a", None, "a", " ", "row-2", "a-2", 7, "7", {"no": 1}, True]
    rows = tuple(LineItem({"id": key, "x": "v"}) for key in given)
    got = plan(body, line_items=rows).lines
    assert got is not None
    keys = [row.key for row in got.rows]
    assert keys == ["a", "row-2-2", "a-3", "row-4", "row-2", "a-2", "7", "7-2", "row-9", "row-10"]


def test_a_line_keeps_its_key_when_another_is_taken_out_before_it():
    body = "columns: {}\nlines: {table: lines, key: nr, columns: {x: x}}"
    rows = [LineItem({"nr": f"n{i}", "x": str(i)}) for i in range(4)]
    got = plan(body, line_items=(rows[0], rows[2], rows[3])).lines
    assert got is not None
    assert {row.key: row.columns["x"] for row in got.rows} == {"n0": "0", "n2": "2", "n3": "3"}


def test_lines_may_be_selected_and_keep_their_confidences():
    body = 'guards: {min_confidence: 0.5}\ncolumns: {}\nlines: {from: "line_items[?x]", table: l, columns: {x: x}}'
    low = LineItem({"id": "b", "x": "v"}, {"x": Decimal("0.1")})
    assert problems(body, line_items=(LineItem({"id": "a"}), low)) == [("line_items[b].x", "x", "low_confidence")]


def test_a_document_without_rows_has_no_lines_and_a_mapping_without_lines_none_at_all():
    got = plan("columns: {}\nlines: {table: lines, columns: {x: x}}").lines
    assert got is not None
    assert got.rows == ()
    assert plan("columns: {}").lines is None


def test_lines_that_are_no_list_are_a_problem():
    body = "columns: {}\nlines: {from: metadata.rows, table: lines, columns: {x: x}}"
    assert problems(body, metadata={"rows": "two"}) == [("metadata.rows", None, "not_a_list")]


@pytest.mark.parametrize("rows", ["line_items[].amount", "line_items[*].[amount]", "[fields.a]"])
def test_lines_of_something_else_than_rows_are_a_problem_and_no_empty_lines(rows):
    body = f"columns: {{}}\nlines: {{from: '{rows}', table: lines, columns: {{x: amount}}}}"
    found = problems(body, line_items=(LineItem({"amount": "5"}),), fields={"a": "v"})
    assert [(column, code) for _, column, code in found] == [(None, "not_a_list")]


@pytest.mark.parametrize(
    ("rows", "field"),
    [
        ("fields.positions", "positions[a].x"),
        ("metadata.rows", "metadata.rows[a].x"),
        ("fields.positions && line_items", "line_items[a].x"),
        ("sort_by(line_items, &id)", "line_items[a].x"),
    ],
)
def test_a_line_is_told_by_the_name_that_the_reviewer_knows(rows, field):
    body = f"columns: {{}}\nlines: {{from: '{rows}', table: lines, columns: {{x: {{from: x, as: integer}}}}}}"
    row = {"id": "a", "x": "no number"}
    given = {"fields": {"positions": [row]}, "metadata": {"rows": [row]}, "line_items": (LineItem(row),)}
    assert problems(body, **given) == [(field, "x", "not_an_integer")]


def test_a_default_may_be_a_choice_that_no_document_names():
    body = "columns: {x: {from: fields.a, as: choice, options: {cash: 1, card: 2}, default: 9}}"
    assert [plan(body, fields={"a": given}).columns["x"] for given in ("card", "barter", None)] == [2, 9, 9]
    assert mapping(body).names().columns[0].constants == (9,)


def test_an_attachment_without_an_address_is_none():
    body = "columns: {}\nattachments: [metadata.a, {url: metadata.b, as: file_column, column: numora_file}]"
    assert plan(body, metadata={"b": "/v1/files/2"}).attachments == (
        AttachmentPlan("/v1/files/2", "file_column", "numora_file"),
    )
    assert problems(body, metadata={"a": ["x"]}) == [("metadata.a", "attachment", "not_a_single_value")]


def test_the_same_document_gives_the_same_plan():
    given = {"fields": {"invoice_date": "2026-01-31", "total_amount": "1,00"}}
    assert plan(EXAMPLE, **given) == plan(EXAMPLE, **given)


def test_an_explanation_tells_how_every_value_came_about():
    body = """
columns:
  name: {from: fields.number, then: [strip, upper]}
  total: {from: fields.total, as: decimal, scale: 2, round: half_up}
  source: {value: numora}
  kind: {from: fields.kind, as: choice, options: {invoice: 1}, default: 9}
lookups: {vendor: {table: account, match: {name: fields.vendor}}}
lines: {table: lines, columns: {x: {from: amount, as: integer}}}
"""
    explanation = mapping(body).explain(
        document(
            fields={"number": " a ", "total": "x", "vendor": "ACME"},
            line_items=(LineItem({"id": "li", "amount": "3"}),),
        )
    )
    assert isinstance(explanation.result, Rejection)
    told = [
        (step.column, step.row, step.expression, step.selected, step.transform, step.result)
        for step in explanation.steps
    ]
    assert told == [
        ("name", None, "fields.number", " a ", "strip → upper → as text", "A"),
        ("total", None, "fields.total", "x", "as decimal → scale 2 half_up", None),
        ("source", None, None, None, "constant", "numora"),
        ("kind", None, "fields.kind", None, "as choice → default 9", 9),
        ("vendor.name", None, "fields.vendor", "ACME", "as text", "ACME"),
        ("x", "li", "amount", "3", "as integer", 3),
    ]
    assert [step.problem for step in explanation.steps if step.problem] == list(explanation.result.problems)


def test_an_explanation_has_the_same_result_as_the_mapping():
    compiled = mapping(EXAMPLE)
    for given in ({}, {"duplicate_of": "x"}, {"fields": {"invoice_date": "2026-01-31", "total_amount": 5}}):
        assert compiled.explain(document(**given)).result == compiled.apply(document(**given))


def test_a_problem_is_told_with_what_to_do():
    result = mapping("columns: {a: {from: fields.due, as: date, formats: ['%d.%m.%Y']}}").apply(
        document(fields={"due": "2026-01-31"})
    )
    message = "“2026-01-31” is not a date that the mapping knows. Write it like 31.01.2026."
    assert isinstance(result, Rejection)
    assert result.problems == (Problem("due", "a", "not_a_date", message),)


def test_a_rejection_keeps_what_has_no_problem_for_the_destination_to_look_at():
    body = """
columns: {a: {from: fields.a, as: integer}, b: fields.b}
lookups:
  v: {table: account, match: {name: fields.vendor}, missing: reject}
  w: {table: team, match: {name: {value: AP}}}
lines: {table: l, columns: {c: {from: c, as: integer}, d: d}}
"""
    row = LineItem({"id": "1", "c": "x", "d": "D"})
    result = mapping(body).apply(document(fields={"a": "x", "b": "B"}, line_items=(row,)))
    assert isinstance(result, Rejection)
    assert len(result.problems) == 3
    assert result.rest.columns == {"a": None, "b": "B"}
    assert [lookup.column for lookup in result.rest.lookups] == ["w"]
    assert result.rest.lines == LinesPlan("l", (LineRow("1", {"c": None, "d": "D"}),))
