"""``poll``: one poll, deliver what is due, exit; for cron."""

import asyncio
from typing import TYPE_CHECKING, Any

import typer

from bridge.cli.failures import FAILED, guarded
from bridge.cli.findings import counted_as
from bridge.cli.options import ConfigOption, TenantOption, load, tenant_of
from bridge.cli.terminal import Progress, progress, report, say

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from bridge.cli.remote import RemoteBridge
    from bridge.config.loaded import LoadedConfig, Tenant
    from bridge.delivery.model import Delivery, Millis, State
    from bridge.ledger.protocol import Ledger, LedgerReader
    from bridge.runtime import TenantLine

_LOOK_EVERY = 0.25
_PATIENCE_MS = 30_000
"""How long a service that is always at something is waited for, once nothing of this poll is left to follow."""

_PAGE = 200


@guarded
def poll(tenant: TenantOption, config: ConfigOption = None) -> None:
    """Poll once, deliver what is due; for cron.

    Beside a running service the poll is passed on to it. Exit code 0: all well. 1: the poll or a delivery failed, was
    parked, or has to be tried again. 2: wrong usage or configuration.
    """
    loaded = load(config)
    chosen = tenant_of(loaded, tenant)
    if not asyncio.run(_poll(loaded, chosen)):
        raise typer.Exit(FAILED)


async def _poll(config: "LoadedConfig", tenant: "Tenant") -> bool:
    from bridge.cli.holding import held_ledger
    from bridge.ledger.protocol import LedgerInUseError

    try:
        async with held_ledger(config) as ledger:
            return await _poll_here(config, tenant, ledger)
    except LedgerInUseError as error:
        holder = f"process {error.pid}" if error.pid else "another process"
        say(f"The ledger is held by {holder}: the poll is passed on to the running service.", "faint")
    return await _poll_there(config, tenant)


async def _poll_here(config: "LoadedConfig", tenant: "Tenant", ledger: "Ledger") -> bool:
    """Poll and deliver in this process. Tell whether all went well."""
    from bridge.cli.holding import taken_up
    from bridge.cli.telling import all_well, counted, tell
    from bridge.ids import now_millis

    done: dict[str, Delivery] = {}
    shown = Progress()
    started = now_millis()

    def moved_on(delivery: "Delivery") -> None:
        if delivery.ended_at is not None and delivery.ended_at < started:
            return  # it was listed again, and nothing had changed
        done[delivery.id] = delivery
        tell(delivery)
        shown.now(f"delivering … {counted(done.values())}")

    async with taken_up(config, ledger, moved_on) as runtime:
        line = runtime.lines[tenant.id]
        with progress(f"reading the outbox of {tenant.id} …") as shown:
            polled = await _read_outbox(line)
            shown.now("delivering …")
            await line.worker.run_until_idle()
            shown.now("telling the subscribers …")
            await runtime.outbound.sender.run_until_idle()
        blocks = line.lane.gates.blocks()
        for block in blocks:
            report(False, f"{tenant.id}: its {block.side} is blocked: {block.message} [{block.code}]")
        await _tell_waiting(ledger, tenant.id, runtime.clock())
    say(f"{tenant.id}: {counted(done.values())}", "strong")
    return polled and not blocks and all_well(done.values())


async def _read_outbox(line: "TenantLine") -> bool:
    from bridge.pipeline.poller import PollRunningError
    from connectors.outcome import OutcomeError

    tenant = line.tenant.id
    if not line.tenant.config.source.is_polled:
        _tell_unpolled(tenant)
        return True
    try:
        polled = await line.schedule.poll_now()
    except PollRunningError:
        report(False, f"{tenant}: another process is polling this tenant")
        return False
    except OutcomeError as error:
        report(False, f"{tenant}: the outbox cannot be read: {error} [{error.code}]")
        return False
    _tell_polled(tenant, polled.seen, polled.queued, cursor_reset=polled.cursor_reset)
    if not polled.complete:
        report(False, f"{tenant}: the source keeps refusing its own cursors; what was seen so far is taken in")
    return polled.complete


def _tell_unpolled(tenant: str) -> None:
    report(None, f"{tenant}: nothing is polled, since calls bring its documents in")


def _tell_polled(tenant: str, seen: int, queued: int, *, cursor_reset: bool) -> None:
    again = "; the source refused the cursor, so the window was read from its start" if cursor_reset else ""
    report(True, f"{tenant}: {counted_as(seen, 'document')} in the outbox, {queued} new{again}")


async def _tell_waiting(ledger: "LedgerReader", tenant: str, now: "Millis") -> None:
    from bridge.cli.telling import moment
    from bridge.delivery.model import State

    counts = await ledger.counts(tenant)
    waiting = counts.by_state.get(State.QUEUED, 0)
    if waiting:
        due = await ledger.next_due(tenant, now)
        when = f"; the next is due at {moment(max(due, now))}" if due is not None else ""
        report(
            None,
            f"{tenant}: {counted_as(waiting, 'delivery').replace('deliverys', 'deliveries')} wait in the queue{when}",
        )


