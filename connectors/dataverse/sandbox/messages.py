"""A request and an answer of the Web API, free of whether they came alone or inside a batch."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from http import HTTPStatus
from typing import Any

import msgspec

from connectors.dataverse.sandbox.errors import ApiError

JSON_TYPE = "application/json; odata.metadata=minimal"
_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder = msgspec.json.Decoder(float_hook=Decimal)


@dataclass(slots=True)
class ApiRequest:
    """A request. ``path`` and ``query`` are service-relative and still percent-encoded; headers by lower-case name."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: bytes

    def prefers(self, preference: str) -> bool:
        """Tell whether the ``Prefer`` header holds this preference."""
        return preference in self.headers.get("prefer", "")

    def condition(self, name: str) -> str | None:
        """Return ``If-Match`` or ``If-None-Match``; the value ``null`` is none, it only passes caches by."""
        value = self.headers.get(name)
        return None if value is None or value == "null" else value


@dataclass(slots=True)
class ApiResponse:
    """An answer."""

    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = JSON_TYPE

    @property
    def reason(self) -> str:
        """The reason phrase of the status."""
        return HTTPStatus(self.status).phrase


def loads(body: bytes) -> Any:
    """Return what the JSON holds, fractions as ``Decimal``. Raises ``msgspec.DecodeError``."""
    return _decoder.decode(body)


def decode_body(request: ApiRequest) -> Any:
    """Return the JSON body. Raises ``ApiError`` 415 for another content type and 400 for what is no JSON."""
    content_type = request.headers.get("content-type", "")
    if not content_type.lower().startswith("application/json"):
        raise ApiError(415, "0x8006088b", f"The content type '{content_type}' is not supported; use application/json.")
    try:
        return loads(request.body)
    except msgspec.DecodeError as error:
        raise ApiError(400, "0x80048d19", f"Error identified in Payload provided by the user: {error}") from error


def json_response(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> ApiResponse:
    """Return an answer with a JSON body."""
    return ApiResponse(status, headers or {}, _encoder.encode(content))


def error_response(error: ApiError) -> ApiResponse:
    """Return the answer that a refusal is."""
    return json_response({"error": {"code": error.code, "message": error.message}}, error.status)
