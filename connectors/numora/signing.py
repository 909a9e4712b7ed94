"""What both kinds of Numora's calls share: headers that stand once, signatures in hex or Base64, bodies and ids."""

import binascii
import hashlib
import hmac
import re
from base64 import b64decode
from collections.abc import Iterable, Mapping
from typing import Any, Final

from connectors.hooks import HookRefusedError
from connectors.http import decode_json

LONGEST_ID: Final = 512
"""Characters of a document's id, as everywhere in the bridge."""

LONGEST_EVENT_ID: Final = 255
_LONGEST_HEADER: Final = 4096
_HEX: Final = re.compile(r"[0-9A-Fa-f]{64}", re.ASCII)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/_-]{43}=?", re.ASCII)
_URL_SAFE: Final = str.maketrans("-_", "+/")
_UNPRINTABLE: Final = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff]")


def header_of(headers: Mapping[str, str], name: str) -> str | None:
    """Return a header; None when it is missing or empty. Raises ``HookRefusedError`` when it stands more than once."""
    wanted = name.lower()
    found = [value for key, value in headers.items() if key.lower() == wanted]
    if len(found) > 1:
        raise HookRefusedError("hook_bad_signature", f"{name} stands more than once. Send it once.")
    value = found[0].strip() if found else ""
    if len(value) > _LONGEST_HEADER:
        raise HookRefusedError("hook_bad_signature", f"{name} is longer than {_LONGEST_HEADER} characters.")
    return value or None


def unsigned(what: str) -> HookRefusedError:
    """Return what is told of a call that lacks what proves its caller."""
    return HookRefusedError("hook_unsigned", f"{what} is missing. Let the caller sign its calls as configured.")


def mac_of(secret: str, parts: Iterable[bytes]) -> bytes:
    """Return the HMAC-SHA256 over the parts as one text, keyed with the UTF-8 bytes of the secret."""
    mac = hmac.new(secret.encode(), digestmod=hashlib.sha256)
    for part in parts:
        mac.update(part)
    return mac.digest()


def to_mac(text: str) -> bytes | None:
    """Read a signature of 32 bytes in hex or Base64, also with ``sha256=`` before it; None for anything else."""
    text = text.strip()
    if text[:7].lower() == "sha256=":
        text = text[7:]
    if _HEX.fullmatch(text):
        return bytes.fromhex(text)
    if not _BASE64.fullmatch(text):
        return None
    try:
        return b64decode(text.translate(_URL_SAFE).rstrip("=") + "=", validate=True)
    except binascii.Error:
        return None


def same_secret(given: str, expected: str) -> bool:
    """Compare in constant time."""
    return hmac.compare_digest(given.encode("utf-8", "surrogatepass"), expected.encode("utf-8", "surrogatepass"))


def body_of(body: bytes) -> Any:
    """Parse the body of a verified call. Raises ``HookRefusedError``."""
    try:
        return decode_json(body)
    except (ArithmeticError, RecursionError, ValueError):
        raise unreadable("The body is not JSON in UTF-8, or is nested too deeply.") from None


def unreadable(message: str) -> HookRefusedError:
    """Return what is told of a call that comes from where it should and cannot be understood."""
    return HookRefusedError("hook_unreadable", f"{message} Nothing followed from the call.", authentic=True)


def as_id(value: object, longest: int = LONGEST_ID) -> str | None:
    """Return an id that can be used: a text that is not empty, not too long, all of it printable, and no path's dots.

    None for anything else.
    """
    if not isinstance(value, str) or len(value) > longest or _UNPRINTABLE.search(value):
        return None
    return value if value.strip() and value not in {".", ".."} else None
