"""Lets steps be written in a list as they are: ``then: [strip, replace(",", "."), concat(fields.a, ": ")]``.

To YAML the commas and quotes between the parentheses are its own. Before the text is parsed they are put behind
stand-ins, one character each so that every position stays right, and afterwards they are brought back.
"""

import re
from typing import Any, Final

from mappings.steps import closing_parenthesis

_THEN: Final = re.compile(r"(?<![\w.])([\"']?)then\1:(?=\s)[ \t]*(?:&\S+[ \t]*)?")
_REST: Final = re.compile(r"[ \t]*(?:#[^\n]*)?(?:\r?\n|\Z)")
_ITEM: Final = re.compile(r"[ \t]*-[ \t]+")
_CALL: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*[ \t]*\(")
_QUOTED: Final = re.compile(r"""(?s)"(?:[^"\\]|\\.)*"|'(?:[^']|'')*'""")
_WORD: Final = re.compile(r"\w+")
_SPECIAL: Final = ",\"'[]{}:#&*!|>%@`?"
_PLANE: Final = 0xF0000
_SHIELD: Final = {ord(char): _PLANE + ord(char) for char in _SPECIAL}
_UNSHIELD: Final = {stand_in: char for char, stand_in in _SHIELD.items()}


def shield_steps(text: str) -> str:
    """Return the text with the arguments of every step in a list, or of a single step, behind stand-ins."""
    parts: list[str] = []
    done = 0
    for found in _THEN.finditer(text):
        if found.start() < done:
            continue
        for start, end in _calls(text, found.end()):
            parts += [text[done:start], text[start:end].translate(_SHIELD)]
            done = end
    return "".join([*parts, text[done:]]) if parts else text


def unshield(value: Any) -> Any:
    """Return a parsed value with the arguments brought back."""
    if isinstance(value, str):
        return value.translate(_UNSHIELD)
    if isinstance(value, dict):
        return {unshield(key): unshield(item) for key, item in value.items()}
    if isinstance(value, list):
        return [unshield(item) for item in value]
    return value


def _calls(text: str, start: int) -> list[tuple[int, int]]:
    """Return where the calls stand in the list, or in the one step, that begins at ``start``, or on a line below."""
    below = _below(text, start)
    if _ITEM.match(text, below):
        return _calls_of_items(text, below)
    while text[below : below + 1] in {" ", "\t"}:
        below += 1
    if text[below : below + 1] == "[":
        return _calls_of_list(text, below)
    call = _call_at(text, below)
    return [call] if call else []


def _below(text: str, start: int) -> int:
    """Return where the first line begins, from ``start`` on, that says something; ``start`` if that is the same."""
    while start < len(text) and (rest := _REST.match(text, start)):
        start = rest.end()
    return start


def _calls_of_items(text: str, start: int) -> list[tuple[int, int]]:
    calls: list[tuple[int, int]] = []
    while item := _ITEM.match(text, start):
        call = _call_at(text, item.end())
        if call:
            calls.append(call)
        line_end = text.find("\n", call[1] if call else item.end())
        start = len(text) if line_end < 0 else _below(text, line_end + 1)
    return calls


def _calls_of_list(text: str, start: int) -> list[tuple[int, int]]:
    calls: list[tuple[int, int]] = []
    index = start + 1
    while index < len(text) and text[index] != "]":
        call = _call_at(text, index)
        if call:
            calls.append(call)
            index = call[1]
        elif text[index] in "\"'":
            quoted = _QUOTED.match(text, index)
            index = quoted.end() if quoted else len(text)
        elif text[index] == "#" and text[index - 1].isspace():
            closing = text.find("\n", index)
            index = len(text) if closing < 0 else closing
        else:
            word = _WORD.match(text, index)
            index = word.end() if word else index + 1
    return calls


def _call_at(text: str, index: int) -> tuple[int, int] | None:
    if not _CALL.match(text, index):
        return None
    end = closing_parenthesis(text, index)
    return (index, end) if end is not None and "\n" not in text[index:end] else None
