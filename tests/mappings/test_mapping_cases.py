"""The tests inside a mapping file say in sentences what is not as expected."""

import pytest

from mappings.load import compile_mapping, run_tests

BODY = """
schema: invoice_v2
destination: dataverse
table: numora_invoice
columns:
  name: {from: fields.number, required: true}
  total: {from: fields.total, as: decimal, min_confidence: 0.5}
  day: {from: fields.day, as: date}
  moment: {from: fields.moment, as: datetime}
  guid: {from: fields.guid, as: guid}
  flag: {from: fields.flag, as: boolean}
  kind: {value: 7}
lookups: {vendor: {table: account, match: {name: fields.vendor}, missing: empty}}
lines: {table: lines, columns: {amount: {from: amount, as: decimal}}}
attachments: [metadata.file_url]
"""


def result(document: str, expect: str):
    (only,) = run_tests(
        compile_mapping(f"{BODY}tests: [{{name: t, document: {document}, expect: {expect}}}]", "m.yaml")
    )
    assert only.passed == (not only.differences)
    return only.differences


GOOD = (
    "{fields: {number: N-1, total: {value: '1,234.50', confidence: 0.9}, day: 2026-01-31, "
    "moment: '2026-01-31T10:00:00Z', guid: 0F8FAD5B-D9CB-469F-A165-70867728950E, flag: 'yes', vendor: ACME}, "
    "metadata: {file_url: u}, "
    "line_items: [{id: a, amount: 1.10}, {id: b, amount: {value: '2', confidence: 0.1}}]}"
)


@pytest.mark.parametrize(
    "expect",
    [
        "{}",
        "{columns: {name: N-1, total: 1234.5, day: 2026-01-31, flag: true, kind: 7}}",
        "{columns: {moment: '2026-01-31T11:00:00+01:00'}}",
        "{columns: {day: '2026-01-31', guid: 0f8fad5b-d9cb-469f-a165-70867728950e, total: 1234.500}}",
        "{lookups: {vendor: {name: ACME}}}",
        "{lines: [{amount: 1.1}, {amount: 2}]}",
        "{attachments: [u]}",
    ],
)
def test_a_document_that_comes_out_as_expected_passes(expect):
    assert result(GOOD, expect) == ()


@pytest.mark.parametrize(
    ("expect", "sentence"),
    [
        ("{columns: {name: N-2}}", "column name is “N-1”, and not “N-2”"),
        ("{columns: {total: 1234.51}}", "column total is 1234.50, and not 1234.51"),
        ("{columns: {total: '1234.50'}}", "column total is 1234.50, and not “1234.50”"),
        ("{columns: {total: null}}", "column total is 1234.50, and not empty"),
        ("{columns: {day: 2026-02-01}}", "column day is 2026-01-31, and not 2026-02-01"),
        ("{columns: {flag: 1}}", "column flag is true, and not 1"),
        ("{columns: {other: 1}}", "column other: the mapping does not set it"),
        ("{lookups: {vendor: {name: X}}}", "lookup vendor goes by name = “ACME”, and not by name = “X”"),
        ("{lookups: {vendor: {number: ACME}}}", "lookup vendor goes by name = “ACME”, and not by number = “ACME”"),
        ("{lookups: {vendor: null}}", "lookup vendor goes by name = “ACME”, and not by nothing"),
        ("{lookups: {other: {name: X}}}", "lookup other: the mapping does not have it"),
        ("{lines: []}", "there are 2 lines, and not 0"),
        ("{lines: [{amount: 1.1}, {amount: 3}]}", "line 2 (b), column amount is 2, and not 3"),
        ("{attachments: []}", "the attachments are ['u'], and not []"),
        ("{skip: duplicate}", "the document is delivered, and not skipped with duplicate"),
        ("{problems: [{code: x}]}", "the problem code x is expected, and the document is delivered"),
    ],
)
def test_a_difference_is_told_in_a_sentence(expect, sentence):
    assert result(GOOD, expect) == (sentence,)


BAD = "{fields: {total: {value: x, confidence: 0.4}}}"


def test_a_rejection_passes_when_exactly_its_problems_are_expected():
    three = "{field: number, code: required_missing}, {column: total, code: low_confidence}, {code: not_an_amount}"
    assert result(BAD, f"{{problems: [{three}]}}") == ()
    differences = result(BAD, "{problems: [{field: number}, {field: total, code: too_many_decimals}]}")
    assert differences[0] == "the problem field total, code too_many_decimals is expected, and is not there"
    assert [text.startswith("the problem is not expected: total → total: ") for text in differences[1:]] == [True, True]


