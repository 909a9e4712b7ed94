"""A mapping held against the live tables: slips are found before the first document, the right name beside them."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from connectors.dataverse.sandbox.columns import (
    BooleanColumn,
    DateTimeColumn,
    FileColumn,
    IntegerColumn,
    LookupColumn,
    MoneyColumn,
    Navigation,
    PicklistColumn,
    StringColumn,
)
from connectors.dataverse.sandbox.server import DataverseSandbox
from connectors.dataverse.sandbox.tables import KeySchema, TableSchema
from connectors.outcome import BlockedError
from mappings.findings import Finding
from mappings.load import compile_mapping

LIBRARY = Path(__file__).parents[2] / "mappings" / "library"

HEAD = """\
schema: invoice_v2
destination: dataverse
table: x_bill
"""
NAME = "  x_name: fields.invoice_number\n"

BILL = TableSchema(
    "x_bill",
    (
        StringColumn(name="x_name", max_length=20, required="ApplicationRequired"),
        StringColumn(name="x_key", max_length=64),
        StringColumn(name="x_shortkey", max_length=20),
        StringColumn(name="x_readonly", creatable=False, updatable=False),
        StringColumn(name="x_once", updatable=False),
        MoneyColumn(name="x_total", precision=2),
        IntegerColumn(name="x_count", minimum=0, maximum=10),
        PicklistColumn(name="x_kind", options={1: "Invoice", 2: "Credit note"}),
        DateTimeColumn(name="x_day", behavior="DateOnly"),
        DateTimeColumn(name="x_localday", behavior="UserLocal"),
        BooleanColumn(name="x_paid"),
        FileColumn(name="x_pdf"),
        LookupColumn(
            name="x_vendor",
            schema_name="x_Vendor",
            navigations=(Navigation(name="x_Vendor", target="account", collection="x_account_bills"),),
        ),
        LookupColumn(
            name="x_customer",
            schema_name="x_Customer",
            navigations=(
                Navigation(name="x_Customer_account", target="account", collection="x_account_bills2"),
                Navigation(name="x_Customer_contact", target="contact", collection="x_contact_bills2"),
            ),
        ),
    ),
    keys=(KeySchema("x_bill_key", ("x_key",)), KeySchema("x_bill_shortkey", ("x_shortkey",))),
)

Check = Callable[[str], Awaitable[list[Finding]]]


@pytest.fixture
async def environment(entra: Any) -> Any:
    async with DataverseSandbox(entra=entra, tables=[BILL]) as sandbox:
        yield sandbox


@pytest.fixture
def check(connect: Any, environment: DataverseSandbox) -> Check:
    destination = connect(environment)

    async def run(text: str) -> list[Finding]:
        return list(await destination.check(compile_mapping(text, "bill.yaml")))

    return run


async def codes(check: Check, text: str) -> list[str]:
    return [finding.code for finding in await check(text)]


async def only(check: Check, text: str) -> Finding:
    (finding,) = await check(text)
    return finding


@pytest.mark.parametrize("file", sorted(path.name for path in LIBRARY.glob("*.dataverse.yaml")))
async def test_the_shipped_mappings_fit_the_tables_they_are_made_for(connect: Any, dataverse: Any, file: str) -> None:
    text = (LIBRARY / file).read_text()
    assert list(await connect(dataverse).check(compile_mapping(text, file))) == []


async def test_a_mapping_that_fits_has_no_findings(check: Check) -> None:
    assert (
        await codes(
            check,
            HEAD
            + "identity: {by: alternate_key, column: x_key}\ncolumns:\n"
            + NAME
            + "  x_total: {from: fields.total_amount, as: money, scale: 2}\n"
            + "  x_kind: {from: fields.kind, as: choice, options: {invoice: 1, credit_note: 2}, default: 1}\n"
            + "  x_day: {from: fields.day, as: date}\n"
            + "lookups:\n"
            + "  x_Vendor: {table: account, match: {accountnumber: metadata.vendor_code}}\n"
            + "  x_Customer_contact: {table: contact, match: {fullname: fields.contact}}\n"
            + "  ownerid: {table: team, match: {name: {value: AP Team}}}\n",
        )
        == []
    )


async def test_a_misspelt_column_is_named_with_its_line_and_the_nearest_name(check: Check) -> None:
    finding = await only(check, HEAD + "columns:\n" + NAME + "  x_totel: {from: fields.total_amount, as: money}\n")
    assert finding.code == "unknown_column"
    assert (finding.line, finding.severity) == (6, "error")
    assert "'x_total'" in finding.message


async def test_every_slip_is_told_at_once(check: Check) -> None:
    text = HEAD + "columns:\n" + NAME + "  x_totel: fields.a\n  x_dey: fields.b\nlookups:\n"
    text += "  x_vendor: {table: account, match: {accountnumbr: metadata.v}}\n"
    assert sorted(await codes(check, text)) == [
        "unknown_column",
        "unknown_column",
        "unknown_column",
        "unknown_navigation_property",
    ]


async def test_a_table_that_is_not_there_is_the_one_thing_that_is_told(check: Check) -> None:
    finding = await only(check, HEAD.replace("x_bill", "x_bills") + "columns:\n" + NAME)
    assert finding.code == "unknown_table"
    assert finding.line == 3


@pytest.mark.parametrize("written", ["x_vendor", "X_Vendor", "x_VENDOR"])
async def test_a_navigation_property_in_the_wrong_case_is_told_with_the_right_one(check: Check, written: str) -> None:
    """The server takes it in its exact case alone, and would refuse every document."""
    text = f"  {written}: {{table: account, match: {{accountnumber: metadata.vendor_code}}}}\n"
    finding = await only(check, HEAD + "columns:\n" + NAME + "lookups:\n" + text)
    assert finding.code == "unknown_navigation_property"
    assert "'x_Vendor'" in finding.message


async def test_a_lookup_of_a_column_may_be_named_by_the_column_when_that_is_clear(check: Check) -> None:
    text = "  x_customer: {table: contact, match: {fullname: fields.contact}}\n"
    assert await codes(check, HEAD + "columns:\n" + NAME + "lookups:\n" + text) == []


async def test_a_lookup_to_a_table_that_the_column_does_not_refer_to(check: Check) -> None:
    text = "  x_Vendor: {table: contact, match: {fullname: fields.contact}}\n"
    finding = await only(check, HEAD + "columns:\n" + NAME + "lookups:\n" + text)
    assert finding.code == "lookup_target"
    assert "account" in finding.message


async def test_a_lookup_into_a_table_that_is_not_there(check: Check) -> None:
    text = "  x_Vendor: {table: acount, match: {name: fields.vendor}}\n"
    assert await codes(check, HEAD + "columns:\n" + NAME + "lookups:\n" + text) == ["unknown_table"]


async def test_a_reference_written_as_a_value_is_told_where_it_belongs(check: Check) -> None:
    finding = await only(check, HEAD + "columns:\n" + NAME + "  x_vendor: fields.vendor_id\n")
    assert finding.code == "lookup_as_column"
    assert "x_Vendor" in finding.message


@pytest.mark.parametrize(
    ("column", "code", "severity"),
    [
        ("x_readonly: fields.a", "column_not_writable", "error"),
        ("x_billid: {from: fields.a, as: guid}", "primary_key_mapped", "error"),
        ("x_once: fields.a", "column_not_updatable", "warning"),
        ("x_count: fields.a", "wrong_type", "error"),
        ("x_total: {from: fields.a, as: date}", "wrong_type", "error"),
        ("x_day: {from: fields.a, as: datetime}", "wrong_type", "error"),
        ("x_paid: {from: fields.a, as: integer}", "wrong_type", "error"),
        ("x_localday: {from: fields.a, as: date}", "date_in_local_time", "warning"),
        ("x_total: {from: fields.a, as: money, scale: 4}", "too_many_decimals", "warning"),
        ("x_key: {from: fields.a, then: [truncate(100)]}", "text_too_long", "warning"),
        ("x_key: {value: " + "x" * 65 + "}", "text_too_long", "error"),
        ("x_count: {value: 11, as: integer}", "out_of_range", "error"),
        ("x_kind: {from: fields.a, as: choice, options: {a: 1, b: 3}}", "unknown_choice", "error"),
    ],
)
async def test_what_a_column_cannot_take_is_told(check: Check, column: str, code: str, severity: str) -> None:
    finding = await only(check, HEAD + "columns:\n" + NAME + f"  {column}\n")
    assert (finding.code, finding.severity, finding.line) == (code, severity, 6)


async def test_a_required_column_that_is_left_out_is_a_warning(check: Check) -> None:
    """The API takes such a row, the forms in Dynamics would not."""
    finding = await only(check, HEAD + "columns:\n  x_key: fields.invoice_number\n")
    assert (finding.code, finding.severity) == ("required_column", "warning")
    assert "x_name" in finding.message


@pytest.mark.parametrize(
    ("column", "code"),
    [("x_nowhere", "unknown_column"), ("x_once", "key_missing"), ("x_shortkey", "key_column_too_short")],
)
async def test_an_alternate_key_that_cannot_hold_documents_apart(check: Check, column: str, code: str) -> None:
    text = HEAD + f"identity: {{by: alternate_key, column: {column}}}\ncolumns:\n" + NAME
    assert code in await codes(check, text)


async def test_a_key_whose_index_is_not_active_is_an_error(check: Check, environment: DataverseSandbox) -> None:
    """Until it is, neither does it find a row nor keep a second one out."""
    environment.set_key_status("x_bill", "x_bill_key", "Pending")
    text = HEAD + "identity: {by: alternate_key, column: x_key}\ncolumns:\n" + NAME
    finding = await only(check, text)
    assert finding.code == "key_not_active"
    assert "Pending" in finding.message


async def test_lines_need_a_relationship_to_the_document(check: Check) -> None:
    text = HEAD + "columns:\n" + NAME + "lines:\n  from: line_items\n  table: contact\n  key: id\n"
    text += "  columns: {lastname: description}\n"
    assert await codes(check, text) == ["lines_relationship"]


async def test_columns_of_lines_are_checked_too(connect: Any, dataverse: Any) -> None:
    text = (LIBRARY / "invoice_v2.dataverse.yaml").read_text().replace("numora_unitprice:", "numora_unitprize:")
    (finding,) = await connect(dataverse).check(compile_mapping(text, "invoice.yaml"))
    assert finding.code == "unknown_column"
    assert "'numora_unitprice'" in finding.message


@pytest.mark.parametrize(
    ("attachment", "code"),
    [
        ("{url: metadata.file_url, as: file_column, column: x_name}", "wrong_type"),
        ("{url: metadata.file_url, as: file_column, column: x_pfd}", "unknown_column"),
    ],
)
async def test_a_file_goes_into_a_file_column(check: Check, attachment: str, code: str) -> None:
    text = HEAD + "columns:\n" + NAME + f"attachments:\n  - {attachment}\n"
    assert await codes(check, text) == [code]


async def test_an_environment_that_lets_nobody_in_is_no_fault_of_the_mapping(
    check: Check, environment: DataverseSandbox
) -> None:
    environment.faults.add("unauthorized")
    with pytest.raises(BlockedError):
        await check(HEAD + "columns:\n" + NAME)
