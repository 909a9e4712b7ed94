"""Building a Numora source from a tenant's settings."""

from hashlib import sha256

from connectors.building import Surroundings
from connectors.numora.calls import NUMORA_WIRE
from connectors.numora.client import NumoraSource
from connectors.numora.settings import NumoraSettings


def build_source(settings: NumoraSettings, surroundings: Surroundings, concurrency: int) -> NumoraSource:
    """Build the source. Tenants with the same key at the same address share its limits."""
    key = sha256(settings.api_key.get_secret_value().encode()).hexdigest()
    peer = surroundings.peer(NUMORA_WIRE, f"numora {settings.base_url} {key}", concurrency=concurrency)
    return NumoraSource(settings, peer)
