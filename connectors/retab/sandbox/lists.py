"""Lists: filters, order, and pages whose cursors are the ids at their ends."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Final, TypeVar

from connectors.retab.sandbox.errors import invalid, refused
from connectors.retab.sandbox.state import SandboxReview

Row = TypeVar("Row")

REVIEW_FILTERS: Final = ("workflow_id", "run_id", "block_id", "step_id", "iteration_key")
_DECIDED: Final = frozenset({"approved", "rejected"})
_STATUSES: Final[Mapping[str, frozenset[str]]] = {
    "pending": frozenset({"pending"}),
    "approved": frozenset({"approved"}),
    "rejected": frozenset({"rejected"}),
    "decided": _DECIDED,
    "cancelled": frozenset({"cancelled"}),
    "all": _DECIDED | {"pending", "cancelled"},
}
_LARGEST_PAGE: Final = 200


def wanted_reviews(query: Mapping[str, str]) -> Callable[[SandboxReview], bool]:
    """Return what tells whether a query asks for a review. Raises ``RefusedError`` for a filter that is none."""
    status = query.get("decision_status", "pending")
    if status not in _STATUSES:
        raise invalid(["query", "decision_status"], f"Input should be one of {', '.join(_STATUSES)}", "enum", status)

    def is_wanted(review: SandboxReview) -> bool:
        return review.status in _STATUSES[status] and all(
            query.get(name) in {None, getattr(review, name)} for name in REVIEW_FILTERS
        )

    return is_wanted


def in_order(
    rows: Iterable[Row], query: Mapping[str, str], key: Callable[[Row], Any], *, default: str = "asc"
) -> list[Row]:
    """Sort rows the way a query asks for. Raises ``RefusedError`` for an order that is none."""
    order = query.get("order", default)
    if order not in {"asc", "desc"}:
        raise invalid(["query", "order"], "Input should be 'asc' or 'desc'", "enum", order)
    return sorted(rows, key=key, reverse=order == "desc")


def page(
    rows: Sequence[Row],
    query: Mapping[str, str],
    id_of: Callable[[Row], str],
    body_of: Callable[[Row], dict[str, Any]],
    *,
    is_wanted: Callable[[Row], bool] = lambda _: True,
    default_limit: int = 50,
) -> dict[str, Any]:
    """Return one page of what is wanted of rows that are in order already. Raises ``RefusedError``.

    A cursor is an id, and keeps its place when its row is not wanted any more.
    """
    limit = _limit(query.get("limit"), default_limit)
    before, after = query.get("before"), query.get("after")
    if before is not None and after is not None:
        raise refused(400, "before and after cannot be used together.")
    places = {id_of(row): place for place, row in enumerate(rows)}
    start = _place(places, after) + 1 if after is not None else 0
    end = _place(places, before) if before is not None else len(rows)
    found = [row for row in rows[start:end] if is_wanted(row)]
    shown = found[:limit] if before is None else found[-limit:]
    earlier = any(is_wanted(row) for row in rows[: places[id_of(shown[0])]]) if shown else False
    later = any(is_wanted(row) for row in rows[places[id_of(shown[-1])] + 1 :]) if shown else False
    return {
        "data": [body_of(row) for row in shown],
        "list_metadata": {
            "before": id_of(shown[0]) if earlier else None,
            "after": id_of(shown[-1]) if later else None,
        },
    }


def _place(places: Mapping[str, int], cursor: str) -> int:
    if cursor not in places:
        raise refused(400, "The cursor is not valid.")
    return places[cursor]


def _limit(given: str | None, default: int) -> int:
    if given is None:
        return default
    if not given.isdecimal() or not 1 <= int(given) <= _LARGEST_PAGE:
        raise invalid(["query", "limit"], f"Input should be from 1 to {_LARGEST_PAGE}", "value_error", given)
    return int(given)
