"""From a tenant's settings to its connectors, through the registry and without knowing a vendor."""

from datetime import timedelta
from typing import cast

from bridge.config.loaded import Tenant
from bridge.delivery.managed import WatchRules
from bridge.delivery.model import Millis
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


def build_destination(tenant: Tenant, surroundings: Surroundings) -> Destination | None:
    """Build the destination that the tenant's file describes; None for a tenant whose source delivers by itself."""
    settings = tenant.config.destination
    if tenant.config.delivery.mode == "managed":
        return None
    if settings is None:
        raise NotAvailableError(f"{tenant.file}: a tenant without a destination cannot be used with `mode: external`.")
    builder = DESTINATIONS[settings.kind].builder
    return cast("Destination", load_builder(builder)(settings, surroundings, tenant.config.delivery.concurrency))


def watch_rules(tenant: Tenant) -> WatchRules | None:
    """Return how deliveries are watched that the source makes by its own means; None where the bridge writes."""
    delivery = tenant.config.delivery
    if delivery.mode != "managed":
        return None
    return WatchRules(millis(delivery.watch.every), millis(delivery.watch.deadline))


def millis(duration: timedelta) -> Millis:
    """Return a duration in milliseconds."""
    return round(duration.total_seconds() * 1000)
