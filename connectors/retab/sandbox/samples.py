"""Sample reviews of an invoice workflow, in the names that the shipped invoice mapping reads.

Equal seeds give equal data.
"""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from random import Random
from typing import Any, Final

from connectors.retab.sandbox.state import Environment, SandboxReview

WORKFLOW: Final = "wf_invoices"
"""The workflow of the sample reviews."""

VENDORS: Final = (("V-1001", "ACME Supplies"), ("V-1002", "Northwind Traders"), ("V-1004", "Litware Paper"))
"""Number and name of the business partners; the destination has to know them as accounts."""

_PRODUCTS: Final = (
    ("P-100", "Toner cartridge, black", "89.90"),
    ("P-110", "Copy paper A4, 500 sheets", "4.95"),
    ("P-220", "Office chair", "249.00"),
)
_FIRST_DAY: Final = date(2026, 1, 2)
_TAX_RATE: Final = Decimal(19)
_CENT: Final = Decimal("0.01")


def sample_snapshots(count: int, *, seed: int = 0, lines: int | None = None) -> Iterator[dict[str, Any]]:
    """Yield what a model extracted from ``count`` invoices, each with ``lines`` lines or with one to three."""
    random = Random(seed)
    for number in range(1, count + 1):
        yield _invoice(number, random, lines)


def open_samples(environment: Environment, count: int, *, seed: int = 0, sure: bool = True) -> list[SandboxReview]:
    """Open ``count`` reviews of invoices; with ``sure`` the model read each document several times."""
    random = Random(seed + 1)
    return [
        environment.open_review(
            snapshot,
            workflow_id=WORKFLOW,
            likelihoods=likelihoods(snapshot, random) if sure else None,
            metadata={"vendor_code": vendor_code(snapshot), "external_id": f"ext-{snapshot['invoice_number']}"},
        )
        for snapshot in sample_snapshots(count, seed=seed)
    ]


def vendor_code(snapshot: dict[str, Any]) -> str:
    """Return the number of the partner that an invoice names."""
    return next(code for code, name in VENDORS if name == snapshot["vendor_name"])


def likelihoods(tree: Any, random: Random) -> Any:
    """Return a tree of the same form, from 0.90 to 0.99 at its leaves."""
    if isinstance(tree, dict):
        return {key: likelihoods(value, random) for key, value in tree.items()}
    if isinstance(tree, list):
        return [likelihoods(item, random) for item in tree]
    return Decimal(random.randint(90, 99)) / 100


def _invoice(number: int, random: Random, lines: int | None) -> dict[str, Any]:
    _, vendor = random.choice(VENDORS)
    day = _FIRST_DAY + timedelta(days=random.randrange(300))
    rows = []
    subtotal = Decimal(0)
    for _ in range(lines if lines is not None else random.randint(1, 3)):
        code, description, price = random.choice(_PRODUCTS)
        quantity = random.randint(1, 40)
        subtotal += Decimal(price) * quantity
        rows.append(
            {
                "description": description,
                "product_code": code,
                "quantity": quantity,
                "unit_price": Decimal(price),
                "amount": Decimal(price) * quantity,
            }
        )
    tax = (subtotal * _TAX_RATE / 100).quantize(_CENT)
    return {
        "invoice_number": f"RT-2026-{number:05d}",
        "document_type": "invoice",
        "invoice_date": day.isoformat(),
        "due_date": (day + timedelta(days=30)).isoformat(),
        "currency": "EUR",
        "subtotal": subtotal,
        "tax_amount": tax,
        "total_amount": subtotal + tax,
        "vendor_name": vendor,
        "line_items": rows,
    }
