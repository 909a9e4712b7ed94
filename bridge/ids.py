"""Ids that the bridge gives."""

import secrets
import time

from bridge.delivery.model import Millis


def now_millis() -> Millis:
    """Return the wall clock's time."""
    return time.time_ns() // 1_000_000


def new_delivery_id() -> str:
    """Return a new delivery id: ``dlv_``, then the time and 64 random bits in hex, so that later ids sort later."""
    return f"dlv_{now_millis():011x}{secrets.token_hex(8)}"


def new_action_id() -> str:
    """Return a new id of an action that a person asked for, made as a delivery's."""
    return f"act_{now_millis():011x}{secrets.token_hex(8)}"
