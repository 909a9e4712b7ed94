"""A bridge with its surroundings: one Numora, one Entra, and a Dataverse for each tenant; and what must always hold."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from tests.blackbox.files import DESIGN_MAPPING, bridge_yaml, tenant_yaml
from tests.blackbox.imitations.authority import make_authority
from tests.blackbox.imitations.dataverse import Dataverse
from tests.blackbox.imitations.entra import App, Entra
from tests.blackbox.imitations.numora import Doc
from tests.blackbox.imitations.numora_actions import ActingNumora
from tests.blackbox.imitations.receiver import Receiver
from tests.blackbox.process import Bridge
from tests.ports import free_port

PATIENCE = 60.0


@dataclass
class Tenant:
    """A customer: its Dataverse, its app registration and its keys."""

    name: str
    dataverse: Dataverse
    app: App
    numora_key: str
    api_key: str
    mappings: dict[str, str]
    source: dict[str, Any] = field(default_factory=dict)
    delivery: dict[str, Any] = field(default_factory=dict)
    more: dict[str, Any] = field(default_factory=dict)
    """What stands in its file beside."""
    variables: dict[str, str] = field(default_factory=dict)
    """Further secrets, by the names under which the file asks for them."""
    vendor: str = ""
    team: str = ""

    @property
    def prefix(self) -> str:
        return self.name.upper()


class World:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "config"
        self.numora, self.entra = ActingNumora(), Entra()
        self.receiver = Receiver()
        self.tenants: dict[str, Tenant] = {}
        self.settings: dict[str, Any] = {}
        self.authority_has_directory = True
        self.mapping_files = {"design.yaml": DESIGN_MAPPING}
        self.ca_file, self.tls = make_authority(folder)
        self.bridge = Bridge(self.config, free_port(), {}, folder / "log.txt")

    async def add_tenant(
        self, name: str = "acme", *, style: str = "full", mappings: dict[str, str] | None = None, **source: Any
    ) -> Tenant:
        dataverse = Dataverse(self.entra, style=style)
        await dataverse.start()
        app = App(f"directory-of-{name}", f"client-of-{name}", f"dataverse-secret-of-{name}", dataverse.base)
        self.entra.apps[app.client_id] = app
        tenant = Tenant(
            name,
            dataverse,
            app,
            f"sk_live_{name}",
            f"api-key-of-{name}",
            mappings or {"invoice_v2": "design.yaml"},
            source,
        )
        tenant.vendor = dataverse.seed("account", name="ACME Supplies", accountnumber="V-1")
        tenant.team = dataverse.seed("team", name="AP Team")
        self.numora.customer(tenant.numora_key)
        self.tenants[name] = tenant
        return tenant

    @property
    def acme(self) -> Tenant:
        return self.tenants["acme"]

    @property
    def secrets(self) -> list[str]:
        own = [(one.numora_key, one.app.secret, one.api_key) for one in self.tenants.values()]
        further = [secret for one in self.tenants.values() for secret in one.variables.values()]
        return ["operator-key", *(secret for group in own for secret in group), *further, *self.entra.tokens]

    def write(self) -> None:
        """Write the config folder as it now should be."""
        for name in ("tenants", "mappings"):
            (self.config / name).mkdir(parents=True, exist_ok=True)
        (self.config / "bridge.yaml").write_text(bridge_yaml(self.bridge.port, str(self.ca_file), **self.settings))
        for name, text in self.mapping_files.items():
            (self.config / "mappings" / name).write_text(text)
        self.bridge.variables["BRIDGE_API_KEY"] = "operator-key"
        for tenant in self.tenants.values():
            self.write_tenant(tenant)

    def write_tenant(self, tenant: Tenant) -> None:
        directory = f"/{tenant.app.directory}" if self.authority_has_directory else ""
        text = tenant_yaml(
            numora=self.numora.base,
            dataverse=tenant.dataverse.base,
            authority=f"{self.entra.base}{directory}",
            directory=tenant.app.directory,
            client_id=tenant.app.client_id,
            prefix=tenant.prefix,
            mappings=tenant.mappings,
            source=tenant.source,
            delivery=tenant.delivery,
            **tenant.more,
        )
        (self.config / "tenants" / f"{tenant.name}.yaml").write_text(text)
        self.bridge.variables |= {
            f"{tenant.prefix}_NUMORA_KEY": tenant.numora_key,
            f"{tenant.prefix}_DATAVERSE_SECRET": tenant.app.secret,
            f"{tenant.prefix}_API_KEY": tenant.api_key,
            **tenant.variables,
        }

    async def start(self) -> None:
        self.write()
        await self.bridge.start()

    async def until(self, done: Callable[[], bool], patience: float = PATIENCE) -> None:
        """Wait for something to hold in the imitations; tell what the bridge thinks when it does not come."""
        try:
            async with asyncio.timeout(patience):
                while not done():  # noqa: ASYNC110 - what is waited for happens in another process
                    await asyncio.sleep(0.02)
        except TimeoutError:
            raise AssertionError(await self.story()) from None

    async def until_told(self, told: Callable[[], Awaitable[bool]], patience: float = PATIENCE) -> None:
        """Wait for something to hold in what the bridge tells."""
        try:
            async with asyncio.timeout(patience):
                while not await told():  # noqa: ASYNC110 - what is waited for happens in another process
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(await self.story()) from None

    async def story(self) -> str:
        """Return what the bridge and the imitations know, for a failed test's message."""
        lines = []
        for tenant in self.tenants.values():
            docs = Counter(doc.status for doc in self.numora.customer(tenant.numora_key).values())
            lines.append(f"{tenant.name}: documents {dict(docs)}")
            try:
                lines.append(f"  health {await self.bridge.tenant(tenant.name)}")
                deliveries = await self.bridge.deliveries(tenant.name)
                lines += [f"  {one}" for one in deliveries[:5]]
                open_ones = [one for one in deliveries if one["state"] in {"queued", "working", "parked"}]
                lines += [f"  open: {one}" for one in open_ones[:5]]
            except Exception as error:  # noqa: BLE001 - the story of a failure is told as far as it goes
                lines.append(f"  the API does not tell: {error!r}")
            errors = [
                seen for seen in tenant.dataverse.requests if seen.status and seen.status >= 400 and not seen.fault
            ]
            lines += [f"  dataverse {seen.method} {seen.path} {dict(seen.query)} {seen.status}" for seen in errors[-5:]]
        errors = [seen for seen in self.numora.requests if seen.status and seen.status >= 400 and not seen.fault]
        lines += [f"numora {seen.method} {seen.path} {seen.status}" for seen in errors[-5:]]
        lines.append(self.bridge.log.read_text()[-3000:] if self.bridge.log.exists() else "no log")
        return "\n".join(lines)

    def finished(self, tenant: Tenant, status: str = "push_succeeded") -> bool:
        return all(doc.status == status for doc in self.numora.customer(tenant.numora_key).values())

    # --- what must always hold

    def holds(self) -> None:
        """Hold all that is never allowed against everything that was seen."""
        self._pauses_were_kept()
        self._callbacks_never_changed()
        self._requests_were_named()
        self._keys_stayed_at_home()

    def _pauses_were_kept(self) -> None:
        for server in (self.numora, self.entra, *(tenant.dataverse for tenant in self.tenants.values())):
            early = [(seen.method, seen.path, round(left, 2)) for seen, left in server.too_early]
            assert not early, early

    def _callbacks_never_changed(self) -> None:
        bodies: dict[str, set[bytes]] = defaultdict(set)
        for posted in self.numora.posted:
            bodies[posted.json["execution_id"]].add(posted.body)
        assert all(len(one) == 1 for one in bodies.values())
        assert all(posted.status < 300 for posted in self.numora.posted), [
            p for p in self.numora.posted if p.status >= 300
        ]

    def _requests_were_named(self) -> None:
        ids = [seen.headers.get("x-request-id") for seen in self.numora.requests]
        assert all(ids)
        for tenant in self.tenants.values():
            assert all(seen.headers.get("x-ms-client-request-id") for seen in tenant.dataverse.requests)

    def _keys_stayed_at_home(self) -> None:
        keys = {f"Bearer {tenant.numora_key}" for tenant in self.tenants.values()}
        assert {seen.identity for seen in self.numora.requests} <= keys
        for seen in self.numora.requests:
            for tenant in self.tenants.values():
                owner = next(
                    (doc for doc in self.numora.customer(tenant.numora_key) if f"/documents/{doc}" in seen.path), None
                )
                if owner is not None and f"/documents/{owner}/" in f"{seen.path}/":
                    assert seen.identity == f"Bearer {tenant.numora_key}", seen
        for tenant in self.tenants.values():
            others = [one.app for one in self.tenants.values() if one is not tenant]
            for seen in tenant.dataverse.requests:
                text = str(seen.headers)
                assert "sk_live_" not in text
                assert not any(app.client_id in text for app in others)
                assert "cookie" not in seen.headers

    def written_once(self, tenant: Tenant, docs: list[Doc], table: str = "numora_invoice") -> None:
        """Hold that each document is one row, made by one create, never updated, with its lines and its callback."""
        dataverse = tenant.dataverse
        creates = dataverse.count("create", table)
        assert all(count == 1 for count in creates.values()), creates.most_common(3)
        assert not dataverse.count("update", table)
        rows = {row["numora_name"]: row for row in dataverse.rows[table].values()}
        assert len(rows) == len(dataverse.rows[table]) == len(docs)
        for doc in docs:
            row = rows[doc.fields["invoice_number"]]
            assert Decimal(row["numora_total"]) == Decimal(doc.fields["total_amount"].replace(",", ""))
            assert row["numora_invoicedate"] == doc.fields["invoice_date"]
            assert row["_numora_vendor_value"] == tenant.vendor
            lines = [
                line
                for line in dataverse.rows["numora_invoiceline"].values()
                if line["_numora_invoice_value"] == row["numora_invoiceid"]
            ]
            assert sorted((line["numora_description"], str(line["numora_amount"])) for line in lines) == sorted(
                (item["description"], item["amount"]) for item in doc.line_items
            )
            assert [one["status"] for one in doc.callbacks] == ["succeeded"], doc.callbacks
            assert doc.callbacks[0]["external_record_id"] == row["numora_invoiceid"]
        assert all(count == 1 for count in dataverse.count("create", "numora_invoiceline").values())
        assert not dataverse.count("update", "numora_invoiceline")
        assert not [effect for effect in dataverse.effects if effect.kind == "delete"]

    def no_secret_was_written(self, *further: str) -> None:
        """Look into every file of the folder that the bridge wrote: log, data; and at every byte."""
        data = [path for path in (self.config / "data").rglob("*") if path.is_file()]
        assert data
        for path in [self.bridge.log, *data]:
            content = path.read_bytes()
            for secret in [*self.secrets, *further]:
                assert secret.encode() not in content, (path, secret)


