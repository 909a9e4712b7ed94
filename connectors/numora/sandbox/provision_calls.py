"""Control routes for what Numora does by itself: how it delivers, whom it calls, and what it would send."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from aiohttp import web

from connectors.http import decode_json
from connectors.numora.sandbox.calls_out import ExecutorTarget, Sending, SignedCall, WebhookTarget
from connectors.numora.sandbox.documents import EVENTS, SandboxDocument, Workspace
from connectors.numora.sandbox.runs import DeliveryRoute, RouteKind, RunOutcome
from connectors.sandbox.control import json_answer

if TYPE_CHECKING:
    from connectors.numora.sandbox.server import NumoraSandbox


class Routing(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of ``PUT /_sandbox/route``: see ``DeliveryRoute``."""

    kind: RouteKind = "workflow"
    outcome: RunOutcome = "never"
    after_reads: int = 1


class Webhooks(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of ``PUT /_sandbox/webhooks``: see ``WebhookTarget``."""

    secrets: list[str]
    url: str | None = None
    template: str = "{t}.{raw}"


class Executor(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of ``PUT /_sandbox/executor``: see ``ExecutorTarget``."""

    secret: str
    url: str | None = None
    auth: Literal["header", "bearer", "hmac"] = "header"
    header: str = "X-Numora-Secret"


class Calling(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of ``POST /_sandbox/documents/{id}/webhook``; ``type`` None tells the document's status.

    ``send`` False only shows the call.
    """

    type: str | None = None
    send: bool = True


Control = Callable[[web.Request], Awaitable[web.Response]]
Making = Callable[[Workspace, SandboxDocument, Calling], Sending | SignedCall]


def calling_routes(sandbox: "NumoraSandbox") -> Iterable[web.RouteDef]:
    """Return these control routes. They act on the first workspace, or on that of ``?key=``."""

    def setting(body: type[msgspec.Struct], attribute: str, make: Callable[..., Any]) -> Control:
        async def put(request: web.Request) -> web.Response:
            workspace = sandbox.workspace(request.query.get("key"))
            try:
                given = msgspec.convert(decode_json(await request.read()), body)
            except ValueError as error:
                return json_answer({"error": str(error)}, 400)
            setattr(workspace, attribute, make(**msgspec.structs.asdict(given)))
            return web.Response(status=204)

        return put

    def calling(make: Making) -> Control:
        async def call(request: web.Request) -> web.Response:
            workspace = sandbox.workspace(request.query.get("key"))
            document = workspace.documents.get(request.match_info["document_id"])
            if document is None:
                return json_answer({"error": "there is no such document"}, 404)
            try:
                given = msgspec.convert(decode_json(await request.read() or b"{}"), Calling)
                made = make(workspace, document, given)
            except (LookupError, ValueError) as error:
                return json_answer({"error": str(error)}, 400)
            if isinstance(made, Sending):
                return json_answer({"id": made.id}, 202)
            return json_answer({"headers": made.headers, "body": made.body.decode()})

        return call

    def webhook(workspace: Workspace, document: SandboxDocument, given: Calling) -> Sending | SignedCall:
        type_ = given.type or EVENTS.get(document.status, document.status)
        make = sandbox.calls.send_webhook if given.send else sandbox.calls.webhook
        return make(workspace, type_, document)

    def notify(workspace: Workspace, document: SandboxDocument, given: Calling) -> Sending | SignedCall:
        make = sandbox.calls.notify if given.send else sandbox.calls.notification
        return make(workspace, document)

    async def sendings(_: web.Request) -> web.Response:
        shown = [{"id": one.id, "url": one.url, "answers": one.answers} for one in sandbox.calls.sendings]
        return json_answer({"calls": shown})

    return (
        web.put("/_sandbox/route", setting(Routing, "route", DeliveryRoute)),
        web.put("/_sandbox/webhooks", setting(Webhooks, "webhooks", WebhookTarget)),
        web.put("/_sandbox/executor", setting(Executor, "executor", ExecutorTarget)),
        web.post("/_sandbox/documents/{document_id}/webhook", calling(webhook)),
        web.post("/_sandbox/documents/{document_id}/notify", calling(notify)),
        web.get("/_sandbox/calls", sendings),
    )
