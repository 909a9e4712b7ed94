"""Fetching the files that documents name."""

from pathlib import PurePosixPath

import aiohttp
import msgspec
from yarl import URL

from connectors.egress import ForbiddenAddressError, ForbiddenUrlError, GuardedSessions
from connectors.outcome import RejectedError, TransientError
from mappings.plan import Problem

LARGEST_FILE = 30 * 1024 * 1024
"""Bytes; Numora takes no larger ones either."""

MOST_REDIRECTS = 3

_TIMEOUT = aiohttp.ClientTimeout(total=120, sock_connect=15)
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


class FetchedFile(msgspec.Struct, frozen=True):
    """A file that was fetched: its bytes, a name to show and its media type."""

    content: bytes
    name: str
    media_type: str


class FileFetcher:
    """Fetches files by the addresses that documents name, which are not to be trusted. No credential is ever sent."""

    def __init__(self, sessions: GuardedSessions) -> None:
        self._sessions = sessions

    async def __call__(self, address: str) -> FetchedFile:
        """Return the file at an address.

        Raises ``RejectedError`` for an address that may not be used or has no file, ``TransientError`` when it may go
        well later.
        """
        url = self._checked(address)
        for _ in range(MOST_REDIRECTS + 1):
            try:
                async with self._sessions.for_host(url.host or "").get(
                    url, allow_redirects=False, timeout=_TIMEOUT
                ) as response:
                    if response.status not in _REDIRECTS:
                        return await self._taken(response, url)
                    url = self._checked(_leading_to(url, response.headers.get("Location", "")))
            except aiohttp.ClientConnectorError as error:
                if isinstance(error.os_error, ForbiddenAddressError):
                    raise _refused(f"The file's host {url.host} is not at a public address.") from error
                raise TransientError("file_unreachable", f"The file at {url.host} cannot be reached.") from error
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise TransientError("file_unreachable", f"The file at {url.host} did not arrive whole.") from error
        raise _refused("The file's address leads on and on.")

    def _checked(self, address: str) -> URL:
        try:
            return self._sessions.checked(address.strip().replace(" ", "%20"))
        except ForbiddenUrlError as error:
            raise _refused(f"The file's address cannot be used: {error}") from error

    async def _taken(self, response: aiohttp.ClientResponse, url: URL) -> FetchedFile:
        if response.status >= 500 or response.status == 429:
            raise TransientError("file_unreachable", f"The file's host {url.host} answered {response.status}.")
        if response.status != 200:
            raise _refused(f"The file's host {url.host} answered {response.status}.")
        chunks: list[bytes] = []
        size = 0
        async for chunk in response.content.iter_chunked(65536):
            size += len(chunk)
            if size > LARGEST_FILE:
                raise _refused(f"The file is larger than {LARGEST_FILE // 1024 // 1024} MB.")
            chunks.append(chunk)
        name = PurePosixPath(url.path).name or "document"
        return FetchedFile(b"".join(chunks), name, response.content_type)


def _refused(message: str) -> RejectedError:
    return RejectedError((Problem("attachments", None, "file_unavailable", message),))


def _leading_to(url: URL, location: str) -> str:
    try:
        return str(url.join(URL(location, encoded=True)))
    except ValueError as error:
        raise _refused("The file's address leads to something that is no URL.") from error
