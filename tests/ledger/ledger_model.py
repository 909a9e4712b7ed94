"""The ledger's contract once more, said as plainly as can be: a list of deliveries, newest last."""

from bridge.delivery.model import Delivery, State, Step, Trigger
from bridge.ledger.protocol import LeaseLostError, Save
from connectors.ports import Listing

T = "acme"


class ModelLedger:
    def __init__(self) -> None:
        self.rows: list[Delivery] = []

    def intake(self, document: str, note: str, now: int, new_id: str) -> tuple[int, int]:
        newest = self._newest(document)
        if newest is None:
            listing = Listing(document, "invoice_v2", updated_at=note)
            self.rows.append(
                Delivery(new_id, T, document, listing, Trigger.OUTBOX, now, now, now, due_at=now, schema="invoice_v2")
            )
            return 1, 0
        seen = newest.evolve(listing=Listing(document, "invoice_v2", updated_at=note), seen_at=now)
        if self._busy(newest, now):
            self._put(seen.evolve(again=True))
            return 0, 1
        if newest.state is State.QUEUED:
            self._put(seen)
            return 0, int(newest.again)
        self._put(
            seen.evolve(
                step=Step.RECHECK,
                due_at=now if newest.due_at is None else min(now, newest.due_at),
                lease_until=None,
                token=newest.token + 1,
            )
        )
        return 0, 1

    def retry(self, delivery_id: str, now: int) -> None:
        row = self._row(delivery_id)
        if row.state is State.WORKING:
            return
        if row.state is State.QUEUED:
            self._put(row.evolve(due_at=now if row.due_at is None else min(now, row.due_at), token=row.token + 1))
            return
        started_over = {"state": State.QUEUED, "step": Step.FETCH, "due_at": now, "lease_until": None, "tries": 0}
        cleared = {"outcome": None, "callback": None, "execution_id": None, "error": None, "ended_at": None}
        flags = {"pinned": False, "force": False, "again": False, "updated_at": now, "token": row.token + 1}
        self._put(row.evolve(problems=(), **started_over, **cleared, **flags))

    def claim(self, now: int, limit: int, lease_until: int) -> list[Delivery]:
        claimed: list[Delivery] = []
        for _ in range(limit):
            due = [row for row in self.rows if self._due(row, now) is not None and not self._sibling_is_held(row, now)]
            if not due:
                break
            row = min(due, key=lambda row: (self._due(row, now), self.rows.index(row)))
            changes: dict[str, object] = {"token": row.token + 1, "lease_until": lease_until}
            if row.state is State.QUEUED:
                changes |= {"state": State.WORKING, "updated_at": now}
            if row.step in {Step.FETCH, Step.RECHECK}:
                changes["again"] = False
            claimed.append(self._put(row.evolve(**changes)))
            for other in self.rows:
                if other.document_id == row.document_id and other.id != row.id and other.lease_until is not None:
                    self._put(other.evolve(token=other.token + 1))
        return claimed

    def save(self, save: Save) -> None:
        copy = save.delivery
        row = self._row(copy.id)
        if row.token != copy.token:
            raise LeaseLostError
        again = row.again or copy.again
        stored = copy.evolve(listing=row.listing, seen_at=row.seen_at, again=again)
        if copy.state is State.QUEUED or (copy.state.ended and (copy.due_at is None or copy.due_at != row.due_at)):
            stored = stored.evolve(lease_until=None)
        if save.successor is not None:
            following = save.successor
            if again:
                following = following.evolve(listing=row.listing, seen_at=row.seen_at)
            stored = stored.evolve(again=False)
            self.rows.append(following)
        elif copy.state.ended and copy.due_at is None:
            stored = stored.evolve(again=False)
            if again:
                stored = stored.evolve(step=Step.RECHECK, due_at=max(copy.updated_at, row.seen_at))
        self._put(stored)

    def take_back(self, now: int) -> int:
        held = [row for row in self.rows if row.lease_until is not None]
        for row in held:
            freed = row.evolve(lease_until=None, token=row.token + 1)
            if row.state is State.WORKING:
                freed = freed.evolve(state=State.QUEUED, due_at=now, updated_at=now)
            self._put(freed)
        return len(held)

    def next_due(self, now: int) -> int | None:
        moments = [self._ready_at(row) for row in self.rows]
        return min((moment for moment in moments if moment is not None and moment > now), default=None)

    def prune(self, before: int) -> int:
        old = [
            row
            for row in self.rows
            if row.state.ended and row.due_at is None and max(row.seen_at, row.updated_at) < before
        ]
        self.rows = [row for row in self.rows if row not in old]
        return len(old)

    def _newest(self, document: str) -> Delivery | None:
        return next((row for row in reversed(self.rows) if row.document_id == document), None)

    def _row(self, delivery_id: str) -> Delivery:
        return next(row for row in self.rows if row.id == delivery_id)

    def _put(self, delivery: Delivery) -> Delivery:
        self.rows = [delivery if row.id == delivery.id else row for row in self.rows]
        return delivery

    @staticmethod
    def _busy(row: Delivery, now: int) -> bool:
        live = row.lease_until is not None and row.lease_until > now
        return row.state is State.WORKING or (row.state.ended and live)

    @staticmethod
    def _ready_at(row: Delivery) -> int | None:
        if row.state is State.WORKING:
            return row.lease_until or 0
        if row.due_at is None:
            return None
        return max(row.due_at, row.lease_until or row.due_at)

    def _due(self, row: Delivery, now: int) -> int | None:
        ready = self._ready_at(row)
        return ready if ready is not None and ready <= now else None

    def _sibling_is_held(self, row: Delivery, now: int) -> bool:
        return any(
            other.document_id == row.document_id
            and other.id != row.id
            and other.lease_until is not None
            and other.lease_until > now
            for other in self.rows
        )
