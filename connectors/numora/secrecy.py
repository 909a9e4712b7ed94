"""Keeping the credentials of Numora's destinations out of what the bridge tells and keeps."""

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import msgspec

from connectors.http import Answer, decode_json
from connectors.numora.refusals import said_of
from connectors.ports import OutgoingRequest, RequestLog, RequestOutcome

MASK: Final = "[redacted]"
_TELLING_NAME: Final = re.compile(
    r"secret|passw|passphrase|pwd|token|api_?key|private_?key|access_?key|connection_?string|certificate|\bsas\b"
    r"|(?<!has_)credential|authorization",
    re.IGNORECASE,
)
_SHORTEST: Final = 4
"""Characters; a shorter value is no secret, and stands in any sentence by chance."""


class WithoutExcerpts:
    """A request log that keeps nothing of what was answered."""

    def __init__(self, log: RequestLog) -> None:
        self._log = log

    async def opening(self, request: OutgoingRequest) -> None:
        """Record a request about to be sent."""
        await self._log.opening(request)

    def closed(self, outcome: RequestOutcome) -> None:
        """Record what became of it, without its body."""
        self._log.closed(msgspec.structs.replace(outcome, excerpt=None))


def masked(value: Any) -> Any:
    """Return a value of JSON in which whatever stands under a telling name is masked."""
    if isinstance(value, Mapping):
        return {
            name: MASK if _is_telling(name) and not isinstance(inner, bool | None) else masked(inner)
            for name, inner in value.items()
        }
    return [masked(item) for item in value] if isinstance(value, list) else value


def without_secrets(answer: Answer, sent: Mapping[str, Any]) -> str:
    """Return what Numora said of a refusal; its status alone when that quotes anything that was sent as a secret."""
    said = said_of(answer)
    whole = _whole(answer)
    quoted = any(secret in whole or secret in said for secret in _secrets(sent, telling=False))
    return str(answer.status) if quoted else said


def _is_telling(name: str) -> bool:
    return _TELLING_NAME.search(name) is not None


def _secrets(value: Any, *, telling: bool) -> Iterator[str]:
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _secrets(inner, telling=telling or _is_telling(name))
    elif isinstance(value, list | tuple):
        for inner in value:
            yield from _secrets(inner, telling=telling)
    elif telling and isinstance(value, str) and len(value) >= _SHORTEST:
        yield value


def _whole(answer: Answer) -> str:
    """Return every text of a refusal's body in one, unescaped and uncut: a message that is shown may be cut."""
    try:
        return "\n".join(_texts(decode_json(answer.body)))
    except (ArithmeticError, RecursionError, ValueError):
        return answer.body.decode("utf-8", "replace")


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, Mapping):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value
