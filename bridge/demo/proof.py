"""What the demo promises, held against what the sandboxes counted."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from bridge.demo.play import DeliveryJson
from bridge.demo.story import LINES_TABLE, TABLES, TENANT, Story
from bridge.sandbox import SandboxWorld


@dataclass(frozen=True, slots=True)
class Fact:
    """One promise, and whether it was kept."""

    kept: bool
    text: str


def prove(story: Story, world: SandboxWorld, deliveries: Sequence[DeliveryJson]) -> list[Fact]:
    """Return every promise of the demo."""
    return [
        *_ends(story, deliveries),
        _rows(story, world, deliveries),
        _lines(story, world),
        _effects(world),
        _reports(story, world),
        _misfortunes(story, world, deliveries),
    ]


def _ends(story: Story, deliveries: Sequence[DeliveryJson]) -> list[Fact]:
    states = Counter(delivery["state"] for delivery in deliveries)
    by_document = {delivery["document_id"]: delivery["state"] for delivery in deliveries}
    whole = len(by_document) == len(deliveries) == len(story.documents)
    as_told = by_document.get(story.rejected) == "failed" and by_document.get(story.skipped) == "skipped"
    told = ", ".join(f"{count} {state}" for state, count in states.most_common())
    return [
        Fact(
            whole and as_told and states["succeeded"] == len(story.delivered),
            f"{len(story.documents)} documents, {len(deliveries)} deliveries: {told}",
        )
    ]


def _rows(story: Story, world: SandboxWorld, deliveries: Sequence[DeliveryJson]) -> Fact:
    rows = {
        row[f"{table}id"]: row["numora_sourceid"] for table in TABLES.values() for row in world.dataverse.rows(table)
    }
    delivered = {
        delivery["external_record_id"]: delivery["document_id"]
        for delivery in deliveries
        if delivery["state"] == "succeeded"
    }
    return Fact(
        rows == delivered and len(rows) == len(story.delivered),
        f"{len(delivered)} documents delivered, {len(rows)} rows in Dataverse: each document has its own",
    )


def _lines(story: Story, world: SandboxWorld) -> Fact:
    wanted = sum(len(document.line_items) for document in story.delivered)
    found = len(world.dataverse.rows(LINES_TABLE))
    return Fact(wanted == found, f"{wanted} lines in these documents, {found} rows in {LINES_TABLE}")


def _effects(world: SandboxWorld) -> Fact:
    tables = (*TABLES.values(), LINES_TABLE)
    effects = Counter(effect.id for effect in world.dataverse.effects if effect.table in tables)
    kinds = Counter(effect.kind for effect in world.dataverse.effects if effect.table in tables)
    rows = sum(len(world.dataverse.rows(table)) for table in tables)
    twice = sum(count > 1 for count in effects.values())
    return Fact(
        not twice and kinds == {"create": rows},
        f"{kinds['create']} creates for {rows} rows, {kinds['update']} updates: {twice} effects happened twice",
    )


def _reports(story: Story, world: SandboxWorld) -> Fact:
    callbacks = world.workspace(TENANT).callbacks
    accepted = Counter(callback.document_id for callback in callbacks if callback.verdict == "accepted")
    conflicts = sum(callback.verdict in {"conflict", "refused"} for callback in callbacks)
    once = accepted == dict.fromkeys((document.id for document in story.documents), 1)
    return Fact(
        once and not conflicts,
        f"{accepted.total()} reports taken by Numora, one for each document; {conflicts} refused",
    )


def _misfortunes(story: Story, world: SandboxWorld, deliveries: Sequence[DeliveryJson]) -> Fact:
    struck = world.dataverse.faults.struck() + world.numora.faults.struck()
    survived = any(
        delivery["document_id"] == story.struck and delivery["state"] == "succeeded" for delivery in deliveries
    )
    return Fact(
        struck == 2 and survived,
        f"{struck} faults struck {story.name_of(story.struck)}, and it was delivered all the same",
    )
