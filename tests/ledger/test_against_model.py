"""Any course of events, clock jumps included, leaves the ledger where the plainest reading of its contract would."""

import asyncio
from contextlib import AsyncExitStack
from itertools import count

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule
from ledger_model import ModelLedger, T
from ledger_samples import ANY, event, resume_call, subscriber
from msgspec.structs import replace

from bridge.delivery.model import Delivery, DeliveryError, DeliveryFilter, State, Step, Trigger
from bridge.events.model import Endpoint, EndpointState, Event, Message, MessageState, Origin
from bridge.ledger.inbox import StoredHook
from bridge.ledger.open import temporary_ledger
from bridge.ledger.protocol import LeaseLostError, Save
from connectors.ports import Listing

ENDS = st.sampled_from([state for state in State if state.ended])
DOCUMENTS = st.sampled_from(["doc-1", "doc-2", "doc-3"])
TYPES = st.sampled_from([("*",), ("delivery.*",), ("delivery.failed", "delivery.superseded")])
HAPPENED = Event("tenant.blocked", b"{}")
UNWANTED = DeliveryError("unwanted", "It is not wanted any more.")


class LedgerMachine(RuleBasedStateMachine):
    """Copies of deliveries are handed from rule to rule and grow stale on the way, as they do in the pipeline."""

    held = Bundle("held")
    released = Bundle("released")
    sending = Bundle("sending")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.stack = AsyncExitStack()
        self.ids = count(1)
        self.now = self.latest = 1_000

    @initialize()
    def open(self) -> None:
        self.ledger = self.runner.run(self.stack.enter_async_context(temporary_ledger()))
        self.model = ModelLedger()

    def teardown(self) -> None:
        self.runner.run(self.stack.aclose())
        self.runner.close()

    @rule(jump=st.integers(-40, 120))
    def time_passes(self, jump: int) -> None:
        self.now = max(1, self.now + jump)
        self.latest = max(self.latest, self.now)

    @rule(document=DOCUMENTS, note=st.sampled_from("ab"), final=st.booleans())
    def listed(self, document: str, note: str, final: bool) -> None:
        new_id = f"dlv_{next(self.ids)}"
        listing = Listing(document, "invoice_v2", updated_at=note, final=final)
        intake = self.runner.run(self.ledger.intake(T, [listing], Trigger.OUTBOX, self.now, new_id=lambda: new_id))
        assert (intake.queued, intake.rechecked) == self.model.intake(listing, Trigger.OUTBOX, self.now, new_id)

    @rule(document=DOCUMENTS, caller=st.sampled_from(["", "n8n", "other"]))
    def asked_for(self, document: str, caller: str) -> None:
        if self.model.newest(document) is None:
            return  # between deliveries that are due at one moment, the order of schemas is nobody's promise
        new_id = f"dlv_{next(self.ids)}"
        resume = resume_call(document, caller, self.now, f"res_{new_id}") if caller else None
        asked = self.ledger.deliver_now(
            T, Listing(document), self.now, new_id=lambda: new_id, force=False, resume=resume
        )
        assert self.runner.run(asked) == self.model.ask(document, self.now, new_id, resume)

    @rule(document=DOCUMENTS, event_id=st.sampled_from(["evt_1", "evt_2", "evt_3"]))
    def called(self, document: str, event_id: str) -> None:
        if self.model.newest(document) is None:
            return
        new_id = f"dlv_{next(self.ids)}"
        hook = StoredHook(T, "numora", event_id, "document.reviewed", document, self.now, b"{}")
        taken = self.runner.run(self.ledger.take_hook(hook, new_id=lambda: new_id, trigger=Trigger.WEBHOOK))
        assert taken.repeated == self.model.take_hook(document, event_id, self.now, new_id)
        assert taken.delivery == (None if taken.repeated else self.model.newest(document))

    @rule(document=DOCUMENTS, told=st.booleans())
    def withdrawn(self, document: str, told: bool) -> None:
        happened = replace(HAPPENED, type="delivery.superseded") if told else None
        withdrawal = self.runner.run(
            self.ledger.withdraw(
                T, document, self.now, code=UNWANTED.code, message=UNWANTED.message, event=lambda _: happened
            )
        )
        assert withdrawal.effect == self.model.withdraw(document, self.now, UNWANTED, happened)
        assert withdrawal.delivery == self.model.newest(document)

    @rule(lookback=st.integers(0, 200), quiet=st.integers(0, 60), limit=st.integers(1, 3))
    def swept(self, lookback: int, quiet: int, limit: int) -> None:
        since = {"seen_after": self.now - lookback, "quiet_since": self.now - quiet}
        swept = self.runner.run(self.ledger.sweep(T, self.now, limit=limit, **since))
        assert swept == self.model.sweep(self.now, limit=limit, **since)

    @rule(target=held, limit=st.integers(1, 3), lease=st.integers(1, 60))
    def claim(self, limit: int, lease: int):
        until = self.now + lease
        claimed = self.runner.run(self.ledger.claim(T, self.now, limit=limit, lease_until=until, only=ANY))
        assert claimed == self.model.claim(self.now, limit, until)
        return multiple(*claimed)

    @rule(target=held, copy=consumes(held), step=st.sampled_from([Step.WRITE, Step.REPORT]), lease=st.integers(1, 60))
    def go_on(self, copy: Delivery, step: Step, lease: int) -> Delivery:
        goes_on = copy.evolve(lease_until=self.now + lease)
        self._save(Save(goes_on if copy.state.ended else goes_on.evolve(step=step)))
        return goes_on

    @rule(target=released, copy=consumes(held), wait=st.integers(0, 80))
    def has_to_wait(self, copy: Delivery, wait: int) -> Delivery:
        state = copy.state if copy.state.ended else State.QUEUED
        self._save(Save(copy.evolve(state=state, due_at=self.now + wait, lease_until=None, tries=copy.tries + 1)))
        return copy

    @rule(
        target=released,
        copy=st.one_of(consumes(held), released),
        state=ENDS,
        forgets_the_lease=st.booleans(),
        corrected=st.booleans(),
        told=st.sampled_from(["nobody", "those who wait", "everybody"]),
    )
    def end(self, copy: Delivery, state: State, forgets_the_lease: bool, corrected: bool, told: str) -> Delivery:
        ended = copy.evolve(state=state, step=None, due_at=None, updated_at=self.now, ended_at=self.now)
        following = None
        if corrected:
            following = Delivery(
                f"dlv_{next(self.ids)}",
                T,
                copy.document_id,
                copy.listing,
                copy.trigger,
                self.now,
                self.now,
                copy.seen_at,
            ).evolve(due_at=self.now, schema=copy.schema)
        happened = None if told == "nobody" else event(ended, ended=told == "everybody")
        saved = ended if forgets_the_lease else ended.evolve(lease_until=None)
        self._save(Save(saved, successor=following, event=happened))
        return copy

    @rule(name=st.sampled_from("ab"), types=TYPES)
    def subscribed(self, name: str, types: tuple[str, ...]) -> None:
        given = subscriber(name, *types, now=self.now, id=f"sub_{next(self.ids)}")
        stored, new = self.runner.run(self.ledger.put_endpoint(given))
        assert stored == self.model.told.put(given)
        assert new == (stored.id == given.id)

    @rule(data=st.data())
    def unsubscribed(self, data) -> None:
        if self.model.told.endpoints:
            chosen = data.draw(st.sampled_from(self.model.told.endpoints)).id
            removed = self.runner.run(self.ledger.remove_endpoint(T, chosen, self.now))
            assert removed == self.model.told.remove(chosen, self.now)

    @rule(data=st.data())
    def resumed(self, data) -> None:
        if self.model.told.endpoints:
            chosen = data.draw(st.sampled_from(self.model.told.endpoints)).id
            resumed = self.runner.run(self.ledger.resume_endpoint(T, chosen, self.now))
            assert resumed == self.model.told.resume(chosen, self.now)

    @rule()
    def announced(self) -> None:
        made = self.runner.run(self.ledger.announce(T, HAPPENED, self.now))
        assert made == self.model.told.announce(HAPPENED, self.now)

    @rule(target=sending, limit=st.integers(1, 4), per_endpoint=st.integers(1, 3), lease=st.integers(1, 60))
    def send(self, limit: int, per_endpoint: int, lease: int):
        until = self.now + lease
        claimed = self.runner.run(
            self.ledger.claim_messages(self.now, limit=limit, lease_until=until, per_endpoint=per_endpoint)
        )
        self.model.told.claim(claimed, self.now, limit, until, per_endpoint)
        return multiple(*((each.message, each.endpoint) for each in claimed))

    @rule(
        sent=consumes(sending),
        state=st.sampled_from([MessageState.QUEUED, MessageState.SENT, MessageState.FAILED]),
        wait=st.integers(0, 80),
        becomes=st.sampled_from([None, *EndpointState]),
    )
    def answered(
        self, sent: tuple[Message, Endpoint], state: MessageState, wait: int, becomes: EndpointState | None
    ) -> None:
        message, endpoint = sent
        ended_at = None if state is MessageState.QUEUED else self.now
        outcome = replace(message, state=state, due_at=self.now + wait, tries=message.tries + 1, ended_at=ended_at)
        changed = None
        if becomes is not None and endpoint.origin is not Origin.RESUME:
            changed = replace(endpoint, state=becomes, failing_since=self.now, updated_at=self.now)
        lost = False
        try:
            self.model.told.save(outcome, changed)
        except LeaseLostError:
            lost = True
        try:
            self.runner.run(self.ledger.save_message(outcome, endpoint=changed))
        except LeaseLostError:
            assert lost
        else:
            assert not lost

    @rule(data=st.data())
    def retry(self, data) -> None:
        if self.model.rows:
            chosen = data.draw(st.sampled_from([row.id for row in self.model.rows]))
            self.runner.run(self.ledger.retry(chosen, self.now, pinned=False))
            self.model.retry(chosen, self.now)

    @rule()
    def restart(self) -> None:
        assert self.runner.run(self.ledger.take_back(self.now)) == self.model.take_back(self.now)

    @rule(age=st.integers(-10, 100))
    def retention(self, age: int) -> None:
        before = self.now - age
        pruned = self.runner.run(self.ledger.prune(deliveries_before=before, requests_before=before))
        assert pruned == self.model.prune(before)

    @invariant()
    def the_ledger_holds_what_the_model_holds(self) -> None:
        page = self.runner.run(self.ledger.deliveries(DeliveryFilter(T), limit=500))
        assert list(page.deliveries) == self.model.rows[::-1]
        assert self.runner.run(self.ledger.next_due(T, self.now)) == self.model.next_due(self.now)

    @invariant()
    def the_ledger_tells_what_the_model_tells(self) -> None:
        everything = {"origins": frozenset(Origin), "states": frozenset(EndpointState)}
        page = self.runner.run(self.ledger.endpoints(T, limit=500, **everything))
        model = self.model.told
        assert list(page.endpoints) == model.endpoints[::-1]
        for endpoint in page.endpoints:
            messages = self.runner.run(self.ledger.messages(T, endpoint.id, 500))[::-1]
            model.name(endpoint.id, [message.id for message in messages])
            assert list(messages) == model.to(endpoint.id)
        assert self.runner.run(self.ledger.next_message_due(self.now)) == model.next_due(self.now)

    @invariant()
    def no_document_is_in_two_hands(self) -> None:
        held = [row.document_id for row in self.model.rows if row.lease_until and row.lease_until > self.latest]
        assert len(held) == len(set(held))

    def _save(self, save: Save) -> None:
        lost = False
        known = {row.id for row in self.model.rows}
        try:
            if save.delivery.id not in known:
                raise LeaseLostError
            self.model.save(save)
        except LeaseLostError:
            lost = True
        try:
            self.runner.run(self.ledger.save(save))
        except LeaseLostError:
            assert lost
        else:
            assert not lost


LedgerMachine.TestCase.settings = settings(max_examples=70, stateful_step_count=50, deadline=None)
test_any_course_of_events = LedgerMachine.TestCase
