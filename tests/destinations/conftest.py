"""The destinations that the conformance suite runs against, each with the sandbox that stands behind it.

Another destination joins by a ``Target`` of its own, listed in ``TARGETS``.
"""

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from typing import Any, Protocol

import pytest

from connectors.dataverse.client import WIRE
from connectors.dataverse.destination import DataverseDestination
from connectors.dataverse.sandbox.messages import ApiRequest
from connectors.dataverse.sandbox.server import DataverseSandbox
from connectors.dataverse.settings import DataverseSettings
from connectors.http import HttpPeer, close_session, open_session
from connectors.outcome import TransientError
from connectors.pacing import Pace
from connectors.ports import Destination, DocumentKey, KnownRow, OutgoingRequest, RequestOutcome, WriteResult
from mappings.plan import Identity, LineRow, LinesPlan, LookupPlan, WritePlan

KEY = DocumentKey("acme", "doc-1")


@dataclass
class Logbook:
    """A request log that keeps what it is told, in order."""

    opened: list[OutgoingRequest] = field(default_factory=list)
    outcomes: list[RequestOutcome] = field(default_factory=list)

    async def opening(self, request: OutgoingRequest) -> None:
        self.opened.append(request)

    def closed(self, outcome: RequestOutcome) -> None:
        self.outcomes.append(outcome)

    @property
    def mutating(self) -> list[OutgoingRequest]:
        return [request for request in self.opened if request.mutating]


class Target(Protocol):
    """A sandbox with a way to look behind the destination's back."""

    destination: Destination

    def plan(self, **what: Any) -> WritePlan:
        """Return a plan: ``total``, ``name``, ``lines`` (key → text), ``vendor``."""

    def add_vendor(self, number: str) -> str:
        """Have a row that lookups find; returns its id."""

    def row(self, record_id: str) -> Mapping[str, Any] | None:
        """Return ``name``, ``total`` and ``vendor`` of a row."""

    def lines(self, record_id: str) -> Mapping[str, str]:
        """Return the texts of a row's lines by line id."""

    def rows(self) -> int:
        """Count the document rows."""

    def effects(self) -> list[tuple[str, str]]:
        """Return kind and id of every committed effect on documents and lines."""

    def add_foreign_line(self, record_id: str, text: str) -> str:
        """Have a line on a row that a person added; returns its id."""

    def change_by_hand(self, record_id: str, name: str) -> None:
        """Have someone else change the row."""

    def delete(self, record_id: str) -> None:
        """Have someone else delete the row with its lines."""

    def fail(self, kind: str, **what: Any) -> None:
        """Have the next mutating request struck by a fault of the sandbox."""


