"""Posting one message to one URL, once, through the egress guard."""

from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import aiohttp
import msgspec

from bridge.events.codes import (
    ENDPOINT_FORBIDDEN,
    ENDPOINT_NO_ANSWER,
    ENDPOINT_UNREACHABLE,
    ENDPOINT_UNTRUSTED,
)
from connectors.egress import ForbiddenAddressError, ForbiddenUrlError, GuardedSessions
from connectors.http import parse_retry_after

TIMEOUT: Final = 30.0
"""Seconds that one try may take from the look-up of the name to the end of the answer."""

LONGEST_ANSWER: Final = 4096
"""Bytes of an answer that are read at most."""

_TIMEOUT = aiohttp.ClientTimeout(total=TIMEOUT, sock_connect=10)


class Reply(msgspec.Struct, frozen=True):
    """What came of one try. ``status`` is None when no answer came; ``error`` then has the code of why.

    ``retry_after`` is in seconds; ``text`` is the beginning of the answer's body.
    """

    status: int | None
    error: str | None = None
    retry_after: float | None = None
    text: str = ""


async def post(sessions: GuardedSessions, url: str, headers: Mapping[str, str], body: bytes) -> Reply:
    """Post a body. No redirect is followed, no cookie kept, and no error's text is passed on: it may hold the URL."""
    try:
        checked = sessions.checked(url)
        async with sessions.for_host(checked.host or "").post(
            checked, data=body, headers=headers, allow_redirects=False, timeout=_TIMEOUT
        ) as response:
            retry_after = response.headers.get("Retry-After")
            return Reply(
                response.status,
                None,
                None if retry_after is None else parse_retry_after(retry_after, datetime.now(UTC)),
                await _beginning(response),
            )
    except ForbiddenUrlError:
        return Reply(None, ENDPOINT_FORBIDDEN)
    except aiohttp.ClientSSLError:
        return Reply(None, ENDPOINT_UNTRUSTED)
    except aiohttp.ClientConnectorError as error:
        forbidden = isinstance(error.os_error, ForbiddenAddressError)
        return Reply(None, ENDPOINT_FORBIDDEN if forbidden else ENDPOINT_UNREACHABLE)
    except (aiohttp.ConnectionTimeoutError, aiohttp.InvalidURL):
        return Reply(None, ENDPOINT_UNREACHABLE)
    except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
        return Reply(None, ENDPOINT_NO_ANSWER)


async def _beginning(response: aiohttp.ClientResponse) -> str:
    """Read a little of the answer: its status is known, so a body that breaks off or drags on is no failure."""
    read = bytearray()
    with suppress(aiohttp.ClientError, TimeoutError, OSError, ValueError):
        async for chunk in response.content.iter_chunked(LONGEST_ANSWER):
            read += chunk
            if len(read) >= LONGEST_ANSWER:
                break
    response.close()
    return bytes(read[:LONGEST_ANSWER]).decode("utf-8", "replace")
