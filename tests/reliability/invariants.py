"""The oracle of every reliability test: what must be true of the world once the bridge is idle.

It looks from outside. What a row must hold is read from the document inside the sandbox of Numora by the few lines in
``content_of``, not by the mapping engine; what happened is read from the sandboxes' own journals; and of the bridge it
reads nothing but the bytes of its ledger. So a mistake in the pipeline cannot hide in the oracle.
"""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

import msgspec

from bridge.sandbox import SandboxWorld
from connectors.numora.sandbox.documents import Callback, SandboxDocument

End = Literal["succeeded", "failed", "skipped", "superseded"]

DOCUMENT_TABLES = ("numora_invoice", "numora_receipt", "numora_contract")
LINE_TABLE = "numora_invoiceline"

_HEADER = {
    "invoice_v2": {
        "numora_name": "invoice_number",
        "numora_invoicedate": "invoice_date",
        "numora_total": "total_amount",
        "numora_subtotal": "subtotal",
        "numora_taxtotal": "tax_amount",
        "numora_currencycode": "currency",
        "numora_vendorname": "vendor_name",
    },
    "receipt_v1": {
        "numora_name": "receipt_number",
        "numora_merchantname": "merchant_name",
        "numora_receiptdate": "receipt_date",
        "numora_total": "total_amount",
    },
    "contract_v1": {
        "numora_name": "title",
        "numora_contractnumber": "contract_number",
        "numora_counterpartyname": "counterparty_name",
        "numora_effectivedate": "effective_date",
        "numora_value": "contract_value",
    },
}
_LINE = {
    "numora_description": "description",
    "numora_productcode": "product_code",
    "numora_quantity": "quantity",
    "numora_unitprice": "unit_price",
    "numora_amount": "amount",
}
_AMOUNTS = frozenset({"total_amount", "subtotal", "tax_amount", "contract_value", "quantity", "unit_price", "amount"})
_TABLES = dict(zip(("invoice_v2", "receipt_v1", "contract_v1"), DOCUMENT_TABLES, strict=True))


@dataclass(frozen=True)
class Content:
    """What must stand at the destination: the row's columns, and the lines, each as a set of column and value."""

    table: str
    header: Mapping[str, Any]
    lines: Counter[frozenset[tuple[str, Any]]] = field(default_factory=Counter)


@dataclass(frozen=True)
class Expected:
    """What must have become of one document.

    ``content`` is None when there must be no row. ``revisions`` is how many contents of it were to be delivered one
    after the other: a row may be updated once for each after the first. ``callbacks`` is how many outcomes Numora must
    have recorded; None takes any number from one. ``by_hand`` is set when a person asked for it once more. ``runs`` is
    how often Numora must have been asked to deliver it by its own means, where that is how it is delivered.
    """

    tenant: str
    id: str
    end: End
    content: Content | None
    revisions: int = 1
    callbacks: int | None = None
    by_hand: bool = False
    runs: int | None = None


@dataclass(frozen=True)
class LedgerFacts:
    """What stands in a ledger: the newest delivery of each document by tenant and id, every request's id.

    ``polled`` tells of each tenant when its last poll ended well, in milliseconds since the epoch.
    """

    newest: Mapping[tuple[str, str], Mapping[str, Any]]
    requests: frozenset[str]
    polled: Mapping[str, int]

    @classmethod
    def read(cls, path: Path, *, live: bool = False) -> "LedgerFacts":
        """Read a ledger; a ``live`` one, which a process has open, in a way that can change nothing about it."""
        with closing(sqlite3.connect(f"file:{path}?mode={'ro' if live else 'rw'}", uri=True)) as connection:
            connection.row_factory = sqlite3.Row
            deliveries = [dict(row) for row in connection.execute("SELECT * FROM deliveries ORDER BY seq")]
            requests = frozenset(row[0] for row in connection.execute("SELECT id FROM requests"))
            polled = {row[0]: row[1] or 0 for row in connection.execute("SELECT tenant, succeeded_at FROM polls")}
        return cls({(one["tenant"], one["document_id"]): one for one in deliveries}, requests, polled)


def amount(value: Any) -> Decimal:
    """Read an amount as it stands in a sample document: a number, or text in the English way."""
    return Decimal(str(value).replace(",", ""))


def content_of(document: SandboxDocument) -> Content:
    """Return what a document's row must hold, as the document is now. For documents in the published shape."""
    values = {name: _plain(cell) for name, cell in document.fields.items()}
    header = {column: _as_stored(name, values.get(name)) for column, name in _HEADER[document.schema].items()}
    header["numora_externalid"] = document.external_id
    lines: Counter[frozenset[tuple[str, Any]]] = Counter()
    for row in lines_of(document):
        cells = {name: _plain(cell) for name, cell in row.items()}
        lines[frozenset((column, _as_stored(name, cells.get(name))) for column, name in _LINE.items())] += 1
    return Content(_TABLES[document.schema], header, lines)


def lines_of(document: SandboxDocument) -> list[dict[str, Any]]:
    """Return a document's lines, in the published shape."""
    assert isinstance(document.line_items, list)
    return document.line_items


