"""Who may ask what: every route of the description, with right and wrong keys of several tenants."""

import re
from typing import Any

from tests.blackbox.asking import KEY, Asking, Reply
from tests.blackbox.world import World, invoice

HOURLY = {"every": "1h", "limit": 100}


async def two_tenants(made: World) -> None:
    for name in ("acme", "globex"):
        tenant = await made.add_tenant(name, poll=HOURLY)
        tenant.source["webhook_secret"] = f"${{{tenant.prefix}_WEBHOOK_SECRET}}"
        tenant.variables[f"{tenant.prefix}_WEBHOOK_SECRET"] = f"webhook-secret-of-{name}"
        made.numora.add(tenant.numora_key, invoice(1, name))
    await made.start()


def routes(api: Asking) -> list[tuple[str, str, dict[str, Any]]]:
    """Return method, path template and operation of all that there is."""
    assert api.contract is not None
    return [
        (method.upper(), path, operation)
        for path, operations in api.contract.description["paths"].items()
        for method, operation in operations.items()
    ]


def body_of(operation: dict[str, Any]) -> Any:
    """Return the example that the description itself gives."""
    content = operation.get("requestBody", {}).get("content", {}).get("application/json")
    return None if content is None else next(iter(content["examples"].values()))["value"]


async def test_every_route_asks_for_a_key_and_takes_it_in_both_headers(made: World) -> None:
    """No key, a wrong one, another tenant's, two that differ: 401 or 404; the right one opens in either header."""
    await two_tenants(made)
    acme, globex = made.tenants["acme"], made.tenants["globex"]
    async with Asking(made.bridge) as api:
        assert api.contract is not None
        for method, template, operation in routes(api):
            path = api.contract.filled(template, tenant="acme", hook="numora")
            body = body_of(operation) if method != "GET" else None
            if operation["security"] == []:
                continue
            for headers in (
                {},
                {"Authorization": ""},
                {"Authorization": "Bearer"},
                {"Authorization": "Bearer "},
                {"Authorization": f"Basic {acme.api_key}"},
                {"Authorization": acme.api_key},
                {"Authorization": f"Bearer {acme.api_key}x"},
                {"Authorization": f"Bearer {acme.api_key.upper()}"},
                {"X-API-Key": acme.api_key[:-1]},
                {"X-API-Key": acme.numora_key},
                {"X-API-Key": acme.api_key, "Authorization": "Bearer operator-key"},
                {"X-API-Key": "\u00e9"},
            ):
                refused = await api.ask(method, path, body, key=None, headers=headers)
                assert (refused.status, refused.code) == (401, "unauthorized"), (method, path, headers)
                assert "WWW-Authenticate" in refused.headers
            if "{tenant}" in template:
                other = await api.ask(method, path, body, key=globex.api_key)
                nobody = await api.ask(method, path.replace("acme", "nobody"), body, key=globex.api_key)
                assert (other.status, other.code) == (404, "tenant_not_found")
                assert other.but_for_its_id == nobody.but_for_its_id
                assert (await api.ask(method, path.replace("acme", "nobody"), body)).code == "tenant_not_found"
            if template == "/metrics":
                assert (await api.ask(method, path, key=acme.api_key)).code == "operator_key_needed"
            keys = [KEY] if template == "/metrics" else [KEY, acme.api_key]
            for key in keys:
                for header in ({"Authorization": f"bearer {key}"}, {"X-API-Key": key}, {"x-api-key": f" {key} "}):
                    opened = await api.ask(method, path, body, key=None, headers=header)
                    assert opened.status not in {401, 403} | set(range(500, 600)), (method, path, opened)
    made.no_secret_was_written()


