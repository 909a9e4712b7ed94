"""Everything that the pipeline needs of one tenant: its two sides, its mappings and what is blocked."""

import asyncio
from collections.abc import Iterable, Mapping

from bridge.delivery.managed import WatchRules
from bridge.pipeline.gates import Gates, Side
from connectors.outcome import BlockedError, OutcomeError
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
        self._refused: dict[str, tuple[Finding, ...]] = {}

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

    def remap(self, mappings: Mapping[str, CompiledMapping]) -> bool:
        """Put other mappings in force; deliveries that are mapped from now on use them. Tell whether any differs."""
        if _digests(mappings) == _digests(self._mappings):
            return False
        self._mappings = dict(mappings)
        self._verified.clear()
        for schema in self.gates.blocked_schemas():
            self.gates.clear(Side.MAPPING, schema)
        return True

    def take_over(self, previous: "Lane") -> None:
        """Go on with the mappings that the lane before this one knows to fit the same target."""
        for schema in self._mappings:
            if (known := previous.known_to_fit(schema)) is not None:
                self._mappings[schema] = known
                self._verified[known.digest] = previous.findings(schema) or ()

    def known_to_fit(self, schema: str) -> CompiledMapping | None:
        """Return the mapping in force if it was held against the live target and fits; else None."""
        found = self.findings(schema)
        fits = found is not None and not _errors(found) and not self.gates.is_blocked(Side.MAPPING, schema)
        return self._mappings[schema] if fits else None

    @property
    def refused(self) -> tuple[Finding, ...]:
        """Why newer mappings have not taken the place of those in force."""
        return tuple(finding for findings in self._refused.values() for finding in findings)

    async def choose(self, wanted: Mapping[str, CompiledMapping]) -> tuple[Mapping[str, CompiledMapping], set[str]]:
        """Hold newer mappings against the live target, and choose for each schema which one is to be in force.

        One that fits stays until it is known that the newer one fits as well. Returns the choice, and the schemas
        whose newer mapping has to wait; what does not fit is in ``refused`` from then on.
        """
        chosen = dict(wanted)
        waiting: set[str] = set()
        refused: dict[str, tuple[Finding, ...]] = {}
        for schema, newer in wanted.items():
            known = self.known_to_fit(schema)
            if known is None or known.digest == newer.digest:
                continue
            try:
                async with self._verifying:
                    wrong = _errors(await self.destination.check(newer))
            except OutcomeError:
                wrong = ()
            else:
                if not wrong:
                    continue
            chosen[schema], refused[schema] = known, wrong
            waiting.add(schema)
        self._refused = refused
        return chosen, waiting

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
        wrong = _errors(findings)
        if wrong:
            error = BlockedError(MAPPING_MISMATCH, "; ".join(map(str, wrong)))
            self.gates.block(Side.MAPPING, error, mapping.schema)
            raise error
        self.gates.clear(Side.MAPPING, mapping.schema)


def _errors(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(finding for finding in findings if finding.severity == "error")


def _digests(mappings: Mapping[str, CompiledMapping]) -> dict[str, str]:
    return {schema: mapping.digest for schema, mapping in mappings.items()}
