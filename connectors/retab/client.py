"""The calls to Retab that the bridge makes, one method for each, each sent once."""

from collections.abc import Mapping
from typing import Any, Final

from connectors.http import Answer, HttpPeer, Wire, encode_json
from connectors.outcome import BlockedError, CursorRefusedError
from connectors.ports import RequestLog
from connectors.retab.addresses import Addresses
from connectors.retab.models import Extraction, Page, Review, Run, Step, Version, understand
from connectors.retab.refusals import CURSOR_REFUSED, GONE, is_success, read_failure
from connectors.retab.settings import RetabSettings

RETAB_WIRE: Final = Wire(
    name="retab",
    headers={"Accept": "application/json"},
    request_id_header="x-request-id",
    peer_request_id_headers=("x-request-id",),
)
"""What the shared HTTP layer needs to know of Retab."""

MOST_PAGES: Final = 100
"""Pages of one review's versions that are read; nobody corrects a document that often."""

LARGEST_PAGE: Final = 200
"""Rows of a page, at most."""


class RetabClient:
    """One tenant's way to Retab. Every call raises ``OutcomeError``s and nothing else.

    With ``workflow_id`` set, reviews of any other workflow are as if they were not there.
    """

    def __init__(self, settings: RetabSettings, peer: HttpPeer) -> None:
        self._peer = peer
        self._addresses = Addresses(settings.base_url)
        self._workflow_id = settings.workflow_id
        self._timeout = settings.timeout.total_seconds()
        self._read_headers = {"Authorization": f"Bearer {settings.api_key.get_secret_value()}"}
        self._write_headers = {**self._read_headers, "Content-Type": "application/json"}
        self._refused_address: str | None = None

    @property
    def sees_all(self) -> bool:
        """Whether everything that the key opens is this tenant's."""
        return self._workflow_id is None

    def may_see(self, workflow_id: str | None) -> bool:
        """Tell whether a workflow is one of this tenant's."""
        return self._workflow_id is None or workflow_id == self._workflow_id

    async def reviews(self, query: Mapping[str, str], *, asked: bool = False) -> Page:
        """Read a page of reviews. Raises ``CursorRefusedError`` when Retab no longer takes ``after``.

        ``asked`` is set for what a person asks with filters of their own: a refusal of it says nothing of a poll.
        """
        scoped = dict(query) if self._workflow_id is None else {**query, "workflow_id": self._workflow_id}
        address = self._addresses.reviews(scoped)
        answer = await self._get(address, "reviews", None)
        if "after" in query and answer.status in CURSOR_REFUSED:
            raise CursorRefusedError(
                "retab_cursor_refused",
                f"Retab no longer takes the cursor ({answer.status}). The window is read from its start.",
            )
        if not is_success(answer) and asked:
            raise read_failure(answer, "reviews")
        self._require_success(answer, "reviews", address)
        return understand(Page, answer.json(), "list of reviews")

    async def review(self, review_id: str, log: RequestLog | None = None) -> tuple[Review, dict[str, Any]] | None:
        """Read a review, as understood and as it came; None when there is none that this tenant may see."""
        content = await self._read(self._addresses.review(review_id), "review", log)
        if content is None:
            return None
        review = understand(Review, content, "review")
        return (review, content) if self.may_see(review.workflow_id) else None

    async def version(self, version_id: str, log: RequestLog | None = None) -> Version | None:
        """Read a version by its id, which may stand for equal data of another review as well."""
        content = await self._read(self._addresses.version(version_id), "version", log)
        return None if content is None else understand(Version, content, "version")

    async def versions(
        self, review_id: str, log: RequestLog | None = None
    ) -> tuple[tuple[Version, dict[str, Any]], ...]:
        """Read every version of a review, as understood and as it came, in Retab's order."""
        found: list[tuple[Version, dict[str, Any]]] = []
        after: str | None = None
        for _ in range(MOST_PAGES):
            query = {"review_id": review_id, "limit": str(LARGEST_PAGE)}
            if after is not None:
                query["after"] = after
            content = await self._read(self._addresses.versions(query), "versions", log)
            if content is None:
                break
            page = understand(Page, content, "list of versions")
            found += [(understand(Version, row, "version"), row) for row in page.data]
            if page.after is None or page.after == after:
                break
            after = page.after
        return tuple(pair for pair in found if pair[0].review_id in {None, review_id})

    async def run(self, run_id: str, log: RequestLog | None = None) -> Run | None:
        """Read a run; None when Retab does not have it, or not yet."""
        content = await self._read(self._addresses.run(run_id), "run", log)
        return None if content is None else understand(Run, content, "run")

    async def extraction_of(self, step_id: str, run_id: str | None, log: RequestLog | None = None) -> Extraction | None:
        """Read what the model extracted in a step; None when the step is gone or extracted nothing."""
        content = await self._read(self._addresses.step(step_id, run_id), "step", log)
        reference = None if content is None else understand(Step, content, "step").artifact
        if reference is None or reference.id is None or reference.operation != "extraction":
            return None
        artifact = await self._read(self._addresses.artifact(reference.id), "artifact", log)
        return None if artifact is None else understand(Extraction, artifact, "extraction")

    async def decide(self, review_id: str, action: str, body: Mapping[str, Any], log: RequestLog) -> Answer:
        """Post a decision: ``approve`` or ``reject``. What the answer means is the caller's to judge."""
        return await self._peer.send(
            "POST",
            self._addresses.decision(review_id, action),
            purpose=action,
            mutating=True,
            headers=self._write_headers,
            body=encode_json(body),
            timeout=self._timeout,
            log=log,
        )

    async def probe(self) -> None:
        """Make the read that was refused last, or else the one that a poll begins with, as small as it gets."""
        if self._refused_address is None:
            await self.reviews({"decision_status": "approved", "order": "desc", "limit": "1"})
            return
        address = self._refused_address
        answer = await self._get(address, "probe", None)
        if answer.status not in GONE:
            self._require_success(answer, "probe", address)
        self._refused_address = None

    async def _get(self, address: str, purpose: str, log: RequestLog | None) -> Answer:
        return await self._peer.send(
            "GET", address, purpose=purpose, headers=self._read_headers, timeout=self._timeout, log=log
        )

    async def _read(self, address: str, purpose: str, log: RequestLog | None) -> Any:
        """Return what stands at the address, parsed; None when nothing does."""
        answer = await self._get(address, purpose, log)
        if answer.status in GONE:
            return None
        self._require_success(answer, purpose, address)
        return answer.json()

    def _require_success(self, answer: Answer, purpose: str, address: str) -> None:
        """Raise what a refused read means. A read that blocks is remembered: it is what a probe has to try again."""
        if is_success(answer):
            return
        failure = read_failure(answer, purpose)
        if isinstance(failure, BlockedError):
            self._refused_address = address
        raise failure
