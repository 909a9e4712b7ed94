"""The tables of an imitated Dataverse: columns, lookups, collections and keys, and the four that the suites use."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any


@dataclass(frozen=True)
class Column:
    """A column; ``kind`` is Dataverse's AttributeType. ``facts`` are those of its typed metadata."""

    name: str
    kind: str
    facts: dict[str, Any] = field(default_factory=dict)
    schema_name: str = ""
    required: str = "None"
    create: bool = True
    update: bool = True
    options: tuple[int, ...] = ()


@dataclass(frozen=True)
class Lookup:
    """One target of a lookup column: the navigation property that writes it, the collection on the other side."""

    column: str
    target: str
    navigation: str
    collection: str = ""


@dataclass(frozen=True)
class Key:
    name: str
    columns: tuple[str, ...]
    status: str = "Active"


@dataclass(frozen=True)
class Table:
    name: str
    set_name: str
    primary_name: str
    columns: tuple[Column, ...]
    lookups: tuple[Lookup, ...] = ()
    keys: tuple[Key, ...] = ()
    has_notes: bool = True
    optimistic: bool = True

    @property
    def primary_id(self) -> str:
        return f"{self.name}id"

    def column(self, name: str) -> Column | None:
        return next((column for column in self.columns if column.name == name), None)

    def without(self, *names: str) -> "Table":
        return replace(self, columns=tuple(column for column in self.columns if column.name not in names))

    def changed(self, column: Column) -> "Table":
        return replace(self, columns=(*self.without(column.name).columns, column))


def text(name: str, length: int = 100, **more: Any) -> Column:
    return Column(name, "String", {"MaxLength": length, "Format": "Text"}, **more)


def decimal(name: str, precision: int = 2, low: str = "-100000000000", high: str = "100000000000") -> Column:
    return Column(name, "Decimal", {"Precision": precision, "MinValue": Decimal(low), "MaxValue": Decimal(high)})


def money(name: str, precision: int = 2) -> Column:
    limit = Decimal(922337203685477)
    return Column(name, "Money", {"Precision": precision, "PrecisionSource": 0, "MinValue": -limit, "MaxValue": limit})


def date(name: str, behavior: str = "DateOnly") -> Column:
    return Column(name, "DateTime", {"DateTimeBehavior": {"Value": behavior}, "Format": "DateOnly"})


def whole(name: str) -> Column:
    return Column(name, "Integer", {"MinValue": -2147483648, "MaxValue": 2147483647})


def choice(name: str, *options: int) -> Column:
    return Column(name, "Picklist", options=options)


def id_column(table: str) -> Column:
    return Column(f"{table}id", "Uniqueidentifier", update=False, required="SystemRequired")


OWNER = Column("ownerid", "Owner", schema_name="OwnerId", required="SystemRequired")
CREATED = Column("createdon", "DateTime", {"DateTimeBehavior": {"Value": "UserLocal"}}, create=False, update=False)
CURRENCY = Column("transactioncurrencyid", "Lookup", schema_name="TransactionCurrencyId")


def owned(table: str) -> tuple[Lookup, ...]:
    return (
        Lookup("ownerid", "systemuser", "ownerid"),
        Lookup("ownerid", "team", "ownerid"),
        Lookup("transactioncurrencyid", "transactioncurrency", "transactioncurrencyid"),
    )


def small(name: str, set_name: str, primary: str, *columns: Column) -> Table:
    return Table(name, set_name, primary, (id_column(name), text(primary, 160), CREATED, *columns))


