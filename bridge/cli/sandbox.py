"""``sandbox``: Numora, Entra, Dataverse and Retab imitated on loopback, with faults on request."""

import asyncio
import signal
from typing import TYPE_CHECKING, Annotated

import typer

from bridge.cli.failures import CommandError, guarded
from bridge.cli.terminal import say

if TYPE_CHECKING:
    from pathlib import Path

    from bridge.sandbox import SandboxWorld

TENANT = "acme"


@guarded
def sandbox(
    *,
    port_base: Annotated[
        int | None,
        typer.Option(
            "--port-base",
            min=1,
            max=65_532,
            metavar="N",
            help="Numora on N, Entra on N+1, Dataverse on N+2, Retab on N+3; by default free ones.",
        ),
    ] = None,
    documents: Annotated[
        int, typer.Option("--documents", min=0, max=100_000, help="How many sample documents to begin with.")
    ] = 0,
) -> None:
    """Imitate the outside systems on loopback.

    Numora, Entra, Dataverse and Retab, with faults on request, until Ctrl-C or SIGTERM.
    """
    asyncio.run(_sandbox(port_base, documents))


async def _sandbox(port_base: int | None, documents: int) -> None:
    from bridge.sandbox import SandboxWorld
    from connectors.numora.sandbox import sample_documents

    stopped = stop_signal()
    world = SandboxWorld(port_base=port_base)
    try:
        await world.start()
    except OSError as error:
        raise CommandError(
            f"A sandbox cannot listen: {error.strerror or error}. Choose other ports with --port-base, or leave it out."
        ) from error
    try:
        for document in sample_documents(documents):
            world.workspace(TENANT).add(document)
        config = world.write_config(world.folder / "config", (TENANT,), listen_port=8484)
        tell_addresses(world)
        _tell_config(config)
        tell_control_routes(world)
        say("Ctrl-C ends it.", "faint")
        await stopped.wait()
    finally:
        await world.stop()


def stop_signal() -> asyncio.Event:
    """Return an event that SIGTERM or Ctrl-C sets."""
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    return stopped


def tell_addresses(world: "SandboxWorld") -> None:
    """Print where everything is, and the keys."""
    from bridge.sandbox import ENTRA_TENANT

    tenant = world.tenant(TENANT)
    say("The sandboxes", "strong")
    say(f"  Numora     {world.numora.url}   key {tenant.numora_key}")
    say(f"  Entra      {world.entra.url}   tenant {ENTRA_TENANT}, application {tenant.client_id}")
    say(f"             secret {tenant.client_secret}, certificate {world.ca_file}")
    say(f"  Dataverse  {world.dataverse.url}")
    say(f"  Retab      {world.retab.url}   key {tenant.retab_key}")
    say()


def _tell_config(config: "Path") -> None:
    say("A configuration that fits them", "strong")
    say(f"  numora-bridge serve --config {config}")
    for file in (config / "bridge.yaml", config / "tenants" / f"{TENANT}.yaml"):
        say()
        say(f"  # {file}", "faint")
        for line in file.read_text("utf-8").splitlines():
            say(f"  {line}")
    say()


def tell_control_routes(world: "SandboxWorld") -> None:
    """Print how to put documents in, look inside, and let things go wrong."""
    numora, entra, dataverse, retab = world.numora.url, world.entra.url, world.dataverse.url, world.retab.url
    say("Control routes, the same for all four (Entra by https, so with curl -k)", "strong")
    for what, call in (
        ("a new document", _document_call(numora)),
        ("what Numora holds", f"curl {numora}/_sandbox/state"),
        ("a new review in Retab", _review_call(retab)),
        ("its approval, by the id that came back", f"curl -X POST {retab}/_sandbox/reviews/REVIEW_ID/decide"),
        ("the rows of a table", f"curl {dataverse}/_sandbox/rows/numora_receipt"),
        ("every effect, in order", f"curl {dataverse}/_sandbox/effects"),
        (
            "lose the answer of the next write",
            _fault_call(dataverse, '{"kind": "reset_after", "method": "POST", "times": 1}'),
        ),
        (
            "every tenth callback fails",
            _fault_call(numora, '{"kind": "status_before", "status": 503, "rate": 0.1, "path": "/delivery$"}'),
        ),
        ("answer 429", _fault_call(dataverse, '{"kind": "throttle", "retry_after": 2, "times": 1}')),
        ("end every token", f"curl -k -X POST {entra}/_sandbox/tokens/revoke"),
        ("wait before every answer", f"curl -X PUT {dataverse}/_sandbox/latency -d '{{\"seconds\": 0.5}}'"),
        ("the faults, and how often they struck", f"curl {dataverse}/_sandbox/faults"),
        ("no more faults", f"curl -X DELETE {dataverse}/_sandbox/faults"),
        ("every request", f"curl {dataverse}/_sandbox/requests"),
    ):
        say(f"  # {what}", "faint")
        say(f"  {call}")
    say()


def _document_call(numora: str) -> str:
    document = (
        '{"schema": "receipt_v1", "fields": {"merchant_name": "City Taxi", "receipt_date": "2026-02-05", '
        '"total_amount": "31.00"}}'
    )
    return f"curl {numora}/_sandbox/documents -d '{document}'"


def _review_call(retab: str) -> str:
    snapshot = (
        '{"invoice_number": "RT-1", "invoice_date": "2026-02-05", "total_amount": 31.00, '
        '"vendor_name": "ACME Supplies"}'
    )
    return f"curl {retab}/_sandbox/reviews -d '{{\"snapshot\": {snapshot}}}'"


def _fault_call(sandbox: str, fault: str) -> str:
    return f"curl {sandbox}/_sandbox/faults -d '{fault}'"
