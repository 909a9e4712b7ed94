"""Entra imitated: MSAL, unmodified and over https, gets tokens or the refusals that a person would see."""

import asyncio
import time
from base64 import urlsafe_b64encode
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path
from typing import Any

import msal
import msgspec
import pytest
import requests

from connectors.dataverse.sandbox import DataverseSandbox
from connectors.entra.sandbox import EntraSandbox
from connectors.sandbox.authority import SandboxAuthority

TENANT = "11111111-1111-1111-1111-111111111111"
CLIENT = "22222222-2222-2222-2222-222222222222"


@pytest.fixture(scope="module")
def authority(tmp_path_factory) -> SandboxAuthority:
    return SandboxAuthority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
async def entra(authority) -> AsyncIterator[EntraSandbox]:
    async with EntraSandbox(authority) as sandbox:
        sandbox.add_client(TENANT, CLIENT, "right")
        yield sandbox


@pytest.fixture
async def guarded(entra) -> AsyncIterator[DataverseSandbox]:
    async with DataverseSandbox(entra=entra) as sandbox:
        yield sandbox


async def acquire(
    entra: EntraSandbox,
    ca_file: Path,
    resource: str,
    credential: Any = "right",
    tenant: str = TENANT,
    client: str = CLIENT,
    discovery: Any = False,
) -> dict[str, Any]:
    def blocking() -> dict[str, Any]:
        with closing(requests.Session()) as http:
            http.verify = str(ca_file)
            http.trust_env = False  # REQUESTS_CA_BUNDLE would win over verify
            application = msal.ConfidentialClientApplication(
                client,
                authority=entra.authority_of(tenant),
                client_credential=credential,
                instance_discovery=discovery,
                http_client=http,
            )
            return dict(application.acquire_token_for_client([f"{resource}/.default"]))

    return await asyncio.to_thread(blocking)


async def test_msal_gets_a_token_that_dataverse_takes(entra, authority, guarded, session):
    token = await acquire(entra, authority.ca_file, guarded.url)
    assert (token["token_type"], token["expires_in"]) == ("Bearer", 3600)
    async with session.get(
        f"{guarded.api_url}/WhoAmI", headers={"Authorization": f"Bearer {token['access_token']}"}
    ) as answer:
        assert answer.status == 200


async def test_msal_takes_the_ca_file_as_verify(entra, authority, guarded, monkeypatch):
    """``verify=ca_file`` is enough, unless the environment names another bundle."""
    monkeypatch.delenv("REQUESTS_CA_BUNDLE", raising=False)
    monkeypatch.delenv("CURL_CA_BUNDLE", raising=False)

    def blocking() -> dict[str, Any]:
        application = msal.ConfidentialClientApplication(
            CLIENT,
            authority=entra.authority_of(TENANT),
            client_credential="right",
            instance_discovery=False,
            verify=str(authority.ca_file),
        )
        with closing(application.http_client):
            return dict(application.acquire_token_for_client([f"{guarded.url}/.default"]))

    assert "access_token" in await asyncio.to_thread(blocking)


async def test_a_client_without_the_authority_is_not_talked_to(entra, tmp_path, guarded):
    stranger = SandboxAuthority(tmp_path)
    with pytest.raises(requests.exceptions.SSLError):
        await acquire(entra, stranger.ca_file, guarded.url)


async def test_instance_discovery_works_as_well(entra, authority, guarded):
    discovery = f"{entra.url}/common/discovery/instance"
    assert "access_token" in await acquire(entra, authority.ca_file, guarded.url, discovery=discovery)


async def test_a_wrong_secret_is_an_invalid_client(entra, authority, guarded):
    refused = await acquire(entra, authority.ca_file, guarded.url, "wrong")
    assert refused["error"] == "invalid_client"
    assert refused["error_codes"] == [7000215]
    assert "AADSTS7000215" in refused["error_description"]


async def test_an_unknown_application_is_unauthorized(entra, authority, guarded):
    refused = await acquire(entra, authority.ca_file, guarded.url, client="33333333-3333-3333-3333-333333333333")
    assert (refused["error"], refused["error_codes"]) == ("unauthorized_client", [700016])


async def test_an_unknown_tenant_has_no_configuration(entra, authority, guarded):
    with pytest.raises(ValueError, match="Unable to get authority configuration"):
        await acquire(entra, authority.ca_file, guarded.url, tenant="44444444-4444-4444-4444-444444444444")


