"""The oracle itself: whatever could go wrong, it notices."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bridge.sandbox import SandboxWorld
from connectors.dataverse.sandbox.store import Row, Transaction
from connectors.numora.sandbox.documents import Callback, SandboxDocument
from connectors.numora.sandbox.samples import sample_document
from tests.reliability.in_process import running_bridge
from tests.reliability.invariants import Expected, LedgerFacts, content_of, leaks, violations

Case = tuple[SandboxWorld, SandboxDocument, Path]


@pytest.fixture
async def delivered(tmp_path: Path) -> AsyncIterator[Case]:
    """One invoice, delivered in peace."""
    async with SandboxWorld(tmp_path / "authority") as world:
        document = world.workspace("acme").add(sample_document("invoice_v2", 1, Random(1)))
        config = world.write_config(tmp_path / "config")
        async with running_bridge(config) as bridge:
            await bridge.until(lambda: bool(document.accepted) and bridge.moved[-1:] != [])
        yield world, document, bridge.ledger_file


def judged(case: Case, **facts: Any) -> list[str]:
    world, document, ledger = case
    read = replace(LedgerFacts.read(ledger), **facts)
    return violations(world, read, [Expected("acme", document.id, "succeeded", content_of(document), callbacks=1)])


def header_of(world: SandboxWorld) -> Row:
    return next(iter(world.dataverse.store.rows["numora_invoice"].values()))


def line_of(world: SandboxWorld) -> Row:
    return next(iter(world.dataverse.store.rows["numora_invoiceline"].values()))


async def test_all_is_well_after_a_delivery_in_peace(delivered: Case) -> None:
    assert judged(delivered) == []


def _changes_a_column(world: SandboxWorld, _: SandboxDocument) -> None:
    header_of(world).values["numora_total"] += 1


def _changes_a_line(world: SandboxWorld, _: SandboxDocument) -> None:
    line_of(world).values["numora_amount"] += 1


def _takes_a_line_away(world: SandboxWorld, _: SandboxDocument) -> None:
    world.dataverse.store.delete(Transaction(), line_of(world))


def _takes_the_row_away(world: SandboxWorld, _: SandboxDocument) -> None:
    world.dataverse.store.delete(Transaction(), header_of(world))


def _adds_a_second_row(world: SandboxWorld, document: SandboxDocument) -> None:
    row = header_of(world)
    world.dataverse.store.rows["numora_invoice"]["other"] = Row(row.table, "other", {**row.values}, 1)


def _updates_for_nothing(world: SandboxWorld, _: SandboxDocument) -> None:
    effects = world.dataverse.effects
    effects.append(replace(effects[0], kind="update"))


def _creates_twice(world: SandboxWorld, _: SandboxDocument) -> None:
    world.dataverse.effects.append(world.dataverse.effects[0])


def _reports_other_bytes(world: SandboxWorld, document: SandboxDocument) -> None:
    known = document.callbacks[0]
    world.workspace("acme").callbacks.append(
        Callback(document.id, known.execution_id, known.status, known.body + b" ", "accepted")
    )


def _meets_a_conflict(world: SandboxWorld, document: SandboxDocument) -> None:
    document.callbacks[0].verdict = "conflict"


def _names_another_row(world: SandboxWorld, document: SandboxDocument) -> None:
    callback = document.callbacks[0]
    callback.body = callback.body.replace(header_of(world).id.encode(), b"another")


def _was_reported_twice(world: SandboxWorld, document: SandboxDocument) -> None:
    document.accepted["another"] = document.callbacks[0]


def _forgets_the_status(world: SandboxWorld, document: SandboxDocument) -> None:
    document.status = "push_pending"


def _comes_too_early(world: SandboxWorld, _: SandboxDocument) -> None:
    windows = world.numora.windows
    windows.open("somebody", 60)
    assert windows.enter("somebody", "GET", "/") is not None


@pytest.mark.parametrize(
    "damage",
    [
        _changes_a_column,
        _changes_a_line,
        _takes_a_line_away,
        _takes_the_row_away,
        _adds_a_second_row,
        _updates_for_nothing,
        _creates_twice,
        _reports_other_bytes,
        _meets_a_conflict,
        _names_another_row,
        _was_reported_twice,
        _forgets_the_status,
        _comes_too_early,
    ],
)
async def test_damage_to_the_world_is_noticed(
    delivered: Case, damage: Callable[[SandboxWorld, SandboxDocument], None]
) -> None:
    damage(delivered[0], delivered[1])
    assert judged(delivered) != []


async def test_a_ledger_that_disagrees_is_noticed(delivered: Case) -> None:
    """A lost delivery, another state, another row, and an effect whose request was never written down."""
    facts = LedgerFacts.read(delivered[2])
    (key, newest), *_ = facts.newest.items()
    assert judged(delivered, newest={}) != []
    assert judged(delivered, requests=frozenset()) != []
    for change in ({"state": "queued"}, {"due_at": 1}, {"record_id": "another"}, {"callback": b""}):
        assert judged(delivered, newest={key: {**newest, **change}}) != []


async def test_a_secret_in_a_file_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("a line with sk_sandbox_acme in it")
    assert leaks({"sk_sandbox_acme"}, tmp_path) != []
    assert leaks({"another secret"}, tmp_path) == []