def test_an_expected_problem_may_be_all_that_the_api_tells_of_one():
    message = "number is empty, and it is needed. Fill it in review."
    problem = f"field: number, column: name, code: required_missing, message: '{message}'"
    assert result("{}", f"{{problems: [{{{problem}}}]}}") == ()
    assert len(result("{}", f"{{problems: [{{{problem.replace('needed', 'wanted')}}}]}}")) == 2


def test_a_document_that_is_rejected_when_it_should_not_be_is_told_with_every_reason():
    differences = result(BAD, "{columns: {name: x}}")
    assert len(differences) == 3
    assert differences[0].startswith("the document is rejected: number → name: ")
    assert differences[0].endswith("[required_missing]")
    assert result(BAD, "{skip: duplicate}") == (
        "the document is rejected, and not skipped with duplicate",
        *differences,
    )
    three = "{code: required_missing}, {code: low_confidence}, {code: not_an_amount}"
    assert result(BAD, f"{{problems: [{three}], columns: {{name: x}}}}") == (
        "columns, lookups, lines or attachments are expected, and the document is rejected",
    )


def test_a_skip_is_expected_by_its_code():
    duplicate = "{duplicate_of: doc_0}"
    assert result(duplicate, "{skip: duplicate}") == ()
    assert result(duplicate, "{skip: other}") == ("the document is skipped with duplicate, and not with other",)
    assert result(duplicate, "{columns: {}}")[0].startswith("the document is skipped (duplicate): ")


@pytest.mark.parametrize("beside", ["columns: {name: x}", "lines: []", "lookups: {}", "attachments: []"])
def test_nothing_that_only_a_delivered_document_has_is_silently_passed_over(beside):
    """Such an expectation could never fail, whatever the mapping does."""
    expected = "columns, lookups, lines or attachments are expected, and the document is "
    assert result("{duplicate_of: doc_0}", f"{{skip: duplicate, {beside}}}") == (f"{expected}skipped",)
    assert result("{}", f"{{problems: [{{field: number}}], {beside}}}") == (f"{expected}rejected",)


def test_problems_and_a_skip_are_not_expected_together():
    differences = result("{duplicate_of: doc_0}", "{skip: duplicate, problems: [{code: x}]}")
    assert differences == ("problems are expected, and the document is skipped",)
    assert result("{duplicate_of: doc_0}", "{skip: duplicate, problems: []}") == ()


def test_an_expected_problem_that_leaves_much_open_takes_none_that_another_needs():
    every = "{code: low_confidence}, {field: total}, {}"
    for problems in ("{}, {field: total}, {code: low_confidence}", every):
        assert result(BAD, f"{{problems: [{problems}]}}") == ()
    (difference,) = result(BAD, "{problems: [{}, {field: total}, {code: low_confidence}, {field: number}]}")
    assert difference.endswith("is expected, and is not there")


def test_a_document_may_be_written_as_the_source_gives_it():
    """Cells with more than value and confidence, confidences as text or by themselves, and rows the same."""
    for document in (
        "{fields: {number: N, total: {value: '5', confidence: '0.4', page: 1}}}",
        "{fields: {number: N, total: 5}, confidences: {total: 0.4}}",
    ):
        assert result(document, "{problems: [{field: total, code: low_confidence}]}") == ()
    assert result("{fields: {number: {value: N, source: ocr}}}", "{columns: {name: N}}") == ()
    row = "{id: a, amount: {value: '5', confidence: 1, box: [1, 2]}}"
    assert result(f"{{fields: {{number: N}}, line_items: [{row}]}}", "{lines: [{amount: 5}]}") == ()


def test_yaml_dates_in_a_document_become_their_text_wherever_they_stand():
    body = BODY.replace("{from: fields.number, required: true}", "metadata.deep[0].day")
    case = "{name: t, document: {metadata: {deep: [{day: 2026-01-31}]}}, expect: {columns: {name: 2026-01-31}}}"
    (only,) = run_tests(compile_mapping(f"{body}tests: [{case}]", "m.yaml"))
    assert only.differences == ()


def test_a_file_without_tests_has_no_results():
    assert run_tests(compile_mapping(BODY, "m.yaml")) == ()
