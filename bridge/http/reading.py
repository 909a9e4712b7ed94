"""Reading a request's query and body: bounded in size and time, and held against the route's models."""

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Literal

import msgspec
from aiohttp import hdrs, web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from bridge.http.codes import (
    BAD_BODY,
    BAD_IDEMPOTENCY_KEY,
    BAD_JSON,
    BAD_QUERY,
    BAD_REQUEST,
    BAD_VALUE,
    GIVEN_TWICE,
    SLOW_BODY,
    TOO_LARGE,
    UNKNOWN_KEY,
    UNSUPPORTED_MEDIA,
    WRONG_TYPE,
)
from bridge.http.fields import decimal
from bridge.http.problems import ErrorEntry, RefusedError
from mappings.yaml_findings import nearest

LARGEST_BODY: Final = 1024 * 1024
"""Bytes that a body may have."""

BODY_TIMEOUT: Final = 15.0
"""Seconds that a body may take to arrive."""

_DECODER: Final = msgspec.json.Decoder(float_hook=decimal)
"""Numbers keep their own digits, for those that are handed on may be money."""

_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}", re.ASCII)

MOST_ERRORS: Final = 50
"""Entries of ``errors`` that one refusal shows at most."""


def read_query(request: web.BaseRequest, model: type[BaseModel] | None) -> Any:
    """Return what the query says, as the model; parameters without a value count as left out.

    Raises ``RefusedError`` (``bad_query``) that lists everything that is wrong. A route without a model takes no query.
    """
    given: dict[str, Any] = {}
    errors: list[ErrorEntry] = []
    fields = model.model_fields if model is not None else {}
    for name in dict.fromkeys(request.query):
        all_values = request.query.getall(name)
        values = [value for value in all_values if value]
        if name not in fields:
            message = f"There is no parameter {_shown(name)} here. {nearest(name, fields)}"
            errors.append(ErrorEntry("query", _shown(name), UNKNOWN_KEY, message))
        elif name == "state":
            given[name] = values
        elif len(all_values) > 1:
            errors.append(ErrorEntry("query", name, GIVEN_TWICE, "This parameter may be given once."))
        elif values:
            given[name] = values[0]
    try:
        query = model.model_validate({name: value for name, value in given.items() if value}) if model else None
    except ValidationError as error:
        errors += _entries("query", model, error)
        query = None
    if errors:
        raise RefusedError(BAD_QUERY, _first(errors), errors=errors[:MOST_ERRORS])
    return query


async def read_body(request: web.BaseRequest, model: type[BaseModel]) -> Any:
    """Return what the body says, as the model. No body at all is taken as an empty object.

    Raises ``RefusedError``: ``too_large``, ``slow_body``, ``unsupported_media``, ``bad_json`` or ``bad_body``.
    """
    raw = await _read(request, _check_media)
    try:
        value = _DECODER.decode(raw) if raw.strip() else {}
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        raise RefusedError(BAD_JSON, "The body is not JSON. Send an object such as {}, or no body at all.") from None
    if not isinstance(value, dict):
        raise RefusedError(BAD_BODY, "The body should be an object, such as {}.")
    try:
        return model.model_validate(value)
    except ValidationError as error:
        errors = _entries("body", model, error)
        raise RefusedError(BAD_BODY, _first(errors), errors=errors[:MOST_ERRORS]) from None


async def read_raw(request: web.BaseRequest) -> bytes:
    """Return the body as it is, whatever it says it is. Raises ``RefusedError``: ``too_large`` or ``slow_body``."""
    return await _read(request, lambda _: None)


def read_key(request: web.BaseRequest) -> str | None:
    """Return the ``Idempotency-Key``, None without one. Raises ``RefusedError`` (``bad_idempotency_key``)."""
    given = request.headers.getall("Idempotency-Key", [])
    if not given:
        return None
    if len(given) > 1 or not _KEY.fullmatch(given[0]):
        message = "Send one Idempotency-Key of 1 to 255 visible ASCII characters, such as a UUID."
        raise RefusedError(BAD_IDEMPOTENCY_KEY, message)
    return given[0]


async def _read(request: web.BaseRequest, check: Callable[[web.BaseRequest], None]) -> bytes:
    if not request.body_exists:
        return b""
    if (request.content_length or 0) > LARGEST_BODY:
        raise _too_large()
    check(request)
    if request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        request.writer.output_size = 0
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_TIMEOUT):
            while chunk := await request.content.readany():
                body += chunk
                if len(body) > LARGEST_BODY:
                    raise _too_large()
    except TimeoutError:
        message = f"The body did not arrive within {BODY_TIMEOUT:g} s. Send the request again."
        raise RefusedError(SLOW_BODY, message, close=True) from None
    except (ConnectionError, HttpProcessingError):
        # Nobody may be there any more to read this; it is no error of the bridge's.
        message = "The body broke off, or is not of the length that was announced. Send the request again."
        raise RefusedError(BAD_REQUEST, message, close=True) from None
    return bytes(body)


def _check_media(request: web.BaseRequest) -> None:
    media = request.content_type.lower()
    # A body without a Content-Type is what is left of a client that was told nothing; it can only be meant as JSON.
    if hdrs.CONTENT_TYPE in request.headers and media != "application/json" and not media.endswith("+json"):
        raise RefusedError(UNSUPPORTED_MEDIA, "Send the body as JSON, with Content-Type: application/json.")
    if request.headers.get(hdrs.CONTENT_ENCODING, "identity").lower() not in {"", "identity"}:
        raise RefusedError(UNSUPPORTED_MEDIA, "Send the body as it is, without a Content-Encoding.")


def _too_large() -> RefusedError:
    return RefusedError(TOO_LARGE, f"A body has at most {LARGEST_BODY} bytes.", close=True)


def _entries(
    where: Literal["body", "query"], model: type[BaseModel] | None, error: ValidationError
) -> list[ErrorEntry]:
    known: Mapping[str, Any] = model.model_fields if model is not None else {}
    return [_entry(where, known, details) for details in error.errors(include_url=False, include_input=False)]


def _entry(where: Literal["body", "query"], known: Mapping[str, Any], details: ErrorDetails) -> ErrorEntry:
    name = _shown(".".join(map(str, details["loc"])))
    kind = details["type"]
    if kind == "extra_forbidden":
        return ErrorEntry(where, name, UNKNOWN_KEY, f"There is no key {name} here. {nearest(name, known)}")
    if kind == "missing":
        return ErrorEntry(where, name, BAD_VALUE, "This is missing, and it is needed. Send it.")
    code = WRONG_TYPE if kind.endswith("_type") else BAD_VALUE
    return ErrorEntry(where, name, code, details["msg"])


def _first(errors: list[ErrorEntry]) -> str:
    """Return the first error as a sentence, for callers that show no more than the detail."""
    first = errors[0]
    more = f" There are {len(errors) - 1} more errors." if len(errors) > 1 else ""
    return f"{first.name}: {first.message}{more}"


def _shown(name: str) -> str:
    """Return a name that a caller made up, fit to be answered."""
    return name.encode("utf-8", "replace").decode()[:100]
