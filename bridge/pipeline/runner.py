"""The way of one claimed delivery: fetch, map, write, report, each step journalled before the next begins."""

import asyncio
import logging
from datetime import UTC, datetime
from http import HTTPStatus

from bridge.delivery import transitions
from bridge.delivery.managed import MANAGED_PUSH_FAILED
from bridge.delivery.model import Delivery, DeliveryError, MappingRef, Millis, State, Step
from bridge.events.announcing import Announcer
from bridge.events.model import Event
from bridge.ledger.protocol import LeaseLostError, Ledger, LedgerError, Save
from bridge.pipeline.gates import Side
from bridge.pipeline.journal import DeliveryJournal
from bridge.pipeline.lane import Lane
from bridge.pipeline.managed import ManagedWay, is_managed
from bridge.pipeline.policy import RunnerPolicy
from bridge.pipeline.problems import every_problem
from connectors.outcome import (
    BlockedError,
    ConflictError,
    OutcomeError,
    RejectedError,
    SkippedError,
    ThrottledError,
    TransientError,
)
from connectors.ports import DocumentKey, KnownRow, Report
from mappings.compiled import CompiledMapping
from mappings.document import Document
from mappings.load import compile_mapping
from mappings.plan import Problem, Rejection, Skip

log = logging.getLogger(__name__)

LEASE: Millis = 10 * 60 * 1000
"""Milliseconds that a claim holds without a further journal entry; longer than any single exchange may take."""

RECENT: Millis = 5000
"""Milliseconds for which a document that was read counts as unchanged; its review takes people longer than that."""

NO_MAPPING = "no_mapping"

_REPORTED = {State.SUCCEEDED: "succeeded", State.FAILED: "failed", State.SKIPPED: "skipped"}


class NotJournalledError(Exception):
    """The ledger refused an entry; ``delivery`` and ``event`` are to be stored once it takes entries again."""

    def __init__(self, delivery: Delivery, event: Event | None, cause: LedgerError) -> None:
        super().__init__(str(cause))
        self.delivery = delivery
        self.event = event


