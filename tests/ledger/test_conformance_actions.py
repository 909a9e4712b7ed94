"""Every ledger: what a person has the bridge do is written down once, and its answer is kept."""

import asyncio

import pytest
from ledger_samples import NOW, Driver, T
from msgspec.structs import replace

from bridge.ledger.actions import Action

ASKED = Action("act_1", T, "approve", "doc-1", "key-1", "f" * 64, NOW)


async def test_everything_that_an_action_holds_comes_back(driver: Driver):
    assert await driver.ledger.begin_action(ASKED) == ASKED
    ended = replace(ASKED, request_id="req-1", state="ended", status=409, answer=b'{"a": 1.10}\x00', ended_at=NOW + 5)
    await driver.ledger.save_action(ended)
    assert await driver.ledger.actions(T, "doc-1", 10) == (ended,)
    assert await driver.ledger.begin_action(replace(ASKED, id="act_2")) == ended


async def test_the_same_key_again_is_the_same_action_whatever_it_asks_for(driver: Driver):
    """Whether it asks for the same is the caller's to compare: the stored fingerprint comes back."""
    await driver.ledger.begin_action(ASKED)
    again = replace(ASKED, id="act_2", kind="reject", subject="doc-2", fingerprint="e" * 64, requested_at=NOW + 1)
    assert await driver.ledger.begin_action(again) == ASKED
    assert await driver.ledger.actions(T, "doc-2", 10) == ()


async def test_of_many_with_one_key_at_once_one_is_begun(driver: Driver):
    asked = [replace(ASKED, id=f"act_{number}") for number in range(30)]
    begun = await asyncio.gather(*map(driver.ledger.begin_action, asked))
    assert len({action.id for action in begun}) == 1
    assert len(await driver.ledger.actions(T, "doc-1", 100)) == 1


async def test_a_key_belongs_to_its_tenant(driver: Driver):
    await driver.ledger.begin_action(ASKED)
    foreign = replace(ASKED, id="act_2", tenant="other")
    assert await driver.ledger.begin_action(foreign) == foreign
    assert await driver.ledger.actions(T, "doc-1", 10) == (ASKED,)


async def test_without_a_key_every_action_is_new(driver: Driver):
    actions = [replace(ASKED, id=f"act_{number}", key=None) for number in range(3)]
    for action in actions:
        assert await driver.ledger.begin_action(action) == action
    assert await driver.ledger.actions(T, "doc-1", 2) == (actions[2], actions[1])


async def test_only_an_action_that_was_begun_is_saved(driver: Driver):
    await driver.ledger.begin_action(ASKED)
    for wrong in (replace(ASKED, id="act_none"), replace(ASKED, tenant="other")):
        with pytest.raises(ValueError, match=wrong.id):
            await driver.ledger.save_action(replace(wrong, state="ended"))
    assert await driver.ledger.actions(T, "doc-1", 10) == (ASKED,)


async def test_actions_are_forgotten_by_age(driver: Driver):
    await driver.ledger.begin_action(ASKED)
    assert (await driver.ledger.prune(deliveries_before=0, requests_before=NOW))["actions"] == 0
    assert (await driver.ledger.prune(deliveries_before=0, requests_before=NOW + 1))["actions"] == 1
    assert await driver.ledger.begin_action(replace(ASKED, id="act_2")) == replace(ASKED, id="act_2")
