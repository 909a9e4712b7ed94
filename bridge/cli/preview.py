"""``preview``: what a delivery would do, without doing it."""

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from bridge.cli.failures import FAILED, CommandError, guarded
from bridge.cli.findings import counted_as
from bridge.cli.options import ConfigOption, JsonOption, TenantOption, load, tenant_of
from bridge.cli.terminal import progress, report, say, table

if TYPE_CHECKING:
    from bridge.config.loaded import LoadedConfig, Tenant
    from bridge.shapes.previews import PreviewShape, TraceShape
    from connectors.ports import KnownRow

_LONGEST_CELL = 60


@guarded
def preview(
    document_id: Annotated[str, typer.Argument(metavar="DOCUMENT_ID", help="The document's id at the source.")],
    tenant: TenantOption,
    config: ConfigOption = None,
    *,
    as_json: JsonOption = False,
) -> None:
    """Show what a delivery would do.

    How each column comes about, and the difference to the row as it is. Nothing is written. Works beside a running
    service. Exit code 1 when the document would be rejected.
    """
    from bridge.delivery.model import State
    from bridge.shapes.encoding import encode
    from bridge.shapes.previews import preview_shape

    loaded = load(config)
    shape = preview_shape(asyncio.run(_preview(loaded, tenant_of(loaded, tenant), document_id)))
    if as_json:
        print(encode(shape).decode())
    else:
        _show(shape)
    if shape.expected.state is State.FAILED:
        raise typer.Exit(FAILED)


async def _preview(config: "LoadedConfig", tenant: "Tenant", document_id: str) -> Any:
    from bridge.cli.asking import lanes
    from bridge.preview import preview as make_preview

    known = await _known_row(config, tenant.id, document_id)
    with progress(f"asking the systems of {tenant.id} …"):
        async with lanes(config) as lane_of:
            shown = await make_preview(lane_of(tenant), document_id, known)
    if shown is None:
        raise CommandError(f"{tenant.id}: the source has no document {document_id!r}. Check the id and the tenant.")
    return shown


async def _known_row(config: "LoadedConfig", tenant: str, document_id: str) -> "KnownRow":
    """Return what the ledger knows of the document's row; nothing as long as there is no ledger."""
    from bridge.delivery.model import DeliveryFilter
    from bridge.ledger.open import open_reader
    from connectors.ports import KnownRow

    if not config.ledger_path.exists():
        return KnownRow()
    reader = await open_reader(config.bridge.store, folder=config.folder)
    try:
        page = await reader.deliveries(DeliveryFilter(tenant, document_id=document_id), limit=1)
    finally:
        await reader.close()
    if not page.deliveries:
        return KnownRow()
    newest = page.deliveries[0]
    return KnownRow(newest.record_id, newest.line_ids, newest.may_exist)


def _show(shape: "PreviewShape") -> None:
    mapping = f", mapped by {shape.mapping.name}" if shape.mapping else ""
    say(f"{shape.document_id}: {shape.schema}, {shape.status or 'no status'}{mapping}", "strong")
    if shape.trace:
        table(("row", "column", "from", "selected", "transform", "written"), [_traced(step) for step in shape.trace])
    for problem in shape.problems:
        place = " → ".join(name for name in (problem.field, problem.column) if name)
        report(False, f"{place + ': ' if place else ''}{problem.message} [{problem.code}]")
    if shape.plan is not None and shape.plan.lookups:
        table(
            ("lookup", "table", "found by", "leads to", "found", "when missing"),
            [
                (
                    found.column,
                    found.table,
                    _value(found.criteria),
                    _value(found.row),
                    "—" if found.age is None else f"{found.age} s ago",
                    found.missing,
                )
                for found in shape.plan.lookups
            ],
        )
    _show_difference(shape)
    _show_end(shape)


def _traced(step: "TraceShape") -> tuple[str, ...]:
    written = f"✗ {step.problem.code}" if step.problem else _value(step.result)
    return (step.row or "", step.column, step.expression or "", _value(step.selected), step.transform, written)


def _show_difference(shape: "PreviewShape") -> None:
    found = shape.difference
    if found is None or found.record_id is None:
        return
    say(f"The row as it is: {found.record_id}")
    if found.columns:
        table(
            ("row", "column", "is", "becomes"),
            [
                (change.row or "", change.column, _value(change.current), _value(change.planned))
                for change in found.columns
            ],
        )
    for sign, lines in (("added", found.lines_added), ("removed", found.lines_removed)):
        if lines:
            say(f"Lines {sign}: {', '.join(lines)}")


def _show_end(shape: "PreviewShape") -> None:
    expected = shape.expected
    lines = len(shape.plan.lines.rows) if shape.plan and shape.plan.lines else 0
    with_lines = f" with {counted_as(lines, 'line')}" if lines else ""
    if not shape.deliverable:
        report(None, f"Nothing would be written: the document is {shape.status}, and is delivered once it is reviewed.")
    elif shape.problems:
        report(False, "The document would be rejected, and go back to the reviewer with the problems above.")
    elif shape.skip is not None:
        report(None, f"The document would be skipped: {shape.skip.message} [{shape.skip.code}]")
    elif expected.operation == "unchanged":
        report(True, "Nothing would change: the row stands as planned.")
    else:
        report(True, f"The row would be {expected.operation}{with_lines} in {shape.plan.table if shape.plan else ''}.")


def _value(value: Any) -> str:
    """Write a value for a table's cell."""
    if value is None:
        return "—"
    if isinstance(value, dict):
        text = ", ".join(f"{name} = {_value(item)}" for name, item in value.items())
    else:
        text = str(value)
    return text if len(text) <= _LONGEST_CELL else f"{text[: _LONGEST_CELL - 1]}…"
