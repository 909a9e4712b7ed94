"""The mapping files that come with the bridge load without a warning and pass their own tests."""

from importlib.resources import files

import pytest

from mappings.load import compile_mapping, run_tests

SHIPPED = sorted(
    (entry for entry in files("mappings.library").iterdir() if entry.name.endswith(".yaml")),
    key=lambda entry: entry.name,
)


def test_there_is_one_for_each_published_schema():
    assert [entry.name for entry in SHIPPED] == [
        "contract_v1.dataverse.yaml",
        "invoice_v2.dataverse.yaml",
        "receipt_v1.dataverse.yaml",
    ]


@pytest.mark.parametrize("entry", SHIPPED, ids=lambda entry: entry.name)
def test_a_shipped_mapping_is_clean_and_passes_its_own_tests(entry):
    mapping = compile_mapping(entry.read_text(encoding="utf-8"), entry.name)
    results = run_tests(mapping)
    assert mapping.warnings == ()
    assert len(results) >= 3
    assert [(result.name, result.differences) for result in results if not result.passed] == []
    assert entry.name == f"{mapping.schema}.{mapping.destination}.yaml"
