"""One Dataverse environment over the Web API v9.2: addresses, headers, tokens."""

from collections.abc import Mapping
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

from connectors.dataverse.refusals import Namer, Refusal, nobody, outcome_of, refusal_of
from connectors.http import Answer, HttpPeer, Wire
from connectors.outcome import BlockedError, OutcomeError, ThrottledError, UnknownOutcomeError
from connectors.ports import RequestLog

API_PATH = "/api/data/v9.2/"

WIRE = Wire(
    name="dataverse",
    headers={
        "Accept": "application/json",
        "OData-Version": "4.0",
        "OData-MaxVersion": "4.0",
        "If-None-Match": "null",
    },
    request_id_header="x-ms-client-request-id",
    peer_request_id_headers=("x-ms-service-request-id", "REQ_ID"),
    parallelism_header="x-ms-dop-hint",
)
"""What every request carries. ``If-None-Match: null`` is Dataverse's way to bypass caches, and no condition."""

JSON_HEADERS: Mapping[str, str] = {"Content-Type": "application/json; charset=utf-8"}


class TokenProvider(Protocol):
    """Where access tokens come from. Raises ``OutcomeError``s."""

    async def token(self) -> str:
        """Return a token that is good for a while."""

    def invalidate(self, token: str) -> None:
        """Have the next call get a new token, this one was refused."""

    async def close(self) -> None:
        """Let go of what is held."""


class DataverseClient:
    """Sends requests to one environment. ``url`` is the environment's; the timeouts are in seconds."""

    def __init__(
        self, url: str, peer: HttpPeer, tokens: TokenProvider, *, read_timeout: float, write_timeout: float
    ) -> None:
        self.org_url = url.rstrip("/")
        self.root = self.org_url + API_PATH
        self.root_path = urlsplit(self.root).path
        self._read_timeout = read_timeout
        self._write_timeout = write_timeout
        self._peer = peer
        self._tokens = tokens

    async def request(
        self,
        method: str,
        path: str,
        *,
        purpose: str,
        mutating: bool = False,
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        log: RequestLog | None = None,
    ) -> Answer:
        """Send a request to ``path``, relative to the API's root and percent-encoded, or a full URL below that root.

        A 401 has the token renewed once. Raises ``BlockedError`` (``unauthorized``) for a second 401, and
        ``UnknownOutcomeError`` (``bad_answer``) for a write that a page answered as if it had gone well.
        """
        url = self._url(path)
        timeout = self._write_timeout if mutating else self._read_timeout
        renewed = False
        while True:
            # A login that has to wait needs no token meanwhile.
            await self._peer.unpaused()
            token = await self._tokens.token()
            sent = {"Authorization": f"Bearer {token}"}
            if headers:
                sent.update(headers)
            answer = await self._peer.send(
                method, url, purpose=purpose, mutating=mutating, headers=sent, body=body, timeout=timeout, log=log
            )
            if answer.status != 401:
                if mutating and answer.status < 300 and answer.body.lstrip().startswith(b"<"):
                    message = f"{purpose} was answered with {answer.status} by something that is not Dataverse."
                    raise UnknownOutcomeError("bad_answer", message)
                return answer
            self._tokens.invalidate(token)
            if renewed:
                raise BlockedError(
                    "unauthorized",
                    f"Dataverse refuses a fresh token for {purpose}. Register the app as an application user there.",
                )
            renewed = True

    async def read(self, path: str, *, purpose: str, log: RequestLog | None = None) -> Any:
        """GET and parse. Raises the outcome of any refusal."""
        answer = await self.request("GET", path, purpose=purpose, log=log)
        if answer.status >= 300:
            raise self.outcome(refusal_of(answer), purpose, mutating=False)
        return answer.json()

    def outcome(self, refusal: Refusal, purpose: str, *, mutating: bool, name: Namer = nobody) -> OutcomeError:
        """Return what follows from a refusal, as ``outcome_of`` does.

        A pause may be asked for by an error code, or inside a batch, where the status of the answer does not show it;
        it holds for everything that uses this login all the same.
        """
        outcome = outcome_of(refusal, purpose, mutating=mutating, name=name)
        if isinstance(outcome, ThrottledError):
            return ThrottledError(outcome.code, outcome.message, retry_after=self._peer.hold(refusal.retry_after))
        return outcome

    async def close(self) -> None:
        """Let go of the tokens."""
        await self._tokens.close()

    def _url(self, path: str) -> str:
        if "://" not in path:
            return self.root + path
        if not path.startswith(self.root):
            raise BlockedError("foreign_link", f"Dataverse pointed to {path!r}, outside of {self.root}: not followed.")
        return path


def escaped(value: str) -> str:
    """Percent-encode a part of a query or of a key, reserved characters included."""
    return quote(value, safe="")


def quoted(value: str) -> str:
    """Return a text as an OData literal, percent-encoded."""
    return escaped("'" + value.replace("'", "''") + "'")
