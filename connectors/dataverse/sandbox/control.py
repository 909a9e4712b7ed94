"""The control routes that only the Dataverse sandbox has."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from connectors.dataverse.sandbox.errors import ApiError
from connectors.dataverse.sandbox.messages import error_response, loads
from connectors.dataverse.sandbox.privileges import Operation
from connectors.dataverse.sandbox.settings import Settings
from connectors.dataverse.sandbox.store import KeyStatus
from connectors.sandbox.control import json_answer

if TYPE_CHECKING:
    from connectors.dataverse.sandbox.server import DataverseSandbox


class _Seed(msgspec.Struct, forbid_unknown_fields=True):
    table: str
    rows: list[dict[str, Any]]


class _KeyIndexStatus(msgspec.Struct, forbid_unknown_fields=True):
    status: KeyStatus


class _Privilege(msgspec.Struct, forbid_unknown_fields=True):
    table: str
    operation: Operation
    granted: bool


def dataverse_control_routes(sandbox: "DataverseSandbox") -> Iterable[web.RouteDef]:
    """Return the control routes for rows, effects, keys, privileges and settings."""

    async def seed(request: web.Request) -> web.Response:
        try:
            spec = msgspec.convert(loads(await request.read()), _Seed)
            return json_answer({"ids": sandbox.seed(spec.table, spec.rows)}, 201)
        except msgspec.MsgspecError as error:
            return json_answer({"error": str(error)}, 400)
        except KeyError:
            return json_answer({"error": "There is no such table."}, 404)
        except ApiError as error:
            answer = error_response(error)
            return web.Response(status=answer.status, body=answer.body, content_type="application/json")

    async def rows(request: web.Request) -> web.Response:
        table = request.match_info["table"]
        if table not in sandbox.api.catalog.by_name:
            return json_answer({"error": "There is no such table."}, 404)
        return json_answer({"rows": sandbox.rows(table)})

    async def effects(request: web.Request) -> web.Response:
        table, row_id = request.query.get("table"), request.query.get("id")
        wanted = [
            effect.report()
            for effect in sandbox.effects
            if table in (None, effect.table) and row_id in (None, effect.id)
        ]
        return json_answer({"effects": wanted})

    async def key_status(request: web.Request) -> web.Response:
        try:
            status = msgspec.json.decode(await request.read(), type=_KeyIndexStatus).status
            now = sandbox.set_key_status(request.match_info["table"], request.match_info["key"], status)
        except msgspec.MsgspecError as error:
            return json_answer({"error": str(error)}, 400)
        except KeyError:
            return json_answer({"error": "There is no such key."}, 404)
        return json_answer({"status": now})

    async def privilege(request: web.Request) -> web.Response:
        try:
            spec = msgspec.json.decode(await request.read(), type=_Privilege)
        except msgspec.MsgspecError as error:
            return json_answer({"error": str(error)}, 400)
        privileges = sandbox.api.privileges
        (privileges.give if spec.granted else privileges.take)(spec.table, spec.operation)
        return web.Response(status=204)

    async def settings(request: web.Request) -> web.Response:
        now = msgspec.structs.asdict(sandbox.settings)
        try:
            changes = msgspec.json.decode(await request.read(), type=dict[str, Any])
            wanted = msgspec.convert({**now, **changes}, Settings)
        except msgspec.MsgspecError as error:
            return json_answer({"error": str(error)}, 400)
        for name, value in msgspec.structs.asdict(wanted).items():
            setattr(sandbox.settings, name, value)
        return json_answer(msgspec.structs.asdict(sandbox.settings))

    return (
        web.post("/_sandbox/rows", seed),
        web.get("/_sandbox/rows/{table}", rows),
        web.get("/_sandbox/effects", effects),
        web.put("/_sandbox/keys/{table}/{key}", key_status),
        web.put("/_sandbox/privileges", privilege),
        web.put("/_sandbox/settings", settings),
    )
