"""The contract of endpoints and messages once more, said as plainly as can be: two lists, newest last."""

from msgspec.structs import replace

from bridge.events.model import Endpoint, EndpointState, Event, Message, MessageState, Origin, matches
from bridge.ledger.messages import ClaimedMessage
from bridge.ledger.protocol import LeaseLostError

QUEUED, GONE = MessageState.QUEUED, EndpointState.GONE


class ModelMessages:
    """Messages have no id until the ledger, which makes it, was asked for it: ``name`` takes it over."""

    def __init__(self) -> None:
        self.endpoints: list[Endpoint] = []
        self.messages: list[Message] = []

    def put(self, given: Endpoint) -> Endpoint:
        for known in self.endpoints:
            if (known.origin, known.digest) == (given.origin, given.digest) and known.state is not GONE:
                return self._put(replace(known, types=given.types, updated_at=given.updated_at))
        self.endpoints.append(given)
        return given

    def remove(self, endpoint_id: str, now: int) -> bool:
        endpoint = self.endpoint(endpoint_id)
        if endpoint.state is GONE:
            return False
        self._let_go(endpoint, now)
        return True

    def resume(self, endpoint_id: str, now: int) -> Endpoint | None:
        endpoint = self.endpoint(endpoint_id)
        if endpoint.state is EndpointState.PAUSED:
            endpoint = self._put(replace(endpoint, state=EndpointState.ACTIVE, failing_since=None, updated_at=now))
            for message in self.to(endpoint_id):
                if message.state is QUEUED and message.lease_until is None:
                    self._change(message, due_at=min(message.due_at or 0, now), tries=0)
        return None if endpoint.state is GONE else endpoint

    def wait(self, given: Endpoint) -> None:
        for known in self.endpoints:
            if (known.document_id, known.digest) != (given.document_id, given.digest):
                continue
            made = {message.state for message in self.to(known.id)} & {QUEUED, MessageState.SENT}
            if known.state is GONE and not made:
                self._put(replace(known, state=EndpointState.ACTIVE, updated_at=given.updated_at))
            return
        self.endpoints.append(given)

    def tell(self, event: Event, document: str, moment: int, *, rests: bool) -> None:
        if event.ended:
            self.announce(event, moment)
        for endpoint in list(self.endpoints):
            if rests and endpoint.document_id == document and endpoint.state is not GONE:
                self._add(event, endpoint, moment)
                self._put(replace(endpoint, state=GONE, updated_at=moment))

    def announce(self, event: Event, moment: int) -> int:
        wanting = [
            endpoint
            for endpoint in self.endpoints
            if endpoint.origin is not Origin.RESUME
            and endpoint.state is not GONE
            and matches(endpoint.types, event.type)
        ]
        for endpoint in wanting:
            self._add(event, endpoint, moment)
        return len(wanting)

    def claim(self, claimed: list[ClaimedMessage], now: int, limit: int, until: int, per_endpoint: int) -> None:
        """Hold what the ledger chose against what it may choose, and do the same."""
        lines: dict[str, list[Message]] = {}
        for message in self.messages:
            lines.setdefault(self._line(message), []).append(message)
        places: dict[str, int] = {}
        for line, members in lines.items():
            held = sum(message.lease_until is not None and message.lease_until > now for message in members)
            due = [message for message in members if self._is_due(message, now)]
            due.sort(key=lambda message: (self.ready_at(message), self.messages.index(message)))
            room = len(due) if line == "resume" else max(0, per_endpoint - held)
            places |= {message.id: held + place for place, message in enumerate(due[:room])}
        chosen = [each.message.id for each in claimed]
        assert len(set(chosen)) == len(chosen)
        assert sorted(places[message_id] for message_id in chosen) == sorted(places.values())[:limit]
        for each in claimed:
            message = next(message for message in self.messages if message.id == each.message.id)
            assert each.message == self._change(message, token=message.token + 1, lease_until=until)
            assert each.endpoint == self.endpoint(message.endpoint_id)

    def save(self, copy: Message, endpoint: Endpoint | None) -> None:
        stored = next((message for message in self.messages if message.id == copy.id), None)
        if stored is None or stored.token != copy.token or stored.state is not QUEUED:
            raise LeaseLostError
        due_at = copy.due_at if copy.state is QUEUED else None
        self._change(copy, due_at=due_at, lease_until=None)
        if endpoint is None or self.endpoint(endpoint.id).state is GONE:
            return
        facts = {"state": endpoint.state, "failing_since": endpoint.failing_since, "updated_at": endpoint.updated_at}
        changed = self._put(replace(self.endpoint(endpoint.id), **facts))
        if changed.state is GONE:
            self._let_go(changed, endpoint.updated_at)

    def take_back(self) -> int:
        held = [message for message in self.messages if message.lease_until is not None]
        for message in held:
            self._change(message, token=message.token + 1, lease_until=None)
        return len(held)

    def next_due(self, now: int) -> int | None:
        moments = [self.ready_at(message) for message in self.messages if self._may_go(message)]
        return min((moment for moment in moments if moment > now), default=None)

    def prune(self, before: int, documents: set[str]) -> tuple[int, int]:
        old = [message for message in self.messages if message.ended_at is not None and message.ended_at < before]
        self.messages = [message for message in self.messages if message not in old]
        useless = [
            endpoint
            for endpoint in self.endpoints
            if endpoint.updated_at < before
            and (
                not self.to(endpoint.id)
                if endpoint.state is GONE
                else endpoint.document_id is not None and endpoint.document_id not in documents
            )
        ]
        self.endpoints = [endpoint for endpoint in self.endpoints if endpoint not in useless]
        return len(old), len(useless)

    def name(self, endpoint_id: str, ids: list[str]) -> None:
        unnamed = self.to(endpoint_id)
        assert len(unnamed) == len(ids)
        named = dict(zip(map(id, unnamed), ids, strict=True))
        self.messages = [
            replace(message, id=named[id(message)]) if id(message) in named else message for message in self.messages
        ]

    def to(self, endpoint_id: str) -> list[Message]:
        return [message for message in self.messages if message.endpoint_id == endpoint_id]

    def endpoint(self, endpoint_id: str) -> Endpoint:
        return next(endpoint for endpoint in self.endpoints if endpoint.id == endpoint_id)

    @staticmethod
    def ready_at(message: Message) -> int:
        assert message.due_at is not None
        return max(message.due_at, message.lease_until or message.due_at)

    def _line(self, message: Message) -> str:
        endpoint = self.endpoint(message.endpoint_id)
        return "resume" if endpoint.origin is Origin.RESUME else endpoint.id

    def _may_go(self, message: Message) -> bool:
        endpoint = self.endpoint(message.endpoint_id)
        may = endpoint.origin is Origin.RESUME or endpoint.state is EndpointState.ACTIVE
        return message.state is QUEUED and may

    def _is_due(self, message: Message, now: int) -> bool:
        return self._may_go(message) and self.ready_at(message) <= now

    def _let_go(self, endpoint: Endpoint, now: int) -> None:
        self._put(replace(endpoint, state=GONE, updated_at=now))
        for message in self.to(endpoint.id):
            if message.state is QUEUED:
                ended = {"state": MessageState.DROPPED, "ended_at": now, "due_at": None, "lease_until": None}
                self._change(message, **ended)

    def _add(self, event: Event, endpoint: Endpoint, moment: int) -> None:
        identity = ("", endpoint.tenant, endpoint.id, event.type, event.delivery_id)
        self.messages.append(Message(*identity, event.body, moment, moment))

    def _put(self, endpoint: Endpoint) -> Endpoint:
        self.endpoints = [endpoint if known.id == endpoint.id else known for known in self.endpoints]
        return endpoint

    def _change(self, message: Message, **changes: object) -> Message:
        changed = replace(message, **changes)
        self.messages = [changed if known.id == message.id else known for known in self.messages]
        return changed
