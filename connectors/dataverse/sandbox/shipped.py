"""The tables that the shipped mapping files write to, and the system tables that they refer to."""

from decimal import Decimal
from typing import Any

from connectors.dataverse.sandbox.columns import (
    BooleanColumn,
    Column,
    DateTimeColumn,
    DecimalColumn,
    GuidColumn,
    IntegerColumn,
    LookupColumn,
    MemoColumn,
    Navigation,
    PicklistColumn,
    RequiredLevel,
    StringColumn,
)
from connectors.dataverse.sandbox.tables import KeySchema, TableSchema

APPLICATION_USER_ID = "a0000000-0000-4000-8000-000000000001"
BUSINESS_UNIT_ID = "a0000000-0000-4000-8000-000000000002"
ORGANIZATION_ID = "a0000000-0000-4000-8000-000000000003"
EURO_ID = "a0000000-0000-4000-8000-0000000000e0"

_NEEDED: RequiredLevel = "ApplicationRequired"


def _text(name: str, length: int, required: RequiredLevel = "None") -> Column:
    return StringColumn(name=name, max_length=length, required=required)


def _amount(name: str, precision: int = 2, required: RequiredLevel = "None") -> Column:
    return DecimalColumn(name=name, precision=precision, required=required)


def _date(name: str, required: RequiredLevel = "None") -> Column:
    return DateTimeColumn(name=name, behavior="DateOnly", required=required)


def _key(table: str) -> KeySchema:
    return KeySchema(f"{table}_externalkey_key", ("numora_externalkey",))


def numora_tables() -> tuple[TableSchema, ...]:
    """Return the tables of the shipped mapping files."""
    return (_invoice(), _invoice_line(), _receipt(), _contract())


def _invoice() -> TableSchema:
    return TableSchema(
        "numora_invoice",
        (
            _text("numora_name", 100, _NEEDED),
            _text("numora_sourceid", 100),
            _text("numora_externalid", 100),
            PicklistColumn(name="numora_kind", options={1: "Invoice", 2: "Credit note"}),
            _date("numora_invoicedate", _NEEDED),
            _date("numora_duedate"),
            _text("numora_purchaseorder", 100),
            _text("numora_currencycode", 3),
            _amount("numora_subtotal"),
            _amount("numora_taxtotal"),
            _amount("numora_total", required=_NEEDED),
            _text("numora_vendorname", 200),
            _text("numora_vendortaxid", 50),
            _text("numora_source", 50),
            _text("numora_externalkey", 100),
            LookupColumn(
                name="numora_vendor",
                schema_name="numora_Vendor",
                navigations=(
                    Navigation(name="numora_Vendor", target="account", collection="numora_account_numora_invoice"),
                ),
            ),
        ),
        keys=(_key("numora"),),
    )


def _invoice_line() -> TableSchema:
    return TableSchema(
        "numora_invoiceline",
        (
            _text("numora_description", 400),
            IntegerColumn(name="numora_position"),
            _text("numora_productcode", 100),
            _amount("numora_quantity", 4),
            _amount("numora_unitprice", 4),
            _amount("numora_taxrate"),
            _amount("numora_amount"),
            _text("numora_externalkey", 150),
            LookupColumn(
                name="numora_invoice",
                schema_name="numora_Invoice",
                navigations=(
                    Navigation(
                        name="numora_Invoice",
                        target="numora_invoice",
                        collection="numora_invoice_numora_invoiceline",
                        on_delete="Cascade",
                    ),
                ),
            ),
        ),
        keys=(_key("numora_invoiceline"),),
    )


def _receipt() -> TableSchema:
    return TableSchema(
        "numora_receipt",
        (
            _text("numora_name", 100, _NEEDED),
            _text("numora_sourceid", 100),
            _text("numora_externalid", 100),
            _text("numora_merchantname", 200, _NEEDED),
            _date("numora_receiptdate", _NEEDED),
            _text("numora_currencycode", 3),
            _amount("numora_taxtotal"),
            _amount("numora_total", required=_NEEDED),
            PicklistColumn(name="numora_paymentmethod", options={1: "Cash", 2: "Card", 3: "Transfer", 9: "Other"}),
            _text("numora_category", 100),
            _text("numora_source", 50),
            _text("numora_externalkey", 100),
        ),
        keys=(_key("numora_receipt"),),
    )


