"""The id of what an action set in motion, out of answers whose shape is not published."""

import re
from typing import Any, Final

from connectors.http import Answer, decode_json
from connectors.numora.translate import is_same_document

_ID: Final = re.compile(r"[!-~]{1,256}")
_NAMES: Final = ("run_id", "workflow_run_id", "execution_id")
_INSIDE: Final = ("run", "data")


def run_id_of(answer: Answer, document_id: str) -> str | None:
    """Return the run that an answer names, wherever it stands; None when it names none.

    A bare ``id`` counts as long as it is not the document's own.
    """
    try:
        found = decode_json(answer.body)
    except (ArithmeticError, RecursionError, ValueError):
        return None
    return _run_id(found, document_id, depth=3)


def _run_id(found: Any, document_id: str, depth: int) -> str | None:
    if isinstance(found, list):
        found = found[0] if len(found) == 1 else None
    if not isinstance(found, dict) or depth == 0:
        return None
    for name in _NAMES:
        if (named := _as_id(found.get(name))) is not None:
            return named
    for name in _INSIDE:
        inner = found.get(name)
        named = _as_id(inner) if name == "run" else None
        if (named := named or _run_id(inner, document_id, depth - 1)) is not None:
            return named
    own = _as_id(found.get("id"))
    return None if own is None or is_same_document(own, document_id) else own


def _as_id(value: object) -> str | None:
    text = str(value) if type(value) is int else value
    return text if isinstance(text, str) and _ID.fullmatch(text) else None
