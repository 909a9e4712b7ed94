"""Whatever a caller sends with a valid key, it is answered with a success or a refusal, and never with a 5xx."""

from typing import Any
from urllib.parse import quote

import msgspec
import pytest
from http_bridge import ACME, Bridge
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.asyncio(loop_scope="module")

FUZZ = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
NAMES = ("wait", "force", "resume_url", "mapping", "state", "document_id", "error_code", "dry_run", "limit", "cursor")
ROUTES = (
    "/v1/tenants/acme/poll",
    "/v1/tenants/acme/deliveries/retry",
    "/v1/tenants/acme/deliveries/dlv_none/retry",
    "/v1/tenants/acme/documents/none/deliver",
    "/v1/tenants/acme/documents/none/preview",
)
PLAIN = st.text(st.characters(codec="utf-8"), max_size=40)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(PLAIN, inner, max_size=3),
    max_leaves=8,
)
BODIES = st.binary(max_size=200) | st.dictionaries(st.sampled_from(NAMES) | PLAIN, JSON, max_size=4).map(
    encode := msgspec.json.encode
)


def held_against_the_contract(answer: Any) -> None:
    assert answer.status < 500
    assert answer.headers["X-Request-Id"]
    if answer.status >= 400:
        assert answer.code


@FUZZ
@given(path=st.sampled_from(ROUTES), body=BODIES)
async def test_any_body_is_taken_or_refused(shared: Bridge, path: str, body: bytes) -> None:
    headers = {**ACME, "Content-Type": "application/json"}
    held_against_the_contract(await shared.call("POST", path, headers, data=body))


@FUZZ
@given(query=st.lists(st.tuples(st.sampled_from(NAMES) | PLAIN, PLAIN | st.binary(max_size=20)), max_size=4))
async def test_any_query_is_taken_or_refused(shared: Bridge, query: list[tuple[str, str | bytes]]) -> None:
    text = "&".join(f"{quote(name, safe='')}={quote(value, safe='')}" for name, value in query)
    held_against_the_contract(await shared.call("GET", f"/v1/tenants/acme/deliveries?{text}", ACME))


@FUZZ
@given(parts=st.lists(PLAIN | st.binary(max_size=20), min_size=1, max_size=6), method=st.sampled_from(("GET", "POST")))
async def test_any_path_is_found_or_refused(shared: Bridge, parts: list[str | bytes], method: str) -> None:
    path = "/".join(quote(part, safe="") for part in parts)
    held_against_the_contract(await shared.call(method, f"/v1/tenants/acme/{path}", ACME))
