"""File columns: one upload call, one download."""

from urllib.parse import quote
from uuid import uuid4

from connectors.dataverse.sandbox.columns import FileColumn
from connectors.dataverse.sandbox.errors import BAD_VALUE, FILE_TOO_LARGE, ApiError, missing_row
from connectors.dataverse.sandbox.messages import ApiRequest, ApiResponse
from connectors.dataverse.sandbox.options import plain_parameters
from connectors.dataverse.sandbox.store import Row, Store, Transaction

_KIBIBYTE = 1024


def upload(store: Store, transaction: Transaction, row: Row, column: FileColumn, request: ApiRequest) -> ApiResponse:
    """``PATCH set(id)/column``: replace the file. The name comes in a header, or in the query when it is not ASCII."""
    if request.headers.get("content-type", "").lower() != "application/octet-stream":
        raise ApiError(415, "0x8006088b", "A file is uploaded as application/octet-stream.")
    if request.headers.get("x-ms-transfer-mode"):
        raise ApiError(501, "0x80040216", "The sandbox takes a file in a single call only.")
    name = request.headers.get("x-ms-file-name") or plain_parameters(request.query).get("x-ms-file-name")
    if not name:
        raise ApiError(400, BAD_VALUE, "The file name is missing: send it in the header x-ms-file-name.")
    if len(request.body) > column.max_size_kb * _KIBIBYTE:
        raise ApiError(400, FILE_TOO_LARGE, f"The file size exceeds the limit of {column.max_size_kb} KB.")
    file_id = str(uuid4())
    store.files[file_id] = (name, request.body)
    store.update(transaction, row, {column.name: file_id}, (column.name,))
    return ApiResponse(204)


def download(store: Store, row: Row, column: FileColumn) -> ApiResponse:
    """``GET set(id)/column/$value``: the file, with its name and size in headers."""
    file_id = row.values.get(column.name)
    if file_id is None:
        raise missing_row(row.table.name, row.id)
    name, content = store.files[file_id]
    headers = {
        "x-ms-file-name": quote(name),
        "x-ms-file-size": str(len(content)),
        "mimetype": "application/octet-stream",
    }
    return ApiResponse(200, headers, content, "application/octet-stream")
