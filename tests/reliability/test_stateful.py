"""Anything may happen in any order: documents, reviewers, crashes, clocks, outages, people, other mappings.

Hypothesis makes up the stories. After each step what must always hold is held against the oracle; at the end of a story
everything is mended, and then every document must be where it belongs. Time is virtual, and so are the Retry-After
windows of the sandboxes.
"""

import os
import tempfile
from pathlib import Path
from random import Random
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test

from connectors.numora.sandbox.documents import SandboxDocument
from connectors.numora.sandbox.samples import sample_document
from connectors.sandbox.faults import FaultKind, FaultPlan
from tests.reliability.conftest import Counted
from tests.reliability.invariants import (
    Content,
    Expected,
    LedgerFacts,
    content_of,
    lines_of,
    standing_violations,
    violations,
)
from tests.reliability.machine import TENANT, Machine

STORIES = int(os.environ.get("RELIABILITY_STORIES", "60"))
"""How many stories; with another number than usual, they are other ones each time."""

STEPS = 40

SIDES = st.sampled_from(("numora", "dataverse"))
OUTAGES = st.sampled_from(("status_before", "status_after", "reset_before", "reset_after", "truncated", "html_502"))

_SLASHED = {"value": "31/03/2026", "confidence": 1}


class Bridge(RuleBasedStateMachine):
    stories = 0
    steps = 0

    documents = Bundle("documents")

    @initialize()
    def begin(self) -> None:
        Bridge.stories += 1
        self.folder = tempfile.TemporaryDirectory(prefix="stateful-")
        self.machine = Machine(Path(self.folder.name))
        self.histories: dict[str, list[Content]] = {}
        self.by_hand: set[str] = set()
        self.numbers = 0

    @property
    def faults(self) -> dict[str, FaultPlan]:
        world = self.machine.world
        return {"numora": world.numora.faults, "dataverse": world.dataverse.faults}

    def document(self, id_: str) -> SandboxDocument:
        return self.machine.workspace.documents[id_]

    def note(self, id_: str) -> str:
        self.histories.setdefault(id_, []).append(content_of(self.document(id_)))
        return id_

    # Documents and reviewers

    @rule(target=documents, schema=st.sampled_from(("invoice_v2", "receipt_v1", "contract_v1")), slashed=st.booleans())
    def a_document_is_reviewed(self, schema: str, slashed: bool) -> str:
        self.numbers += 1
        document = sample_document(schema, self.numbers, Random(self.numbers))
        if slashed and schema == "invoice_v2":
            document.fields["invoice_date"] = _SLASHED
        self.machine.workspace.add(document)
        return self.note(document.id)

    @rule(id_=documents)
    def a_reviewer_amends_it(self, id_: str) -> None:
        document = self.document(id_)
        self.numbers += 1
        name = "contract_value" if document.schema == "contract_v1" else "total_amount"
        changes: dict[str, Any] = {"fields": {name: {"value": f"{self.numbers}.75", "confidence": 1}}}
        lines = lines_of(document)
        if lines:
            added = {**lines[0], "id": f"li_{self.numbers + 100}"}
            changes["line_items"] = [*lines[1:], added]
        self.machine.workspace.amend(id_, **changes)
        self.note(id_)

    @rule(id_=documents)
    def a_reviewer_reopens_it(self, id_: str) -> None:
        self.machine.workspace.send_back(id_)

    # The bridge at work

    @rule()
    def it_polls(self) -> None:
        self.machine.do(self.machine.poll())

    @rule()
    def it_works(self) -> None:
        self.machine.do(self.machine.work())

    @rule(suspensions=st.integers(1, 120))
    def it_crashes(self, suspensions: int) -> None:
        self.forget_windows()
        self.machine.do(self.machine.crash(suspensions))
        self.forget_windows()

    @rule()
    def it_is_restarted(self) -> None:
        self.forget_windows()
        self.machine.do(self.machine.restart())

    @rule()
    def it_gets_another_mapping(self) -> None:
        self.machine.do(self.machine.remap())

    @rule(id_=documents)
    def a_person_retries(self, id_: str) -> None:
        self.by_hand.add(id_)
        self.machine.do(self.machine.retry(id_))

    @rule(id_=documents, force=st.booleans())
    def a_person_asks_for_it(self, id_: str, force: bool) -> None:
        self.by_hand.add(id_)
        self.machine.do(self.machine.deliver(id_, force=force))

    # Time and trouble

    @rule(seconds=st.sampled_from((0.5, 5.0, 60.0, 3600.0, 90_000.0)))
    def time_passes(self, seconds: float) -> None:
        self.machine.clocks.pass_(seconds)

    @rule(seconds=st.sampled_from((-86_400, -3600, -5, 5, 3600, 86_400)))
    def the_clock_jumps(self, seconds: int) -> None:
        self.machine.clocks.wall += seconds * 1000

    @rule(side=SIDES, seconds=st.integers(1, 300))
    def a_side_asks_for_a_pause(self, side: str, seconds: int) -> None:
        # Time stands still while the bridge works: what is sent in the very instant of the 429 was on its way.
        self.faults[side].add("throttle", times=1, retry_after=seconds, grace=0.001)

    @rule(side=SIDES, kind=OUTAGES)
    def a_side_goes_down(self, side: str, kind: FaultKind) -> None:
        self.faults[side].add(kind)

    @rule(side=SIDES, kind=OUTAGES, times=st.integers(1, 3))
    def a_side_stumbles(self, side: str, kind: FaultKind, times: int) -> None:
        self.faults[side].add(kind, times=times)

    @rule(side=SIDES)
    def a_side_refuses_the_key(self, side: str) -> None:
        self.faults[side].add("unauthorized")

    @rule(side=SIDES)
    def a_side_is_well_again(self, side: str) -> None:
        self.faults[side].clear()

    # What always holds

    @invariant()
    def nothing_is_lost_or_repeated(self) -> None:
        if hasattr(self, "machine"):
            Bridge.steps += 1
            facts = LedgerFacts.read(self.machine.ledger_file, live=True)
            assert standing_violations(self.machine.world, facts, self.histories) == []

    def forget_windows(self) -> None:
        """A pause that was asked for is kept in memory: another process does not know of it."""
        for sandbox in (self.machine.world.numora, self.machine.world.dataverse):
            assert sandbox.windows.violations == []
            sandbox.windows.clear()

    def teardown(self) -> None:
        if not hasattr(self, "machine"):
            return
        try:
            self.mend_everything()
        finally:
            self.machine.close()
            self.folder.cleanup()

    def mend_everything(self) -> None:
        machine = self.machine
        for faults in self.faults.values():
            faults.clear()
        if not machine.tolerant:
            machine.do(machine.remap())
        for id_ in self.histories:
            if self.document(id_).status == "review_required":
                # With other content: an outcome that was reported before moves nothing at Numora when it is told again.
                self.a_reviewer_amends_it(id_)
        self.run_until_idle()
        facts = LedgerFacts.read(machine.ledger_file, live=True)
        for (_, id_), newest in facts.newest.items():
            if newest["state"] == "parked":
                self.by_hand.add(id_)
                machine.do(machine.retry(id_))
        self.run_until_idle()
        expected = [
            Expected(
                TENANT, id_, "succeeded", content_of(self.document(id_)), len(history), by_hand=id_ in self.by_hand
            )
            for id_, history in self.histories.items()
        ]
        facts = LedgerFacts.read(machine.ledger_file, live=True)
        assert violations(machine.world, facts, expected) == []

    def run_until_idle(self) -> None:
        """Let time pass, and poll, until nothing is listed, nothing is due and nothing is blocked."""
        machine = self.machine
        for _ in range(200):
            machine.do(machine.poll())
            machine.do(machine.work())
            if machine.do(machine.pass_to_next()):
                continue
            if not machine.workspace._listed:
                return
            # What ended by a clock that was ahead is looked at again once the clock is there.
            machine.clocks.pass_(3600.0)
        newest = LedgerFacts.read(machine.ledger_file, live=True).newest.values()
        shown = [{name: one[name] for name in ("state", "step", "due_at", "error_code", "tries")} for one in newest]
        raise AssertionError(f"never at rest: {shown}, {machine.problem}, listed {list(machine.workspace._listed)}")


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_whatever_happens_every_document_ends_where_it_belongs(counted: Counted) -> None:
    """Each story ends well, and nothing is wrong at any step of it."""
    Bridge.stories = Bridge.steps = 0
    story = settings(
        max_examples=STORIES,
        stateful_step_count=STEPS,
        deadline=None,
        derandomize="RELIABILITY_STORIES" not in os.environ,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    run_state_machine_as_test(Bridge, settings=story)
    counted("made up by Hypothesis", stories=Bridge.stories, steps=Bridge.steps)
