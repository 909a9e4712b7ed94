"""Freezing the whole world between two processes, going back to it, and telling two such worlds apart."""

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from copy import deepcopy
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

from bridge.sandbox import SandboxWorld
from connectors.dataverse.sandbox.store import Effect, Row, Store
from connectors.sandbox.faults import Fault
from tests.reliability.dying import Files, lay_down

_NOBODY_READS = frozenset({"elapsed_ms", "peer_request_id"})
"""Columns of the ledger that are written for a person to look at, and that differ from run to run."""

_WALL_CLOCK = frozenset({"createdon", "modifiedon"})


class Snapshot:
    """What Numora and Dataverse hold, which faults are still to come, and the files of the ledger.

    All that a process finds when it starts: processes share nothing else. May be restored any number of times.
    """

    def __init__(self, world: SandboxWorld, files: Files) -> None:
        self.files = files
        self._workspaces = deepcopy(world.numora._by_authorization, _shared(world))
        store = world.dataverse.store
        self._rows = _rows(store)
        self._keys = {
            table: {name: dict(index.entries) for name, index in keys.items()} for table, keys in store.keys.items()
        }
        self._effects: list[Effect] = list(store.effects)
        self._referring = _referring(store._referring)
        self._version = store._version
        self._faults = {sandbox.name: _faults(sandbox.faults._faults) for sandbox in (world.numora, world.dataverse)}

    def restore(self, world: SandboxWorld, folder: Path) -> None:
        """Bring the world back to what it was, with the ledger in ``folder``."""
        lay_down(self.files, folder)
        world.numora._by_authorization.update(deepcopy(self._workspaces, _shared(world)))
        store = world.dataverse.store
        for table, rows in self._rows.items():
            schema = store.catalog.by_name[table]
            store.rows[table] = {
                id_: Row(schema, id_, dict(values), version) for id_, (values, version) in rows.items()
            }
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


def fingerprint(world: SandboxWorld, files: Files, folder: Path) -> str:
    """Return a digest of everything that the next process can find: equal digests, equal worlds.

    Every column of every table of the ledger is in it, but for two that nothing but a person reads; every document,
    callback, row and effect of the sandboxes; and how often each fault has struck.
    """
    found: list[Any] = [_ledger(lay_down(files, folder) / "bridge.db")]
    for workspace, _ in world.numora._by_authorization.values():
        for document in workspace.documents.values():
            listed = workspace.is_listed(document)
            found.append((document.resource(), document.result(), listed, document.settled, document.stale_polls))
            if document.run is not None:
                found.append((document.run.id, document.run.status, document.run.reads))
        found += [(one.execution_id, one.body, one.verdict) for one in workspace.callbacks]
    store = world.dataverse.store
    for table, rows in store.rows.items():
        for row in rows.values():
            values = sorted((name, repr(value)) for name, value in row.values.items() if name not in _WALL_CLOCK)
            found.append((table, row.id, row.version, values))
    found += [(effect.kind, effect.table, effect.id, effect.columns, effect.request_id) for effect in store.effects]
    for sandbox in (world.numora, world.dataverse):
        found += [(fault.spec, fault.matched, fault.struck) for fault in sandbox.faults._faults]
    return sha256(repr(found).encode()).hexdigest()


def _ledger(path: Path) -> list[Any]:
    with closing(sqlite3.connect(path)) as connection:
        tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        found: list[Any] = []
        for table in tables:
            cursor = connection.execute(f"SELECT * FROM {table}")  # noqa: S608 - the names are the ledger's own
            kept = [place for place, (name, *_) in enumerate(cursor.description) if name not in _NOBODY_READS]
            found += [(table, [row[place] for place in kept]) for row in cursor]
    return found


def _shared(world: SandboxWorld) -> dict[int, Any]:
    """What a copy is to share with the original: the rules of the outbox, and what calls out."""
    return {id(one): one for one in (world.numora.outbox, world.numora.calls)}


def _rows(store: Store) -> dict[str, dict[str, tuple[dict[str, Any], int]]]:
    return {
        table: {id_: (dict(row.values), row.version) for id_, row in rows.items()} for table, rows in store.rows.items()
    }


def _referring(known: Mapping[tuple[str, str], Mapping[str, Mapping[str, None]]]) -> dict[Any, Any]:
    return {
        column: {parent: dict(children) for parent, children in parents.items()} for column, parents in known.items()
    }


def _faults(faults: list[Fault]) -> list[Fault]:
    return [replace(fault) for fault in faults]
