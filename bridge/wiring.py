"""From a tenant's settings to its connectors, through the registry and without knowing a vendor."""

from typing import cast

from bridge.config.loaded import Tenant
from connectors.building import Surroundings, load_builder
from connectors.ports import Destination, Source
from connectors.registry import DESTINATIONS, SOURCES


class NotAvailableError(Exception):
    """The configuration asks for something that this version cannot do."""


def build_source(tenant: Tenant, surroundings: Surroundings) -> Source:
    """Build the source that the tenant's file describes."""
    settings = tenant.config.source
    builder = SOURCES[settings.kind].builder
    if builder is None:
        raise NotAvailableError(f"{tenant.file}: a source of kind {settings.kind} cannot be used in this version.")
    return cast("Source", load_builder(builder)(settings, surroundings, tenant.config.delivery.concurrency))


def build_destination(tenant: Tenant, surroundings: Surroundings) -> Destination:
    """Build the destination that the tenant's file describes."""
    settings = tenant.config.destination
    if settings is None:
        raise NotAvailableError(f"{tenant.file}: a tenant without a destination cannot be used in this version.")
    builder = DESTINATIONS[settings.kind].builder
    return cast("Destination", load_builder(builder)(settings, surroundings, tenant.config.delivery.concurrency))
