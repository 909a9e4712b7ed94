"""Whether the bridge can take work, with a reason for each part and without a word about whose work it is."""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from typing import Final, Literal

import msgspec

from bridge.ledger.protocol import LedgerError
from bridge.pipeline.gates import Side
from bridge.service import Service

log = logging.getLogger(__name__)

LEDGER_LOOKED_AT_EVERY: Final = 1.0
"""Seconds for which one look at the ledger is good, since anyone may ask, and each look writes."""

LEDGER_PATIENCE: Final = 5.0
"""Seconds after which a ledger that does not answer counts as failed."""

PartStatus = Literal["ok", "degraded", "failed", "starting"]


class PartShape(msgspec.Struct, frozen=True):
    """How one part is. ``codes`` counts what is wrong by its code; ``reason`` says it as a sentence, null when ok."""

    status: PartStatus
    reason: str | None = None
    codes: Mapping[str, int] = {}


class ReadinessShape(msgspec.Struct, frozen=True):
    """Whether the bridge can take work. ``degraded`` is ready too: something waits until a person mends it."""

    status: Literal["ready", "degraded", "not_ready", "starting", "stopping"]
    parts: Mapping[str, PartShape] = {}

    @property
    def ready(self) -> bool:
        """Tell whether work can be taken."""
        return self.status in {"ready", "degraded"}


class Readiness:
    """Puts the answer of ``/readyz`` together. ``monotonic`` gives seconds."""

    def __init__(self, service: Service, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._service = service
        self._monotonic = monotonic
        self._looking = asyncio.Lock()
        self._ledger: tuple[float, PartShape] | None = None

    async def report(self) -> ReadinessShape:
        """Return how every part is."""
        ledger = await self._ledger_part()
        service = self._service
        parts = {"ledger": ledger, "configuration": self._configuration_part(), "tenants": self._tenants_part()}
        for side, name in ((Side.SOURCE, "sources"), (Side.DESTINATION, "destinations"), (Side.MAPPING, "mappings")):
            parts[name] = _side_part(name, self._wrong(side), len(service.tenants))
        found = {part.status for part in parts.values()}
        if "failed" in found:
            return ReadinessShape("not_ready", parts)
        if "starting" in found:
            return ReadinessShape("starting", parts)
        return ReadinessShape("degraded" if "degraded" in found else "ready", parts)

    async def _ledger_part(self) -> PartShape:
        async with self._looking:
            now = self._monotonic()
            if self._ledger is None or now - self._ledger[0] >= LEDGER_LOOKED_AT_EVERY:
                self._ledger = (now, await self._look_at_ledger())
            return self._ledger[1]

    async def _look_at_ledger(self) -> PartShape:
        try:
            async with asyncio.timeout(LEDGER_PATIENCE):
                await self._service.ping()
        except LedgerError as error:
            log.warning("the ledger cannot be used: %s [%s]", error, error.code)
            return PartShape("failed", "The ledger cannot be used; the log says more.", {error.code: 1})
        except TimeoutError:
            reason = f"The ledger did not answer within {LEDGER_PATIENCE:g} s."
            return PartShape("failed", reason, {"ledger_slow": 1})
        return PartShape("ok")

    def _configuration_part(self) -> PartShape:
        codes = _counted(finding.code for finding in self._service.reload_findings if finding.severity == "error")
        if not codes:
            return PartShape("ok")
        total = sum(codes.values())
        reason = f"Changed files have {total} errors; what was before is in force. GET /v1/tenants lists them."
        return PartShape("degraded", reason, codes)

    def _tenants_part(self) -> PartShape:
        if self._service.complete:
            return PartShape("ok")
        return PartShape("starting", "Not every tenant is at work yet.")

    def _wrong(self, side: Side) -> list[str]:
        """Return a code for each tenant's side that does not do its work, and for each schema that is blocked."""
        codes: list[str] = []
        for tenant in self._service.tenants:
            health = self._service.health(tenant)
            found = [block.code for block in health.blocks if block.side is side]
            if side is Side.SOURCE and not found and health.poll_problem is not None:
                found.append(health.poll_problem.code)
            codes += found
        return codes


def _side_part(name: str, codes: list[str], tenants: int) -> PartShape:
    if not codes:
        return PartShape("ok")
    reason = f"{len(codes)} {name} of {tenants} tenants do not do their work; GET /v1/tenants says which and why."
    return PartShape("degraded", reason, _counted(codes))


def _counted(codes: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(codes).items()))
