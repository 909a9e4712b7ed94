"""The HTTP client that MSAL is given: bounded in time, out by our own way, and with answers that MSAL can take."""

import json
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from connectors.http import parse_retry_after, tls_context

if TYPE_CHECKING:
    import requests

_TIMEOUT = (5.0, 15.0)
"""Seconds: for the connection, for each read."""

_FAILURES = 500
_NO_WORD: Final = re.compile(r"[^A-Za-z0-9_.-]+")
_LONGEST_WORD: Final = 64


class NotUnderstoodError(ValueError):
    """An answer is no JSON object. What it said is left out, for it may be a part of a token."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What MSAL reads of an answer."""

    status_code: int
    text: str
    headers: Mapping[str, str]


class Transport:
    """What MSAL sends its requests with; it remembers how the last exchange ended.

    ``ca_file`` holds certificates beside those of the system. ``answers`` is the store that MSAL keeps answers in.
    """

    def __init__(self, ca_file: Path | None) -> None:
        self._ca_file = ca_file
        self.answers: dict[str, Any] = {}
        self.last_status: int | None = None
        self.retry_after: float | None = None

    def get(self, url: str, *, params: Any = None, headers: Any = None, **ignored: Any) -> Answer:
        """Send a GET. Raises what ``requests`` raises, and ``NotUnderstoodError``."""
        return self._exchange("GET", url, params=params, headers=headers)

    def post(self, url: str, *, params: Any = None, data: Any = None, headers: Any = None, **ignored: Any) -> Answer:
        """Send a POST. Raises what ``requests`` raises, and ``NotUnderstoodError``."""
        return self._exchange("POST", url, params=params, data=data, headers=headers)

    def close(self) -> None:
        """Do nothing: no connection outlives its exchange, since a token is asked for once an hour."""

    def _exchange(self, method: str, url: str, **what: Any) -> Answer:
        self.last_status = None
        with self._open() as session:
            response = session.request(method, url, timeout=_TIMEOUT, allow_redirects=False, **what)
        self.last_status = response.status_code
        header = response.headers.get("Retry-After")
        self.retry_after = None if header is None else parse_retry_after(header, datetime.now(UTC))
        text = "" if response.status_code >= _FAILURES else understood(response.content)
        return Answer(response.status_code, text, dict(response.headers))

    def _open(self) -> "requests.Session":
        """Open the same way out as every other call has: no proxy, certificates or credentials of the environment."""
        import requests  # noqa: PLC0415 - it came with MSAL
        from requests.adapters import HTTPAdapter  # noqa: PLC0415 - the same

        class Trusting(HTTPAdapter):
            def cert_verify(self, conn: Any, url: str, verify: object, cert: object) -> None:
                """Leave it to the context; ``requests`` would read all its own certificates into it each time."""
                conn.cert_reqs = "CERT_REQUIRED"

        session = requests.Session()
        session.trust_env = False
        session.headers["Connection"] = "close"
        trusting = Trusting()
        trusting.init_poolmanager(1, 1, ssl_context=trusted(self._ca_file))
        session.mount("https://", trusting)
        return session


def understood(body: bytes) -> str:
    """Return an answer as MSAL can take it: a JSON object whose ``error``, if there is one, is a word.

    MSAL writes whatever is not JSON into the log. And it tells Entra of each ``error`` in a header of all later
    requests: with anything but a word there, every one of them would fail. An error of another form, such as
    ``{"code": …, "message": …}``, comes from something that stands in between. Raises ``NotUnderstoodError``.
    """
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        raise NotUnderstoodError("no JSON object")
    error = answer.pop("error", None)
    if error is not None:
        told = error if isinstance(error, dict) else {"code": error}
        answer["error"] = _NO_WORD.sub("_", str(told.get("code")))[:_LONGEST_WORD]
        if isinstance(told.get("message"), str):
            answer.setdefault("error_description", told["message"])
    return json.dumps(answer)


@lru_cache(maxsize=4)
def trusted(ca_file: Path | None) -> ssl.SSLContext:
    """Return the certificates that are trusted: read once for all logins, since a hundred copies would fill memory."""
    return tls_context(ca_file)
