"""What became of a delivery, in one line."""

from collections import Counter
from collections.abc import Iterable

from bridge.cli.terminal import report, say
from bridge.delivery.model import Delivery, Millis, State
from bridge.shapes.encoding import timestamp

_GOOD = frozenset({State.SUCCEEDED, State.SKIPPED, State.SUPERSEDED})


def moment(millis: Millis | None) -> str:
    """Write a moment for a person: UTC, to the second."""
    return "" if millis is None else f"{timestamp(millis)[:19]}Z"


def why(delivery: Delivery) -> str:
    """Return why a delivery is as it is; empty when there is nothing to say."""
    return f"{delivery.error.message} [{delivery.error.code}]" if delivery.error else ""


def tell(delivery: Delivery) -> None:
    """Print what became of a delivery, and every problem of the document."""
    reason = f": {why(delivery)}" if delivery.error else ""
    match delivery.state:
        case State.SUCCEEDED if delivery.record_id is None:
            report(True, f"{delivery.document_id}: delivered")
        case State.SUCCEEDED:
            report(True, f"{delivery.document_id}: {delivery.operation or 'delivered'}, row {delivery.record_id}")
        case State.QUEUED if _is_watched(delivery):
            report(
                None, f"{delivery.document_id}: on its way at the source, looked at {moment(delivery.due_at)}{reason}"
            )
        case State.QUEUED | State.WORKING:
            report(None, f"{delivery.document_id}: waits until {moment(delivery.due_at)}{reason}")
        case _ if len(delivery.problems) > 1:
            report(False, f"{delivery.document_id}: {delivery.state}, {len(delivery.problems)} problems")
            for problem in delivery.problems:
                say(f"    {problem.message} [{problem.code}]")
        case _:
            report(delivery.state in _GOOD, f"{delivery.document_id}: {delivery.state}{reason}")


def counted(deliveries: Iterable[Delivery]) -> str:
    """Return how many deliveries stand in which state: ``10 succeeded, 1 failed``; those that wait are ``queued``."""
    counts = Counter(delivery.state for delivery in deliveries)
    return ", ".join(f"{counts[state]} {state}" for state in State if counts[state]) or "nothing was due"


def all_well(deliveries: Iterable[Delivery]) -> bool:
    """Tell whether every one of these got where it should, or is on its way there at the source."""
    return all(delivery.state in _GOOD or _is_watched(delivery) for delivery in deliveries)


def _is_watched(delivery: Delivery) -> bool:
    return delivery.state is State.QUEUED and delivery.watch is not None and delivery.watch.taken