def _contract() -> TableSchema:
    return TableSchema(
        "numora_contract",
        (
            _text("numora_name", 200, _NEEDED),
            _text("numora_sourceid", 100),
            _text("numora_externalid", 100),
            _text("numora_contractnumber", 100),
            _text("numora_counterpartyname", 200, _NEEDED),
            _date("numora_effectivedate", _NEEDED),
            _date("numora_enddate"),
            DateTimeColumn(name="numora_signedat", behavior="TimeZoneIndependent"),
            _amount("numora_value"),
            _text("numora_currencycode", 3),
            IntegerColumn(name="numora_noticedays"),
            BooleanColumn(name="numora_autorenewal"),
            _text("numora_governinglaw", 200),
            MemoColumn(name="numora_summary", max_length=2000),
            _text("numora_source", 50),
            _text("numora_externalkey", 100),
            LookupColumn(
                name="numora_counterparty",
                schema_name="numora_Counterparty",
                navigations=(
                    Navigation(
                        name="numora_Counterparty", target="account", collection="numora_account_numora_contract"
                    ),
                ),
            ),
        ),
        keys=(_key("numora_contract"),),
    )


def system_tables() -> tuple[TableSchema, ...]:
    """Return the tables that every environment has, as far as they matter here."""
    return (
        TableSchema(
            "account",
            (
                _text("name", 160, _NEEDED),
                _text("accountnumber", 20),
                _text("numora_vatnumber", 50),
                _text("emailaddress1", 100),
                LookupColumn(
                    name="primarycontactid",
                    schema_name="PrimaryContactId",
                    navigations=(
                        Navigation(name="primarycontactid", target="contact", collection="account_primary_contact"),
                    ),
                ),
            ),
        ),
        TableSchema(
            "contact",
            (
                _text("fullname", 160),
                _text("firstname", 50),
                _text("lastname", 50, _NEEDED),
                _text("emailaddress1", 100),
                LookupColumn(
                    name="parentcustomerid",
                    schema_name="ParentCustomerId",
                    navigations=(
                        Navigation(
                            name="parentcustomerid_account", target="account", collection="contact_customer_accounts"
                        ),
                        Navigation(
                            name="parentcustomerid_contact", target="contact", collection="contact_customer_contacts"
                        ),
                    ),
                ),
            ),
        ),
        TableSchema("team", (_text("name", 160, "SystemRequired"),), has_notes=False, user_owned=False),
        TableSchema(
            "systemuser",
            (_text("fullname", 200), _text("internalemailaddress", 100), GuidColumn(name="applicationid")),
            has_notes=False,
            user_owned=False,
        ),
        TableSchema(
            "transactioncurrency",
            (
                _text("currencyname", 100, "SystemRequired"),
                _text("isocurrencycode", 5, "SystemRequired"),
                _text("currencysymbol", 13, "SystemRequired"),
                IntegerColumn(name="currencyprecision", minimum=0, maximum=4),
                DecimalColumn(name="exchangerate", precision=10, minimum=Decimal("0.0000000001")),
            ),
            set_name="transactioncurrencies",
            has_notes=False,
            user_owned=False,
        ),
        TableSchema(
            "annotation",
            (
                _text("subject", 500),
                MemoColumn(name="notetext", max_length=100_000),
                _text("filename", 255),
                _text("mimetype", 256),
                MemoColumn(name="documentbody", max_length=5 * 1024 * 1024),
                IntegerColumn(name="filesize", creatable=False, updatable=False),
                LookupColumn(name="objectid", schema_name="ObjectId"),
            ),
            has_notes=False,
        ),
    )


def first_rows() -> tuple[tuple[str, dict[str, Any]], ...]:
    """Return the rows that every environment starts with: its application user and some currencies."""
    euro = {"currencyname": "Euro", "isocurrencycode": "EUR", "currencysymbol": "€", "exchangerate": Decimal(1)}
    return (
        ("systemuser", {"systemuserid": APPLICATION_USER_ID, "fullname": "# numora-bridge"}),
        ("transactioncurrency", {"transactioncurrencyid": EURO_ID, "currencyprecision": 2, **euro}),
    )
