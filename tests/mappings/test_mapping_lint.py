"""A mapping file with mistakes is told all of them at once, each with line, column, key and the nearest known name."""

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from mappings.findings import Finding, FindingsError
from mappings.load import compile_mapping
from mappings.model import MappingFile

HEAD = "schema: invoice_v2\ndestination: dataverse\ntable: numora_invoice\n"


def findings(body: str, head: str = HEAD) -> list[Finding]:
    with pytest.raises(FindingsError) as refused:
        compile_mapping(head + body, "config/mappings/m.yaml")
    assert all(finding.file == "config/mappings/m.yaml" for finding in refused.value.findings)
    return list(refused.value.findings)


def finding(column: str) -> Finding:
    (only,) = findings(f"columns:\n  x: {column}\n")
    return only


def warnings(column: str) -> list[tuple[str, str | None]]:
    mapping = compile_mapping(f"{HEAD}columns:\n  x: {column}\n", "m.yaml")
    return [(found.code, found.key) for found in mapping.warnings]


def test_every_mistake_of_a_file_is_told_at_once():
    """Wrong types, unknown keys and what does not fit together come in one list, in the order of the file."""
    found = findings(
        """locale: de_XX1
colums: {}
identity: {by: alternate_key}
guards: {min_confidence: 1.5, duplicate: ignore}
columns:
  a: {frm: fields.a}
  b: invoice_number
  c: {from: fields.c, as: decmal}
  d: {from: "fields.d["}
  e: {from: fields.e, value: 1}
lookups:
  f: {table: account, match: {}}
lines: {table: l, columns: {g: {from: g, as: choice}}}
"""
    )
    assert [(item.line, item.column, item.key, item.code) for item in found] == [
        (4, 9, "locale", "unknown_locale"),
        (5, 1, "colums", "unknown_key"),
        (6, 1, "identity", "bad_identity"),
        (7, 26, "guards.min_confidence", "bad_value"),
        (7, 42, "guards.duplicate", "bad_value"),
        (9, 7, "columns.a.frm", "unknown_key"),
        (10, 6, "columns.b", "unknown_document_field"),
        (11, 27, "columns.c.as", "bad_value"),
        (12, 23, "columns.d.from", "bad_expression"),
        (13, 3, "columns.e", "from_or_value"),
        (15, 23, "lookups.f.match", "empty_rule"),
        (16, 29, "lines.columns.g", "options_missing"),
    ]
    told = {item.key: item.message for item in found}
    assert "Did you mean 'columns'?" in told["colums"]
    assert "Did you mean 'from'?" in told["columns.a.frm"]
    assert "Did you mean 'decimal'?" in told["columns.c.as"]
    assert "fields.invoice_number" in told["columns.b"]


@pytest.mark.parametrize(
    ("column", "place", "code"),
    [
        ("fields[", (5, 13), "bad_expression"),
        ("'fields.a = 1'", (5, 16), "bad_expression"),
        ('{from: "fields.a ||"}', (5, 25), "bad_expression"),
        ("sumo(line_items)", (5, 6), "unknown_function"),
        ("'" + "a" * 513 + "'", (5, 6), "expression_too_large"),
        ("field.a", (5, 6), "unknown_document_field"),
        ("fields.a || filds.b", (5, 6), "unknown_document_field"),
        ("{from: fields.a, then: [strip, concat(filds.b)]}", (5, 37), "unknown_document_field"),
        ("{as: text}", (5, 3), "from_or_value"),
        ("{from: fields.a, as: choice}", (5, 3), "options_missing"),
        ("{from: fields.a, as: choice, options: {a: [1]}}", (5, 48), "bad_options"),
        ("{from: fields.a, as: choice, options: {a: true}}", (5, 48), "bad_options"),
        ("{from: fields.a, as: boolean, options: {ja: 1}}", (5, 50), "bad_options"),
        ("{from: fields.a, as: choice, options: {a: 1}, default: b}", (5, 61), "bad_default"),
        ("{from: fields.a, as: decimal, default: '1.234,5'}", (5, 45), "bad_default"),
        ("{from: fields.a, as: date, default: soon}", (5, 42), "bad_default"),
        ("{from: fields.a, as: decimal, scale: 2, default: 1.234}", (5, 55), "bad_default"),
        ("{value: [1]}", (5, 14), "bad_default"),
        ("{value: x, as: integer}", (5, 14), "bad_default"),
        ("{value: null, required: true}", (5, 14), "bad_default"),
        ("{from: fields.a, as: date, formats: ['%d.%m']}", (5, 43), "bad_format"),
        ("{from: fields.a, as: datetime, formats: ['%Y-%m-%d']}", (5, 47), "bad_format"),
        ("{from: fields.a, as: datetime, timezone: Mars}", (5, 47), "unknown_timezone"),
        ("{from: fields.a, as: decimal, locale: klingon}", (5, 44), "unknown_locale"),
        ("{from: fields.a, then: [strip, upperr]}", (5, 37), "unknown_step"),
        ("{from: fields.a, then: upperr}", (5, 29), "unknown_step"),
        ("{from: fields.a, required: 'yes'}", (5, 33), "wrong_type"),
        ("{from: fields.a, min_confidence: high}", (5, 39), "wrong_type"),
        ("{from: fields.a, scale: 2.5, as: decimal}", (5, 30), "wrong_type"),
        ("5", (5, 6), "wrong_type"),
    ],
)
def test_a_mistake_in_a_column_is_told_where_it_stands(column, place, code):
    found = finding(column)
    assert (found.code, (found.line, found.column)) == (code, place)
    assert found.severity == "error"
    assert found.message.endswith(".")


