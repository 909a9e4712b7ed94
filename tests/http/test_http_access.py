"""Who may ask for what: every route with the right key, with none, and with another tenant's."""

import re

import pytest
from http_bridge import ACME, GLOBEX, OPERATOR, Bridge

from bridge.http.codes import INTERNAL_ERROR, TENANT_NOT_FOUND, UNAUTHORIZED
from bridge.http.openapi.problems import codes_of
from bridge.http.routing import Route
from bridge.http.table import ROUTES
from bridge.sandbox import OPERATOR_KEY

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOBODY = {"X-API-Key": "no-key-of-anyone"}
V1 = [route for route in ROUTES if route.path.startswith("/v1")]
TENANT = [route for route in V1 if "{tenant}" in route.path]


def path_of(route: Route, tenant: str = "acme") -> str:
    return re.sub(r"\{(?!tenant)\w+\}", "some-id", route.path).replace("{tenant}", tenant)


def name_of(route: Route) -> str:
    return f"{route.method} {route.path}"


@pytest.mark.parametrize("route", V1, ids=name_of)
async def test_every_route_below_v1_asks_for_a_valid_key(shared: Bridge, route: Route) -> None:
    """401 with a challenge, and nothing is taken in: the ledger holds as many deliveries as before."""
    before = await deliveries_of(shared, "acme")
    for headers in ({}, NOBODY, {"Authorization": "Bearer "}, {"Authorization": "Bearer"}, {"X-API-Key": ""}):
        answer = await shared.call(route.method, path_of(route), headers)
        assert (answer.status, answer.code) == (401, "unauthorized")
        assert answer.headers["WWW-Authenticate"] == "Bearer"
    assert await deliveries_of(shared, "acme") == before


async def deliveries_of(bridge: Bridge, tenant: str) -> int:
    """How many deliveries the ledger holds, whatever has become of them by now."""
    return sum((await bridge.ledger.counts(tenant)).by_state.values())


@pytest.mark.parametrize("route", TENANT, ids=name_of)
async def test_another_tenants_route_and_an_unknown_tenants_answer_alike(shared: Bridge, route: Route) -> None:
    """404 for both, and the bodies differ in the request id alone: nobody learns who else is served."""
    others = await shared.call(route.method, path_of(route, "globex"), ACME)
    unknown = await shared.call(route.method, path_of(route, "nobody"), ACME)
    operators = await shared.call(route.method, path_of(route, "nobody"), OPERATOR)
    assert (others.status, others.code) == (404, "tenant_not_found")
    bodies = []
    for answer in (others, unknown, operators):
        problem = answer.json
        del problem["request_id"]
        bodies.append(problem)
    assert bodies[0] == bodies[1] == bodies[2]
    varying = {"x-request-id", "date"}
    headers = [
        {name.lower(): value for name, value in answer.headers.items() if name.lower() not in varying}
        for answer in (others, unknown)
    ]
    assert headers[0] == headers[1]


@pytest.mark.parametrize("route", TENANT, ids=name_of)
async def test_a_tenants_own_key_and_the_operators_are_good_for_its_routes(shared: Bridge, route: Route) -> None:
    """Whatever the answer is then, it is one of the route's own, and no longer about the key or the tenant."""
    foreseen = {code.name for code in codes_of(route) if code not in {UNAUTHORIZED, TENANT_NOT_FOUND, INTERNAL_ERROR}}
    for headers in (ACME, OPERATOR, {"Authorization": f"bearer {OPERATOR_KEY}"}):
        answer = await shared.call(route.method, path_of(route), headers)
        assert answer.status not in {401, 403}
        assert answer.status < 400 or answer.code in foreseen


async def test_a_delivery_of_another_tenant_is_not_found(shared: Bridge) -> None:
    """Not by its id under one's own tenant, be it to look at or to make once more."""
    (document,) = shared.add(tenant="globex")
    delivered = (await shared.deliver(document.id, "globex")).json
    for method, end in (("GET", ""), ("POST", "/retry")):
        answer = await shared.call(method, f"/v1/tenants/acme/deliveries/{delivered['id']}{end}", ACME)
        assert (answer.status, answer.code) == (404, "delivery_not_found")
    assert (await shared.call("GET", f"/v1/tenants/globex/deliveries/{delivered['id']}", GLOBEX)).status == 200


async def test_me_tells_whose_key_it_is(shared: Bridge) -> None:
    assert (await shared.call("GET", "/v1/me", OPERATOR)).json == {"role": "operator", "tenants": ["acme", "globex"]}
    assert (await shared.call("GET", "/v1/me", ACME)).json == {"role": "tenant", "tenants": ["acme"]}


async def test_a_key_sees_its_own_tenants_only(shared: Bridge) -> None:
    for headers, seen in ((OPERATOR, ["acme", "globex"]), (ACME, ["acme"]), (GLOBEX, ["globex"])):
        answer = await shared.call("GET", "/v1/tenants", headers)
        assert [tenant["id"] for tenant in answer.json["data"]] == seen


async def test_two_keys_that_differ_are_refused_and_the_same_one_twice_is_not(shared: Bridge) -> None:
    key = ACME["X-API-Key"]
    both = await shared.call("GET", "/v1/me", {"Authorization": f"Bearer {key}", "X-API-Key": key})
    assert both.status == 200
    differing = await shared.call("GET", "/v1/me", {**OPERATOR, **ACME})
    assert (differing.status, differing.code) == (401, "unauthorized")


async def test_a_key_is_not_taken_from_the_query(shared: Bridge) -> None:
    """Queries stand in the logs of proxies."""
    answer = await shared.call("GET", f"/v1/me?api_key={OPERATOR_KEY}&access_token={OPERATOR_KEY}")
    assert answer.status == 401


@pytest.mark.parametrize("path", ["/v1", "/v1/", "/v1/nothing", "/v1/tenants/acme/nothing", "/v1/tenants/acme/poll/x"])
async def test_below_v1_nothing_is_told_without_a_key(shared: Bridge, path: str) -> None:
    """An unknown path is a 404 to those with a key only."""
    assert (await shared.call("GET", path)).code == "unauthorized"
    assert (await shared.call("GET", path, ACME)).code == "no_such_route"


async def test_metrics_are_for_operators(shared: Bridge) -> None:
    """They name every tenant."""
    assert (await shared.call("GET", "/metrics")).code == "unauthorized"
    refused = await shared.call("GET", "/metrics", ACME)
    assert (refused.status, refused.code) == (403, "operator_key_needed")
    assert (await shared.call("GET", "/metrics", OPERATOR)).status == 200
