"""Dataverse imitated over HTTP: tokens, service protection and latencies around the Web API."""

import asyncio
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, ClassVar
from uuid import uuid4

import msgspec
from aiohttp import web
from multidict import CIMultiDict

from connectors.dataverse.sandbox.address import API_PATH
from connectors.dataverse.sandbox.columns import Reference
from connectors.dataverse.sandbox.control import DataverseControl
from connectors.dataverse.sandbox.errors import CONCURRENCY_EXCEEDED, ApiError
from connectors.dataverse.sandbox.limits import ServiceProtection
from connectors.dataverse.sandbox.messages import ApiRequest, ApiResponse, error_response
from connectors.dataverse.sandbox.service import WebApi
from connectors.dataverse.sandbox.settings import Settings
from connectors.dataverse.sandbox.shipped import numora_tables, system_tables
from connectors.dataverse.sandbox.store import Effect, EffectKind, KeyStatus, Store
from connectors.dataverse.sandbox.tables import TableSchema
from connectors.sandbox.authority import SandboxAuthority
from connectors.sandbox.server import SandboxServer
from connectors.sandbox.tokens import TokenIssuer

_API_ROOT = "/api/data/v9.2"
_READS = frozenset({"GET", "HEAD"})


class DataverseSandbox(SandboxServer):
    """An environment with the shipped tables, and those given in ``tables`` (one of the same name takes its place).

    ``entra`` says which bearer tokens are good; without it the token is not looked at. A token has to be issued for
    this sandbox's ``url`` or for one of ``audiences``. ``latency`` is for both latencies; ``settings`` has them apart.
    """

    name: ClassVar[str] = "dataverse"

    def __init__(
        self,
        *,
        entra: TokenIssuer | None = None,
        tables: Iterable[TableSchema] = (),
        settings: Settings | None = None,
        audiences: Iterable[str] = (),
        host: str = "127.0.0.1",
        port: int = 0,
        authority: SandboxAuthority | None = None,
        latency: float = 0.0,
        seed: int = 0,
        journal_limit: int = 10_000,
    ) -> None:
        # The base sets the one latency it knows, so the settings that are asked for come after it.
        self.settings = Settings()
        super().__init__(host=host, port=port, authority=authority, seed=seed, journal_limit=journal_limit)
        self.settings = settings or Settings(read_latency=latency, write_latency=latency)
        self.audiences = frozenset(audience.rstrip("/") for audience in audiences)
        self._entra = entra
        by_name = {table.name: table for table in (*system_tables(), *numora_tables(), *tables)}
        self._tables = tuple(by_name.values())
        self.protection = ServiceProtection(self.settings)
        self.api = self._fresh_api()

    # For tests and benches in the same process

    @property
    def api_url(self) -> str:
        """The root of the Web API, without a slash at its end."""
        return f"{self.url}{_API_ROOT}"

    @property
    def store(self) -> Store:
        """The rows and the journal of effects."""
        return self.api.store

    @property
    def effects(self) -> list[Effect]:
        """Every committed create, update and delete, in order."""
        return self.api.store.effects

    def effects_of(self, table: str, row_id: str | None = None, kind: EffectKind | None = None) -> list[Effect]:
        """Return the effects on a table, or on one row of it, or of one kind."""
        return [
            effect
            for effect in self.effects
            if effect.table == table and row_id in (None, effect.id) and kind in (None, effect.kind)
        ]

    def repeated_creates(self) -> dict[str, int]:
        """Return ``table/id`` of every row that was created more than once, with the number of times."""
        counts = Counter(f"{effect.table}/{effect.id}" for effect in self.effects if effect.kind == "create")
        return {row: count for row, count in counts.items() if count > 1}

    def seed(self, table: str, rows: Iterable[Mapping[str, Any]]) -> list[str]:
        """Add rows in the Web API's own names, without counting effects. Returns their ids; raises ``ApiError``."""
        return [self.api.seed(table, dict(row)) for row in rows]

    def rows(self, table: str) -> list[dict[str, Any]]:
        """Return every row of a table by logical column names; a lookup is the id of the row that it refers to."""
        return [
            {
                column.name: value.id if isinstance(value := row.values.get(column.name), Reference) else value
                for column in row.table.columns
            }
            for row in self.store.rows[table].values()
        ]

    def set_key_status(self, table: str, key: str, status: KeyStatus) -> KeyStatus:
        """Move the index of an alternate key; it is only used and enforced while Active."""
        return self.store.set_key_status(table, key, status)

    # What the base asks for

    def routes(self) -> Iterable[web.RouteDef]:
        """Return the Web API and the control routes of its own."""
        return (*DataverseControl(self).routes(), web.route("*", "/{path:.*}", self._answer))

    def state(self) -> dict[str, Any]:
        """Return how many rows, effects and refusals there are, and the settings."""
        return {
            "rows": {table: len(rows) for table, rows in self.store.rows.items()},
            "effects": dict(Counter(effect.kind for effect in self.effects)),
            "repeated_creates": self.repeated_creates(),
            "throttled": self.protection.refused,
            "violations": self.violations,
            "most_in_flight": self.most_in_flight,
            "settings": msgspec.structs.asdict(self.settings),
        }

    def clear(self) -> None:
        """Forget rows, effects, missing privileges and key states; settings stay."""
        self.protection.clear()
        self.api = self._fresh_api()

    def identity_of(self, request: web.BaseRequest) -> str:
        """Name the application behind the token, so that a fresh token is still the same identity."""
        header = request.headers.get("Authorization", "")
        if self._entra is not None and header.startswith("Bearer "):
            grant = self._entra.grant_of(header[7:])
            if grant is not None:
                return grant.client_id
        return super().identity_of(request)

    def refusal(self, request: web.BaseRequest, status: int, code: str | None = None) -> web.Response:
        """Return an error in the shape of the Web API; 401 has the challenge and no body, as the real one."""
        if status == 401:
            challenge = f'Bearer authorization_uri="https://login.example/oauth2/authorize", resource_id={self.url}'
            return web.Response(status=401, headers={"WWW-Authenticate": challenge})
        code = code or (CONCURRENCY_EXCEEDED if status == 429 else "0x80040216")
        answer = error_response(ApiError(status, code, f"An unexpected error occurred, told by the sandbox: {status}."))
        return self._web_response(answer, "")

    async def pause(self, request: web.BaseRequest) -> None:
        """Leave waiting to the answer itself, which is counted as in flight meanwhile."""

    @property
    def latency(self) -> float:
        """The longer of the two latencies; setting it sets both."""
        return max(self.settings.read_latency, self.settings.write_latency)

    @latency.setter
    def latency(self, seconds: float) -> None:
        self.settings.read_latency = self.settings.write_latency = seconds

    # The way of a request

    def _fresh_api(self) -> WebApi:
        return WebApi(self._tables, self.settings, lambda: self.api_url)

    async def _answer(self, request: web.Request) -> web.Response:
        raw = request.raw_path
        matched = API_PATH.match(raw)
        if matched is None:
            return web.Response(status=404, text="Not found")
        if not self._authorized(request):
            return self.refusal(request, 401)
        identity = self.identity_of(request)
        exceeded = self.protection.enter(identity)
        if exceeded is not None:
            response = self.throttle(request, self.settings.retry_after, grace=self.settings.grace)
            refused = error_response(ApiError(429, exceeded.code, exceeded.message))
            response.body = refused.body
            return response
        try:
            latency = self.settings.read_latency if request.method in _READS else self.settings.write_latency
            if latency > 0:
                await asyncio.sleep(latency)
            path, _, query = raw[matched.end() :].partition("?")
            answer = self.api.execute(ApiRequest(request.method, path, query, request.headers, await request.read()))
        finally:
            self.protection.leave(identity)
        return self._web_response(answer, identity)

    def _authorized(self, request: web.Request) -> bool:
        if self._entra is None:
            return True
        header = request.headers.get("Authorization", "")
        grant = self._entra.grant_of(header.removeprefix("Bearer ")) if header.startswith("Bearer ") else None
        return grant is not None and (grant.resource == self.url or grant.resource in self.audiences)

    def _web_response(self, answer: ApiResponse, identity: str) -> web.Response:
        headers: CIMultiDict[str] = CIMultiDict(answer.headers)
        headers["OData-Version"] = "4.0"
        headers["x-ms-service-request-id"] = str(uuid4())
        if self.settings.dop_hint is not None:
            headers["x-ms-dop-hint"] = str(self.settings.dop_hint)
        remaining = self.protection.remaining(identity)
        if remaining is not None:
            headers["x-ms-ratelimit-burst-remaining-xrm-requests"] = str(remaining)
        if answer.body is not None:
            headers["Content-Type"] = answer.content_type
        return web.Response(status=answer.status, headers=headers, body=answer.body)
