"""The calls of Numora's shared n8n executor. Their form is not published, so that the tenant's file describes it."""

import hmac
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final
from uuid import uuid4

from connectors.hooks import HookCall, HookEffect, HookRefusedError
from connectors.numora.settings import BearerAuth, HmacAuth, NotifySettings
from connectors.numora.signing import (
    LONGEST_EVENT_ID,
    as_id,
    body_of,
    header_of,
    mac_of,
    same_secret,
    to_mac,
    unreadable,
    unsigned,
)
from connectors.numora.webhooks import ID_HEADER
from mappings.selection import Selection, compile_selection
from mappings.values import ValueProblemError

TYPE: Final = "executor.notify"


def _new_id() -> str:
    return f"call_{uuid4().hex}"


class ExecutorHook:
    """``HookReader`` for the executor's calls. Every one of them asks for its document to be delivered.

    A call that names no id of its own is always a new one: the executor may call twice about one document, and the
    second call may be about newer content.
    """

    def __init__(self, settings: NotifySettings, new_id: Callable[[], str] = _new_id) -> None:
        self._auth = settings.auth
        self._document_id = compile_selection(settings.document_id)
        self._event_id = None if settings.event_id is None else compile_selection(settings.event_id)
        self._new_id = new_id

    def read(self, headers: Mapping[str, str], body: bytes, now: datetime) -> HookCall:
        """Return what a call says. Raises ``HookRefusedError``."""
        self._verify(headers, body)
        content = body_of(body)
        document_id = as_id(_selected(self._document_id, content))
        if document_id is None:
            raise unreadable(f"There is no usable document id at {self._document_id.text} (source.notify.document_id).")
        return HookCall(self._event_id_of(headers, content), TYPE, HookEffect.DELIVER, document_id)

    def _verify(self, headers: Mapping[str, str], body: bytes) -> None:
        auth = self._auth
        secret = auth.secret.get_secret_value()
        name = "Authorization" if isinstance(auth, BearerAuth) else auth.header
        given = header_of(headers, name)
        if given is None:
            raise unsigned(name)
        if isinstance(auth, HmacAuth):
            mac = to_mac(given)
            fits = mac is not None and hmac.compare_digest(mac_of(secret, (body,)), mac)
        elif isinstance(auth, BearerAuth):
            scheme, _, token = given.partition(" ")
            fits = same_secret(token.strip(), secret) and scheme.lower() == "bearer"
        else:
            fits = same_secret(given, secret)
        if not fits:
            raise HookRefusedError("hook_bad_signature", f"{name} does not hold what source.notify.auth asks for.")

    def _event_id_of(self, headers: Mapping[str, str], content: Any) -> str:
        if self._event_id is not None:
            selected = _selected(self._event_id, content)
            if selected is not None:
                event_id = as_id(str(selected) if type(selected) is int else selected, LONGEST_EVENT_ID)
                if event_id is None:
                    raise unreadable(f"There is no usable id at {self._event_id.text} (source.notify.event_id).")
                return event_id
        return as_id(header_of(headers, ID_HEADER), LONGEST_EVENT_ID) or self._new_id()


def _selected(selection: Selection, content: Any) -> Any:
    try:
        return selection.select(content)
    except (ValueProblemError, RecursionError):
        raise unreadable(f"{selection.text} cannot be worked out on the body.") from None
