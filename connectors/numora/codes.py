"""The stable codes of what Numora's answers lead to; ``docs/numora.md`` says by which status."""

from collections.abc import Mapping
from typing import Final

from connectors.codes import OutcomeCode
from connectors.outcome import (
    BlockedError,
    ConflictError,
    CursorRefusedError,
    OutboxAbsentError,
    RejectedError,
    TransientError,
    UnknownOutcomeError,
)

OUTCOME_CODES: Final[Mapping[str, OutcomeCode]] = {
    "callback_conflict": OutcomeCode(
        (ConflictError,),
        "Numora answered the callback with 409: it holds another outcome under this execution id, or the document has "
        "moved on.",
        "Compare both bodies in the delivery's `error` with the document's history in Numora. Leave it if Numora is "
        "right, else retry.",
    ),
    "callback_refused": OutcomeCode(
        (ConflictError,),
        "Numora refuses the callback. The row at the destination stands.",
        "Open the document in Numora, mend what its answer says, then retry: nothing is written twice.",
    ),
    "cursor_refused": OutcomeCode(
        (CursorRefusedError,),
        "Numora no longer takes the stored cursor of its outbox.",
        "Nothing: the window is read again from its start.",
    ),
    "gateway_timeout": OutcomeCode(
        (UnknownOutcomeError,),
        "A gateway gave up while Numora worked on the callback.",
        "Nothing: the same bytes are sent again.",
    ),
    "numora_forbidden": OutcomeCode(
        (BlockedError,),
        "The API key may not do this.",
        "Give the key the scope that the message names, in Numora.",
    ),
    "numora_not_ready": OutcomeCode(
        (TransientError,),
        "Numora cannot give the document, or take the callback, yet.",
        "Nothing: it is tried again.",
    ),
    "numora_redirected": OutcomeCode(
        (BlockedError,),
        "Numora points to another address, where the API key does not follow.",
        "Set `source.base_url` to the final address.",
    ),
    "numora_refused": OutcomeCode(
        (BlockedError, RejectedError),
        "Numora refuses to give the document (rejected), or refuses the request as such (blocked).",
        "Rejected: open the document in Numora and check its id. Blocked: check `source.base_url` and "
        "`source.provider`.",
    ),
    "numora_unauthorized": OutcomeCode(
        (BlockedError,),
        "Numora does not accept the API key.",
        "Put a valid key into `source.api_key`. A changed secret file is picked up while running, a changed "
        "environment at the next start.",
    ),
    "numora_unavailable": OutcomeCode(
        (TransientError,),
        "Numora answered with a server error.",
        "Nothing: it is tried again.",
    ),
    "outbox_absent": OutcomeCode(
        (OutboxAbsentError,),
        "This workspace has no outbox (404 or 410).",
        "Check `source.base_url`. If Numora offers no outbox there, deliver documents one by one: "
        "`POST /v1/tenants/{tenant}/documents/{document}/deliver`.",
    ),
    "wrong_document": OutcomeCode(
        (TransientError,),
        "Numora answered with another document than was asked for. Nothing of it is delivered.",
        "If it stays so, look for a cache or proxy between the bridge and Numora.",
    ),
}
