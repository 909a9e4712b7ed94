"""``demo``: sandbox and bridge together deliver sample documents, and show what became of each."""

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.failures import FAILED, guarded
from bridge.cli.terminal import complain, console, on_terminal, report, say, table

if TYPE_CHECKING:
    from bridge.demo.play import Bridge, DeliveryJson
    from bridge.demo.story import Story
    from bridge.sandbox import SandboxWorld


@guarded
def demo(
    *,
    keep: Annotated[bool, typer.Option("--keep", help="Leave everything running until Ctrl-C or SIGTERM.")] = False,
) -> None:
    """Deliver sample documents, and show them.

    Sandbox and bridge run together on this machine: 25 documents, one of which is rejected, one skipped, and one
    delivered in spite of faults. Exit code 1 when anything is not as promised.
    """
    if not asyncio.run(_demo(keep=keep)):
        complain("The demo did not go as promised. The lines that begin with a failure say where.")
        raise typer.Exit(FAILED)


async def _demo(*, keep: bool) -> bool:
    """Play the story and show it. Tell whether every promise was kept."""
    from bridge.cli.sandbox import stop_signal, tell_addresses, tell_control_routes
    from bridge.demo.play import looks, playing
    from bridge.demo.proof import prove
    from bridge.demo.story import write_story
    from bridge.sandbox import SandboxWorld

    stopped = stop_signal() if keep else None
    story = write_story()
    deliveries: list[DeliveryJson] = []
    async with SandboxWorld() as world:
        say(f"Numora at {world.numora.url}, Entra at {world.entra.url}, Dataverse at {world.dataverse.url}", "faint")
        async with playing(story, world) as bridge:
            say(f"The bridge at {bridge.url} delivers {len(story.documents)} reviewed documents.")
            with _watching(story) as watch:
                async for deliveries in looks(bridge, len(story.documents)):
                    watch.look(deliveries)
            _show_all(story, deliveries)
            await _show_special(story, world, bridge, deliveries)
            say()
            say("What was promised", "strong")
            facts = prove(story, world, deliveries)
            for fact in facts:
                report(fact.kept, fact.text)
            if stopped is not None:
                say()
                _tell_bridge(bridge)
                tell_addresses(world)
                tell_control_routes(world)
                say("All of it runs until Ctrl-C.", "faint")
                await stopped.wait()
    return all(fact.kept for fact in facts)


class _Watch:
    """Shows how far the deliveries are: a bar on a terminal, a line for each that has ended elsewhere."""

    def __init__(self, story: "Story", bar: Any = None) -> None:
        self._story = story
        self._bar = bar
        self._task = bar.add_task("", total=len(story.documents)) if bar is not None else None
        self._told: set[str] = set()

    def look(self, deliveries: "list[DeliveryJson]") -> None:
        """Take notice of how things stand."""
        from bridge.demo.play import ended

        over = ended(deliveries)
        if self._bar is not None:
            counts = Counter(delivery["state"] for delivery in deliveries)
            told = ", ".join(f"{count} {state}" for state, count in sorted(counts.items()))
            self._bar.update(self._task, completed=len(over), description=told)
            return
        for delivery in over:
            if delivery["id"] not in self._told:
                self._told.add(delivery["id"])
                name, count = self._story.name_of(delivery["document_id"]), len(self._story.documents)
                say(f"{len(self._told)}/{count} {name} {delivery['operation'] or delivery['state']}")


@contextmanager
def _watching(story: "Story") -> Iterator[_Watch]:
    if not on_terminal():
        yield _Watch(story)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    columns = (BarColumn(), MofNCompleteColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console(), transient=True) as bar:
        yield _Watch(story, bar)


def _show_all(story: "Story", deliveries: "list[DeliveryJson]") -> None:
    found = {delivery["document_id"]: delivery for delivery in deliveries}
    rows = []
    for document in story.documents:
        delivery = found.get(document.id)
        about = (story.name_of(document.id), document.schema)
        if delivery is None:
            rows.append((*about, "not seen", "", ""))
            continue
        outcome = delivery["operation"] or delivery["state"]
        rows.append((*about, outcome, str(delivery["attempts"]), delivery["external_record_id"] or _why(delivery)))
    last = "row in Dynamics, or why there is none"
    table(("document", "schema", "outcome", "tries", last), rows, folded=last)


def _why(delivery: "DeliveryJson") -> str:
    codes = dict.fromkeys(problem["code"] for problem in delivery["problems"])
    return ", ".join(codes) or (str(delivery["error"]["code"]) if delivery["error"] else "")


async def _show_special(
    story: "Story", world: "SandboxWorld", bridge: "Bridge", deliveries: "list[DeliveryJson]"
) -> None:
    """Tell the stories of the three documents to which something happened."""
    from bridge.demo.story import TENANT

    found = {delivery["document_id"]: delivery for delivery in deliveries}
    if story.rejected in found:
        say()
        say(
            f"{story.name_of(story.rejected)} was rejected. The reviewer reads, by the fields of the document:",
            "strong",
        )
        for problem in found[story.rejected]["problems"]:
            field, message = problem["field"] or "", problem["message"]
            say(f"  {message}" if message.startswith(field) else f"  {field}: {message}")
        status = world.workspace(TENANT).documents[story.rejected].status
        say(f"  Numora shows it as {status}. Corrected and approved again, it is delivered.", "faint")
    if story.skipped in found and found[story.skipped]["error"]:
        say()
        twin = world.workspace(TENANT).documents[story.skipped].duplicate_of or ""
        say(
            f"{story.name_of(story.skipped)} was skipped: in Numora it is a duplicate of {story.name_of(twin)}.",
            "strong",
        )
        say(f"  {found[story.skipped]['error']['message']}")
    if story.struck in found:
        say()
        what = "although the answer to its write was lost, and its first report failed"
        say(f"{story.name_of(story.struck)} was written once, {what}:", "strong")
        detail = await bridge.detail(found[story.struck]["id"])
        for request in detail["requests"]:
            came = request["status"] if request["status"] is not None else f"no answer ({request['error']})"
            at, method = request["sent_at"][11:23], request["method"]
            say(f"  {at}  {request['peer']:<9}  {request['purpose']:<17}  {method:<5} {came}")


def _tell_bridge(bridge: "Bridge") -> None:
    from bridge.demo.story import TENANT

    say("The bridge", "strong")
    say(f"  {bridge.url}   key {bridge.api_key}")
    say(f"  curl -H 'Authorization: Bearer {bridge.api_key}' {bridge.url}/v1/tenants/{TENANT}/deliveries")
    say(f"  numora-bridge deliveries list --config {bridge.config}")
    say(f"  numora-bridge poll --config {bridge.config} --tenant {TENANT}")
    say()
