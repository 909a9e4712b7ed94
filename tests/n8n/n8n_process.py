"""A real n8n as a process of its own, with our node package in it, set up and watched through its own API."""

import asyncio
import secrets
import signal
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import aiohttp
import msgspec
from n8n_installation import Installation

from tests.ports import free_port

PATIENCE: Final = 120.0
SILENT: Final = {
    "N8N_DIAGNOSTICS_ENABLED": "false",
    "N8N_DIAGNOSTICS_CONFIG_FRONTEND": "",
    "N8N_DIAGNOSTICS_CONFIG_BACKEND": "",
    "N8N_VERSION_NOTIFICATIONS_ENABLED": "false",
    "N8N_VERSION_NOTIFICATIONS_WHATS_NEW_ENABLED": "false",
    "N8N_TEMPLATES_ENABLED": "false",
    "N8N_DYNAMIC_BANNERS_ENABLED": "false",
    "N8N_HIRING_BANNER_ENABLED": "false",
    "N8N_PERSONALIZATION_ENABLED": "false",
    "N8N_LICENSE_AUTO_RENEW_ENABLED": "false",
    "EXTERNAL_FRONTEND_HOOKS_URLS": "",
    "N8N_DISABLED_MODULES": "mcp-registry",
}
"""What keeps n8n from calling its maker."""

OWNER: Final = {
    "email": "owner@n8n.example",
    "firstName": "Olga",
    "lastName": "Owner",
    "password": "Sandbox-" + "password-1",
}


