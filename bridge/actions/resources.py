"""The source's other resources, with the tenant's key and as a closed list of operations."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec

from bridge.actions.asked import Answered, Asked, UnsupportedError
from bridge.actions.desk import ActionDesk, ActionJournal, Done
from bridge.ledger.protocol import Ledger
from bridge.pipeline.journal import NoJournal
from bridge.runtime import Runtime
from bridge.shapes.actions import ResourceListShape
from bridge.shapes.encoding import encode
from connectors.capabilities import ResourceAnswer

ONCE: Final = frozenset({"create_destination", "dispatch_workflow"})
"""Operations of which a second one is a second effect."""


class Resources:
    """Calls operations of ``source.capabilities.resources``."""

    def __init__(self, runtime: Runtime, ledger: Ledger) -> None:
        self._runtime = runtime
        self._desk = ActionDesk(ledger, runtime.clock)

    async def call(
        self,
        tenant: str,
        operation: str,
        asked: Asked | None = None,
        *,
        path: Mapping[str, str],
        body: Mapping[str, Any] | None = None,
        limit: int | None = None,
        cursor: str | None = None,
    ) -> Answered:
        """Make one call, and answer what the source answered, a list as a ``ResourceListShape``.

        ``asked`` is given for operations that change something. Raises ``NotFoundError`` (no such tenant),
        ``UnsupportedError`` (``no_resources``: the source has none of these, or not this operation), the source's
        ``OutcomeError``s, ``ActionRefusedError`` among them, and for operations that change something
        ``KeyReusedError``, ``InProgressError`` and ``NotKnownError``.
        """
        line = self._runtime.line(tenant)
        source = line.lane.source
        resources = source.capabilities.resources
        if resources is None or operation not in resources.operations:
            raise UnsupportedError("no_resources", f"A source of kind {source.kind} has nothing of this kind.")
        if asked is None:
            answer = await resources.call(operation, NoJournal(), path=path, body=body, limit=limit, cursor=cursor)
            return Answered(answer.status, msgspec.Raw(encode(_shape(answer))))

        async def do(journal: ActionJournal) -> Done:
            answer = await resources.call(operation, journal, path=path, body=body)
            return Done(answer.status, _shape(answer))

        subject = f"{operation} {' '.join(path.values())}".strip()
        return await self._desk.act(tenant, operation, subject, asked, do, repeatable=operation not in ONCE)


def _shape(answer: ResourceAnswer) -> Any:
    if isinstance(answer.body, list | tuple):
        return ResourceListShape(tuple(answer.body), answer.next_cursor)
    return answer.body
