"""What the imitated Dataverse makes of values: limits, rounding, formats, choices, files, notes."""

from base64 import b64encode
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from connectors.dataverse.sandbox import (
    EURO_ID,
    DataverseSandbox,
    DateTimeColumn,
    DecimalColumn,
    FileColumn,
    MoneyColumn,
    StringColumn,
    TableSchema,
)

SAMPLE = TableSchema(
    "x_sample",
    (
        StringColumn(name="x_name", required="SystemRequired"),
        StringColumn(name="x_ascii", unicode=False),
        DecimalColumn(name="x_wide", precision=4, minimum=Decimal(-(10**20)), maximum=Decimal(10**20)),
        MoneyColumn(name="x_price", precision=2, minimum=Decimal(0)),
        DateTimeColumn(name="x_moment", behavior="UserLocal"),
        FileColumn(name="x_pdf", max_size_kb=1),
    ),
    primary_name="x_name",
)


@pytest.fixture
async def dataverse() -> AsyncIterator[DataverseSandbox]:
    async with DataverseSandbox(tables=[SAMPLE]) as sandbox:
        yield sandbox


async def stored(call, table, **columns):
    created = await call("POST", table, columns, {"Prefer": "return=representation"})
    assert created.status == 201, created.body
    return created.json


@pytest.mark.parametrize(
    ("sent", "kept"),
    [
        ("1234567890123456.7891", "1234567890123456.7891"),
        ("-99999999999999999.0001", "-99999999999999999.0001"),
        ("0.00005", "0.0000"),
        ("2.50001", "2.5000"),
        ("7", "7.0000"),
    ],
)
async def test_a_decimal_keeps_its_digits_and_is_rounded_to_its_precision_silently(call, sent, kept):
    row = await stored(call, "x_samples", x_name="a", x_wide=Decimal(sent))
    assert row["x_wide"] == Decimal(kept)
    assert f'"x_wide":{kept}'.encode() in (await call("GET", f"x_samples({row['x_sampleid']})")).body


@pytest.mark.parametrize(
    ("table", "columns", "code"),
    [
        ("numora_invoices", {"numora_total": 100_000_000_001}, "0x80044330"),
        ("numora_invoices", {"numora_total": "12.00"}, "0x80048d19"),
        ("numora_invoices", {"numora_name": "x" * 101}, "0x80044331"),
        ("numora_invoices", {"numora_name": 7}, "0x80048d19"),
        ("numora_invoices", {"numora_kind": 3}, "0x8004431a"),
        ("numora_invoices", {"numora_kind": "Invoice"}, "0x80048d19"),
        ("numora_invoices", {"numora_invoicedate": "2026-01-31T00:00:00Z"}, "0x80048d19"),
        ("numora_invoices", {"numora_invoicedate": "31.01.2026"}, "0x80048d19"),
        ("numora_invoices", {"numora_invoicedate": "2026-02-30"}, "0x80048d19"),
        ("numora_invoices", {"numora_invoicedate": "1752-12-31"}, "0x80044330"),
        ("numora_invoices", {"numora_nonsense": 1}, "0x80048d19"),
        ("numora_invoices", {"numora_name@foo": 1}, "0x80048d19"),
        ("numora_invoices", {"numora_invoiceid": "no-guid"}, "0x80048d19"),
        ("numora_invoicelines", {"numora_position": 2**31}, "0x80048d19"),
        ("numora_invoicelines", {"numora_position": Decimal("1.5")}, "0x80048d19"),
        ("numora_contracts", {"numora_autorenewal": 1}, "0x80048d19"),
        ("numora_contracts", {"numora_signedat": "2026-01-31"}, "0x80048d19"),
        ("numora_contracts", {"numora_signedat": "2026-01-31T10:00:00"}, "0x80048d19"),
        ("x_samples", {"x_name": "a", "x_ascii": "é"}, "0x80040203"),
        ("x_samples", {"x_name": "a", "x_price": -1}, "0x80044330"),
        ("x_samples", {"x_name": "a", "x_pdf": "JVBERi0="}, "0x80048d19"),
        ("x_samples", {"x_name": None}, "0x80040203"),
        ("x_samples", {}, "0x80040203"),
    ],
)
async def test_a_value_that_does_not_fit_is_refused(call, dataverse, table, columns, code):
    answer = await call("POST", table, columns)
    assert (answer.status, answer.code) == (400, code)
    assert dataverse.effects == []


async def test_the_name_of_an_undeclared_property_stands_in_the_refusal(call):
    answer = await call("POST", "numora_invoices", {"numora_nonsense": 1})
    assert (
        "The property 'numora_nonsense' does not exist on type 'Microsoft.Dynamics.CRM.numora_invoice'. "
        "Make sure to only use property names that are defined by the type." in answer.message
    )