INVOICE = Table(
    "numora_invoice",
    "numora_invoices",
    "numora_name",
    (
        id_column("numora_invoice"),
        OWNER,
        CREATED,
        CURRENCY,
        text("numora_name", 100, required="ApplicationRequired"),
        text("numora_sourceid"),
        text("numora_externalid"),
        text("numora_externalkey"),
        date("numora_invoicedate"),
        date("numora_duedate"),
        text("numora_purchaseorder"),
        text("numora_currencycode", 3),
        money("numora_subtotal"),
        money("numora_taxtotal"),
        money("numora_total"),
        Column("numora_total_base", "Money", {"Precision": 4}, create=False, update=False),
        text("numora_vendorname", 200),
        text("numora_vendortaxid", 50),
        choice("numora_kind", 1, 2),
        text("numora_source", 50),
        Column("numora_vendor", "Lookup", schema_name="numora_Vendor"),
    ),
    (*owned("numora_invoice"), Lookup("numora_vendor", "account", "numora_Vendor", "numora_account_invoices")),
    (Key("numora_externalkey_key", ("numora_externalkey",)),),
)
LINE = Table(
    "numora_invoiceline",
    "numora_invoicelines",
    "numora_name",
    (
        id_column("numora_invoiceline"),
        OWNER,
        CREATED,
        CURRENCY,
        text("numora_name"),
        text("numora_externalkey"),
        text("numora_description", 400),
        whole("numora_position"),
        text("numora_productcode"),
        decimal("numora_quantity", 4),
        decimal("numora_unitprice", 4),
        decimal("numora_taxrate", 2),
        money("numora_amount"),
        Column("numora_invoice", "Lookup", schema_name="numora_Invoice"),
    ),
    (
        *owned("numora_invoiceline"),
        Lookup("numora_invoice", "numora_invoice", "numora_Invoice", "numora_invoice_numora_invoiceline_Invoice"),
    ),
)
RECEIPT = Table(
    "numora_receipt",
    "numora_receipts",
    "numora_name",
    (
        id_column("numora_receipt"),
        OWNER,
        CREATED,
        text("numora_name"),
        text("numora_sourceid"),
        text("numora_externalid"),
        text("numora_merchantname", 200),
        date("numora_receiptdate"),
        text("numora_currencycode", 3),
        money("numora_taxtotal"),
        money("numora_total"),
        choice("numora_paymentmethod", 1, 2, 3, 9),
        text("numora_category"),
        text("numora_source", 50),
    ),
    owned("numora_receipt")[:2],
)
CONTRACT = Table(
    "numora_contract",
    "numora_contracts",
    "numora_name",
    (
        id_column("numora_contract"),
        OWNER,
        CREATED,
        text("numora_name", 200),
        text("numora_sourceid"),
        text("numora_externalid"),
        text("numora_contractnumber"),
        text("numora_counterpartyname", 200),
        date("numora_effectivedate"),
        date("numora_enddate"),
        Column("numora_signedat", "DateTime", {"DateTimeBehavior": {"Value": "UserLocal"}, "Format": "DateAndTime"}),
        money("numora_value"),
        text("numora_currencycode", 3),
        whole("numora_noticedays"),
        Column("numora_autorenewal", "Boolean"),
        text("numora_governinglaw", 200),
        Column("numora_summary", "Memo", {"MaxLength": 2000}),
        text("numora_source", 50),
        Column("numora_counterparty", "Lookup", schema_name="numora_Counterparty"),
    ),
    (
        *owned("numora_contract")[:2],
        Lookup("numora_counterparty", "account", "numora_Counterparty", "numora_account_contracts"),
    ),
)
ACCOUNT = small("account", "accounts", "name", text("accountnumber", 20), text("numora_vatnumber", 50))
TEAM = small("team", "teams", "name")
USER = small("systemuser", "systemusers", "fullname")
CURRENCIES = small("transactioncurrency", "transactioncurrencies", "currencyname", text("isocurrencycode", 5))
NOTE = Table(
    "annotation",
    "annotations",
    "subject",
    (
        id_column("annotation"),
        text("subject", 500),
        text("filename", 255),
        text("mimetype", 256),
        Column("documentbody", "Memo", {"MaxLength": 1073741823}),
        Column("notetext", "Memo", {"MaxLength": 100000}),
        Column("objectid", "Lookup"),
    ),
    tuple(Lookup("objectid", name, f"objectid_{name}") for name in ("numora_invoice", "numora_receipt")),
)

TABLES: Sequence[Table] = (INVOICE, LINE, RECEIPT, CONTRACT, ACCOUNT, TEAM, USER, CURRENCIES, NOTE)
