"""A destination built from a tenant's settings: identities that share limits, and logins that this version lacks."""

import asyncio
from typing import Any

import pytest

from connectors.building import Surroundings
from connectors.dataverse.build import build_destination
from connectors.dataverse.settings import DataverseSettings
from connectors.outcome import BlockedError, ThrottledError
from connectors.pacing import Paces

AUTH = {
    "kind": "client_secret",
    "tenant_id": "11111111-0000-4000-8000-000000000001",
    "client_id": "22222222-0000-4000-8000-000000000002",
    "client_secret": "made-up~secret",
}


@pytest.fixture
def surroundings(session: Any, authority: Any) -> Surroundings:
    return Surroundings(session, Paces(), authority.ca_file, lambda peer, purpose, status, seconds: None)


def settings(dataverse: Any, **auth: Any) -> DataverseSettings:
    return DataverseSettings.model_validate({"kind": "dataverse", "url": dataverse.url, "auth": {**AUTH, **auth}})


async def test_a_tenants_settings_are_enough_to_reach_its_environment(
    surroundings: Surroundings, dataverse: Any, entra: Any
) -> None:
    destination = build_destination(settings(dataverse, authority=entra.url), surroundings, 4)
    await destination.probe()
    assert [request.path for request in dataverse.requests] == ["/api/data/v9.2/WhoAmI"]
    await destination.close()


async def test_tenants_with_one_login_share_its_limits(surroundings: Surroundings, dataverse: Any) -> None:
    """Dataverse counts requests by application user, not by our tenants."""
    one = build_destination(settings(dataverse), surroundings, 4)
    other = build_destination(settings(dataverse), surroundings, 4)
    third = build_destination(settings(dataverse, client_id="33333333-0000-4000-8000-000000000003"), surroundings, 4)
    by_domain = build_destination(settings(dataverse, tenant_id="acme.onmicrosoft.example"), surroundings, 4)
    paces = [built._client._peer._pace for built in (one, other, third, by_domain)]
    assert paces[0] is paces[1] is paces[3]
    assert paces[0] is not paces[2]
    assert paces[0].limit == 52


async def test_an_environment_is_the_same_one_however_its_address_is_spelled(
    surroundings: Surroundings, dataverse: Any
) -> None:
    def built(url: str) -> Any:
        wanted = DataverseSettings.model_validate({"kind": "dataverse", "url": url, "auth": AUTH})
        return build_destination(wanted, surroundings, 4)._client._peer._pace

    spellings = [
        "https://acme.crm4.dynamics.com",
        "https://ACME.crm4.dynamics.com/",
        "https://acme.crm4.dynamics.com:443",
    ]
    assert len({id(built(url)) for url in spellings}) == 1
    assert built("https://acme.crm11.dynamics.com") is not built(spellings[0])


async def test_tenants_with_one_login_get_one_token_between_them(
    surroundings: Surroundings, dataverse: Any, entra: Any
) -> None:
    """One request is in flight for a login, whichever tenant needs it first; a tenant that goes takes nothing along."""
    wanted = settings(dataverse, authority=entra.url)
    one, other = (build_destination(wanted, surroundings, 4) for _ in range(2))
    await asyncio.gather(one.probe(), other.probe())
    await one.close()
    await other.probe()
    later = build_destination(wanted, surroundings, 4)
    await other.close()
    await later.probe()
    assert entra.issued == 1
    await later.close()
    last = build_destination(wanted, surroundings, 4)
    await last.probe()
    await last.close()
    assert entra.issued == 2


async def test_a_secret_that_is_wrong_gets_nobody_elses_token(
    surroundings: Surroundings, dataverse: Any, entra: Any
) -> None:
    good = build_destination(settings(dataverse, authority=entra.url), surroundings, 4)
    bad = build_destination(settings(dataverse, authority=entra.url, client_secret="made-up~wrong"), surroundings, 4)
    await good.probe()
    with pytest.raises(BlockedError) as error:
        await bad.probe()
    assert error.value.code == "token_refused"
    await good.close()
    await bad.close()


async def test_a_pause_of_entra_holds_for_every_tenant_with_that_application(
    surroundings: Surroundings, dataverse: Any, entra: Any
) -> None:
    """Also for one with another secret, and after the configuration was read anew."""
    entra.add_client(AUTH["tenant_id"], AUTH["client_id"], "made-up~other")
    entra.faults.add("throttle", retry_after=30, times=1, path="oauth2/v2.0/token")
    one = build_destination(settings(dataverse, authority=entra.url), surroundings, 4)
    with pytest.raises(ThrottledError):
        await one.probe()
    await one.close()
    asked = entra.requests.total
    for secret in (AUTH["client_secret"], "made-up~other"):
        other = build_destination(settings(dataverse, authority=entra.url, client_secret=secret), surroundings, 4)
        with pytest.raises(ThrottledError):
            await other.probe()
        await other.close()
    assert (entra.requests.total, entra.violations) == (asked, 0)


async def test_a_login_of_a_kind_that_is_not_there_yet_blocks(surroundings: Surroundings, dataverse: Any) -> None:
    auth = {"kind": "managed_identity"}
    wanted = DataverseSettings.model_validate({"kind": "dataverse", "url": dataverse.url, "auth": auth})
    with pytest.raises(BlockedError) as error:
        build_destination(wanted, surroundings, 4)
    assert error.value.code == "auth_unavailable"
