"""One process of the bridge, as it is run to its death: the real parts, wired as ``numora-bridge poll`` wires them."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from functools import lru_cache
from itertools import count
from pathlib import Path
from random import Random
from typing import Any
from uuid import UUID

import pytest

from bridge.config.load import load_config
from bridge.config.loaded import LoadedConfig
from bridge.delivery.model import Millis
from bridge.delivery.retry import RetrySchedule
from bridge.ledger.open import open_sqlite
from bridge.ledger.protocol import Ledger
from bridge.pipeline.gates import Gates
from bridge.pipeline.lane import Lane
from bridge.pipeline.policy import RunnerPolicy
from bridge.pipeline.poller import Poller
from bridge.pipeline.runner import DeliveryRunner
from bridge.pipeline.worker import LaneWorker
from bridge.sandbox import ENTRA_TENANT, SHIPPED_MAPPINGS, SandboxWorld
from bridge.serving import connections
from bridge.wiring import build_destination, build_source, watch_rules
from connectors import http
from connectors.building import Surroundings
from connectors.dataverse.sandbox import writes
from tests.reliability.dying import Files, Life, ledger_files

_LIBRARY = Path(__file__).parents[2] / "mappings" / "library"

MAPPED = {
    "plain": (),
    "batched": (),
    "keyed": (("identity: {by: primary_key}", "identity: {by: alternate_key, column: numora_externalkey}"),),
    "skipping": (("missing: reject", "missing: skip"),),
    "creating": (
        ("missing: reject", "missing: create"),
        ("match: {accountnumber: metadata.vendor_code}", "match: {name: fields.vendor_name}"),
    ),
}
"""The tenants of the stage, each with what its invoice mapping has in place of the shipped one's words."""

MANAGED = "managed"
"""The tenant whose documents Numora delivers by its own means."""

BATCHED_ABOVE = 2
"""Lines above which the tenant ``batched`` creates by a change set."""


BEGINNING: Millis = 1_800_000_000_000
"""When the first process begins."""


