"""Whose key a request carries. Only digests of the keys are held, and every comparison takes the same time."""

import hmac
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from typing import Final

from multidict import CIMultiDictProxy

from bridge.config.loaded import LoadedConfig
from bridge.http.codes import UNAUTHORIZED
from bridge.http.problems import RefusedError

_CHALLENGE: Final = {"WWW-Authenticate": "Bearer"}


@dataclass(frozen=True, slots=True)
class Caller:
    """Whose key it is: an operator's, good for every tenant, or one of these tenants'.

    ``key`` is the key itself as it was presented, empty for a caller without one.
    """

    operator: bool
    tenants: frozenset[str] = frozenset()
    key: str = field(default="", repr=False)

    def may_see(self, tenant: str) -> bool:
        """Tell whether this key is good for a tenant."""
        return self.operator or tenant in self.tenants


class Keys:
    """The keys in force: ``operator`` keys, and those of each tenant."""

    def __init__(self, operator: Iterable[str] = (), tenants: Mapping[str, Iterable[str]] | None = None) -> None:
        owners: dict[bytes, Caller] = {}
        for tenant, keys in (tenants or {}).items():
            for digest in map(_digest, filter(None, keys)):
                known = owners.get(digest, Caller(operator=False))
                owners[digest] = Caller(operator=False, tenants=known.tenants | {tenant})
        for digest in map(_digest, filter(None, operator)):
            owners[digest] = Caller(operator=True)
        self._owners: Sequence[tuple[bytes, Caller]] = tuple(owners.items())

    def __bool__(self) -> bool:
        return bool(self._owners)

    def caller(self, key: str) -> Caller | None:
        """Return whose key this is; None for an unknown one."""
        presented = _digest(key)
        found = None
        for digest, caller in self._owners:
            if hmac.compare_digest(digest, presented):
                found = caller
        return found


def keys_of(config: LoadedConfig) -> Keys:
    """Return the keys of a configuration."""
    return Keys(
        (key.get_secret_value() for key in config.bridge.api_keys),
        {
            tenant.id: tuple(key.get_secret_value() for key in tenant.config.api_keys)
            for tenant in config.tenants.values()
        },
    )


def authenticate(keys: Keys, headers: CIMultiDictProxy[str]) -> Caller:
    """Return who sends a request. Raises ``RefusedError`` (``unauthorized``) unless it carries one valid key."""
    presented = {key.strip() for key in headers.getall("X-API-Key", ())}
    for value in headers.getall("Authorization", ()):
        scheme, _, key = value.strip().partition(" ")
        if scheme.lower() == "bearer":
            presented.add(key.strip())
    if not presented:
        message = "Send your key as `Authorization: Bearer KEY` or as `X-API-Key: KEY`."
        raise RefusedError(UNAUTHORIZED, message, headers=_CHALLENGE)
    if len(presented) > 1:
        message = "The request carries several keys that are not the same. Send one."
        raise RefusedError(UNAUTHORIZED, message, headers=_CHALLENGE)
    key = presented.pop()
    caller = keys.caller(key)
    if caller is None:
        message = "This key is not valid here. Check it against api_keys in the bridge's or the tenant's configuration."
        raise RefusedError(UNAUTHORIZED, message, headers=_CHALLENGE)
    return replace(caller, key=key)


def _digest(key: str) -> bytes:
    return sha256(key.encode("utf-8", "surrogateescape")).digest()
