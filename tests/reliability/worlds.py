"""Freezing the sandboxes' world at one instant, and going back to it."""

from collections.abc import Mapping
from copy import deepcopy
from dataclasses import replace
from typing import Any

from bridge.sandbox import SandboxWorld
from connectors.dataverse.sandbox.store import Effect, Row, Store
from connectors.sandbox.faults import Fault


class Snapshot:
    """What Numora and Dataverse hold, and which faults are still to come. May be restored any number of times."""

    def __init__(self, world: SandboxWorld) -> None:
        self._workspaces = _copied(world)
        store = world.dataverse.store
        self._rows = _rows(store)
        self._keys = {table: {name: dict(index.entries) for name, index in keys.items()}
                      for table, keys in store.keys.items()}
        self._effects: list[Effect] = list(store.effects)
        self._referring = _referring(store._referring)
        self._version = store._version
        self._faults = {sandbox.name: _faults(sandbox.faults._faults) for sandbox in (world.numora, world.dataverse)}

    def restore(self, world: SandboxWorld) -> None:
        """Bring the world back to what it was."""
        world.numora._by_authorization.update(deepcopy(self._workspaces, _shared(world)))
        store = world.dataverse.store
        for table, rows in self._rows.items():
            schema = store.catalog.by_name[table]
            store.rows[table] = {id_: Row(schema, id_, dict(values), version) for id_, (values, version) in rows.items()}
            for name, entries in self._keys[table].items():
                store.keys[table][name].entries = dict(entries)
        store.effects[:] = self._effects
        store._referring = _referring(self._referring)
        store._version = self._version
        for sandbox in (world.numora, world.dataverse):
            sandbox.faults.release()
            sandbox.faults._faults = _faults(self._faults[sandbox.name])
            sandbox.windows.clear()
            sandbox.requests.clear()


def _copied(world: SandboxWorld) -> dict[str, Any]:
    return deepcopy(world.numora._by_authorization, _shared(world))


def _shared(world: SandboxWorld) -> dict[int, Any]:
    """What a copy is to share with the original: the rules of the outbox."""
    return {id(world.numora.outbox): world.numora.outbox}


def _rows(store: Store) -> dict[str, dict[str, tuple[dict[str, Any], int]]]:
    return {
        table: {id_: (dict(row.values), row.version) for id_, row in rows.items()} for table, rows in store.rows.items()
    }


def _referring(known: Mapping[tuple[str, str], Mapping[str, Mapping[str, None]]]) -> dict[Any, Any]:
    return {column: {parent: dict(children) for parent, children in parents.items()} for column, parents in known.items()}


def _faults(faults: list[Fault]) -> list[Fault]:
    return [replace(fault) for fault in faults]