class DeliveryRunner:
    """Takes claimed deliveries as far as they go. One instance serves every tenant."""

    def __init__(self, ledger: Ledger, policy: RunnerPolicy, announcer: Announcer | None = None) -> None:
        self._ledger = ledger
        self._announcer = announcer
        self._policy = policy
        self._pinned: dict[str, CompiledMapping] = {}

    async def run(self, lane: Lane, delivery: Delivery) -> Delivery:
        """Work on a delivery until it ends or has to wait; return it as it was committed last.

        Raises ``LeaseLostError`` when someone else claimed it in the meantime, and ``NotJournalledError`` when the
        ledger took no more entries: then nothing further was sent.
        """
        started_at = self._policy.clock()
        journal = DeliveryJournal(self._ledger, delivery, self._policy.clock, LEASE, self._announcer)
        try:
            await self._advance_or_stumble(lane, journal, started_at)
        except LedgerError as error:
            if isinstance(error, LeaseLostError):
                raise
            raise NotJournalledError(journal.delivery, journal.event(), error) from error
        except asyncio.CancelledError:
            await asyncio.shield(self._hand_back(journal))
            raise
        return journal.delivery

    async def hand_back_late(self, staged: NotJournalledError) -> None:
        """Store what the ledger did not take when it was found out, and give the lease up. Raises ``LedgerError``."""
        await self._ledger.save(Save(transitions.hand_back(staged.delivery, self._policy.clock()), event=staged.event))
        if staged.event is not None and self._announcer is not None:
            self._announcer.told()

    async def _hand_back(self, journal: DeliveryJournal) -> None:
        """Give the lease up early. What was staged and not yet journalled is left out: it is found out again."""
        if journal.submitted.lease_until is None:
            return
        try:
            await self._ledger.save(Save(transitions.hand_back(journal.submitted, self._policy.clock())))
        except LedgerError as error:
            log.warning("delivery %s was not handed back; its lease will end: %s", journal.delivery.id, error)

    async def _advance_or_stumble(self, lane: Lane, journal: DeliveryJournal, started_at: Millis) -> None:
        """Advance; an error that nobody foresaw, a bug of ours, costs a try and not the delivery."""
        try:
            await self._advance(lane, journal, started_at)
        except LedgerError:
            raise
        except Exception as error:
            log.exception("delivery %s met an unforeseen error", journal.delivery.id)
            if journal.delivery.state.ended:
                await self._recheck_failed(lane, journal, unforeseen(error))
                return
            if is_managed(lane, journal.delivery):
                await ManagedWay(lane, journal, self._policy).failed(unforeseen(error))
                return
            await self._failed(journal, unforeseen(error), started_at)
            if journal.delivery.state is State.WORKING:  # the schedule is used up: what is left is the report
                await journal.commit(transitions.hand_back(journal.delivery, self._policy.clock()))

    async def _advance(self, lane: Lane, journal: DeliveryJournal, started_at: Millis) -> None:
        if journal.delivery.state.ended:
            await self._recheck(lane, journal)
            return
        if is_managed(lane, journal.delivery):
            await ManagedWay(lane, journal, self._policy).advance()
            return
        read_at = None
        if journal.delivery.step is not Step.REPORT:
            read_at = await self._deliver(lane, journal, started_at)
        if journal.delivery.step is Step.REPORT and journal.delivery.state is State.WORKING:
            await self._report(lane, journal, started_at, read_at)

    async def _deliver(self, lane: Lane, journal: DeliveryJournal, started_at: Millis) -> Millis:
        """Fetch, map and write; return when the document was asked for.

        Leaves the delivery staged for its report, or committed as ended or waiting.
        """
        policy = self._policy
        read_at = policy.clock()
        facing = Side.SOURCE
        delivery = journal.delivery
        try:
            document = await lane.source.fetch(delivery.listing, journal)
            lane.gates.clear(Side.SOURCE)
            if (gone := lane.gone_back(document)) is not None or document is None:
                turn = transitions.supersede(delivery, *(gone or ("", "")), policy.clock(), started_at)
                journal.stage(turn.delivery, turn.attempt)
                await journal.commit()
                return read_at
            mapping = await self._mapping(lane, delivery, document)
            journal.stage(
                delivery.evolve(
                    schema=document.schema,
                    revision=document.revision(),
                    mapping=MappingRef(mapping.name, mapping.digest) if mapping else None,
                )
            )
            if mapping is None:
                raise RejectedError((unmapped(document.schema),))
            facing = Side.MAPPING
            await lane.verify(mapping)
            plan = mapping.apply(document)
            if isinstance(plan, Skip):
                raise SkippedError(plan.code, plan.message)
            facing = Side.DESTINATION
            key = DocumentKey(lane.tenant, document.id)
            if isinstance(plan, Rejection):
                raise RejectedError(await every_problem(lane.destination, plan, key, journal))
            prepared = await lane.destination.prepare(plan, key, journal)
            del document, plan  # many deliveries wait from here on, and what they hold is cold when it is let go of
            unsettled = await self._unsettled(delivery)
            known = KnownRow(delivery.record_id, delivery.line_ids, delivery.may_exist, unsettled)
            journal.stage(
                journal.delivery.evolve(step=Step.WRITE, may_exist=True, line_ids=delivery.line_ids | prepared.line_ids)
            )
            result = await lane.destination.write(prepared, known, journal)
            lane.gates.clear(Side.DESTINATION)
            turn = transitions.wrote(journal.delivery, result, prepared.line_ids, policy.clock(), started_at)
            journal.stage(turn.delivery, turn.attempt)
        except OutcomeError as error:
            # What a check blocks is closed by then.
            if isinstance(error, BlockedError) and facing is not Side.MAPPING:
                lane.gates.block(facing, error)
            await self._failed(journal, error, started_at)
        return read_at

    async def _report(self, lane: Lane, journal: DeliveryJournal, started_at: Millis, read_at: Millis | None) -> None:
        """Tell the source. The body is stored with the request that first carries it, and never made again.

        When the document was read a while ago, or by an earlier run (``read_at`` is None then), it may have been
        corrected since. The source may take the report for the correction's and list the document no more, so it is
        read once again.
        """
        delivery = journal.delivery
        body = delivery.callback
        if body is None:
            body = lane.source.encode_report(report_of(delivery))
            journal.stage(delivery.evolve(callback=body))
        try:
            await lane.source.report(delivery.document_id, body, journal)
        except OutcomeError as error:
            if isinstance(error, BlockedError):
                lane.gates.block(Side.SOURCE, error)
            await self._failed(journal, error, started_at)
            return
        lane.gates.clear(Side.SOURCE)
        now = self._policy.clock()
        ended = transitions.reported(journal.delivery, now)
        late = read_at is None or now - read_at > RECENT
        await journal.commit(ended.evolve(again=True) if late else ended)

    async def _recheck(self, lane: Lane, journal: DeliveryJournal) -> None:
        """An ended document was listed again: learn whether it is the same revision, and do what follows."""
        policy = self._policy
        delivery = journal.delivery
        try:
            document = await lane.source.fetch(delivery.listing, journal)
            lane.gates.clear(Side.SOURCE)
            if document is None or lane.gone_back(document) is not None:
                await journal.commit(transitions.settle(delivery))
            elif self._is_news(delivery, document):
                following = transitions.successor(delivery, policy.new_id(), policy.clock())
                await journal.commit(transitions.settle(delivery), successor=following)
            elif not lane.managed and _report_may_be_lost(delivery):
                await lane.source.report(delivery.document_id, delivery.callback or b"", journal)
                await journal.commit(await self._told_at_last(journal.delivery))
            elif self._deserves_another_try(lane, delivery, document):
                await journal.commit(transitions.afresh(delivery, policy.clock()))
            else:
                await journal.commit(transitions.settle(delivery))
        except OutcomeError as error:
            await self._recheck_failed(lane, journal, error)

    async def _recheck_failed(self, lane: Lane, journal: DeliveryJournal, error: OutcomeError) -> None:
        policy = self._policy
        delivery = journal.delivery
        now = policy.clock()
        match error:
            case BlockedError():
                lane.gates.block(Side.SOURCE, error)
                await journal.commit(transitions.hand_back(delivery, now))
            case ThrottledError():
                await journal.commit(transitions.hand_back(delivery, now + round((error.retry_after or 0) * 1000)))
            case RejectedError():
                await journal.commit(transitions.settle(delivery))  # the source does not show the document
            case TransientError():
                wait = policy.schedule.next_wait(delivery.tries + 1, policy.rng, retry_after=error.retry_after)
                if wait is None:
                    await journal.commit(transitions.settle(delivery))
                else:
                    waiting = transitions.hand_back(delivery, now + wait)
                    await journal.commit(waiting.evolve(tries=delivery.tries + 1))
            case ConflictError():
                turn = transitions.failed(
                    delivery, error, now=now, started_at=now, schedule=policy.schedule, rng=policy.rng
                )
                journal.stage(turn.delivery, turn.attempt)
                await journal.commit()
            case _:
                raise AssertionError(f"a recheck cannot end with {type(error).__name__}") from error

    async def _told_at_last(self, delivery: Delivery) -> Delivery:
        """Return an ended delivery whose report the source took now: one that was parked for want of it ends as told.

        What was reported stands with the attempt that reached that end: the delivery itself shows why it was parked.
        """
        if delivery.state is not State.PARKED:
            return transitions.settle(delivery)
        error = None
        if delivery.outcome is not State.SUCCEEDED:
            attempts = await self._ledger.attempts(delivery.id)
            reached = next((one for one in attempts if one.execution_id == delivery.execution_id), None)
            if reached is not None and reached.code is not None:
                error = DeliveryError(reached.code, reached.message or "")
        return transitions.reported(delivery.evolve(error=error), self._policy.clock())

    async def _unsettled(self, delivery: Delivery) -> frozenset[str]:
        """Return the purposes of what earlier tries sent and no answer refused, once one of them came as far."""
        if delivery.step is not Step.WRITE:
            return frozenset()
        requests = await self._ledger.requests(delivery.id)
        return frozenset(one.purpose for one in requests if not _was_refused(one.status))

    async def _failed(self, journal: DeliveryJournal, error: OutcomeError, started_at: Millis) -> None:
        """Stage what follows from an error; commit it unless the report, which comes next, does so."""
        policy = self._policy
        turn = transitions.failed(
            journal.delivery,
            error,
            now=policy.clock(),
            started_at=started_at,
            schedule=policy.schedule,
            rng=policy.rng,
        )
        journal.stage(turn.delivery, turn.attempt)
        if turn.delivery.state is not State.WORKING:
            await journal.commit()

    async def _mapping(self, lane: Lane, delivery: Delivery, document: Document) -> CompiledMapping | None:
        """Return the mapping to use: the one in force, or the one that made the delivery if a person asked for that."""
        if delivery.pinned and delivery.mapping is not None:
            return await self._kept_mapping(delivery.mapping)
        return lane.mappings.get(document.schema)

    async def _kept_mapping(self, ref: MappingRef) -> CompiledMapping:
        mapping = self._pinned.get(ref.digest)
        if mapping is None:
            text = await self._ledger.mapping_text(ref.digest)
            if text is None:
                message = f"The ledger holds no {ref.name} with digest {ref.digest}; retry with the latest mapping."
                raise RejectedError((Problem(None, None, "mapping_not_kept", message),))
            mapping = self._pinned[ref.digest] = compile_mapping(text, ref.name)
        return mapping

    @staticmethod
    def _is_news(delivery: Delivery, document: Document) -> bool:
        """Tell whether the document needs a delivery of its own rather than the one it has."""
        if delivery.state is State.SUPERSEDED:
            return True
        return delivery.revision is not None and delivery.revision != document.revision()

    @staticmethod
    def _deserves_another_try(lane: Lane, delivery: Delivery, document: Document) -> bool:
        """Tell whether anything changed for a delivery of this same revision that did not succeed."""
        if delivery.state not in {State.FAILED, State.SKIPPED}:
            return False
        mapping = lane.mappings.get(document.schema)
        if (mapping.digest if mapping else None) != (delivery.mapping.digest if delivery.mapping else None):
            return True
        if delivery.error is not None and delivery.error.code == MANAGED_PUSH_FAILED:
            return False
        # Without problems it was the schedule that ended: another listing begins it anew, our own second look does not.
        return delivery.state is State.FAILED and not delivery.problems and _listed_since(delivery)


