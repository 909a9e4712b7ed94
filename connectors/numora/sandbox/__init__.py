"""Numora imitated on loopback."""

from connectors.numora.sandbox.calls_out import ExecutorTarget, SignedCall, WebhookTarget
from connectors.numora.sandbox.documents import Callback, SandboxDocument, Workspace
from connectors.numora.sandbox.outbox import OutboxRules
from connectors.numora.sandbox.runs import DeliveryRoute, Run
from connectors.numora.sandbox.samples import sample_documents, sample_invoices
from connectors.numora.sandbox.server import DEFAULT_KEY, NumoraSandbox
from connectors.numora.sandbox.shapes import Shape, shaped_fields, shaped_lines

__all__ = [
    "DEFAULT_KEY",
    "Callback",
    "DeliveryRoute",
    "ExecutorTarget",
    "NumoraSandbox",
    "OutboxRules",
    "Run",
    "SandboxDocument",
    "Shape",
    "SignedCall",
    "WebhookTarget",
    "Workspace",
    "sample_documents",
    "sample_invoices",
    "shaped_fields",
    "shaped_lines",
]
