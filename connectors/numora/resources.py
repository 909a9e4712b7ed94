"""Numora's other resources, as a closed list of operations. Each has one path; nothing else can be reached."""

from collections.abc import Mapping
from typing import Any, Final, Literal

import msgspec

from connectors.capabilities import ResourceAnswer
from connectors.http import Answer, encode_json
from connectors.numora.calls import NumoraCalls
from connectors.numora.entries import (
    Destination,
    DestinationTest,
    DispatchedRun,
    Entry,
    LogEntry,
    Mappings,
    Run,
    Schema,
    Workflow,
    read_list,
    read_one,
)
from connectors.numora.refusals import action_failure, is_success
from connectors.numora.secrecy import WithoutExcerpts, without_secrets
from connectors.outcome import TransientError, UnknownOutcomeError
from connectors.ports import RequestLog


class Operation(msgspec.Struct, frozen=True):
    """One operation: method, path below ``/v1`` (a segment in braces is an id), and what its answer holds.

    ``once`` is what is told after a lost answer when a repeat might do it a second time.
    """

    method: Literal["GET", "POST", "PUT"]
    path: str
    entry: type[Entry]
    lists: bool = False
    once: str | None = None
    secret: bool = False


OPERATIONS: Final[Mapping[str, Operation]] = {
    "schemas": Operation("GET", "schemas", Schema, lists=True),
    "destinations": Operation("GET", "destinations", Destination, lists=True),
    "create_destination": Operation(
        "POST",
        "destinations",
        Destination,
        once="List the destinations before you create it again, or there may be two.",
        secret=True,
    ),
    "test_destination": Operation("POST", "destinations/{id}/test", DestinationTest, secret=True),
    "mapping": Operation("GET", "mappings/{schema}/{destination}", Mappings),
    "put_mapping": Operation("PUT", "mappings/{schema}/{destination}", Mappings),
    "workflows": Operation("GET", "workflows", Workflow, lists=True),
    "dispatch_workflow": Operation(
        "POST",
        "workflows/{id}/dispatch",
        DispatchedRun,
        once="Look at the document before you dispatch it again, or there may be two runs.",
    ),
    "run": Operation("GET", "runs/{id}", Run),
    "run_logs": Operation("GET", "runs/{id}/logs", LogEntry, lists=True),
}
"""Every operation by its name."""

_REPEATABLE: Final = "It may be sent again: a repeat does the same."
_QUEUED: Final = {"execution_mode": "queued"}


class NumoraResources:
    """``SourceResources`` at Numora. The ids of a path are named as in ``OPERATIONS``.

    The body of an answer is the object that Numora gave, keys that nobody documented included; of a list it is the list
    of its entries. Values that look like credentials are never passed on, not even where Numora echoes what was sent.
    """

    operations: frozenset[str] = frozenset(OPERATIONS)

    def __init__(self, calls: NumoraCalls, cursor_param: str) -> None:
        self._calls = calls
        self._cursor_param = cursor_param

    async def call(
        self,
        operation: str,
        log: RequestLog,
        *,
        path: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> ResourceAnswer:
        """Make one call. ``limit`` and ``cursor`` are for lists. Raises ``ValueError`` for an unknown operation or id.

        A lost answer is an ``UnknownOutcomeError`` that says whether a repeat is safe.
        """
        known = OPERATIONS.get(operation)
        if known is None:
            raise ValueError(f"numora has no operation {operation}")
        address = self._address(operation, known, path, limit, cursor)
        if known.method == "GET":
            return _understood(known, await self._read(operation, address, log), cursor)
        sent = {**_QUEUED, **(body or {})} if operation == "dispatch_workflow" else dict(body or {})
        return _understood(known, await self._change(operation, known, address, sent, log), None)

    def _address(
        self, operation: str, known: Operation, path: Mapping[str, str], limit: int | None, cursor: str | None
    ) -> str:
        query: dict[str, str] = {}
        if known.lists and limit is not None:
            query["limit"] = str(limit)
        if known.lists and cursor is not None:
            query[self._cursor_param] = cursor
        wanted = {part[1:-1] for part in known.path.split("/") if part.startswith("{")}
        if wanted != path.keys():
            raise ValueError(f"the path of {operation} takes {sorted(wanted)}, not {sorted(path)}")
        segments = [path[part[1:-1]] if part.startswith("{") else part for part in known.path.split("/")]
        return self._calls.addresses.below(*segments, query=query)

    async def _read(self, operation: str, address: str, log: RequestLog) -> Answer:
        answer = await self._calls.get(address, operation, log)
        if is_success(answer):
            return answer
        failure = action_failure(answer, _words(operation))
        if isinstance(failure, UnknownOutcomeError):
            raise TransientError("numora_unavailable", failure.message, retry_after=failure.retry_after)
        raise failure

    async def _change(
        self, operation: str, known: Operation, address: str, body: Mapping[str, Any], log: RequestLog
    ) -> Answer:
        if known.secret:
            # An error may quote what it was sent, and an excerpt of it would be kept.
            log = WithoutExcerpts(log)
        method: Literal["POST", "PUT"] = "PUT" if known.method == "PUT" else "POST"
        try:
            answer = await self._calls.change(method, address, operation, encode_json(body), log)
        except UnknownOutcomeError as lost:
            raise _unknown(known, lost.message, lost.retry_after) from lost
        if is_success(answer):
            return answer
        failure = action_failure(
            answer, _words(operation), said=without_secrets(answer, body) if known.secret else None
        )
        if isinstance(failure, UnknownOutcomeError):
            raise _unknown(known, failure.message, failure.retry_after)
        raise failure


def _unknown(known: Operation, message: str, retry_after: float | None) -> UnknownOutcomeError:
    return UnknownOutcomeError(
        "numora_outcome_unknown", f"{message} {known.once or _REPEATABLE}", retry_after=retry_after
    )


def _understood(known: Operation, answer: Answer, cursor: str | None) -> ResourceAnswer:
    if known.lists:
        entries, next_cursor = read_list(known.entry, answer.json(), cursor)
        return ResourceAnswer(answer.status, entries, next_cursor)
    if known.method == "GET":
        return ResourceAnswer(answer.status, read_one(known.entry, answer.json()))
    # It was done, whatever the body says: an answer that cannot be read is no reason to tell of a failure.
    try:
        return ResourceAnswer(answer.status, read_one(known.entry, answer.json()))
    except TransientError:
        return ResourceAnswer(answer.status, {})


def _words(operation: str) -> str:
    return operation.replace("_", " ")
