"""The control routes that only the Dataverse sandbox has."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from connectors.dataverse.sandbox.errors import ApiError
from connectors.dataverse.sandbox.messages import loads
from connectors.dataverse.sandbox.privileges import Operation
from connectors.dataverse.sandbox.settings import Settings
from connectors.dataverse.sandbox.store import KeyStatus
from connectors.sandbox.control import json_answer

if TYPE_CHECKING:
    from connectors.dataverse.sandbox.server import DataverseSandbox


_Handler = Callable[[web.Request], Awaitable[web.Response]]


class _Seed(msgspec.Struct, forbid_unknown_fields=True):
    table: str
    rows: list[dict[str, Any]]


class _KeyIndexStatus(msgspec.Struct, forbid_unknown_fields=True):
    status: KeyStatus


class _Privilege(msgspec.Struct, forbid_unknown_fields=True):
    table: str
    operation: Operation
    granted: bool


class DataverseControl:
    """The control routes for rows, effects, keys, privileges and settings."""

    def __init__(self, sandbox: "DataverseSandbox") -> None:
        self._sandbox = sandbox

    def routes(self) -> Iterable[web.RouteDef]:
        """Return the routes."""
        return (
            web.post("/_sandbox/rows", _checked(self._seed)),
            web.get("/_sandbox/rows/{table}", _checked(self._rows)),
            web.get("/_sandbox/effects", _checked(self._effects)),
            web.put("/_sandbox/keys/{table}/{key}", _checked(self._key_status)),
            web.put("/_sandbox/privileges", _checked(self._privilege)),
            web.put("/_sandbox/settings", _checked(self._settings)),
        )

    async def _seed(self, request: web.Request) -> web.Response:
        spec = msgspec.convert(loads(await request.read()), _Seed)
        return json_answer({"ids": self._sandbox.seed(spec.table, spec.rows)}, 201)

    async def _rows(self, request: web.Request) -> web.Response:
        return json_answer({"rows": self._sandbox.rows(request.match_info["table"])})

    async def _effects(self, request: web.Request) -> web.Response:
        table, row_id = request.query.get("table"), request.query.get("id")
        wanted = [
            effect.report()
            for effect in self._sandbox.effects
            if table in (None, effect.table) and row_id in (None, effect.id)
        ]
        return json_answer({"effects": wanted})

    async def _key_status(self, request: web.Request) -> web.Response:
        status = msgspec.json.decode(await request.read(), type=_KeyIndexStatus).status
        place = request.match_info
        return json_answer({"status": self._sandbox.set_key_status(place["table"], place["key"], status)})

    async def _privilege(self, request: web.Request) -> web.Response:
        spec = msgspec.json.decode(await request.read(), type=_Privilege)
        privileges = self._sandbox.api.privileges
        (privileges.give if spec.granted else privileges.take)(spec.table, spec.operation)
        return web.Response(status=204)

    async def _settings(self, request: web.Request) -> web.Response:
        settings = self._sandbox.settings
        changes = msgspec.json.decode(await request.read(), type=dict[str, Any])
        wanted = msgspec.convert({**msgspec.structs.asdict(settings), **changes}, Settings)
        for name, value in msgspec.structs.asdict(wanted).items():
            setattr(settings, name, value)
        return json_answer(msgspec.structs.asdict(settings))


def _checked(handler: _Handler) -> _Handler:
    """Turn what is wrong with a control request into an answer that says so."""

    async def answer(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except msgspec.MsgspecError as error:
            return json_answer({"error": str(error)}, 400)
        except KeyError as error:
            return json_answer({"error": f"There is no {error}."}, 404)
        except ApiError as error:
            return json_answer({"error": error.message, "code": error.code}, error.status)

    return answer
