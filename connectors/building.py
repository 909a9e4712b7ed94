"""What a connector is built with, whichever it is."""

from asyncio import Semaphore
from collections.abc import Callable
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from typing import Any

import aiohttp

from connectors.files import FileFetcher
from connectors.http import HttpPeer, Observer, Wire
from connectors.pacing import Paces
from connectors.sharing import Sharing


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the process shares among its connectors.

    ``session`` is the one pool of connections, ``paces`` the limits of each identity, ``ca_file`` further certificates,
    ``fetch_file`` the way to files that documents name; None where none are fetched. ``sharing`` holds what tenants
    have in common besides.
    """

    session: aiohttp.ClientSession
    paces: Paces
    ca_file: Path | None
    observe: Observer
    fetch_file: FileFetcher | None = None
    sharing: Sharing = field(default_factory=Sharing)

    def peer(self, wire: Wire, identity: str, *, concurrency: int, ceiling: int | None = None) -> HttpPeer:
        """Return the way to one outside system, used with one identity by one tenant.

        ``concurrency`` bounds this tenant's requests in flight, ``ceiling`` those of everything with that identity.
        """
        pace = self.paces.of(identity, ceiling=ceiling)
        return HttpPeer(wire, self.session, pace, Semaphore(concurrency), observe=self.observe)


def load_builder(path: str) -> Callable[..., Any]:
    """Import a builder by ``module:function``, only when a tenant needs it."""
    module, _, name = path.partition(":")
    builder: Callable[..., Any] = getattr(import_module(module), name)
    return builder
