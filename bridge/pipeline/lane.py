"""Everything that the pipeline needs of one tenant: its two sides, its mappings and what is blocked."""

import asyncio
from collections.abc import Mapping

from bridge.delivery.managed import WatchRules
from bridge.pipeline.gates import Gates, Side
from connectors.outcome import BlockedError
from connectors.ports import Destination, Source
from mappings.compiled import CompiledMapping
from mappings.document import Document
from mappings.findings import Finding

MAPPING_MISMATCH = "mapping_mismatch"


class Lane:
    """One tenant's way from its source to its destination. ``mappings`` leads from schema to mapping.

    A *managed* lane has no destination: its source delivers by its own means and is watched by the rules ``watch``.
    """

    def __init__(
        self,
        tenant: str,
        source: Source,
        destination: Destination | None,
        mappings: Mapping[str, CompiledMapping],
        gates: Gates,
        *,
        watch: WatchRules | None = None,
    ) -> None:
        self.tenant = tenant
        self.source = source
        self.gates = gates
        self.watch = watch
        self._destination = destination
        self._mappings = dict(mappings)
        self._verified: dict[str, tuple[Finding, ...]] = {}
        self._verifying = asyncio.Lock()

    @property
    def managed(self) -> bool:
        """Tell whether the source delivers by its own means."""
        return self.watch is not None

    @property
    def destination(self) -> Destination:
        """Where documents are written. Nobody asks for it on a managed lane."""
        if self._destination is None:
            raise AssertionError(f"{self.tenant} has no destination: its source delivers by its own means")
        return self._destination

    async def close(self) -> None:
        """Let go of both sides."""
        await self.source.close()
        if self._destination is not None:
            await self._destination.close()

    def gone_back(self, document: Document | None) -> tuple[str, str] | None:
        """Return why a document that was fetched is not to be delivered: a code and a sentence; None when it is."""
        if document is None:
            return "document_gone", "The source no longer has the document."
        if not self.source.is_deliverable(document.status):
            return (
                "back_in_review",
                f"The document is {document.status} at the source; it is delivered once reviewed again.",
            )
        return None

    @property
    def mappings(self) -> Mapping[str, CompiledMapping]:
        """The mappings in force, by schema."""
        return self._mappings

    def remap(self, mappings: Mapping[str, CompiledMapping]) -> None:
        """Put other mappings in force; deliveries that are mapped from now on use them."""
        self._mappings = dict(mappings)
        self._verified.clear()
        for schema in self.gates.blocked_schemas():
            self.gates.clear(Side.MAPPING, schema)

    def findings(self, schema: str) -> tuple[Finding, ...] | None:
        """Return what the last check against the live target found; None when it has not been made."""
        mapping = self._mappings.get(schema)
        return self._verified.get(mapping.digest) if mapping is not None else None

    async def verify(self, mapping: CompiledMapping) -> None:
        """Hold a mapping against the live target, once.

        Raises ``BlockedError`` (``mapping_mismatch``) when it does not fit, and what the destination raises when it
        cannot be asked. What is blocked by that, this schema or the destination, is closed already.
        """
        if mapping.digest in self._verified and not self.gates.is_blocked(Side.MAPPING, mapping.schema):
            return
        try:
            async with self._verifying:
                findings = tuple(await self.destination.check(mapping))
        except BlockedError as refused:
            self.gates.block(Side.DESTINATION, refused)
            raise
        self._verified[mapping.digest] = findings
        wrong = [finding for finding in findings if finding.severity == "error"]
        if wrong:
            error = BlockedError(MAPPING_MISMATCH, "; ".join(map(str, wrong)))
            self.gates.block(Side.MAPPING, error, mapping.schema)
            raise error
        self.gates.clear(Side.MAPPING, mapping.schema)
