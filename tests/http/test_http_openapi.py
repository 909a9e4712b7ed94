"""The API's description: valid, complete, and true to the routes; its examples are what they are examples of."""

import re
from collections.abc import Iterator
from importlib import metadata
from typing import Any

import msgspec
import pytest
from http_bridge import OPERATOR, Bridge
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from bridge.http.codes import CODES
from bridge.http.openapi.document import ABOUT, Description
from bridge.http.openapi.examples import ANSWERS, BODIES
from bridge.http.openapi.problems import codes_of
from bridge.http.routing import Access
from bridge.http.table import ROUTES, SECTIONS

DOCUMENT: Any = msgspec.json.decode(Description(SECTIONS).written)
DESCRIBED = [route for route in ROUTES if route.described]
OPERATIONS = {
    (method, path): operation for path, item in DOCUMENT["paths"].items() for method, operation in item.items()
}


def resolved(value: Any) -> Any:
    """Follow a reference, if it is one."""
    if "$ref" not in value:
        return value
    found: Any = DOCUMENT
    for part in value["$ref"].removeprefix("#/").split("/"):
        found = found[part]
    return found


def wrong(schema: Any, value: Any) -> list[str]:
    """Return everything in which a value is not what its schema says."""
    rooted = {**schema, "components": DOCUMENT["components"]}
    validator = Draft202012Validator(rooted, format_checker=Draft202012Validator.FORMAT_CHECKER)
    return [error.message for error in validator.iter_errors(value)]


def contents(operation: Any) -> Iterator[tuple[str, str, Any]]:
    """Yield every content of a body and of answers: where it stands, its media type, and what is said of it."""
    for media, content in operation.get("requestBody", {}).get("content", {}).items():
        yield "body", media, content
    for status, answer in operation["responses"].items():
        for media, content in answer.get("content", {}).items():
            yield status, media, content


def test_the_description_is_valid_openapi_3_1() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert [error.message for error in OpenAPIV31SpecValidator(DOCUMENT).iter_errors()] == []


@pytest.mark.asyncio(loop_scope="module")
async def test_it_is_there_without_a_key_and_as_json(shared: Bridge) -> None:
    answer = await shared.call("GET", "/openapi.json")
    assert (answer.status, answer.headers["Content-Type"]) == (200, "application/json")
    assert answer.json == DOCUMENT
    assert (await shared.call("HEAD", "/openapi.json")).status == 200
    assert (await shared.call("OPTIONS", "/openapi.json")).headers["Allow"] == "GET, HEAD"


