"""The ledger's part for signed calls that come in, and for what they, or a person, take back."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal, Protocol

import msgspec

from bridge.delivery.model import Delivery, Millis, Trigger
from bridge.events.model import Event

TellsOf = Callable[[Delivery], Event | None]
"""What to tell of a delivery that was withdrawn. Called inside the transaction, on another thread: pure and quick."""


class StoredHook(msgspec.Struct, frozen=True):
    """A call that came in and was found genuine.

    ``source`` is who calls: ``numora``, ``executor`` or ``retab``. ``event_id`` is the caller's own id of it, or one
    that is made from its content. ``body`` holds the bytes as they came.
    """

    tenant: str
    source: str
    event_id: str
    type: str
    document_id: str | None
    received_at: Millis
    body: bytes


@dataclass(frozen=True, slots=True)
class HookTaken:
    """What a call became.

    ``repeated`` tells that the same one was stored before, and that nothing was changed. ``delivery`` is the newest one
    of the document afterwards; None for a repeated call, for one that asked for nothing, and where there is none.
    """

    repeated: bool
    delivery: Delivery | None


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """What became of a document's delivery that is not wanted any more.

    ``none``: none was under way. ``superseded``: it ended before its write. ``written``: its write had begun, so it
    goes on. ``delivery`` is the document's newest one as it stands now, None when it never had any.
    """

    effect: Literal["none", "superseded", "written"]
    delivery: Delivery | None


class HookReader(Protocol):
    """What can be read of the calls that came in."""

    async def hook_counts(self, tenant: str) -> Mapping[tuple[str, str], int]:
        """Count the calls that were ever taken, repeats left out, by ``(source, type)``."""


class HookLedger(Protocol):
    """What changes by calls that come in, and by people who change their mind."""

    async def take_hook(
        self,
        hook: StoredHook,
        *,
        new_id: Callable[[], str],
        trigger: Trigger | None = None,
        withdraw: bool = False,
        code: str | None = None,
        message: str | None = None,
        event: TellsOf | None = None,
    ) -> HookTaken:
        """Store a call, and do what it asks for, in one transaction.

        A call whose tenant, source and event id are known changes nothing. Otherwise it is stored and counted. With
        ``trigger`` its document is then taken in, as by ``intake`` with a listing that names nothing but the document.
        With ``withdraw`` its document's delivery is withdrawn as by ``withdraw``, with this code, message and event.
        ``now`` is the hook's ``received_at``. ``new_id`` is called once, on the caller's thread.

        Raises ``ValueError`` when it asks for something without a document, for both things at once, or for a
        withdrawal without code and message.
        """

    async def withdraw(
        self, tenant: str, document_id: str, now: Millis, *, code: str, message: str, event: TellsOf | None = None
    ) -> Withdrawal:
        """Keep a document from being written, if there is still time. It is the newest delivery that counts.

        Queued or ``working`` in step ``fetch``: it ends ``superseded`` with this error, and its token is raised, so the
        holder's next journal entry fails and nothing is written. That is exact, because the journal entry of a write's
        first mutating request carries the step ``write`` in the same transaction. Under way in any other step: it is
        left alone. Ended, also while it is rechecked: nothing.

        ``event`` is asked for the event that tells of the ended delivery; its messages are made as by a save, in the
        same transaction. A document that was listed anew while it was being worked on is not lost: its delivery is
        superseded all the same, and due for a recheck, which reads what the document is now.
        """

    async def sweep(self, tenant: str, now: Millis, *, seen_after: Millis, quiet_since: Millis, limit: int) -> int:
        """Make superseded deliveries due for a recheck, for sources whose notifications may come to nothing.

        Those that are the newest of their document, at rest, seen later than ``seen_after``, and neither seen nor
        changed since ``quiet_since`` (both earlier than it). ``updated_at`` becomes now, so the next sweep passes them
        over for as long, and gets to those that this one's ``limit`` left. Returns how many there were.
        """
