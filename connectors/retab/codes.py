"""The stable codes of what Retab's answers lead to; ``docs/retab.md`` says by which status."""

from collections.abc import Mapping
from typing import Final

from connectors.codes import OutcomeCode
from connectors.outcome import BlockedError, CursorRefusedError, RejectedError, TransientError

OUTCOME_CODES: Final[Mapping[str, OutcomeCode]] = {
    "retab_bad_lines": OutcomeCode(
        (RejectedError,),
        "What stands under the name of the line items is not a list of objects.",
        "Set `source.line_items` to the name of the list in the extracted data that holds the rows, then retry.",
    ),
    "retab_cursor_refused": OutcomeCode(
        (CursorRefusedError,),
        "Retab no longer takes the cursor of its list of reviews.",
        "Nothing: the window is read again from its start.",
    ),
    "retab_forbidden": OutcomeCode(
        (BlockedError,),
        "The API key may not do this.",
        "Use a key of the right organisation and environment.",
    ),
    "retab_not_ready": OutcomeCode(
        (TransientError,),
        "Retab cannot give the review, or take the decision, yet.",
        "Nothing: it is tried again.",
    ),
    "retab_redirected": OutcomeCode(
        (BlockedError,),
        "Retab points to another address, where the API key does not follow.",
        "Set `source.base_url` to the final address.",
    ),
    "retab_refused": OutcomeCode(
        (BlockedError, RejectedError),
        "Retab refuses to give the review (rejected), or refuses the list as such (blocked).",
        "Rejected: open the review in Retab and check its id. Blocked: check `source.base_url` and "
        "`source.workflow_id`.",
    ),
    "retab_unauthorized": OutcomeCode(
        (BlockedError,),
        "Retab does not accept the API key.",
        "Put a valid key into `source.api_key`. A changed secret file is picked up while running, a changed "
        "environment at the next start.",
    ),
    "retab_unavailable": OutcomeCode(
        (TransientError,),
        "Retab answered with a server error.",
        "Nothing: it is tried again.",
    ),
    "retab_version_missing": OutcomeCode(
        (TransientError,),
        "Retab does not give the version that was approved.",
        "If it stays so, open the review in Retab and see whether the version is there.",
    ),
}
