"""Calls to one tenant's Numora: its headers, its time limit, and what is learned from every answer."""

from dataclasses import dataclass
from typing import Final, Literal

from connectors.http import Answer, HttpPeer, Wire
from connectors.numora.addresses import Addresses
from connectors.numora.models import DocumentState, understand
from connectors.numora.refusals import GONE, is_success, read_failure
from connectors.numora.settings import NumoraSettings
from connectors.numora.translate import require_same
from connectors.outcome import BlockedError
from connectors.ports import RequestLog

NUMORA_WIRE: Final = Wire(
    name="numora",
    headers={"Accept": "application/json"},
    request_id_header="x-request-id",
    peer_request_id_headers=("x-request-id",),
)
"""What the shared HTTP layer needs to know of Numora."""


@dataclass(frozen=True, slots=True)
class RateLimit:
    """The last rate-limit headers as they came, for Numora publishes neither their units nor their format."""

    limit: str | None
    remaining: str | None
    reset: str | None


class NumoraCalls:
    """Sends requests with the tenant's key. ``refused_address`` is the read that was last refused for want of access.

    Statuses are the caller's to judge, but for 429 and for what never was answered.
    """

    def __init__(self, settings: NumoraSettings, peer: HttpPeer) -> None:
        self._peer = peer
        self._timeout = settings.timeout.total_seconds()
        self._read_headers = {"Authorization": f"Bearer {settings.api_key.get_secret_value()}"}
        self._write_headers = {**self._read_headers, "Content-Type": "application/json"}
        self.addresses = Addresses(str(settings.base_url))
        self.refused_address: str | None = None
        self.rate_limit: RateLimit | None = None

    async def get(self, address: str, purpose: str, log: RequestLog | None = None) -> Answer:
        """Read what stands at an address."""
        answer = await self._peer.send(
            "GET", address, purpose=purpose, headers=self._read_headers, timeout=self._timeout, log=log
        )
        self._note_rate_limit(answer)
        return answer

    async def change(
        self, method: Literal["POST", "PUT"], address: str, purpose: str, body: bytes, log: RequestLog
    ) -> Answer:
        """Send a request that changes something, journalled before it is sent."""
        answer = await self._peer.send(
            method,
            address,
            purpose=purpose,
            mutating=True,
            headers=self._write_headers,
            body=body,
            timeout=self._timeout,
            log=log,
        )
        self._note_rate_limit(answer)
        return answer

    async def read(self, address: str, purpose: str, log: RequestLog | None) -> Answer | None:
        """Return what stands at an address; None when nothing does. Raises what any other refusal means."""
        answer = await self.get(address, purpose, log)
        if answer.status in GONE:
            return None
        self.require_success(answer, purpose, address)
        return answer

    async def document(self, document_id: str, log: RequestLog | None = None) -> DocumentState | None:
        """Read a document's state; None when Numora does not have it."""
        answer = await self.read(self.addresses.document(document_id), "document", log)
        if answer is None:
            return None
        state = understand(DocumentState, answer.json(), "document")
        require_same(document_id, state.id or state.document_id)
        return state

    def require_success(self, answer: Answer, purpose: str, address: str) -> None:
        """Raise what a refused read means. A read that blocks is remembered: it is what a probe has to try again."""
        if is_success(answer):
            return
        failure = read_failure(answer, purpose)
        if isinstance(failure, BlockedError):
            self.refused_address = address
        raise failure

    def _note_rate_limit(self, answer: Answer) -> None:
        headers = answer.headers
        if "x-rate-limit-remaining" in headers or "x-rate-limit-limit" in headers:
            self.rate_limit = RateLimit(
                headers.get("x-rate-limit-limit"),
                headers.get("x-rate-limit-remaining"),
                headers.get("x-rate-limit-reset"),
            )
