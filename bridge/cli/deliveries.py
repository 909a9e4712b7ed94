"""``deliveries``: list them, look at one, make one or many once more."""

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from bridge.cli.failures import MISUSED, CommandError, guarded
from bridge.cli.options import ConfigOption, JsonOption, load, tenant_of
from bridge.cli.retrying import Wanted, read_detail, retry_wanted
from bridge.cli.terminal import say, table

if TYPE_CHECKING:
    from bridge.config.loaded import LoadedConfig, Tenant
    from bridge.delivery.model import Attempt, Delivery, RequestRecord, State
    from bridge.ledger.protocol import LedgerReader

deliveries = typer.Typer(
    help="Look at deliveries, and make them once more.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)

AnyTenant = Annotated[
    str | None, typer.Option("--tenant", metavar="T", help="Of this tenant; of every one by default.")
]
States = Annotated[
    list[str] | None, typer.Option("--state", metavar="STATE", help="In this state; may be given several times.")
]
DocumentId = Annotated[str | None, typer.Option("--document-id", metavar="ID", help="Of this document.")]
ErrorCode = Annotated[str | None, typer.Option("--error-code", metavar="CODE", help="With this error.")]

_PAGE = 200


@deliveries.command("list")
@guarded
def list_deliveries(
    *,
    config: ConfigOption = None,
    tenant: AnyTenant = None,
    state: States = None,
    document_id: DocumentId = None,
    error_code: ErrorCode = None,
    limit: Annotated[int, typer.Option("--limit", min=1, max=10_000, help="How many at most.")] = 50,
    as_json: JsonOption = False,
) -> None:
    """List deliveries, newest first. Works beside a running service."""
    from bridge.cli.telling import moment, why
    from bridge.shapes.deliveries import delivery_shape
    from bridge.shapes.encoding import encode

    loaded = load(config)
    wanted = Wanted(_tenants(loaded, tenant), _states(state), document_id, error_code)
    found = asyncio.run(_find(loaded, wanted, limit))
    if as_json:
        print(encode({"data": [delivery_shape(delivery) for delivery in found]}).decode())
        return
    if not found:
        say("There is no such delivery.")
        return
    table(
        ("id", "tenant", "document", "schema", "state", "attempts", "changed", "what"),
        [
            (
                delivery.id,
                delivery.tenant,
                delivery.document_id,
                delivery.schema or "",
                delivery.state.value,
                str(delivery.attempts),
                moment(delivery.updated_at),
                why(delivery) or f"{delivery.operation or ''} {delivery.record_id or ''}".strip(),
            )
            for delivery in found
        ],
        folded="what",
    )


@deliveries.command("show")
@guarded
def show(
    delivery_id: Annotated[str, typer.Argument(metavar="ID", help="The delivery's id: dlv_…")],
    *,
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show one delivery with its attempts and every outgoing request. Works beside a running service."""
    from bridge.shapes.deliveries import delivery_detail_shape
    from bridge.shapes.encoding import encode

    delivery, attempts, requests = asyncio.run(read_detail(load(config), delivery_id))
    if as_json:
        print(encode(delivery_detail_shape(delivery, attempts, requests)).decode())
    else:
        _show(delivery, attempts, requests)


@deliveries.command("retry")
@guarded
def retry(
    delivery_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The delivery's id; or say which ones by the options.")
    ] = None,
    *,
    config: ConfigOption = None,
    tenant: AnyTenant = None,
    state: States = None,
    document_id: DocumentId = None,
    error_code: ErrorCode = None,
    mapping: Annotated[
        Literal["latest", "same"], typer.Option("--mapping", help="By the mapping in force, or the one that made it.")
    ] = "latest",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell which ones it would be.")] = False,
) -> None:
    """Make ended deliveries once more: one by its id, or all that match; by default the failed and parked ones.

    Beside a running service this is passed on to it, and it delivers at once; else the next `serve` or `poll` does.
    """
    filtered = any((tenant, state, document_id, error_code))
    if (delivery_id is None) != filtered:
        raise CommandError(
            "Give either the id of one delivery, or --tenant, --state, --document-id or --error-code.",
            MISUSED,
        )
    loaded = load(config)
    wanted = Wanted(_tenants(loaded, tenant), _states(state), document_id, error_code)
    asyncio.run(retry_wanted(loaded, delivery_id, wanted, pinned=mapping == "same", dry_run=dry_run))


def _tenants(config: "LoadedConfig", name: str | None) -> "Sequence[Tenant]":
    return tuple(config.tenants.values()) if name is None else (tenant_of(config, name),)


def _states(given: list[str] | None) -> "frozenset[State]":
    from bridge.delivery.model import State
    from mappings.yaml_findings import nearest

    known = {state.value for state in State}
    names = [name.strip() for text in given or () for name in text.split(",") if name.strip()]
    for name in names:
        if name not in known:
            raise CommandError(f"There is no state {name!r}. {nearest(name, known)}", MISUSED)
    return frozenset(map(State, names))


async def _find(config: "LoadedConfig", wanted: Wanted, limit: int) -> "list[Delivery]":
    from bridge.delivery.model import DeliveryFilter
    from bridge.ledger.open import open_reader

    found: list[Delivery] = []
    reader = await open_reader(config.bridge.store, folder=config.folder)
    try:
        for tenant in wanted.tenants:
            which = DeliveryFilter(tenant.id, wanted.states, wanted.document_id, wanted.error_code)
            found += await _pages(reader, which, limit)
    finally:
        await reader.close()
    return sorted(found, key=lambda delivery: delivery.created_at, reverse=True)[:limit]


async def _pages(reader: "LedgerReader", which: Any, limit: int) -> "list[Delivery]":
    found: list[Delivery] = []
    cursor = None
    while len(found) < limit:
        page = await reader.deliveries(which, limit=min(_PAGE, limit - len(found)), cursor=cursor)
        found += page.deliveries
        cursor = page.next_cursor
        if cursor is None:
            break
    return found


def _show(delivery: "Delivery", attempts: "Sequence[Attempt]", requests: "Sequence[RequestRecord]") -> None:
    from bridge.cli.telling import moment, why

    say(f"{delivery.id}: {delivery.state}", "strong")
    mapping = delivery.mapping
    facts = {
        "tenant": delivery.tenant,
        "document": delivery.document_id,
        "schema": delivery.schema,
        "mapping": f"{mapping.name} ({mapping.digest[:12]})" if mapping else None,
        "row": " ".join(part for part in (delivery.operation, delivery.record_id) if part),
        "address": delivery.external_url,
        "execution id": delivery.execution_id,
        "why": why(delivery),
        "next attempt": moment(delivery.due_at),
        "created": moment(delivery.created_at),
        "changed": moment(delivery.updated_at),
    }
    for name, value in facts.items():
        if value:
            say(f"  {name:<13} {value}")
    if delivery.problems:
        table(
            ("field", "column", "code", "problem"),
            [(one.field or "", one.column or "", one.code, one.message) for one in delivery.problems],
            folded="problem",
        )
    if attempts:
        table(
            ("attempt", "ended", "outcome", "what"),
            [
                (
                    str(one.number),
                    moment(one.ended_at),
                    one.outcome,
                    f"{one.message} [{one.code}]" if one.message else "",
                )
                for one in attempts
            ],
            folded="what",
        )
    if requests:
        table(
            ("sent", "attempt", "to", "purpose", "method", "status", "ms", "request id", "address"),
            [_request_row(one) for one in requests],
            folded="address",
        )


def _request_row(request: "RequestRecord") -> tuple[str, ...]:
    from bridge.cli.telling import moment

    return (
        moment(request.sent_at),
        str(request.attempt),
        request.peer,
        request.purpose,
        request.method,
        str(request.status) if request.status is not None else request.error or "no answer",
        "" if request.elapsed_ms is None else str(request.elapsed_ms),
        request.id,
        request.url,
    )
