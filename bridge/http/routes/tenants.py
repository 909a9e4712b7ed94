"""Routes about keys and tenants: whose key this is, what it may see, how that is doing, and polling it now."""

from typing import Final, Literal

import msgspec

from bridge.http.codes import (
    BLOCKED,
    LEDGER_UNAVAILABLE,
    OUTBOX_ABSENT,
    POLL_RUNNING,
    RECONFIGURED,
    UPSTREAM_THROTTLED,
    UPSTREAM_UNAVAILABLE,
)
from bridge.http.models import NoBody
from bridge.http.routing import Answer, Call, Route
from bridge.http.statuses import statuses_of
from bridge.shapes.tenants import FindingShape, TenantShape, finding_shapes, tenant_shape


class MeShape(msgspec.Struct, frozen=True):
    """Whose key this is, and the tenants that it is good for."""

    role: Literal["operator", "tenant"]
    tenants: tuple[str, ...]


class TenantsShape(msgspec.Struct, frozen=True):
    """The tenants that a key may see.

    ``configuration`` is what is wrong with files that were changed since they were last taken; null for a tenant's key.
    """

    data: tuple[TenantShape, ...]
    configuration: tuple[FindingShape, ...] | None


class PollResultShape(msgspec.Struct, frozen=True):
    """What a poll brought. ``cursor_reset`` tells that the window was read again from its start."""

    seen: int
    queued: int
    cursor_reset: bool


def _visible(call: Call) -> tuple[str, ...]:
    return tuple(tenant for tenant in call.back.service.tenants if call.caller.may_see(tenant))


async def me(call: Call) -> Answer:
    """Tell whose key this is, and which tenants it is good for: the test of a credential."""
    return Answer(MeShape("operator" if call.caller.operator else "tenant", _visible(call)))


async def tenants(call: Call) -> Answer:
    """Return the tenants that this key may see, with their health: what is blocked and why."""
    service = call.back.service
    statuses = await statuses_of(service, _visible(call))
    findings = finding_shapes(service.reload_findings) if call.caller.operator else None
    return Answer(TenantsShape(tuple(map(tenant_shape, statuses)), findings))


async def poll(call: Call) -> Answer:
    """Read the tenant's outbox now, to the end of its window. A poll that is under way is joined."""
    report = await call.back.service.poll(call.tenant)
    return Answer(PollResultShape(report.seen, report.queued, report.cursor_reset))


ROUTES: Final = (
    Route("GET", "/v1/me", "Whose key this is", me, {200: MeShape}),
    Route(
        "GET",
        "/v1/tenants",
        "The tenants that this key may see, with their health",
        tenants,
        {200: TenantsShape},
        codes=(LEDGER_UNAVAILABLE,),
    ),
    Route(
        "POST",
        "/v1/tenants/{tenant}/poll",
        "Poll the outbox now",
        poll,
        {200: PollResultShape},
        body=NoBody,
        codes=(
            BLOCKED,
            OUTBOX_ABSENT,
            POLL_RUNNING,
            UPSTREAM_UNAVAILABLE,
            UPSTREAM_THROTTLED,
            LEDGER_UNAVAILABLE,
            RECONFIGURED,
        ),
    ),
)
