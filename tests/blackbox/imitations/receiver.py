"""A receiver of events: every one is verified by both of its signatures, and answered as the test likes."""

import hashlib
import hmac
from base64 import b64encode
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from tests.blackbox.imitations.wire import Seen, Server, answer


class Receiver(Server):
    """Takes messages at any path. ``statuses`` are the next answers by path; ``redirects`` lead elsewhere."""

    def __init__(self) -> None:
        super().__init__()
        self.statuses: dict[str, list[int]] = {}
        self.redirects: dict[str, str] = {}
        self.taken: dict[str, list[Seen]] = defaultdict(list)
        """By path, what was answered with a 2xx."""

    async def handle(self, seen: Seen) -> web.StreamResponse:
        if seen.path in self.redirects:
            return web.Response(status=307, headers={"Location": self.redirects[seen.path]})
        waiting = self.statuses.get(seen.path) or [200]
        status = waiting.pop(0) if len(waiting) > 1 else waiting[0]
        if status < 300:
            self.taken[seen.path].append(seen)
        return answer(status, {"ok": status < 300})

    def url(self, path: str) -> str:
        return f"{self.base}{path}"

    def at(self, path: str) -> list[Seen]:
        """Return everything that came to a path, answered well or not."""
        return [seen for seen in self.requests if seen.path == path]

    def types(self, path: str) -> Counter[str]:
        """Return how many different messages of each type came to a path."""
        ids = {seen.headers["webhook-id"]: seen.json["type"] for seen in self.at(path)}
        return Counter(ids.values())

    def messages(self, path: str) -> list[dict[str, Any]]:
        """Return the different messages that came to a path; a repeat must be the same, byte for byte."""
        bodies: dict[str, bytes] = {}
        for seen in self.at(path):
            assert bodies.setdefault(seen.headers["webhook-id"], seen.body) == seen.body
        found = {seen.headers["webhook-id"]: seen.json for seen in self.at(path)}
        return list(found.values())


def verify(seen: Seen, secret: str, others: Iterable[str] = ()) -> None:
    """Hold both signatures against a secret, the first one of those that sign; ``others`` sign as well."""
    for one in (secret, *others):
        _library(one).verify(seen.body, dict(seen.headers))
    expected = hmac.new(secret.encode(), seen.body, hashlib.sha256).hexdigest()
    assert seen.headers["x-bridge-signature-256"] == f"sha256={expected}"


def signs(seen: Seen, secret: str) -> bool:
    """Tell whether this secret is among those that signed."""
    try:
        _library(secret).verify(seen.body, dict(seen.headers))
    except WebhookVerificationError:
        return False
    return True


def _library(secret: str) -> Webhook:
    """Return the library with a secret; one that is its own UTF-8 bytes is put into the form that it knows."""
    return Webhook(secret if secret.startswith("whsec_") else "whsec_" + b64encode(secret.encode()).decode())
