"""The outbox: pages behind opaque cursors, which grow old, wear out and stand in either of two places."""

import time
from dataclasses import dataclass, field
from typing import Any, Literal

from connectors.numora.sandbox.documents import SandboxDocument, Workspace

_REMEMBERED_CURSORS = 10_000


@dataclass
class OutboxRules:
    """How the outbox behaves. Every rule may be changed while the sandbox runs.

    ``cursor_place`` is where ``next_cursor`` stands. A cursor may be used ``cursor_uses`` times and for ``cursor_age``
    seconds (None: for ever), then it is refused with the status ``cursor_refusal``. ``absent`` makes the whole outbox
    answer 404 or 410. ``stale_polls`` lists a delivered document this many times more; ``failed_again`` lists failed
    ones for ever.
    """

    cursor_place: Literal["meta", "top", "both"] = "meta"
    cursor_param: str = "cursor"
    cursor_uses: int | None = None
    cursor_age: float | None = None
    cursor_refusal: int = 410
    absent: int | None = None
    largest_page: int = 100
    stale_polls: int = 0
    failed_again: bool = True


class CursorError(Exception):
    """The cursor is unknown, old or worn out."""


@dataclass
class _Cursor:
    place: int
    given_at: float
    uses: int = 0


@dataclass
class Outbox:
    """The pages of one workspace."""

    workspace: Workspace
    rules: OutboxRules
    _cursors: dict[str, _Cursor] = field(default_factory=dict)
    _given: int = 0

    def page(self, provider: str, limit: int, cursor: str | None) -> dict[str, Any]:
        """Return one page. Raises ``CursorError``."""
        place = 0 if cursor is None else self._use(cursor)
        limit = min(limit, self.rules.largest_page)
        shown: list[SandboxDocument] = []
        more = False
        for document in self.workspace.listed_after(place):
            if len(shown) == limit:
                more = True
                break
            shown.append(document)
        rows = [document.row() for document in shown]
        next_cursor = self._give(shown[-1].place) if more else None
        for document in shown:
            self._grow_consistent(document)
        page: dict[str, Any] = {"data": rows, "meta": {"provider": provider}}
        if self.rules.cursor_place != "top":
            page["meta"]["next_cursor"] = next_cursor
        if self.rules.cursor_place != "meta":
            page["next_cursor"] = next_cursor
        return page

    def _grow_consistent(self, document: SandboxDocument) -> None:
        """Let go of a delivered document once it was shown for as long as the outbox lags behind."""
        if document.settled:
            document.stale_polls -= 1
            if document.stale_polls <= 0:
                self.workspace.unlist(document)

    def _give(self, place: int) -> str:
        self._given += 1
        cursor = f"cur_{self._given:x}.{place:x}="
        self._cursors[cursor] = _Cursor(place, time.monotonic())
        if len(self._cursors) > _REMEMBERED_CURSORS:
            del self._cursors[next(iter(self._cursors))]
        return cursor

    def _use(self, name: str) -> int:
        cursor = self._cursors.get(name)
        rules = self.rules
        if cursor is None:
            raise CursorError
        if rules.cursor_age is not None and time.monotonic() - cursor.given_at > rules.cursor_age:
            raise CursorError
        if rules.cursor_uses is not None and cursor.uses >= rules.cursor_uses:
            raise CursorError
        cursor.uses += 1
        return cursor.place
