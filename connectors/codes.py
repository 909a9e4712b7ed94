"""What a stable code of an outcome is, and the codes that are shared by all outside systems.

Each outside system has a module ``codes`` of its own beside its client: ``OUTCOME_CODES``, and ``FINDING_CODES`` for
what it says of a mapping file. ``docs/errors.md`` is made from all of them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from connectors.outcome import (
    BlockedError,
    OutcomeError,
    RejectedError,
    ThrottledError,
    TransientError,
    UnknownOutcomeError,
)


@dataclass(frozen=True, slots=True)
class OutcomeCode:
    """A stable code: the outcomes that it comes with, what it means, and what a person is to do about it."""

    outcomes: tuple[type[OutcomeError], ...]
    meaning: str
    remedy: str


HOOK_CODES: Final[Mapping[str, tuple[str, str]]] = {
    "hook_bad_signature": (
        "The secret or signature is not the right one, or stands in another form than configured.",
        "Compare the secret in the tenant's file with the caller's, and the form of what the message names.",
    ),
    "hook_stale": (
        "The signature is right, and too old or from the future.",
        "Set the clocks of both sides right, or raise the tolerance in the tenant's file.",
    ),
    "hook_unreadable": (
        "The call is authentic, and its body cannot be understood.",
        "Correct what the message says: the body, or the paths into it in the tenant's file.",
    ),
    "hook_unsigned": (
        "A header that proves the caller is missing or empty.",
        "Let the caller send what the message names.",
    ),
}
"""Why a call from outside is not taken: meaning and remedy of each code."""

OUTCOME_CODES: Final[Mapping[str, OutcomeCode]] = {
    "bad_answer": OutcomeCode(
        (TransientError, UnknownOutcomeError),
        "An answer broke off, is not JSON, or has another shape than documented.",
        "Nothing at first: it is tried again. If it stays so, look for a proxy in between; the delivery's requests "
        "show the status.",
    ),
    "bad_url": OutcomeCode(
        (BlockedError,),
        "An address cannot be used.",
        "Correct the address that the message shows in the tenant's file.",
    ),
    "connection_lost": OutcomeCode(
        (TransientError, UnknownOutcomeError),
        "The connection was closed before the answer came.",
        "Nothing: what was written is found out by reading, then it goes on.",
    ),
    "file_unavailable": OutcomeCode(
        (RejectedError,),
        "A file that the document names may not be fetched, or is not there.",
        "Check the address in the document: https, at a public host or one of `allow_hosts`, and at most 30 MB.",
    ),
    "file_unreachable": OutcomeCode(
        (TransientError,),
        "A file that the document names could not be fetched now.",
        "Nothing: it is tried again.",
    ),
    "throttled": OutcomeCode(
        (ThrottledError,),
        "The other side asked for a pause.",
        "Nothing: everything that shares the login or key waits as long as was asked, and the attempt does not count. "
        "If it is frequent, lower `delivery.concurrency`.",
    ),
    "timeout": OutcomeCode(
        (TransientError, UnknownOutcomeError),
        "No answer came in time.",
        "Nothing at first: what was written is found out by reading. If it is frequent, raise `timeout` of that side.",
    ),
    "tls_untrusted": OutcomeCode(
        (BlockedError,),
        "The other side's certificate is not trusted.",
        "For a private certificate authority set `ca_file` in bridge.yaml and restart; otherwise have the certificate "
        "renewed.",
    ),
    "unreachable": OutcomeCode(
        (TransientError,),
        "No connection could be made, so that nothing was sent.",
        "Check name resolution, firewall and the address if it lasts.",
    ),
}
