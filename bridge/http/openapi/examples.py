"""What stands in the API's description as examples, by operation: bodies, answers by status, ids in paths."""

from collections.abc import Mapping
from typing import Any, Final

PATHS: Final[Mapping[str, str]] = {
    "tenant": "acme",
    "delivery": "dlv_019c1234abc0011223344556677",
    "document": "doc_01jpz4m7e8k2",
    "review": "rev_ABCDEFGHIJKLMNOPQRSTUVWX23",
    "subscription": "sub_0199a1b2c3d4e5f60718293a4b5",
    "destination": "dst_01jpz4m7",
    "schema": "invoice_v2",
    "workflow": "wf_01jpz4m7",
    "run": "run_01jpz4m7",
    "hook": "numora",
}

_MOMENT: Final = "2026-01-31T09:30:00.000Z"
_LATER: Final = "2026-01-31T09:30:01.250Z"
_ROW: Final = "5b9f4f36-7c0e-5b51-9a68-0e6b2f3c8a11"
_DIGEST: Final = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

DELIVERY: Final[Mapping[str, Any]] = {
    "id": PATHS["delivery"],
    "tenant": "acme",
    "document_id": PATHS["document"],
    "schema": "invoice_v2",
    "state": "succeeded",
    "step": None,
    "attempts": 1,
    "execution_id": "numora-bridge-dlv_019c1234abc0011223344556677-1",
    "external_record_id": _ROW,
    "external_url": f"https://acme.crm4.dynamics.com/main.aspx?etn=numora_invoice&id={_ROW}&pagetype=entityrecord",
    "operation": "created",
    "error": None,
    "problems": [],
    "mapping": {"name": "invoice_v2.dataverse.yaml", "digest": _DIGEST},
    "next_attempt_at": None,
    "created_at": _MOMENT,
    "updated_at": _LATER,
}
QUEUED: Final[Mapping[str, Any]] = {
    **DELIVERY,
    "state": "queued",
    "step": "fetch",
    "attempts": 0,
    "execution_id": None,
    "external_record_id": None,
    "external_url": None,
    "operation": None,
    "mapping": None,
    "next_attempt_at": _MOMENT,
    "updated_at": _MOMENT,
}
_DETAIL: Final[Mapping[str, Any]] = {
    **DELIVERY,
    "attempt_log": [
        {
            "number": 1,
            "started_at": _MOMENT,
            "ended_at": _LATER,
            "outcome": "done",
            "code": None,
            "message": None,
            "execution_id": DELIVERY["execution_id"],
        }
    ],
    "requests": [
        {
            "id": "req_5d8f6c1c6c0f4b7f",
            "attempt": 1,
            "peer": "dataverse",
            "purpose": "create",
            "method": "POST",
            "url": "https://acme.crm4.dynamics.com/api/data/v9.2/numora_invoices",
            "sent_at": _MOMENT,
            "status": 204,
            "ms": 412,
            "peer_request_id": "0c1f7a52-1f0b-4a0e-8a0e-3f1f0f1c7d11",
            "error": None,
            "excerpt": None,
        }
    ],
}
_TENANT: Final[Mapping[str, Any]] = {
    "id": "acme",
    "healthy": True,
    "blocked": [],
    "poll": {"finished_at": _MOMENT, "succeeded_at": _MOMENT, "error": None},
    "mappings": [{"schema": "invoice_v2", "checked": True, "findings": []}],
    "in_progress": 0,
    "deliveries": {"queued": 0, "succeeded": 120},
    "oldest_queued_at": None,
}
_PREVIEW: Final[Mapping[str, Any]] = {
    "document_id": PATHS["document"],
    "schema": "invoice_v2",
    "status": "reviewed",
    "deliverable": True,
    "expected": {"state": "succeeded", "operation": "created"},
    "mapping": DELIVERY["mapping"],
    "plan": {
        "table": "numora_invoice",
        "columns": {"numora_name": "INV-2026-001", "numora_total": 1234.5},
        "lookups": [
            {
                "column": "numora_Vendor",
                "table": "account",
                "criteria": {"accountnumber": "V-100"},
                "missing": "skip",
                "row": "3f2b8c1e-5a77-4a53-9d0e-6f1d2c3b4a59",
                "age": 42,
            }
        ],
        "lines": {
            "table": "numora_invoiceline",
            "rows": [{"key": "li_1", "columns": {"numora_description": "Paper", "numora_amount": 1234.5}}],
        },
        "attachments": [],
    },
    "body": {"numora_name": "INV-2026-001", "numora_total": 1234.5},
    "difference": {"record_id": None, "columns": [], "lines_added": ["li_1"], "lines_removed": []},
    "problems": [],
    "skip": None,
    "trace": [
        {
            "row": None,
            "column": "numora_total",
            "expression": "fields.total_amount",
            "selected": "1,234.50",
            "transform": "decimal",
            "result": 1234.5,
            "problem": None,
        }
    ],
}
_REVIEW_STATE: Final[Mapping[str, Any]] = {
    "version": 1,
    "confirmed_general_field_names": ["invoice_number"],
    "confirmed_line_item_ids": ["li_1"],
}
_DOCUMENT: Final[Mapping[str, Any]] = {
    "document": {
        "id": PATHS["document"],
        "schema": "invoice_v2",
        "status": "reviewed",
        "external_id": "mail-4711",
        "metadata": {"vendor_code": "V-100"},
        "created_at": "2026-01-31T08:00:00.000Z",
        "updated_at": _MOMENT,
        "review_state": _REVIEW_STATE,
        "duplicate_of": None,
    },
    "result": {
        "id": PATHS["document"],
        "schema": "invoice_v2",
        "status": "reviewed",
        "confidence": 0.93,
        "fields": {"invoice_number": {"value": "INV-2026-001", "confidence": 0.97}},
        "line_items": [],
    },
    "deliveries": [DELIVERY],
}
_DISPATCHED: Final[Mapping[str, Any]] = {
    "id": PATHS["document"],
    "status": "push_pending",
    "run_id": PATHS["run"],
    "repeated": False,
}
_VERSION: Final = "rvr_ABCDEFGHIJKLMNOPQRSTUVWX23"
_REVIEW: Final[Mapping[str, Any]] = {
    "id": PATHS["review"],
    "workflow_id": "wrk_1",
    "run_id": "run_1",
    "block_type": "extract",
    "created_at": _MOMENT,
    "decision": None,
}
_DECIDED: Final[Mapping[str, Any]] = {
    "submission_status": "accepted",
    "resume_status": "resumed",
    "resume_error": None,
    "run_status": "running",
    "review": {
        **_REVIEW,
        "decision": {"verdict": "approved", "version_id": _VERSION, "created_at": _LATER, "reason": None},
    },
}
_SUBSCRIPTION: Final[Mapping[str, Any]] = {
    "id": PATHS["subscription"],
    "url": "https://n8n.example/webhook/bridge",
    "types": ["delivery.*"],
    "state": "active",
    "origin": "api",
    "failing_since": None,
    "error": None,
    "created_at": _MOMENT,
    "updated_at": _MOMENT,
}
_DESTINATION: Final[Mapping[str, Any]] = {
    "id": PATHS["destination"],
    "provider": "dynamics365",
    "display_name": "Finance Dataverse",
    "status": "active",
    "has_credentials": True,
}
_TESTED: Final[Mapping[str, Any]] = {"status": "ok", "message": "Connected."}
_SOURCE_MAPPING: Final[Mapping[str, Any]] = {"fields": {"invoice_number": "name"}}
_QUEUED_RUN: Final[Mapping[str, Any]] = {
    "run_id": PATHS["run"],
    "workflow_id": PATHS["workflow"],
    "status": "queued",
    "execution_mode": "queued",
}


