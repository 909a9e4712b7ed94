"""How those who are told what happens look from outside."""

from typing import Literal

import msgspec

from bridge.events.subscriptions import SubscriptionView
from bridge.shapes.encoding import Moment, timestamp, timestamp_or_none


class SubscriptionShape(msgspec.Struct, frozen=True, kw_only=True):
    """Where a tenant's events are sent.

    ``origin`` is ``config`` for one of the tenant's file, whose ``url`` is shown without its query. ``failing_since``
    is when the first of the failures in a row came, null while it answers. A ``paused`` one failed for days and is
    sent what it held once it is resumed. ``error`` is set when nothing can be sent until the same URL is subscribed
    again. ``secret`` is there once alone: in the answer to the call that had the bridge make it.
    """

    id: str
    url: str
    types: tuple[str, ...]
    state: Literal["active", "paused", "gone"]
    origin: Literal["api", "config"]
    failing_since: Moment | None
    error: str | None
    created_at: Moment
    updated_at: Moment
    secret: str | msgspec.UnsetType = msgspec.UNSET


class SubscriptionsShape(msgspec.Struct, frozen=True):
    """A page of subscriptions, newest first. ``next_cursor`` leads to the next page, null on the last one."""

    data: tuple[SubscriptionShape, ...]
    next_cursor: str | None


class TrialShape(msgspec.Struct, frozen=True):
    """The message that was queued; it goes out as the header ``webhook-id``."""

    message_id: str


def subscription_shape(view: SubscriptionView) -> SubscriptionShape:
    """Return a subscription's shape."""
    return SubscriptionShape(
        id=view.id,
        url=view.url,
        types=view.types,
        state=view.state.value,
        origin="config" if view.origin.value == "config" else "api",
        failing_since=timestamp_or_none(view.failing_since),
        error=view.error,
        created_at=timestamp(view.created_at),
        updated_at=timestamp(view.updated_at),
        secret=msgspec.UNSET if view.secret is None else view.secret,
    )
