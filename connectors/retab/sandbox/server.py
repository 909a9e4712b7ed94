"""The sandbox of Retab: the routes of its human review over loopback."""

import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from itertools import count
from typing import Any, ClassVar

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from connectors.http import decode_json, encode_json
from connectors.retab.sandbox.decisions import create_version, decide, read_run
from connectors.retab.sandbox.errors import RefusedError, envelope, invalid, refused
from connectors.retab.sandbox.lists import in_order, page, wanted_reviews
from connectors.retab.sandbox.provision import provision_routes
from connectors.retab.sandbox.state import Environment, RetabRules, SandboxReview, SandboxStep
from connectors.sandbox.server import SandboxServer

DEFAULT_KEY = "rt_test_sandbox"

_MESSAGES = {401: "Invalid API Key.", 403: "Forbidden.", 404: "Not found.", 429: "Rate limit exceeded."}

EnvironmentHandler = Callable[[web.Request, Environment], Awaitable[Any]]


class RetabSandbox(SandboxServer):
    """Retab on loopback. Each key of ``keys`` opens an environment of its own, which no other key sees.

    ``rules`` say how it behaves where that may vary. The remaining arguments are those of ``SandboxServer``.
    """

    name: ClassVar[str] = "retab"

    def __init__(
        self,
        keys: Iterable[str] = (DEFAULT_KEY,),
        *,
        rules: RetabRules | None = None,
        clock: Callable[[], float] = time.time,
        **base: Any,
    ) -> None:
        super().__init__(**base)
        self.rules = rules or RetabRules()
        self._clock = clock
        self._by_authorization: dict[str, Environment] = {}
        self._keys: dict[str, str] = {}
        self._answers = count(1)
        for key in keys:
            self.add_key(key)

    # What a test or a person does inside Retab

    def add_key(self, key: str, name: str | None = None) -> Environment:
        """Issue a key with an empty environment. ``name`` is shown in place of the key, which is a secret."""
        environment = Environment(name or f"environment-{len(self._keys) + 1}", self.rules, self._clock)
        self._by_authorization[f"Bearer {key}"] = environment
        self._keys[environment.name] = key
        return environment

    def revoke_key(self, key: str) -> None:
        """Let a key be refused from now on; its environment goes with it."""
        del self._keys[self._by_authorization.pop(f"Bearer {key}").name]

    def environment(self, key: str | None = None) -> Environment:
        """Return the environment of a key, or of the first one. Raises ``KeyError``."""
        if key is None:
            return next(iter(self._by_authorization.values()))
        return self._by_authorization[f"Bearer {key}"]

    def review(self, review_id: str) -> tuple[Environment, SandboxReview]:
        """Return a review with its environment. Raises ``KeyError``."""
        for environment in self._by_authorization.values():
            if review_id in environment.reviews:
                return environment, environment.reviews[review_id]
        raise KeyError(review_id)

    # What the base asks for

    def routes(self) -> Iterable[web.RouteDef]:
        """Return the routes of Retab's API that reviewing needs, and the control routes for reviews."""
        reviews, runs = "/v1/workflows/reviews", "/v1/workflows/runs"
        return (
            web.get("/v1/auth/status", self._within(self._status)),
            web.get(f"{reviews}/versions", self._within(self._versions)),
            web.post(f"{reviews}/versions", self._within(self._create_version)),
            web.get(f"{reviews}/versions/{{version_id}}", self._within(self._version)),
            web.get(reviews, self._within(self._reviews)),
            web.get(f"{reviews}/{{review_id}}", self._within(self._review)),
            web.post(f"{reviews}/{{review_id}}/approve", self._within(self._decision("approved"))),
            web.post(f"{reviews}/{{review_id}}/reject", self._within(self._decision("rejected"))),
            web.get(runs, self._within(self._runs)),
            web.get(f"{runs}/{{run_id}}", self._within(self._run)),
            web.post(f"{runs}/{{run_id}}/cancel", self._within(self._cancel)),
            web.get("/v1/workflows/steps", self._within(self._steps)),
            web.get("/v1/workflows/steps/{step_id}", self._within(self._step)),
            web.get("/v1/workflows/artifacts", self._within(self._artifacts)),
            web.get("/v1/workflows/artifacts/{artifact_id}", self._within(self._artifact)),
            web.get("/v1/extractions/{artifact_id}", self._within(self._extraction)),
            *provision_routes(self),
        )

    def state(self) -> Mapping[str, Any]:
        """Return every environment with its reviews, their versions, and its runs."""
        return {environment.name: _shown(environment) for environment in self._by_authorization.values()}

    def clear(self) -> None:
        """Forget every review; the keys stay."""
        for name, key in list(self._keys.items()):
            self.add_key(key, name)

    def refusal(self, request: web.BaseRequest, status: int, code: str | None = None) -> web.Response:
        """Return Retab's usual error envelope."""
        del request
        said = _MESSAGES.get(status, f"The sandbox was told to answer {status}.")
        return self._answer(envelope({"code": code, "message": said} if code else said), status)

    # Handlers: each returns what is to be sent as JSON

    async def _status(self, _: web.Request, environment: Environment) -> Any:
        return {"authenticated": True, "environment": "test", "organization_id": environment.name}

    async def _reviews(self, request: web.Request, environment: Environment) -> Any:
        query = request.query
        rows = in_order(environment.reviews.values(), query, lambda review: (review.created_at, review.id))
        return page(rows, query, lambda review: review.id, SandboxReview.body, is_wanted=wanted_reviews(query))

    async def _review(self, request: web.Request, environment: Environment) -> Any:
        return _review_of(request, environment).body()

    def _decision(self, verdict: str) -> EnvironmentHandler:
        async def take(request: web.Request, environment: Environment) -> Any:
            return decide(environment, _review_of(request, environment), verdict, await _json(request))

        return take

    async def _versions(self, request: web.Request, environment: Environment) -> Any:
        review_id = request.query.get("review_id")
        if review_id is None:
            raise invalid(["query", "review_id"], "Field required", "missing")
        review = environment.reviews.get(review_id)
        if review is None:
            raise refused(404, "Review not found.")
        wrapped = self.rules.wrapped
        return page(
            review.versions, request.query, lambda version: version.id, lambda version: version.body(wrapped=wrapped)
        )

    async def _create_version(self, request: web.Request, environment: Environment) -> Any:
        return create_version(environment, await _json(request)).body(wrapped=self.rules.wrapped)

    async def _version(self, request: web.Request, environment: Environment) -> Any:
        version = environment.version(request.match_info["version_id"])
        if version is None:
            raise refused(404, "Review version not found.")
        return version.body(wrapped=self.rules.wrapped)

    async def _runs(self, request: web.Request, environment: Environment) -> Any:
        query = request.query
        rows = in_order(environment.runs.values(), query, lambda run: (run.created_at, run.id), default="desc")
        return page(
            rows,
            query,
            lambda run: run.id,
            lambda run: run.body(environment.waiting_for(run)),
            is_wanted=lambda run: (
                query.get("workflow_id") in {None, run.workflow_id} and query.get("status") in {None, run.status}
            ),
            default_limit=20,
        )

    async def _run(self, request: web.Request, environment: Environment) -> Any:
        run = environment.runs.get(request.match_info["run_id"])
        if run is None:
            raise refused(404, "Workflow run not found.")
        return read_run(environment, run)

    async def _cancel(self, request: web.Request, environment: Environment) -> Any:
        run = environment.runs.get(request.match_info["run_id"])
        if run is None:
            raise refused(404, "Workflow run not found.")
        environment.cancel(run)
        return {"run": run.body([]), "redis_available": True, "cancellation_status": "cancelled"}

    async def _steps(self, request: web.Request, environment: Environment) -> Any:
        query = request.query
        return page(
            list(environment.steps.values()),
            query,
            lambda step: step.step_id,
            lambda step: _step_body(environment, step),
            is_wanted=lambda step: all(
                query.get(name) in {None, getattr(step, name)} for name in ("run_id", "block_id", "step_id")
            ),
            default_limit=20,
        )

    async def _step(self, request: web.Request, environment: Environment) -> Any:
        step = environment.steps.get(request.match_info["step_id"])
        if step is None or request.query.get("run_id") not in {None, step.run_id}:
            raise refused(404, "Workflow step not found.")
        return _step_body(environment, step)

    async def _artifacts(self, request: web.Request, environment: Environment) -> Any:
        query = request.query
        if "run_id" not in query and "step_id" not in query:
            raise refused(400, "Provide either run_id or step_id.")
        return page(
            [step for step in environment.steps.values() if step.extraction_id is not None],
            query,
            lambda step: step.step_id,
            _artifact_body,
            is_wanted=lambda step: all(
                query.get(name) in {None, getattr(step, name)} for name in ("run_id", "step_id")
            ),
            default_limit=100,
        )

    async def _artifact(self, request: web.Request, environment: Environment) -> Any:
        wanted = request.match_info["artifact_id"]
        step = next((step for step in environment.steps.values() if step.extraction_id == wanted), None)
        if step is None:
            raise refused(404, "Artifact not found.")
        return _artifact_body(step)

    async def _extraction(self, request: web.Request, environment: Environment) -> Any:
        body = await self._artifact(request, environment)
        return {name: value for name, value in body.items() if name != "operation"}

    # The frame around every handler

    def _within(self, handle: EnvironmentHandler) -> Handler:
        async def handler(request: web.Request) -> web.Response:
            environment = self._by_authorization.get(request.headers.get("Authorization", ""))
            if environment is None:
                return self._answer(envelope(_MESSAGES[401]), 401)
            try:
                return self._answer(await handle(request, environment))
            except RefusedError as refusal:
                return self._answer(refusal.body, refusal.status)

        return handler

    def _answer(self, content: Any, status: int = 200) -> web.Response:
        headers = {"x-request-id": f"req_{next(self._answers):08x}", "Content-Type": "application/json"}
        return web.Response(status=status, body=encode_json(content), headers=headers)


