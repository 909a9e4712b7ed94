"""The ids of the rows that we write, decided before anything is sent and the same on every try."""

from collections.abc import Iterable, Sequence
from hashlib import sha1, sha256
from uuid import UUID

from connectors.ports import DocumentKey

NAMESPACE = UUID("6a5d7a4e-0f0c-5d3b-9c86-1f3f0c1d9a27")
"""The namespace of every id we derive. Changing it would write every document a second time."""

SHORTEST_DIGEST = 32
"""Hex digits: a key column must hold at least this many, 128 bits, for keys to be distinct."""


_NAMESPACE_HASHED = sha1(NAMESPACE.bytes, usedforsecurity=False)
_VARIANT = dict(zip("0123456789abcdef", "89ab" * 4, strict=True))
"""The digit that says how the UUID is laid out, by the one that was hashed in its place."""


def _uuids(leading: Sequence[str], last: Iterable[str]) -> list[str]:
    """Return ``uuid5(NAMESPACE, joined parts)`` as text for each of the ``last`` parts.

    It takes less time than the standard library does, less still for further ones, and every line of a document has
    one.
    """
    begun = _NAMESPACE_HASHED.copy()
    begun.update(_joined(leading).encode())
    ids: list[str] = []
    for part in last:
        hashed = begun.copy()
        hashed.update(_part(part).encode())
        digits = hashed.hexdigest()
        ids.append(
            f"{digits[:8]}-{digits[8:12]}-5{digits[13:16]}-{_VARIANT[digits[16]]}{digits[17:20]}-{digits[20:32]}"
        )
    return ids


def _uuid5(*parts: str) -> str:
    return _uuids(parts[:-1], parts[-1:])[0]


def _joined(parts: Sequence[str]) -> str:
    """Join parts so that no two different sequences give the same text: each is preceded by its length."""
    return "".join([_part(part) for part in parts])


def _part(part: str) -> str:
    return f"{len(part)}:{part}"


def row_id(key: DocumentKey) -> str:
    """Return the primary key of a document's row."""
    return _uuid5("document", key.tenant, key.document_id)


def line_ids(key: DocumentKey, lines: Iterable[str]) -> list[str]:
    """Return the primary keys of lines, each given by its stable id inside the document."""
    return _uuids(("line", key.tenant, key.document_id), lines)


def note_id(key: DocumentKey, attachment: str) -> str:
    """Return the primary key of the note that holds one attachment of the document."""
    return _uuid5("note", key.tenant, key.document_id, attachment)


def lookup_row_id(org_url: str, table: str, criteria: Sequence[tuple[str, str]]) -> str:
    """Return the primary key of a row that a lookup creates: the same for everyone who looks for the same values.

    Dataverse finds text regardless of case and of blanks at its end, so values that differ in no more are the same.
    """
    parts = ["lookup", org_url.lower(), table]
    for column, value in sorted(criteria):
        parts += (column, value.strip().casefold())
    return _uuid5(*parts)


def digest(key: DocumentKey, length: int | None = None) -> str:
    """Return the document's alternate key: lower-case hex, cut to ``length`` characters.

    Hex, because values with reserved characters cannot be read by key, and because no collation changes it.
    Raises ``ValueError`` when ``length`` is below ``SHORTEST_DIGEST``.
    """
    if length is not None and length < SHORTEST_DIGEST:
        raise ValueError(f"a key column needs room for at least {SHORTEST_DIGEST} characters, not {length}")
    return sha256(_joined(("document", key.tenant, key.document_id)).encode()).hexdigest()[:length]
