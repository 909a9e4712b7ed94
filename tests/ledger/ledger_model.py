"""The ledger's contract once more, said as plainly as can be: a list of deliveries, newest last."""

from ledger_events_model import ModelMessages
from msgspec.structs import replace

from bridge.delivery.model import Delivery, DeliveryError, State, Step, Trigger
from bridge.events.model import Endpoint, Event
from bridge.ledger.protocol import LeaseLostError, Save
from connectors.ports import Listing

T = "acme"


class ModelLedger:
    def __init__(self) -> None:
        self.rows: list[Delivery] = []
        self.hooks: list[tuple[str, int]] = []
        self.told = ModelMessages()

    def intake(self, listing: Listing, trigger: Trigger, now: int, new_id: str) -> tuple[int, int]:
        newest = self.newest(listing.document_id)
        if newest is None:
            identity = (new_id, T, listing.document_id, listing, trigger, now, now, now)
            self.rows.append(Delivery(*identity, due_at=now, schema=listing.schema))
            return 1, 0
        known = newest.listing.updated_at
        if (
            listing.final
            and newest.state.ended
            and newest.state is not State.SUPERSEDED
            and (newest.state is not State.FAILED or newest.problems)
            and listing.updated_at == known
        ):
            self._put(newest.evolve(seen_at=now))
            return 0, int(newest.again or newest.step is Step.RECHECK)
        seen = self._seen(newest, listing, now)
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

    def ask(self, document: str, now: int, new_id: str, resume: Endpoint | None) -> Delivery:
        if resume is not None:
            self.told.wait(resume)
        newest = self.newest(document)
        if newest is None or newest.state is State.WORKING:
            self.intake(Listing(document), Trigger.PERSON, now, new_id)
        elif newest.state is State.SUCCEEDED:
            seen = self._seen(newest, Listing(document), now)
            due_at = now if newest.due_at is None else min(now, newest.due_at)
            self._put(seen.evolve(step=Step.RECHECK, due_at=due_at, lease_until=None, token=newest.token + 1))
        else:
            self._put(self._seen(newest, Listing(document), now))
            self.retry(newest.id, now)
        asked = self.newest(document)
        assert asked is not None
        return asked

    def take_hook(self, document: str, event_id: str, now: int, new_id: str) -> bool:
        if event_id in [known for known, _ in self.hooks]:
            return True
        self.hooks.append((event_id, now))
        self.intake(Listing(document), Trigger.WEBHOOK, now, new_id)
        return False

    def withdraw(self, document: str, now: int, error: DeliveryError, event: Event | None) -> str:
        newest = self.newest(document)
        if newest is None or newest.state.ended:
            return "none"
        if newest.step is not Step.FETCH:
            return "written"
        ended = {"state": State.SUPERSEDED, "ended_at": now, "updated_at": now, "error": error}
        rest = {"step": None, "due_at": None, "lease_until": None, "tries": 0, "again": False}
        stored = self._put(newest.evolve(token=newest.token + 1, **ended, **rest))
        if newest.again:
            stored = self._put(stored.evolve(step=Step.RECHECK, due_at=now, token=stored.token + 1))
        if event is not None:
            self._tell(stored, event)
        return "superseded"

    def sweep(self, now: int, seen_after: int, quiet_since: int, limit: int) -> int:
        quiet = [
            row
            for row in self.rows
            if row.state is State.SUPERSEDED
            and row.due_at is None
            and row.seen_at > seen_after
            and max(row.seen_at, row.updated_at) < quiet_since
            and self.newest(row.document_id) == row
        ][:limit]
        for row in quiet:
            self._put(row.evolve(step=Step.RECHECK, due_at=now, token=row.token + 1, updated_at=now))
        return len(quiet)

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
        if save.event is not None:
            self._tell(stored, save.event)

    def take_back(self, now: int) -> int:
        held = [row for row in self.rows if row.lease_until is not None]
        for row in held:
            freed = row.evolve(lease_until=None, token=row.token + 1)
            if row.state is State.WORKING:
                freed = freed.evolve(state=State.QUEUED, due_at=now, updated_at=now)
            self._put(freed)
        return len(held) + self.told.take_back()

    def next_due(self, now: int) -> int | None:
        moments = [self._ready_at(row) for row in self.rows]
        return min((moment for moment in moments if moment is not None and moment > now), default=None)

    def prune(self, before: int) -> dict[str, int]:
        old = [
            row
            for row in self.rows
            if row.state.ended and row.due_at is None and max(row.seen_at, row.updated_at) < before
        ]
        self.rows = [row for row in self.rows if row not in old]
        hooks = len(self.hooks)
        self.hooks = [(event_id, taken_at) for event_id, taken_at in self.hooks if taken_at >= before]
        messages, endpoints = self.told.prune(before, {row.document_id for row in self.rows})
        forgotten = {"messages": messages, "endpoints": endpoints, "hooks": hooks - len(self.hooks)}
        return {"deliveries": len(old), "requests": 0, "actions": 0} | forgotten

    def _tell(self, stored: Delivery, event: Event) -> None:
        rests = stored.state.ended and stored.due_at is None and self.newest(stored.document_id) == stored
        self.told.tell(event, stored.document_id, max(stored.updated_at, stored.seen_at), rests=rests)

    @staticmethod
    def _seen(row: Delivery, listing: Listing, now: int) -> Delivery:
        known = row.listing
        completed = replace(
            listing, schema=listing.schema or known.schema, updated_at=listing.updated_at or known.updated_at
        )
        schema = listing.schema or row.schema if row.step is Step.FETCH else row.schema
        return row.evolve(listing=completed, seen_at=now, schema=schema)

    def newest(self, document: str) -> Delivery | None:
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
