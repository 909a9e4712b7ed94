"""Numora as its published pages tell: outbox, document, result, delivery callback; nothing more than that."""

import random
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote

import msgspec
from aiohttp import web

from tests.blackbox.imitations.wire import Seen, Server, answer, decode


def moment(seconds: float) -> str:
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{int(seconds * 1000) % 1000:03d}Z"


@dataclass
class Doc:
    """A document, and what was reported about it. ``listed`` forces it into the outbox or keeps it out of it."""

    id: str
    schema: str = "invoice_v2"
    fields: dict[str, Any] = field(default_factory=dict)
    line_items: list[dict[str, Any]] = field(default_factory=list)
    metadata: dict[str, Any] = field(default_factory=dict)
    external_id: str | None = None
    status: str = "reviewed"
    updated_at: float = 0.0
    confidence: Any = 0.93
    review_state: Any = None
    duplicate_of: str | None = None
    listed: bool | None = None
    callbacks: list[dict[str, Any]] = field(default_factory=list)
    """What was recorded: one for each execution id."""

    @property
    def is_listed(self) -> bool:
        return self.status in {"reviewed", "push_failed"} if self.listed is None else self.listed


@dataclass
class Posted:
    """A callback as it arrived, recorded or not."""

    document: str
    body: bytes
    status: int

    @property
    def json(self) -> Any:
        return decode(self.body)


