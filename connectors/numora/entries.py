"""The entries of Numora's other resources: what is published is typed, and what is not passes through."""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, ValidationError

from connectors.numora.secrecy import masked
from connectors.outcome import TransientError


class Entry(BaseModel):
    """What every entry has in common. Ids that come as numbers are kept as text; unknown keys are kept as they are."""

    model_config = ConfigDict(extra="allow", coerce_numbers_to_str=True, frozen=True)
    names_are_content: ClassVar[bool] = False
    """Whether keys are somebody's fields, so that a telling one leads to no credential."""

    id: str | None = None


class Schema(Entry):
    """A document schema."""

    label: str | None = None
    status: str | None = None


class Destination(Entry):
    """A connection to a downstream system; its credentials are never part of it."""

    provider: str | None = None
    display_name: str | None = None
    status: str | None = None
    has_credentials: bool | None = None
    created_at: str | None = None
    updated_at: str | None = None


class DestinationTest(Entry):
    """How the test of a destination ended; its shape is not published."""

    status: str | None = None
    message: str | None = None


class Mappings(Entry):
    """Numora's own mapping of a schema to a destination; its shape is not published."""

    names_are_content: ClassVar[bool] = True


class Workflow(Entry):
    """A workflow of Numora's own."""

    name: str | None = None
    status: str | None = None
    version: int | None = None
    binding_count: int | None = None
    updated_at: str | None = None


class DispatchedRun(Entry):
    """A run that was queued."""

    run_id: str | None = None
    workflow_id: str | None = None
    status: str | None = None
    execution_mode: str | None = None


class Run(Entry):
    """A run, with what Numora derives as its outcome; more of its shape is not published."""

    workflow_id: str | None = None
    document_id: str | None = None
    status: str | None = None


class LogEntry(Entry):
    """What a node of a run did; its shape is not published."""

    status: str | None = None
    message: str | None = None


_LIST_NAMES: Final = ("data", "items", "logs", "nodes", "schemas", "destinations", "workflows")


def read_list(entry: type[Entry], answer: object, sent_cursor: str | None) -> tuple[list[dict[str, Any]], str | None]:
    """Return the entries of a list and the cursor of its next page.

    A list stands alone or under a name. The cursor is at ``next_cursor`` or ``meta.next_cursor``; one that comes back
    unchanged ends the list. Raises ``TransientError`` (``bad_answer``).
    """
    found: object = answer
    cursor: object = None
    if isinstance(answer, Mapping):
        found = next((answer[name] for name in _LIST_NAMES if isinstance(answer.get(name), list)), None)
        meta = answer.get("meta")
        cursor = (meta.get("next_cursor") if isinstance(meta, Mapping) else None) or answer.get("next_cursor")
        if found is None and "data" in answer and answer["data"] is None:
            found = []
    if not isinstance(found, Sequence) or isinstance(found, str):
        raise _bad()
    next_cursor = str(cursor) if cursor and isinstance(cursor, str | int) and cursor is not True else None
    return [read_one(entry, item) for item in found], next_cursor if next_cursor != sent_cursor else None


def read_one(entry: type[Entry], answer: object) -> dict[str, Any]:
    """Return one entry, typed as far as it is published; a text alone is a message. Raises ``TransientError``."""
    if isinstance(answer, str):
        answer = {"message": answer}
    if not isinstance(answer, Mapping):
        raise _bad()
    try:
        answer = answer if entry.names_are_content else masked(answer)
    except RecursionError:
        raise _bad() from None
    try:
        typed = entry.model_validate(answer)
    except ValidationError as error:
        # A value that is not of the published type is told as it is: nothing here decides by it.
        wrong = {found["loc"][0] for found in error.errors()}
        typed = entry.model_validate({name: value for name, value in answer.items() if name not in wrong})
        return {**typed.model_dump(exclude_unset=True), **{str(name): answer[str(name)] for name in wrong}}
    return typed.model_dump(exclude_unset=True)


def _bad() -> TransientError:
    return TransientError(
        "bad_answer",
        "Numora's answer does not have the expected shape. Ask again later; if it stays so, compare it with "
        "docs/numora.md.",
    )
