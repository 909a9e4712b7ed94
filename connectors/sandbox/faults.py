"""Which requests fail, and how: a plan of faults that strikes by seeded chance or by count."""

import asyncio
import re
from dataclasses import dataclass, field
from random import Random
from typing import Any, Literal

import msgspec

FaultKind = Literal[
    "status_before",
    "status_after",
    "reset_before",
    "reset_after",
    "hang",
    "hang_after",
    "truncated",
    "html_502",
    "html_502_after",
    "throttle",
    "unauthorized",
]

AFTER_THE_EFFECT: frozenset[FaultKind] = frozenset(
    {"status_after", "reset_after", "hang_after", "truncated", "html_502_after"}
)


class FaultSpec(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One fault as it is asked for, in process or as the JSON body of ``POST /_sandbox/faults``.

    It concerns requests whose method is ``method`` and whose raw path with query is found by the regular expression
    ``path``; both default to every request. Of those it lets the first ``skip`` pass, then strikes each with the
    probability ``rate``, or the next ``times`` ones, or every one when neither is given.

    ``status`` is the status of ``status_before`` and ``status_after``, ``code`` the error code in the body, if the
    imitated system has such. ``retry_after`` (whole seconds) is sent with these when given, and always with
    ``throttle``, as an HTTP date when ``http_date`` is set. ``delay`` (seconds) bounds ``hang`` and ``hang_after``;
    None holds until released. ``grace`` (seconds) is how long after a ``throttle`` answer a request may still arrive
    without being counted as a violation, since it was on its way.
    """

    kind: FaultKind
    rate: float | None = None
    times: int | None = None
    method: str | None = None
    path: str | None = None
    skip: int = 0
    status: int = 503
    code: str | None = None
    retry_after: int | None = None
    http_date: bool = False
    delay: float | None = None
    grace: float = 0.0

    def __post_init__(self) -> None:
        if self.rate is not None and not 0 <= self.rate <= 1:
            raise ValueError("rate is a probability from 0 to 1")
        if self.times is not None and self.times < 1:
            raise ValueError("times counts from 1")
        if not 400 <= self.status <= 599:
            raise ValueError("status is a 4xx or 5xx code")
        if self.path is not None:
            try:
                re.compile(self.path)
            except re.error as error:
                raise ValueError(f"path is no regular expression: {error}") from error


@dataclass(slots=True)
class Fault:
    """A fault in force: ``matched`` requests concerned it, ``struck`` of them were hit."""

    id: int
    spec: FaultSpec
    pattern: re.Pattern[str] | None
    matched: int = 0
    struck: int = 0

    def concerns(self, method: str, path: str) -> bool:
        """Tell whether the fault is meant for such a request."""
        if self.spec.method is not None and self.spec.method != method:
            return False
        return self.pattern is None or self.pattern.search(path) is not None

    def report(self) -> dict[str, Any]:
        """Return what ``GET /_sandbox/faults`` shows of it."""
        return {
            "id": self.id,
            **msgspec.structs.asdict(self.spec),
            "matched": self.matched,
            "struck": self.struck,
        }


@dataclass
class FaultPlan:
    """The faults of one sandbox. Equal seeds and equal requests give equal faults."""

    seed: int = 0
    _faults: list[Fault] = field(default_factory=list)
    _ids: int = 0
    _released: asyncio.Event = field(default_factory=asyncio.Event)
    _struck: asyncio.Event = field(default_factory=asyncio.Event)

    def __post_init__(self) -> None:
        self._random = Random(self.seed)

    def add(self, kind: FaultKind, **parameters: Any) -> Fault:
        """Add a fault; the parameters are the fields of ``FaultSpec``. Raises ``ValueError`` for a bad one."""
        return self.add_spec(msgspec.convert({"kind": kind, **parameters}, FaultSpec))

    def add_spec(self, spec: FaultSpec) -> Fault:
        """Add a fault that was already checked."""
        self._ids += 1
        fault = Fault(self._ids, spec, re.compile(spec.path) if spec.path is not None else None)
        self._faults.append(fault)
        return fault

    def strike(self, method: str, path: str) -> Fault | None:
        """Return the fault that this request meets, if any. The first in the plan that strikes wins."""
        for fault in self._faults:
            if not fault.concerns(method, path):
                continue
            spec = fault.spec
            fault.matched += 1
            if fault.matched <= spec.skip or (spec.times is not None and fault.struck >= spec.times):
                continue
            if spec.rate is not None and self._random.random() >= spec.rate:
                continue
            fault.struck += 1
            self._struck.set()
            self._struck = asyncio.Event()
            return fault
        return None

    def clear(self) -> None:
        """Forget every fault and let go of the requests that hang."""
        self._faults.clear()
        self.release()

    def reseed(self, seed: int) -> None:
        """Begin the chances anew."""
        self.seed = seed
        self._random = Random(seed)

    def release(self) -> None:
        """Let go of every request that hangs now; later ones hang again."""
        self._released.set()
        self._released = asyncio.Event()

    async def hold(self, delay: float | None) -> None:
        """Wait for the release, at most ``delay`` seconds."""
        try:
            async with asyncio.timeout(delay):
                await self._released.wait()
        except TimeoutError:
            return

    async def until_struck(self, times: int = 1, kind: FaultKind | None = None) -> None:
        """Wait until faults of this kind, or of any, have struck so often."""
        while self.struck(kind) < times:
            await self._struck.wait()

    def report(self) -> list[dict[str, Any]]:
        """Return every fault with how often it matched and struck."""
        return [fault.report() for fault in self._faults]

    def struck(self, kind: FaultKind | None = None) -> int:
        """Count how often faults of this kind, or of any, struck."""
        return sum(fault.struck for fault in self._faults if kind is None or fault.spec.kind == kind)


def parse_fault_specs(body: bytes) -> tuple[FaultSpec, ...]:
    """Read one fault or a list of them from JSON. Raises ``ValueError`` (``msgspec.ValidationError`` is one)."""
    decoded = msgspec.json.decode(body)
    listed = decoded if isinstance(decoded, list) else [decoded]
    return tuple(msgspec.convert(item, FaultSpec) for item in listed)
