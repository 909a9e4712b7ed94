"""Sample documents of the three schemas, in the field names that the shipped mapping files read.

Equal seeds give equal documents.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final
from uuid import UUID

from connectors.numora.sandbox.documents import SandboxDocument
from connectors.numora.sandbox.shapes import PUBLISHED, Shape, shaped_fields, shaped_lines

SCHEMAS: Final = ("invoice_v2", "receipt_v1", "contract_v1")


@dataclass(frozen=True, slots=True)
class SampleVendor:
    """A business partner that documents name; the destination has to know it as an account."""

    code: str
    name: str
    tax_id: str


VENDORS: Final = (
    SampleVendor("V-1001", "ACME Supplies", "DE811907980"),
    SampleVendor("V-1002", "Northwind Traders", "GB823847609"),
    SampleVendor("V-1003", "Brückner & Söhne GmbH", "DE143593636"),
    SampleVendor("V-1004", "Litware Paper", "FR40303265045"),
    SampleVendor("V-1005", "O'Hara Freight Ltd", "IE6388047V"),
    SampleVendor("V-1006", "Contoso Power", "NL820646660B01"),
)

_PRODUCTS: Final = (
    ("P-100", "Toner cartridge, black", "89.90"),
    ("P-110", "Copy paper A4, 500 sheets", "4.95"),
    ("P-220", "Office chair", "249.00"),
    ("P-310", "Network cable, 5 m", "7.25"),
    ("P-420", "Freight, per pallet", "118.50"),
    ("P-530", "Consulting, per hour", "135.00"),
)
_MERCHANTS: Final = ("Café Central", "City Taxi", "Hotel Lindenhof", "Rail & Go", "Paper Corner")
_CATEGORIES: Final = ("meals", "travel", "lodging", "office")
_METHODS: Final = ("cash", "card", "transfer")
_CURRENCIES: Final = ("EUR", "EUR", "USD", "GBP")
_CENT: Final = Decimal("0.01")
_TAX_RATE: Final = Decimal(19)
_FIRST_DAY: Final = date(2026, 1, 2)


def sample_documents(count: int, *, seed: int = 0, shape: Shape = PUBLISHED) -> list[SandboxDocument]:
    """Return ``count`` reviewed documents, the three schemas in turn."""
    random = Random(seed)
    return [sample_document(SCHEMAS[number % 3], number + 1, random, shape) for number in range(count)]


def sample_invoices(
    count: int, *, seed: int = 0, lines: int | None = None, shape: Shape = PUBLISHED
) -> Iterator[SandboxDocument]:
    """Yield ``count`` reviewed invoices, each with ``lines`` lines or with one to five."""
    random = Random(seed)
    for number in range(1, count + 1):
        yield _invoice(number, random, shape, lines)


def sample_document(schema: str, number: int, random: Random, shape: Shape = PUBLISHED) -> SandboxDocument:
    """Return one reviewed document. Raises ``KeyError`` for a schema that Numora does not have."""
    return {"invoice_v2": _invoice, "receipt_v1": _receipt, "contract_v1": _contract}[schema](number, random, shape)


def _invoice(number: int, random: Random, shape: Shape, lines: int | None = None) -> SandboxDocument:
    vendor = random.choice(VENDORS)
    day = _FIRST_DAY + timedelta(days=random.randrange(300))
    rows = []
    subtotal = Decimal(0)
    for position in range(1, (lines if lines is not None else random.randint(1, 5)) + 1):
        code, description, price = random.choice(_PRODUCTS)
        quantity = random.randint(1, 40)
        amount = Decimal(price) * quantity
        subtotal += amount
        rows.append(
            {
                "id": f"li_{position}",
                "description": description,
                "product_code": code,
                "quantity": quantity,
                "unit_price": Decimal(price),
                "tax_rate": _TAX_RATE,
                "amount": amount,
            }
        )
    tax = (subtotal * _TAX_RATE / 100).quantize(_CENT)
    values = {
        "invoice_number": f"INV-2026-{number:05d}",
        "document_type": "invoice",
        "invoice_date": day.isoformat(),
        "due_date": (day + timedelta(days=30)).isoformat(),
        "purchase_order": f"PO-{random.randint(1000, 9999)}",
        "currency": random.choice(_CURRENCIES),
        "subtotal": f"{subtotal:,.2f}",
        "tax_amount": f"{tax:,.2f}",
        "total_amount": f"{subtotal + tax:,.2f}",
        "vendor_name": vendor.name,
        "vendor_tax_id": vendor.tax_id,
    }
    return _document("invoice_v2", number, random, values, shape, rows=rows, metadata={"vendor_code": vendor.code})


def _receipt(number: int, random: Random, shape: Shape) -> SandboxDocument:
    total = Decimal(random.randint(350, 48_000)) / 100
    tax = (total * 7 / 107).quantize(_CENT)
    values = {
        "receipt_number": f"R-{number:06d}",
        "merchant_name": random.choice(_MERCHANTS),
        "receipt_date": (_FIRST_DAY + timedelta(days=random.randrange(300))).isoformat(),
        "currency": random.choice(_CURRENCIES),
        "tax_amount": tax,
        "total_amount": total.quantize(_CENT),
        "payment_method": random.choice(_METHODS),
        "category": random.choice(_CATEGORIES),
    }
    return _document("receipt_v1", number, random, values, shape)


def _contract(number: int, random: Random, shape: Shape) -> SandboxDocument:
    partner = random.choice(VENDORS)
    begins = _FIRST_DAY + timedelta(days=random.randrange(300))
    signed = datetime(begins.year, begins.month, begins.day, 9, random.randrange(60), tzinfo=UTC) - timedelta(days=10)
    values = {
        "title": f"Framework agreement {number} with {partner.name}",
        "contract_number": f"C-{number:04d}",
        "counterparty_name": partner.name,
        "effective_date": begins.isoformat(),
        "end_date": (begins + timedelta(days=365 * random.randint(1, 4))).isoformat(),
        "signed_at": signed.isoformat(),
        "contract_value": f"{random.randint(10, 900) * 1000:,}.00",
        "currency": random.choice(_CURRENCIES),
        "notice_period_days": random.choice((30, 60, 90)),
        "auto_renewal": random.choice((True, False)),
        "governing_law": random.choice(("Germany", "Ireland", "England and Wales")),
        "summary": "Supply of goods and services on call, with prices fixed for a year.",
    }
    return _document("contract_v1", number, random, values, shape)


def _document(
    schema: str,
    number: int,
    random: Random,
    values: dict[str, Any],
    shape: Shape,
    *,
    rows: list[dict[str, Any]] | None = None,
    metadata: dict[str, Any] | None = None,
) -> SandboxDocument:
    confidences = {name: Decimal(random.randint(90, 99)) / 100 for name in values}
    return SandboxDocument(
        id=str(UUID(int=random.getrandbits(128), version=4)),
        schema=schema,
        fields=shaped_fields(values, shape, confidences),
        line_items=shaped_lines(rows or [], shape),
        external_id=f"ext-{number}",
        metadata=metadata or {},
        confidence=Decimal(random.randint(90, 99)) / 100,
    )