class DataverseTarget:
    """Dataverse: invoices with lines, identified by primary or by alternate key, created nested or as a change set."""

    def __init__(self, sandbox: DataverseSandbox, destination: DataverseDestination, identity: Identity) -> None:
        self.sandbox = sandbox
        self.destination = destination
        self._identity = identity

    def plan(
        self,
        *,
        total: str = "12.50",
        name: str = "INV-1",
        lines: Mapping[str, str] | None = None,
        vendor: str | None = None,
    ) -> WritePlan:
        texts = {"li_1": "Paper", "li_2": "Ink"} if lines is None else lines
        rows = tuple(
            LineRow(key, {"numora_description": text, "numora_amount": Decimal("1.10")}) for key, text in texts.items()
        )
        criteria = None if vendor is None else {"accountnumber": vendor}
        return WritePlan(
            "numora_invoice",
            self._identity,
            {
                "numora_name": name,
                "numora_invoicedate": date(2026, 1, 31),
                "numora_duedate": None,
                "numora_total": Decimal(total),
                "numora_kind": 1,
            },
            (LookupPlan("numora_Vendor", "account", criteria, "empty", ("vendor_code",)),),
            LinesPlan("numora_invoiceline", rows),
            sources={"numora_name": "invoice_number", "numora_total": "total_amount"},
        )

    def add_vendor(self, number: str) -> str:
        return self.sandbox.seed("account", [{"name": f"Vendor {number}", "accountnumber": number}])[0]

    def row(self, record_id: str) -> Mapping[str, Any] | None:
        for row in self.sandbox.rows("numora_invoice"):
            if row["numora_invoiceid"] == record_id:
                return {"name": row["numora_name"], "total": row["numora_total"], "vendor": row["numora_vendor"]}
        return None

    def lines(self, record_id: str) -> Mapping[str, str]:
        return {
            row["numora_invoicelineid"]: row["numora_description"]
            for row in self.sandbox.rows("numora_invoiceline")
            if row["numora_invoice"] == record_id
        }

    def rows(self) -> int:
        return len(self.sandbox.rows("numora_invoice"))

    def effects(self) -> list[tuple[str, str]]:
        tables = {"numora_invoice", "numora_invoiceline"}
        return [(effect.kind, effect.id) for effect in self.sandbox.effects if effect.table in tables]

    def add_foreign_line(self, record_id: str, text: str) -> str:
        bound = f"/numora_invoices({record_id})"
        (line,) = self.sandbox.seed(
            "numora_invoiceline", [{"numora_description": text, "numora_Invoice@odata.bind": bound}]
        )
        return line

    def change_by_hand(self, record_id: str, name: str) -> None:
        row = self.sandbox.store.rows["numora_invoice"][record_id]
        row.values["numora_name"] = name
        row.version += 1

    def delete(self, record_id: str) -> None:
        answer = self.sandbox.api.execute(ApiRequest("DELETE", f"numora_invoices({record_id})", "", {}, b""))
        assert answer.status == 204

    def fail(self, kind: str, **what: Any) -> None:
        if kind.startswith("hang"):
            # Shorter than a configuration may ask for, so that the hanging request ends within the test.
            self.destination._client._write_timeout = 0.2
        self.sandbox.faults.add(kind, method="POST", times=1, **what)  # type: ignore[arg-type]


class Anyone:
    """A token that the sandbox does not look at."""

    async def token(self) -> str:
        return "made-up-token-for-the-sandbox"

    def invalidate(self, token: str) -> None:
        raise AssertionError("the sandbox refuses no token here")

    async def close(self) -> None:
        pass


def _dataverse(identity: Identity, deep_insert_limit: int) -> Callable[[], AbstractAsyncContextManager[Target]]:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Target]:
        async with DataverseSandbox() as sandbox:
            settings = DataverseSettings.model_validate(
                {
                    "kind": "dataverse",
                    "url": sandbox.url,
                    "deep_insert_limit": deep_insert_limit,
                    "auth": {
                        "kind": "client_secret",
                        "tenant_id": "acme.example",
                        "client_id": "22222222-0000-4000-8000-000000000002",
                        "client_secret": "made-up",
                    },
                }
            )
            session = open_session()
            destination = DataverseDestination(settings, HttpPeer(WIRE, session, Pace()), Anyone())
            try:
                yield DataverseTarget(sandbox, destination, identity)
            finally:
                await destination.close()
                await close_session(session)

    return opened


TARGETS: Mapping[str, Callable[[], AbstractAsyncContextManager[Target]]] = {
    "dataverse-primary-key": _dataverse(Identity(), 50),
    "dataverse-alternate-key": _dataverse(Identity("alternate_key", "numora_externalkey"), 50),
    "dataverse-change-set": _dataverse(Identity(), 0),
}


@pytest.fixture(params=TARGETS)
async def target(request: pytest.FixtureRequest) -> AsyncIterator[Target]:
    async with TARGETS[request.param]() as opened:
        yield opened


@pytest.fixture
def log() -> Logbook:
    return Logbook()


Deliver = Callable[..., Any]


@pytest.fixture
def deliver(target: Target, log: Logbook) -> Deliver:
    """Return what the pipeline does with a plan: prepare, write, and after anything transient read first and go on."""

    async def run(plan: WritePlan, known: KnownRow = KnownRow(), *, tries: int = 4) -> WriteResult:  # noqa: B008
        for _ in range(tries):
            try:
                prepared = await target.destination.prepare(plan, KEY, log)
                known = KnownRow(known.record_id, known.line_ids | prepared.line_ids, may_exist=known.may_exist)
                written = KnownRow(known.record_id, known.line_ids, may_exist=True)
                result = await target.destination.write(prepared, known, log)
            except TransientError:
                known = written
            else:
                return result
        raise AssertionError(f"not written after {tries} tries")

    return run