def _page(*entries: Any) -> dict[str, Any]:
    return {"data": list(entries), "next_cursor": None}


BODIES: Final[Mapping[str, Mapping[str, Any]]] = {
    "poll": {},
    "retry": {"mapping": "latest"},
    "retryMany": {"state": ["failed", "parked"], "error_code": "lookup_missing", "dry_run": True},
    "deliver": {"wait": 30, "force": False, "resume_url": "https://n8n.example/webhook-waiting/17?signature=c0ffee"},
    "preview": {},
    "submitDocument": {
        "schema": "invoice_v2",
        "file_url": "https://files.example/invoice.pdf",
        "external_id": "mail-4711",
        "metadata": {"vendor_code": "V-100"},
    },
    "approveDocument": {"expected_updated_at": _MOMENT, "review_state": _REVIEW_STATE},
    "rejectDocument": {"expected_updated_at": _MOMENT},
    "retryPush": {},
    "dispatchDocument": {},
    "approveReview": {"version_id": _VERSION, "acknowledged_superseded_version_ids": []},
    "rejectReview": {"version_id": _VERSION, "reason": "The total is not the invoice's."},
    "subscribe": {"url": _SUBSCRIPTION["url"], "types": ["delivery.*"]},
    "testSubscription": {},
    "resumeSubscription": {},
    "createDestination": {"provider": "dynamics365", "display_name": "Finance Dataverse"},
    "testDestination": {},
    "putSourceMapping": _SOURCE_MAPPING,
    "dispatchWorkflow": {"document_id": PATHS["document"]},
    "takeHook": {
        "id": "evt_01jpz4m7",
        "type": "document.reviewed",
        "created_at": "2026-01-31T09:30:00Z",
        "data": {"document_id": PATHS["document"], "schema": "invoice_v2", "status": "reviewed"},
    },
}
"""A body for every operation that takes one."""

