"""Writing the document's row, once, whatever was tried before.

The identity of the row is decided before anything is sent, and the server's unique index holds every create to it.
So a create may be sent again after an unknown outcome, and "taken" is the answer to look again.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from connectors.dataverse.batch import LARGEST_CHANGE_SET, Operation, Part, read_change_set, write_change_set
from connectors.dataverse.catalog import Catalog
from connectors.dataverse.client import CREATED, JSON_HEADERS, DataverseClient
from connectors.dataverse.difference import Difference, difference
from connectors.dataverse.lookups import Lookups
from connectors.dataverse.naming import namer
from connectors.dataverse.prepared import PreparedLine, PreparedLines, PreparedRow
from connectors.dataverse.reading import Reading, StoredDocument, StoredRow
from connectors.dataverse.refusals import Refusal, read_refusal, refusal_of
from connectors.http import Answer, encode_json, parse_retry_after
from connectors.outcome import OutcomeError, RejectedError, TransientError, UnknownOutcomeError
from connectors.ports import KnownRow, RequestLog
from connectors.ports import Operation as Done
from mappings.plan import Problem

_CORRECTION = "correct row"


class Writer:
    """Writes rows of one environment. Above ``deep_insert_limit`` lines a create is a change set."""

    def __init__(
        self, client: DataverseClient, catalog: Catalog, lookups: Lookups, reading: Reading, *, deep_insert_limit: int
    ) -> None:
        self._client = client
        self._catalog = catalog
        self._lookups = lookups
        self._reading = reading
        self._deep_insert_limit = deep_insert_limit

    async def write(self, prepared: PreparedRow, known: KnownRow, log: RequestLog) -> tuple[str, Done]:
        """Create or correct the row. Returns its id and what was done."""
        stored: StoredDocument | None = None
        ours = known.may_exist and known.record_id is None
        if known.may_exist or known.record_id is not None:
            stored = await self._reading.document(prepared, known, log)
        if stored is None:
            refusal, record_id = await self._create(prepared, log)
            if refusal is None and record_id is not None:
                return record_id, "created"
            stored = await self._reading.document(prepared, known, log)
            if refusal is None:
                if stored is None:
                    raise UnknownOutcomeError("bad_answer", "Dataverse did not tell the id of the new row; it is read.")
                ours = True
            elif stored is None:
                return await self._create_with_strays(prepared, refusal, log), "created"
        changes = difference(prepared, stored, known)
        if changes:
            await self._correct(prepared, stored.row, changes, log)
            return stored.row.id, "updated"
        if ours:
            return stored.row.id, "created"
        return stored.row.id, "updated" if _CORRECTION in known.unsettled else "unchanged"

    async def _create(self, prepared: PreparedRow, log: RequestLog) -> tuple[Refusal | None, str | None]:
        """Create the row with its lines in one transaction.

        Returns the refusal when a key is taken, else the new row's id (None when the answer does not tell it).
        """
        lines = prepared.lines
        if lines is not None and len(lines.rows) > self._deep_insert_limit:
            operations = [self._post(prepared.table.set_name, prepared.header)]
            operations += [self._post_line(lines, prepared, row, "$1") for row in lines.rows]
            refusal, entity_id = await self._change_set(prepared, operations, [None, *lines.rows], "create row", log)
        else:
            answer = await self._client.request(
                "POST",
                prepared.table.set_name,
                purpose="create row",
                mutating=True,
                headers=JSON_HEADERS,
                body=encode_json(prepared.body),
                log=log,
            )
            refusal, entity_id = None, answer.headers.get("OData-EntityId")
            if answer.status >= 300:
                refusal = refusal_of(answer)
                if not refusal.taken:
                    raise self._outcome(refusal, "create row", prepared)
            elif answer.status not in CREATED:
                return None, None
        return refusal, prepared.row_id or _id_in(entity_id)

    async def _create_with_strays(self, prepared: PreparedRow, refusal: Refusal, log: RequestLog) -> str:
        """Create the row when it is gone but lines of it are still there: a deleted row can leave its lines behind."""
        lines = prepared.lines
        strays = {} if lines is None else await self._reading.lines(lines, [row.id for row in lines.rows], log)
        if lines is None or not strays:
            raise self._taken_by_another(prepared, refusal)
        operations = [self._post(prepared.table.set_name, prepared.header)]
        operations += self._added(lines, prepared, lines.rows, strays, "$1")
        refused, entity_id = await self._change_set(prepared, operations, [None, *lines.rows], "create row", log)
        if refused is not None:
            raise TransientError("row_changed", "Someone else is writing the same row; it is read again.")
        record_id = prepared.row_id or _id_in(entity_id)
        if record_id is None:
            raise UnknownOutcomeError("bad_answer", "Dataverse did not tell the id of the new row; it is read.")
        return record_id

    async def _correct(self, prepared: PreparedRow, row: StoredRow, changes: Difference, log: RequestLog) -> None:
        """Send what differs, as one transaction.

        Each row that is changed carries the version that was read. When only lines differ the header is left alone:
        touching it would run the customer's own logic on it for nothing, and each line is guarded by itself.
        """
        refusal = await self._send_changes(prepared, row, changes, {}, log)
        if refusal is None:
            return
        lines = prepared.lines
        strays = {} if lines is None else await self._reading.lines(lines, [one.id for one in changes.added], log)
        if not strays:
            if refusal.bare_conflict:
                raise TransientError("row_changed", "Someone else changed the row meanwhile; it is read again.")
            raise self._taken_by_another(prepared, refusal)
        if await self._send_changes(prepared, row, changes, strays, log) is not None:
            raise TransientError("row_changed", "Someone else is writing the same lines; they are read again.")

    async def _send_changes(
        self,
        prepared: PreparedRow,
        row: StoredRow,
        changes: Difference,
        strays: Mapping[str, StoredRow],
        log: RequestLog,
    ) -> Refusal | None:
        operations: list[Operation] = []
        about: list[PreparedLine | None] = []
        header = self._path(f"{prepared.table.set_name}({row.id})")
        if changes.columns or changes.bindings:
            body: dict[str, Any] = dict(changes.columns)
            body.update((f"{one.navigation}@odata.bind", one.path) for one in changes.bindings)
            operations.append(Operation("PATCH", header, encode_json(body), row.etag))
            about.append(None)
        lines = prepared.lines
        if lines is not None:
            operations += self._added(lines, prepared, changes.added, strays, f"/{prepared.table.set_name}({row.id})")
            about += changes.added
            for line, there, columns in changes.changed:
                operations.append(Operation("PATCH", self._line_path(lines, line.id), encode_json(columns), there.etag))
                about.append(line)
            for there in changes.removed:
                operations.append(Operation("DELETE", self._line_path(lines, there.id), etag=there.etag))
                about.append(None)
        if len(operations) > LARGEST_CHANGE_SET:
            message = f"line_items: {len(operations)} changes, and Dynamics takes {LARGEST_CHANGE_SET} at once."
            raise RejectedError((Problem("line_items", None, "too_many_lines", message),))
        refusal, _ = await self._change_set(prepared, operations, about, _CORRECTION, log)
        return refusal

    async def _change_set(
        self,
        prepared: PreparedRow,
        operations: Sequence[Operation],
        about: Sequence[PreparedLine | None],
        purpose: str,
        log: RequestLog,
    ) -> tuple[Refusal | None, str | None]:
        """Send operations as one transaction; ``about`` tells which line each is about.

        Returns the refusal when a key is taken, and what the first operation's answer says of its row.
        """
        content_type, body = write_change_set(operations)
        answer = await self._client.request(
            "POST", "$batch", purpose=purpose, mutating=True, headers={"Content-Type": content_type}, body=body, log=log
        )
        read = read_change_set(answer.headers.get("Content-Type", ""), answer.body)
        refusal: Refusal | None = None
        line: PreparedLine | None = None
        if read is None and answer.status >= 300:
            refusal = refusal_of(answer)
        elif read is not None and (failure := read.failure) is not None:
            refusal = _refusal_in(failure, answer)
            number = failure.content_id
            line = about[number - 1] if number is not None and 1 <= number <= len(about) else None
        if refusal is not None:
            if refusal.taken:
                return refusal, None
            raise self._outcome(refusal, purpose, prepared, line)
        answered = 0 if read is None else len(read.parts)
        if read is None or answered < len(operations):
            raise UnknownOutcomeError(
                "bad_answer",
                f"{purpose} was answered with {answer.status}, for {answered} of {len(operations)} operations.",
            )
        return None, None if read.first is None else read.first.entity_id

    def _outcome(
        self, refusal: Refusal, purpose: str, prepared: PreparedRow, line: PreparedLine | None = None
    ) -> OutcomeError:
        """Return what follows from a refusal other than a taken key, and forget what it shows to be out of date."""
        if refusal.undeclared:
            tables = [prepared.table, *([prepared.lines.table] if prepared.lines is not None else [])]
            if self._catalog.doubt(*tables):
                return TransientError(
                    "metadata_changed", f"The table has changed: {refusal.message} Its definition is read again."
                )
        elif refusal.not_found and refusal.status < 500 and (prepared.resolved or purpose == _CORRECTION):
            for one in prepared.resolved:
                self._lookups.forget(one)
            return TransientError(
                "reference_gone", f"A row that is referred to is gone: {refusal.message} It is looked for again."
            )
        return self._client.outcome(refusal, purpose, mutating=True, name=namer(prepared, line))

    def _taken_by_another(self, prepared: PreparedRow, refusal: Refusal) -> OutcomeError:
        """Return what follows when a key is taken and neither the row nor its lines are there."""
        told = refusal.message
        keys = [
            *(prepared.table.keys or ()),
            *((prepared.lines.table.keys or ()) if prepared.lines is not None else ()),
        ]
        if any(key.columns != {prepared.key_column} for key in keys):
            field, column = namer(prepared)(told)
            message = f"Another row in Dynamics has these values already: {told or 'a unique key is taken'}"
            return RejectedError((Problem(field, column, "duplicate_in_target", message),))
        return TransientError("row_unsettled", f"The row's key is taken and the row cannot be read yet: {told}")

    def _added(
        self,
        lines: PreparedLines,
        prepared: PreparedRow,
        added: Sequence[PreparedLine],
        strays: Mapping[str, StoredRow],
        parent: str,
    ) -> list[Operation]:
        operations: list[Operation] = []
        for line in added:
            stray = strays.get(line.id)
            if stray is None:
                operations.append(self._post_line(lines, prepared, line, parent))
            else:
                body = encode_json({**line.columns, lines.parent: parent})
                operations.append(Operation("PATCH", self._line_path(lines, line.id), body, stray.etag))
        return operations

    def _post_line(self, lines: PreparedLines, prepared: PreparedRow, line: PreparedLine, parent: str) -> Operation:
        return self._post(lines.table.set_name, {**prepared.line_body(line), lines.parent: parent})

    def _post(self, set_name: str, body: Mapping[str, Any]) -> Operation:
        return Operation("POST", self._path(set_name), encode_json(body))

    def _line_path(self, lines: PreparedLines, line_id: str) -> str:
        return self._path(f"{lines.table.set_name}({line_id})")

    def _path(self, path: str) -> str:
        return self._client.root_path + path


def _refusal_in(part: Part, answer: Answer) -> Refusal:
    """Read the refusal of a change set out of the part that tells it."""
    told = part.retry_after
    retry_after = answer.retry_after if told is None else parse_retry_after(told, datetime.now(UTC))
    return read_refusal(part.status, part.body, retry_after=retry_after)


def _id_in(entity_id: str | None) -> str | None:
    """Return the GUID at the end of an ``OData-EntityId``; None when it ends in a key of another form."""
    if entity_id is None:
        return None
    try:
        return str(UUID(entity_id.rstrip().removesuffix(")").rpartition("(")[2]))
    except ValueError:
        return None
