"""How a tenant and its health look from outside."""

from collections.abc import Mapping, Sequence
from pathlib import PurePath
from typing import Literal

import msgspec

from bridge.service import TenantStatus
from bridge.shapes.deliveries import ReasonShape
from bridge.shapes.encoding import Moment, timestamp, timestamp_or_none
from mappings.findings import Finding


class FindingShape(msgspec.Struct, frozen=True):
    """One thing to mend in a file, with its place; ``line`` and ``column`` count from 1."""

    severity: Literal["error", "warning"]
    code: str
    message: str
    file: str
    line: int | None
    column: int | None
    key: str | None


class BlockShape(msgspec.Struct, frozen=True):
    """A blocked side of a tenant: why, since when, and when it is tried again. ``schema`` is set for a mapping."""

    side: str
    schema: str | None
    code: str
    message: str
    since: Moment
    next_probe_at: Moment


class PollShape(msgspec.Struct, frozen=True):
    """When the outbox was read last, and last read well; ``error`` is why the last poll did not go well."""

    finished_at: Moment | None
    succeeded_at: Moment | None
    error: ReasonShape | None


class CheckedMappingShape(msgspec.Struct, frozen=True):
    """What the check of a schema's mapping against the live target found; ``checked`` is false until it was made."""

    schema: str
    checked: bool
    findings: tuple[FindingShape, ...]


class TenantShape(msgspec.Struct, frozen=True):
    """A tenant and how it is doing. ``deliveries`` counts those in the ledger by state."""

    id: str
    healthy: bool
    blocked: tuple[BlockShape, ...]
    poll: PollShape
    mappings: tuple[CheckedMappingShape, ...]
    in_progress: int
    deliveries: Mapping[str, int]
    oldest_queued_at: Moment | None


def tenant_shape(status: TenantStatus) -> TenantShape:
    """Return a tenant's shape."""
    problem = status.poll_problem
    return TenantShape(
        status.tenant,
        status.healthy,
        tuple(
            BlockShape(
                block.side.value,
                block.schema,
                block.code,
                block.message,
                timestamp(block.since),
                timestamp(block.next_probe),
            )
            for block in status.blocks
        ),
        PollShape(
            timestamp_or_none(status.poll.finished_at),
            timestamp_or_none(status.poll.succeeded_at),
            ReasonShape(problem.code, problem.message) if problem else None,
        ),
        tuple(
            CheckedMappingShape(schema, found is not None, finding_shapes(found or ()))
            for schema, found in sorted(status.mappings.items())
        ),
        status.in_progress,
        {state.value: count for state, count in status.by_state.items()},
        timestamp_or_none(status.oldest_queued_at),
    )


def finding_shapes(findings: Sequence[Finding]) -> tuple[FindingShape, ...]:
    """Return the shapes of findings. Of a file only its name is told: where it lies is the operator's affair."""
    return tuple(
        FindingShape(
            finding.severity,
            finding.code,
            finding.message,
            PurePath(finding.file).name,
            finding.line,
            finding.column,
            finding.key,
        )
        for finding in findings
    )
