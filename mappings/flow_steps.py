"""Puts steps together that YAML took apart.

In ``then: [strip, replace(a,b)]`` YAML ends an item at every comma, parentheses or not, and takes the quotes off the
``"-"`` in ``concat(fields.a, "-", fields.b)``. People write it so all the same, and the text still has what they wrote.
"""

from collections.abc import Hashable
from typing import Any

from mappings.steps import closing_parenthesis
from mappings.yaml_source import Path, YamlSource

Origins = dict[Path, list[int]]
"""For the path of each mended ``then``: the index, in the file, at which each of its steps begins."""


def mend_steps(source: YamlSource, text: str) -> tuple[Any, Origins]:
    """Return the file's value with every ``then`` whole, and where its steps stood."""
    starts = _line_starts(text)
    origins: Origins = {}

    def mended(value: Any, path: Path) -> Any:
        if isinstance(value, dict):
            inner, step = _inside_step(value, path, source, text, starts)
            kept = {key: item for key, item in value.items() if key not in inner} | step
            return {key: mended_entry(key, item, (*path, key)) for key, item in kept.items()}
        if isinstance(value, list):
            return [mended(item, (*path, index)) for index, item in enumerate(value)]
        return value

    def mended_entry(key: Hashable, value: Any, path: Path) -> Any:
        if key != "then" or not isinstance(value, list) or not any(_is_open(item) for item in value):
            return mended(value, path)
        steps, origins[path] = _whole(value, path, source, text, starts)
        return steps

    return mended(source.value, ()), origins


def _whole(
    items: list[Any],
    path: Path,
    source: YamlSource,
    text: str,
    starts: list[int],
) -> tuple[list[Any], list[int]]:
    steps: list[Any] = []
    begins: list[int] = []
    index = 0
    while index < len(items):
        begins.append(index)
        start = _offset(source, (*path, index), starts)
        end = closing_parenthesis(text, start) if _is_open(items[index]) else None
        if end is None:
            steps.append(items[index])
            index += 1
            continue
        steps.append(text[start:end])
        index += 1
        while index < len(items) and _offset(source, (*path, index), starts) < end:
            index += 1
    return steps, begins


def _inside_step(
    value: dict[Any, Any],
    path: Path,
    source: YamlSource,
    text: str,
    starts: list[int],
) -> tuple[set[Any], dict[str, str]]:
    """Return the keys that are really arguments of a single ``then: replace(a,b)``, and that step as it was written."""
    if not _is_open(value.get("then")):
        return set(), {}
    start = _offset(source, (*path, "then"), starts)
    end = closing_parenthesis(text, start)
    if end is None:
        return set(), {}
    inner = {key for key in value if start < _offset(source, (*path, key), starts, key=True) < end}
    return inner, {"then": text[start:end]}


def _is_open(item: Any) -> bool:
    return isinstance(item, str) and item.count("(") > item.count(")")


def _offset(source: YamlSource, path: Path, starts: list[int], *, key: bool = False) -> int:
    line, column = source.position(path, key=key)
    return starts[line - 1] + column - 1


def _line_starts(text: str) -> list[int]:
    starts = [0]
    for line in text.splitlines(keepends=True):
        starts.append(starts[-1] + len(line))
    return starts
