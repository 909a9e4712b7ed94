"""Where Numora's resources are, and why the API key goes nowhere else.

Every address is put together from the configured origin and a path. Of an address that Numora names, only the path is
ever taken, and only when the rest is provably our own origin: so no spelling of it can lead the key elsewhere.
"""

import re
from typing import Final
from urllib.parse import quote, urlencode, urlsplit

_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_AUTHORITY: Final = re.compile(r"(?P<host>[A-Za-z0-9._~-]+|\[[0-9A-Fa-f:.]+\])(?::(?P<port>[0-9]{1,5}))?")
"""A host and an optional port, and nothing that parsers disagree on: no user, no percent sign, no backslash."""

_CHARACTERS: Final = r"[A-Za-z0-9/._~!$&'()*+,;=:@-]|%[0-9A-Fa-f]{2}"
_PATH: Final = re.compile(rf"/(?!/)(?:{_CHARACTERS})*(?:\?(?:{_CHARACTERS}|\?)*)?")
"""An absolute path with an optional query, already encoded; no fragment, no second slash at its beginning."""

_DOT_SEGMENT: Final = re.compile(r"(?:^|/)(?:\.|%2e){1,2}(?:$|/)", re.IGNORECASE)


class Addresses:
    """The addresses below one base URL. Document ids are opaque: whatever stands in them is encoded."""

    def __init__(self, base_url: str) -> None:
        parts = urlsplit(base_url)
        self._scheme = parts.scheme.lower()
        self._host = _comparable(parts.hostname or "")
        self._port = parts.port or _DEFAULT_PORTS.get(self._scheme)
        host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else _ascii(parts.hostname or "")
        self._origin = f"{self._scheme}://{host}" + (f":{parts.port}" if parts.port else "")
        self._prefix = parts.path.rstrip("/")
        self._base = self._origin + self._prefix
        self._outbox = f"{self._base}/v1/delivery/outbox"

    def outbox(self, query: dict[str, str]) -> str:
        """Return the outbox's address with this query."""
        return f"{self._outbox}?{urlencode(query, quote_via=quote, safe='')}"

    def is_outbox(self, address: str) -> bool:
        """Tell whether one of our addresses is the outbox's."""
        return address.startswith(self._outbox)

    def document(self, document_id: str) -> str:
        """Return the address of a document's state."""
        return f"{self._base}/v1/documents/{_segment(document_id)}"

    def delivery(self, document_id: str) -> str:
        """Return the address of a document's delivery history, which is also where an attempt is reported to."""
        return f"{self.document(document_id)}/delivery"

    def result(self, document_id: str) -> str:
        """Return the standard address of a document's result."""
        return f"{self.document(document_id)}/result"

    def action(self, document_id: str, action: str) -> str:
        """Return the address of what a person does to a document: ``approve``, ``reject`` or ``retry-push``."""
        return f"{self.document(document_id)}/actions/{action}"

    def dispatch(self, document_id: str) -> str:
        """Return the address that hands a document to its active route."""
        return f"{self.document(document_id)}/dispatch"

    def documents(self) -> str:
        """Return the address that documents are handed in at."""
        return self.below("documents")

    def below(self, *segments: str, query: dict[str, str] | None = None) -> str:
        """Return the address that these segments lead to below ``/v1``, each of them encoded."""
        path = "/".join([f"{self._base}/v1", *map(_segment, segments)])
        return f"{path}?{urlencode(query, quote_via=quote, safe='')}" if query else path

    def is_same(self, url: str, address: str) -> bool:
        """Tell whether Numora named one of our addresses just as we write it, with its origin or without."""
        return url == address or self._origin + url == address

    def named(self, url: str) -> str | None:
        """Return an address that Numora named, put together anew; None when it is not surely on our own origin."""
        path = url
        if not url.startswith("/"):
            scheme, separator, rest = url.partition("://")
            authority, slash, path = rest.partition("/")
            if not separator or not slash or not self._is_ours(scheme, authority):
                return None
            path = slash + path
        if not _PATH.fullmatch(path) or _DOT_SEGMENT.search(path.partition("?")[0]):
            return None
        if url is path and not path.startswith(f"{self._prefix}/"):
            return self._base + path
        return self._origin + path

    def _is_ours(self, scheme: str, authority: str) -> bool:
        scheme = scheme.lower()
        match = _AUTHORITY.fullmatch(authority)
        if match is None or scheme != self._scheme:
            return False
        port = int(match["port"]) if match["port"] else _DEFAULT_PORTS.get(scheme)
        return port == self._port and _comparable(match["host"].strip("[]")) == self._host


def _segment(document_id: str) -> str:
    """Encode an id as one segment of a path, a lone dot included, which would otherwise climb."""
    encoded = quote(document_id, safe="", errors="surrogatepass")
    return encoded.replace(".", "%2E") if not encoded.strip(".") else encoded


def _ascii(host: str) -> str:
    return host if host.isascii() else host.encode("idna").decode()


def _comparable(host: str) -> str:
    return _ascii(host).lower()