async def test_nothing_of_another_tenant_can_be_told_from_what_never_was(made: World) -> None:
    """Ids of deliveries, subscriptions and documents of one tenant are unknown ids to the next one's key."""
    await two_tenants(made)
    acme, globex = made.tenants["acme"], made.tenants["globex"]
    made.settings["allow_hosts"] = ["127.0.0.1"]
    made.write()
    await made.bridge.kill()
    await made.bridge.start()
    async with Asking(made.bridge) as api:
        theirs = await api.ask("POST", "/v1/tenants/globex/documents/doc_globex_0001/deliver", {"wait": 30})
        assert theirs.json["state"] == "succeeded"
        url = {"url": made.receiver.url("/theirs"), "types": ["tenant.*"]}
        hears = (await api.ask("POST", "/v1/tenants/globex/subscriptions", url, key=globex.api_key)).json

        async def same(method: str, path: str, body: Any = None, *, known: str, unknown: str) -> Reply:
            known_reply = await api.ask(method, f"/v1/tenants/acme{path}".replace("ID", known), body, key=acme.api_key)
            other = await api.ask(method, f"/v1/tenants/acme{path}".replace("ID", unknown), body, key=acme.api_key)
            told = [
                (one.status, one.raw.replace(id.encode(), b"").replace(one.headers["X-Request-Id"].encode(), b""))
                for one, id in ((known_reply, known), (other, unknown))
            ]
            assert told[0] == told[1], (method, path)
            return known_reply

        delivery = {"known": theirs.json["id"], "unknown": re.sub(".$", "x", theirs.json["id"])}
        assert (await same("GET", "/deliveries/ID", **delivery)).status == 404
        assert (await same("POST", "/deliveries/ID/retry", {}, **delivery)).status == 404
        subscription = {"known": hears["id"], "unknown": re.sub(".$", "x", hears["id"])}
        assert (await same("DELETE", "/subscriptions/ID", **subscription)).status == 204
        assert (await same("POST", "/subscriptions/ID/test", {}, **subscription)).status == 404
        assert (await same("POST", "/subscriptions/ID/resume", {}, **subscription)).status == 404
        document = {"known": "doc_globex_0001", "unknown": "doc_globex_0002"}
        assert (await same("GET", "/documents/ID", **document)).status == 404
        assert (await same("POST", "/documents/ID/preview", {}, **document)).status == 404
        assert (await same("POST", "/documents/ID/approve", {}, **document)).status == 404
        assert (await same("POST", "/documents/ID/dispatch", {}, **document)).status == 404
        found = await api.ask("GET", "/v1/tenants/acme/deliveries?document_id=doc_globex_0001", key=acme.api_key)
        assert found.json["data"] == []
        assert (await api.ask("GET", "/v1/tenants/acme/subscriptions", key=acme.api_key)).json["data"] == []
        mine = await api.ask("POST", "/v1/tenants/acme/subscriptions", url, key=acme.api_key)
        assert mine.status == 201
        assert mine.json["id"] != hears["id"]
        kept = await api.ask("GET", "/v1/tenants/globex/subscriptions", key=globex.api_key)
        assert [one["id"] for one in kept.json["data"]] == [hears["id"]]


async def test_a_cursor_of_one_tenant_shows_nothing_of_it_to_another(made: World) -> None:
    await two_tenants(made)
    acme, globex = made.tenants["acme"], made.tenants["globex"]
    async with Asking(made.bridge) as api:
        for number in range(3):
            made.numora.add(globex.numora_key, invoice(number, "globex"))
            id = f"doc_globex_{number:04d}"
            assert (await api.ask("POST", f"/v1/tenants/globex/documents/{id}/deliver", {"wait": 30})).status == 200
        page = (await api.ask("GET", "/v1/tenants/globex/deliveries?limit=1", key=globex.api_key)).json
        path = f"/v1/tenants/acme/deliveries?limit=1&cursor={page['next_cursor']}"
        foreign = await api.ask("GET", path, key=acme.api_key)
        assert foreign.status == 400 or {one["tenant"] for one in foreign.json["data"]} <= {"acme"}


async def test_hooks_that_nobody_configured_look_like_those_of_nobody(made: World) -> None:
    """Unknown tenant, known tenant without such a hook, unknown kind: one answer, whatever is sent."""
    await made.add_tenant(poll=HOURLY)
    await made.start()
    async with Asking(made.bridge) as api:
        for kind in ("numora", "executor", "retab", "anything"):
            for raw in (b"", b"{}", b"\xff", b"x" * 100_000):
                answers = [
                    await api.ask("POST", f"/hooks/{name}/{kind}", key=None, raw=raw)
                    for name in ("acme", "nobody", "NOBODY", "...", "acme%2Fx")
                ]
                assert {one.status for one in answers} == {404}
                assert all(one.but_for_its_id == answers[0].but_for_its_id for one in answers)
            for method in ("GET", "PUT", "DELETE", "OPTIONS", "PATCH"):
                answers = [await api.ask(method, f"/hooks/{name}/{kind}", key=None) for name in ("acme", "nobody")]
                assert answers[0].but_for_its_id == answers[1].but_for_its_id
