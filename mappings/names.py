"""Every name that a mapping expects to find at the destination, for a check against the live target."""

from dataclasses import dataclass
from typing import Literal

from mappings.plan import Identity, MissingPolicy, Scalar

Kind = Literal["text", "decimal", "money", "integer", "boolean", "date", "datetime", "choice", "guid"]
KeyPath = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class TargetColumn:
    """A column that the mapping writes to, or matches by.

    ``kind`` is the ``as`` of the mapping; None for a constant that has no ``as``, whose values alone must fit.
    ``constants`` holds the ``value`` and the ``default`` that are written as they stand, ``options`` what a choice can
    become. ``scale`` is the largest number of fraction digits that comes out, None when any may. ``max_length`` is the
    length that texts are cut to, None when they are not cut. ``required`` is the mapping's ``required: true``;
    ``always_set`` is True when no document leaves the column empty.
    """

    name: str
    path: KeyPath
    kind: Kind | None = "text"
    constants: tuple[Scalar, ...] = ()
    options: tuple[int | str | bool, ...] = ()
    scale: int | None = None
    max_length: int | None = None
    required: bool = False
    always_set: bool = False


@dataclass(frozen=True, slots=True)
class TargetRule:
    """One rule of a lookup: the columns of the other table that are matched together."""

    columns: tuple[TargetColumn, ...]
    path: KeyPath

    @property
    def names(self) -> tuple[str, ...]:
        """The matched columns' names."""
        return tuple(column.name for column in self.columns)


@dataclass(frozen=True, slots=True)
class TargetLookup:
    """A reference to a row of ``table``; ``column`` is the name that stands in the file (``numora_Vendor``)."""

    column: str
    table: str
    rules: tuple[TargetRule, ...]
    missing: MissingPolicy
    path: KeyPath


@dataclass(frozen=True, slots=True)
class TargetLines:
    """The table that the document's lines go to."""

    table: str
    columns: tuple[TargetColumn, ...]
    path: KeyPath


@dataclass(frozen=True, slots=True)
class TargetAttachment:
    """A file that hangs on the row; ``column`` is set when ``kind`` is ``file_column``."""

    kind: Literal["note", "file_column"]
    column: str | None
    path: KeyPath


@dataclass(frozen=True, slots=True)
class TargetNames:
    """All of it. Every ``path`` is the key path in the mapping file, good for ``CompiledMapping.finding``."""

    table: str
    table_path: KeyPath
    identity: Identity
    identity_path: KeyPath
    columns: tuple[TargetColumn, ...]
    lookups: tuple[TargetLookup, ...] = ()
    lines: TargetLines | None = None
    attachments: tuple[TargetAttachment, ...] = ()
