"""A rejection at any moment of a delivery: what is told is what happened, and nothing is written after it."""

import asyncio
from collections import Counter

import pytest

from bridge.ledger.inbox import Withdrawal
from bridge.ledger.protocol import Ledger
from connectors.numora.sandbox.documents import SandboxDocument, Workspace
from tests.reliability.conftest import Counted
from tests.reliability.dying import Life
from tests.reliability.exploring import quiet
from tests.reliability.invariants import Expected, LedgerFacts, content_of, violations
from tests.reliability.kinds import KINDS
from tests.reliability.stage import Beside, Stage
from tests.reliability.worlds import Snapshot

pytestmark = [pytest.mark.crash, pytest.mark.timeout(600)]

TENANT = "plain"


class Rejection:
    """A document that is rejected at Numora, and withdrawn from its delivery right after."""

    def __init__(self, workspace: Workspace, document_id: str, beside: Beside, now: int) -> None:
        self._workspace = workspace
        self._document_id = document_id
        self._beside = beside
        self._now = now
        self.withdrawal: Withdrawal | None = None

    def __call__(self) -> None:
        """Reject now; the withdrawal takes its turn among everything else that the process does."""
        self._workspace.send_back(self._document_id)
        if self._beside.ledger is not None:
            self._beside.tasks.append(asyncio.get_running_loop().create_task(self._withdraw(self._beside.ledger)))

    async def _withdraw(self, ledger: Ledger) -> None:
        self.withdrawal = await ledger.withdraw(
            TENANT, self._document_id, self._now, code="back_in_review", message="It was rejected."
        )


async def test_a_rejection_at_any_moment_is_told_as_it_is(stage: Stage, counted: Counted) -> None:
    """At every await point: superseded means that nothing was written, written that the next approval corrects it."""
    kind = next(one for one in KINDS if one.name == "an invoice is created with its lines")
    document = stage.world.workspace(TENANT).add(kind.document())
    start = Snapshot(stage.world, stage.empty)
    told: Counter[str] = Counter()
    moment, over = 0, False
    while not over:
        moment += 1
        life, effect = await _rejected_at(stage, start, document, moment)
        over = life.suspensions < moment
        told[effect] += 1
        await _approved_again(stage, life, document)
    assert set(told) == {"none", "superseded", "written"}
    counted("a rejection at every moment", **told)


async def _rejected_at(stage: Stage, start: Snapshot, document: SandboxDocument, moment: int) -> tuple[Life, str]:
    folder = stage.folder / "life"
    start.restore(stage.world, folder)
    life, beside = Life(folder), Beside()
    rejection = Rejection(stage.world.workspace(TENANT), document.id, beside, stage.clock())
    life.at(moment, rejection)
    assert await life.run(stage.live(life, TENANT, depth=1, beside=beside))
    await quiet(stage.world)
    effect = "none" if rejection.withdrawal is None else rejection.withdrawal.effect
    newest = LedgerFacts.read(folder / "bridge.db", live=True).newest.get((TENANT, document.id))
    state = None if newest is None else newest["state"]
    rows = len(stage.world.dataverse.store.rows["numora_invoice"])
    expected = {"superseded": {"superseded"}, "written": {"succeeded"}}.get(effect, {None, "superseded", "succeeded"})
    assert state in expected, f"moment {moment}: {effect} was told, and the delivery is {state}"
    assert rows == (state == "succeeded"), f"moment {moment}: {effect} was told, and there are {rows} rows"
    callbacks = stage.world.workspace(TENANT).callbacks
    assert len(callbacks) == rows, f"moment {moment}: {effect} was told, and {len(callbacks)} outcomes were reported"
    return life, effect


async def _approved_again(stage: Stage, life: Life, document: SandboxDocument) -> None:
    """Approved with another total, it stands at the destination as it is now, in the one row that it ever had."""
    life.at(0, lambda: None)
    workspace = stage.world.workspace(TENANT)
    workspace.amend(document.id, fields={"total_amount": {"value": "4,321.00", "confidence": 1}})
    assert await life.run(stage.live(life, TENANT, depth=2))
    await quiet(stage.world)
    current = workspace.documents[document.id]
    expected = Expected(TENANT, current.id, "succeeded", content_of(current), revisions=2)
    assert violations(stage.world, LedgerFacts.read(life.folder / "bridge.db", live=True), [expected]) == []
    await life.bury()
