"""Numora as a ``Source``: where reviewed documents are listed, read, and reported back to."""

import logging
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final

from connectors.http import Answer, HttpPeer, Wire
from connectors.numora.addresses import Addresses
from connectors.numora.listing import to_history, to_page
from connectors.numora.models import DocumentState, Result, understand
from connectors.numora.refusals import (
    CURSOR_REFUSED,
    GONE,
    callback_failure,
    is_success,
    read_failure,
)
from connectors.numora.settings import NumoraSettings
from connectors.numora.translate import to_document, to_report_body
from connectors.outcome import BlockedError, CursorRefusedError, OutboxAbsentError, RejectedError
from connectors.ports import Listing, OutboxPage, Report, RequestLog
from mappings.document import Document

NUMORA_WIRE: Final = Wire(
    name="numora",
    headers={"Accept": "application/json"},
    request_id_header="x-request-id",
    peer_request_id_headers=("x-request-id",),
)
"""What the shared HTTP layer needs to know of Numora."""

NOT_DELIVERABLE: Final = frozenset({"processing", "review_required", "failed"})
"""Statuses in which nothing reviewed is there to deliver. Any other one, also an unknown one, may be delivered."""

PROBE_DOCUMENT: Final = "numora-bridge-probe"
"""An id that no document has: its 404 proves that the key was accepted."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The last rate-limit headers as they came, for Numora publishes neither their units nor their format."""

    limit: str | None
    remaining: str | None
    reset: str | None


class NumoraSource:
    """One tenant's Numora. Every call raises ``OutcomeError``s and nothing else."""

    kind = "numora"

    def __init__(self, settings: NumoraSettings, peer: HttpPeer) -> None:
        self._settings = settings
        self._peer = peer
        self._addresses = Addresses(str(settings.base_url))
        self._timeout = settings.timeout.total_seconds()
        self._read_headers = {"Authorization": f"Bearer {settings.api_key.get_secret_value()}"}
        self._write_headers = {**self._read_headers, "Content-Type": "application/json"}
        self._refused_address: str | None = None
        self.rate_limit: RateLimit | None = None

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
        answer = await self._get(address, "outbox")
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
        self._require_success(answer, "outbox", address)
        return to_page(answer.json(), cursor)

    async def fetch(self, listing: Listing, log: RequestLog) -> Document | None:
        """Read the document's content as it is now; None when Numora no longer has it.

        This is one request for an entry of the outbox. What a person or a webhook named comes without metadata and
        time of change; then the document itself is read as well.
        """
        standard = self._addresses.result(listing.document_id)
        address = self._result_address(listing) or standard
        answer = await self._read(address, "result", log)
        if answer is None and address != standard:
            # A gateway may serve us under a path that Numora, which named the address, knows nothing of.
            answer = await self._read(standard, "result", log)
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
        answer = await self._peer.send(
            "POST",
            self._addresses.delivery(document_id),
            purpose="callback",
            mutating=True,
            headers=self._write_headers,
            body=body,
            timeout=self._timeout,
            log=log,
        )
        self._note_rate_limit(answer)
        if not is_success(answer):
            raise callback_failure(answer, body)

    async def probe(self) -> None:
        """Make one cheap authenticated call: the read that was refused last, or one that a delivery would make."""
        address = self._refused_address
        if address is None and self._settings.trigger == "outbox":
            address = self._addresses.outbox({"provider": self._settings.provider, "limit": "1"})
        elif address is None:
            address = self._addresses.document(PROBE_DOCUMENT)
        answer = await self._get(address, "probe")
        if answer.status not in GONE:
            # A refusal of the document alone proves that the key was accepted.
            with suppress(RejectedError):
                self._require_success(answer, "outbox" if self._addresses.is_outbox(address) else "probe", address)
        self._refused_address = None

    async def document(self, document_id: str, log: RequestLog | None = None) -> DocumentState | None:
        """Read a document's state; None when Numora does not have it."""
        answer = await self._read(self._addresses.document(document_id), "document", log)
        return None if answer is None else understand(DocumentState, answer.json(), "document")

    async def delivery_history(self, document_id: str, log: RequestLog | None = None) -> tuple[Mapping[str, Any], ...]:
        """Read what Numora recorded of a document's deliveries, in Numora's own words and order."""
        answer = await self._read(self._addresses.delivery(document_id), "history", log)
        return () if answer is None else to_history(answer.json())

    async def close(self) -> None:
        """Let go of what is held: nothing, for the connections belong to the session behind the peer."""

    async def _get(self, address: str, purpose: str, log: RequestLog | None = None) -> Answer:
        answer = await self._peer.send(
            "GET", address, purpose=purpose, headers=self._read_headers, timeout=self._timeout, log=log
        )
        self._note_rate_limit(answer)
        return answer

    async def _read(self, address: str, purpose: str, log: RequestLog | None) -> Answer | None:
        """Return what stands at the address; None when nothing does."""
        answer = await self._get(address, purpose, log)
        if answer.status in GONE:
            return None
        self._require_success(answer, purpose, address)
        return answer

    def _require_success(self, answer: Answer, purpose: str, address: str) -> None:
        """Raise what a refused read means. A read that blocks is remembered: it is what a probe has to try again."""
        if is_success(answer):
            return
        failure = read_failure(answer, purpose)
        if isinstance(failure, BlockedError):
            self._refused_address = address
        raise failure

    def _result_address(self, listing: Listing) -> str | None:
        """Return the address that Numora named, when it named one that is on our own origin."""
        if listing.result_url is None:
            return None
        address = self._addresses.named(listing.result_url)
        if address is None:
            _log.warning(
                "numora named an address for the result of document %s that is not on base_url's origin; the API key "
                "does not go there, and the standard path is read instead",
                listing.document_id,
            )
        return address

    def _note_rate_limit(self, answer: Answer) -> None:
        headers = answer.headers
        if "x-rate-limit-remaining" in headers or "x-rate-limit-limit" in headers:
            self.rate_limit = RateLimit(
                headers.get("x-rate-limit-limit"),
                headers.get("x-rate-limit-remaining"),
                headers.get("x-rate-limit-reset"),
            )
