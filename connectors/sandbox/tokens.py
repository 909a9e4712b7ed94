"""How one sandbox asks another whether a bearer token is good."""

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class TokenGrant:
    """What a token stands for: the application that got it, in which tenant, and the resource that it opens."""

    tenant_id: str
    client_id: str
    resource: str


class TokenIssuer(Protocol):
    """Whoever issues tokens and knows which of them are still good."""

    def grant_of(self, token: str) -> TokenGrant | None:
        """Return what the token stands for, or None when it is unknown, expired or revoked."""
