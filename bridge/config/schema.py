"""JSON Schemas of the files that people write, for editors."""

from typing import Any, Literal

from pydantic import BaseModel

from bridge.config.models import BridgeConfig, TenantConfig
from mappings.model import MappingFile

SchemaName = Literal["bridge", "tenant", "mapping"]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_MODELS: dict[SchemaName, tuple[type[BaseModel], str]] = {
    "bridge": (BridgeConfig, "bridge.yaml"),
    "tenant": (TenantConfig, "A tenant file"),
    "mapping": (MappingFile, "A mapping file"),
}


def schema_for(name: SchemaName) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of ``bridge.yaml``, of a tenant file or of a mapping file."""
    model, title = _MODELS[name]
    return {"$schema": _DIALECT, **model.model_json_schema(mode="validation"), "title": title}
