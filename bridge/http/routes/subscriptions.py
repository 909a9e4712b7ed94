"""Routes about who is told what happens: subscribe, list, test, resume, end."""

from typing import Final

from bridge.events.subscriptions import SubscriptionNotFoundError
from bridge.http.codes import (
    BAD_CURSOR,
    BAD_SECRET,
    CONFIGURED_SUBSCRIPTION,
    FORBIDDEN_URL,
    LEDGER_UNAVAILABLE,
    SUBSCRIPTION_NOT_FOUND,
    TOO_MANY_SUBSCRIPTIONS,
)
from bridge.http.models import NoBody, PageQuery
from bridge.http.models_reviews import SubscribeBody
from bridge.http.problems import RefusedError
from bridge.http.routing import Answer, Call, Route
from bridge.shapes.subscriptions import SubscriptionShape, SubscriptionsShape, TrialShape, subscription_shape


async def list_subscriptions(call: Call) -> Answer:
    """Return a tenant's subscriptions, newest first, those of its file among them."""
    query: PageQuery = call.query
    try:
        page = await call.back.subscriptions.page(call.tenant, limit=query.limit, cursor=query.cursor)
    except ValueError:
        message = "Send next_cursor of the page before as it was given, or leave cursor out."
        raise RefusedError(BAD_CURSOR, message) from None
    return Answer(SubscriptionsShape(tuple(map(subscription_shape, page.subscriptions)), page.next_cursor))


async def subscribe(call: Call) -> Answer:
    """Have events sent to an address; 201 when that is new.

    The same address again is the same subscription: what is not given stays as it is. Another `secret` signs from then
    on, and the one before it goes on signing for 24 hours beside it. Without a `secret` the bridge makes one, and shows
    it in this answer alone.
    """
    body: SubscribeBody = call.body
    view, new = await call.back.subscriptions.create(call.tenant, body.url, body.types, body.secret)
    return Answer(subscription_shape(view), 201 if new else 200)


async def unsubscribe(call: Call) -> Answer:
    """End a subscription; what waited for it is dropped. One that is gone already is no error."""
    await call.back.subscriptions.remove(call.tenant, call.path["subscription"])
    return Answer(None, 204)


async def test_subscription(call: Call) -> Answer:
    """Send a message of type `bridge.test`, signed and retried like every other."""
    try:
        return Answer(TrialShape(await call.back.subscriptions.test(call.tenant, call.path["subscription"])), 202)
    except SubscriptionNotFoundError:
        raise _no_such_subscription() from None


async def resume_subscription(call: Call) -> Answer:
    """Have a paused subscription sent to again, first of all what it held."""
    try:
        view = await call.back.subscriptions.resume(call.tenant, call.path["subscription"])
    except SubscriptionNotFoundError:
        raise _no_such_subscription() from None
    return Answer(subscription_shape(view))


def _no_such_subscription() -> RefusedError:
    return RefusedError(SUBSCRIPTION_NOT_FOUND, "The tenant has no subscription with this id; it may have been ended.")


_ROOT: Final = "/v1/tenants/{tenant}/subscriptions"

ROUTES: Final = (
    Route(
        "GET",
        _ROOT,
        "Subscriptions, newest first",
        list_subscriptions,
        {200: SubscriptionsShape},
        query=PageQuery,
        codes=(BAD_CURSOR, LEDGER_UNAVAILABLE),
    ),
    Route(
        "POST",
        _ROOT,
        "Have events sent to an address",
        subscribe,
        {200: SubscriptionShape, 201: SubscriptionShape},
        body=SubscribeBody,
        codes=(FORBIDDEN_URL, BAD_SECRET, TOO_MANY_SUBSCRIPTIONS, LEDGER_UNAVAILABLE),
    ),
    Route(
        "DELETE",
        f"{_ROOT}/{{subscription}}",
        "End a subscription",
        unsubscribe,
        {204: None},
        codes=(CONFIGURED_SUBSCRIPTION, LEDGER_UNAVAILABLE),
    ),
    Route(
        "POST",
        f"{_ROOT}/{{subscription}}/test",
        "Send a test message",
        test_subscription,
        {202: TrialShape},
        body=NoBody,
        codes=(SUBSCRIPTION_NOT_FOUND, LEDGER_UNAVAILABLE),
    ),
    Route(
        "POST",
        f"{_ROOT}/{{subscription}}/resume",
        "Send to a paused subscription again",
        resume_subscription,
        {200: SubscriptionShape},
        body=NoBody,
        codes=(SUBSCRIPTION_NOT_FOUND, LEDGER_UNAVAILABLE),
    ),
)
