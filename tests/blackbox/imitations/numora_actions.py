"""What Numora lets people do with documents, and its other resources, as its published pages tell."""

from collections import Counter
from typing import Any

from aiohttp import web

from tests.blackbox.imitations.numora import Doc, Numora, moment
from tests.blackbox.imitations.wire import Seen, answer

APPROVABLE = {"review_required", "reviewed", "push_failed", "push_pending", "push_succeeded"}
PUSHABLE = {"reviewed", "push_failed", "push_succeeded"}


class ActingNumora(Numora):
    """Numora with everything that changes something. What had an effect is counted by document."""

    def __init__(self) -> None:
        super().__init__()
        self.approvals: Counter[str] = Counter()
        self.rejections: Counter[str] = Counter()
        self.dispatches: Counter[str] = Counter()
        self.pushes: Counter[str] = Counter()
        self.submitted: dict[tuple[str, str, str], str] = {}
        self.destinations: list[dict[str, Any]] = []
        self.workflow_runs: Counter[str] = Counter()
        self.ends_after_looks = 1
        """Reads of a document that is on its way until its own delivery has ended."""
        self.ends_as = "push_succeeded"
        self._looks: Counter[str] = Counter()
        self._approved: dict[str, tuple[bytes, dict[str, Any]]] = {}

    async def handle(self, seen: Seen) -> web.StreamResponse:
        key = seen.headers.get("authorization", "").removeprefix("Bearer ")
        if key in self.customers:
            response = self._act(key, seen)
            if response is not None:
                return response
        return await super().handle(seen)

    def _act(self, key: str, seen: Seen) -> web.Response | None:
        parts = seen.path.split("/")[1:]
        match [seen.method, *parts]:
            case ["POST", "v1", "documents"]:
                return self._submit(key, self._read(seen))
            case ["GET", "v1", "documents", id]:
                self._look(key, id)
                return None
            case ["POST", "v1", "documents", id, "actions", action]:
                return self._on_document(key, id, action, seen)
            case ["POST", "v1", "documents", id, "dispatch"]:
                return self._on_document(key, id, "dispatch", seen)
            case [_, "v1", ("schemas" | "destinations" | "mappings" | "workflows" | "runs"), *_]:
                return self._resource(seen, parts[1:])
        return None

    @staticmethod
    def _read(seen: Seen) -> dict[str, Any]:
        body = seen.json if seen.body else {}
        assert isinstance(body, dict), seen
        return body

    # --- documents

    def _submit(self, key: str, body: dict[str, Any]) -> web.Response:
        if not {"schema", "file_url"} <= set(body) <= {"schema", "file_url", "external_id", "metadata"}:
            return self._error(422, "invalid_payload")
        place = (key, body["schema"], body["external_id"])
        if place not in self.submitted:
            id = f"doc_submitted_{len(self.submitted)}"
            self.submitted[place] = id
            doc = Doc(id, schema=body["schema"], external_id=body["external_id"], metadata=body.get("metadata", {}))
            doc.status = "processing"
            self.add(key, doc)
        id = self.submitted[place]
        links = {"status_url": f"/v1/documents/{id}", "result_url": f"/v1/documents/{id}/result"}
        return answer(202, {"id": id, "status": "processing", "schema": body["schema"], **links})

    def _on_document(self, key: str, id: str, action: str, seen: Seen) -> web.Response:
        doc = self.customers[key].get(id)
        if doc is None:
            return self._error(404, "not_found")
        match action:
            case "approve":
                return self._approve(doc, seen)
            case "reject":
                return self._reject(doc, seen)
            case "retry-push":
                return self._push(doc, self.pushes)
            case "dispatch" if self._read(seen) == {"provider": "dynamics365"}:
                return self._push(doc, self.dispatches)
        return self._error(422, "invalid_payload")

    def _approve(self, doc: Doc, seen: Seen) -> web.Response:
        body = self._read(seen)
        state = body.get("review_state")
        if set(body) - {"expected_updated_at", "review_state"} or (state is not None and not _is_normal(state)):
            return self._error(422, "invalid_payload")
        before = self._approved.get(doc.id)
        if before is not None and before[0] == seen.body and before[1]["updated_at"] == moment(doc.updated_at):
            return answer(200, before[1])
        if (refused := self._stale(doc, body, "approve conflict")) is not None:
            return refused
        if doc.status not in APPROVABLE:
            return self._error(409, "conflict", "the document cannot be approved")
        self.approvals[doc.id] += 1
        doc.status, doc.review_state = "reviewed", state
        self.touch(doc)
        told = {"id": doc.id, "status": "reviewed", "updated_at": moment(doc.updated_at), "review_state": state}
        self._approved[doc.id] = (seen.body, told)
        return answer(200, told)

    def _stale(self, doc: Doc, body: dict[str, Any], message: str) -> web.Response | None:
        current = moment(doc.updated_at)
        if body.get("expected_updated_at", current) == current:
            return None
        error = {"code": "conflict", "message": message, "request_id": "req_1"}
        return answer(409, {"error": error, "updated_at": current})

    def _reject(self, doc: Doc, seen: Seen) -> web.Response:
        if (refused := self._stale(doc, self._read(seen), "reject conflict")) is not None:
            return refused
        if doc.status != "review_required":
            self.rejections[doc.id] += 1
            doc.status = "review_required"
            self.touch(doc)
        return answer(200, {"id": doc.id, "status": doc.status, "updated_at": moment(doc.updated_at)})

    def _push(self, doc: Doc, counted: Counter[str]) -> web.Response:
        if doc.status not in PUSHABLE:
            return self._error(409, "conflict", f"the document is {doc.status}")
        counted[doc.id] += 1
        doc.status = "push_pending"
        self._looks[doc.id] = 0
        self.touch(doc)
        return answer(202, {"id": doc.id, "status": "push_pending", "run_id": f"run_{counted[doc.id]}"})

    def _look(self, key: str, id: str) -> None:
        doc = self.customers[key].get(id)
        if doc is None or doc.status != "push_pending" or not (self.dispatches[id] or self.pushes[id]):
            return
        self._looks[id] += 1
        if self._looks[id] > self.ends_after_looks:
            doc.status = self.ends_as
            self.touch(doc)

    # --- everything else

    def _resource(self, seen: Seen, parts: list[str]) -> web.Response:
        match [seen.method, *parts]:
            case ["GET", "schemas"]:
                return answer(200, {"data": [{"id": "invoice_v2", "label": "Invoice", "status": "active"}]})
            case ["GET", "destinations"]:
                return answer(200, {"data": self.destinations, "next_cursor": None})
            case ["POST", "destinations"]:
                body = self._read(seen)
                made = {"id": f"dst_{len(self.destinations)}", "provider": body["provider"], "status": "active"}
                self.destinations.append({**made, "has_credentials": "client_secret" in body})
                return answer(201, {**self.destinations[-1], "client_secret": body.get("client_secret")})
            case ["POST", "destinations", _, "test"]:
                return answer(200, {"ok": True})
            case [("GET" | "PUT"), "mappings", schema, destination]:
                told = {"schema": schema, "destination": destination}
                return answer(200, told if seen.method == "GET" else {**told, **self._read(seen)})
            case ["GET", "workflows"]:
                return answer(200, {"data": [{"id": "wf_1", "name": "Push", "status": "active", "version": 7}]})
            case ["POST", "workflows", id, "dispatch"]:
                self.workflow_runs[id] += 1
                run = {"run_id": f"run_{self.workflow_runs[id]}", "workflow_id": id, "status": "queued"}
                return answer(202, {**run, "execution_mode": self._read(seen)["execution_mode"]})
            case ["GET", "runs", id]:
                return answer(200, {"id": id, "status": "succeeded"})
            case ["GET", "runs", id, "logs"]:
                return answer(200, {"data": [{"node": "start", "status": "ok"}]})
        return self._error(404, "not_found")


def _is_normal(state: Any) -> bool:
    names = {"version", "confirmed_general_field_names", "confirmed_line_item_ids"}
    try:
        lists = [state["confirmed_general_field_names"], state["confirmed_line_item_ids"]]
    except (KeyError, TypeError):
        return False
    return set(state) == names and state["version"] == 1 and any(lists)
