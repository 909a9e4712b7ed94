import time, asyncio
from pathlib import Path
import pytest
from bridge.sandbox import SandboxWorld
from tests.reliability.dying import make_mortal
from tests.reliability.stage import *
from tests.reliability.kinds import KINDS
from tests.reliability.exploring import *

@pytest.mark.parametrize("kind", KINDS, ids=lambda k: k.name)
async def test_x(tmp_path, monkeypatch, kind):
    keep_tls_context(monkeypatch)
    t=time.perf_counter()
    async with SandboxWorld(tmp_path/"ca") as world:
        config = write_stage_config(world, tmp_path/"config")
        stage = Stage(world, config, tmp_path/"lives")
        (tmp_path/"lives").mkdir()
        make_mortal(monkeypatch)
        await stage.warm_up()
        stage.determine(monkeypatch)
        t1=time.perf_counter()
        found = await Explorer(stage, kind).explore(2)
        print(found, t1-t, time.perf_counter()-t1)
        refuse_failures(found)