def _plain(cell: Any) -> Any:
    return cell["value"] if isinstance(cell, dict) and "value" in cell else cell


def _as_stored(name: str, value: Any) -> Any:
    if value is None:
        return None
    if name.endswith("_date") and "/" in value:
        day, month, year = value.split("/")
        return f"{year}-{month}-{day}"
    return amount(value) if name in _AMOUNTS else value


def violations(world: SandboxWorld, ledger: LedgerFacts, expected: Iterable[Expected]) -> list[str]:
    """Return everything that is not as it must be, in sentences; nothing when all is well."""
    wanted = list(expected)
    found: list[str] = []
    rows = _rows_by_document(world)
    for one in wanted:
        found += _of_document(world, ledger, one, rows.pop(one.id, []))
    found += [f"{id_}: there is a row of a document that nobody expected" for id_ in rows]
    found += _lines_in_all(world, wanted)
    found += _effects(world, ledger, {one.id: one.revisions for one in wanted})
    found += _executions(world.numora.callbacks)
    found += _early(world)
    return found


def standing_violations(
    world: SandboxWorld, ledger: LedgerFacts, histories: Mapping[str, Sequence[Content]]
) -> list[str]:
    """Return what is wrong at a moment when nothing runs, whatever is still to come.

    ``histories`` holds of each document every content it has had: a row holds one of them, as a whole.
    """
    found: list[str] = []
    for id_, rows in _rows_by_document(world).items():
        if len(rows) > 1:
            found.append(f"{id_}: {len(rows)} rows stand at the destination")
        fits = [not list(_content(world, Expected("", id_, "succeeded", one), one, rows[0])) for one in histories[id_]]
        if not any(fits):
            found.append(f"{id_}: its row holds none of the {len(fits)} contents that it has had")
    found += [
        f"{one['id']}: is being worked on by nobody" for one in ledger.newest.values() if one["state"] == "working"
    ]
    found += _effects(world, ledger, {id_: len(contents) for id_, contents in histories.items()})
    found += _executions(world.numora.callbacks)
    found += _early(world)
    return found


def _early(world: SandboxWorld) -> Iterable[str]:
    for sandbox in (world.numora, world.entra, world.dataverse):
        for one in sandbox.windows.violations:
            yield f"{sandbox.name}: {one.method} {one.path} inside a Retry-After window, {one.early:.2f} s early"


def _rows_by_document(world: SandboxWorld) -> dict[str, list[Any]]:
    rows: dict[str, list[Any]] = defaultdict(list)
    for table in DOCUMENT_TABLES:
        for row in world.dataverse.store.rows[table].values():
            rows[row.values["numora_sourceid"]].append(row)
    return rows


def _of_document(world: SandboxWorld, ledger: LedgerFacts, one: Expected, rows: Sequence[Any]) -> Iterable[str]:
    row = rows[0] if rows else None
    if len(rows) != (one.content is not None):
        yield f"{one.id}: {len(rows)} rows stand at the destination"
    elif one.content is not None and row is not None:
        yield from _content(world, one, one.content, row)
    newest = ledger.newest.get((one.tenant, one.id))
    if newest is None:
        yield f"{one.id}: lost, the ledger has no delivery of it"
        return
    if newest["state"] != one.end or newest["due_at"] is not None:
        yield f"{one.id}: {newest['state']}, step {newest['step']}, where {one.end} and rest is expected"
    if one.runs is not None:
        yield from _runs(world, one, one.runs)
        return
    if row is not None and newest["record_id"] != row.id:
        yield f"{one.id}: the ledger knows row {newest['record_id']}, and it is {row.id}"
    if one.end == "succeeded" and newest["operation"] not in {"created", "updated", "unchanged"}:
        yield f"{one.id}: succeeded with operation {newest['operation']}"
    if one.revisions == 1 and not one.by_hand and one.end == "succeeded" and newest["operation"] != "created":
        yield f"{one.id}: its row was created by us, and the ledger says {newest['operation']}"
    yield from _callbacks(world, one, newest, row)


def _content(world: SandboxWorld, one: Expected, content: Content, row: Any) -> Iterable[str]:
    if row.table.name != content.table:
        yield f"{one.id}: stands in {row.table.name} and not in {content.table}"
    for column, value in content.header.items():
        if row.values.get(column) != value:
            yield f"{one.id}: {column} is {row.values.get(column)!r} and not {value!r}"
    if content.table != DOCUMENT_TABLES[0]:
        return
    store = world.dataverse.store
    lines = Counter(
        frozenset((column, line.values.get(column)) for column in _LINE)
        for line in store.referring(store.catalog.by_name[LINE_TABLE], "numora_invoice", row.id)
    )
    for line in (lines - content.lines).elements():
        yield f"{one.id}: a line too many: {dict(line)}"
    for line in (content.lines - lines).elements():
        yield f"{one.id}: a line is missing: {dict(line)}"


