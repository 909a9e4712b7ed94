"""A world to try the bridge in: Numora, Entra, Dataverse and Retab on loopback, and a fitting configuration."""

import tempfile
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final, Self
from uuid import NAMESPACE_DNS, uuid5

from connectors.dataverse.sandbox import DataverseSandbox, Settings, TableSchema
from connectors.entra.sandbox import EntraSandbox
from connectors.numora.sandbox import NumoraSandbox, OutboxRules, Workspace
from connectors.numora.sandbox.samples import VENDORS
from connectors.retab.sandbox import Environment, RetabRules, RetabSandbox
from connectors.sandbox.authority import SandboxAuthority

ENTRA_TENANT: Final = "5a4db0c5-0000-4000-8000-000000000001"
"""The Entra tenant that every application of the world is registered in."""

OPERATOR_KEY: Final = "sandbox-operator-key"
"""The operator key of a configuration for which no other was asked."""

SHIPPED_MAPPINGS: Final[Mapping[str, str]] = MappingProxyType(
    {schema: f"{schema}.dataverse.yaml" for schema in ("invoice_v2", "receipt_v1", "contract_v1")}
)
"""Every schema that Numora has, with the shipped mapping file for it."""

_NAMES = uuid5(NAMESPACE_DNS, "sandbox.numora-bridge")


@dataclass(frozen=True, slots=True)
class SandboxTenant:
    """A tenant of the world: its workspace's key at Numora, and its application with its secret at Entra.

    Its key at Retab follows from its name.
    """

    id: str
    numora_key: str
    client_id: str
    client_secret: str

    @property
    def api_key(self) -> str:
        """The tenant's own key for the bridge's API."""
        return f"sandbox-key-of-{self.id}"

    @property
    def retab_key(self) -> str:
        """The tenant's key at Retab."""
        return f"rt_test_sandbox_{self.id}"


