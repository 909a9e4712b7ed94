"""``$batch``: multipart requests, change sets that are atomic, references by content id."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from uuid import uuid4

from connectors.dataverse.sandbox.address import service_relative
from connectors.dataverse.sandbox.columns import Reference
from connectors.dataverse.sandbox.errors import ApiError
from connectors.dataverse.sandbox.messages import ApiRequest, ApiResponse, error_response
from connectors.dataverse.sandbox.store import Store, Transaction
from connectors.dataverse.sandbox.writes import WriteContext

_BOUNDARY = re.compile(r'boundary="?([^";,\s]+)"?', re.IGNORECASE)
_REQUEST_LINE = re.compile(r"(GET|POST|PATCH|PUT|DELETE) (\S+)(?: HTTP/1\.[01])?")
_CREATED = re.compile(r"/(\w+)\(([0-9a-f-]{36})\)$")
_MAX_REQUESTS = 1000
_MAX_URL_BYTES = 64 * 1024
_CRLF = "\r\n"

Execute = Callable[[WriteContext, ApiRequest], ApiResponse]


@dataclass(frozen=True, slots=True)
class _Part:
    headers: dict[str, str]
    content: bytes


@dataclass(frozen=True, slots=True)
class _Operation:
    content_id: str | None
    request: ApiRequest


class Batches:
    """Runs batches; ``execute`` runs one request in a context and raises ``ApiError`` when it is refused."""

    def __init__(self, store: Store, execute: Execute) -> None:
        self._store = store
        self._execute = execute

    def run(self, request: ApiRequest) -> ApiResponse:
        """Run a batch in order. Without ``odata.continue-on-error`` the first failure ends it and is its status."""
        items = _read_batch(request)
        boundary = f"batchresponse_{uuid4()}"
        continues = request.prefers("odata.continue-on-error")
        request_id = request.headers.get("x-ms-client-request-id")
        status, parts = 200, []
        for item in items:
            answer, part = self._run_item(item, request_id)
            parts.append(part)
            if answer >= 400 and not continues:
                status = answer
                break
        body = b"".join(_delimited(boundary, part) for part in parts) + f"--{boundary}--{_CRLF}".encode()
        return ApiResponse(status, {}, body, f"multipart/mixed; boundary={boundary}")

    def _run_item(self, item: "_Operation | list[_Operation]", request_id: str | None) -> tuple[int, bytes]:
        context = WriteContext(Transaction(request_id))
        if isinstance(item, list):
            return self._run_change_set(context, item)
        response = self._settled(context, item.request)
        return response.status, _http_part(response, None)

    def _settled(self, context: WriteContext, request: ApiRequest) -> ApiResponse:
        try:
            response = self._execute(context, request)
        except ApiError as error:
            self._store.rollback(context.transaction)
            return error_response(error)
        self._store.commit(context.transaction)
        return response

    def _run_change_set(self, context: WriteContext, operations: list[_Operation]) -> tuple[int, bytes]:
        boundary = f"changesetresponse_{uuid4()}"
        parts = []
        for operation in operations:
            context.nested = 0
            try:
                response = self._execute(context, self._addressed(context, operation.request))
            except ApiError as error:
                self._store.rollback(context.transaction)
                return error.status, _http_part(error_response(error), operation.content_id)
            parts.append(_delimited(boundary, _http_part(response, operation.content_id)))
            created = _CREATED.search(response.headers.get("OData-EntityId", ""))
            if created is not None and operation.content_id is not None:
                table = self._store.catalog.by_set[created[1]]
                context.references[f"${operation.content_id}"] = Reference(table.name, created[2])
        self._store.commit(context.transaction)
        head = f"Content-Type: multipart/mixed; boundary={boundary}{_CRLF}{_CRLF}".encode()
        return 200, head + b"".join(parts) + f"--{boundary}--{_CRLF}".encode()

    def _addressed(self, context: WriteContext, request: ApiRequest) -> ApiRequest:
        """Put the row that a content id stands for in its place at the beginning of the URL."""
        if not request.path.startswith("$"):
            return request
        name, slash, rest = request.path.partition("/")
        reference = context.references.get(name)
        if reference is None:
            raise ApiError(400, "0x0", f"Content-ID Reference: '{name}' does not exist in the batch context.")
        set_name = self._store.catalog.by_name[reference.table].set_name
        request.path = f"{set_name}({reference.id}){slash}{rest}"
        return request


def _read_batch(request: ApiRequest) -> list[_Operation | list[_Operation]]:
    items: list[_Operation | list[_Operation]] = []
    count = 0
    for part in _split(request.body, request.headers.get("content-type", "")):
        content_type = part.headers.get("content-type", "").lower()
        if content_type.startswith("multipart/mixed"):
            operations = [
                _operation(inner, in_change_set=True) for inner in _split(part.content, part.headers["content-type"])
            ]
            ids = [operation.content_id for operation in operations]
            if len(set(ids)) != len(ids):
                raise _malformed("A Content-ID is used more than once in a change set.")
            items.append(operations)
            count += len(operations)
        else:
            items.append(_operation(part, in_change_set=False))
            count += 1
    if count > _MAX_REQUESTS:
        raise ApiError(400, "0x80048d19", f"The batch holds {count} requests; at most {_MAX_REQUESTS} are allowed.")
    return items


def _split(body: bytes, content_type: str) -> list[_Part]:
    matched = _BOUNDARY.search(content_type)
    if matched is None or not content_type.lower().startswith("multipart/mixed"):
        raise _malformed("The content type of a batch is multipart/mixed with a boundary.")
    delimiter = b"\r\n--" + matched[1].encode()
    pieces = (b"\r\n" + body).split(delimiter)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise _malformed("Stream was not readable: the closing boundary is missing.")
    parts = []
    for piece in pieces[1:-1]:
        head, blank, content = piece.removeprefix(b"\r\n").partition(b"\r\n\r\n")
        if not blank:
            raise _malformed("Stream was not readable: a part has no blank line after its headers.")
        parts.append(_Part(_headers(head), content))
    return parts


def _operation(part: _Part, *, in_change_set: bool) -> _Operation:
    if not part.headers.get("content-type", "").lower().startswith("application/http"):
        raise _malformed("A part of a batch has the content type application/http.")
    head, blank, body = part.content.partition(b"\r\n\r\n")
    if not blank and not part.content.endswith(b"\r\n"):
        raise _malformed("Stream was not readable: a request has no blank line after its headers.")
    line, _, headers = head.partition(b"\r\n")
    matched = _REQUEST_LINE.fullmatch(line.decode("latin-1").strip())
    if matched is None:
        raise _malformed(f"'{line.decode('latin-1')}' is no request line.")
    method, url = matched[1], matched[2]
    if len(url) > _MAX_URL_BYTES:
        raise _malformed("The URL of a request in a batch is too long.")
    path, _, query = service_relative(url).partition("?")
    content_id = part.headers.get("content-id")
    if in_change_set and method == "GET":
        raise _malformed("A change set cannot hold a GET request.")
    if in_change_set and content_id is None:
        raise _malformed("Every request of a change set needs a Content-ID.")
    if path == "$batch":
        raise _malformed("A batch cannot hold a batch.")
    return _Operation(content_id, ApiRequest(method, path, query, _headers(headers), body))


def _headers(block: bytes) -> dict[str, str]:
    pairs = (line.partition(":") for line in block.decode("latin-1").split(_CRLF) if line.strip())
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _http_part(response: ApiResponse, content_id: str | None) -> bytes:
    lines = ["Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    if content_id is not None:
        lines.append(f"Content-ID: {content_id}")
    lines += ["", f"HTTP/1.1 {response.status} {response.reason}"]
    if response.body is not None:
        lines.append(f"Content-Type: {response.content_type}")
    lines.append("OData-Version: 4.0")
    lines += [f"{name}: {value}" for name, value in response.headers.items()]
    return _CRLF.join(lines).encode() + b"\r\n\r\n" + (response.body or b"") + b"\r\n"


def _delimited(boundary: str, part: bytes) -> bytes:
    end = b"" if part.endswith(b"\r\n") else b"\r\n"
    return f"--{boundary}{_CRLF}".encode() + part + end


def _malformed(reason: str) -> ApiError:
    return ApiError(400, "0x80048d19", reason)
