"""Every test has a receiver, a ledger and a sender of its own."""

from collections.abc import AsyncIterator

import pytest
from event_receiver import Post, Receiver, posting, receiving

from bridge.ledger.open import temporary_ledger
from bridge.ledger.protocol import Ledger


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with receiving() as receiver:
        yield receiver


@pytest.fixture
async def ledger() -> AsyncIterator[Ledger]:
    async with temporary_ledger() as ledger:
        yield ledger


@pytest.fixture
async def post(ledger: Ledger) -> AsyncIterator[Post]:
    async with posting(ledger) as post:
        yield post
