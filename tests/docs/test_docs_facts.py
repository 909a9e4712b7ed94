"""What the pages say of states, metrics, health, routes, shapes and this version's limits is what the code says."""

import re
from typing import Any, get_args

import msgspec
import pytest
from pydantic import BaseModel
from ruamel.yaml import YAML

from bridge.cli.failures import FAILED, INTERRUPTED, MISUSED
from bridge.config.models import BridgeConfig, TenantConfig
from bridge.config.reading import read_folder
from bridge.delivery.model import State
from bridge.errors_reference import reference
from bridge.hooks import HookAnswer
from bridge.http.models import (
    ApproveDocumentBody,
    BulkRetryBody,
    DeliverBody,
    DeliveriesQuery,
    RetryBody,
    ReviewStateBody,
    SubmitBody,
)
from bridge.http.models_reviews import (
    ApproveReviewBody,
    DestinationBody,
    RejectReviewBody,
    ReviewsQuery,
    SubscribeBody,
    WorkflowDispatchBody,
)
from bridge.http.readiness import ReadinessShape
from bridge.http.routes.deliveries import BulkRetryShape
from bridge.http.routes.tenants import MeShape, PollResultShape
from bridge.http.routing import Access
from bridge.http.table import ROUTES
from bridge.ledger.protocol import PollState
from bridge.metrics import Metrics
from bridge.pipeline.gates import Side
from bridge.service import TenantStatus
from bridge.shapes.actions import (
    DecisionShape,
    DispatchShape,
    DocumentShape,
    DocumentStateShape,
    ReviewActionShape,
    SubmittedShape,
)
from bridge.shapes.deliveries import AttemptShape, DeliveryShape, ProblemShape, RequestShape
from bridge.shapes.previews import PreviewShape
from bridge.shapes.reviews import ReviewDetailShape, VersionShape
from bridge.shapes.subscriptions import SubscriptionShape, TrialShape
from bridge.shapes.tenants import BlockShape, TenantShape
from connectors.registry import SOURCES
from connectors.settings import NotAvailable
from tests.docs.pages import blocks, first_cells, section, text_of

API = text_of("docs/api.md")
OPERATIONS = text_of("docs/operations.md")
README = text_of("README.md")


def ticked(cells: list[str]) -> list[str]:
    return [name for cell in cells for name in re.findall(r"`([^`]+)`", cell)]


def test_every_route_is_documented_and_none_that_is_not_there() -> None:
    documented = ticked(first_cells(section(API, "## Routes")))
    assert documented == [f"{route.method} {route.path}" for route in sorted(ROUTES, key=documented_place)]
    assert len(documented) == len(ROUTES)


def documented_place(route: Any) -> int:
    return API.find(f"| `{route.method} {route.path}` |")


def test_it_says_which_routes_need_which_key() -> None:
    rows = section(API, "## Routes").splitlines()
    for route in ROUTES:
        row = next(line for line in rows if f"`{route.method} {route.path}`" in line)
        assert ("no key" in row) == (route.access is Access.PUBLIC)
        assert ("operator key" in row) == (route.access is Access.OPERATOR)


