"""The reference in docs/mapping.md: its blocks run, and it leaves nothing out."""

import re
from pathlib import Path

import pytest

from mappings import codes
from mappings.load import compile_mapping, run_tests
from mappings.model import (
    AttachmentSpec,
    CaseDocument,
    ColumnSpec,
    Expectation,
    GuardsSpec,
    LinesSpec,
    LookupSpec,
    MappingFile,
)
from mappings.steps import STEP_NAMES

DOCS = Path(__file__).parents[2] / "docs" / "mapping.md"
TEXT = DOCS.read_text(encoding="utf-8")
BLOCKS = re.findall(r"```yaml\n(.*?)```", TEXT, re.DOTALL)
HEAD = "schema: invoice_v2\ndestination: dataverse\ntable: numora_invoice\n"


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.splitlines()[1].strip()[:40])
def test_every_yaml_block_of_the_docs_is_a_mapping_whose_tests_pass(block):
    mapping = compile_mapping(block if block.startswith("schema:") else HEAD + block, "docs.yaml")
    assert mapping.warnings == ()
    assert [result for result in run_tests(mapping) if not result.passed] == []


def test_the_docs_have_a_block_for_every_chapter_that_shows_one():
    assert len(BLOCKS) == 5
    assert sum(len(compile_mapping(b if b.startswith("schema:") else HEAD + b, "d").parts.tests) for b in BLOCKS) == 6


@pytest.mark.parametrize(
    "model",
    [MappingFile, ColumnSpec, GuardsSpec, LookupSpec, LinesSpec, AttachmentSpec, CaseDocument, Expectation],
)
def test_the_docs_name_every_key_of_a_mapping_file(model):
    keys = {field.alias or name for name, field in model.model_fields.items()}
    assert {key for key in keys if f"`{key}`" not in TEXT} == set()


def test_the_docs_name_every_step():
    assert [name for name in STEP_NAMES if not re.search(rf"\| .*`{name}[`(]", TEXT)] == []


@pytest.mark.parametrize("table", [codes.PROBLEM_CODES, codes.SKIP_CODES, codes.FINDING_CODES])
def test_the_docs_explain_every_code_in_the_words_of_the_code(table):
    assert [code for code, meaning in table.items() if f"| `{code}` | {meaning} |" not in TEXT] == []


def test_every_code_is_snake_case_and_in_one_table_only():
    every = [*codes.PROBLEM_CODES, *codes.SKIP_CODES, *codes.FINDING_CODES]
    assert len(every) == len(set(every))
    assert all(re.fullmatch(r"[a-z][a-z_]*", code) for code in every)
