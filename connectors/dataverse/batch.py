"""One atomic change set in a ``$batch`` request: the writer of its body and the reader of its answer."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from email.message import Message
from uuid import uuid4

_LINE_END = b"\r\n"
_HEADERS_END = re.compile(rb"\r?\n\r?\n")
_STATUS_LINE = re.compile(r"HTTP/\d(?:\.\d)? (\d{3})")

LARGEST_CHANGE_SET = 1000
"""Dataverse takes no more operations in one batch."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One write inside a change set. ``path`` starts with ``/`` or ``$n``; ``etag`` makes it conditional."""

    method: str
    path: str
    body: bytes | None = None
    etag: str | None = None


@dataclass(frozen=True, slots=True)
class Part:
    """The answer to one operation, or to the whole change set when it failed. ``content_id`` counts from 1.

    ``retry_after`` is that header as it was written.
    """

    status: int
    body: bytes
    content_id: int | None = None
    entity_id: str | None = None
    retry_after: str | None = None


@dataclass(frozen=True, slots=True)
class ChangeSetAnswer:
    """What became of a change set. ``whole`` is False when the answer broke off before its closing boundary."""

    parts: tuple[Part, ...]
    whole: bool

    @property
    def failure(self) -> Part | None:
        """Return the part that refused, None when no part did."""
        return next((part for part in self.parts if part.status >= 300), None)

    @property
    def first(self) -> Part | None:
        """Return the answer to the first operation: the parts may come in any order when they carry content ids."""
        return next((part for part in self.parts if part.content_id in {None, 1}), None)


def write_change_set(operations: Sequence[Operation]) -> tuple[str, bytes]:
    """Return the content type and the body of a batch with one change set; content ids count from 1."""
    batch, change_set = f"batch_{uuid4()}", f"changeset_{uuid4()}"
    lines: list[bytes] = [
        f"--{batch}".encode(),
        f'Content-Type: multipart/mixed; boundary="{change_set}"'.encode(),
        b"",
    ]
    for number, operation in enumerate(operations, start=1):
        lines += (
            f"--{change_set}".encode(),
            b"Content-Type: application/http",
            b"Content-Transfer-Encoding: binary",
            f"Content-ID: {number}".encode(),
            b"",
            f"{operation.method} {operation.path} HTTP/1.1".encode(),
        )
        if operation.etag is not None:
            lines.append(f"If-Match: {operation.etag}".encode())
        if operation.body is not None:
            lines.append(b"Content-Type: application/json; type=entry")
        lines += (b"", operation.body or b"")
    lines += (f"--{change_set}--".encode(), b"", f"--{batch}--".encode(), b"")
    return f'multipart/mixed; boundary="{batch}"', _LINE_END.join(lines)


def read_change_set(content_type: str, body: bytes) -> ChangeSetAnswer | None:
    """Read the answer to a batch with one change set. None when it is no multipart answer.

    A change set that failed is answered by a single part in place of the inner multipart. The status of the
    whole answer says nothing reliable and is not looked at.
    """
    boundary = _boundary(content_type)
    if boundary is None:
        return None
    parts: list[Part] = []
    sections, whole = _split(body, boundary)
    for section in sections:
        head, content = _cut(section)
        inner = _boundary(head.get("Content-Type", ""))
        if inner is None:
            parts += _part(head, content)
            continue
        inner_sections, inner_whole = _split(content, inner)
        whole = whole and inner_whole
        for inner_section in inner_sections:
            parts += _part(*_cut(inner_section))
    return ChangeSetAnswer(tuple(parts), whole)


def _boundary(content_type: str) -> str | None:
    message = Message()
    message["Content-Type"] = content_type
    if message.get_content_maintype() != "multipart":
        return None
    return message.get_boundary() or None


def _split(body: bytes, boundary: str) -> tuple[list[bytes], bool]:
    delimiter = re.compile(rb"(?:\A|\r?\n)--" + re.escape(boundary.encode()) + rb"(--)?[ \t]*(?=\r?\n|\Z)")
    sections: list[bytes] = []
    start: int | None = None
    for match in delimiter.finditer(body):
        if start is not None:
            sections.append(body[start : match.start()])
        if match.group(1):
            return sections, True
        start = match.end()
    return sections, False


def _cut(section: bytes) -> tuple[Message, bytes]:
    """Cut a MIME section into its headers and its content; it begins with the line end after its delimiter."""
    section = section.removeprefix(b"\r").removeprefix(b"\n")
    match = _HEADERS_END.search(section)
    head, content = (section, b"") if match is None else (section[: match.start()], section[match.end() :])
    message = Message()
    for line in head.decode("latin-1").splitlines():
        name, colon, value = line.partition(":")
        if colon:
            message[name.strip()] = value.strip()
    return message, content


def _part(head: Message, content: bytes) -> list[Part]:
    """Read one ``application/http`` section; nothing when it holds no answer."""
    status_line, _, rest = content.lstrip().partition(b"\n")
    status = _STATUS_LINE.match(status_line.decode("latin-1"))
    if status is None:
        return []
    inner, body = _cut(b"\n" + rest)
    content_id = head.get("Content-ID", inner.get("Content-ID", "")).strip()
    return [
        Part(
            int(status.group(1)),
            body.strip(),
            int(content_id) if content_id.isdecimal() else None,
            inner.get("OData-EntityId", inner.get("Location")),
            inner.get("Retry-After"),
        )
    ]