ANSWERS: Final[Mapping[str, Mapping[int, Any]]] = {
    "healthz": {200: {"status": "ok"}},
    "readyz": {
        200: {"status": "ready", "parts": {"ledger": {"status": "ok", "reason": None, "codes": {}}}},
        503: {"status": "starting", "parts": {}},
    },
    "me": {200: {"role": "operator", "tenants": ["acme"]}},
    "tenants": {200: {"data": [_TENANT], "configuration": []}},
    "poll": {200: {"seen": 120, "queued": 7, "cursor_reset": False}},
    "listDeliveries": {200: _page(DELIVERY)},
    "getDelivery": {200: _DETAIL},
    "retry": {200: DELIVERY, 202: QUEUED},
    "retryMany": {200: {"matched": 1, "deliveries": [DELIVERY["id"]], "dry_run": True}},
    "deliver": {200: DELIVERY, 202: QUEUED},
    "preview": {200: _PREVIEW},
    "getDocument": {200: _DOCUMENT},
    "submitDocument": {
        202: {
            "id": PATHS["document"],
            "status": "processing",
            "schema": "invoice_v2",
            "external_id": "mail-4711",
            "status_url": f"/v1/documents/{PATHS['document']}",
            "result_url": f"/v1/documents/{PATHS['document']}/result",
        }
    },
    "approveDocument": {
        200: {
            "id": PATHS["document"],
            "status": "reviewed",
            "updated_at": _LATER,
            "review_state": _REVIEW_STATE,
            "delivery": QUEUED,
            "delivery_effect": "none",
        }
    },
    "rejectDocument": {
        200: {
            "id": PATHS["document"],
            "status": "review_required",
            "updated_at": _LATER,
            "review_state": None,
            "delivery": {
                **QUEUED,
                "state": "superseded",
                "step": None,
                "next_attempt_at": None,
                "error": {"code": "back_in_review", "message": "The document was sent back to review."},
            },
            "delivery_effect": "superseded",
        }
    },
    "retryPush": {200: {**_DISPATCHED, "repeated": True}, 202: _DISPATCHED},
    "dispatchDocument": {200: {**_DISPATCHED, "repeated": True}, 202: _DISPATCHED},
    "listReviews": {200: _page(_REVIEW)},
    "getReview": {
        200: {
            **_REVIEW,
            "versions": [
                {"id": _VERSION, "parent_id": None, "snapshot": {"invoice_number": "INV-1"}, "created_at": _MOMENT}
            ],
            "latest_version_ids": [_VERSION],
        }
    },
    "approveReview": {200: _DECIDED},
    "rejectReview": {200: {**_DECIDED, "submission_status": "already_applied"}},
    "listSubscriptions": {200: _page(_SUBSCRIPTION)},
    "subscribe": {200: _SUBSCRIPTION, 201: {**_SUBSCRIPTION, "secret": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"}},
    "testSubscription": {202: {"message_id": "msg_019c1234abc0011223344556677"}},
    "resumeSubscription": {200: _SUBSCRIPTION},
    "listSchemas": {200: _page({"id": "invoice_v2", "label": "Invoice", "status": "active"})},
    "listDestinations": {200: _page(_DESTINATION)},
    "createDestination": dict.fromkeys((200, 201, 202), _DESTINATION),
    "testDestination": dict.fromkeys((200, 202), _TESTED),
    "getSourceMapping": {200: _SOURCE_MAPPING},
    "putSourceMapping": dict.fromkeys((200, 201, 202), _SOURCE_MAPPING),
    "listWorkflows": {200: _page({"id": PATHS["workflow"], "name": "To Dynamics", "status": "active", "version": 7})},
    "dispatchWorkflow": dict.fromkeys((200, 202), _QUEUED_RUN),
    "getRun": {200: {"id": PATHS["run"], "workflow_id": PATHS["workflow"], "status": "succeeded"}},
    "listRunLogs": {200: _page({"id": "log_1", "status": "succeeded", "message": "The row was written."})},
    "takeHook": {202: {"accepted": True, "repeated": False}},
}
"""An answer for every status of success of every operation whose answer is JSON."""
