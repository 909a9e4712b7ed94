"""Calls that outside systems make to the bridge. They carry a signature or a secret of their own instead of a key."""

from typing import Final

from bridge.hooks import HookAnswer
from bridge.http.codes import HOOK_NOT_FOUND, HOOK_REFUSED, HOOK_UNREADABLE, LEDGER_UNAVAILABLE, STARTING
from bridge.http.problems import RefusedError
from bridge.http.routing import Access, Answer, Call, Route
from bridge.runtime import NotFoundError


async def take_hook(call: Call) -> Answer:
    """Take a call of Numora, of Numora's executor or of Retab.

    The signature or secret is verified on the raw bytes, and the call is stored before it is answered. A repeat has
    no second effect. What a tenant takes is set in its file: `source.webhook_secret` for `numora`, `source.notify` for
    `executor`. A tenant that does not exist and one that takes no such calls answer alike.
    """
    tenant, hook = call.path["tenant"], call.path["hook"]
    try:
        taken = await call.back.use_cases.hooks.take(tenant, hook, call.headers, call.body)
    except NotFoundError:
        service = call.back.service
        if not service.complete and not service.has_tenant(tenant):
            message = "The tenants are being put to work. Send the call again."
            raise RefusedError(STARTING, message, headers={"Retry-After": "1"}) from None
        message = "No calls are taken under this address. Check tenant, path, and the tenant's file."
        raise RefusedError(HOOK_NOT_FOUND, message) from None
    return Answer(taken, 202)


ROUTES: Final = (
    Route(
        "POST",
        "/hooks/{tenant}/{hook}",
        "Take a signed call of an outside system",
        take_hook,
        {202: HookAnswer},
        Access.PUBLIC,
        raw=True,
        codes=(HOOK_REFUSED, HOOK_UNREADABLE, HOOK_NOT_FOUND, LEDGER_UNAVAILABLE),
    ),
)
