"""Numora imitated on loopback."""

from connectors.numora.sandbox.documents import Callback, SandboxDocument, Workspace
from connectors.numora.sandbox.outbox import OutboxRules
from connectors.numora.sandbox.samples import sample_documents, sample_invoices
from connectors.numora.sandbox.server import DEFAULT_KEY, NumoraSandbox
from connectors.numora.sandbox.shapes import Shape, shaped_fields, shaped_lines

__all__ = [
    "DEFAULT_KEY",
    "Callback",
    "NumoraSandbox",
    "OutboxRules",
    "SandboxDocument",
    "Shape",
    "Workspace",
    "sample_documents",
    "sample_invoices",
    "shaped_fields",
    "shaped_lines",
]