@pytest.mark.parametrize(
    ("body", "code", "key"),
    [
        ("identity: {by: primary_key, column: x}\ncolumns: {}", "bad_identity", "identity.column"),
        ("identity: {by: alternate_key, column: a}\ncolumns: {a: id}", "bad_identity", "columns.a"),
        ("columns: {'bad name': id}", "bad_name", "columns.bad name"),
        ('columns: {"a\'b": id}', "bad_name", "columns.a'b"),
        ("columns: {}\nlookups: {l: {table: 'x y', match: {a: id}}}", "bad_name", "lookups.l.table"),
        ("columns: {v: id}\nlookups: {V: {table: x, match: {a: id}}}", "column_twice", "lookups.V"),
        (
            "columns: {}\nlookups: {V: {table: x, match: {a: id}, or_match: [{}]}}",
            "empty_rule",
            "lookups.V.or_match[0]",
        ),
        ("columns: {}\nlines: {table: l, from: rows, columns: {}}", "unknown_document_field", "lines.from"),
        ("columns: {}\nlines: {table: l, key: 'a[', columns: {}}", "bad_expression", "lines.key"),
        ("columns: {}\nattachments: [{url: metadata.u, as: file_column}]", "bad_attachment", "attachments[0]"),
        ("columns: {}\nattachments: [{url: metadata.u, column: c}]", "bad_attachment", "attachments[0].column"),
        ("columns: {}\nattachments: [url]", "unknown_document_field", "attachments[0]"),
        (
            "columns: {}\ntests: [{name: t, document: {feilds: {}}, expect: {}}]",
            "unknown_key",
            "tests[0].document.feilds",
        ),
        ("columns: {a: id, a: id}", "duplicate_key", "columns.a"),
        ("{}", "yaml_syntax", None),
    ],
)
def test_a_mistake_elsewhere_is_told_by_its_key(body, code, key):
    (found,) = findings(body)
    assert (found.code, found.key) == (code, key)


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        ("{from: fields.a, scale: 2}", [("key_not_used", "columns.x.scale")]),
        ("{from: fields.a, options: {a: 1}}", [("key_not_used", "columns.x.options")]),
        ("{from: fields.a, as: date, timezone: UTC}", [("key_not_used", "columns.x.timezone")]),
        ("{from: fields.a, as: decimal, round: down}", [("key_not_used", "columns.x.round")]),
        ("{value: 1, default: 2}", [("key_not_used", "columns.x.default")]),
        (
            "{from: fields.a, as: date, formats: ['%d/%m/%Y', '%m/%d/%Y']}",
            [("ambiguous_formats", "columns.x.formats")],
        ),
        ("{from: fields.a, as: decimal, scale: 2, round: down}", []),
        ("{from: fields.a, as: integer, scale: 0}", []),
    ],
)
def test_what_works_but_is_hardly_meant_is_a_warning(column, expected):
    assert warnings(column) == expected


def test_a_part_of_the_document_is_not_looked_for_in_a_row_without_a_word():
    body = """columns: {}
lines:
  table: l
  key: line_items[].id
  columns:
    a: fields.invoice_number
    b: {from: description, then: [concat(" ", metadata.code)]}
    c: "status || field"
"""
    found = compile_mapping(HEAD + body, "m.yaml").warnings
    assert {finding.code for finding in found} == {"document_field_in_row"}
    assert [(finding.line, finding.key) for finding in found] == [
        (7, "lines.key"),
        (9, "lines.columns.a"),
        (10, "lines.columns.b.then[0]"),
    ]


def test_a_good_file_knows_its_name_text_and_digest():
    text = f"{HEAD}columns: {{a: id}}\n"
    mapping = compile_mapping(text, "config/mappings/invoice_v2.dataverse.yaml")
    assert mapping.name == "invoice_v2.dataverse.yaml"
    assert mapping.file == "config/mappings/invoice_v2.dataverse.yaml"
    assert (mapping.text, mapping.digest) == (text, sha256(text.encode()).hexdigest())
    assert (mapping.schema, mapping.destination, mapping.table) == ("invoice_v2", "dataverse", "numora_invoice")
    assert mapping.warnings == ()


