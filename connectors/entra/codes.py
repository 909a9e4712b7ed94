"""The stable codes of what getting a token can lead to."""

from collections.abc import Mapping
from typing import Final

from connectors.codes import OutcomeCode
from connectors.outcome import BlockedError, TransientError

OUTCOME_CODES: Final[Mapping[str, OutcomeCode]] = {
    "authority_invalid": OutcomeCode(
        (BlockedError,),
        "The authority is no https address, or does not know the tenant.",
        "Correct `auth.tenant_id` and `auth.authority`.",
    ),
    "token_refused": OutcomeCode(
        (BlockedError,),
        "Entra refuses the application.",
        "Check `auth.client_id` and `auth.client_secret`: most often the secret has expired. Entra's own words are in "
        "the message.",
    ),
    "token_unreachable": OutcomeCode(
        (TransientError,),
        "Entra did not answer, or failed.",
        "Nothing at first: it is tried again. Check the way to `auth.authority` if it lasts.",
    ),
}
