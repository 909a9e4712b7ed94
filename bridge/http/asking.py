"""How an action is asked for, and how its answer is passed on."""

from hashlib import sha256

from pydantic import BaseModel

from bridge.actions.asked import Answered, Asked
from bridge.http.routing import Answer, Call
from bridge.shapes.encoding import encode_sorted

REPLAYED = "Idempotency-Replayed"


def asked(call: Call) -> Asked:
    """Return how this call asks: the same for every repeat, however its body was written down."""
    body = call.body.model_dump() if isinstance(call.body, BaseModel) else None
    written = encode_sorted([call.route.method, call.route.path, call.path, body])
    return Asked(sha256(written).hexdigest(), call.key)


def passed_on(answered: Answered) -> Answer:
    """Return the answer of an action, and say when it is an earlier one."""
    headers = {REPLAYED: "true"} if answered.replayed else {}
    return Answer(bytes(answered.body), answered.status, headers=headers)