def test_a_file_that_many_tenants_share_is_compiled_once():
    text = f"{HEAD}columns: {{a: id}}\n"
    assert compile_mapping(text, "shared.yaml") is compile_mapping(text, "shared.yaml")
    assert compile_mapping(text, "other.yaml").file == "other.yaml"


def test_a_byte_order_mark_does_not_move_anything():
    (found,) = findings("columns: {x: 'fields['}", "\ufeff" + HEAD)
    assert (found.line, found.column) == (4, 22)


def test_a_finding_about_a_key_stands_at_that_key():
    mapping = compile_mapping(f"{HEAD}columns:\n  numora_totl: fields.total\n", "m.yaml")
    found = mapping.finding(("columns", "numora_totl"), "no_such_column", "There is no such column.")
    assert found == Finding("no_such_column", "There is no such column.", "m.yaml", 5, 3, "columns.numora_totl")
    assert mapping.finding(("table",), "c", "m", severity="warning").severity == "warning"


def test_every_name_for_the_destination_is_given_with_its_place():
    mapping = compile_mapping(
        f"""{HEAD}columns:
  name: {{from: fields.number, then: [truncate(100)], required: true}}
  total: {{from: fields.total, as: money, scale: 2}}
  kind: {{from: fields.kind, as: choice, options: {{a: 1, b: 2, c: 2}}, default: 1}}
  source: {{value: numora}}
lookups:
  Vendor: {{table: account, match: {{number: id}}, or_match: [{{name: id, kind: {{value: 3}}}}], missing: create}}
lines: {{table: lines, columns: {{amount: {{from: amount, as: decimal}}}}}}
attachments: [{{url: metadata.u, as: file_column, column: file}}]
""",
        "m.yaml",
    )
    names = mapping.names()
    assert [(c.name, c.kind, c.constants, c.options, c.scale, c.max_length) for c in names.columns] == [
        ("name", "text", (), (), None, 100),
        ("total", "money", (), (), 2, None),
        ("kind", "choice", (1,), (1, 2), None, None),
        ("source", None, ("numora",), (), None, None),
    ]
    assert [(c.required, c.always_set) for c in names.columns] == [
        (True, True),
        (False, False),
        (False, True),
        (False, True),
    ]
    (vendor,) = names.lookups
    assert (vendor.column, vendor.table, vendor.missing) == ("Vendor", "account", "create")
    assert [rule.names for rule in vendor.rules] == [("number",), ("name", "kind")]
    assert names.lines is not None
    assert names.lines.table == "lines"
    assert names.attachments[0].column == "file"
    places = [column.path for column in (*names.columns, *names.lines.columns)]
    places += [rule.columns[0].path for rule in vendor.rules] + [
        vendor.path,
        names.lines.path,
        names.attachments[0].path,
    ]
    assert len({mapping.source.position(place, key=True) for place in places}) == len(places)


def test_the_json_schema_takes_the_short_forms_and_uses_the_files_own_names():
    schema = MappingFile.model_json_schema()
    assert {"schema", "table", "columns", "tests"} <= schema["properties"].keys()
    column = schema["$defs"]["ColumnSpec"]["anyOf"]
    assert column[0]["type"] == "string"
    assert {"from", "as", "then"} <= column[1]["properties"].keys()
    assert column[1]["additionalProperties"] is False


@pytest.mark.parametrize(
    ("column", "fits"),
    [("id", True), ({"from": "id"}, True), ({"value": 1}, True), ({}, False), ({"from": "id", "value": 1}, False)],
)
def test_the_json_schema_wants_either_an_expression_or_a_constant(column, fits):
    schema = MappingFile.model_json_schema()
    validator = Draft202012Validator({"$defs": schema["$defs"], "$ref": "#/$defs/ColumnSpec"})
    assert validator.is_valid(column) is fits


lines_of_a_file = st.sampled_from(
    [
        *HEAD.splitlines(),
        "columns:",
        "  a: id",
        "  b: {from: fields.b, then: [concat(",
        '"x", fields.y)]}',
        "lines: 5",
        "- x",
        "then: [",
        "]",
    ]
)


@given(st.lists(lines_of_a_file, max_size=10).map("\n".join) | st.text(max_size=60))
def test_no_text_makes_the_loader_fail_in_any_other_way(text):
    assert "error" in severities(text) or severities(text) == set()


def severities(text: str) -> set[str]:
    try:
        compile_mapping(text, "m.yaml")
    except FindingsError as error:
        return {found.severity for found in error.findings} or {"nothing was said"}
    return set()
