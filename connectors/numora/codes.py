"""The stable codes of what Numora's answers lead to; ``docs/numora.md`` says by which status."""

from collections.abc import Mapping
from typing import Final

from connectors.capabilities import ActionConflictError, ActionRefusedError
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
        "A gateway gave up while Numora worked on the callback, or on an action.",
        "Nothing: the same bytes are sent again.",
    ),
    "numora_changed_since": OutcomeCode(
        (ActionConflictError,),
        "The document was changed since its `expected_updated_at`: the approval or rejection was not done.",
        "Read the document again, and decide again with its current `updated_at`.",
    ),
    "numora_forbidden": OutcomeCode(
        (BlockedError,),
        "The API key may not do this.",
        "Give the key the scope that the message names, in Numora.",
    ),
    "numora_not_ready": OutcomeCode(
        (TransientError,),
        "Numora cannot give the document, or take the callback, yet.",
        "Nothing for a delivery: it is tried again. What a person asked for is to be asked again later.",
    ),
    "numora_outcome_unknown": OutcomeCode(
        (UnknownOutcomeError,),
        "Numora did not answer what a person or a workflow asked for, and reading does not show that it was done.",
        "Do what the message says: read the document, and ask again if it still is as it was.",
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
    "numora_refused_action": OutcomeCode(
        (ActionRefusedError,),
        "Numora does not do what a person or a workflow asked for.",
        "Mend what the message says. 404: check the id; 409: the document's state does not allow it.",
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
        "Nothing for a delivery: it is tried again. What a person asked for is to be asked again later.",
    ),
    "outbox_absent": OutcomeCode(
        (OutboxAbsentError,),
        "This workspace has no outbox (404 or 410).",
        "Check `source.base_url`. Without an outbox there, set `source.trigger: route` and let Numora call, by "
        "its n8n executor (`source.notify`) or its webhooks (`source.webhook_secret`).",
    ),
    "wrong_document": OutcomeCode(
        (TransientError,),
        "Numora answered with another document than was asked for. Nothing of it is delivered.",
        "If it stays so, look for a cache or proxy between the bridge and Numora.",
    ),
}