@pytest.mark.parametrize(
    ("shape", "heading"),
    [
        (DeliveryShape, "## Deliveries"),
        (AttemptShape, "## Deliveries"),
        (RequestShape, "## Deliveries"),
        (ProblemShape, "## Deliveries"),
        (BulkRetryShape, "## Deliveries"),
        (TenantShape, "## Tenants"),
        (BlockShape, "## Tenants"),
        (MeShape, "## Tenants"),
        (PollResultShape, "## Tenants"),
        (PreviewShape, "## Documents"),
        (DocumentShape, "## Documents"),
        (DocumentStateShape, "## Documents"),
        (SubmittedShape, "## Documents"),
        (ReviewActionShape, "## Documents"),
        (DispatchShape, "## Documents"),
        (DecisionShape, "## Reviews"),
        (ReviewDetailShape, "## Reviews"),
        (VersionShape, "## Reviews"),
        (SubscriptionShape, "## Subscriptions"),
        (TrialShape, "## Subscriptions"),
        (HookAnswer, "## Hooks"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_every_key_of_an_answer_is_documented(shape: Any, heading: str) -> None:
    text = section(API, heading)
    assert {name for name in shape.__struct_fields__ if f"`{name}`" not in text and f'"{name}"' not in text} == set()


@pytest.mark.parametrize(
    ("model", "heading"),
    [
        (DeliveriesQuery, "## Deliveries"),
        (RetryBody, "## Deliveries"),
        (BulkRetryBody, "## Deliveries"),
        (DeliverBody, "## Documents"),
        (SubmitBody, "## Documents"),
        (ApproveDocumentBody, "## Documents"),
        (ReviewStateBody, "## Documents"),
        (ReviewsQuery, "## Reviews"),
        (ApproveReviewBody, "## Reviews"),
        (RejectReviewBody, "## Reviews"),
        (SubscribeBody, "## Subscriptions"),
        (DestinationBody, "## Numora's resources"),
        (WorkflowDispatchBody, "## Numora's resources"),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
def test_every_key_of_a_request_is_documented(model: type[BaseModel], heading: str) -> None:
    text = section(API, heading)
    names = {field.alias or name for name, field in model.model_fields.items()}
    assert {name for name in names if f"`{name}`" not in text and f'"{name}"' not in text} == set()


@pytest.mark.parametrize("block", blocks("json"), ids=lambda block: block.page)
def test_examples_of_json_are_json(block: Any) -> None:
    assert isinstance(msgspec.json.decode(block.text), dict)


def test_the_states_are_those_of_a_delivery() -> None:
    assert ticked(first_cells(section(OPERATIONS, "## States").partition("\n### ")[0])) == [
        state.value for state in State
    ]
    assert all(f"`{state.value}`" in section(API, "## Deliveries") for state in State)


def test_the_sides_that_can_be_blocked_are_those_that_there_are() -> None:
    assert ticked(first_cells(section(OPERATIONS, "### Blocked sides"))) == [side.value for side in Side]


def test_the_answers_of_readyz_are_those_that_it_gives() -> None:
    statuses = get_args(ReadinessShape.__annotations__["status"])
    assert sorted(ticked(first_cells(section(OPERATIONS, "## Health")))) == sorted(statuses)
    assert all(f"`{status}`" in section(API, "## Health") for status in statuses)


def test_the_metrics_are_those_that_are_exposed() -> None:
    status = TenantStatus("acme", (), PollState(None, 1, 1), None, 0, {State.QUEUED: 1}, 1, {})
    metrics = Metrics()
    metrics.observe_request("numora", "result", 200, 0.1)
    exposed = metrics.render([status]).decode()
    families = re.findall(r"^# TYPE (bridge_\w+) (\w+)$", exposed, re.MULTILINE)
    documented = ticked(first_cells(section(OPERATIONS, "## Metrics")))
    assert sorted(documented) == sorted(name for name, _ in families)
    labels = dict(re.findall(r"^\| `(bridge_\w+)` \| (.*?) \|", OPERATIONS, re.MULTILINE))
    for name, shown in re.findall(r"^(bridge_\w+?)(?:_bucket|_count|_sum)?\{(.*?)\}", exposed, re.MULTILINE):
        assert set(re.findall(r'(\w+)="', shown)) - {"le"} == set(re.findall(r"`(\w+)`", labels[name]))


def test_alarms_go_by_metrics_that_there_are() -> None:
    documented = set(ticked(first_cells(section(OPERATIONS, "## Metrics"))))
    used = {
        name
        for block in blocks("yaml")
        if block.page == "docs/operations.md"
        for name in re.findall(r"bridge_\w+", block.text)
    }
    assert used
    assert used <= documented


def test_the_exit_codes_are_those_of_the_commands() -> None:
    assert first_cells(section(OPERATIONS, "## Exit codes")) == ["0", *map(str, (FAILED, MISUSED, INTERRUPTED))]


@pytest.mark.parametrize("page", ["docs/numora.md", "docs/dataverse.md"])
def test_the_codes_that_a_contract_names_are_explained(page: str) -> None:
    explained = set(re.findall(r"^\| `([a-z0-9_]+)` \|", reference(), re.MULTILINE))
    tables = re.findall(r"^\| code \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text_of(page), re.MULTILINE)
    named = {name for table in tables for name in ticked(first_cells(f"\n{table}"))}
    second = re.findall(r"^\| [^|]*\| `([a-z_]+)` \|", text_of(page), re.MULTILINE)
    assert named | set(second)
    assert (named | set(second)) - explained == set()


def test_blocks_of_yaml_are_yaml() -> None:
    """Those of mapping.md are mappings: they are loaded and tested as such elsewhere."""
    for block in (block for block in blocks("yaml") if block.page != "docs/mapping.md"):
        assert YAML(typ="safe").load(block.text), block


def test_the_readmes_tenant_file_is_one(tmp_path: Any) -> None:
    """What the README shows loads without a word, once its secrets are there."""
    (shown,) = [block for block in blocks("yaml") if block.page == "README.md"]
    (tmp_path / "tenants").mkdir()
    (tmp_path / "bridge.yaml").write_text("{}\n")
    (tmp_path / "tenants/acme.yaml").write_text(shown.text)
    secrets = {name: f"{name}-0123456789" for name in re.findall(r"\$\{(\w+)\}", shown.text)}
    reading = read_folder(tmp_path, secrets, {})
    assert reading.tenants is not None
    assert [str(finding) for finding in reading.tenants["acme"].findings] == []
    assert reading.tenants["acme"].tenant is not None


def marks(model: type[BaseModel], seen: set[type]) -> list[tuple[str, Any]]:
    """Return every mark of what this version does not do, with the name of its key."""
    if model in seen:
        return []
    seen.add(model)
    found = []
    for name, field in model.model_fields.items():
        found += [(name, mark) for mark in field.metadata if isinstance(mark, NotAvailable)]
        left = [field.annotation]
        while left:
            annotation = left.pop()
            left += get_args(annotation)
            if isinstance(annotation, type) and issubclass(annotation, BaseModel):
                found += marks(annotation, seen)
    return found


def test_the_readme_says_what_this_version_does_not_do() -> None:
    """Whatever a file may ask for in vain stands under Status."""
    status = section(README, "## Status")
    found = [one for model in (BridgeConfig, TenantConfig) for one in marks(model, set())]
    kinds = {name for name, kind in SOURCES.items() if kind.builder is None}
    wanted = set(kinds)
    for _, mark in found:
        if mark.values is not None:
            wanted |= mark.values
        else:
            wanted.add(mark.what.rpartition("kind: ")[2].strip("`").rpartition(" ")[2])
    assert {"certificate", "numora_session"} <= wanted
    assert {one for one in wanted if not re.search(rf"\b{one}\b", status)} == set()


def test_the_changelog_tells_of_this_version() -> None:
    pyproject = re.search(r'^version = "(.*)"$', text_of("pyproject.toml"), re.MULTILINE)
    assert pyproject is not None
    assert f"## {pyproject[1]}" in text_of("CHANGELOG.md")
    assert README.count(pyproject[1]) >= 1
