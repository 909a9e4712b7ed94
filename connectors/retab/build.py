"""Building a Retab source from a tenant's settings."""

from hashlib import sha256

from connectors.building import Surroundings
from connectors.retab.client import RETAB_WIRE, RetabClient
from connectors.retab.settings import RetabSettings
from connectors.retab.source import RetabSource


def build_source(settings: RetabSettings, surroundings: Surroundings, concurrency: int) -> RetabSource:
    """Build the source. Tenants with the same key at the same address share its limits."""
    key = sha256(settings.api_key.get_secret_value().encode()).hexdigest()
    peer = surroundings.peer(RETAB_WIRE, f"retab {settings.base_url} {key}", concurrency=concurrency)
    return RetabSource(settings, RetabClient(settings, peer))
