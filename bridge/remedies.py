"""What a person is to do about codes whose own modules say only what they mean: of mappings, and of the HTTP API."""

from collections.abc import Mapping
from typing import Final

_READ_AGAIN: Final = "Correct the field in review"

DOCUMENT_REMEDIES: Final[Mapping[str, str]] = {
    "ambiguous_date": "Name the one format that is meant under `formats`, or correct the field in review.",
    "duplicate": "Nothing, or set `guards: {duplicate: deliver}` in the mapping.",
    "lookup_without_values": f"{_READ_AGAIN}, or set `missing: empty` for the lookup.",
    "low_confidence": "Check the field in review and confirm or correct it, or lower `min_confidence`.",
    "no_time_zone": "Name the column's `timezone` in the mapping.",
    "not_a_boolean": f"{_READ_AGAIN}, or name its words in the mapping.",
    "not_a_date": f"{_READ_AGAIN}, or add its format to `formats`.",
    "not_a_datetime": f"{_READ_AGAIN}, or add its format to `formats`.",
    "not_a_guid": f"{_READ_AGAIN}.",
    "not_a_list": "Correct `lines.from` in the mapping.",
    "not_a_single_value": "Select one value in the mapping's expression.",
    "not_an_amount": f"{_READ_AGAIN}, or set `locale` to how the documents write amounts.",
    "not_an_integer": f"{_READ_AGAIN}, or map it as a decimal.",
    "not_confirmed": "Confirm the field in review.",
    "number_out_of_range": f"{_READ_AGAIN}.",
    "required_missing": "Fill the field in review, or do not require it in the mapping.",
    "selection_failed": "Correct the mapping's expression; `numora-bridge preview` shows what it met.",
    "selection_too_large": "Select less in the mapping's expression.",
    "too_many_decimals": f"{_READ_AGAIN}, or let the mapping round.",
    "unknown_option": "Add the value to `options`, or give a `default`.",
}
"""By problem code and skip code of the mapping engine."""

REQUEST_REMEDIES: Final[Mapping[str, str]] = {
    "bad_body": "Correct the keys that `errors` lists.",
    "bad_cursor": "Send `next_cursor` as it was given, or leave `cursor` out.",
    "bad_json": "Send an object, or no body at all.",
    "bad_path": "Percent-encode the id's UTF-8 bytes.",
    "bad_query": "Correct the parameters that `errors` lists.",
    "bad_request": "Send valid HTTP/1.1.",
    "blocked": "Mend what `reason` says, then send it again.",
    "delivery_not_found": "Check the id; an old delivery may have passed its retention.",
    "document_not_found": "Check the id at the source, and which tenant it belongs to.",
    "internal_error": "Look into the log for the request id, and report it.",
    "ledger_unavailable": "Send it again after `Retry-After`; the log says why.",
    "method_not_allowed": "Use a method of the `Allow` header.",
    "no_such_route": "Check the path against this version's [API](api.md).",
    "not_newest": "Retry the delivery that `newest` names.",
    "operator_key_needed": "Use a key of `api_keys` in bridge.yaml.",
    "outbox_absent": "Deliver documents one by one; see the code of the same name below.",
    "poll_running": "Wait: that poll brings in the same documents.",
    "reconfigured": "Send it again after `Retry-After`.",
    "resume_url_unsupported": "Leave `resume_url` out and use `wait`.",
    "slow_body": "Send it again.",
    "starting": "Send it again after `Retry-After`.",
    "stopping": "Send it again once the bridge is back.",
    "tenant_not_found": "`GET /v1/me` lists the tenants of this key.",
    "too_large": "Send less: a body has at most 1 MiB.",
    "unauthorized": "Send a valid key, and one only.",
    "unsupported_media": "Send `Content-Type: application/json` without a `Content-Encoding`.",
    "upstream_refused": "Correct the document as `reason` says.",
    "upstream_throttled": "Send it again after `Retry-After`.",
    "upstream_unavailable": "Send it again later; `reason` has the outside system's code.",
}
"""By code of the HTTP API."""
