"""Numora as a ``Source``: where reviewed documents are listed, read, and reported back to."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final

from connectors.http import HttpPeer
from connectors.numora.calls import NumoraCalls, RateLimit
from connectors.numora.capabilities import numora_capabilities
from connectors.numora.listing import to_history, to_page
from connectors.numora.models import DocumentState, Result, understand
from connectors.numora.refusals import CURSOR_REFUSED, GONE, callback_failure, is_success
from connectors.numora.settings import NumoraSettings
from connectors.numora.statuses import NOT_DELIVERABLE
from connectors.numora.translate import to_document, to_report_body
from connectors.outcome import CursorRefusedError, OutboxAbsentError, RejectedError
from connectors.ports import Listing, OutboxPage, Report, RequestLog
from mappings.document import Document

PROBE_DOCUMENT: Final = "numora-bridge-probe"
"""An id that no document has: its 404 proves that the key was accepted."""

_log = logging.getLogger(__name__)


class NumoraSource:
    """One tenant's Numora. Every call raises ``OutcomeError``s and nothing else."""

    kind = "numora"

    def __init__(self, settings: NumoraSettings, peer: HttpPeer) -> None:
        self._settings = settings
        self._calls = NumoraCalls(settings, peer)
        self._addresses = self._calls.addresses
        self.capabilities = numora_capabilities(settings, self._calls)

    @property
    def rate_limit(self) -> RateLimit | None:
        """The last rate limit that Numora told."""
        return self._calls.rate_limit

    async def list_outbox(self, cursor: str | None) -> OutboxPage:
        """Read one page of reviewed documents; ``cursor`` is one that Numora gave, or None for the window's start.

        Raises ``CursorRefusedError`` when Numora no longer takes the cursor, ``OutboxAbsentError`` when there is no
        outbox.
        """
        poll = self._settings.poll
        query = {"provider": self._settings.provider, "limit": str(poll.limit)}
        if cursor is not None:
            query[poll.cursor_param] = cursor
        address = self._addresses.outbox(query)
        answer = await self._calls.get(address, "outbox")
        if cursor is not None and answer.status in CURSOR_REFUSED:
            raise CursorRefusedError(
                "cursor_refused",
                f"Numora no longer takes the cursor ({answer.status}). The window is read from its start.",
            )
        if answer.status in GONE:
            raise OutboxAbsentError(
                "outbox_absent",
                f"Numora has no outbox here ({answer.status}). Set trigger: route and let Numora's executor call "
                "POST /hooks/{tenant}/executor. If you do expect an outbox, check base_url.",
            )
        self._calls.require_success(answer, "outbox", address)
        return to_page(answer.json(), cursor)

    async def fetch(self, listing: Listing, log: RequestLog) -> Document | None:
        """Read the document's content as it is now; None when Numora no longer has it.

        This is one request for an entry of the outbox. What a person or a webhook named comes without metadata and
        time of change; then the document itself is read as well.
        """
        standard = self._addresses.result(listing.document_id)
        address = self._result_address(listing, standard)
        answer = await self._calls.read(address, "result", log)
        if answer is None and address != standard:
            # A gateway may serve us under a path that Numora, which named the address, knows nothing of.
            answer = await self._calls.read(standard, "result", log)
        if answer is None:
            return None
        result = understand(Result, answer.json(), "result")
        if listing.updated_at is not None:
            return to_document(listing, result)
        state = await self.document(listing.document_id, log)
        return None if state is None else to_document(listing, result, state)

    def is_deliverable(self, status: str | None) -> bool:
        """Tell whether a document in this status may be delivered, or has gone back to review."""
        return status not in NOT_DELIVERABLE

    def encode_report(self, report: Report) -> bytes:
        """Return the exact body to send. Equal reports give equal bytes."""
        return to_report_body(report, self._settings.provider)

    async def report(self, document_id: str, body: bytes, log: RequestLog) -> None:
        """Send the outcome. Safe to send again with the same bytes: Numora knows it by its ``execution_id``.

        Raises ``ConflictError``: ``callback_conflict`` on 409, ``callback_refused`` on any other refusal of this
        callback.
        """
        address = self._addresses.delivery(document_id)
        answer = await self._calls.change("POST", address, "callback", body, log)
        if not is_success(answer):
            raise callback_failure(answer, body)

    async def probe(self) -> None:
        """Make one cheap authenticated call: the read that was refused last, or one that a delivery would make."""
        address = self._calls.refused_address
        if address is None and self._settings.trigger == "outbox":
            address = self._addresses.outbox({"provider": self._settings.provider, "limit": "1"})
        elif address is None:
            address = self._addresses.document(PROBE_DOCUMENT)
        answer = await self._calls.get(address, "probe")
        purpose = "outbox" if self._addresses.is_outbox(address) else "probe"
        if answer.status not in GONE:
            # A refusal of the document alone proves that the key was accepted.
            with suppress(RejectedError):
                self._calls.require_success(answer, purpose, address)
        self._calls.refused_address = None

    async def document(self, document_id: str, log: RequestLog | None = None) -> DocumentState | None:
        """Read a document's state; None when Numora does not have it."""
        return await self._calls.document(document_id, log)

    async def delivery_history(self, document_id: str, log: RequestLog | None = None) -> tuple[Mapping[str, Any], ...]:
        """Read what Numora recorded of a document's deliveries, in Numora's own words and order."""
        answer = await self._calls.read(self._addresses.delivery(document_id), "history", log)
        return () if answer is None else to_history(answer.json())

    async def close(self) -> None:
        """Let go of what is held: nothing, for the connections belong to the session behind the peer."""

    def _result_address(self, listing: Listing, standard: str) -> str:
        """Return the address that Numora named, when it is on our own origin; the standard one otherwise."""
        if listing.result_url is None or self._addresses.is_same(listing.result_url, standard):
            return standard
        address = self._addresses.named(listing.result_url)
        if address is None:
            _log.warning(
                "numora named an address for the result of document %s that is not on base_url's origin; the API key "
                "does not go there, and the standard path is read instead",
                listing.document_id,
            )
            return standard
        return address
