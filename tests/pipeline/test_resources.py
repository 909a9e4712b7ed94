"""Numora's other resources: a closed list, done once, with nothing secret in what is kept."""

import msgspec
import pytest
from pipeline_stage import Stage

from bridge.actions.asked import Asked, NotKnownError, UnsupportedError
from connectors.outcome import OutcomeError


async def test_lists_are_told_page_by_page(stage: Stage) -> None:
    """In one shape, whatever Numora's is."""
    answered = await stage.resources.call("acme", "schemas", path={})

    assert {one["id"] for one in msgspec.json.decode(answered.body)["data"]} >= {"invoice_v2", "receipt_v1"}
    assert msgspec.json.decode(answered.body)["next_cursor"] is None


async def test_a_destination_is_created_once_for_its_key(stage: Stage) -> None:
    """And its credentials are not in the answer, which the ledger keeps for the repeat."""
    body = {"provider": "dynamics365", "display_name": "Finance", "credentials": {"client_secret": "s3cr3t-value"}}

    first = await stage.resources.call("acme", "create_destination", Asked("request", "one"), path={}, body=body)
    second = await stage.resources.call("acme", "create_destination", Asked("request", "one"), path={}, body=body)

    assert bytes(first.body) == bytes(second.body)
    assert len(stage.world.workspace("acme").catalogue.destinations) == 1
    assert b"s3cr3t-value" not in bytes(first.body)


async def test_a_creation_that_may_have_been_done_is_not_repeated(stage: Stage) -> None:
    """The caller is told to look."""
    body = {"provider": "dynamics365", "display_name": "Finance"}
    stage.world.numora.faults.add("status_after", times=1, method="POST", path="destinations", status=500)

    with pytest.raises(OutcomeError):
        await stage.resources.call("acme", "create_destination", Asked("request", "one"), path={}, body=body)
    with pytest.raises(NotKnownError):
        await stage.resources.call("acme", "create_destination", Asked("request", "one"), path={}, body=body)

    assert len(stage.world.workspace("acme").catalogue.destinations) == 1


async def test_what_is_not_on_the_list_cannot_be_reached(stage: Stage) -> None:
    """There is no open proxy."""
    with pytest.raises(UnsupportedError):
        await stage.resources.call("acme", "../documents", path={})
