"""Files that hang on the document's row: as notes, or in a file column.

They are fetched before the row is written and attached after it; both are safe to repeat.
"""

from base64 import b64encode
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from connectors.dataverse.client import JSON_HEADERS, DataverseClient, escaped
from connectors.dataverse.keys import note_id
from connectors.dataverse.prepared import PreparedRow
from connectors.dataverse.refusals import refusal_of
from connectors.files import FetchedFile
from connectors.http import encode_json
from connectors.outcome import BlockedError
from connectors.ports import KnownRow, RequestLog
from mappings.plan import AttachmentPlan

FetchFile = Callable[[str], Awaitable[FetchedFile]]
"""Fetches a file by URL, with whatever guard the caller puts on such addresses. Raises ``OutcomeError``s."""


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that was fetched; ``note_id`` is the primary key of its note, None for a file column."""

    plan: AttachmentPlan
    note_id: str | None
    file: FetchedFile


class Attachments:
    """Attaches files to rows of one environment. ``fetch`` None means that none can be fetched."""

    def __init__(self, client: DataverseClient, fetch: FetchFile | None) -> None:
        self._client = client
        self._fetch = fetch

    async def missing(self, prepared: PreparedRow, known: KnownRow, log: RequestLog) -> Sequence[Attachment]:
        """Fetch the files that are to be attached; a note that is there already is left as it is, and not fetched.

        This comes before the row: a file that cannot be had rejects the document, and a rejection leaves no row behind.
        """
        found: list[Attachment] = []
        for number, plan in enumerate(prepared.attachments):
            row_id = note_id(prepared.key, str(number)) if plan.kind == "note" else None
            if row_id is not None:
                if prepared.table.has_notes is False:
                    message = f"{prepared.table.name} takes no notes. Switch attachments on for the table."
                    raise BlockedError("notes_disabled", message)
                if known.may_exist and await self._is_there(row_id, log):
                    continue
            found.append(Attachment(plan, row_id, await self._fetched(plan)))
        return found

    async def attach(
        self, prepared: PreparedRow, record_id: str, missing: Sequence[Attachment], log: RequestLog
    ) -> None:
        """Hang the files on the row. A note is created once; a file column is overwritten."""
        for one in missing:
            if one.note_id is not None:
                await self._note(prepared, record_id, one.note_id, one.file, log)
            else:
                await self._file_column(prepared, record_id, one, log)

    async def _fetched(self, plan: AttachmentPlan) -> FetchedFile:
        if self._fetch is None:
            raise BlockedError("attachments_unavailable", "The mapping attaches files, and this bridge fetches none.")
        return await self._fetch(plan.url)

    async def _is_there(self, row_id: str, log: RequestLog) -> bool:
        path = f"annotations({row_id})?$select=annotationid"
        answer = await self._client.request("GET", path, purpose="read note", log=log)
        if answer.status < 300:
            answer.json()
            return True
        refusal = refusal_of(answer)
        if refusal.not_found:
            return False
        raise self._client.outcome(refusal, "read note", mutating=False)

    async def _note(
        self, prepared: PreparedRow, record_id: str, row_id: str, file: FetchedFile, log: RequestLog
    ) -> None:
        table = prepared.table
        body = {
            "annotationid": row_id,
            "subject": file.name,
            "filename": file.name,
            "mimetype": file.media_type,
            "documentbody": b64encode(file.content).decode("ascii"),
            f"objectid_{table.name}@odata.bind": f"/{table.set_name}({record_id})",
        }
        answer = await self._client.request(
            "POST",
            "annotations",
            purpose="create note",
            mutating=True,
            headers=JSON_HEADERS,
            body=encode_json(body),
            log=log,
        )
        if answer.status >= 300:
            refusal = refusal_of(answer)
            if not refusal.taken:
                raise self._client.outcome(refusal, "create note", mutating=True)

    async def _file_column(self, prepared: PreparedRow, record_id: str, one: Attachment, log: RequestLog) -> None:
        file = one.file
        path = f"{prepared.table.set_name}({record_id})/{quote(one.plan.column or '', safe='')}"
        headers = {"Content-Type": "application/octet-stream"}
        # The header takes ASCII only; other names go into the query.
        if file.name.isascii() and file.name.isprintable():
            headers["x-ms-file-name"] = file.name
        else:
            path += f"?x-ms-file-name={escaped(file.name)}"
        answer = await self._client.request(
            "PATCH", path, purpose="upload file", mutating=True, headers=headers, body=file.content, log=log
        )
        if answer.status >= 300:
            raise self._client.outcome(refusal_of(answer), "upload file", mutating=True)