class Numora(Server):
    """One Numora for several customers, told apart by their keys."""

    def __init__(self) -> None:
        super().__init__()
        self.customers: dict[str, dict[str, Doc]] = {}
        self.posted: list[Posted] = []
        self.cursor_place = "meta"
        self.cursor_param = "cursor"
        self.cursor_style = "lasting"  # lasting | single_use | age | refused
        self.cursor_refusals: tuple[int, ...] = (400, 404, 410, 422)
        self.cursor_refused_share = 0.2
        self.outbox_status = 200
        self.failed_stay_listed = True
        self.callback_status = 200
        self.callback_conflict = False
        self.foreign_result_url: str | None = None
        self.redirect_results: str | None = None
        self.bare_cells = False
        self.sparse_outbox = False
        self.random = random.Random(7)
        self._cursors: dict[str, tuple[float, str]] = {}
        self._given: dict[str, int] = {}
        self.pages = 0
        self.refused_cursors = 0
        self._clock = time.time() - 100_000

    # --- what a test does

    def customer(self, key: str) -> dict[str, Doc]:
        return self.customers.setdefault(key, {})

    def add(self, key: str, doc: Doc) -> Doc:
        self.touch(doc)
        self.customer(key)[doc.id] = doc
        return doc

    def touch(self, doc: Doc) -> None:
        self._clock += 1
        doc.updated_at = self._clock

    def review_again(self, doc: Doc, **changes: Any) -> None:
        """Edit and approve a document once more."""
        for name, value in changes.items():
            setattr(doc, name, value)
        doc.status = "reviewed"
        self.touch(doc)

    # --- what it answers

    async def handle(self, seen: Seen) -> web.StreamResponse:
        key = seen.headers.get("authorization", "").removeprefix("Bearer ")
        if key not in self.customers:
            return self._error(401, "unauthorized")
        parts = [unquote(part) for part in seen.raw_path.split("/")[1:]]
        match [seen.method, *parts]:
            case ["GET", "v1", "delivery", "outbox"]:
                return self._outbox(key, seen)
            case ["GET", "v1", "documents", id]:
                return self._document(key, id)
            case ["GET", "v1", "documents", id, "result"]:
                return self._result(key, id)
            case ["POST", "v1", "documents", id, "delivery"]:
                return self._callback(key, id, seen)
            case ["GET", "v1", "documents", id, "delivery"] if id in self.customers[key]:
                return answer(200, {"data": self.customers[key][id].callbacks})
        return self._error(404, "not_found")

    @staticmethod
    def _error(status: int, code: str, message: str = "") -> web.Response:
        return answer(
            status, {"error": {"code": code, "message": message or code, "request_id": f"req_{time.time_ns()}"}}
        )

    def refusal(self, status: int, kind: str) -> web.Response:
        return self._error(status, kind)

    def _outbox(self, key: str, seen: Seen) -> web.Response:
        if self.outbox_status != 200:
            return self._error(self.outbox_status, "not_found", "This endpoint has been removed")
        if seen.query.get("provider") != "dynamics365":
            return self._error(422, "invalid_payload", "provider")
        limit = int(seen.query.get("limit", "50"))
        if not 1 <= limit <= 100:
            return self._error(422, "invalid_payload", "limit")
        start = (0.0, "")
        if (given := seen.query.get(self.cursor_param)) is not None:
            if (place := self._cursor(given)) is None:
                self.refused_cursors += 1
                return self._error(self.random.choice(self.cursor_refusals), "invalid_payload", "cursor")
            start = place
        self.pages += 1
        waiting = sorted(
            (doc for doc in self.customers[key].values() if doc.is_listed and (doc.updated_at, doc.id) > start),
            key=lambda doc: (doc.updated_at, doc.id),
        )
        page, more = waiting[:limit], len(waiting) > limit
        cursor = self._new_cursor(page[-1]) if more else None
        data = [self._listed(doc) for doc in page]
        if self.cursor_place == "meta":
            return answer(200, {"data": data, "meta": {"provider": "dynamics365", "next_cursor": cursor}})
        return answer(200, {"data": data, "next_cursor": cursor})

    def _listed(self, doc: Doc) -> dict[str, Any]:
        if self.sparse_outbox:
            return {"document_id": doc.id, "schema": doc.schema, "status": "a status of next year", "new": {"a": [1]}}
        origin = self.foreign_result_url or ""
        return {
            "document_id": doc.id,
            "schema": doc.schema,
            "status": doc.status,
            "external_id": doc.external_id,
            "metadata": doc.metadata,
            "result_url": f"{origin}/v1/documents/{quote(doc.id, safe='')}/result",
            "dispatch_url": f"{origin}/v1/documents/{quote(doc.id, safe='')}/dispatch",
            "updated_at": moment(doc.updated_at),
        }

    def _new_cursor(self, last: Doc) -> str:
        cursor = f"cur_{self.random.getrandbits(64):016x}+/="
        self._cursors[cursor] = (last.updated_at, last.id)
        self._given[cursor] = self.pages
        return cursor

    def _cursor(self, given: str) -> tuple[float, str] | None:
        place = self._cursors.get(given)
        match self.cursor_style:
            case "single_use":
                self._cursors.pop(given, None)
            case "age" if self.pages - self._given.get(given, 0) > 0 and self.random.random() < 0.3:
                return None
            case "refused" if self.random.random() < self.cursor_refused_share:
                return None
        return place

    def _document(self, key: str, id: str) -> web.Response:
        doc = self.customers[key].get(id)
        if doc is None:
            return self._error(404, "not_found")
        return answer(
            200,
            {
                "id": doc.id,
                "schema": doc.schema,
                "status": doc.status,
                "external_id": doc.external_id,
                "metadata": doc.metadata,
                "created_at": moment(doc.updated_at - 3600),
                "updated_at": moment(doc.updated_at),
                "review_state": doc.review_state,
                "duplicate_of": doc.duplicate_of,
            },
        )

    def _result(self, key: str, id: str) -> web.Response:
        doc = self.customers[key].get(id)
        if doc is None:
            return self._error(404, "not_found")
        if self.redirect_results is not None:
            return web.Response(status=307, headers={"Location": f"{self.redirect_results}/v1/documents/{id}/result"})
        if self.bare_cells:
            fields = {name: cell["value"] if isinstance(cell, dict) else cell for name, cell in doc.fields.items()}
        else:
            fields = {
                name: cell if isinstance(cell, dict) else {"value": cell, "confidence": 0.97}
                for name, cell in doc.fields.items()
            }
        return answer(
            200,
            {
                "id": doc.id,
                "schema": doc.schema,
                "status": doc.status,
                "review_state": doc.review_state,
                "confidence": doc.confidence,
                "fields": fields,
                "line_items": doc.line_items,
                "duplicate_of": doc.duplicate_of,
            },
        )

    def _callback(self, key: str, id: str, seen: Seen) -> web.Response:
        response = self._record(key, id, seen)
        self.posted.append(Posted(id, seen.body, response.status))
        return response

    def _record(self, key: str, id: str, seen: Seen) -> web.Response:
        doc = self.customers[key].get(id)
        if doc is None:
            return self._error(404, "not_found")
        try:
            body = decode(seen.body)
        except msgspec.DecodeError:
            return self._error(400, "invalid_payload")
        known = {
            "provider", "status", "execution_id", "attempted_at", "external_record_id", "external_url", "error_code",
            "error_message",
        }  # fmt: skip
        status = body.get("status")
        missing = [name for name in ("provider", "status", "execution_id", "attempted_at") if not body.get(name)]
        if status == "succeeded" and not body.get("external_record_id"):
            missing.append("external_record_id")
        if missing or set(body) - known or body["provider"] != "dynamics365" or status not in {
            "succeeded", "failed", "skipped",
        }:  # fmt: skip
            return self._error(422, "invalid_payload", f"{missing} {set(body) - known}")
        if self.callback_conflict:
            return self._error(409, "conflict", "delivery conflict")
        before = next((one for one in doc.callbacks if one["execution_id"] == body["execution_id"]), None)
        if before is not None:
            if before != body:
                return self._error(409, "conflict", "the same execution id with other data")
            return answer(
                self.callback_status, None if self.callback_status == 204 else {"id": id, "status": doc.status}
            )
        doc.callbacks.append(body)
        if status == "succeeded":
            doc.status = "push_succeeded"
        elif status == "failed":
            doc.status = "push_failed"
            if not self.failed_stay_listed and doc.listed is None:
                doc.listed = False
        else:
            doc.listed = False if doc.listed is None else doc.listed
        self.touch(doc)
        return answer(self.callback_status, None if self.callback_status == 204 else {"id": id, "status": doc.status})
