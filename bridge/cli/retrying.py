"""Making deliveries once more: in this process if the ledger is free, else through the running service."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from bridge.cli.failures import CommandError
from bridge.cli.options import tenant_of
from bridge.cli.terminal import say

if TYPE_CHECKING:
    from bridge.config.loaded import LoadedConfig, Tenant
    from bridge.delivery.model import Attempt, Delivery, RequestRecord, State
    from bridge.ledger.protocol import Ledger


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which deliveries of which tenants are meant; no states means any."""

    tenants: "Sequence[Tenant]"
    states: "frozenset[State]"
    document_id: str | None
    error_code: str | None


async def read_detail(
    config: "LoadedConfig", delivery_id: str
) -> "tuple[Delivery, Sequence[Attempt], Sequence[RequestRecord]]":
    """Read one delivery with its attempts and requests. Raises ``CommandError`` when there is none of this id."""
    from bridge.ledger.open import open_reader

    reader = await open_reader(config.bridge.store, folder=config.folder)
    try:
        delivery = await reader.delivery(delivery_id)
        if delivery is None:
            raise _no_such_delivery(delivery_id)
        return delivery, await reader.attempts(delivery_id), await reader.requests(delivery_id)
    finally:
        await reader.close()


def _no_such_delivery(delivery_id: str) -> CommandError:
    return CommandError(
        f"There is no delivery {delivery_id!r} in the ledger. `deliveries list` shows the ids; old ones are forgotten "
        "by `retention`."
    )


async def retry_wanted(
    config: "LoadedConfig", delivery_id: str | None, wanted: Wanted, *, pinned: bool, dry_run: bool
) -> None:
    """Queue deliveries afresh: the one of this id, or all that are wanted; by default the failed and parked ones."""
    from bridge.cli.holding import held_ledger
    from bridge.ledger.protocol import LedgerInUseError

    if delivery_id is not None:
        delivery, _, _ = await read_detail(config, delivery_id)
        wanted = replace(wanted, tenants=(tenant_of(config, delivery.tenant),))
    try:
        async with held_ledger(config) as ledger:
            await _retry_here(config, ledger, delivery_id, wanted, pinned=pinned, dry_run=dry_run)
            return
    except LedgerInUseError as error:
        holder = f"process {error.pid}" if error.pid else "another process"
        say(f"The ledger is held by {holder}: this is passed on to the running service.", "faint")
    await _retry_there(config, delivery_id, wanted, pinned=pinned, dry_run=dry_run)


async def _retry_here(
    config: "LoadedConfig", ledger: "Ledger", delivery_id: str | None, wanted: Wanted, *, pinned: bool, dry_run: bool
) -> None:
    from bridge.cli.holding import taken_up
    from bridge.delivery.model import DeliveryFilter
    from bridge.service import NotNewestError, Service

    async with taken_up(config, ledger, lambda _: None) as runtime:
        service = Service(runtime, ledger)
        if delivery_id is not None:
            if dry_run:
                say(f"{delivery_id} would be made once more.")
                return
            try:
                queued = await service.retry(wanted.tenants[0].id, delivery_id, pinned=pinned)
            except NotNewestError as error:
                raise CommandError(f"The document has a newer delivery: retry {error.newest} instead.") from None
            say(f"{queued.id} is {queued.state}: `serve` or `poll` delivers it.")
            return
        for tenant in wanted.tenants:
            which = DeliveryFilter(tenant.id, wanted.states or _by_default(), wanted.document_id, wanted.error_code)
            report = await service.retry_matching(which, pinned=pinned, dry_run=dry_run)
            _tell_matched(
                tenant.id, report.matched, report.deliveries, dry_run=dry_run, when="`serve` or `poll` deliver them"
            )


async def _retry_there(
    config: "LoadedConfig", delivery_id: str | None, wanted: Wanted, *, pinned: bool, dry_run: bool
) -> None:
    from bridge.cli.remote import remote_bridge

    how = {"mapping": "same" if pinned else "latest"}
    for tenant in wanted.tenants:
        async with remote_bridge(config, tenant) as remote:
            if delivery_id is not None:
                if dry_run:
                    say(f"{delivery_id} would be made once more.")
                    return
                queued = await remote.post("tenants", tenant.id, "deliveries", delivery_id, "retry", body=how)
                say(f"{queued['id']} is {queued['state']}: the service delivers it now.")
                return
            which: dict[str, Any] = {**how, "state": sorted(wanted.states or _by_default()), "dry_run": dry_run}
            which |= {"document_id": wanted.document_id} if wanted.document_id else {}
            which |= {"error_code": wanted.error_code} if wanted.error_code else {}
            report = await remote.post("tenants", tenant.id, "deliveries", "retry", body=which)
            _tell_matched(
                tenant.id,
                report["matched"],
                report["deliveries"],
                dry_run=dry_run,
                when="the service delivers them now",
            )


def _by_default() -> "frozenset[State]":
    from bridge.delivery.model import State

    return frozenset({State.FAILED, State.PARKED})


def _tell_matched(tenant: str, matched: int, ids: Sequence[str], *, dry_run: bool, when: str) -> None:
    if not matched:
        say(f"{tenant}: no delivery matches.")
        return
    what = "would be made once more" if dry_run else f"are queued again; {when}"
    say(f"{tenant}: {matched} {what}")
    for delivery_id in ids:
        say(f"  {delivery_id}")
    if matched > len(ids):
        say(f"  … and {matched - len(ids)} more")