class N8n:
    """One n8n with its own folder and port. It may be stopped, killed and started again; what it knows stays."""

    def __init__(self, installation: Installation, folder: Path) -> None:
        self.installation, self.folder = installation, folder
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = folder / "n8n.log"
        self._environment = installation.environment(
            **SILENT,
            N8N_USER_FOLDER=str(folder),
            N8N_ENCRYPTION_KEY=secrets.token_hex(16),
            N8N_LISTEN_ADDRESS="127.0.0.1",
            N8N_PORT=str(self.port),
            N8N_RUNNERS_BROKER_PORT=str(free_port()),
            N8N_SECURE_COOKIE="false",
            N8N_WEBHOOK_URL=f"{self.url}/",
            N8N_LOG_LEVEL="info",
            GENERIC_TIMEZONE="UTC",
        )
        self._process: subprocess.Popen[bytes] | None = None
        self._key = ""
        self._published: set[str] = set()

    # Life

    def add_package(self, tarball: Path) -> None:
        """Install a community package from its tarball, as n8n itself does it."""
        nodes = self.folder / ".n8n" / "nodes"
        nodes.mkdir(parents=True)
        (nodes / "package.json").write_text('{"name": "installed-nodes", "private": true}')
        # n8n brings what its packages share with it, and nothing of that is to be looked for.
        peers = ("--omit=peer", "--legacy-peer-deps")
        wanted = ("install", *peers, "--ignore-scripts", "--no-audit", "--no-fund", "--offline")
        self.installation.run_npm(*wanted, str(tarball), folder=nodes)

    def command(self, *arguments: str) -> str:
        """Run a command of n8n, beside a running server or without one, and return what it printed."""
        environment = {
            **self._environment,
            "N8N_RUNNERS_BROKER_PORT": str(free_port()),
            "N8N_PORT": str(free_port()),
        }
        done = subprocess.run(
            [str(self.installation.node), str(self.installation.n8n), *arguments],
            env=environment,
            cwd=self.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout + done.stderr

    def node_types(self) -> list[dict[str, Any]]:
        """Return every node type that this n8n has, with its versions."""
        exported = self.folder / "nodes.json"
        self.command("export:nodes", f"--output={exported}")
        return list(msgspec.json.decode(exported.read_bytes()))

    async def start(self) -> None:
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(  # noqa: ASYNC220 - it outlives the loop of the test that starts it
                [str(self.installation.node), str(self.installation.n8n), "start"],
                env=self._environment,
                cwd=self.folder,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        async with asyncio.timeout(PATIENCE * 2):
            while not await self._is_ready():
                assert self._process.poll() is None, self.log.read_text()[-4000:]
                await asyncio.sleep(0.1)
        if not self._key:
            self._key = await self._new_key()

    async def _is_ready(self) -> bool:
        with suppress(aiohttp.ClientError):
            async with (
                aiohttp.ClientSession() as session,
                session.get(f"{self.url}/healthz/readiness") as healthy,
                session.get(f"{self.url}/rest/login") as login,
            ):
                return healthy.status == 200 and login.status in {200, 401}
        return False

    def kill(self) -> None:
        """End it as a power cut would."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)
            try:
                self._process.wait(30)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait(30)

    # Its API

    async def _new_key(self) -> str:
        async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:

            async def ask(method: str, path: str, body: Any = None) -> Any:
                async with session.request(method, f"{self.url}/rest{path}", json=body) as response:
                    assert response.status == 200, await response.text()
                    return (await response.json())["data"]

            await ask("POST", "/owner/setup", OWNER)
            await ask("POST", "/login", {"emailOrLdapLoginId": OWNER["email"], "password": OWNER["password"]})
            scopes = await ask("GET", "/api-keys/scopes")
            made = await ask("POST", "/api-keys", {"label": "tests", "expiresAt": None, "scopes": scopes})
            return str(made["rawApiKey"])

    async def api(self, method: str, path: str, body: Any = None) -> Any:
        """Call n8n's public API and return its answer, which has to be a good one."""
        status, answer = await self.request(method, f"/api/v1{path}", body, {"X-N8N-API-KEY": self._key})
        assert status < 300, (status, answer)
        return answer

    async def request(
        self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None
    ) -> tuple[int, Any]:
        """Call any address of this n8n: a path, or a whole URL. ``bytes`` go out as they are."""
        url = path if path.startswith("http") else self.url + path
        sent = {"data": body} if isinstance(body, bytes) else {"json": body} if body is not None else {}
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, headers=headers, **sent) as response,
        ):
            raw = await response.read()
        try:
            return response.status, msgspec.json.decode(raw)
        except msgspec.DecodeError:
            return response.status, raw.decode()

    async def add_credential(self, name: str, kind: str, data: dict[str, Any]) -> str:
        made = await self.api("POST", "/credentials", {"name": name, "type": kind, "data": data})
        return str(made["id"])

    async def add_workflow(self, workflow: dict[str, Any], *, publish: bool = True) -> str:
        """Add a workflow; published, it is live when this returns. Trigger nodes have registered themselves then."""
        made = await self.api("POST", "/workflows", workflow)
        if publish:
            await self.publish(made["id"])
        return str(made["id"])

    async def publish(self, workflow: str) -> None:
        await self.api("POST", f"/workflows/{workflow}/publish", {})
        self._published.add(workflow)

    async def unpublish(self, workflow: str) -> None:
        await self.api("POST", f"/workflows/{workflow}/unpublish", {})
        self._published.discard(workflow)

    async def unpublish_all(self) -> None:
        """Leave nothing behind for the next test: no webhooks, no subscriptions."""
        with suppress(aiohttp.ClientConnectionError):
            for workflow in tuple(self._published):
                await self.unpublish(workflow)

    async def call_webhook(self, path: str, body: Any = None, headers: dict[str, str] | None = None) -> tuple[int, Any]:
        """Call a production webhook; publishing is asynchronous, so one that is not there yet is waited for."""
        async with asyncio.timeout(PATIENCE):
            while True:
                status, answer = await self.request("POST", f"/webhook/{path}", body, headers)
                if status != 404:
                    return status, answer
                await asyncio.sleep(0.1)

    async def executions(self, workflow: str) -> list[dict[str, Any]]:
        """Return a workflow's executions with their data, oldest first."""
        answer = await self.api("GET", f"/executions?workflowId={workflow}&includeData=true&limit=100")
        return list(reversed(answer["data"]))

    async def ended_executions(self, workflow: str, count: int = 1) -> list[dict[str, Any]]:
        """Wait until so many executions of a workflow have ended, and return all that did."""
        async with asyncio.timeout(PATIENCE):
            while True:
                found = [one for one in await self.executions(workflow) if one["status"] in {"success", "error"}]
                if len(found) >= count:
                    return found
                await asyncio.sleep(0.1)

    async def until_waiting(self, workflow: str) -> dict[str, Any]:
        """Wait until an execution of a workflow waits, and return it."""
        async with asyncio.timeout(PATIENCE):
            while True:
                answer = await self.api("GET", f"/executions?workflowId={workflow}&status=waiting&includeData=true")
                if answer["data"]:
                    return dict(answer["data"][0])
                await asyncio.sleep(0.1)


def items_of(execution: dict[str, Any], node: str, output: int = 0) -> list[dict[str, Any]]:
    """Return what left a node through one of its outputs, in its last run."""
    runs = execution["data"]["resultData"]["runData"].get(node, [])
    if not runs or runs[-1].get("data") is None:
        return []
    outputs = runs[-1]["data"]["main"]
    return [item["json"] for item in (outputs[output] or [])] if output < len(outputs) else []


def error_of(execution: dict[str, Any]) -> dict[str, Any]:
    """Return the error that an execution ended with."""
    return dict(execution["data"]["resultData"]["error"])