async def _poll_there(config: "LoadedConfig", tenant: "Tenant") -> bool:
    """Let the running service poll, and follow what it does in the ledger. Tell whether all went well."""
    from bridge.cli.remote import remote_bridge
    from bridge.ids import now_millis
    from bridge.ledger.open import open_reader

    async with remote_bridge(config, tenant) as remote:
        started = now_millis()
        if tenant.config.source.is_polled:
            with progress(f"the service reads the outbox of {tenant.id} …"):
                polled = await remote.post("tenants", tenant.id, "poll")
            _tell_polled(tenant.id, polled["seen"], polled["queued"], cursor_reset=polled["cursor_reset"])
        else:
            _tell_unpolled(tenant.id)
        reader = await open_reader(config.bridge.store, folder=config.folder)
        try:
            return await _follow(remote, reader, tenant.id, started)
        finally:
            await reader.close()


async def _follow(remote: "RemoteBridge", reader: "LedgerReader", tenant: str, started: "Millis") -> bool:
    """Wait until the service has nothing left that is due, and tell what became of each delivery."""
    from bridge.cli.telling import all_well, counted, tell
    from bridge.ids import now_millis

    under_way: set[str] = set()
    done: dict[str, Delivery] = {}
    idle_by = now_millis() + _PATIENCE_MS
    with progress("the service delivers …") as shown:
        while True:
            status = await _status(remote, tenant)
            # Asked before the ledger is looked at: what was at work until then has left its traces there.
            busy = await _is_busy(reader, status, started)
            under_way |= {delivery.id for delivery in await _under_way(reader, tenant, started)} - done.keys()
            for delivery_id in sorted(under_way):
                delivery = await reader.delivery(delivery_id)
                if delivery is None or _rests(delivery, now_millis()):
                    under_way.discard(delivery_id)
                    if delivery is not None:
                        done[delivery.id] = delivery
                        tell(delivery)
            shown.now(f"the service delivers … {counted(done.values())}")
            for block in status["blocked"]:
                report(False, f"{tenant}: its {block['side']} is blocked: {block['message']} [{block['code']}]")
            if status["blocked"] or not (under_way or (busy and now_millis() < idle_by)):
                break
            await asyncio.sleep(_LOOK_EVERY)
    await _tell_waiting(reader, tenant, now_millis())
    say(f"{tenant}: {counted(done.values())}", "strong")
    return not under_way and all_well(done.values())


async def _is_busy(reader: "LedgerReader", status: "Mapping[str, Any]", started: "Millis") -> bool:
    """Tell whether the service is at work on something, or has something to begin that came in since.

    A document that was listed again is read once more before it is a delivery that can be followed.
    """
    from bridge.ids import now_millis

    due = await reader.next_due(status["id"], started - 1)
    return status["in_progress"] > 0 or (due is not None and due <= now_millis())


async def _under_way(reader: "LedgerReader", tenant: str, started: "Millis") -> "list[Delivery]":
    """Return what the service is at: what came in since, and what was due or being worked on."""
    from bridge.delivery.model import UNDER_WAY
    from bridge.ids import now_millis

    fresh = await _pages(reader, tenant, frozenset(), lambda delivery: delivery.created_at >= started)
    older = await _pages(reader, tenant, UNDER_WAY, None)
    now = now_millis()
    return [*fresh, *(delivery for delivery in older if not _rests(delivery, now))]


async def _pages(
    reader: "LedgerReader", tenant: str, states: "frozenset[State]", still: "Callable[[Delivery], bool] | None"
) -> "list[Delivery]":
    """Return deliveries, newest first, for as long as they are ``still`` wanted."""
    from bridge.delivery.model import DeliveryFilter

    found: list[Delivery] = []
    cursor: str | None = None
    while True:
        page = await reader.deliveries(DeliveryFilter(tenant, states), limit=_PAGE, cursor=cursor)
        wanted = [delivery for delivery in page.deliveries if still is None or still(delivery)]
        found += wanted
        cursor = page.next_cursor
        if cursor is None or len(wanted) < len(page.deliveries):
            return found


def _rests(delivery: "Delivery", now: "Millis") -> bool:
    from bridge.delivery.model import State

    return delivery.state.ended or (delivery.state is State.QUEUED and (delivery.due_at or 0) > now)


async def _status(remote: "RemoteBridge", tenant: str) -> "Mapping[str, Any]":
    seen = await remote.get("tenants")
    idle = {"id": tenant, "in_progress": 0, "blocked": []}
    return next((each for each in seen["data"] if each["id"] == tenant), idle)
