import time, asyncio
from pathlib import Path
import pytest
from bridge.sandbox import SandboxWorld
from tests.reliability.dying import *
from tests.reliability.dying import Life, make_mortal, lay_down
from tests.reliability.stage import *
from tests.reliability.kinds import KINDS
from tests.reliability.invariants import *
from tests.reliability.worlds import Snapshot

async def test_x(tmp_path, monkeypatch):
    keep_tls_context(monkeypatch)
    async with SandboxWorld(tmp_path/"ca") as world:
        config = write_stage_config(world, tmp_path/"config")
        stage = Stage(world, config, tmp_path/"lives")
        (tmp_path/"lives").mkdir()
        make_mortal(monkeypatch)
        await stage.warm_up()
        clean = Snapshot(world)
        for kind in KINDS:
            clean.restore(world)
            doc = kind.document()
            world.workspace(kind.tenant).add(doc)
            files = stage.empty
            if kind.before:
                folder = lay_down(files, stage.new_folder())
                life = Life(folder); assert await life.run(stage.live(life, kind.tenant)); await life.bury()
                files = ledger_files(folder)
            doc = world.workspace(kind.tenant).documents[doc.id]
            kind.story(world, doc)
            folder = lay_down(files, stage.new_folder())
            t=time.perf_counter()
            life = Life(folder)
            assert await life.run(stage.live(life, kind.tenant))
            t1=time.perf_counter()
            await life.bury()
            t2=time.perf_counter()
            facts = LedgerFacts.read(folder/"bridge.db")
            t3=time.perf_counter()
            expected = Expected(kind.tenant, doc.id, kind.end, kind.content(doc), kind.revisions, kind.callbacks)
            v = violations(world, facts, [expected])
            t4=time.perf_counter()
            print(kind.name, life.suspensions, "ms: %.1f %.1f %.1f %.1f"%tuple(1000*x for x in (t1-t,t2-t1,t3-t2,t4-t3)), v)
