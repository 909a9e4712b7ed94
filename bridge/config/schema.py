"""JSON Schemas of the files that people write, for editors."""

from datetime import timedelta
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from bridge.config.models import BridgeConfig, TenantConfig
from connectors.settings import format_duration
from mappings.model import MappingFile

SchemaName = Literal["bridge", "tenant", "mapping"]

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_MODELS: dict[SchemaName, tuple[type[BaseModel], str]] = {
    "bridge": (BridgeConfig, "bridge.yaml"),
    "tenant": (TenantConfig, "A tenant file"),
    "mapping": (MappingFile, "A mapping file"),
}


class _AsWritten(GenerateJsonSchema):
    """Gives defaults the way people write them."""

    def encode_default(self, dft: Any) -> Any:
        """Return a default as it would stand in a file."""
        return format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)


def schema_for(name: SchemaName) -> dict[str, Any]:
    """Return the JSON Schema (2020-12) of ``bridge.yaml``, of a tenant file or of a mapping file."""
    model, title = _MODELS[name]
    return {"$schema": _DIALECT, **model.model_json_schema(schema_generator=_AsWritten), "title": title}