@asynccontextmanager
async def world(folder: Path) -> AsyncIterator[World]:
    """Start Numora and Entra; tenants and the bridge are added by the test. Everything ends with the block."""
    made = World(folder)
    await made.numora.start()
    await made.entra.start(made.tls)
    await made.receiver.start()
    try:
        yield made
    finally:
        await made.bridge.close()
        for server in (made.numora, made.entra, made.receiver, *(tenant.dataverse for tenant in made.tenants.values())):
            await server.stop()


def invoice(number: int, tenant: str = "acme", **more: Any) -> Doc:
    """Return a plausible reviewed invoice with two lines."""
    fields = {
        "vendor_name": {"value": "ACME Supplies", "confidence": 0.98},
        "invoice_number": f"INV-{tenant}-{number:04d}",
        "invoice_date": f"2026-{number % 12 + 1:02d}-{number % 28 + 1:02d}",
        "total_amount": f"{1000 + number:,}.50",
        "document_type": "invoice",
        **more.pop("fields", {}),
    }
    lines = [
        {"id": "li_1", "description": f"Paper {number}", "amount": "12.25"},
        {
            "id": "li_2",
            "description": {"value": "Desk", "confidence": 0.9},
            "amount": {"value": f"{number}.75", "confidence": 0.92},
        },
    ]
    return Doc(
        more.pop("id", f"doc_{tenant}_{number:04d}"),
        fields={name: value for name, value in fields.items() if value is not None},
        line_items=more.pop("line_items", lines),
        metadata=more.pop("metadata", {"vendor_code": "V-1"}),
        **more,
    )


def plain_lines(doc: Doc) -> Doc:
    """Return the document with line cells as bare values, which is easier to compare with."""
    for item in doc.line_items:
        for name, cell in item.items():
            item[name] = cell["value"] if isinstance(cell, dict) else cell
    return doc
