"""A write plan in Dataverse's own terms, ready to be sent or compared."""

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import msgspec

from connectors.dataverse.lookups import ResolvedLookup
from connectors.dataverse.metadata import Relationship, Table
from connectors.dataverse.values import Json
from connectors.ports import DocumentKey, FoundRow
from mappings.plan import AttachmentPlan


class Binding(msgspec.Struct, frozen=True):
    """One reference of the row. ``path`` is None when it is to be empty; ``attribute`` is the column it stands in."""

    navigation: str
    attribute: str
    path: str | None
    id: str | None


class PreparedLine(msgspec.Struct, frozen=True):
    """One line: ``key`` is its stable id in the document, ``id`` its primary key."""

    key: str
    id: str
    columns: Mapping[str, Json]


class PreparedLines(msgspec.Struct, frozen=True):
    """The lines and how they hang on the row."""

    table: Table
    relationship: Relationship
    rows: tuple[PreparedLine, ...]

    @property
    def collection(self) -> str:
        """The property of the header under which its lines stand."""
        return self.relationship.collection or ""

    @property
    def parent(self) -> str:
        """The property of a line that refers to its header, as it is bound."""
        return f"{self.relationship.navigation}@odata.bind"


class PreparedRow(msgspec.Struct, frozen=True, dict=True):
    """The document's row with everything that hangs on it.

    ``row_id`` is the primary key that a create sends; None when ``key_column`` identifies the row, and the server
    chooses the primary key.
    """

    key: DocumentKey
    table: Table
    row_id: str | None
    key_column: str | None
    key_value: str | None
    columns: Mapping[str, Json]
    bindings: tuple[Binding, ...]
    lines: PreparedLines | None
    attachments: tuple[AttachmentPlan, ...]
    sources: Mapping[str, str]
    resolved: tuple[ResolvedLookup, ...] = ()
    found: tuple[FoundRow, ...] = ()

    @cached_property
    def line_ids(self) -> frozenset[str]:
        """The primary keys of the lines."""
        return frozenset() if self.lines is None else frozenset([row.id for row in self.lines.rows])

    @cached_property
    def header(self) -> dict[str, Any]:
        """The body that creates the row without its lines."""
        body: dict[str, Any] = dict(self.columns)
        if self.row_id is not None:
            body[self.table.primary_id] = self.row_id
        for binding in self.bindings:
            if binding.path is not None:
                body[f"{binding.navigation}@odata.bind"] = binding.path
        return body

    @property
    def body(self) -> Mapping[str, Any]:
        """The body that creates the row with its lines nested in it."""
        if self.lines is None or not self.lines.rows:
            return self.header
        return {**self.header, self.lines.collection: [self.line_body(row) for row in self.lines.rows]}

    def line_body(self, row: PreparedLine) -> dict[str, Any]:
        """The body that creates one line, without its reference to the row."""
        if self.lines is None:
            return dict(row.columns)
        return {self.lines.table.primary_id: row.id, **row.columns}

    @property
    def identity_path(self) -> str:
        """The address of the row by its identity."""
        if self.key_column is not None:
            return f"{self.table.set_name}({self.key_column}='{self.key_value}')"
        return f"{self.table.set_name}({self.row_id})"
