"""A write that is still under way inside Dataverse when its process dies, and commits during the next one."""

import asyncio
from collections import Counter

from connectors.numora.sandbox.documents import Workspace
from tests.reliability.dying import Files, Life, lay_down, ledger_files
from tests.reliability.exploring import effects_of, quiet
from tests.reliability.invariants import Expected, LedgerFacts, violations
from tests.reliability.kinds import Kind
from tests.reliability.stage import Stage
from tests.reliability.worlds import Snapshot


class LateEffect:
    """The sandbox holds the write; its process dies; the write is let go at every suspension of the next, in turn.

    ``moments`` counts those suspensions; ``failures`` says what was wrong after which.
    """

    def __init__(self, stage: Stage, kind: Kind) -> None:
        self._stage = stage
        self._kind = kind
        self._folder = stage.folder / "life"
        self.moments = 0
        self.failures: list[str] = []

    async def run(self, write: str) -> None:
        """Hold the next request whose path this expression finds; try every moment of the process after it."""
        world, kind = self._stage.world, self._kind
        document_id = self._put_in()
        start = Snapshot(world, self._stage.empty)
        if kind.before:
            files = await self._peaceful(start, 0)
            start = Snapshot(world, files)
        kind.story(self._workspace, self._workspace.documents[document_id], world)
        start = Snapshot(world, start.files)
        await self._peaceful(start, 1)
        undisturbed = effects_of(world)
        over = False
        while not over:
            files = await self._die_while_held(start, write)
            life = Life(lay_down(files, self._folder))
            life.at(self.moments + 1, world.dataverse.faults.release)
            assert await life.run(self._stage.live(life, kind.tenant, depth=2))
            over = life.suspensions <= self.moments
            world.dataverse.faults.release()
            await quiet(world)
            await life.bury()
            self._check(document_id, undisturbed)
            self.moments += not over

    @property
    def _workspace(self) -> Workspace:
        return self._stage.world.workspace(self._kind.tenant)

    def _put_in(self) -> str:
        return self._workspace.add(self._kind.document()).id

    async def _peaceful(self, start: Snapshot, depth: int) -> Files:
        start.restore(self._stage.world, self._folder)
        life = Life(self._folder)
        assert await life.run(self._stage.live(life, self._kind.tenant, depth=depth))
        await life.bury()
        return ledger_files(self._folder)

    async def _die_while_held(self, start: Snapshot, write: str) -> Files:
        """Run a process until its write is held, and kill it there."""
        world = self._stage.world
        start.restore(world, self._folder)
        fault = world.dataverse.faults.add("hang", times=1, method="POST", path=write)
        life = Life(self._folder)
        running = asyncio.create_task(life.run(self._stage.live(life, self._kind.tenant, depth=1)))
        while not fault.struck:  # noqa: ASYNC110 - the sandbox has no event for it
            await asyncio.sleep(0)
        life.kill()
        await running
        await life.bury()
        return life.files

    def _check(self, document_id: str, undisturbed: Counter[tuple[str, str, tuple[str, ...]]]) -> None:
        world, kind = self._stage.world, self._kind
        document = self._workspace.documents[document_id]
        expected = Expected(kind.tenant, document_id, kind.end, kind.content(document), kind.revisions, kind.callbacks)
        wrong = violations(world, LedgerFacts.read(self._folder / "bridge.db"), [expected])
        if effects_of(world) != undisturbed:
            wrong.append(f"the effects are {effects_of(world)} and not {undisturbed}")
        self.failures += [f"{kind.name}, let go at suspension {self.moments + 1}: {one}" for one in wrong]
