"""A pause that an outside system asked for is known to the process that comes after."""

import pytest

from bridge.ledger.open import temporary_ledger
from bridge.pauses import kept_pauses


class Hand:
    """A clock's hand, in milliseconds."""

    def __init__(self, now: int) -> None:
        self.now = now

    def __call__(self) -> int:
        """Return the time."""
        return self.now


async def test_what_is_left_of_a_pause_is_known_to_the_next_process() -> None:
    """To the millisecond, and for whoever it was told alone."""
    hand = Hand(1_000_000)
    async with temporary_ledger() as ledger:
        async with kept_pauses(ledger, hand) as pauses:
            pauses.told("numora https://api.example key", 60.0)
            pauses.told("dataverse https://acme.example app", 5.0)

        hand.now += 20_000
        async with kept_pauses(ledger, hand) as pauses:
            assert pauses.left("numora https://api.example key") == 40.0
            assert pauses.left("dataverse https://acme.example app") == 0.0
            assert pauses.left("numora https://api.example other") == 0.0


async def test_under_a_clock_that_went_back_a_pause_is_not_longer_than_it_was_asked_for() -> None:
    """A day's difference would be a day's standstill."""
    hand = Hand(100_000_000)
    async with temporary_ledger() as ledger:
        async with kept_pauses(ledger, hand) as pauses:
            pauses.told("numora", 60.0)

        hand.now -= 86_400_000
        async with kept_pauses(ledger, hand) as pauses:
            assert pauses.left("numora") == 60.0


async def test_what_the_ledger_keeps_of_a_pause_names_nobody() -> None:
    async with temporary_ledger() as ledger:
        async with kept_pauses(ledger, Hand(0)) as pauses:
            pauses.told("numora https://api.example key", 60.0)
        [kept] = await ledger.pauses()
    assert "numora" not in kept.identity


async def test_a_ledger_that_takes_no_entries_stops_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """The pause holds for this process all the same."""
    async with temporary_ledger() as ledger, kept_pauses(ledger, Hand(0)) as pauses:
        await ledger.close()
        pauses.told("numora", 60.0)
    assert any("a pause was not kept" in message for message in caplog.messages)
