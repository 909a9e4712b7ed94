"""The write plan: what a mapping makes of a document, before any outside system is asked."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Literal
from uuid import UUID

import msgspec

Scalar = str | int | Decimal | bool | date | datetime | UUID | None
"""A value ready to be written. A ``date`` never carries a time zone; a ``datetime`` always does."""

MissingPolicy = Literal["skip", "reject", "empty", "create"]


@dataclass(frozen=True, slots=True)
class Problem:
    """One reason why a document cannot be delivered as it is, in the reviewer's words.

    ``field`` is the name at the source (``fields.invoice_date`` is reported as ``invoice_date``, a line's as
    ``line_items[li_1].amount``), ``column`` the one at the destination.
    """

    field: str | None
    column: str | None
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class Identity:
    """How the destination recognises the document's row."""

    by: Literal["primary_key", "alternate_key"] = "primary_key"
    column: str | None = None


class LookupPlan(msgspec.Struct, frozen=True):
    """A reference to a row of another table, found by the values of ``criteria``.

    ``criteria`` is None when no rule of the mapping had values; ``fields`` names the source fields that the rule in
    use reads, for the reviewer: those of every rule when none had values.
    """

    column: str
    table: str
    criteria: Mapping[str, Scalar] | None
    missing: MissingPolicy
    fields: tuple[str, ...] = ()


class LineRow(msgspec.Struct, frozen=True):
    """One line: ``key`` is the stable row id inside the document."""

    key: str
    columns: Mapping[str, Scalar]


class LinesPlan(msgspec.Struct, frozen=True):
    """The lines that belong to the document's row."""

    table: str
    rows: tuple[LineRow, ...]


@dataclass(frozen=True, slots=True)
class AttachmentPlan:
    """A file to attach to the row, fetched from ``url``; ``column`` is set when ``kind`` is ``file_column``."""

    url: str
    kind: Literal["note", "file_column"]
    column: str | None = None


class WritePlan(msgspec.Struct, frozen=True):
    """Everything to be written for one document, in the destination's names.

    ``sources`` leads from a column (``numora_total``, or ``numora_invoiceline.numora_amount`` for a line's) back to the
    field at the source, so that a refusal by the destination can be told in the reviewer's words.
    """

    table: str
    identity: Identity
    columns: Mapping[str, Scalar]
    lookups: tuple[LookupPlan, ...] = ()
    lines: LinesPlan | None = None
    attachments: tuple[AttachmentPlan, ...] = ()
    sources: Mapping[str, str] = msgspec.field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Rejection:
    """The document cannot be written as it is; every problem of it is listed, not the first.

    ``rest`` is the plan of what has no problem, in which the destination may find more; it is never written.
    """

    problems: tuple[Problem, ...]
    rest: WritePlan


@dataclass(frozen=True, slots=True)
class Skip:
    """The mapping decided that nothing is to be written for this document."""

    code: str
    message: str


MappingResult = WritePlan | Rejection | Skip
