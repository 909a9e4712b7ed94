"""Sending messages: what is due is claimed, signed, posted, and saved with what came of it."""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from random import Random
from typing import Final

import msgspec

from bridge.claim_loop import LONGEST_SLEEP, ClaimLoop
from bridge.delivery.model import Millis
from bridge.delivery.retry import RetrySchedule
from bridge.events.codes import ENDPOINT_UNREADABLE, SENDER_ERROR
from bridge.events.endpoints import EndpointMaker
from bridge.events.model import Endpoint, EndpointState, Message, Origin
from bridge.events.posting import Reply, post
from bridge.events.signing import signature_headers
from bridge.events.verdicts import Outcome, Verdict, health_after, judge
from bridge.ledger.messages import ClaimedMessage
from bridge.ledger.protocol import LeaseLostError, Ledger, LedgerError
from bridge.sealing import UnsealableError
from connectors.egress import GuardedSessions

log = logging.getLogger(__name__)

AT_ONCE: Final = 128
"""Messages that are being sent at a time."""

AT_ONCE_TO_ONE: Final = 4
"""Messages that are being sent to one endpoint at a time."""

AT_ONCE_TO_RESUME: Final = 32
"""Calls of ``resume_url`` that are on their way for one tenant at a time, however many hosts they lead to."""

LEASE: Final[Millis] = 2 * 60 * 1000
"""Milliseconds that a claim holds; longer than a try may take."""

UNREADABLE_PAUSE: Final[Millis] = 5 * 60 * 1000
"""Milliseconds after which an endpoint that could not be unsealed is looked at again."""

_NO_ROOM_PAUSE: Final[Millis] = 1000
_WORTH_A_CLAIM = 8
_HEADERS = {"Content-Type": "application/json", "User-Agent": "numora-bridge"}

SendObserver = Callable[[str, str], None]
"""Called with tenant and outcome after each try."""


@dataclass(frozen=True, slots=True)
class SenderPolicy:
    """What decides about time and chance. ``clock`` gives milliseconds since the epoch."""

    clock: Callable[[], Millis]
    rng: Random
    schedule: RetrySchedule


