"""Dataverse as a destination: what the pipeline asks for, put together from the parts of this folder."""

import time
from collections.abc import Callable, Sequence

from connectors.dataverse.attachments import Attachments, FetchFile
from connectors.dataverse.catalog import Catalog
from connectors.dataverse.check import Checking
from connectors.dataverse.client import DataverseClient, TokenProvider
from connectors.dataverse.difference import preview
from connectors.dataverse.lookups import Lookups
from connectors.dataverse.prepared import PreparedRow
from connectors.dataverse.preparing import Preparing
from connectors.dataverse.reading import Reading
from connectors.dataverse.refusals import refusal_of
from connectors.dataverse.settings import DataverseSettings
from connectors.dataverse.writer import Writer
from connectors.http import HttpPeer
from connectors.outcome import BlockedError, ThrottledError, TransientError
from connectors.ports import DocumentKey, KnownRow, PreparedWrite, RequestLog, RowDifference, WriteResult
from mappings.compiled import CompiledMapping
from mappings.findings import Finding
from mappings.plan import WritePlan


class DataverseDestination:
    """One environment, used by one tenant. ``fetch_file`` fetches attachments; without it there are none."""

    kind = "dataverse"

    def __init__(
        self,
        settings: DataverseSettings,
        peer: HttpPeer,
        tokens: TokenProvider,
        *,
        fetch_file: FetchFile | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = DataverseClient(
            settings.url,
            peer,
            tokens,
            read_timeout=settings.timeout.total_seconds(),
            write_timeout=settings.write_timeout.total_seconds(),
        )
        self._catalog = Catalog(self._client, monotonic=monotonic)
        self._lookups = Lookups(self._client, self._catalog, monotonic=monotonic)
        self._reading = Reading(self._client, self._catalog)
        self._preparing = Preparing(self._catalog, self._lookups)
        self._writer = Writer(
            self._client,
            self._catalog,
            self._lookups,
            self._reading,
            deep_insert_limit=settings.deep_insert_limit,
        )
        self._checking = Checking(self._catalog)
        self._attachments = Attachments(self._client, fetch_file)

    async def check(self, mapping: CompiledMapping) -> Sequence[Finding]:
        """Hold every name of the mapping against the live tables; one finding for each that does not fit."""
        return await self._checking.check(mapping)

    async def prepare(
        self, plan: WritePlan, key: DocumentKey, log: RequestLog, *, create_missing: bool = True
    ) -> PreparedRow:
        """Resolve lookups and hold the values against the columns' limits.

        Raises ``RejectedError`` with every problem of the document, ``SkippedError`` (``lookup_missing``) by the
        mapping's policy, ``BlockedError`` when the mapping names what the environment does not have.
        """
        return await self._preparing.prepare(plan, key, log, create_missing=create_missing)

    async def write(self, prepared: PreparedWrite, known: KnownRow, log: RequestLog) -> WriteResult:
        """Fetch the files that are to be attached, create or correct the row, then attach them."""
        row = _own(prepared)
        missing = await self._attachments.missing(row, known, log) if row.attachments else ()
        record_id, operation = await self._writer.write(row, known, log)
        if missing:
            await self._attachments.attach(row, record_id, missing, log)
        return WriteResult(record_id, self._url(row, record_id), operation)

    async def compare(self, prepared: PreparedWrite, known: KnownRow, log: RequestLog) -> RowDifference:
        """Tell how the row as it is differs from the plan; writes nothing."""
        row = _own(prepared)
        stored = await self._reading.document(row, known, log)
        if stored is None:
            lines = () if row.lines is None else tuple(line.key for line in row.lines.rows)
            return RowDifference(None, lines_added=lines)
        return preview(row, stored, known)

    async def probe(self) -> None:
        """Read one row's id of a table that is written to, or who we are as long as no table is known.

        ``WhoAmI`` goes well without any right to data, so it only stands in until a mapping was checked or used.
        """
        known = self._catalog.known
        path = f"{known[0].set_name}?$select={known[0].primary_id}&$top=1" if known else "WhoAmI"
        answer = await self._client.request("GET", path, purpose="probe")
        if answer.status < 300:
            return
        outcome = self._client.outcome(refusal_of(answer), "probe", mutating=False)
        # A target that is there and lets us in, but takes no such query, is well enough.
        if isinstance(outcome, BlockedError) and outcome.code == "read_refused":
            return
        if isinstance(outcome, BlockedError | ThrottledError | TransientError):
            raise outcome

    async def close(self) -> None:
        """End what runs in the background."""
        await self._catalog.close()
        await self._client.close()

    def _url(self, row: PreparedRow, record_id: str) -> str:
        return f"{self._client.org_url}/main.aspx?etn={row.table.name}&id={record_id}&pagetype=entityrecord"


def _own(prepared: PreparedWrite) -> PreparedRow:
    if not isinstance(prepared, PreparedRow):
        raise TypeError(f"a row prepared by Dataverse is needed, not {type(prepared).__name__}")
    return prepared
