"""What several tenants use together: made for the first who asks for it, closed after the last has let go of it."""

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, Protocol, TypeVar


class Closable(Protocol):
    """Something that holds on to what has to be let go of."""

    async def close(self) -> None:
        """Let go of it."""


T = TypeVar("T", bound=Closable)


@dataclass(slots=True)
class _Held:
    value: Any
    leases: int = 0


class Lease(Generic[T]):
    """One tenant's use of something shared, ``value``, until it is closed."""

    def __init__(self, value: T, let_go: Callable[[], T | None]) -> None:
        self.value = value
        self._let_go: Callable[[], T | None] | None = let_go

    async def close(self) -> None:
        """End this use; the last one closes what was shared. May be repeated."""
        let_go, self._let_go = self._let_go, None
        left_over = None if let_go is None else let_go()
        if left_over is not None:
            await left_over.close()


class Sharing:
    """What a process shares among its tenants, by key. Equal keys stand for things of one kind."""

    def __init__(self) -> None:
        self._held: dict[Hashable, _Held] = {}

    def take(self, key: Hashable, make: Callable[[], T]) -> Lease[T]:
        """Return a lease on what ``key`` stands for; made when nobody has it."""
        held = self._held.get(key)
        if held is None:
            held = self._held[key] = _Held(make())
        held.leases += 1
        return Lease(held.value, lambda: self._let_go(key, held))

    def _let_go(self, key: Hashable, held: _Held) -> Any:
        held.leases -= 1
        if held.leases:
            return None
        del self._held[key]
        return held.value