class MessageSender(ClaimLoop):
    """Sends every tenant's messages. ``wake`` has it look for due ones now.

    A message may be sent twice, under the same ``webhook-id``, when the process dies before it has noted the answer.
    """

    def __init__(
        self,
        ledger: Ledger,
        maker: EndpointMaker,
        sessions: GuardedSessions,
        policy: SenderPolicy,
        observe: SendObserver,
    ) -> None:
        super().__init__("messages")
        self.schedule = policy.schedule
        self._ledger = ledger
        self._maker = maker
        self._sessions = sessions
        self._clock = policy.clock
        self._rng = policy.rng
        self._observe = observe
        self._paused_until: dict[str, Millis] = {}
        self._failing_since: dict[str, Millis | None] = {}
        self._unreadable: set[str] = set()
        self._resuming: Counter[str] = Counter()

    async def _turn(self) -> float:
        free = AT_ONCE - len(self._running)
        if free < _WORTH_A_CLAIM:
            return LONGEST_SLEEP  # the end of a try wakes the sender
        now = self._clock()
        if await self._claim() == free:
            return LONGEST_SLEEP
        due = await self._ledger.next_message_due(now)
        return LONGEST_SLEEP if due is None else min(LONGEST_SLEEP, max(0.0, (due - self._clock()) / 1000))

    async def _claim(self) -> int:
        if self._stopping:
            return 0
        now = self._clock()
        claimed = await self._ledger.claim_messages(
            now,
            limit=AT_ONCE - len(self._running),
            lease_until=now + LEASE,
            per_endpoint=AT_ONCE_TO_ONE,
            except_ids=frozenset(self._running),
        )
        for one in claimed:
            if one.endpoint.origin is not Origin.RESUME:
                self._failing_since[one.endpoint.id] = one.endpoint.failing_since
            self._running[one.message.id] = asyncio.create_task(self._run(one), name=one.message.id)
        return len(claimed)

    async def _run(self, claimed: ClaimedMessage) -> None:
        message, endpoint = claimed.message, claimed.endpoint
        resumes = endpoint.origin is Origin.RESUME
        self._resuming[message.tenant] += resumes
        try:
            if resumes and self._resuming[message.tenant] > AT_ONCE_TO_RESUME:
                await self._put_off(message, self._clock() + _NO_ROOM_PAUSE)
            else:
                await self._send(message, endpoint)
        except LeaseLostError:
            log.info("message %s is wanted no more, or was claimed by another holder", message.id)
        except LedgerError as error:
            log.warning("message %s is sent again once its lease has ended: %s", message.id, error)
        finally:
            self._resuming[message.tenant] -= resumes
            self._running.pop(message.id, None)
            self._wakeup.set()

    async def _put_off(self, message: Message, until: Millis) -> None:
        await self._ledger.save_message(msgspec.structs.replace(message, due_at=until))

    async def _hand_back(self, message: Message) -> None:
        """Give the lease up early; the try does not count."""
        try:
            await self._ledger.save_message(message)
        except LedgerError as error:
            log.warning("message %s was not handed back; its lease will end: %s", message.id, error)

    async def _send(self, message: Message, endpoint: Endpoint) -> None:
        now = self._clock()
        paused_until = self._paused_until.get(endpoint.id, 0)
        if paused_until > now:
            await self._put_off(message, paused_until)
            return
        try:
            opened = self._maker.opened(endpoint)
        except UnsealableError:
            await self._hold(message, endpoint, now)
            return
        self._unreadable.discard(endpoint.id)
        signed = signature_headers(opened.signing(now), message.id, now // 1000, message.body)
        reply = await self._posted(message, opened.url, {**_HEADERS, **signed})
        await self._conclude(message, endpoint, reply)

    async def _posted(self, message: Message, url: str, headers: dict[str, str]) -> Reply:
        """Post; an error that nobody foresaw, a bug of ours, costs a try and not the message."""
        try:
            return await post(self._sessions, url, headers, message.body)
        except asyncio.CancelledError:
            await asyncio.shield(self._hand_back(message))
            raise
        except Exception as error:  # noqa: BLE001 - its text and trace may hold the URL
            log.error("message %s met an unforeseen error: %s", message.id, type(error).__name__)  # noqa: TRY400
            return Reply(None, SENDER_ERROR)

    async def _hold(self, message: Message, endpoint: Endpoint, now: Millis) -> None:
        """Keep a message whose endpoint cannot be read."""
        if endpoint.id not in self._unreadable:
            self._unreadable.add(endpoint.id)
            log.error(
                "tenant %s: messages to %s wait, since its address cannot be unsealed: restore the ledger's key, or "
                "subscribe again [%s]",
                endpoint.tenant,
                endpoint.label,
                ENDPOINT_UNREADABLE,
            )
        held = msgspec.structs.replace(message, due_at=now + UNREADABLE_PAUSE, error=ENDPOINT_UNREADABLE)
        await self._ledger.save_message(held)

    async def _conclude(self, message: Message, endpoint: Endpoint, reply: Reply) -> None:
        now = self._clock()
        verdict = judge(message, endpoint, reply, now=now, schedule=self.schedule, rng=self._rng)
        changed = None
        if endpoint.origin is not Origin.RESUME:
            changed = health_after(endpoint, self._failing_since.get(endpoint.id), verdict.outcome, now)
            self._note(endpoint.id, changed, verdict.pause_until, now)
        await self._ledger.save_message(verdict.message, endpoint=changed)
        self._observe(message.tenant, verdict.outcome.value)
        self._tell(endpoint, changed, verdict)

    def _note(self, endpoint_id: str, changed: Endpoint | None, pause_until: Millis | None, now: Millis) -> None:
        """Remember what concerns the endpoint's other messages, some of which are on their way."""
        if pause_until is not None:
            self._paused_until[endpoint_id] = pause_until
        elif self._paused_until.get(endpoint_id, now) < now:
            del self._paused_until[endpoint_id]
        if changed is None:
            return
        if changed.state is EndpointState.GONE:
            self._failing_since.pop(endpoint_id, None)
            self._paused_until.pop(endpoint_id, None)
        else:
            # Once paused, those on their way do not pause it again.
            paused = changed.state is EndpointState.PAUSED
            self._failing_since[endpoint_id] = now if paused else changed.failing_since

    @staticmethod
    def _tell(endpoint: Endpoint, changed: Endpoint | None, verdict: Verdict) -> None:
        """Log what a person can act on, once each. Only the label is shown: the rest of a URL may be a secret."""
        message = verdict.message
        told = message.error if message.status is None else f"{message.error}, status {message.status}"
        where = (endpoint.tenant, endpoint.label)
        if verdict.outcome is Outcome.FAILED:
            log.warning(
                "tenant %s: message %s to %s is given up: %s", endpoint.tenant, message.id, endpoint.label, told
            )
        if changed is None:
            return
        if changed.state is EndpointState.GONE:
            log.info("tenant %s: %s answered 410, so it gets no more messages", *where)
        elif changed.state is EndpointState.PAUSED:
            log.warning("tenant %s: %s has failed for days and is paused; resume %s", *where, endpoint.id)
        elif changed.failing_since is not None:
            log.warning("tenant %s: messages to %s do not get through: %s", *where, told)
        else:
            log.info("tenant %s: messages to %s get through again", *where)