async def test_a_scope_has_to_end_in_default(entra, session, authority):
    form = {
        "grant_type": "client_credentials",
        "client_id": CLIENT,
        "client_secret": "right",
        "scope": "https://x/read",
    }
    url = f"{entra.authority_of(TENANT)}/oauth2/v2.0/token"
    async with session.post(url, data=form, ssl=authority.client_context()) as answer:
        assert answer.status == 400
        assert (await answer.json())["error"] == "invalid_scope"


@pytest.mark.parametrize(("expires_in", "error"), [(600, None), (-600, "invalid_client")])
async def test_a_client_assertion_stands_in_for_a_secret(entra, authority, guarded, expires_in, error):
    entra.add_client(TENANT, CLIENT, assertions=True)
    parts = ({"alg": "RS256"}, {"sub": CLIENT, "aud": entra.url, "exp": int(time.time()) + expires_in})
    encoded = [urlsafe_b64encode(msgspec.json.encode(part)).decode().rstrip("=") for part in parts]
    assertion = ".".join([*encoded, "c2lnbmF0dXJl"])
    answer = await acquire(entra, authority.ca_file, guarded.url, {"client_assertion": lambda: assertion})
    assert answer.get("error") == error
    assert ("access_token" in answer) == (error is None)


@pytest.mark.parametrize("headers", [{}, {"Authorization": "Bearer made-up"}, {"Authorization": "Basic YTpi"}])
async def test_dataverse_refuses_what_is_no_token(guarded, session, headers):
    async with session.get(f"{guarded.api_url}/WhoAmI", headers=headers) as answer:
        assert answer.status == 401
        assert answer.headers["WWW-Authenticate"].startswith("Bearer ")


async def test_dataverse_refuses_a_token_for_another_resource(entra, guarded, session):
    token = entra.issue(TENANT, CLIENT, "https://other.example")
    async with session.get(f"{guarded.api_url}/WhoAmI", headers={"Authorization": f"Bearer {token}"}) as answer:
        assert answer.status == 401


async def test_a_revoked_token_is_refused_from_then_on(entra, guarded, session, authority):
    headers = {"Authorization": f"Bearer {entra.issue(TENANT, CLIENT, guarded.url)}"}
    async with session.get(f"{guarded.api_url}/WhoAmI", headers=headers) as answer:
        assert answer.status == 200
    async with session.post(f"{entra.url}/_sandbox/tokens/revoke", json={}, ssl=authority.client_context()) as answer:
        assert await answer.json() == {"revoked": 1}
    async with session.get(f"{guarded.api_url}/WhoAmI", headers=headers) as answer:
        assert answer.status == 401


async def test_a_token_ends_with_its_lifetime(entra, guarded, session, authority):
    async with session.put(
        f"{entra.url}/_sandbox/lifetime", json={"seconds": 0}, ssl=authority.client_context()
    ) as put:
        assert put.status == 204
    headers = {"Authorization": f"Bearer {entra.issue(TENANT, CLIENT, guarded.url)}"}
    async with session.get(f"{guarded.api_url}/WhoAmI", headers=headers) as answer:
        assert answer.status == 401


async def test_a_fresh_token_is_still_the_same_identity_for_throttling(entra, guarded, session):
    guarded.faults.add("throttle", times=1, retry_after=60)
    statuses = []
    for _ in range(2):
        headers = {"Authorization": f"Bearer {entra.issue(TENANT, CLIENT, guarded.url)}"}
        async with session.get(f"{guarded.api_url}/WhoAmI", headers=headers) as answer:
            statuses.append(answer.status)
    assert (statuses, guarded.violations) == ([429, 429], 1)


async def test_applications_come_and_go_over_http(entra, session, authority, guarded):
    spec = {"tenant_id": TENANT, "client_id": "app", "client_secret": "s"}
    context = authority.client_context()
    async with session.post(f"{entra.url}/_sandbox/clients", json=spec, ssl=context) as added:
        assert added.status == 201
    assert "access_token" in await acquire(entra, authority.ca_file, guarded.url, "s", client="app")
    async with session.delete(f"{entra.url}/_sandbox/clients/app", ssl=context) as removed:
        assert removed.status == 204
    assert (await acquire(entra, authority.ca_file, guarded.url, "s", client="app"))["error"] == "unauthorized_client"


async def test_no_secret_stands_in_state_or_journal(entra, authority, guarded, session):
    token = (await acquire(entra, authority.ca_file, guarded.url))["access_token"]
    for page in ("state", "requests"):
        async with session.get(f"{entra.url}/_sandbox/{page}", ssl=authority.client_context()) as answer:
            text = await answer.text()
        assert "right" not in text
        assert token not in text
