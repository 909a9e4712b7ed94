"""Building a Dataverse destination from a tenant's settings."""

from urllib.parse import urlsplit

from connectors.building import Surroundings
from connectors.dataverse.client import WIRE
from connectors.dataverse.destination import DataverseDestination
from connectors.dataverse.settings import ClientSecretAuth, DataverseSettings
from connectors.entra.logins import client_secret_login
from connectors.outcome import BlockedError

CEILING = 52
"""Requests in flight that Dataverse allows one application user on each of its servers."""


def build_destination(
    settings: DataverseSettings, surroundings: Surroundings, concurrency: int
) -> DataverseDestination:
    """Build the destination. Tenants that log in to the same environment as the same application share its limits.

    An environment belongs to one Entra tenant, so how that is named tells no two logins apart.
    """
    auth = settings.auth
    if not isinstance(auth, ClientSecretAuth):
        raise BlockedError("auth_unavailable", f"auth kind {auth.kind!r} cannot be used yet; use client_secret.")
    identity = f"dataverse {_origin(settings.url)} {auth.client_id}".lower()
    peer = surroundings.peer(WIRE, identity, concurrency=concurrency, ceiling=CEILING)
    login = client_secret_login(
        surroundings.sharing,
        surroundings.paces,
        tenant_id=auth.tenant_id,
        client_id=auth.client_id,
        client_secret=auth.client_secret,
        scope=f"{settings.url.rstrip('/')}/.default",
        authority=auth.authority,
        ca_file=surroundings.ca_file,
    )
    return DataverseDestination(settings, peer, login, fetch_file=surroundings.fetch_file)


def _origin(url: str) -> str:
    """Return an environment's address as it is told apart from others: however it is spelled, it is one environment."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{parts.scheme}://{parts.hostname}:{port}{parts.path}"