def _was_refused(status: int | None) -> bool:
    """Tell whether an answer says that nothing was done; 408 comes from the way there, which knows nothing of it."""
    return status is not None and 400 <= status < 500 and status != HTTPStatus.REQUEST_TIMEOUT


def _report_may_be_lost(delivery: Delivery) -> bool:
    """Tell whether the source lists a document that it was told of as delivered, or could not be told of at all."""
    untold = delivery.error is not None and delivery.error.code == transitions.REPORT_UNDELIVERABLE
    told = delivery.state is State.SUCCEEDED or (delivery.state is State.PARKED and untold)
    return told and delivery.callback is not None and _listed_since(delivery)


def _listed_since(delivery: Delivery) -> bool:
    """Tell whether the document was listed, or asked for, after this delivery of it had ended."""
    return delivery.ended_at is not None and delivery.seen_at >= delivery.ended_at


def report_of(delivery: Delivery) -> Report:
    """Return what the source is told of a concluded delivery."""
    if delivery.outcome is None or delivery.execution_id is None:
        raise ValueError(f"{delivery.id} has not reached an end to report")
    succeeded = delivery.outcome is State.SUCCEEDED
    moment = datetime.fromtimestamp(delivery.updated_at / 1000, UTC)
    return Report(
        document_id=delivery.document_id,
        status=_REPORTED[delivery.outcome],  # type: ignore[arg-type]
        execution_id=delivery.execution_id,
        attempted_at=moment.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        external_record_id=delivery.record_id if succeeded else None,
        external_url=delivery.external_url if succeeded else None,
        error_code=delivery.error.code if delivery.error else None,
        error_message=delivery.error.message if delivery.error else None,
    )


def unforeseen(error: Exception) -> TransientError:
    """Turn an error that nobody foresaw into one that is tried again and shown."""
    return TransientError(
        "internal_error", f"The bridge met an unforeseen error ({type(error).__name__}); see its log."
    )


def unmapped(schema: str) -> Problem:
    """Return the problem of a document whose schema the tenant maps to nothing."""
    return Problem(
        None,
        None,
        NO_MAPPING,
        f"No mapping is configured for documents of schema {schema}; name one in the tenant's file.",
    )
