"""How reviews look from outside: as their own system gives them, with what belongs to them."""

from collections.abc import Mapping
from typing import Any

import msgspec


class ReviewShape(msgspec.Struct, frozen=True):
    """A review as its own system gives it. Its other keys are that system's."""

    id: str


class ReviewsShape(msgspec.Struct, frozen=True):
    """A page of reviews. ``next_cursor`` leads to the next page, null on the last one."""

    data: tuple[ReviewShape, ...]
    next_cursor: str | None


class VersionShape(msgspec.Struct, frozen=True):
    """A version of what is reviewed: ``snapshot`` is its data. Its other keys are the review system's."""

    id: str
    snapshot: Mapping[str, Any]


class ReviewDetailShape(ReviewShape, frozen=True):
    """A review with its versions, oldest first.

    ``latest_version_ids`` are those that no other version was made from.
    """

    versions: tuple[VersionShape, ...]
    latest_version_ids: tuple[str, ...]
