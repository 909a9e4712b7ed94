"""What people have the source do: written down before it is sent, and done once for each ``Idempotency-Key``."""

import msgspec

from bridge.shapes.actions import DocumentShape


class Asked(msgspec.Struct, frozen=True):
    """How an action was asked for.

    ``fingerprint`` is the SHA-256, in hex, of method, path and body; ``key`` the ``Idempotency-Key``, if one was sent.
    """

    fingerprint: str
    key: str | None = None


class Answered(msgspec.Struct, frozen=True):
    """The answer to an action: HTTP status and JSON body. ``replayed`` tells that an earlier call was answered so."""

    status: int
    body: msgspec.Raw
    replayed: bool = False


class ActionError(Exception):
    """An action that the bridge did not have done, or of which it cannot tell. ``code`` is stable."""

    code = "action_failed"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class KeyReusedError(ActionError):
    """The ``Idempotency-Key`` was used for another request."""

    code = "idempotency_key_reused"


class InProgressError(ActionError):
    """The call that the ``Idempotency-Key`` was first used for is still under way."""

    code = "idempotency_in_progress"


class NotKnownError(ActionError):
    """The request was sent before, no answer came, and the source does not tell whether it had its effect."""

    code = "outcome_unknown"


class UnsupportedError(ActionError):
    """The tenant's source cannot do this: ``no_actions``, ``no_reviews``, ``no_resources`` or ``managed_mode``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class StaleError(ActionError):
    """The document was changed since the caller saw it: nothing was done.

    ``updated_at`` is the current one; ``document`` is the document as it is now, None when it could not be read.
    """

    code = "conflict"

    def __init__(self, message: str, *, updated_at: str | None, document: DocumentShape | None) -> None:
        super().__init__(message)
        self.updated_at = updated_at
        self.document = document