async def test_what_the_application_requires_the_web_api_does_not(call):
    assert (await call("POST", "numora_invoices", {})).status == 204


async def test_dates_stay_dates_and_moments_become_utc(call):
    contract = await stored(
        call, "numora_contracts", numora_effectivedate="2026-01-31", numora_signedat="2026-01-31T00:30:00.500+02:00"
    )
    assert contract["numora_effectivedate"] == "2026-01-31"
    assert contract["numora_signedat"] == "2026-01-30T22:30:00Z"


async def test_money_is_kept_in_the_base_currency_as_well(call, dataverse):
    dollar = {
        "currencyname": "Dollar",
        "isocurrencycode": "USD",
        "currencysymbol": "$",
        "exchangerate": Decimal("1.25"),
    }
    [dollar_id] = dataverse.seed("transactioncurrency", [dollar])
    currency = {"transactioncurrencyid@odata.bind": f"/transactioncurrencies({dollar_id})"}
    row = await stored(call, "x_samples", x_name="a", x_price=Decimal("10.005"), x_price_base=99, **currency)
    assert (row["x_price"], row["x_price_base"], row["exchangerate"]) == (Decimal("10.00"), Decimal(8), Decimal("1.25"))
    euros = await stored(
        call,
        "x_samples",
        x_name="b",
        x_price=3,
        **{"transactioncurrencyid@odata.bind": f"/transactioncurrencies({EURO_ID})"},
    )
    assert euros["x_price_base"] == 3
    assert (await call("DELETE", f"transactioncurrencies({dollar_id})")).status == 400


async def test_a_state_brings_its_reason_along_and_refuses_a_foreign_one(call):
    row = await stored(call, "numora_invoices", statecode=1)
    assert row["statuscode"] == 2
    answer = await call("PATCH", f"numora_invoices({row['numora_invoiceid']})", {"statecode": 1, "statuscode": 1})
    assert (answer.status, answer.code) == (400, "0x80048408")


async def test_a_note_holds_a_document_of_a_row(call):
    invoice = (await stored(call, "numora_invoices"))["numora_invoiceid"]
    document = b64encode(b"%PDF-1.7").decode()
    await stored(
        call,
        "annotations",
        subject="Invoice",
        filename="a.pdf",
        mimetype="application/pdf",
        documentbody=document,
        **{"objectid_numora_invoice@odata.bind": f"/numora_invoices({invoice})"},
    )
    notes = await call("GET", f"numora_invoices({invoice})/numora_invoice_Annotations?$select=documentbody")
    assert [note["documentbody"] for note in notes.json["value"]] == [document]
    await call("DELETE", f"numora_invoices({invoice})")
    assert (await call("GET", "annotations")).json["value"] == []


class TestFileColumn:
    """One upload call, one download."""

    OCTETS = "application/octet-stream"

    async def test_a_file_is_uploaded_replaced_and_downloaded(self, call, dataverse):
        address = f"x_samples({(await stored(call, 'x_samples', x_name='a'))['x_sampleid']})/x_pdf"
        header = {"Content-Type": self.OCTETS, "x-ms-file-name": "a.pdf"}
        assert (await call("PATCH", address, b"first", header)).status == 204
        plain = {"Content-Type": self.OCTETS}
        assert (await call("PATCH", f"{address}?x-ms-file-name=%C3%BC.pdf", b"second", plain)).status == 204
        read = await call("GET", f"{address}/$value")
        assert (read.body, read.headers["x-ms-file-name"]) == (b"second", "%C3%BC.pdf")
        assert [effect.columns for effect in dataverse.effects[1:]] == [("x_pdf",), ("x_pdf",)]

    async def test_a_file_needs_a_name_a_row_and_the_right_size(self, call):
        address = f"x_samples({(await stored(call, 'x_samples', x_name='a'))['x_sampleid']})/x_pdf"
        named = {"Content-Type": self.OCTETS, "x-ms-file-name": "a.pdf"}
        assert (await call("PATCH", address, b"x", {"Content-Type": self.OCTETS})).status == 400
        assert (await call("PATCH", address, b"{}", {"x-ms-file-name": "a.pdf"})).status == 415
        large = await call("PATCH", address, b"x" * 1025, named)
        assert (large.status, large.code) == (400, "0x80044a02")
        assert (await call("GET", f"{address}/$value")).status == 404
        missing = "x_samples(00000000-0000-0000-0000-000000000000)/x_pdf"
        assert (await call("PATCH", missing, b"x", named)).status == 404
