"""Access tokens of an application with a client secret, through MSAL.

MSAL is synchronous and asks the network while it is being made, so it works in a thread of its own; one request is in
flight for each identity, whoever waits for it.
"""

import asyncio
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from pydantic import SecretStr

from connectors.entra.transport import Transport
from connectors.outcome import BlockedError, OutcomeError, ThrottledError, TransientError
from connectors.pacing import Pace

PUBLIC_CLOUD = "https://login.microsoftonline.com"

REFRESH_AHEAD = 300.0
"""Seconds before its end at which a token is renewed in the background."""

_REFUSED_REFRESH_PAUSE = 15.0
"""Seconds without a further try after a renewal in the background failed while the token is still good."""

T = TypeVar("T")


def authority_url(authority: str | None, tenant_id: str) -> str:
    """Return the address MSAL is given: ``authority``, else the public cloud's, with the tenant when it has no path."""
    base = (authority or PUBLIC_CLOUD).rstrip("/")
    return base if urlsplit(base).path.strip("/") else f"{base}/{tenant_id}"


class ClientSecretTokens:
    """Tokens for one application (``client_id``) and one ``scope``, e.g. ``https://acme.crm4.dynamics.com/.default``.

    ``authority`` must be https. ``ca_file`` holds certificates beside those of the system. ``pace`` keeps the pauses
    that Entra asks for, and is shared by all who log in as this application.
    """

    def __init__(
        self,
        *,
        tenant_id: str,
        client_id: str,
        client_secret: SecretStr,
        scope: str,
        authority: str | None = None,
        ca_file: Path | None = None,
        pace: Pace | None = None,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._authority = authority_url(authority, tenant_id)
        self._tenant_id = tenant_id
        self._client_id = client_id
        self._secret = client_secret
        self._scope = scope
        self._monotonic = monotonic
        self._pace = pace or Pace(monotonic=monotonic)
        self._http = Transport(ca_file)
        self._application: Any = None
        self._token: str | None = None
        self._expires_at = 0.0
        self._refresh_from = 0.0
        self._in_flight: asyncio.Task[str] | None = None

    async def token(self) -> str:
        """Return a token that is good for a while.

        Raises ``BlockedError`` (``token_refused``, ``authority_invalid``, ``tls_untrusted``) when a person has to mend
        something, ``TransientError`` (``token_unreachable``) or ``ThrottledError`` when it may go well later.
        """
        now = self._monotonic()
        if self._token is not None and now < self._expires_at:
            if now >= self._refresh_from and self._in_flight is None:
                self._renew()
            return self._token
        task = self._in_flight or self._renew()
        return await asyncio.shield(task)

    def invalidate(self, token: str) -> None:
        """Have the next call get a new token, unless that has happened since ``token`` was given out."""
        if token == self._token:
            self._token = None

    async def close(self) -> None:
        """Give up waiting. A request in flight ends by itself."""
        if self._in_flight is not None:
            self._in_flight.cancel()
            with suppress(asyncio.CancelledError, OutcomeError):
                await self._in_flight

    def _renew(self) -> asyncio.Task[str]:
        task = asyncio.create_task(self._fetch(), name="entra token")
        self._in_flight = task
        task.add_done_callback(self._landed)
        return task

    def _landed(self, task: asyncio.Task[str]) -> None:
        self._in_flight = None
        if not task.cancelled() and task.exception() is not None:
            self._refresh_from = self._monotonic() + _REFUSED_REFRESH_PAUSE

    async def _fetch(self) -> str:
        left = self._pace.pause_left
        if left > 0:
            raise ThrottledError("throttled", f"Entra asked for a pause; {left:.0f} s are left.", retry_after=left)
        started = self._monotonic()
        answer: dict[str, Any] = {}
        failure: OutcomeError | None = None
        try:
            answer = await _in_thread(self._ask)
        except Exception as error:  # noqa: BLE001 - MSAL lets through whatever the network or the answer caused
            failure = self._outcome_of_exception(error)
        if failure is not None:
            # Raised here and not above: the cause would carry the request, and the request the secret.
            raise failure
        token, lifetime = answer.get("access_token"), answer.get("expires_in")
        if not isinstance(token, str) or not token:
            raise self._outcome_of_answer(answer)
        self._pace.went_well()
        seconds = (
            float(lifetime) if isinstance(lifetime, int | float | str) and str(lifetime).isdigit() else REFRESH_AHEAD
        )
        self._token = token
        self._expires_at = started + max(1.0, seconds - 30.0)
        self._refresh_from = started + max(seconds / 2, seconds - REFRESH_AHEAD)
        return token

    def _ask(self) -> dict[str, Any]:
        """Get a token that is new in any case. Runs in a thread."""
        import msal  # noqa: PLC0415 - 0.2 s of the start otherwise

        self._http.last_status = None
        self._http.retry_after = None
        # MSAL repeats answers out of this store: an error for a minute, which would hide that a person mended it, and
        # what it was told of the authority for a day, be it usable or not.
        self._http.answers.clear()
        if self._application is None:
            if urlsplit(self._authority).scheme != "https":
                raise BlockedError("authority_invalid", f"authority {self._authority!r} must be an https address.")
            self._application = msal.ConfidentialClientApplication(
                self._client_id,
                authority=self._authority,
                client_credential=self._secret.get_secret_value(),
                instance_discovery=False,
                http_client=self._http,
                http_cache=self._http.answers,
            )
        self._application.remove_tokens_for_client()
        answer = self._application.acquire_token_for_client(scopes=[self._scope])
        return answer if isinstance(answer, dict) else {}

    def _outcome_of_exception(self, error: Exception) -> OutcomeError:
        import requests  # noqa: PLC0415 - it came with MSAL

        if isinstance(error, OutcomeError):
            return error
        if isinstance(error, requests.exceptions.SSLError):
            return BlockedError(
                "tls_untrusted",
                f"The certificate of {self._authority} is not trusted. If it is a private one, set ca_file.",
            )
        status = self._http.last_status
        if status is not None and 400 <= status < 500 and status not in {408, 429}:
            return BlockedError(
                "authority_invalid",
                f"{self._authority} does not know this tenant ({status}). Check tenant_id and authority.",
            )
        if (
            isinstance(error, ValueError)
            and not isinstance(error, requests.exceptions.RequestException)
            and status is None
        ):
            return BlockedError("authority_invalid", f"authority {self._authority!r} is not a usable address.")
        return self._unreachable(type(error).__name__)

    def _outcome_of_answer(self, answer: dict[str, Any]) -> OutcomeError:
        status = self._http.last_status
        error = str(answer.get("error", "no token"))
        if (
            status in {408, 429}
            or (status is not None and status >= 500)
            or error in {"temporarily_unavailable", "server_error"}
        ):
            return self._unreachable(error)
        told = str(answer.get("error_description", "")).partition("\n")[0].strip()
        told = told.replace(self._secret.get_secret_value(), "[redacted]")
        return BlockedError(
            "token_refused",
            f"Entra gives application {self._client_id} no token for {self._scope}: {error}. {told} "
            "Check tenant_id, client_id, client_secret (and whether it has expired) and url.",
        )

    def _unreachable(self, reason: str) -> TransientError:
        status, retry_after = self._http.last_status, self._http.retry_after
        if status == 429:
            pause = self._pace.refused(retry_after)
            return ThrottledError("throttled", f"Entra asked for a pause of {pause:.0f} s.", retry_after=pause)
        if retry_after is not None:
            self._pace.pause(retry_after)
        answered = "did not answer" if status is None else f"answered with {status}"
        return TransientError("token_unreachable", f"{self._authority} {answered}: {reason}.", retry_after=retry_after)


async def _in_thread(call: Callable[[], T]) -> T:
    """Run a blocking call in a thread that does not keep the process from ending, as the loop's own threads would."""
    loop = asyncio.get_running_loop()
    landing: asyncio.Future[T] = loop.create_future()

    def land(result: T | None, error: Exception | None) -> None:
        if landing.cancelled():
            return
        if error is not None:
            landing.set_exception(error)
        else:
            landing.set_result(result)  # type: ignore[arg-type]

    def run() -> None:
        result: T | None = None
        failure: Exception | None = None
        try:
            result = call()
        except Exception as error:  # noqa: BLE001 - handed over to the waiting task
            failure = error
        with suppress(RuntimeError):  # the loop is closed by now: nobody waits any more
            loop.call_soon_threadsafe(land, result, failure)

    threading.Thread(target=run, name="entra token", daemon=True).start()
    return await landing
