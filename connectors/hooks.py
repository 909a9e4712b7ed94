"""Calls that outside systems make to the bridge: what is known of one once it was verified."""

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import Protocol

import msgspec


class HookEffect(StrEnum):
    """What a call asks for. ``KEEP``: nothing, it is kept and counted."""

    DELIVER = "deliver"
    WITHDRAW = "withdraw"
    POLL = "poll"
    KEEP = "keep"


class HookCall(msgspec.Struct, frozen=True):
    """A verified call. ``event_id`` is the same for every repeat; ``document_id`` is set where the effect needs it."""

    event_id: str
    type: str
    effect: HookEffect
    document_id: str | None = None


class HookRefusedError(Exception):
    """The call is not taken. ``code`` is stable; ``message`` says what to mend and nothing of what was compared.

    ``authentic`` tells that the caller is who it should be and the content is at fault.
    """

    def __init__(self, code: str, message: str, *, authentic: bool = False) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.authentic = authentic


class HookReader(Protocol):
    """Verifies and reads the calls of one kind."""

    def read(self, headers: Mapping[str, str], body: bytes, now: datetime) -> HookCall:
        """Return what a call says, its raw body verified first. Raises ``HookRefusedError``.

        ``headers`` are looked up regardless of case.
        """
