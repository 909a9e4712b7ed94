"""The bridge beside a real n8n: the service as a process of its own, on sandboxes, and a credential for it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from n8n_process import PATIENCE, N8n

from bridge.sandbox import OPERATOR_KEY, SandboxWorld
from connectors.numora.sandbox.documents import SandboxDocument
from connectors.numora.sandbox.samples import sample_documents
from tests.blackbox.process import Bridge
from tests.ports import free_port

Seen = TypeVar("Seen")
RETRIES = ("0s", *["500ms"] * 20, *["2s"] * 79)
"""A retry schedule for tests: whoever was away is called again within seconds, for minutes."""


@dataclass
class Side:
    """What a test of n8n's side of things has in hand. ``credential`` is the id of n8n's credential for ``bridge``."""

    n8n: N8n
    world: SandboxWorld
    bridge: Bridge
    credential: str
    _added: int = 0

    def add(self) -> SandboxDocument:
        """Put an invoice into acme's outbox."""
        self._added += 1
        document = sample_documents(1, seed=self._added)[0]
        self.world.numora.add(document, key=self.world.tenant("acme").numora_key)
        return document

    async def delivery(self, document: str) -> dict[str, Any]:
        """Return a document's newest delivery, empty if it has none."""
        page = await self.ask("GET", f"/deliveries?document_id={document}")
        return dict(page["data"][0]) if page["data"] else {}

    async def take_executor_calls(self, secret: str) -> None:
        """Start the bridge anew with acme fed by Numora's executor."""
        await self.bridge.stop()
        file = self.bridge.config / "tenants" / "acme.yaml"
        source = (
            "source:\n"
            "  trigger: route\n"
            "  notify:\n"
            "    document_id: document_id\n"
            f'    auth: {{kind: header, header: X-Numora-Secret, secret: "{secret}"}}\n'
        )
        file.write_text(file.read_text().replace("source:\n", source, 1))
        await self.bridge.start()

    async def until(self, look: Callable[[], Awaitable[Seen]], seen: Callable[[Seen], bool]) -> Seen:
        """Look again and again until what is seen will do, and return it."""
        async with asyncio.timeout(PATIENCE):
            while not seen(found := await look()):  # noqa: ASYNC110 - another process is looked at
                await asyncio.sleep(0.1)
        return found

    async def ask(self, method: str, path: str, body: Any = None) -> Any:
        """Call the bridge for acme and return its answer, which has to be a good one."""
        status, answer = await self.bridge.call(method, f"/v1/tenants/acme{path}", body, OPERATOR_KEY)
        assert status < 300, (status, answer)
        return answer


@asynccontextmanager
async def running_side(n8n: N8n, folder: Path) -> AsyncIterator[Side]:
    async with SandboxWorld() as world:
        port = free_port()
        config = world.write_config(
            folder / "config",
            ("acme", "globex", "initech"),
            retab=("initech",),
            listen_port=port,
            schedule=RETRIES,
            poll_every="90d",
        )
        with (config / "bridge.yaml").open("a") as file:
            file.write("allow_hosts: [127.0.0.1]\n")
        bridge = Bridge(config, port, {}, folder / "bridge.log")
        try:
            await bridge.start()
            data = {"baseUrl": bridge.base, "apiKey": OPERATOR_KEY}
            credential = await n8n.add_credential(f"bridge {port}", "numoraBridgeApi", data)
            yield Side(n8n, world, bridge, credential)
        finally:
            await n8n.unpublish_all()
            await bridge.close()
