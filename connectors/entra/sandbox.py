"""Microsoft Entra ID imitated: client credentials over https, as MSAL asks for them."""

import binascii
import secrets
import time
from base64 import urlsafe_b64decode
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, ClassVar
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import msgspec
from aiohttp import web

from connectors.sandbox.authority import SandboxAuthority
from connectors.sandbox.control import json_answer
from connectors.sandbox.server import SandboxServer
from connectors.sandbox.tokens import TokenGrant

_ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_JWT_PARTS = 3
_SCOPE_SUFFIX = "/.default"


@dataclass(slots=True)
class EntraClient:
    """An app registration: which secrets are good, and whether a signed assertion is taken in place of one."""

    tenant_id: str
    client_id: str
    client_secrets: set[str] = field(default_factory=set)
    assertions: bool = False


@dataclass(slots=True)
class _Token:
    grant: TokenGrant
    expires_at: float


class _ClientSpec(msgspec.Struct, forbid_unknown_fields=True):
    tenant_id: str
    client_id: str
    client_secret: str | None = None
    assertions: bool = False


class _Whose(msgspec.Struct, forbid_unknown_fields=True):
    client_id: str | None = None


class _Lifetime(msgspec.Struct, forbid_unknown_fields=True):
    seconds: float


class _RefusedError(Exception):
    def __init__(self, status: int, error: str, number: int, description: str) -> None:
        super().__init__(description)
        self.status = status
        self.error = error
        self.number = number
        self.description = description


