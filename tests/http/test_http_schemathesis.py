"""Schemathesis reads the API's description from a running bridge, and finds nothing that is not as it says."""

import asyncio
import json
import sys
from contextlib import AbstractAsyncContextManager
from pathlib import Path

from http_bridge import OPERATOR, Bridge, running_bridge

from bridge.sandbox import OPERATOR_KEY, SandboxWorld
from connectors.retab.sandbox import open_samples

PATIENCE = 110.0
SETTINGS = f"""
[auth.openapi.bearer]
bearer = "{OPERATOR_KEY}"
[auth.openapi.header]
api_key = "{OPERATOR_KEY}"
"""


def three_tenants(world: SandboxWorld, folder: Path) -> AbstractAsyncContextManager[Bridge]:
    return running_bridge(world, folder, tenants=("acme", "globex", "initech"), retab=("initech",))


async def known_ids(bridge: Bridge) -> dict[str, list[str]]:
    """Make something of everything, so that not every request is about nothing; return the ids by parameter."""
    bridge.add(3)
    reviews = open_samples(bridge.world.environment("initech"), 3)
    await bridge.call("POST", "/v1/tenants/acme/poll", OPERATOR)
    root = "/v1/tenants/acme"
    for path, body in (
        ("subscriptions", {"url": "https://n8n.example/webhook/events"}),
        ("numora/destinations", {"provider": "dynamics365", "display_name": "Finance"}),
    ):
        assert (await bridge.call("POST", f"{root}/{path}", OPERATOR, body)).status == 201

    async def listed(path: str, name: str = "id") -> list[str]:
        return [entry[name] for entry in (await bridge.call("GET", f"{root}/{path}", OPERATOR)).json["data"]]

    return {
        "tenant": ["acme", "initech"],
        "document": await listed("deliveries", "document_id"),
        "delivery": await listed("deliveries"),
        "review": [review.id for review in reviews],
        "subscription": await listed("subscriptions"),
        "destination": await listed("numora/destinations"),
        "workflow": await listed("numora/workflows"),
    }


async def description(bridge: Bridge, known: dict[str, list[str]]) -> str:
    """Return the description as it is served, with ids that there are among those that may stand in a path."""
    served = (await bridge.call("GET", "/openapi.json")).json
    for operations in served["paths"].values():
        for operation in operations.values():
            for parameter in operation.get("parameters", ()):
                ids = known.get(parameter.get("name", ""))
                if parameter.get("in") == "path" and ids:
                    parameter["schema"] = {"anyOf": [{"enum": ids}, {"enum": ids}, parameter["schema"]]}
                    parameter["example"] = ids[0]
    return json.dumps(served)


async def run(bridge: Bridge, folder: Path, known: dict[str, list[str]], *options: str, settings: str = "") -> str:
    """Run schemathesis against the bridge's port, and return what it says if it finds anything."""
    (folder / "schemathesis.toml").write_text(SETTINGS + settings)
    (folder / "openapi.json").write_text(await description(bridge, known))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", "from schemathesis.cli import schemathesis; schemathesis()"),
        *("--config-file", "schemathesis.toml", "run", "openapi.json", "--url", bridge.server.url, "--no-color"),
        # A cursor that was never given, an address that is not sent to, a key that was used: refused, and valid.
        *("--exclude-checks", "positive_data_acceptance", *options),
        cwd=folder,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        told, _ = await asyncio.wait_for(process.communicate(), PATIENCE)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return "" if process.returncode == 0 else told.decode()


async def test_every_operation_keeps_to_its_description(world: SandboxWorld, tmp_path: Path) -> None:
    """No 5xx; no status, header, media type or body that is not described; what is wrong is refused."""
    async with three_tenants(world, tmp_path / "config") as bridge:
        known = await known_ids(bridge)
        # Schemathesis makes up addresses of hosts that may be anywhere: nothing is sent to them.
        await bridge.runtime.outbound.sender.stop(0.0)
        options = ("--phases", "examples,coverage,fuzzing", "--max-examples", "3", "--max-failures", "20")
        assert await run(bridge, tmp_path, known, *options) == ""
        answered = {record.path.partition("?")[0] for record in bridge.world.numora.requests if record.status == 200}
        assert {"/v1/schemas", "/v1/workflows", "/v1/destinations"} <= answered


async def test_failing_outside_systems_are_told_as_it_is_described(world: SandboxWorld, tmp_path: Path) -> None:
    """502 and 503 with a code, of the operations that ask outside systems; never a 500, never an undescribed one."""
    async with three_tenants(world, tmp_path / "config") as bridge:
        known = await known_ids(bridge)
        await bridge.runtime.outbound.sender.stop(0.0)
        world.numora.faults.add("html_502")
        world.retab.faults.add("html_502")
        # What is not allowed for is found.
        narrow = ("--phases", "examples", "--include-operation-id", "getRun")
        assert "502" in await run(bridge, tmp_path, known, *narrow)
        options = ("--phases", "examples,fuzzing", "--max-examples", "3", "--exclude-operation-id", "deliver")
        settings = '[checks.not_a_server_error]\nexpected-statuses = ["2xx", "4xx", "502", "503"]\n'
        assert await run(bridge, tmp_path, known, *options, settings=settings) == ""