class SandboxWorld:
    """The sandboxes as one. Use it as an async context manager, or call ``start`` and ``stop``.

    ``folder`` keeps the certificates; without one a temporary folder is used and removed. With ``port_base`` N Numora
    listens on N, Entra on N + 1, Dataverse on N + 2 and Retab on N + 3; without, the kernel chooses. Dataverse knows
    the sample vendors as accounts. ``tables``, ``settings``, ``outbox`` and ``retab`` are handed to the sandboxes.

    Every tenant has a workspace of its own at Numora, an environment of its own at Retab and an application of its own
    at Entra. Dataverse is shared.
    """

    def __init__(
        self,
        folder: Path | None = None,
        *,
        port_base: int | None = None,
        tables: Iterable[TableSchema] = (),
        settings: Settings | None = None,
        outbox: OutboxRules | None = None,
        retab: RetabRules | None = None,
        latency: float = 0.0,
        journal_limit: int = 10_000,
    ) -> None:
        self._temporary = tempfile.TemporaryDirectory(prefix="numora-sandbox-") if folder is None else None
        self.folder = Path(self._temporary.name) if self._temporary is not None else folder or Path()
        authority = SandboxAuthority(self.folder)
        self.ca_file = authority.ca_file
        ports = (0, 0, 0, 0) if port_base is None else tuple(range(port_base, port_base + 4))
        self.numora = NumoraSandbox((), outbox=outbox, port=ports[0], latency=latency, journal_limit=journal_limit)
        self.entra = EntraSandbox(authority, port=ports[1], journal_limit=journal_limit)
        self.dataverse = DataverseSandbox(
            entra=self.entra,
            tables=tables,
            settings=settings,
            port=ports[2],
            latency=latency,
            journal_limit=journal_limit,
        )
        self.retab = RetabSandbox((), rules=retab, port=ports[3], latency=latency, journal_limit=journal_limit)
        self._tenants: dict[str, SandboxTenant] = {}
        self._running = AsyncExitStack()
        self.seed_vendors()

    # Life

    async def start(self) -> None:
        """Listen. Raises ``OSError`` when a port is taken; then nothing listens."""
        async with AsyncExitStack() as undo:
            for sandbox in (self.numora, self.entra, self.dataverse, self.retab):
                await undo.enter_async_context(sandbox)
            self._running = undo.pop_all()

    async def stop(self) -> None:
        """Stop listening. A temporary folder is removed."""
        await self._running.aclose()
        if self._temporary is not None:
            self._temporary.cleanup()

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    # What is in the world

    def seed_vendors(self) -> None:
        """Add the business partners of the sample documents as accounts."""
        self.dataverse.seed(
            "account",
            [
                {"accountnumber": vendor.code, "name": vendor.name, "numora_vatnumber": vendor.tax_id}
                for vendor in VENDORS
            ],
        )

    def tenant(self, name: str) -> SandboxTenant:
        """Return a tenant; one that is new gets its workspace, its environment and its application."""
        tenant = self._tenants.get(name)
        if tenant is None:
            tenant = SandboxTenant(name, f"sk_sandbox_{name}", str(uuid5(_NAMES, name)), f"sandbox~secret~of~{name}")
            self.numora.add_key(tenant.numora_key, name)
            self.retab.add_key(tenant.retab_key, name)
            self.entra.add_client(ENTRA_TENANT, tenant.client_id, tenant.client_secret)
            self._tenants[name] = tenant
        return tenant

    def workspace(self, tenant: str) -> Workspace:
        """Return a tenant's workspace at Numora."""
        return self.numora.workspace(self.tenant(tenant).numora_key)

    def environment(self, tenant: str) -> Environment:
        """Return a tenant's environment at Retab."""
        return self.retab.environment(self.tenant(tenant).retab_key)

    # Configuration

    def write_config(
        self,
        folder: Path,
        tenants: Sequence[str] = ("acme",),
        *,
        listen_port: int = 0,
        api_keys: Sequence[str] = (OPERATOR_KEY,),
        concurrency: int = 8,
        schedule: Sequence[str] = (),
        probe: str = "30s",
        poll_every: str = "5m",
        poll_limit: int = 100,
        log_level: str = "info",
        mappings: Mapping[str, str] = SHIPPED_MAPPINGS,
        retab: Collection[str] = (),
    ) -> Path:
        """Write a configuration for tenants of this world into ``folder``, and return the folder.

        The sandboxes must have started, since their addresses go into the files. Secrets are files in
        ``folder/secrets``. An empty ``schedule`` leaves the default one; durations are written as in files. The
        tenants that ``retab`` names have Retab as their source, and invoices as its documents; the others have Numora.
        """
        secrets = folder / "secrets"
        for made in (folder / "tenants", folder / "mappings", secrets):
            made.mkdir(parents=True, exist_ok=True)
        secrets.chmod(0o700)

        def secret(name: str, value: str) -> str:
            """Keep a secret in a file, and return the reference to it."""
            file = secrets / name
            file.touch(mode=0o600)
            file.write_text(f"{value}\n")
            return f'"${{file:secrets/{name}}}"'

        keys = ", ".join(secret(f"operator_key_{number}", key) for number, key in enumerate(api_keys, 1))
        retry = f"retry: {{schedule: [{', '.join(schedule)}]}}\n" if schedule else ""
        (folder / "bridge.yaml").write_text(
            f"listen: {{host: 127.0.0.1, port: {listen_port}}}\n"
            f"api_keys: [{keys}]\n"
            f'ca_file: "{self.ca_file.resolve()}"\n'
            f"{retry}"
            f"blocked: {{probe: {probe}}}\n"
            f"log: {{level: {log_level}}}\n"
        )
        for name in tenants:
            tenant = self.tenant(name)
            polling = f"every: {poll_every}, limit: {poll_limit}"
            if name in retab:
                source = self._retab_source(secret(f"{name}_retab_key", tenant.retab_key), polling)
            else:
                source = self._numora_source(secret(f"{name}_numora_key", tenant.numora_key), polling)
            text = source + self._rest_of_tenant_file(
                tenant,
                client_secret=secret(f"{name}_dataverse_secret", tenant.client_secret),
                api_key=secret(f"{name}_api_key", tenant.api_key),
                concurrency=concurrency,
            )
            listed = "".join(f"  {schema}: {file}\n" for schema, file in mappings.items())
            (folder / "tenants" / f"{name}.yaml").write_text(f"{text}mappings:\n{listed}" if listed else text)
        return folder

    def _numora_source(self, api_key: str, polling: str) -> str:
        return f"source:\n  kind: numora\n  base_url: {self.numora.url}\n  api_key: {api_key}\n  poll: {{{polling}}}\n"

    def _retab_source(self, api_key: str, polling: str) -> str:
        return (
            "source:\n"
            "  kind: retab\n"
            f"  base_url: {self.retab.url}\n"
            f"  api_key: {api_key}\n"
            '  schemas: {"*": invoice_v2}\n'
            f"  poll: {{{polling}}}\n"
        )

    def _rest_of_tenant_file(self, tenant: SandboxTenant, *, client_secret: str, api_key: str, concurrency: int) -> str:
        return (
            f"delivery: {{concurrency: {concurrency}}}\n"
            "destination:\n"
            "  kind: dataverse\n"
            f"  url: {self.dataverse.url}\n"
            "  auth:\n"
            "    kind: client_secret\n"
            f"    tenant_id: {ENTRA_TENANT}\n"
            f"    client_id: {tenant.client_id}\n"
            f"    client_secret: {client_secret}\n"
            f"    authority: {self.entra.authority_of(ENTRA_TENANT)}\n"
            f"api_keys: [{api_key}]\n"
        )
