"""What a tenant's Numora can do beside giving documents: all of it, and the hooks that the tenant's file describes."""

from connectors.capabilities import Capabilities
from connectors.hooks import HookReader
from connectors.numora.actions import NumoraActions, NumoraDispatcher
from connectors.numora.calls import NumoraCalls
from connectors.numora.notify import ExecutorHook
from connectors.numora.resources import NumoraResources
from connectors.numora.settings import NumoraSettings
from connectors.numora.webhooks import WebhookHook


def numora_capabilities(settings: NumoraSettings, calls: NumoraCalls) -> Capabilities:
    """Return the capabilities of one tenant's Numora."""
    actions = NumoraActions(calls, settings.provider)
    hooks: dict[str, HookReader] = {}
    if settings.webhook_secret:
        hooks["numora"] = WebhookHook(settings.webhook_secret, settings.webhook)
    if settings.notify is not None:
        hooks["executor"] = ExecutorHook(settings.notify)
    return Capabilities(
        actions=actions,
        dispatcher=NumoraDispatcher(calls, actions),
        resources=NumoraResources(calls, settings.poll.cursor_param),
        hooks=hooks,
    )