def test_it_has_the_packages_version(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(metadata, "version", lambda name: {"numora-bridge": "9.8.7"}[name])
    monkeypatch.setattr("bridge.http.openapi.document.version", metadata.version)
    assert msgspec.json.decode(Description(SECTIONS).written)["info"]["version"] == "9.8.7"


def test_every_route_is_described_but_for_the_description_itself() -> None:
    assert OPERATIONS.keys() == {(route.method.lower(), route.path) for route in DESCRIBED}
    assert {route.path for route in ROUTES if not route.described} == {"/openapi.json", "/docs", "/docs/{asset}"}


def test_operations_have_names_of_their_own_and_words_to_them() -> None:
    names = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(set(names)) == len(names)
    assert all(re.fullmatch("[a-z][A-Za-z]+", name) for name in names)
    for (method, path), operation in OPERATIONS.items():
        assert len(operation["summary"]) > 5, (method, path)
        assert len(operation["description"]) > 20, (method, path)
        assert operation["tags"][0] in {tag["name"] for tag in DOCUMENT["tags"]}
        assert "``" not in operation["description"]
        assert all(parameter["description"] for parameter in map(resolved, operation.get("parameters", ())))
        assert all(answer["description"] for answer in operation["responses"].values())
    assert ABOUT.keys() == SECTIONS.keys()


@pytest.mark.parametrize("route", DESCRIBED, ids=lambda route: f"{route.method} {route.path}")
def test_an_operation_says_which_keys_and_which_errors_it_has(route: Any) -> None:
    operation = OPERATIONS[route.method.lower(), route.path]
    schemes = DOCUMENT["components"]["securitySchemes"]
    assert {name for entry in operation["security"] for name in entry} == (
        set() if route.access is Access.PUBLIC else schemes.keys()
    )
    shown = {
        name
        for answer in operation["responses"].values()
        for name in answer.get("content", {}).get("application/problem+json", {}).get("examples", {})
    }
    assert shown == {code.name for code in codes_of(route)}
    assert {code.name for code in route.codes} <= shown
    for name in shown:
        assert str(CODES[name].status) in operation["responses"]
        assert f"`{name}`" in operation["responses"][str(CODES[name].status)]["description"]


@pytest.mark.parametrize(("method", "path"), OPERATIONS, ids=lambda value: value)
def test_every_example_is_what_its_schema_says(method: str, path: str) -> None:
    """Bodies, answers and errors have examples, and so does every id in a path; each holds against its schema."""
    operation = OPERATIONS[method, path]
    for where, media, content in contents(operation):
        if media in {"*/*", "text/plain"}:
            continue
        assert content["examples"], (where, media)
        for name, example in content["examples"].items():
            assert wrong(content["schema"], resolved(example)["value"]) == [], (where, name)
    for parameter in map(resolved, operation.get("parameters", ())):
        if parameter["in"] == "path":
            assert wrong(parameter["schema"], parameter["example"]) == [], parameter["name"]


def test_no_example_is_left_over() -> None:
    names = {operation["operationId"] for operation in OPERATIONS.values()}
    assert BODIES.keys() | ANSWERS.keys() <= names


@pytest.mark.parametrize("route", [route for route in DESCRIBED if route.body], ids=lambda route: route.path)
def test_the_example_of_a_body_is_one_that_the_route_takes(route: Any) -> None:
    operation = OPERATIONS[route.method.lower(), route.path]
    value = operation["requestBody"]["content"]["application/json"]["examples"]["example"]["value"]
    route.body.model_validate(value)
    assert operation["requestBody"]["required"] == any(
        field.is_required() for field in route.body.model_fields.values()
    )


def test_a_schema_that_is_not_met_is_noticed() -> None:
    """The check of the examples can fail: a delivery without its id, or with a state that there is not."""
    schema = {"$ref": "#/components/schemas/Delivery"}
    example = ANSWERS["deliver"][200]
    assert wrong(schema, example) == []
    assert wrong(schema, {key: value for key, value in example.items() if key != "id"}) != []
    assert wrong(schema, {**example, "state": "lost"}) != []


@pytest.mark.asyncio(loop_scope="module")
async def test_answers_are_what_the_description_says(shared: Bridge) -> None:
    """Real answers of a running bridge, held against the schemas of their own operations."""
    (document,) = shared.add()
    delivered = (await shared.deliver(document.id)).json
    for method, path, shown in (
        ("get", "/readyz", "/readyz"),
        ("get", "/v1/me", "/v1/me"),
        ("get", "/v1/tenants", "/v1/tenants"),
        ("get", "/v1/tenants/{tenant}/deliveries", "/v1/tenants/acme/deliveries"),
        ("get", "/v1/tenants/{tenant}/deliveries/{delivery}", f"/v1/tenants/acme/deliveries/{delivered['id']}"),
        ("get", "/v1/tenants/{tenant}/documents/{document}", f"/v1/tenants/acme/documents/{document.id}"),
        (
            "post",
            "/v1/tenants/{tenant}/documents/{document}/preview",
            f"/v1/tenants/acme/documents/{document.id}/preview",
        ),
        ("get", "/v1/tenants/{tenant}/deliveries/{delivery}", "/v1/tenants/acme/deliveries/none"),
        ("get", "/v1/tenants/{tenant}/reviews", "/v1/tenants/acme/reviews"),
    ):
        answer = await shared.call(method.upper(), shown, OPERATOR)
        media = answer.headers["Content-Type"]
        described = OPERATIONS[method, path]["responses"][str(answer.status)]["content"][media]
        assert wrong(described["schema"], answer.json) == [], shown
