"""What Numora itself sends: signed webhooks and the notifications of its n8n executor, with repeats until taken.

The signatures are made here once more, apart from the code that verifies them.
"""

import asyncio
import hmac
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from itertools import count
from typing import Any, Literal

import aiohttp

from connectors.http import close_session, encode_json, open_session

_TIMEOUT = aiohttp.ClientTimeout(total=10)


@dataclass(frozen=True, slots=True)
class SignedCall:
    """A call as it goes out: its headers and the bytes of its body."""

    headers: Mapping[str, str]
    body: bytes


@dataclass(slots=True)
class WebhookTarget:
    """Where a workspace's webhooks go. With several ``secrets`` a call has a signature by each.

    ``url`` None sends nothing by itself. ``template`` is the text that is signed.
    """

    secrets: Sequence[str]
    url: str | None = None
    template: str = "{t}.{raw}"


@dataclass(slots=True)
class ExecutorTarget:
    """The shared n8n executor: where it is told of a document, and how the call proves where it comes from.

    ``hmac`` signs the raw body; ``header`` carries the secret or the signature.
    """

    secret: str
    url: str | None = None
    auth: Literal["header", "bearer", "hmac"] = "header"
    header: str = "X-Numora-Secret"


def webhook_call(
    target: WebhookTarget, event_id: str, type_: str, data: Mapping[str, Any], moment: datetime
) -> SignedCall:
    """Return a webhook, signed at ``moment``."""
    at = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    body = encode_json({"id": event_id, "type": type_, "created_at": at, "data": data})
    before, _, after = target.template.partition("{raw}")
    values = {"t": at, "id": event_id}
    text = before.format(**values).encode() + body + after.format(**values).encode()
    signatures = [f"v1={hmac.digest(secret.encode(), text, 'sha256').hex()}" for secret in target.secrets]
    return SignedCall(
        {
            "Content-Type": "application/json",
            "X-Numora-Webhook-Id": event_id,
            "X-Numora-Webhook-Timestamp": at,
            "X-Numora-Webhook-Signature": ",".join([f"t={at}", *signatures]),
        },
        body,
    )


def executor_call(target: ExecutorTarget, content: Mapping[str, Any]) -> SignedCall:
    """Return the executor's notification."""
    body = encode_json(content)
    name, value = target.header, target.secret
    if target.auth == "bearer":
        name, value = "Authorization", f"Bearer {target.secret}"
    elif target.auth == "hmac":
        value = f"sha256={hmac.digest(target.secret.encode(), body, 'sha256').hex()}"
    return SignedCall({"Content-Type": "application/json", name: value}, body)


@dataclass(slots=True)
class Sending:
    """A call and what each try was answered; None when no answer came."""

    id: str
    url: str
    answers: list[int | None] = field(default_factory=list)

    @property
    def taken(self) -> bool:
        """Whether the last try was answered well."""
        return bool(self.answers) and self.answers[-1] is not None and 200 <= self.answers[-1] < 300


class CallsOut:
    """Sends calls in the background. ``pauses`` are the seconds before each try; after the last it gives up."""

    def __init__(self, pauses: Iterable[float] = (0.0, 0.2, 1.0, 5.0)) -> None:
        self.pauses = tuple(pauses)
        self.sendings: list[Sending] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._session: aiohttp.ClientSession | None = None
        self._numbers = count(1)

    def next_id(self, prefix: str) -> str:
        """Return an id that was not given before."""
        return f"{prefix}_{next(self._numbers):06x}"

    def send(self, call_id: str, url: str, make: Callable[[], SignedCall]) -> Sending:
        """Send a call, which is made anew for every try, as its signature holds the time."""
        sending = Sending(call_id, url)
        self.sendings.append(sending)
        task = asyncio.get_running_loop().create_task(self._send(sending, make))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return sending

    async def settled(self) -> None:
        """Wait until every call was taken or given up."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def close(self) -> None:
        """Give up what is under way."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._session is not None:
            await close_session(self._session)
            self._session = None

    async def _send(self, sending: Sending, make: Callable[[], SignedCall]) -> None:
        for pause in self.pauses:
            await asyncio.sleep(pause)
            sending.answers.append(await self._try(sending.url, make()))
            if sending.taken:
                return

    async def _try(self, url: str, call: SignedCall) -> int | None:
        if self._session is None:
            self._session = open_session()
        try:
            async with self._session.post(
                url, data=call.body, headers=call.headers, timeout=_TIMEOUT, allow_redirects=False
            ) as response:
                return response.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            return None
