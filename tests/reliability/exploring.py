"""Every crash of a document's way, and every sequence of crashes up to a depth."""

import asyncio
import os
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from bridge.sandbox import SandboxWorld
from connectors.numora.sandbox.documents import SandboxDocument
from tests.reliability.dying import Life, ledger_files
from tests.reliability.invariants import Expected, LedgerFacts, violations
from tests.reliability.kinds import Kind
from tests.reliability.stage import Stage
from tests.reliability.worlds import Snapshot, fingerprint

ONE_BY_ONE = os.environ.get("RELIABILITY_ONE_BY_ONE") == "1"
"""Run every sequence by itself, also where the crash before it left a world that another one had left already."""

_QUIET_TURNS = 12


@dataclass
class Exploration:
    """What was found out about one kind of document. The lists go by the number of crashes, from one.

    ``sequences`` counts the ways of crashing so many times; ``worlds`` the different worlds that those left behind.
    ``processes`` is how many processes were run in all. ``failures`` says what was wrong where.
    """

    kind: str
    points: int = 0
    sequences: list[int] = field(default_factory=list)
    worlds: list[int] = field(default_factory=list)
    processes: int = 0
    failures: list[str] = field(default_factory=list)


@dataclass
class _Known:
    """A world that some sequences of crashes lead to: how many do, and the first of them."""

    snapshot: Snapshot
    ways: int
    places: tuple[str, ...]


class Explorer:
    """Explores one kind of document on a stage."""

    def __init__(self, stage: Stage, kind: Kind) -> None:
        self._stage = stage
        self._kind = kind
        self._document_id = ""
        self._baseline: Counter[tuple[str, str, tuple[str, ...]]] | None = None
        self.found = Exploration(kind.name)

    async def explore(self, depth: int, *, warm: bool = True) -> Exploration:
        """Let processes die at every suspension, ``depth`` in a row at most, and let one live after every death.

        Whatever a death left behind is the start of a process that lives to its end, and what is then true of the
        world is held against the oracle. A world that is equal in everything to one that was explored already is not
        explored again: what follows in it is the same.
        """
        frontier = [_Known(await self._begin(), 1, ())]
        for crashes in range(1, depth + 1):
            following: dict[str, _Known] = {}
            sequences = 0
            for known in frontier:
                points = 0
                while not await self._ends(known, points + 1, crashes, following, warm=warm):
                    points += 1
                sequences += known.ways * points
                if crashes == 1:
                    self.found.points = points
            self.found.sequences.append(sequences)
            self.found.worlds.append(len(following))
            frontier = list(following.values())
        for known in frontier:
            await self._ends(known, None, depth + 1, {}, warm=warm)
        return self.found

    async def _begin(self) -> Snapshot:
        """Put the document in, and let happen in peace what comes before the story."""
        stage, kind = self._stage, self._kind
        document = kind.document()
        self._document_id = document.id
        workspace = stage.world.workspace(kind.tenant)
        workspace._clock = _early
        stage.world.numora.outbox.stale_polls = kind.stale_polls
        workspace.add(document)
        files = stage.empty
        if kind.before:
            start = Snapshot(stage.world, files)
            folder = stage.new_folder()
            start.restore(stage.world, folder)
            life = Life(folder)
            assert await life.run(stage.live(life, kind.tenant, depth=0))
            await life.bury()
            files = ledger_files(folder)
        kind.story(stage.world.workspace(kind.tenant), self._document, stage.world)
        return Snapshot(stage.world, files)

    @property
    def _document(self) -> SandboxDocument:
        return self._stage.world.workspace(self._kind.tenant).documents[self._document_id]

    async def _ends(
        self, known: _Known, die_at: int | None, depth: int, following: dict[str, _Known], *, warm: bool
    ) -> bool:
        """Run a process that dies at a suspension; tell whether it came to its end before that, having checked all."""
        stage = self._stage
        folder = stage.folder / "life"
        known.snapshot.restore(stage.world, folder)
        life = Life(folder, die_at=die_at)
        self.found.processes += 1
        try:
            lived = await life.run(stage.live(life, self._kind.tenant, depth=depth, warm=warm))
            await quiet(stage.world)
        finally:
            await life.bury()
        if lived:
            self._check(folder, known.places)
            return True
        seen = str(len(following)) if ONE_BY_ONE else fingerprint(stage.world, life.files, stage.folder / "look")
        if seen in following:
            following[seen].ways += known.ways
        else:
            following[seen] = _Known(Snapshot(stage.world, life.files), known.ways, (*known.places, life.place))
        return False

    def _check(self, folder: Path, places: tuple[str, ...]) -> None:
        stage, kind, document = self._stage, self._kind, self._document
        expected = Expected(
            kind.tenant,
            document.id,
            kind.end,
            kind.content(document),
            kind.revisions,
            kind.callbacks,
            runs=kind.runs,
        )
        wrong = violations(stage.world, LedgerFacts.read(folder / "bridge.db"), [expected])
        effects = effects_of(stage.world)
        if self._baseline is None:
            self._baseline = effects
        wrong += [f"an effect too many: {effect}" for effect in (effects - self._baseline).elements()]
        wrong += [f"an effect is missing: {effect}" for effect in (self._baseline - effects).elements()]
        if wrong:
            where = " and then at ".join(places) or "nowhere"
            self.found.failures += [f"{kind.name}, crashed at {where}: {one}" for one in wrong]


async def quiet(world: SandboxWorld) -> None:
    """Let arrive what a dead process had sent: a kernel delivers it all the same."""
    turns = 0
    while turns < _QUIET_TURNS:
        await asyncio.sleep(0)
        turns = turns + 1 if not (world.numora.in_flight or world.dataverse.in_flight) else 0


def effects_of(world: SandboxWorld) -> Counter[tuple[str, str, tuple[str, ...]]]:
    """Count what was done to rows: the kind, the table, the columns."""
    return Counter((one.kind, one.table, one.columns) for one in world.dataverse.effects)


def _early() -> float:
    """Tell the time inside Numora, in seconds: it stands still."""
    return 1_799_999_000.0


def refuse_failures(found: Exploration, most: int = 10) -> None:
    """Raise ``AssertionError`` with the first failures, if there are any."""
    shown = "\n".join(found.failures[:most])
    assert not found.failures, f"{len(found.failures)} violations:\n{shown}"
