"""Deliveries and requests to try ledgers with, and the shortest way to bring a delivery into a given place."""

from collections.abc import Callable
from hashlib import sha256
from itertools import count

from msgspec.structs import replace

from bridge.delivery.model import Attempt, Delivery, DeliveryError, DeliveryFilter, RequestRecord, State, Trigger
from bridge.events.model import Endpoint, Event, Message, Origin
from bridge.ledger.messages import ClaimedMessage
from bridge.ledger.protocol import ClaimFilter, Intake, Ledger, Save
from connectors.ports import Listing

T = "acme"
NOW = 1_800_000_000_000
LEASE = 60_000
ANY = ClaimFilter()


def ids(prefix: str = "dlv_") -> Callable[[], str]:
    numbers = count(1)
    return lambda: f"{prefix}{next(numbers):04d}"


class Driver:
    """Plays the pipeline on one ledger, with ids of its own."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        self.new_id = ids()

    async def bring(self, *documents: str | Listing, now: int = NOW, tenant: str = T) -> Intake:
        listings = [Listing(each, "invoice_v2") if isinstance(each, str) else each for each in documents]
        return await self.ledger.intake(tenant, listings, Trigger.OUTBOX, now, new_id=self.new_id)

    async def ask(
        self, document: str | Listing, now: int = NOW, *, force: bool = False, resume: Endpoint | None = None
    ) -> Delivery:
        listing = Listing(document) if isinstance(document, str) else document
        return await self.ledger.deliver_now(T, listing, now, new_id=self.new_id, force=force, resume=resume)

    async def claim(self, now: int = NOW, limit: int = 100, only: ClaimFilter = ANY, tenant: str = T) -> list[Delivery]:
        return await self.ledger.claim(tenant, now, limit=limit, lease_until=now + LEASE, only=only)

    async def claimed(self, document: str = "doc-1", now: int = NOW) -> Delivery:
        """A document that was just listed, and its delivery in our hands."""
        await self.bring(document, now=now)
        [delivery] = await self.claim(now)
        return delivery

    async def ended(self, state: State = State.SUCCEEDED, document: str = "doc-1", now: int = NOW, **facts) -> Delivery:
        """A document whose delivery has ended in this state."""
        delivery = end(await self.claimed(document, now), state, now, **facts)
        await self.ledger.save(Save(delivery))
        return delivery

    async def listen(self, name: str = "a", *types: str, tenant: str = T, now: int = NOW) -> Endpoint:
        """A subscriber of the tenant, to everything unless types are named."""
        stored, _ = await self.ledger.put_endpoint(subscriber(name, *types, tenant=tenant, now=now))
        return stored

    async def claim_messages(self, now: int = NOW, limit: int = 100, per_endpoint: int = 100) -> list[ClaimedMessage]:
        return await self.ledger.claim_messages(
            now, limit=limit, lease_until=now + LEASE, per_endpoint=per_endpoint, except_ids=frozenset()
        )

    async def told(self, endpoint: Endpoint) -> tuple[Message, ...]:
        """Every message to an endpoint, oldest first."""
        return (await self.ledger.messages(endpoint.tenant, endpoint.id, 500))[::-1]

    async def stored(self, delivery: Delivery | str) -> Delivery:
        found = await self.ledger.delivery(delivery if isinstance(delivery, str) else delivery.id)
        assert found is not None
        return found

    async def all(self, tenant: str = T) -> tuple[Delivery, ...]:
        """Every delivery of a tenant, newest first."""
        return (await self.ledger.deliveries(DeliveryFilter(tenant), limit=500)).deliveries


def end(delivery: Delivery, state: State = State.SUCCEEDED, now: int = NOW, **facts) -> Delivery:
    """What the pipeline saves when a delivery ends."""
    ending = {"step": None, "due_at": None, "lease_until": None, "ended_at": now, "updated_at": now}
    return delivery.evolve(state=state, **(ending | facts))


def release(delivery: Delivery, due_at: int) -> Delivery:
    """What the pipeline saves when a delivery has to wait."""
    return delivery.evolve(state=State.QUEUED, due_at=due_at, lease_until=None, error=DeliveryError("down", "Wait."))


def event(delivery: Delivery, *, ended: bool = True, body: bytes = b"{}") -> Event:
    """What the pipeline tells of a delivery."""
    return Event(f"delivery.{delivery.state}", body, delivery.id, ended)


def subscriber(
    name: str = "a", *types: str, tenant: str = T, now: int = NOW, origin: Origin = Origin.API, id: str | None = None
) -> Endpoint:
    """An endpoint whose URL is ``https://<name>.example/hook``."""
    return Endpoint(
        id=id or f"sub_{tenant}_{origin}_{name}",
        tenant=tenant,
        origin=origin,
        address=f"sealed {name}".encode(),
        label=f"https://{name}.example/hook",
        digest=sha256(name.encode()).hexdigest(),
        types=types or ("*",),
        secrets=b"sealed secrets",
        created_at=now,
        updated_at=now,
    )


def resume_call(document: str = "doc-1", name: str = "n8n", now: int = NOW, id: str | None = None) -> Endpoint:
    """What a person gives who wants to be called when the document rests."""
    waiting = subscriber(name, origin=Origin.RESUME, now=now, id=id or f"res_{document}_{name}")
    return replace(waiting, document_id=document, types=())


def attempt(delivery: Delivery, number: int = 1) -> Attempt:
    return Attempt(delivery.id, number, NOW, NOW + 5, "retry", "down", "It was down.", f"nb-{number}")


def request(delivery: Delivery, name: str, sent_at: int = NOW) -> RequestRecord:
    return RequestRecord(name, delivery.id, 1, "dataverse", "create row", "POST", "https://x.example/rows", sent_at)
