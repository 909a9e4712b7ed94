"""Finding the newest delivery of a document, the only one that is worked on."""

from bridge.delivery.model import Delivery, DeliveryFilter
from bridge.ledger.protocol import LedgerReader


async def newest_delivery(ledger: LedgerReader, tenant: str, document_id: str) -> Delivery | None:
    """Return the delivery of a document that was inserted last; None when there is none."""
    page = await ledger.deliveries(DeliveryFilter(tenant, document_id=document_id), limit=1)
    return page.deliveries[0] if page.deliveries else None
