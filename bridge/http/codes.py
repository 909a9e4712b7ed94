"""Every error code that the HTTP API itself gives, with its status and its meaning.

Codes are stable: callers branch on them. The codes inside a delivery's ``error`` and ``problems`` and inside an
answer's ``reason`` come from mappings and connectors and are listed there.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Code:
    """A stable code: the HTTP status that it comes with, and in one line what it means."""

    name: str
    status: int
    meaning: str


BAD_REQUEST: Final = Code("bad_request", 400, "The request is not valid HTTP")
BAD_PATH: Final = Code("bad_path", 400, "The path holds something that no id can be")
BAD_QUERY: Final = Code("bad_query", 400, "A query parameter is unknown or has a value that it cannot have")
BAD_CURSOR: Final = Code("bad_cursor", 400, "The cursor was never given out")
BAD_JSON: Final = Code("bad_json", 400, "The body is not JSON")
BAD_IDEMPOTENCY_KEY: Final = Code("bad_idempotency_key", 400, "The Idempotency-Key is not 1 to 255 visible characters")
UNAUTHORIZED: Final = Code("unauthorized", 401, "The key is missing or not valid")
HOOK_REFUSED: Final = Code("hook_refused", 401, "The call does not prove where it comes from")
OPERATOR_KEY_NEEDED: Final = Code("operator_key_needed", 403, "This needs an operator key")
NO_SUCH_ROUTE: Final = Code("no_such_route", 404, "There is nothing at this path")
TENANT_NOT_FOUND: Final = Code("tenant_not_found", 404, "There is no such tenant for this key")
DELIVERY_NOT_FOUND: Final = Code("delivery_not_found", 404, "The tenant has no such delivery")
DOCUMENT_NOT_FOUND: Final = Code("document_not_found", 404, "The source has no such document")
REVIEW_NOT_FOUND: Final = Code("review_not_found", 404, "The source has no such review")
SUBSCRIPTION_NOT_FOUND: Final = Code("subscription_not_found", 404, "The tenant has no such subscription")
HOOK_NOT_FOUND: Final = Code("hook_not_found", 404, "No calls are taken here")
NO_ACTIONS: Final = Code("no_actions", 404, "The tenant's source has no actions on documents")
NO_REVIEWS: Final = Code("no_reviews", 404, "The tenant's source has no reviews")
NO_RESOURCES: Final = Code("no_resources", 404, "The tenant's source has no such resources")
UPSTREAM_NOT_FOUND: Final = Code("upstream_not_found", 404, "The source has nothing under this id")
METHOD_NOT_ALLOWED: Final = Code("method_not_allowed", 405, "The path does not take this method")
SLOW_BODY: Final = Code("slow_body", 408, "The body did not arrive in time")
BLOCKED: Final = Code("blocked", 409, "A side of the tenant refuses the bridge until access or configuration is mended")
CONFIGURED_SUBSCRIPTION: Final = Code("configured_subscription", 409, "The subscription stands in the tenant's file")
CONFLICT: Final = Code("conflict", 409, "The document was changed since: nothing was done")
DECIDED_OTHERWISE: Final = Code("decided_otherwise", 409, "Another decision about the review is on record")
IDEMPOTENCY_IN_PROGRESS: Final = Code(
    "idempotency_in_progress", 409, "The call that the Idempotency-Key was first used for is under way"
)
MANAGED_MODE: Final = Code("managed_mode", 409, "The source delivers this tenant's documents by its own means")
NOT_NEWEST: Final = Code("not_newest", 409, "The document has a newer delivery")
OUTBOX_ABSENT: Final = Code("outbox_absent", 409, "The source has no outbox to poll")
POLL_RUNNING: Final = Code("poll_running", 409, "Another process is polling this tenant")
REVIEW_CANCELLED: Final = Code("review_cancelled", 409, "The review's run was cancelled before anybody decided")
REVIEW_CONFLICT: Final = Code("review_conflict", 409, "The review cannot be decided now")
SUPERSEDED_VERSIONS: Final = Code("superseded_versions", 409, "The decision would discard other versions of the review")
TOO_MANY_SUBSCRIPTIONS: Final = Code(
    "too_many_subscriptions", 409, "The tenant has as many subscriptions as it may have"
)
UPSTREAM_CONFLICT: Final = Code("upstream_conflict", 409, "The source does not do this as things stand there")
TOO_LARGE: Final = Code("too_large", 413, "The body is too large")
UNSUPPORTED_MEDIA: Final = Code("unsupported_media", 415, "The body is not sent as plain JSON")
BAD_BODY: Final = Code("bad_body", 422, "The body's JSON is not what this route takes")
HOOK_UNREADABLE: Final = Code("hook_unreadable", 422, "The call is authentic, and cannot be understood")
IDEMPOTENCY_KEY_REUSED: Final = Code("idempotency_key_reused", 422, "The Idempotency-Key was used for another request")
REVIEW_INVALID: Final = Code("review_invalid", 422, "The decision is not one that can be taken")
BAD_SECRET: Final = Code("bad_secret", 422, "The secret cannot be used for signing")
FORBIDDEN_URL: Final = Code("forbidden_url", 422, "The URL is not one that the bridge sends to")
UPSTREAM_REFUSED: Final = Code("upstream_refused", 422, "An outside system refuses this")
INTERNAL_ERROR: Final = Code("internal_error", 500, "The bridge met an unforeseen error")
OUTCOME_UNKNOWN: Final = Code("outcome_unknown", 502, "The source was asked, and it is not known whether it did it")
UPSTREAM_UNAVAILABLE: Final = Code("upstream_unavailable", 502, "An outside system did not answer as it should")
UPSTREAM_THROTTLED: Final = Code("upstream_throttled", 503, "An outside system asks for a pause")
LEDGER_UNAVAILABLE: Final = Code("ledger_unavailable", 503, "The ledger cannot be used")
RECONFIGURED: Final = Code("reconfigured", 503, "The tenant's configuration was changed meanwhile")
STARTING: Final = Code("starting", 503, "The bridge is starting")
STOPPING: Final = Code("stopping", 503, "The bridge is stopping")

CODES: Final[Mapping[str, Code]] = {code.name: code for code in tuple(globals().values()) if isinstance(code, Code)}
"""All of them, by name."""

UNKNOWN_KEY: Final = "unknown_key"
WRONG_TYPE: Final = "wrong_type"
BAD_VALUE: Final = "bad_value"
GIVEN_TWICE: Final = "given_twice"

ERROR_ENTRIES: Final[Mapping[str, str]] = {
    UNKNOWN_KEY: "There is no such key or parameter; the message names the nearest one",
    WRONG_TYPE: "The value has another type than this",
    BAD_VALUE: "The value is outside of what it may be",
    GIVEN_TWICE: "The value may be given once only",
}
"""The codes of the entries of an error's ``errors``, each about one key of the body or one query parameter."""
