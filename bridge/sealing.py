"""Sealing: what the ledger keeps of other people's secrets is unreadable without a key that lies beside it."""

import logging
import os
import secrets
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from bridge.ledger.protocol import LedgerKeyError

log = logging.getLogger(__name__)

KEY_LENGTH: Final = 32
"""Bytes of a key: AES-256."""

_VERSION: Final = b"\x01"
_NONCE_LENGTH: Final = 12


class UnsealableError(Exception):
    """What was sealed cannot be read: the key is another one, or the bytes belong elsewhere."""


class Sealer:
    """Seals bytes with AES-GCM: nobody without the key reads them, or moves them to another place unnoticed.

    ``key`` has ``KEY_LENGTH`` bytes. A sealed value begins with its version, so that another way of sealing may follow.
    """

    def __init__(self, key: bytes) -> None:
        if len(key) != KEY_LENGTH:
            raise ValueError(f"a key has {KEY_LENGTH} bytes")
        self._cipher = AESGCM(key)

    @classmethod
    def passing(cls) -> "Sealer":
        """Return a sealer with a key of its own that is gone with it, for ledgers that are as well."""
        return cls(secrets.token_bytes(KEY_LENGTH))

    @classmethod
    def beside(cls, ledger: Path) -> "Sealer":
        """Return the sealer of the ledger in this file; its key is made if there is none.

        Call it while the ledger is held. Raises ``LedgerKeyError``.
        """
        path = key_path(ledger)
        try:
            if not path.exists():
                _make(path)
            key = path.read_bytes()
            open_to_others = path.stat().st_mode & 0o077
        except OSError as error:
            raise LedgerKeyError(
                f"The key {path} cannot be used: {error.strerror}. It must be a file the bridge may read and write."
            ) from error
        if len(key) != KEY_LENGTH:
            raise LedgerKeyError(
                f"The key {path} has {len(key)} bytes instead of {KEY_LENGTH}. Restore it from the backup; if there is "
                "none, remove it: subscriptions of the API then have to be made anew."
            )
        if open_to_others:
            log.warning("the key %s can be read by others than its owner; take their rights away (chmod 600)", path)
        return cls(key)

    def seal(self, value: bytes, purpose: str) -> bytes:
        """Seal a value; only ``unseal`` with the same purpose gives it back."""
        nonce = secrets.token_bytes(_NONCE_LENGTH)
        return _VERSION + nonce + self._cipher.encrypt(nonce, value, _VERSION + purpose.encode())

    def unseal(self, sealed: bytes, purpose: str) -> bytes:
        """Return what was sealed for this purpose. Raises ``UnsealableError``."""
        version, nonce, rest = sealed[:1], sealed[1 : 1 + _NONCE_LENGTH], sealed[1 + _NONCE_LENGTH :]
        if version != _VERSION or len(nonce) != _NONCE_LENGTH:
            raise UnsealableError("the value is not one that this version sealed")
        try:
            return self._cipher.decrypt(nonce, rest, _VERSION + purpose.encode())
        except InvalidTag:
            raise UnsealableError("the value was sealed with another key, or for something else") from None


def key_path(ledger: Path) -> Path:
    """Return where the key of the ledger in this file lies."""
    return ledger.with_name(f"{ledger.name}.key")


def _make(path: Path) -> None:
    """Make a key: it is there whole and for its owner alone, or not at all, whenever the process dies."""
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_LENGTH))
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
    except BaseException:
        unfinished.unlink(missing_ok=True)
        raise
    folder = os.open(path.parent, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
