"""What the API asks, as one value: made once, when there is a runtime to ask."""

from dataclasses import dataclass

from bridge.actions.documents import ReviewActions
from bridge.actions.resources import Resources
from bridge.actions.reviews import ReviewDecisions
from bridge.events.outbound import Outbound
from bridge.hooks import Hooks
from bridge.ledger.protocol import Ledger
from bridge.runtime import Runtime
from bridge.service import Service


@dataclass(frozen=True, slots=True)
class UseCases:
    """Everything that a caller may have the bridge do."""

    service: Service
    actions: ReviewActions
    decisions: ReviewDecisions
    resources: Resources
    hooks: Hooks
    outbound: Outbound


def use_cases(runtime: Runtime, ledger: Ledger) -> UseCases:
    """Return the use cases of a running bridge."""
    return UseCases(
        Service(runtime, ledger),
        ReviewActions(runtime, ledger),
        ReviewDecisions(runtime, ledger),
        Resources(runtime, ledger),
        Hooks(runtime, ledger),
        runtime.outbound,
    )
