"""Reading and writing the multipart bodies of ``$batch``."""

import re
from urllib.parse import unquote, urlsplit

from aiohttp import web

from tests.blackbox.imitations.calls import ROOT, Call, RefusedError


def boundary_of(content_type: str) -> bytes:
    match = re.search(r'boundary="?([^";]+)"?', content_type)
    if match is None:
        raise RefusedError(400, "", "The boundary is missing")
    return match[1].encode()


def parts_of(body: bytes, boundary: bytes) -> list[tuple[dict[str, str], bytes]]:
    pieces = re.split(rb"(?:^|\r\n)--" + re.escape(boundary) + rb"(?:--)?[ \t]*(?:\r\n|$)", body)
    if len(pieces) < 3 or b"\n" in body.replace(b"\r\n", b""):
        raise RefusedError(400, "", "Stream was not readable.")
    found = []
    for piece in pieces[1:-1]:
        head, blank, content = piece.partition(b"\r\n\r\n")
        if not blank:
            raise RefusedError(400, "", "Stream was not readable.")
        found.append((_headers(head), content))
    return found


def _headers(head: bytes) -> dict[str, str]:
    pairs = (line.partition(":") for line in head.decode().split("\r\n") if line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def request_of(content: bytes) -> Call:
    head, blank, body = content.partition(b"\r\n\r\n")
    if not blank:
        raise RefusedError(400, "", "Stream was not readable.")
    first_line, _, rest = head.partition(b"\r\n")
    match = re.fullmatch(r"(\w+) (\S+) HTTP/1\.1", first_line.decode())
    if match is None:
        raise RefusedError(400, "", f"Bad request line {first_line!r}")
    address = urlsplit(match[2])
    path = unquote(address.path)
    if not path.startswith("/") and not path.startswith("$"):
        path = ROOT + path
    query = dict(pair.split("=", 1) for pair in unquote(address.query).split("&") if "=" in pair)
    return Call(match[1], path, query, _headers(rest), body)


def wrapped(response: web.Response, content_id: str = "") -> bytes:
    lines = ["Content-Type: application/http", "Content-Transfer-Encoding: binary"]
    if content_id:
        lines.append(f"Content-ID: {content_id}")
    lines += ["", f"HTTP/1.1 {response.status} {response.reason}"]
    lines += [f"{name}: {value}" for name, value in response.headers.items() if name != "Content-Length"]
    body = response.body if isinstance(response.body, bytes) else b""
    return "\r\n".join([*lines, "", ""]).encode() + body + b"\r\n"
