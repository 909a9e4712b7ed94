"""The logins of a process: tenants that log in as the same application have one token and one pause in common."""

from pathlib import Path

from pydantic import SecretStr

from connectors.entra.tokens import ClientSecretTokens, authority_url
from connectors.pacing import Paces
from connectors.sharing import Lease, Sharing


class Login:
    """One tenant's use of an application's tokens; closing it leaves them to the others."""

    def __init__(self, lease: Lease[ClientSecretTokens]) -> None:
        self._lease = lease

    async def token(self) -> str:
        """Return a token that is good for a while. Raises what ``ClientSecretTokens.token`` does."""
        return await self._lease.value.token()

    def invalidate(self, token: str) -> None:
        """Have the next call get a new token, unless that has happened since ``token`` was given out."""
        self._lease.value.invalidate(token)

    async def close(self) -> None:
        """Let go of the tokens."""
        await self._lease.close()


def client_secret_login(
    sharing: Sharing,
    paces: Paces,
    *,
    tenant_id: str,
    client_id: str,
    client_secret: SecretStr,
    scope: str,
    authority: str | None,
    ca_file: Path | None,
) -> Login:
    """Return the login of an application with a client secret.

    The tokens are those of whoever uses the same secret for the same ``scope``; a pause that Entra asks for holds for
    every secret and scope of the application.
    """
    application = f"entra {authority_url(authority, tenant_id)} {client_id}".lower()

    def make() -> ClientSecretTokens:
        return ClientSecretTokens(
            tenant_id=tenant_id,
            client_id=client_id,
            client_secret=client_secret,
            scope=scope,
            authority=authority,
            ca_file=ca_file,
            pace=paces.of(application),
        )

    return Login(sharing.take((application, scope, client_secret), make))
