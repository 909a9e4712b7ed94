"""The control routes that every sandbox has, under ``/_sandbox``."""

from collections.abc import Iterable
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import msgspec
from aiohttp import web

from connectors.sandbox.faults import parse_fault_specs

if TYPE_CHECKING:
    from connectors.sandbox.server import SandboxServer

CONTROL_PREFIX = "/_sandbox/"
_encoder = msgspec.json.Encoder(decimal_format="number")


def json_answer(content: Any, status: int = 200) -> web.Response:
    """Return a JSON answer in which decimals are numbers with their digits."""
    return web.Response(status=status, body=_encoder.encode(content), content_type="application/json")


def control_routes(sandbox: "SandboxServer") -> Iterable[web.RouteDef]:
    """Return the shared control routes of one sandbox."""

    async def add_faults(request: web.Request) -> web.Response:
        try:
            specs = parse_fault_specs(await request.read())
        except (ValueError, msgspec.MsgspecError) as error:
            return json_answer({"error": str(error)}, 400)
        faults = [sandbox.faults.add_spec(spec) for spec in specs]
        return json_answer({"ids": [fault.id for fault in faults]}, 201)

    async def list_faults(_: web.Request) -> web.Response:
        return json_answer(
            {
                "faults": sandbox.faults.report(),
                "windows_opened": sandbox.windows.opened,
                "violations": [asdict(violation) for violation in sandbox.windows.violations],
            }
        )

    async def clear_faults(_: web.Request) -> web.Response:
        sandbox.faults.clear()
        return web.Response(status=204)

    async def release(_: web.Request) -> web.Response:
        sandbox.faults.release()
        return web.Response(status=204)

    async def list_requests(_: web.Request) -> web.Response:
        return json_answer(
            {"total": sandbox.requests.total, "requests": [record.report() for record in sandbox.requests]}
        )

    async def show_state(_: web.Request) -> web.Response:
        return json_answer(sandbox.state())

    async def set_latency(request: web.Request) -> web.Response:
        try:
            seconds = msgspec.json.decode(await request.read(), type=_Latency).seconds
        except msgspec.MsgspecError as error:
            return json_answer({"error": str(error)}, 400)
        sandbox.latency = seconds
        return web.Response(status=204)

    async def reset(_: web.Request) -> web.Response:
        sandbox.reset()
        return web.Response(status=204)

    return (
        web.post("/_sandbox/faults", add_faults),
        web.get("/_sandbox/faults", list_faults),
        web.delete("/_sandbox/faults", clear_faults),
        web.post("/_sandbox/release", release),
        web.get("/_sandbox/requests", list_requests),
        web.get("/_sandbox/state", show_state),
        web.put("/_sandbox/latency", set_latency),
        web.post("/_sandbox/reset", reset),
    )


class _Latency(msgspec.Struct, forbid_unknown_fields=True):
    seconds: float
