"""The stable codes of messages that did not get through, and of endpoints that cannot be taken."""

from collections.abc import Mapping
from typing import Final

ENDPOINT_FORBIDDEN: Final = "endpoint_forbidden"
ENDPOINT_GONE: Final = "endpoint_gone"
ENDPOINT_NO_ANSWER: Final = "endpoint_no_answer"
ENDPOINT_NOT_WAITING: Final = "endpoint_not_waiting"
ENDPOINT_REDIRECTED: Final = "endpoint_redirected"
ENDPOINT_REFUSED: Final = "endpoint_refused"
ENDPOINT_STARTING: Final = "endpoint_starting"
ENDPOINT_THROTTLED: Final = "endpoint_throttled"
ENDPOINT_UNREACHABLE: Final = "endpoint_unreachable"
ENDPOINT_UNREADABLE: Final = "endpoint_unreadable"
ENDPOINT_UNTRUSTED: Final = "endpoint_untrusted"
SENDER_ERROR: Final = "internal_error"

MESSAGE_CODES: Final[Mapping[str, tuple[str, str]]] = {
    ENDPOINT_FORBIDDEN: (
        "The endpoint's host is not at a public address, and not allowed by name.",
        "If it may be reached, list the host under `allow_hosts` in bridge.yaml.",
    ),
    ENDPOINT_GONE: (
        "The endpoint answered 410: it wants no more messages.",
        "Nothing, or subscribe again. One that stands in a tenant's file is taken up at the next start or reload.",
    ),
    ENDPOINT_NO_ANSWER: (
        "The message was sent, and no answer came in time.",
        "Nothing: it is sent again under the same `webhook-id`. Have the endpoint answer before it begins its work.",
    ),
    ENDPOINT_NOT_WAITING: (
        "The `resume_url` belongs to a flow that is running and does not wait yet.",
        "Nothing: it is called again.",
    ),
    ENDPOINT_REDIRECTED: (
        "The endpoint answered with a redirect, and none is followed.",
        "Subscribe with the address that it leads to.",
    ),
    ENDPOINT_REFUSED: (
        "The endpoint answered with a status that is no success.",
        "Look at the endpoint's own log: its secret, its path, whether its flow is active.",
    ),
    ENDPOINT_STARTING: (
        "The endpoint is an n8n that starts: it takes nothing yet, whatever the status of its answer.",
        "Nothing: the message is sent again.",
    ),
    ENDPOINT_THROTTLED: ("The endpoint asked for a pause.", "Nothing: its messages wait for as long as it asked."),
    ENDPOINT_UNREACHABLE: (
        "No connection to the endpoint could be made.",
        "See whether the host is up, and can be reached from the bridge.",
    ),
    ENDPOINT_UNREADABLE: (
        "The endpoint was sealed with another key than the one beside the ledger. Its messages wait.",
        "Restore the key from the backup, or subscribe again with the same URL.",
    ),
    ENDPOINT_UNTRUSTED: (
        "The endpoint's certificate is not trusted.",
        "Mend the certificate, or name the authority that made it in `ca_file`.",
    ),
    SENDER_ERROR: (
        "The bridge met an error that nobody foresaw.",
        "Look into the log for the message's id, and report it.",
    ),
}

FORBIDDEN_URL: Final = "forbidden_url"
BAD_SECRET: Final = "bad_secret"  # noqa: S105 - a code
CONFIGURED_SUBSCRIPTION: Final = "configured_subscription"
TOO_MANY_SUBSCRIPTIONS: Final = "too_many_subscriptions"

REFUSAL_CODES: Final[Mapping[str, tuple[str, str]]] = {
    FORBIDDEN_URL: (
        "The URL is not one that the bridge sends to.",
        "Use https:// and a public host, or have the operator list the host under `allow_hosts`.",
    ),
    BAD_SECRET: (
        "The secret cannot be used for signing.",
        "Use one line of at most 512 characters; after `whsec_` they are base64. Or leave it out to have one made.",
    ),
    CONFIGURED_SUBSCRIPTION: ("The subscription stands in the tenant's file.", "Change it there."),
    TOO_MANY_SUBSCRIPTIONS: ("The tenant has as many subscriptions as it may have.", "Remove those nobody needs."),
}
