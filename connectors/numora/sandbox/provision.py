"""Control routes of the Numora sandbox: put documents in and change them from another process."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
from aiohttp import web

from connectors.http import decode_json
from connectors.numora.sandbox.documents import SandboxDocument
from connectors.numora.sandbox.provision_calls import calling_routes
from connectors.sandbox.control import json_answer

if TYPE_CHECKING:
    from connectors.numora.sandbox.server import NumoraSandbox


class NewDocument(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of ``POST /_sandbox/documents``: a document as Numora would hold it once reviewed."""

    schema: str
    fields: dict[str, Any]
    id: str | None = None
    line_items: list[Any] | dict[str, Any] = msgspec.field(default_factory=list)
    status: str = "reviewed"
    external_id: str | None = None
    metadata: dict[str, Any] = msgspec.field(default_factory=dict)
    confidence: Any = None
    duplicate_of: str | None = None
    review_state: dict[str, Any] | None = None
    result_url: str | None = None


class Amendment(msgspec.Struct, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """The body of ``PATCH /_sandbox/documents/{id}``: what changes before the document is approved again."""

    fields: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    line_items: list[Any] | dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    status: str | msgspec.UnsetType = msgspec.UNSET
    metadata: dict[str, Any] | msgspec.UnsetType = msgspec.UNSET
    duplicate_of: str | msgspec.UnsetType | None = msgspec.UNSET


def provision_routes(sandbox: "NumoraSandbox") -> Iterable[web.RouteDef]:
    """Return the control routes for documents. They act on the first workspace, or on that of ``?key=``."""

    async def add(request: web.Request) -> web.Response:
        workspace = sandbox.workspace(request.query.get("key"))
        try:
            body = msgspec.convert(decode_json(await request.read()), NewDocument)
            content = {**msgspec.structs.asdict(body), "id": body.id or str(uuid4())}
            document = workspace.add(SandboxDocument(**content))
        except (ValueError, msgspec.MsgspecError) as error:
            return json_answer({"error": str(error)}, 400)
        return json_answer({"id": document.id, "updated_at": document.updated_at}, 201)

    async def amend(request: web.Request) -> web.Response:
        workspace = sandbox.workspace(request.query.get("key"))
        document_id = request.match_info["document_id"]
        if document_id not in workspace.documents:
            return json_answer({"error": "there is no such document"}, 404)
        try:
            body = msgspec.convert(decode_json(await request.read()), Amendment)
        except (ValueError, msgspec.MsgspecError) as error:
            return json_answer({"error": str(error)}, 400)
        changes = {name: value for name, value in msgspec.structs.asdict(body).items() if value is not msgspec.UNSET}
        document = workspace.amend(document_id, **changes)
        return json_answer({"id": document.id, "updated_at": document.updated_at})

    return (
        web.post("/_sandbox/documents", add),
        web.patch("/_sandbox/documents/{document_id}", amend),
        *calling_routes(sandbox),
    )
