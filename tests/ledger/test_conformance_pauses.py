"""Every ledger: the pauses that outside systems asked for, which a restart must not cut short."""

from ledger_samples import NOW, Driver

from bridge.ledger.protocol import Pause


async def test_a_pause_is_kept_and_the_longest_one_holds(driver: Driver):
    asked = [Pause("a", NOW, NOW + 60_000), Pause("b", NOW, NOW + 5_000)]
    await driver.ledger.keep_pauses(asked, NOW)
    await driver.ledger.keep_pauses([Pause("a", NOW + 1, NOW + 9_000), Pause("b", NOW + 1, NOW + 9_000)], NOW + 1)
    assert set(await driver.ledger.pauses()) == {asked[0], Pause("b", NOW + 1, NOW + 9_000)}


async def test_pauses_that_are_over_are_forgotten(driver: Driver):
    await driver.ledger.keep_pauses([Pause("a", NOW, NOW + 5_000)], NOW)
    assert await driver.ledger.pauses() == (Pause("a", NOW, NOW + 5_000),)
    await driver.ledger.keep_pauses([Pause("b", NOW + 5_000, NOW + 6_000)], NOW + 5_000)
    assert await driver.ledger.pauses() == (Pause("b", NOW + 5_000, NOW + 6_000),)


async def test_a_pause_that_was_over_may_be_asked_for_anew(driver: Driver):
    """A shorter one as well: the one before no longer counts."""
    await driver.ledger.keep_pauses([Pause("a", NOW, NOW + 60_000)], NOW)
    later = NOW + 60_000
    await driver.ledger.keep_pauses([Pause("a", later, later + 1_000)], later)
    assert await driver.ledger.pauses() == (Pause("a", later, later + 1_000),)
