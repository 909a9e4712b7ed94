"""Making endpoints: what the ledger keeps of a URL and its secrets is sealed, and is read here alone."""

import re
import secrets
from base64 import b64encode
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import msgspec

from bridge.config.models import EventConfig
from bridge.delivery.model import Millis
from bridge.events.codes import BAD_SECRET, FORBIDDEN_URL
from bridge.events.model import Endpoint, Origin
from bridge.events.signing import PREFIX, decoded_key
from bridge.sealing import Sealer, UnsealableError
from connectors.egress import ForbiddenUrlError, GuardedSessions

OVERLAP: Final[Millis] = 24 * 60 * 60 * 1000
"""Milliseconds for which a secret goes on signing after another one took its place."""

EVERYTHING: Final = ("*",)
"""The types of an endpoint that names none."""

_MADE_KEY = 32
_MOST_SECRETS = 4
_LONGEST_LABEL = 200
_LONGEST_SECRET = 512
_UNPRINTABLE = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


class EndpointRefusedError(Exception):
    """An endpoint, or what was asked of one, cannot be taken. ``code`` is one of ``REFUSAL_CODES``."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class SigningSecret(msgspec.Struct, frozen=True):
    """A secret that signs; ``until`` is when it stops doing so, None while it is in force."""

    value: str
    until: Millis | None = None


@dataclass(frozen=True, slots=True)
class OpenEndpoint:
    """An endpoint's secrets in clear: where it is, and what signs its messages, the one in force first."""

    url: str
    secrets: tuple[SigningSecret, ...]

    def signing(self, now: Millis) -> tuple[str, ...]:
        """Return the secrets that sign at this moment."""
        return tuple(secret.value for secret in self.secrets if secret.until is None or secret.until > now)

    def __repr__(self) -> str:
        """Show nothing: both would end up in a log."""
        return "OpenEndpoint()"


class EndpointMaker:
    """Makes endpoints and opens them again. What is sealed is bound to tenant, origin, document and URL."""

    def __init__(self, sealer: Sealer, sessions: GuardedSessions, clock: Callable[[], Millis]) -> None:
        self._sealer = sealer
        self._sessions = sessions
        self._clock = clock

    def configured(self, tenant: str, config: EventConfig) -> Endpoint:
        """Return the endpoint of an entry under ``events`` of a tenant's file.

        Its host is not held against ``allow_hosts``, which may be mended while its messages wait.
        """
        signing = tuple(SigningSecret(secret.get_secret_value()) for secret in config.secret or ())
        return self._made(tenant, Origin.CONFIG, config.url, signing, types=config.types)

    def subscribed(
        self, tenant: str, url: str, types: Sequence[str] = EVERYTHING, signing: Sequence[SigningSecret] = ()
    ) -> Endpoint:
        """Return the endpoint of a subscription by the API. Raises ``EndpointRefusedError``."""
        self._check_url(url)
        return self._made(tenant, Origin.API, url, signing, types=types)

    def resuming(self, tenant: str, document_id: str, url: str, signing: Sequence[str]) -> Endpoint:
        """Return the endpoint of a ``resume_url``, whole with its signature. Raises ``EndpointRefusedError``."""
        self._check_url(url)
        known = tuple(SigningSecret(secret) for secret in signing)
        return self._made(tenant, Origin.RESUME, url, known, document_id=document_id)

    def opened(self, endpoint: Endpoint) -> OpenEndpoint:
        """Return what is sealed of an endpoint. Raises ``UnsealableError``."""
        try:
            url = self._sealer.unseal(endpoint.address, _purpose(endpoint, "address")).decode()
            signing = self._sealer.unseal(endpoint.secrets, _purpose(endpoint, "secrets"))
            return OpenEndpoint(url, msgspec.json.decode(signing, type=tuple[SigningSecret, ...]))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise UnsealableError("what was sealed is not an endpoint's") from error

    def _check_url(self, url: str) -> None:
        try:
            self._sessions.checked(url)
        except ForbiddenUrlError as error:
            raise EndpointRefusedError(FORBIDDEN_URL, str(error)) from error

    def _made(
        self,
        tenant: str,
        origin: Origin,
        url: str,
        signing: Sequence[SigningSecret],
        *,
        types: Sequence[str] = EVERYTHING,
        document_id: str | None = None,
    ) -> Endpoint:
        now = self._clock()
        prefix = "res" if origin is Origin.RESUME else "sub"
        bare = Endpoint(
            id=f"{prefix}_{now:011x}{secrets.token_hex(8)}",
            tenant=tenant,
            origin=origin,
            address=b"",
            label=url.partition("#")[0].partition("?")[0][:_LONGEST_LABEL],
            digest=sha256(url.encode("utf-8", "surrogatepass")).hexdigest(),
            types=tuple(types),
            secrets=b"",
            document_id=document_id,
            created_at=now,
            updated_at=now,
        )
        return msgspec.structs.replace(
            bare,
            address=self._sealer.seal(url.encode(), _purpose(bare, "address")),
            secrets=self._sealer.seal(msgspec.json.encode(tuple(signing)), _purpose(bare, "secrets")),
        )


def new_secret() -> str:
    """Return a new secret in the form of Standard Webhooks."""
    return PREFIX + b64encode(secrets.token_bytes(_MADE_KEY)).decode("ascii")


def check_secret(secret: str) -> None:
    """Hold a secret that a caller chose against the rules. Raises ``EndpointRefusedError``, which does not show it."""
    if not 0 < len(secret) <= _LONGEST_SECRET or secret != secret.strip() or _UNPRINTABLE.search(secret):
        raise EndpointRefusedError(
            BAD_SECRET,
            f"A secret is one line of at most {_LONGEST_SECRET} characters, with no blanks around it; leave it out to "
            "have one made.",
        )
    if secret.startswith(PREFIX) and decoded_key(secret.removeprefix(PREFIX)) is None:
        raise EndpointRefusedError(BAD_SECRET, "After whsec_ a secret is base64; leave it out to have one made.")


def rotated(known: Sequence[SigningSecret], secret: str, now: Millis) -> tuple[SigningSecret, ...]:
    """Return the secrets once another one is in force: it signs first, those before it go on for ``OVERLAP``.

    The one that is in force already changes nothing.
    """
    still = [one for one in known if one.until is None or one.until > now]
    if still and still[0].value == secret:
        return tuple(still)
    older = [SigningSecret(one.value, one.until or now + OVERLAP) for one in still if one.value != secret]
    return (SigningSecret(secret), *older)[:_MOST_SECRETS]


def _purpose(endpoint: Endpoint, what: str) -> str:
    return f"{what} of {endpoint.tenant}/{endpoint.origin}/{endpoint.document_id or ''}/{endpoint.digest}"
