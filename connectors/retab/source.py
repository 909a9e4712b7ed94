"""Retab as a ``Source``: approved reviews are its documents. It takes no report, so that is where its story ends."""

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from connectors.capabilities import Capabilities
from connectors.http import encode_json
from connectors.outcome import TransientError
from connectors.ports import Listing, OutboxPage, Report, RequestLog
from connectors.retab.client import RetabClient
from connectors.retab.listing import APPROVED, Selection, to_listings
from connectors.retab.models import DecisionRecord, Extraction, Review, Version
from connectors.retab.reviews import RetabReviews
from connectors.retab.settings import RetabSettings
from connectors.retab.translate import Reading, to_document, undecided, unwrapped
from connectors.retab.webhooks import RetabHook
from mappings.document import Document


class RetabSource:
    """One tenant's Retab. Every call raises ``OutcomeError``s and nothing else."""

    kind = "retab"

    def __init__(
        self, settings: RetabSettings, client: RetabClient, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._settings = settings
        self._client = client
        self._selection = Selection(settings.schemas)
        self._now = now
        self.reviews = RetabReviews(client, settings.resume_wait.total_seconds())
        secrets = [secret.get_secret_value() for secret in settings.webhook_secret or ()]
        hooks = {"retab": RetabHook(secrets, settings.webhook.tolerance)} if secrets else {}
        self.capabilities = Capabilities(reviews=self.reviews, hooks=hooks)

    async def list_outbox(self, cursor: str | None) -> OutboxPage:
        """Read one page of approved reviews, the one opened last first. ``cursor`` continues a window, None begins one.

        A window ends where reviews were opened longer ago than ``poll.lookback``. Retab sorts by the time of opening,
        so one that was opened early and approved late stands in the midst of what was read before: every window
        begins at the newest review again. Raises ``CursorRefusedError`` when Retab no longer takes the cursor.
        """
        query = {"decision_status": APPROVED, "order": "desc", "limit": str(self._settings.poll.limit)}
        if cursor is not None:
            query["after"] = cursor
        page = await self._client.reviews(query)
        oldest = self._now() - self._settings.poll.lookback
        listings, ended = to_listings(page.data, self._selection, oldest)
        return OutboxPage(listings, None if ended or page.after == cursor else page.after)

    async def fetch(self, listing: Listing, log: RequestLog) -> Document | None:
        """Read the review and the version that was approved; None when Retab no longer has the review.

        A review that is not approved comes without content, so that its status tells what became of it.
        """
        found = await self._client.review(listing.document_id, log)
        if found is None:
            return None
        review, _ = found
        schema = self._selection.schema_of(review) or review.workflow_id or "retab"
        decision = review.decision
        if decision is None or decision.verdict != APPROVED:
            return undecided(review, schema)
        version, versions = await self._approved(review, decision, log)
        run = await self._client.run(review.run_id, log) if review.run_id is not None else None
        extraction = await self._extraction(review, log)
        seed = await self._seed(review, version, versions, log)
        likelihoods = extraction.consensus.likelihoods if extraction is not None and extraction.consensus else None
        reading = Reading(
            unwrapped(seed.snapshot) if seed is not None else None,
            unwrapped(likelihoods) if isinstance(likelihoods, Mapping) else None,
            self._settings.line_items,
            full=self._settings.human_confidence == "full",
        )
        return to_document(review, schema, unwrapped(version.snapshot), reading, run=run, extraction=extraction)

    def is_deliverable(self, status: str | None) -> bool:
        """Tell whether a review in this status may be delivered: an approved one, and one not yet looked at."""
        return status is None or status == APPROVED

    def encode_report(self, report: Report) -> bytes:
        """Return what the ledger keeps of the end. Equal reports give equal bytes."""
        return encode_json({name: value for name, value in _plain(report).items() if value is not None})

    async def report(self, document_id: str, body: bytes, log: RequestLog) -> None:
        """Send nothing: Retab takes no report of what became of a document."""

    async def probe(self) -> None:
        """Make one cheap authenticated call; raises what a delivery would meet."""
        await self._client.probe()

    async def close(self) -> None:
        """Let go of what is held: nothing, for the connections belong to the session behind the peer."""

    async def _approved(
        self, review: Review, decision: DecisionRecord, log: RequestLog
    ) -> tuple[Version, tuple[Version, ...] | None]:
        """Return the approved version, and all of the review's when they had to be read to find it.

        Ids are made from the content, so that equal data of another review may stand under the same one.
        """
        version = await self._client.version(decision.version_id, log)
        if version is not None and version.review_id in {None, review.id}:
            return version, None
        versions = tuple(found for found, _ in await self._client.versions(review.id, log))
        for version in versions:
            if version.id == decision.version_id:
                return version, versions
        raise TransientError(
            "retab_version_missing",
            f"Review {review.id} was decided on version {decision.version_id}, which Retab does not give (yet). It is "
            "read again later.",
        )

    async def _extraction(self, review: Review, log: RequestLog) -> Extraction | None:
        if review.step_id is None:
            return None
        return await self._client.extraction_of(review.step_id, review.run_id, log)

    async def _seed(
        self, review: Review, approved: Version, versions: tuple[Version, ...] | None, log: RequestLog
    ) -> Version | None:
        """Return the version that the model made; the approved one itself when nobody changed anything."""
        if approved.parent_id is None:
            return approved
        if versions is None:
            versions = tuple(version for version, _ in await self._client.versions(review.id, log))
        return next((version for version in versions if version.parent_id is None), None)


def _plain(report: Report) -> dict[str, Any]:
    return msgspec.structs.asdict(report)
