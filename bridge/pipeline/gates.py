"""Which sides of a tenant are blocked, why, and when they are tried again."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from bridge.delivery.model import Millis
from connectors.outcome import BlockedError

FIRST_PROBE: Millis = 1000
"""Milliseconds until a side that was just blocked is tried again; it doubles up to the configured interval, so that one
refusal out of many does not hold a tenant up for long."""


class Side(StrEnum):
    """What of a tenant can be blocked: the source, the destination, or the way to it for one schema."""

    SOURCE = "source"
    DESTINATION = "destination"
    MAPPING = "mapping"


@dataclass(frozen=True, slots=True)
class Block:
    """Why a side is blocked. ``schema`` is set when it is the mapping of that schema."""

    side: Side
    schema: str | None
    code: str
    message: str
    since: Millis
    next_probe: Millis
    interval: Millis


BlockListener = Callable[[Block, bool], None]
"""Called with a block and True when it begins, False when it is over; once each."""


class Gates:
    """The blocks of one tenant. A blocked side lets one delivery through whenever a probe is due."""

    def __init__(self, clock: Callable[[], Millis], probe_every: Millis, listener: BlockListener) -> None:
        self._clock = clock
        self._probe_every = probe_every
        self._listener = listener
        self._blocks: dict[tuple[Side, str | None], Block] = {}

    def block(self, side: Side, error: BlockedError, schema: str | None = None) -> None:
        """Close a side, or note the newest reason if it is closed already."""
        now = self._clock()
        key = (side, schema)
        known = self._blocks.get(key)
        if known is None:
            interval = min(FIRST_PROBE, self._probe_every)
            block = Block(side, schema, error.code, error.message, now, now + interval, interval)
            self._blocks[key] = block
            self._listener(block, True)
        else:
            self._blocks[key] = replace(known, code=error.code, message=error.message)

    def clear(self, side: Side, schema: str | None = None) -> None:
        """A call on this side went well: let everything through again."""
        if not self._blocks:
            return
        block = self._blocks.pop((side, schema), None)
        if block is not None:
            self._listener(block, False)

    def blocks(self) -> tuple[Block, ...]:
        """Return what is blocked now."""
        return tuple(self._blocks.values())

    def is_blocked(self, side: Side, schema: str | None = None) -> bool:
        """Tell whether a side is closed."""
        return (side, schema) in self._blocks

    def blocked_schemas(self) -> frozenset[str]:
        """Return the schemas whose mapping is blocked."""
        return frozenset(schema for side, schema in self._blocks if side is Side.MAPPING and schema is not None)

    def next_probe(self) -> Millis | None:
        """Return when the next closed side is to be tried; None when nothing is closed."""
        return min((block.next_probe for block in self._blocks.values()), default=None)

    def take_probe(self) -> Block | None:
        """Return the block whose probe is due, if any, and put its next one off: the caller makes this one.

        One that is further off than any wait is due as well: the clock went back.
        """
        now = self._clock()
        for key, block in self._blocks.items():
            if now >= block.next_probe or block.next_probe - now > self._probe_every:
                interval = min(block.interval * 2, self._probe_every)
                later = replace(block, next_probe=now + block.interval, interval=interval)
                self._blocks[key] = later
                return block
        return None