class StaticTokens:
    """A token that was got before: what logging in does is told apart from what a delivery does."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def token(self) -> str:
        return self._token

    def invalidate(self, token: str) -> None:
        raise AssertionError("the sandbox refused a token")

    async def close(self) -> None:
        pass


@dataclass
class Beside:
    """Things that a process does beside its deliveries; the ledger is there while it is open."""

    ledger: Ledger | None = None
    tasks: list[asyncio.Task[None]] = field(default_factory=list)


class Stage:
    """A world, a configuration for it, and the lives that are lived in it.

    A *warm* life has a token and knows the tables from the start, as if it had read them before: so each of its
    suspensions belongs to intake, delivery or report. A *cold* one logs in and reads them by itself.
    """

    def __init__(self, world: SandboxWorld, config: LoadedConfig, folder: Path) -> None:
        self.world = world
        self.config = config
        self.folder = folder
        self.empty: Files = {}
        self._now = BEGINNING
        self._ids = count(1)
        self._warm: dict[str, tuple[dict[Any, Any], dict[Any, Any], dict[Any, Any]]] = {}
        self._folders = count(1)

    def clock(self) -> Millis:
        """Tell the time. It stands still during a life and is an hour later in the next."""
        return self._now

    def new_folder(self) -> Path:
        """Return a name for a folder that does not exist yet."""
        return self.folder / f"life-{next(self._folders)}"

    async def warm_up(self) -> None:
        """Learn the tables and an empty ledger once, for all warm lives."""
        folder = self.new_folder()
        ledger = await open_sqlite(folder / "bridge.db", durable=False)
        await ledger.close()
        self.empty = ledger_files(folder)
        async with connections(self.config, _unobserved) as surroundings:
            for tenant in MAPPED:
                lane = self._lane(tenant, surroundings, warm=False)
                for mapping in lane.mappings.values():
                    await lane.verify(mapping)
                catalog = lane.destination._catalog  # type: ignore[attr-defined]
                for table in ("account", "numora_invoiceline"):
                    known = await catalog.table(table)
                    await catalog.settled(table, list(known.attributes))
                self._warm[tenant] = (dict(catalog._entries), dict(catalog._settled), dict(lane._verified))
                await lane.destination.close()

    async def live(
        self, life: Life, tenant: str, *, depth: int, warm: bool = True, beside: "Beside | None" = None
    ) -> None:
        """Be one process: take back what the last one left, poll, deliver until nothing is due, and close.

        ``depth`` is the number of the process in a row of them. Time, ids and chance are functions of it, so that equal
        processes do equal things in equal worlds. ``beside`` is what else the process does, while the ledger is open.
        """
        self._now = BEGINNING + depth * 3_600_000
        self._ids = count(depth * 1_000_000)
        async with connections(self.config, _unobserved) as surroundings:
            life.sessions.append(surroundings.session)
            ledger = await open_sqlite(life.folder / "bridge.db", durable=False)
            if beside is not None:
                beside.ledger = ledger
            await ledger.take_back(self.clock())
            lane = self._lane(tenant, surroundings, warm=warm)
            policy = RunnerPolicy(self.clock, self._new_id, Random(0), RetrySchedule.of([timedelta(0)] * 12))
            runner = DeliveryRunner(ledger, policy)
            worker = LaneWorker(lane, ledger, runner, self.clock, capacity=4, listener=_unobserved)
            await Poller(ledger, self.clock, self._new_id).poll(lane, worker.wake)
            await worker.run_until_idle()
            while lane.managed and (due := await ledger.next_due(tenant, self._now)) is not None:
                self._now = due  # what is watched is looked at again, without anybody having to wait
                await worker.run_until_idle()
            if beside is not None:
                beside.ledger = None
                await asyncio.gather(*beside.tasks)
                await worker.run_until_idle()
            await lane.close()
            await ledger.close()

    def determine(self, patch: pytest.MonkeyPatch) -> None:
        """Have ids that are otherwise random follow from what happened before."""
        patch.setattr(http, "uuid4", self._request_id)
        patch.setattr(writes, "uuid4", lambda: UUID(int=self.world.dataverse.store._version))

    def _new_id(self) -> str:
        return f"dlv_{next(self._ids):08x}"

    def _request_id(self) -> UUID:
        return UUID(int=next(self._ids) << 64)

    def _lane(self, tenant: str, surroundings: Surroundings, *, warm: bool) -> Lane:
        configured = self.config.tenants[tenant]
        source = build_source(configured, surroundings)
        destination: Any = build_destination(configured, surroundings)
        gates = Gates(self.clock, 1000, lambda *_: None)
        watch = watch_rules(configured)
        lane = Lane(tenant, source, destination, {} if watch else configured.mappings, gates, watch=watch)
        if warm and not lane.managed:
            entries, settled, verified = self._warm[tenant]
            token = self.world.entra.issue(ENTRA_TENANT, self.world.tenant(tenant).client_id, self.world.dataverse.url)
            destination._client._tokens = StaticTokens(token)
            destination._catalog._entries = dict(entries)
            destination._catalog._settled = dict(settled)
            lane._verified = dict(verified)
        return lane


def _unobserved(*_: object) -> None:
    """Nobody watches."""


def write_stage_config(world: SandboxWorld, folder: Path) -> LoadedConfig:
    """Write the configuration of the stage's tenants and load it."""
    for tenant, changes in MAPPED.items():
        mappings: Mapping[str, str] = SHIPPED_MAPPINGS
        if changes:
            text = (_LIBRARY / "invoice_v2.dataverse.yaml").read_text()
            for old, new in changes:
                assert old in text
                text = text.replace(old, new)
            text = text.partition("\ntests:\n")[0] + "\n"
            name = f"invoice_{tenant}.yaml"
            (folder / "mappings").mkdir(parents=True, exist_ok=True)
            (folder / "mappings" / name).write_text(text)
            mappings = {**SHIPPED_MAPPINGS, "invoice_v2": name}
        world.write_config(folder, [tenant], mappings=mappings)
    world.write_config(folder, [MANAGED])
    managed = folder / "tenants" / f"{MANAGED}.yaml"
    source, _, rest = managed.read_text().partition("delivery:")
    keys = next(line for line in rest.splitlines() if line.startswith("api_keys:"))
    managed.write_text(f"{source}delivery: {{mode: managed}}\n{keys}\n")
    file = folder / "tenants" / "batched.yaml"
    file.write_text(
        file.read_text().replace("kind: dataverse\n", f"kind: dataverse\n  deep_insert_limit: {BATCHED_ABOVE}\n")
    )
    return load_config(folder, {})


def keep_tls_context(patch: pytest.MonkeyPatch) -> None:
    """Read the certificates once for all lives, as a process reads them once."""
    cached: Callable[..., Any] = lru_cache(maxsize=None)(http.tls_context)
    patch.setattr(http, "tls_context", cached)
