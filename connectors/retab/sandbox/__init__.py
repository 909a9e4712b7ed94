"""Retab imitated on loopback."""

from connectors.retab.sandbox.decisions import decide
from connectors.retab.sandbox.samples import open_samples, sample_snapshots
from connectors.retab.sandbox.server import DEFAULT_KEY, RetabSandbox
from connectors.retab.sandbox.state import Environment, RetabRules, SandboxReview, SandboxVersion

__all__ = [
    "DEFAULT_KEY",
    "Environment",
    "RetabRules",
    "RetabSandbox",
    "SandboxReview",
    "SandboxVersion",
    "decide",
    "open_samples",
    "sample_snapshots",
]
