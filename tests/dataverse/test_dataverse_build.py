"""A destination built from a tenant's settings: identities that share limits, and logins that this version lacks."""

from typing import Any

import pytest

from connectors.building import Surroundings
from connectors.dataverse.build import build_destination
from connectors.dataverse.settings import DataverseSettings
from connectors.outcome import BlockedError
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
    paces = [built._client._peer._pace for built in (one, other, third)]
    assert paces[0] is paces[1]
    assert paces[0] is not paces[2]
    assert paces[0].limit == 52


async def test_a_login_of_a_kind_that_is_not_there_yet_blocks(surroundings: Surroundings, dataverse: Any) -> None:
    auth = {"kind": "managed_identity"}
    wanted = DataverseSettings.model_validate({"kind": "dataverse", "url": dataverse.url, "auth": auth})
    with pytest.raises(BlockedError) as error:
        build_destination(wanted, surroundings, 4)
    assert error.value.code == "auth_unavailable"
