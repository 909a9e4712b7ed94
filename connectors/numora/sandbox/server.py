"""The sandbox of Numora: its routes over loopback, strict about what the real one is known to be strict about."""

import time
from collections.abc import Callable, Iterable, Mapping
from itertools import count
from typing import Any, ClassVar, Literal

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from connectors.http import encode_json
from connectors.numora.sandbox.actions import approve, dispatch, reject, retry_push, submit
from connectors.numora.sandbox.callbacks import history, take_callback
from connectors.numora.sandbox.calling import Caller
from connectors.numora.sandbox.catalogue_routes import catalogue_routes
from connectors.numora.sandbox.documents import Callback, SandboxDocument, Workspace
from connectors.numora.sandbox.outbox import CursorError, Outbox, OutboxRules
from connectors.numora.sandbox.provision import provision_routes
from connectors.numora.sandbox.refusing import RefusedError
from connectors.sandbox.server import SandboxServer

DEFAULT_KEY = "sk_live_sandbox"
_ERROR_CODES = {
    400: "invalid_payload",
    401: "unauthorized",
    403: "forbidden",
    404: "not_found",
    409: "conflict",
    410: "not_found",
    422: "invalid_payload",
    429: "rate_limited",
}
_RATE_LIMIT = 6000
_LARGEST_LIMIT = 1000

WorkspaceHandler = Callable[[web.Request, Workspace, bytes], web.Response]
DocumentHandler = Callable[[Workspace, SandboxDocument, bytes], web.Response]


