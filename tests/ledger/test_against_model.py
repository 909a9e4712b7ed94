"""Any course of events, clock jumps included, leaves the ledger where the plainest reading of its contract would."""

import asyncio
from contextlib import AsyncExitStack
from itertools import count

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, initialize, invariant, multiple, rule
from ledger_model import ModelLedger, T
from ledger_samples import ANY

from bridge.delivery.model import Delivery, DeliveryFilter, State, Step, Trigger
from bridge.ledger.open import temporary_ledger
from bridge.ledger.protocol import LeaseLostError, Save
from connectors.ports import Listing

ENDS = st.sampled_from([state for state in State if state.ended])
DOCUMENTS = st.sampled_from(["doc-1", "doc-2", "doc-3"])


class LedgerMachine(RuleBasedStateMachine):
    """Copies of deliveries are handed from rule to rule and grow stale on the way, as they do in the pipeline."""

    held = Bundle("held")
    released = Bundle("released")

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

    @rule(document=DOCUMENTS, note=st.sampled_from("abc"))
    def listed(self, document: str, note: str) -> None:
        new_id = f"dlv_{next(self.ids)}"
        listing = Listing(document, "invoice_v2", updated_at=note)
        intake = self.runner.run(self.ledger.intake(T, [listing], Trigger.OUTBOX, self.now, new_id=lambda: new_id))
        assert (intake.queued, intake.rechecked) == self.model.intake(document, note, self.now, new_id)

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
    )
    def end(self, copy: Delivery, state: State, forgets_the_lease: bool, corrected: bool) -> Delivery:
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
        self._save(Save(ended if forgets_the_lease else ended.evolve(lease_until=None), successor=following))
        return copy

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
        assert pruned["deliveries"] == self.model.prune(before)

    @invariant()
    def the_ledger_holds_what_the_model_holds(self) -> None:
        page = self.runner.run(self.ledger.deliveries(DeliveryFilter(T), limit=500))
        assert list(page.deliveries) == self.model.rows[::-1]
        assert self.runner.run(self.ledger.next_due(T, self.now)) == self.model.next_due(self.now)

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


LedgerMachine.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
test_any_course_of_events = LedgerMachine.TestCase
