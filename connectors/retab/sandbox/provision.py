"""Control routes of the Retab sandbox: open, correct, decide and cancel reviews from another process."""

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from aiohttp import web
from aiohttp.typedefs import Handler

from connectors.http import decode_json
from connectors.retab.sandbox.decisions import decide
from connectors.retab.sandbox.errors import RefusedError
from connectors.retab.sandbox.state import REVIEWER
from connectors.sandbox.control import json_answer

if TYPE_CHECKING:
    from connectors.retab.sandbox.server import RetabSandbox


class NewReview(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of ``POST /_sandbox/reviews``: what the model extracted, and where in which workflow."""

    snapshot: dict[str, Any]
    review_id: str | None = None
    workflow_id: str = "wf_invoices"
    block_id: str = "extract_1"
    block_type: str = "extract"
    run_id: str | None = None
    iteration_key: str | None = None
    triggered_by: dict[str, Any] | None = None
    likelihoods: dict[str, Any] | None = None
    metadata: dict[str, str] | None = None
    created_at: str | None = None
    extracted: bool = True


class Deciding(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of ``POST /_sandbox/reviews/{id}/decide``: ``changes`` are made first, as a version of their own.

    Without ``version_id`` the version made last is decided on.
    """

    verdict: Literal["approved", "rejected"] = "approved"
    changes: dict[str, Any] | None = None
    version_id: str | None = None
    reason: str = "not right"


class Rules(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of ``PUT /_sandbox/rules``: the rules that change."""

    resume_status: Literal["resumed", "pending", "failed", "skipped"] | msgspec.UnsetType = msgspec.UNSET
    resume_error: str | msgspec.UnsetType | None = msgspec.UNSET
    pending_reads: int | msgspec.UnsetType | None = msgspec.UNSET
    after_rejection: str | msgspec.UnsetType = msgspec.UNSET
    superseded_shape: Literal["details", "error", "message", "text"] | msgspec.UnsetType = msgspec.UNSET
    cancelled_refusal: int | msgspec.UnsetType = msgspec.UNSET
    wrapped: bool | msgspec.UnsetType = msgspec.UNSET
    shared_version_ids: bool | msgspec.UnsetType = msgspec.UNSET


class Provision:
    """The handlers. A new review is put into the first environment, or into that of ``?key=``."""

    def __init__(self, sandbox: "RetabSandbox") -> None:
        self._sandbox = sandbox

    async def open(self, request: web.Request) -> web.Response:
        """Open a review."""
        body = msgspec.convert(decode_json(await request.read()), NewReview)
        environment = self._sandbox.environment(request.query.get("key"))
        content = msgspec.structs.asdict(body)
        review = environment.open_review(content.pop("snapshot"), **content)
        return json_answer({"id": review.id, "run_id": review.run_id, "version_id": review.versions[0].id}, 201)

    async def decide(self, request: web.Request) -> web.Response:
        """Decide a review as a person does inside Retab, corrections first."""
        environment, review = self._sandbox.review(request.match_info["review_id"])
        body = msgspec.convert(decode_json(await request.read() or b"{}"), Deciding)
        if body.changes:
            environment.correct(review, **body.changes)
        asked: dict[str, Any] = {"version_id": body.version_id or review.versions[-1].id}
        if body.verdict == "rejected":
            asked["reason"] = body.reason
        return json_answer(decide(environment, review, body.verdict, asked, REVIEWER))

    async def cancel(self, request: web.Request) -> web.Response:
        """Cancel the run of a review, and so the review."""
        environment, review = self._sandbox.review(request.match_info["review_id"])
        environment.cancel(environment.runs[review.run_id])
        return json_answer(review.body())

    async def set_rules(self, request: web.Request) -> web.Response:
        """Change how the sandbox behaves."""
        body = msgspec.convert(decode_json(await request.read()), Rules)
        for name, value in msgspec.structs.asdict(body).items():
            if value is not msgspec.UNSET:
                setattr(self._sandbox.rules, name, value)
        return json_answer(dict(vars(self._sandbox.rules)))


def provision_routes(sandbox: "RetabSandbox") -> Iterable[web.RouteDef]:
    """Return the control routes for reviews."""
    provision = Provision(sandbox)
    return (
        web.post("/_sandbox/reviews", _guarded(provision.open)),
        web.post("/_sandbox/reviews/{review_id}/decide", _guarded(provision.decide)),
        web.post("/_sandbox/reviews/{review_id}/cancel", _guarded(provision.cancel)),
        web.put("/_sandbox/rules", _guarded(provision.set_rules)),
    )


def _guarded(handle: Callable[[web.Request], Awaitable[web.Response]]) -> Handler:
    async def handler(request: web.Request) -> web.Response:
        try:
            return await handle(request)
        except RefusedError as refusal:
            return json_answer(refusal.body, refusal.status)
        except KeyError as error:
            return json_answer({"error": f"there is no {error.args[0]}"}, 404)
        except (ValueError, msgspec.MsgspecError) as error:
            return json_answer({"error": str(error)}, 400)

    return handler
