"""Everything there is, in the order in which it is described."""

from collections.abc import Mapping, Sequence
from typing import Final

from bridge.http.routes import (
    actions,
    deliveries,
    description,
    documents,
    hooks,
    process,
    resources,
    reviews,
    subscriptions,
    tenants,
)
from bridge.http.routing import Route

SECTIONS: Final[Mapping[str, Sequence[Route]]] = {
    "Process": (*process.ROUTES, *description.ROUTES),
    "Tenants": tenants.ROUTES,
    "Deliveries": deliveries.ROUTES,
    "Documents": (*documents.ROUTES, *actions.ROUTES),
    "Reviews": reviews.ROUTES,
    "Subscriptions": subscriptions.ROUTES,
    "Numora": resources.ROUTES,
    "Hooks": hooks.ROUTES,
}
"""The routes by what they are about."""

ROUTES: Final[Sequence[Route]] = tuple(route for routes in SECTIONS.values() for route in routes)
"""All of them."""
