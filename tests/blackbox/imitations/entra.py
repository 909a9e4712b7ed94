"""Entra ID as a confidential client meets it: discovery documents and the token endpoint, over https."""

from dataclasses import dataclass
from urllib.parse import parse_qs

from aiohttp import web

from tests.blackbox.imitations.wire import Seen, Server, answer


@dataclass(frozen=True)
class App:
    """An app registration: who it is and for which Dataverse it may ask."""

    directory: str
    client_id: str
    secret: str
    resource: str


class Entra(Server):
    def __init__(self) -> None:
        super().__init__()
        self.apps: dict[str, App] = {}
        self.lifetime = 3599
        self.tokens: dict[str, App] = {}
        self.refusing = False

    def admit(self, token: str, resource: str) -> App | None:
        """Return the app whose token this is, when the token is good for that resource."""
        app = self.tokens.get(token)
        return app if app is not None and app.resource == resource else None

    async def handle(self, seen: Seen) -> web.StreamResponse:
        directory, _, rest = seen.path.strip("/").partition("/")
        match rest:
            case "v2.0/.well-known/openid-configuration":
                root = f"{self.base}/{directory}"
                return answer(
                    200,
                    {
                        "token_endpoint": f"{root}/oauth2/v2.0/token",
                        "authorization_endpoint": f"{root}/oauth2/v2.0/authorize",
                        "device_authorization_endpoint": f"{root}/oauth2/v2.0/devicecode",
                        "issuer": f"{root}/v2.0",
                        "jwks_uri": f"{root}/discovery/v2.0/keys",
                        "response_types_supported": ["code"],
                        "subject_types_supported": ["pairwise"],
                        "id_token_signing_alg_values_supported": ["RS256"],
                    },
                )
            case "oauth2/v2.0/token" if seen.method == "POST":
                return self._token(directory, seen)
        return answer(404, {"error": "not_found"})

    def _token(self, directory: str, seen: Seen) -> web.Response:
        form = {name: values[0] for name, values in parse_qs(seen.body.decode()).items()}
        app = self.apps.get(form.get("client_id", ""))
        if app is None or app.directory != directory or form.get("client_secret") != app.secret or self.refusing:
            return answer(
                401, {"error": "invalid_client", "error_description": "AADSTS7000215: Invalid client secret."}
            )
        if form.get("grant_type") != "client_credentials" or form.get("scope") != f"{app.resource}/.default":
            return answer(400, {"error": "invalid_scope", "error_description": f"AADSTS70011: {form.get('scope')}"})
        token = f"token-of-{app.client_id}-{len(self.tokens)}"
        self.tokens[token] = app
        return answer(
            200,
            {
                "token_type": "Bearer",
                "expires_in": self.lifetime,
                "ext_expires_in": self.lifetime,
                "access_token": token,
            },
        )