class NumoraSandbox(SandboxServer):
    """Numora on loopback. Each key of ``keys`` opens a workspace of its own, which no other key sees.

    ``outbox`` holds the rules of the outbox. ``history_shape`` is how the delivery history is told and
    ``action_answers`` how actions other than approve are answered, for neither is published: with the document, with
    the run alone, or with nothing. ``processing_result`` is the status that the result of a document answers with while
    it is processed; None serves what there is. ``calls`` is what Numora sends by itself.
    The remaining arguments are those of ``SandboxServer``.
    """

    name: ClassVar[str] = "numora"

    def __init__(
        self,
        keys: Iterable[str] = (DEFAULT_KEY,),
        *,
        outbox: OutboxRules | None = None,
        history_shape: Literal["data", "list", "object"] = "data",
        action_answers: Literal["document", "run", "empty"] = "document",
        processing_result: int | None = None,
        clock: Callable[[], float] = time.time,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        self.outbox = outbox or OutboxRules()
        self.history_shape = history_shape
        self.action_answers = action_answers
        self.processing_result = processing_result
        self.calls = Caller(clock)
        self._clock = clock
        self._by_authorization: dict[str, tuple[Workspace, Outbox]] = {}
        self._keys: dict[str, str] = {}
        self._answers = count(1)
        for key in keys:
            self.add_key(key)

    # What a test or the demo does inside Numora

    def add_key(self, key: str, name: str | None = None) -> Workspace:
        """Issue a key with an empty workspace. ``name`` is shown in place of the key, which is a secret."""
        name = name or f"workspace-{len(self._by_authorization) + 1}"
        workspace = Workspace(name, self._clock, self.calls.told)
        self._by_authorization[f"Bearer {key}"] = (workspace, Outbox(workspace, self.outbox))
        self._keys[workspace.name] = key
        return workspace

    def revoke_key(self, key: str) -> None:
        """Let a key be refused from now on; its documents go with it."""
        workspace, _ = self._by_authorization.pop(f"Bearer {key}")
        del self._keys[workspace.name]

    def workspace(self, key: str | None = None) -> Workspace:
        """Return the workspace of a key, or of the first one. Raises ``KeyError``."""
        if key is None:
            return next(iter(self._by_authorization.values()))[0]
        return self._by_authorization[f"Bearer {key}"][0]

    def add(self, *documents: SandboxDocument, key: str | None = None) -> None:
        """Take documents into a workspace."""
        workspace = self.workspace(key)
        for document in documents:
            workspace.add(document)

    def document(self, document_id: str, key: str | None = None) -> SandboxDocument:
        """Return a document of a workspace. Raises ``KeyError``."""
        return self.workspace(key).documents[document_id]

    @property
    def callbacks(self) -> list[Callback]:
        """Every callback that arrived, over all workspaces, oldest first within each."""
        return [callback for workspace, _ in self._by_authorization.values() for callback in workspace.callbacks]

    # What the base asks for

    def routes(self) -> Iterable[web.RouteDef]:
        """Return the routes of Numora's public API that the bridge uses, and the control routes for documents."""
        one = "/v1/documents/{document_id}"
        return (
            web.get("/v1/delivery/outbox", self.in_workspace(self._outbox)),
            web.get(one, self._of_document(self._document)),
            web.get(f"{one}/result", self._of_document(self._result)),
            web.get(f"{one}/delivery", self._of_document(self._history)),
            web.post(f"{one}/delivery", self._of_document(self._callback)),
            web.post("/v1/documents", self.in_workspace(self._submit)),
            web.post(f"{one}/actions/approve", self._of_document(self._approve)),
            web.post(f"{one}/actions/reject", self._of_document(self._action(reject))),
            web.post(f"{one}/actions/retry-push", self._of_document(self._action(retry_push, 202))),
            web.post(f"{one}/dispatch", self._of_document(self._action(dispatch, 202))),
            *catalogue_routes(self),
            *provision_routes(self),
        )

    def state(self) -> Mapping[str, Any]:
        """Return every workspace with its documents and the callbacks that came, bodies as text."""
        return {workspace.name: _shown(workspace) for workspace, _ in self._by_authorization.values()}

    def clear(self) -> None:
        """Forget every document; the keys stay."""
        for name, key in list(self._keys.items()):
            self.add_key(key, name)

    def refusal(self, request: web.BaseRequest, status: int, code: str | None = None) -> web.Response:
        """Return Numora's error envelope."""
        del request
        code = code or _ERROR_CODES.get(status, "internal_error")
        return self._error(status, code, f"the sandbox was told to answer {status}")

    async def stop(self) -> None:
        """Stop listening and calling. What the sandbox holds stays."""
        await self.calls.close()
        await super().stop()

    # Handlers

    def _outbox(self, request: web.Request, workspace: Workspace, _: bytes) -> web.Response:
        if self.outbox.absent is not None:
            raise RefusedError(self.outbox.absent, "not_found", "there is no such route")
        query = request.query
        provider = query.get("provider")
        if provider != "dynamics365":
            raise RefusedError(400, "invalid_payload", "provider is missing or not a known one")
        limit = query.get("limit", "100")
        if not limit.isdecimal() or not 1 <= int(limit) <= _LARGEST_LIMIT:
            raise RefusedError(400, "invalid_payload", "limit is a whole number from 1")
        outbox = self._by_authorization[request.headers["Authorization"]][1]
        try:
            page = outbox.page(provider, int(limit), query.get(self.outbox.cursor_param))
        except CursorError:
            raise RefusedError(
                self.outbox.cursor_refusal, "invalid_payload", "the cursor is not valid any more"
            ) from None
        return self.answer_json(page)

    def _submit(self, _: web.Request, workspace: Workspace, body: bytes) -> web.Response:
        status, answer = submit(workspace, body)
        return self._answer(answer, status)

    def _document(self, workspace: Workspace, document: SandboxDocument, _: bytes) -> web.Response:
        workspace.look_at(document)
        return self._answer(document.resource())

    def _result(self, _: Workspace, document: SandboxDocument, __: bytes) -> web.Response:
        if self.processing_result is not None and document.status == "processing":
            raise RefusedError(self.processing_result, "conflict", "the document is still being processed")
        return self._answer(document.result())

    def _history(self, _: Workspace, document: SandboxDocument, __: bytes) -> web.Response:
        records = history(document)
        shapes: dict[str, Any] = {"data": {"data": records}, "list": records, "object": records[-1] if records else {}}
        return self.answer_json(shapes[self.history_shape])

    def _callback(self, workspace: Workspace, document: SandboxDocument, body: bytes) -> web.Response:
        callback = take_callback(workspace, document, body, self.outbox)
        return self.answer_json({"id": document.id, "execution_id": callback.execution_id, "status": document.status})

    def _approve(self, workspace: Workspace, document: SandboxDocument, body: bytes) -> web.Response:
        return self.answer_json(approve(workspace, document, body))

    def _action(
        self, action: Callable[[Workspace, SandboxDocument, bytes], dict[str, Any]], status: int = 200
    ) -> DocumentHandler:
        def act(workspace: Workspace, document: SandboxDocument, body: bytes) -> web.Response:
            told = action(workspace, document, body)
            if self.action_answers == "empty":
                return self._answer(b"", 204)
            if self.action_answers == "run" and "run_id" in told:
                return self.answer_json({"id": told["run_id"], "status": "queued"}, status)
            return self.answer_json(told, status)

        return act

    # The frame around every handler

    def in_workspace(self, handle: WorkspaceHandler) -> Handler:
        """Return a handler for the workspace of the request's key, that is told the body as well."""

        async def handler(request: web.Request) -> web.Response:
            found = self._by_authorization.get(request.headers.get("Authorization", ""))
            if found is None:
                return self._error(401, "unauthorized", "the API key is missing or not valid")
            try:
                return handle(request, found[0], await request.read())
            except RefusedError as refused:
                return self._error(refused.status, refused.code, refused.message, **refused.beside)

        return handler

    def _of_document(self, handle: DocumentHandler) -> Handler:
        def with_document(request: web.Request, workspace: Workspace, body: bytes) -> web.Response:
            document = workspace.documents.get(request.match_info["document_id"])
            if document is None:
                raise RefusedError(404, "not_found", "there is no such document")
            return handle(workspace, document, body)

        return self.in_workspace(with_document)

    def answer_json(self, content: Any, status: int = 200) -> web.Response:
        """Return an answer with Numora's usual headers."""
        return self._answer(encode_json(content), status)

    def _answer(self, body: bytes, status: int = 200, request_id: str | None = None) -> web.Response:
        number = next(self._answers)
        headers = {
            "x-request-id": request_id or f"req_{number:08x}",
            "x-rate-limit-limit": str(_RATE_LIMIT),
            "x-rate-limit-remaining": str(_RATE_LIMIT - number % _RATE_LIMIT),
            "x-rate-limit-reset": "60",
            "Content-Type": "application/json",
        }
        return web.Response(status=status, body=body, headers=headers)

    def _error(self, status: int, code: str, message: str, **beside: Any) -> web.Response:
        request_id = f"req_{next(self._answers):08x}"
        envelope = {"error": {"code": code, "message": message, "request_id": request_id}, **beside}
        return self._answer(encode_json(envelope), status, request_id)


def _shown(workspace: Workspace) -> Mapping[str, Any]:
    return {
        "documents": {
            document.id: {**msgspec.json.decode(document.resource()), "finalized": document.finalized}
            for document in workspace.documents.values()
        },
        "callbacks": [
            {
                "document_id": callback.document_id,
                "execution_id": callback.execution_id,
                "status": callback.status,
                "verdict": callback.verdict,
                "body": callback.body.decode("utf-8", "replace"),
            }
            for callback in workspace.callbacks
        ],
    }
