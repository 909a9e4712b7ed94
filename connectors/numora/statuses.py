"""Numora's document statuses, and what each means to a delivery. An unknown one is never taken for a known one."""

from types import MappingProxyType
from typing import Final

from connectors.capabilities import DispatchStatus

PUSH_PENDING: Final = "push_pending"
IN_REVIEW: Final = "review_required"
PROCESSING: Final = "processing"

NOT_DELIVERABLE: Final = frozenset({PROCESSING, IN_REVIEW, "failed"})
"""Statuses in which nothing reviewed is there to deliver. Any other one, also an unknown one, may be delivered.

``push_pending`` is what a dispatch leaves behind, so it is what a document has when Numora's executor tells of it.
"""

APPROVED: Final = frozenset({"reviewed", PUSH_PENDING, "push_succeeded", "push_failed"})
"""Statuses of a document that was approved and has not been opened again."""

KNOWN: Final = NOT_DELIVERABLE | APPROVED

_DISPATCH: Final = MappingProxyType(
    {
        "reviewed": DispatchStatus.READY,
        PUSH_PENDING: DispatchStatus.PENDING,
        "push_succeeded": DispatchStatus.SUCCEEDED,
        "push_failed": DispatchStatus.FAILED,
        **dict.fromkeys(NOT_DELIVERABLE, DispatchStatus.IN_REVIEW),
    }
)


def dispatch_status(status: str | None) -> DispatchStatus:
    """Tell where a document in this status is.

    An unknown status is pending: it is neither dispatched a second time nor taken for an end, and the deadline decides.
    """
    return _DISPATCH.get(status or "", DispatchStatus.PENDING)
