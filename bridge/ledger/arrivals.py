"""What becomes of a document's newest delivery when the document is listed, or a person asks: plain functions.

Every ledger applies these inside a transaction, so that they mean the same on all of them. A delivery that comes
back with a higher token was made due by them, and nobody may go on working on an older copy of it.
"""

from collections.abc import Iterable

from msgspec.structs import replace

from bridge.delivery.model import Delivery, DeliveryError, Millis, State, Step, Trigger
from bridge.delivery.transitions import afresh
from connectors.ports import Listing


def is_worked_on(delivery: Delivery, now: Millis) -> bool:
    """Tell whether someone is at work on it: a ``working`` one always, an ended one while a recheck holds its lease."""
    return delivery.state is State.WORKING or (
        delivery.state.ended and delivery.lease_until is not None and delivery.lease_until > now
    )


def by_document(listings: Iterable[Listing]) -> list[Listing]:
    """Return one listing for each document, the last one given, in the order in which they were first listed."""
    return list({listing.document_id: listing for listing in listings}.values())


def arrival(id_: str, tenant: str, listing: Listing, trigger: Trigger, now: Millis, *, force: bool = False) -> Delivery:
    """Return the first delivery of a document: queued and due now."""
    return Delivery(
        id=id_,
        tenant=tenant,
        document_id=listing.document_id,
        listing=listing,
        trigger=trigger,
        created_at=now,
        updated_at=now,
        seen_at=now,
        due_at=now,
        schema=listing.schema,
        force=force,
    )


def listed(newest: Delivery, listing: Listing, now: Millis) -> Delivery:
    """The document was listed again: take the listing, and see to it that the document is read once more."""
    if _is_settled(newest) and _is_the_same(listing, newest.listing):
        return newest.evolve(seen_at=now)
    seen = _seen(newest, listing, now)
    if is_worked_on(newest, now):
        return seen.evolve(again=True)
    if newest.state is State.QUEUED:
        return seen
    return rechecked(seen, now)


def asked_for(newest: Delivery, listing: Listing, now: Millis, *, force: bool) -> Delivery:
    """A person asks for the document: what ended other than well, or is forced, starts over.

    A recheck under way does not keep a person waiting: its holder is fenced off, and had nothing to write.
    """
    if newest.state is State.WORKING:
        return listed(newest, listing, now)
    seen = _seen(newest, listing, now)
    if newest.state is State.QUEUED:
        return _due(seen.evolve(force=newest.force or force), now)
    if newest.state is State.SUCCEEDED and not force:
        return rechecked(seen, now)
    return started_over(seen, now, force=force)


def retried(delivery: Delivery, now: Millis, *, pinned: bool) -> Delivery:
    """A person asks for another try of this very delivery; a recheck under way makes room for it.

    One that waits for its next try has it now, by the mapping that was asked for last.
    """
    if delivery.state is State.WORKING:
        return delivery
    if delivery.state is State.QUEUED:
        return _due(delivery.evolve(pinned=pinned), now)
    return started_over(delivery, now, pinned=pinned)


def rechecked(delivery: Delivery, now: Millis) -> Delivery:
    """Return an ended delivery due for a recheck, its state untouched."""
    return _due(delivery.evolve(step=Step.RECHECK, lease_until=None), now)


def started_over(delivery: Delivery, now: Millis, *, pinned: bool = False, force: bool = False) -> Delivery:
    """Return an ended delivery queued afresh."""
    return afresh(delivery, now, pinned=pinned, force=force).evolve(token=delivery.token + 1)


def withdrawn(delivery: Delivery, error: DeliveryError, now: Millis) -> Delivery:
    """Return a delivery that is under way and not wanted any more, as it ended; its holder is fenced off.

    What was listed while it was being worked on is not lost: the document is read once more.
    """
    ended = delivery.evolve(
        state=State.SUPERSEDED,
        step=None,
        due_at=None,
        lease_until=None,
        token=delivery.token + 1,
        tries=0,
        pinned=False,
        force=False,
        again=False,
        error=error,
        problems=(),
        ended_at=now,
        updated_at=now,
    )
    return rechecked(ended, now) if delivery.again else ended


def taken_back(delivery: Delivery, now: Millis) -> Delivery:
    """Return a delivery whose holder is gone: a ``working`` one is queued and due now, its step kept."""
    released = delivery.evolve(lease_until=None, token=delivery.token + 1)
    if delivery.state is not State.WORKING:
        return released
    return released.evolve(state=State.QUEUED, due_at=now, updated_at=now)


def _due(delivery: Delivery, now: Millis) -> Delivery:
    due_at = now if delivery.due_at is None else min(delivery.due_at, now)
    return delivery.evolve(due_at=due_at, token=delivery.token + 1)


def _is_settled(delivery: Delivery) -> bool:
    """Tell whether the same content again would come to the same end: not after an outage, nor while in review."""
    if delivery.state is State.FAILED:
        return bool(delivery.problems)
    return delivery.state.ended and delivery.state is not State.SUPERSEDED


def _is_the_same(listing: Listing, known: Listing) -> bool:
    return listing.final and listing.updated_at is not None and listing.updated_at == known.updated_at


def _seen(delivery: Delivery, listing: Listing, now: Millis) -> Delivery:
    fetched = delivery.step is not Step.FETCH or delivery.revision is not None
    return delivery.evolve(
        listing=_completed(listing, delivery.listing),
        seen_at=now,
        schema=delivery.schema if fetched else listing.schema or delivery.schema,
    )


def _completed(listing: Listing, known: Listing) -> Listing:
    """A person or a webhook often names the id alone; what the outbox said before is not lost for it."""
    return replace(
        listing,
        schema=listing.schema or known.schema,
        status=listing.status or known.status,
        external_id=listing.external_id or known.external_id,
        metadata=listing.metadata or known.metadata,
        updated_at=listing.updated_at or known.updated_at,
        result_url=listing.result_url or known.result_url,
    )
