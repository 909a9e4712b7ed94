"""Files that hang on the document's row: as notes, or in a file column. Written after the row, safe to repeat."""

from base64 import b64encode
from collections.abc import Awaitable, Callable
from urllib.parse import quote

from connectors.dataverse.client import JSON_HEADERS, DataverseClient, escaped
from connectors.dataverse.keys import note_id
from connectors.dataverse.prepared import PreparedRow
from connectors.dataverse.refusals import refusal_of
from connectors.files import FetchedFile
from connectors.http import encode_json
from connectors.outcome import BlockedError
from connectors.ports import RequestLog
from mappings.plan import AttachmentPlan

FetchFile = Callable[[str], Awaitable[FetchedFile]]
"""Fetches a file by URL, with whatever guard the caller puts on such addresses. Raises ``OutcomeError``s."""


class Attachments:
    """Attaches files to rows of one environment. ``fetch`` None means that none can be fetched."""

    def __init__(self, client: DataverseClient, fetch: FetchFile | None) -> None:
        self._client = client
        self._fetch = fetch

    async def attach(self, prepared: PreparedRow, record_id: str, log: RequestLog) -> None:
        """Attach every file of the plan. A note that is there is left as it is; a file column is overwritten."""
        for number, plan in enumerate(prepared.attachments):
            if plan.kind == "note":
                await self._note(prepared, record_id, plan, note_id(prepared.key, str(number)), log)
            else:
                await self._file_column(prepared, record_id, plan, log)

    async def _fetched(self, plan: AttachmentPlan) -> FetchedFile:
        if self._fetch is None:
            raise BlockedError("attachments_unavailable", "The mapping attaches files, and this bridge fetches none.")
        return await self._fetch(plan.url)

    async def _note(
        self, prepared: PreparedRow, record_id: str, plan: AttachmentPlan, row_id: str, log: RequestLog
    ) -> None:
        table = prepared.table
        if table.has_notes is False:
            raise BlockedError("notes_disabled", f"{table.name} takes no notes. Switch attachments on for the table.")
        path = f"annotations({row_id})?$select=annotationid"
        answer = await self._client.request("GET", path, purpose="read note", log=log)
        if answer.status < 300:
            answer.json()
            return
        refusal = refusal_of(answer)
        if not refusal.not_found:
            raise self._client.outcome(refusal, "read note", mutating=False)
        file = await self._fetched(plan)
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

    async def _file_column(self, prepared: PreparedRow, record_id: str, plan: AttachmentPlan, log: RequestLog) -> None:
        file = await self._fetched(plan)
        path = f"{prepared.table.set_name}({record_id})/{quote(plan.column or '', safe='')}"
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
