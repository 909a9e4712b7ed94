"""``mapping test``: the tests that stand in mapping files."""

from pathlib import Path

from tests.cli.cli_process import ROOT, command

LIBRARY = ROOT / "mappings" / "library"
FAILING = """\
schema: invoice_v2
destination: dataverse
table: numora_invoice
columns: {numora_name: fields.invoice_number}
tests:
  - name: the number is the name
    document: {fields: {invoice_number: INV-1}}
    expect: {columns: {numora_name: INV-1}}
  - name: a number that is another
    document: {fields: {invoice_number: INV-1}}
    expect: {columns: {numora_name: INV-2}}
"""


async def test_the_shipped_mappings_pass_their_own_tests() -> None:
    tested = await command("mapping", "test", *map(str, sorted(LIBRARY.glob("*.yaml"))))
    assert tested.code == 0, tested.everything
    assert tested.out.splitlines()[-1].endswith(" 0 failed")


async def test_a_failing_test_is_shown_with_its_difference(tmp_path: Path) -> None:
    file = tmp_path / "mine.yaml"
    file.write_text(FAILING)
    tested = await command("mapping", "test", str(file))
    assert tested.code == 1
    assert "ok: the number is the name\n" in tested.out
    assert "failed: a number that is another\n    column numora_name is “INV-1”, and not “INV-2”\n" in tested.out
    assert "2 tests: 1 passed, 1 failed" in tested.out


async def test_a_file_that_cannot_be_taken_is_exit_code_2_and_the_others_are_tested(tmp_path: Path) -> None:
    broken = tmp_path / "broken.yaml"
    broken.write_text(FAILING.replace("table:", "tabel:"))
    tested = await command(
        "mapping", "test", str(broken), str(tmp_path / "missing.yaml"), str(LIBRARY / "receipt_v1.dataverse.yaml")
    )
    assert tested.code == 2
    assert f"{broken}:3:1: error: " in tested.err
    assert "Did you mean 'table'?" in tested.err
    assert "The file is not there." in tested.err
    assert "ok: a plain receipt" in tested.out