def _review_of(request: web.Request, environment: Environment) -> SandboxReview:
    review = environment.reviews.get(request.match_info["review_id"])
    if review is None:
        raise refused(404, "Review not found.")
    return review


async def _json(request: web.Request) -> Any:
    try:
        return decode_json(await request.read())
    except (ArithmeticError, msgspec.DecodeError, RecursionError) as error:
        raise invalid(["body", 0], "JSON decode error", "json_invalid") from error


def _step_body(environment: Environment, step: SandboxStep) -> dict[str, Any]:
    waits = environment.runs[step.run_id].status == "awaiting_review"
    return {
        "block_id": step.block_id,
        "step_id": step.step_id,
        "block_type": step.block_type,
        "block_label": step.block_id.replace("_", " "),
        "lifecycle": {"status": "awaiting_review" if waits else "completed"},
        "started_at": step.created_at,
        "completed_at": None if waits else step.created_at,
        "model": "retab-small",
        "loop_containers": [],
        "run_id": step.run_id,
        "created_at": step.created_at,
        "handle_inputs": {"input-file-0": {"type": "file", "document": step.file}},
        "handle_outputs": {"output-json-0": {"type": "json", "data": step.output}},
        "artifact": {"operation": "extraction", "id": step.extraction_id} if step.extraction_id else None,
        "retry_count": 0,
    }


def _artifact_body(step: SandboxStep) -> dict[str, Any]:
    single = step.likelihoods is None
    return {
        "operation": "extraction",
        "id": step.extraction_id,
        "file": step.file,
        "model": "retab-small",
        "json_schema": {"type": "object"},
        "n_consensus": 1 if single else 3,
        "instructions": None,
        "output": step.output,
        "status": "completed",
        "error": None,
        "consensus": None if single else {"choices": [step.output] * 3, "likelihoods": step.likelihoods},
        "metadata": {},
        "usage": {"credits": 1},
        "created_at": step.created_at,
    }


def _shown(environment: Environment) -> Mapping[str, Any]:
    return {
        "reviews": {
            review.id: {**review.body(), "versions": [version.body() for version in review.versions]}
            for review in environment.reviews.values()
        },
        "runs": {run.id: run.body(environment.waiting_for(run)) for run in environment.runs.values()},
    }