class EntraSandbox(SandboxServer):
    """Issues opaque tokens to the clients it was told of, for ``lifetime`` seconds each.

    The authority of a tenant is ``<url>/<tenant_id>``; MSAL is to be made with ``instance_discovery=False`` (or with
    ``<url>/common/discovery/instance``) and with ``verify`` set to the authority's ``ca_file``. ``resources`` limits
    the resources that tokens are issued for; None takes any https or loopback URL.
    """

    name: ClassVar[str] = "entra"
    journal_bodies: ClassVar[bool] = False

    def __init__(
        self,
        authority: SandboxAuthority,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        lifetime: float = 3600.0,
        resources: frozenset[str] | None = None,
        latency: float = 0.0,
        seed: int = 0,
        journal_limit: int = 10_000,
    ) -> None:
        super().__init__(
            host=host, port=port, authority=authority, latency=latency, seed=seed, journal_limit=journal_limit
        )
        self.lifetime = lifetime
        self.resources = resources
        self.issued = 0
        self._clients: dict[tuple[str, str], EntraClient] = {}
        self._tokens: dict[str, _Token] = {}

    def add_client(
        self, tenant_id: str, client_id: str, client_secret: str | None = None, *, assertions: bool = False
    ) -> EntraClient:
        """Register an application. For one that is known already, the secret is added and the old stays good."""
        client = self._clients.setdefault((tenant_id, client_id), EntraClient(tenant_id, client_id))
        if client_secret is not None:
            client.client_secrets.add(client_secret)
        client.assertions = client.assertions or assertions
        return client

    def remove_client(self, client_id: str) -> None:
        """Forget an application in every tenant, and its tokens."""
        for key in [key for key in self._clients if key[1] == client_id]:
            del self._clients[key]
        self.revoke_tokens(client_id)

    def revoke_tokens(self, client_id: str | None = None) -> int:
        """End the tokens of one application, or of all. Returns how many were good until now."""
        ended = [token for token, known in self._tokens.items() if client_id in (None, known.grant.client_id)]
        good = sum(self._tokens[token].expires_at > time.monotonic() for token in ended)
        for token in ended:
            del self._tokens[token]
        return good

    def authority_of(self, tenant_id: str) -> str:
        """Return the authority URL of a tenant, as MSAL takes it."""
        return f"{self.url}/{tenant_id}"

    def grant_of(self, token: str) -> TokenGrant | None:
        """Return what a token stands for, or None when it is unknown, expired or revoked."""
        known = self._tokens.get(token)
        if known is None or known.expires_at <= time.monotonic():
            return None
        return known.grant

    def issue(self, tenant_id: str, client_id: str, resource: str) -> str:
        """Issue a token without asking for a secret, for clients that bring their own way of getting one."""
        token = secrets.token_urlsafe(48)
        grant = TokenGrant(tenant_id, client_id, resource.rstrip("/"))
        self._tokens[token] = _Token(grant, time.monotonic() + self.lifetime)
        self.issued += 1
        return token

    def state(self) -> dict[str, Any]:
        """Return the applications without their secrets, and how many tokens were issued."""
        return {
            "clients": [
                {"tenant_id": client.tenant_id, "client_id": client.client_id, "assertions": client.assertions}
                for client in self._clients.values()
            ],
            "issued": self.issued,
            "lifetime": self.lifetime,
        }

    def clear(self) -> None:
        """Forget the tokens; the applications stay."""
        self._tokens.clear()
        self.issued = 0

    def refusal(self, request: web.BaseRequest, status: int, code: str | None = None) -> web.Response:
        """Return an OAuth error."""
        error = code or ("invalid_client" if status == 401 else "temporarily_unavailable")
        return _refuse(_RefusedError(status, error, 90033, "A transient error has occurred. Please try again."))

    def routes(self) -> Iterable[web.RouteDef]:
        """Return discovery, token endpoint and the control routes of its own."""
        return (
            web.get("/common/discovery/instance", self._instance_discovery),
            web.get("/{tenant}/v2.0/.well-known/openid-configuration", self._openid_configuration),
            web.get("/{tenant}/.well-known/openid-configuration", self._openid_configuration),
            web.post("/{tenant}/oauth2/v2.0/token", self._token),
            web.post("/_sandbox/clients", self._control_add_client),
            web.delete("/_sandbox/clients/{client_id}", self._control_remove_client),
            web.post("/_sandbox/tokens/revoke", self._control_revoke),
            web.put("/_sandbox/lifetime", self._control_lifetime),
        )

    async def _instance_discovery(self, request: web.Request) -> web.Response:
        # MSAL leaves the port out of the authorization endpoint that it asks about.
        wanted = urlsplit(request.query.get("authorization_endpoint", ""))
        tenant = wanted.path.strip("/").partition("/")[0]
        if wanted.hostname != self.host or not tenant:
            return _refuse(_RefusedError(400, "invalid_instance", 50049, "Unknown or invalid instance."))
        host = self.url.removeprefix("https://")
        return json_answer(
            {
                "tenant_discovery_endpoint": f"{self.url}/{tenant}/v2.0/.well-known/openid-configuration",
                "api-version": "1.1",
                "metadata": [{"preferred_network": host, "preferred_cache": host, "aliases": [host]}],
            }
        )

    async def _openid_configuration(self, request: web.Request) -> web.Response:
        tenant = request.match_info["tenant"]
        if not self._knows_tenant(tenant):
            return _refuse(_unknown_tenant(tenant))
        base = f"{self.url}/{tenant}"
        return json_answer(
            {
                "issuer": f"{base}/v2.0",
                "authorization_endpoint": f"{base}/oauth2/v2.0/authorize",
                "token_endpoint": f"{base}/oauth2/v2.0/token",
                "device_authorization_endpoint": f"{base}/oauth2/v2.0/devicecode",
                "jwks_uri": f"{base}/discovery/v2.0/keys",
                "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt"],
                "response_types_supported": ["code"],
                "scopes_supported": ["openid"],
                "subject_types_supported": ["pairwise"],
                "id_token_signing_alg_values_supported": ["RS256"],
            }
        )

    async def _token(self, request: web.Request) -> web.Response:
        form = {name: values[0] for name, values in parse_qs((await request.read()).decode()).items()}
        tenant = request.match_info["tenant"]
        try:
            client = self._authenticate(tenant, form)
            resource = self._resource_of(form.get("scope", ""))
        except _RefusedError as refused:
            return _refuse(refused)
        lifetime = int(self.lifetime)
        return json_answer(
            {
                "token_type": "Bearer",
                "expires_in": lifetime,
                "ext_expires_in": lifetime,
                "access_token": self.issue(tenant, client.client_id, resource),
            }
        )

    def _knows_tenant(self, tenant: str) -> bool:
        return any(known == tenant for known, _ in self._clients)

    def _authenticate(self, tenant: str, form: dict[str, str]) -> EntraClient:
        if not self._knows_tenant(tenant):
            raise _unknown_tenant(tenant)
        if form.get("grant_type") != "client_credentials":
            raise _RefusedError(400, "unsupported_grant_type", 70003, "The grant type is not supported.")
        client_id = form.get("client_id", "")
        client = self._clients.get((tenant, client_id))
        if client is None:
            text = f"Application with identifier '{client_id}' was not found in the directory '{tenant}'."
            raise _RefusedError(400, "unauthorized_client", 700016, text)
        if "client_assertion" in form:
            self._check_assertion(client, form)
        elif "client_secret" not in form:
            text = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
            raise _RefusedError(401, "invalid_client", 7000218, text)
        elif form["client_secret"] not in client.client_secrets:
            text = (
                "Invalid client secret provided. Ensure the secret being sent in the request is the client secret "
                f"value, not the client secret ID, for a secret added to app '{client_id}'."
            )
            raise _RefusedError(401, "invalid_client", 7000215, text)
        return client

    def _check_assertion(self, client: EntraClient, form: dict[str, str]) -> None:
        claims = _claims_of(form["client_assertion"])
        if form.get("client_assertion_type") != _ASSERTION_TYPE or claims is None:
            raise _RefusedError(401, "invalid_client", 50027, "JWT token is invalid or malformed.")
        if not client.assertions:
            text = "No matching federated identity record or certificate found for presented assertion."
            raise _RefusedError(401, "invalid_client", 700213, text)
        expiry = claims.get("exp")
        if not isinstance(expiry, int | float) or expiry <= time.time():
            raise _RefusedError(401, "invalid_client", 700024, "Client assertion is not within its valid time range.")
        if not claims.get("sub") or not claims.get("aud"):
            raise _RefusedError(401, "invalid_client", 50027, "JWT token is invalid or malformed.")

    def _resource_of(self, scope: str) -> str:
        resource = scope.removesuffix(_SCOPE_SUFFIX)
        if resource == scope or not resource.startswith(("https://", "http://127.0.0.1", "http://localhost")):
            text = (
                f"The provided request must include a 'scope' that ends in '/.default'; the scope {scope} is not valid."
            )
            raise _RefusedError(400, "invalid_scope", 1002012, text)
        resource = resource.rstrip("/")
        if self.resources is not None and resource not in self.resources:
            text = f"The resource principal named {resource} was not found in the tenant."
            raise _RefusedError(400, "invalid_resource", 500011, text)
        return resource

    async def _control_add_client(self, request: web.Request) -> web.Response:
        try:
            spec = msgspec.json.decode(await request.read(), type=_ClientSpec)
        except msgspec.MsgspecError as error:
            return json_answer({"error": str(error)}, 400)
        self.add_client(spec.tenant_id, spec.client_id, spec.client_secret, assertions=spec.assertions)
        return web.Response(status=201)

    async def _control_remove_client(self, request: web.Request) -> web.Response:
        self.remove_client(request.match_info["client_id"])
        return web.Response(status=204)

    async def _control_revoke(self, request: web.Request) -> web.Response:
        body = await request.read()
        try:
            whose = msgspec.json.decode(body, type=_Whose) if body else _Whose()
        except msgspec.MsgspecError as error:
            return json_answer({"error": str(error)}, 400)
        return json_answer({"revoked": self.revoke_tokens(whose.client_id)})

    async def _control_lifetime(self, request: web.Request) -> web.Response:
        try:
            self.lifetime = msgspec.json.decode(await request.read(), type=_Lifetime).seconds
        except msgspec.MsgspecError as error:
            return json_answer({"error": str(error)}, 400)
        return web.Response(status=204)


def _unknown_tenant(tenant: str) -> _RefusedError:
    text = f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID."
    return _RefusedError(400, "invalid_tenant", 90002, text)


def _claims_of(assertion: str) -> dict[str, Any] | None:
    parts = assertion.split(".")
    if len(parts) != _JWT_PARTS or not parts[2]:
        return None
    try:
        header, claims = (msgspec.json.decode(urlsafe_b64decode(part + "=" * (-len(part) % 4))) for part in parts[:2])
    except (binascii.Error, msgspec.MsgspecError, UnicodeDecodeError):
        return None
    if not isinstance(header, dict) or not isinstance(claims, dict) or "alg" not in header:
        return None
    return claims


def _refuse(refused: _RefusedError) -> web.Response:
    trace_id = str(uuid4())
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%SZ")
    return json_answer(
        {
            "error": refused.error,
            "error_description": f"AADSTS{refused.number}: {refused.description} Trace ID: {trace_id} Timestamp: {now}",
            "error_codes": [refused.number],
            "timestamp": now,
            "trace_id": trace_id,
            "correlation_id": str(uuid4()),
        },
        refused.status,
    )