def _runs(world: SandboxWorld, one: Expected, expected: int) -> Iterable[str]:
    """Numora delivered it by its own means, as often as it was to and no oftener, and was told of nothing."""
    workspace = world.workspace(one.tenant)
    runs = sum(run.document_id == one.id for run in workspace.catalogue.runs.values())
    if runs != expected:
        yield f"{one.id}: Numora was asked {runs} times to deliver it, where {expected} are expected"
    document = workspace.documents[one.id]
    if document.status != f"push_{one.end}":
        yield f"{one.id}: is {document.status} at Numora, where {one.end} is expected"
    if document.callbacks:
        yield f"{one.id}: {len(document.callbacks)} outcomes were reported, where none is expected"


def _callbacks(world: SandboxWorld, one: Expected, newest: Mapping[str, Any], row: Any) -> Iterable[str]:
    document = world.workspace(one.tenant).documents.get(one.id)
    if document is None:
        return
    accepted = list(document.accepted.values())
    if one.callbacks is not None and len(accepted) != one.callbacks:
        yield f"{one.id}: {len(accepted)} outcomes were reported, where {one.callbacks} are expected"
    if one.end == "superseded":
        return
    if not accepted:
        yield f"{one.id}: no outcome was reported"
        return
    last = msgspec.json.decode(accepted[-1].body)
    if last["status"] != one.end:
        yield f"{one.id}: {last['status']} was reported last, where {one.end} is expected"
    if one.end == "succeeded" and (row is None or last.get("external_record_id") != row.id):
        yield f"{one.id}: the report names row {last.get('external_record_id')}"
    if one.end != "succeeded" and not last.get("error_code"):
        yield f"{one.id}: {one.end} was reported without an error code"
    if newest["callback"] != accepted[-1].body:
        yield f"{one.id}: the ledger's callback is not the one that was accepted last"
    if newest["execution_id"] != accepted[-1].execution_id:
        yield f"{one.id}: the ledger's execution id is not the one that was accepted last"
    status = {"succeeded": "push_succeeded", "failed": "push_failed"}.get(one.end)
    if status is not None and document.status != status:
        yield f"{one.id}: is {document.status} at Numora, where {status} is expected"


def _lines_in_all(world: SandboxWorld, wanted: Iterable[Expected]) -> Iterable[str]:
    there = len(world.dataverse.store.rows[LINE_TABLE])
    expected = sum(one.content.lines.total() for one in wanted if one.content is not None)
    if there != expected:
        yield f"{there} lines stand at the destination, where {expected} are expected"


def _effects(world: SandboxWorld, ledger: LedgerFacts, revisions: Mapping[str, int]) -> Iterable[str]:
    """Every effect was journalled before; each row came to be once; no row was touched more often than its content."""
    store = world.dataverse.store
    counts: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for effect in world.dataverse.effects:
        counts[effect.table, effect.id][effect.kind] += 1
        if effect.request_id not in ledger.requests:
            yield f"{effect.kind} of {effect.table} {effect.id}: its request {effect.request_id} was never journalled"
    for (table, row_id), kinds in counts.items():
        row = store.get(table, row_id)
        if kinds["create"] != kinds["delete"] + (row is not None):
            yield f"{table} {row_id}: created {kinds['create']} times, deleted {kinds['delete']} times"
        allowed = _revisions_of(store, table, row, revisions)
        if kinds["create"] > allowed or kinds["update"] > allowed - 1:
            yield f"{table} {row_id}: {dict(kinds)} for {allowed} contents"


def _revisions_of(store: Any, table: str, row: Any, revisions: Mapping[str, int]) -> int:
    most = max(revisions.values(), default=1)
    if row is None:
        return most
    if table == LINE_TABLE:
        parent = row.values.get("numora_invoice")
        row = None if parent is None else store.get("numora_invoice", parent.id)
    if row is None:
        return most
    return revisions.get(row.values.get("numora_sourceid"), 1)


def _executions(callbacks: Iterable[Callback]) -> Iterable[str]:
    bodies: dict[str | None, set[bytes]] = defaultdict(set)
    for callback in callbacks:
        bodies[callback.execution_id].add(callback.body)
        if callback.verdict not in {"accepted", "replayed"}:
            yield f"{callback.document_id}: Numora took the callback as {callback.verdict}: {callback.body!r}"
    for execution_id, different in bodies.items():
        if len(different) > 1:
            yield f"execution {execution_id} was sent with {len(different)} different bodies"


def secrets_of(world: SandboxWorld, tenants: Iterable[str]) -> set[str]:
    """Return every secret that a bridge of this world knows, the access tokens it was given included."""
    secrets = set(world.entra._tokens)
    for name in tenants:
        tenant = world.tenant(name)
        secrets |= {tenant.numora_key, tenant.client_secret, tenant.api_key}
    return secrets


def leaks(secrets: Iterable[str], *places: Path | bytes) -> list[str]:
    """Return which secrets stand in these files, folders of files or texts, in clear or in base64."""
    found = []
    for place in places:
        contents = (
            {"what was logged": place}
            if isinstance(place, bytes)
            else {
                str(file): file.read_bytes()
                for file in ([place] if place.is_file() else place.rglob("*"))
                if file.is_file()
            }
        )
        for name, content in contents.items():
            found += [f"a secret stands in {name}" for secret in secrets if secret.encode() in content]
    return found
