"""What is sealed is unreadable without the key beside the ledger, and cannot be moved to another place."""

import logging
import stat

import pytest

from bridge.ledger.protocol import LedgerKeyError
from bridge.sealing import KEY_LENGTH, Sealer, UnsealableError, key_path

VALUE = b"https://n8n.example/webhook-waiting/1?signature=abc"


def test_a_value_comes_back_for_its_own_purpose():
    sealer = Sealer.passing()

    assert sealer.unseal(sealer.seal(VALUE, "address of a"), "address of a") == VALUE


def test_a_sealed_value_shows_nothing_and_never_looks_the_same_twice():
    sealer = Sealer.passing()
    first, second = sealer.seal(VALUE, "a"), sealer.seal(VALUE, "a")

    assert first != second
    assert b"signature" not in first


@pytest.mark.parametrize(
    "spoil",
    [
        lambda sealed: b"",
        lambda sealed: sealed[:5],
        lambda sealed: b"\x02" + sealed[1:],
        lambda sealed: sealed[:-1] + bytes([sealed[-1] ^ 1]),
        lambda sealed: sealed[:3] + bytes([sealed[3] ^ 1]) + sealed[4:],
        lambda sealed: sealed + b"\0",
    ],
)
def test_a_value_that_was_changed_is_not_unsealed(spoil):
    sealer = Sealer.passing()

    with pytest.raises(UnsealableError):
        sealer.unseal(spoil(sealer.seal(VALUE, "a")), "a")


def test_a_value_is_not_unsealed_for_another_purpose_nor_with_another_key():
    sealer = Sealer.passing()
    sealed = sealer.seal(VALUE, "a")

    with pytest.raises(UnsealableError):
        sealer.unseal(sealed, "b")
    with pytest.raises(UnsealableError):
        Sealer.passing().unseal(sealed, "a")


def test_the_key_is_made_once_for_its_owner_alone(tmp_path):
    ledger = tmp_path / "bridge.db"
    sealed = Sealer.beside(ledger).seal(VALUE, "a")

    assert Sealer.beside(ledger).unseal(sealed, "a") == VALUE
    assert [path.name for path in tmp_path.iterdir()] == ["bridge.db.key"]
    assert stat.S_IMODE(key_path(ledger).stat().st_mode) == 0o600
    assert len(key_path(ledger).read_bytes()) == KEY_LENGTH


def test_a_key_that_others_can_read_is_told(tmp_path, caplog):
    ledger = tmp_path / "bridge.db"
    Sealer.beside(ledger)
    key_path(ledger).chmod(0o640)

    with caplog.at_level(logging.WARNING):
        Sealer.beside(ledger)

    assert "can be read by others" in caplog.text


@pytest.mark.parametrize("content", [b"", b"short", b"x" * 33])
def test_a_key_that_is_none_stops_the_start_and_says_what_to_do(tmp_path, content):
    """It is not replaced: it may be a backup that was restored in part, and what it sealed would be lost."""
    ledger = tmp_path / "bridge.db"
    key_path(ledger).write_bytes(content)

    with pytest.raises(LedgerKeyError, match="Restore it from the backup"):
        Sealer.beside(ledger)
    assert key_path(ledger).read_bytes() == content


def test_a_key_that_cannot_be_made_is_told_as_a_ledger_that_cannot_be_used(tmp_path):
    with pytest.raises(LedgerKeyError, match="cannot be used") as caught:
        Sealer.beside(tmp_path / "nowhere" / "bridge.db")
    assert caught.value.code == "ledger_key"


def test_a_key_has_its_length():
    with pytest.raises(ValueError, match="32 bytes"):
        Sealer(b"short")
