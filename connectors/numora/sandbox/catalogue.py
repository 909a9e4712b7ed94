"""What a workspace holds beside documents: schemas, destinations, mappings, workflows and runs."""

from dataclasses import dataclass, field
from typing import Any, Final

import msgspec

from connectors.numora.sandbox.refusing import RefusedError
from connectors.numora.sandbox.runs import DeliveryRoute, Run

SCHEMAS: Final = (
    {"id": "invoice_v2", "label": "Invoice", "status": "active"},
    {"id": "receipt_v1", "label": "Receipt", "status": "active"},
    {"id": "contract_v1", "label": "Contract", "status": "active"},
)
_PROVIDER: Final = "dynamics365"
_STAMP: Final = "2026-03-21T14:24:11.000Z"


class _NewDestination(msgspec.Struct, frozen=True):
    provider: str
    display_name: str
    credentials: dict[str, Any] = msgspec.field(default_factory=dict)


class WorkflowDispatch(msgspec.Struct, frozen=True):
    """The body of ``POST /v1/workflows/{id}/dispatch``."""

    document_id: str
    execution_mode: str = "queued"


@dataclass(slots=True)
class Catalogue:
    """The other resources of one workspace. ``credentials`` are what destinations were created with; never shown."""

    destinations: dict[str, dict[str, Any]] = field(default_factory=dict)
    credentials: dict[str, dict[str, Any]] = field(default_factory=dict)
    mappings: dict[tuple[str, str], Any] = field(default_factory=dict)
    workflows: dict[str, dict[str, Any]] = field(default_factory=dict)
    runs: dict[str, Run] = field(default_factory=dict)
    _last_number: int = 0

    def __post_init__(self) -> None:
        self.workflows["wf_push"] = {
            "id": "wf_push",
            "name": "Push to Dynamics",
            "status": "active",
            "version": 7,
            "binding_count": 1,
            "updated_at": _STAMP,
        }

    def create_destination(self, body: bytes) -> dict[str, Any]:
        """Create a destination. Its credentials go in and never come out."""
        new = parse(body, _NewDestination)
        if new.provider != _PROVIDER:
            raise RefusedError(422, "invalid_payload", "provider is not a known one")
        made = {
            "id": f"dst_{self._next_number()}",
            "provider": new.provider,
            "display_name": new.display_name,
            "status": "active",
            "has_credentials": bool(new.credentials),
            "created_at": _STAMP,
            "updated_at": _STAMP,
        }
        self.destinations[made["id"]] = made
        self.credentials[made["id"]] = new.credentials
        return made

    def test_destination(self, destination_id: str) -> dict[str, Any]:
        """Test a destination: one without credentials fails."""
        found = self.destinations.get(destination_id)
        if found is None:
            raise RefusedError(404, "not_found", "there is no such destination")
        good = found["has_credentials"]
        return {
            "id": destination_id,
            "status": "succeeded" if good else "failed",
            "message": "connected" if good else "there are no credentials",
        }

    def mapping(self, schema: str, destination: str) -> dict[str, Any]:
        """Return Numora's own mapping."""
        found = self.mappings.get(self._place(schema, destination))
        if found is None:
            raise RefusedError(404, "not_found", "there is no such mapping")
        return {"schema": schema, "destination": destination, "mappings": found}

    def put_mapping(self, schema: str, destination: str, body: bytes) -> dict[str, Any]:
        """Replace Numora's own mapping."""
        self.mappings[self._place(schema, destination)] = parse(body, dict[str, Any]).get("mappings", [])
        return self.mapping(schema, destination)

    def start_run(self, workflow_id: str, document_id: str, route: DeliveryRoute, at: str) -> Run:
        """Queue a run."""
        run = Run(f"run_{self._next_number()}", workflow_id, document_id, route, at)
        run.logs.append({"node": "start", "status": "queued", "message": "the run was queued", "at": at})
        self.runs[run.id] = run
        return run

    def run(self, run_id: str) -> Run:
        """Return a run. Raises ``RefusedError``."""
        if run_id not in self.runs:
            raise RefusedError(404, "not_found", "there is no such run")
        return self.runs[run_id]

    def _next_number(self) -> int:
        self._last_number += 1
        return self._last_number

    def _place(self, schema: str, destination: str) -> tuple[str, str]:
        if schema not in {one["id"] for one in SCHEMAS}:
            raise RefusedError(404, "invalid_schema", "there is no such schema")
        if destination not in self.destinations and destination != _PROVIDER:
            raise RefusedError(404, "not_found", "there is no such destination")
        return schema, destination


def parse(body: bytes, type_: Any) -> Any:
    """Read a body. Raises ``RefusedError`` with 400."""
    try:
        return msgspec.json.decode(body or b"{}", type=type_)
    except (ValueError, RecursionError) as error:
        raise RefusedError(400, "invalid_payload", str(error)) from error
